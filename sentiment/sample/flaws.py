"""The flaws of the real file, planted at its rates, and the lines that an ingest must reject.

Quotas instead of chance: flaw k is planted `quota` times over the whole file, spread evenly over its rows, so that the
counts are known beforehand, every kind is there from 2,000 rows on, and no list of positions as long as the file is
ever held. Within a chunk the rows are random, and no row is flawed twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

import numpy as np

from sentiment.sample.vocabulary import Choices, Vocabulary, entity_escaped

# From this many rows on, every flaw is in the file at least once.
ALL_FLAWS_FROM = 2_000
LONGEST_TEXT = 374

# Shares of rows, from the counts in the 1,600,000 real ones.
EXTRA_RATES = {
    "amp": 42_927 / 1.6e6,
    "quot": 34_141 / 1.6e6,
    "heart": 13_254 / 1.6e6,
    "lt": 3_697 / 1.6e6,
    "gt": 5_698 / 1.6e6,
    "escaped_twice": 9 / 1.6e6,
    "utf8": 13_251 / 1.6e6,
    "damaged": 1_287 / 1.6e6,
    "del": 16 / 1.6e6,
    "tab": 180 / 1.6e6,
    "nbsp": 500 / 1.6e6,
}
TEXT_RATES = {
    "without_words": 3_147 / 1.6e6,
    "most_common_text": 210 / 1.6e6,
    "common_texts": 11_000 / 1.6e6,
    "double_posts": 8_000 / 1.6e6,
    "longest_texts": 100 / 1.6e6,
}
SLIPPED_EMOTICONS_RATE = 10_600 / 1.6e6
BOTH_LABELS_RATE = 1_684 / 1.6e6
REJECT_REASONS = (
    "unterminated_quote",
    "wrong_column_count",
    "unknown_target",
    "bad_id",
    "bad_date",
    "blank_text",
    "nul_bytes",
)
REJECT_RATE = 0.0002

_EXTRAS = {
    "amp": ["& co", "& more", "r&b", "q&a", "& chips", "me & you", "h&m", "& then some", "rock & roll", "b&b"],
    "quot": [
        '"yes"',
        '"never again"',
        '"the one"',
        '"soon"',
        'they call it "fun"',
        '"no comment"',
        '"quote of the day"',
    ],
    "heart": ["<3", "<3<3", "<33", "<3 <3 <3"],
    "lt": ["<- this", "<sigh>", "<--", "<grin>", "< than ever"],
    "gt": ["-->", ">.>", "> all", ">>", "->"],
    "del": ["back\x7fspace", "\x7f"],
    "nbsp": ["\u00a0", "\u00a0-\u00a0"],
}
# windows-1252 bytes and cut sequences, nearly always next to intact UTF-8, as in the real file.
_DAMAGED = [
    b" it\x92s \xe4\xbb\x8a\xe5\xa4\xa9",
    b" \x93yes\x94 tr\xc3\xa0 \xc4\x91\xc3\xa1",
    b" caf\xe9 \xe2\x99\xa5",
    b" \xe4\xbb\x8a\xe5\xa4\xa9\xe5\xbe",
    b" bu\xe1\xbb\x95i s\xc3\xa1ng \xe1\xbb",
    b" na\xefve \xe2\x99\xab",
    b" \xe3\x81\x8a\xe3\x81\xaf\xe3",
    b" \x85 \xc3\xa9t\xc3\xa9",
    b" don\x92t",
]


# Columns at the end of a text, counted from its last one.
EXTRA, EMOTICON, BLANK = -3, -2, -1


class Column(IntEnum):
    """Columns of the matrix of one line. The text starts at TEXT and is followed by the line's end."""

    TARGET = 0
    ID_HIGH = 1
    ID_MIDDLE = 2
    ID_LOW = 3
    AFTER_ID = 4
    DAY = 5
    MINUTE = 6
    SECOND = 7
    ZONE_YEAR = 8
    QUERY = 9
    USER_OPEN = 10
    USER_HIGH = 11
    USER_LOW = 12
    TEXT_OPEN = 13
    TEXT = 14


class Quotas:
    """How often each flaw comes within any stretch of rows."""

    def __init__(self, rates: dict[str, float], rows: int) -> None:
        least = 1 if rows >= ALL_FLAWS_FROM else 0
        self._totals = {kind: max(least, round(rate * rows)) for kind, rate in rates.items()}
        if least and "most_common_text" in self._totals:
            # In both halves of the file, so that some text has both labels.
            self._totals["most_common_text"] = max(4, self._totals["most_common_text"])
        self._rows = rows

    def between(self, first: int, last: int) -> Iterator[tuple[str, int]]:
        """Kind and count for rows `first` to `last` (exclusive); the counts of all stretches add up to the totals."""
        for number, (kind, total) in enumerate(self._totals.items()):
            # A phase of its own for each kind keeps the single ones apart.
            phase = (number + 0.5) / len(self._totals)
            yield kind, int(total * last / self._rows + phase) - int(total * first / self._rows + phase)


class Flaws:
    """Changes chosen rows of a chunk: texts first, then, where asked for, whole lines."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        table, common = vocabulary.table, vocabulary.phrases["common"]
        self._table, self._links = table, vocabulary.links
        extras = {kind: [f" {entity_escaped(text)}" for text in texts] for kind, texts in _EXTRAS.items()}
        extras["escaped_twice"] = [" &amp;amp; so on", " &amp;lt;3", " &amp;quot;hm&amp;quot;"]
        extras["tab"] = ["\t", "\tlate"]
        extras["utf8"] = [f" {text}" for text in vocabulary.phrases["foreign"]["snippets"]]
        self._extras = {kind: Choices([table.add_all(texts)]) for kind, texts in extras.items()}
        self._extras["damaged"] = Choices([table.add_all(_DAMAGED)])
        self._most_common = table.add(common["most"])
        marks = [
            "",
            "!",
            "...",
            ".",
            "!!",
            " :p",
            " lol",
            " ..",
            " haha",
            " today",
            " again",
            " guys",
            " xx",
            " omg",
            "!!!",
            " now",
        ]
        texts = {name: [text + mark for mark in marks for text in common[name]] for name in ("positive", "negative")}
        capitals = {name: [text[:1].upper() + text[1:] for text in group] for name, group in texts.items()}
        self._common = {
            polarity: Choices([vocabulary.raw(texts[name] + capitals[name])])
            for polarity, name in ((1, "positive"), (-1, "negative"))
        }
        marks_only = ["", " ...", " !", " ?", " !!!", " :", " -", " ??", " .", " ...!"]
        self._marks_only = table.add_all(marks_only)
        self._handles = table.add_all(
            [f"@gen_{name}{n}" for name in vocabulary.phrases["marks"]["names"] for n in range(40)]
        )
        self._hearts = table.add_all([" &lt;3" * count for count in range(LONGEST_TEXT // 6 + 1)])
        self._breakages: dict[str, tuple[int, np.ndarray]] = {
            "unterminated_quote": (-1, table.add_all(["\n"])),
            "wrong_column_count": (Column.USER_OPEN, table.add_all([" generated_", '","extra","generated_'])),
            "unknown_target": (Column.TARGET, table.add_all(['"3","', '"7","', '"-1","', '"sad","'])),
            "bad_id": (Column.ID_HIGH, table.add_all(["1.46781E+", "n/a ", "id:", "x"])),
            "bad_date": (Column.DAY, table.add_all(["Sat Feb 30 ", "yesterday ", "2009-13-45 ", "Mon Foo 06 "])),
            "blank_text": (Column.TEXT, table.add_all(["", " ", "   "])),
            "nul_bytes": (BLANK - 1, table.add_all(["\0", "\0\0 "])),
        }

    def plant_in_texts(
        self,
        rng: np.random.Generator,
        text: np.ndarray,
        truth: np.ndarray,
        counts: Iterator[tuple[str, int]],
        free: np.ndarray,
    ) -> tuple[dict[str, int], np.ndarray]:
        """Change texts (rows, columns) and, where a text is replaced, its truth (rows,), both in place.

        Column EXTRA of the text is left to the flaws. `free` lists the rows that may be changed, in random order; the
        rows still free are returned with the number of rows planted by kind.
        """
        planted: dict[str, int] = {}
        for kind, wanted in counts:
            chosen, free = free[:wanted], free[wanted:]
            planted[kind] = len(chosen)
            if kind in self._extras:
                text[chosen, EXTRA] = self._extras[kind].at(rng.random(len(chosen)))
            elif kind == "longest_texts":
                room = (LONGEST_TEXT - self._table.lengths(text[chosen])) // 6
                text[chosen, EXTRA] = self._hearts[np.clip(room, 0, None)]
            elif kind == "double_posts":
                sources, free = free[: len(chosen)], free[len(chosen) :]
                chosen = chosen[: len(sources)]
                planted[kind] = len(chosen)
                text[chosen], truth[chosen] = text[sources], truth[sources]
            else:
                text[chosen] = 0
                text[chosen, 0] = self._whole_text(rng, kind, truth[chosen])
                if kind == "without_words":
                    text[chosen, 1] = np.where(rng.random(len(chosen)) < 0.3, rng.choice(self._links, len(chosen)), 0)
                    text[chosen, 2] = rng.choice(self._marks_only, len(chosen))
        return planted, free

    def _whole_text(self, rng: np.random.Generator, kind: str, truth: np.ndarray) -> np.ndarray:
        if kind == "most_common_text":
            return np.full(len(truth), self._most_common)
        if kind == "without_words":
            return rng.choice(self._handles, len(truth))
        uniform = rng.random(len(truth))
        return np.where(truth > 0, self._common[1].at(uniform), self._common[-1].at(uniform))

    def break_lines(self, rng: np.random.Generator, lines: np.ndarray, rows: np.ndarray, reason: str) -> None:
        """Make these rows of a chunk (rows, columns) lines that have to be rejected for this reason, in place."""
        if reason == "blank_text":
            lines[rows, Column.TEXT : -1] = 0
        column, fragments = self._breakages[reason]
        lines[rows, column] = rng.choice(fragments, len(rows))
