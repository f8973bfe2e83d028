"""Why a row is rejected: every word that `rejected_rows.reason` can hold, with the sentence that explains it.

Where several apply to one line, the first in this order is given: what makes a line unreadable comes before what makes
its columns unreadable, and those come in the order in which they stand in a Sentiment140 file.
"""

from __future__ import annotations

OVERLONG_LINE = "overlong_line"
NUL_BYTES = "nul_bytes"
NOT_JSON = "not_json"
UNTERMINATED_QUOTE = "unterminated_quote"
WRONG_COLUMN_COUNT = "wrong_column_count"
MISSING_COLUMN = "missing_column"
WRONG_TYPE = "wrong_type"
UNKNOWN_TARGET = "unknown_target"
BAD_ID = "bad_id"
BAD_DATE = "bad_date"
BLANK_TEXT = "blank_text"
TEXT_MISMATCH = "text_mismatch"
FORGOTTEN = "forgotten"

LONGEST_LINE = 64 * 1024
"""Bytes, with the line break; far beyond any tweet: the longest text of Sentiment140 has 374 characters."""

SENTENCES = {
    OVERLONG_LINE: "The line (in Parquet, the text) is longer than 64 KiB.",
    NUL_BYTES: "The line holds NUL bytes, as a file does that was only partly written.",
    NOT_JSON: "The line is not a JSON object.",
    UNTERMINATED_QUOTE: "The quotes do not pair: one is missing, or one inside a field is not doubled.",
    WRONG_COLUMN_COUNT: "The line does not have the six columns target, id, date, flag, user, text.",
    MISSING_COLUMN: "The JSON object lacks `tweet_id` or `text` (in a hand-labelled file, `text` or `label`).",
    WRONG_TYPE: "`text`, `user_name` or `query` is not a string.",
    UNKNOWN_TARGET: "The target is not 0, 2, 4, negative, neutral, positive or empty (hand-labelled lines need one).",
    BAD_ID: "The tweet id is not a whole number from 0 to 9223372036854775807.",
    BAD_DATE: "The date is neither like `Mon Apr 06 22:19:45 PDT 2009` (PDT, PST, UTC, GMT or +0000) nor ISO 8601.",
    BLANK_TEXT: "The text is empty, or nothing but white space.",
    TEXT_MISMATCH: "The tweet id is known already, with another text.",
    FORGOTTEN: "The tweet or its user was forgotten on request; the bytes are not kept.",
}

FOREIGN = frozenset({OVERLONG_LINE, NUL_BYTES, NOT_JSON, UNTERMINATED_QUOTE, WRONG_COLUMN_COUNT, MISSING_COLUMN})
"""Reasons that, given for every line of a file, say that it is another kind of file."""
