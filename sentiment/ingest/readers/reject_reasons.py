"""Why a row is rejected: every word that `rejected_rows.reason` can hold, with the sentence that explains it.

Where several apply to one line, the first in this order is given: what makes a line unreadable comes before what makes
its columns unreadable, and those come in the order of a Sentiment140 file.
"""

from __future__ import annotations

OVERLONG_LINE = "overlong_line"
NUL_BYTES = "nul_bytes"
NOT_JSON = "not_json"
NOT_A_POST = "not_a_post"
UNTERMINATED_QUOTE = "unterminated_quote"
WRONG_COLUMN_COUNT = "wrong_column_count"
WRONG_TYPE = "wrong_type"
UNKNOWN_TARGET = "unknown_target"
BAD_ID = "bad_id"
BAD_DATE = "bad_date"
BLANK_TEXT = "blank_text"
TEXT_REMOVED = "text_removed"
TEXT_MISMATCH = "text_mismatch"
FORGOTTEN = "forgotten"

LONGEST_LINE = 64 * 1024
"""Bytes, with the line break; far beyond any tweet: the longest text of Sentiment140 has 374 characters."""

SENTENCES = {
    OVERLONG_LINE: "The line (in Parquet, the text) is longer than 64 KiB.",
    NUL_BYTES: "The line holds NUL bytes, as a file does that was only partly written.",
    NOT_JSON: "It is not a JSON object.",
    NOT_A_POST: "The JSON object is something else than a post, such as a notice that one was deleted.",
    UNTERMINATED_QUOTE: "The quotes do not pair: one is missing, or one inside a field is not doubled.",
    WRONG_COLUMN_COUNT: "The line does not have as many columns as the others.",
    WRONG_TYPE: "The text, the user or the query is not a string.",
    UNKNOWN_TARGET: "The label is none of those that the file's labels are read by (a hand-labelled row needs one).",
    BAD_ID: "The id is empty, or not a whole number from 0 to 9223372036854775807 where the others are.",
    BAD_DATE: "The date is in no form that is known, or not in the one that was given.",
    BLANK_TEXT: "The text is empty, or nothing but white space.",
    TEXT_REMOVED: "In place of the text stands that it was removed: [deleted], [removed], Not Available or nan.",
    TEXT_MISMATCH: "The id is known already, with another text.",
    FORGOTTEN: "The post or its user was forgotten on request; the bytes are not kept.",
}

HARMLESS = frozenset({FORGOTTEN, NOT_A_POST, TEXT_REMOVED})
"""Reasons that say nothing about how a file is read."""
