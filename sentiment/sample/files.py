"""Writes generated tweets to files, chunk by chunk.

A file is one stretch of rows by time (daily tweets, hand-labelled tweets) or two (all negative rows, then all positive
ones, as in the training file). Memory holds one chunk for any number of rows, and the one line in a thousand
that comes back under the other label. Each chunk has a random generator of its own, seeded by file, stretch and chunk.
About 200,000 rows a second on one core; a first file takes half a second more, to number the vocabulary.
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import zstandard

from sentiment.errors import InputError
from sentiment.markdown import percent
from sentiment.model.atomic import atomic_write
from sentiment.sample import flaws
from sentiment.sample.flaws import Column, Quotas
from sentiment.sample.lines import EPOCH, LineBuilder, Lines, Stretch, language

_CHUNK_ROWS = 32_768
# The last positive tweet of the real file comes at this share of its time span; negative ones continue to the end.
_POSITIVE_SPAN = 0.89
# Negative rows that may come back in the positive class: those safely before its end.
_SHARED_SPAN = 0.88
# The span of the real hand-labelled file, ids below those of the samples, and texts of its own for the same seed.
_GOLD_START, _GOLD_DAYS, _GOLD_FIRST_ID, _GOLD_SEED = date(2009, 5, 11), 35, 900_000_000, 1_000_003
_LABEL_NAMES = {-1: "negative", 0: "neutral", 1: "positive"}


@dataclass
class SampleSummary:
    """What a generated file holds. Every count but `rejected` is of lines that are not rejected.

    `traits` counts rows with an entity, a stray byte and so on (`fragments.TRAIT_NAMES`), exactly. `planted` counts
    rows of which a flaw was made on purpose: texts that occur more than once, ids under both labels, emoticons.
    `wrong_labels` are rows whose label contradicts their text; None for a file without labels.
    """

    path: Path
    rows: int
    labels: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    planted: dict[str, int] = field(default_factory=dict)
    traits: dict[str, int] = field(default_factory=dict)
    wrong_labels: int | None = None

    @property
    def best_accuracy(self) -> float | None:
        """Share of labels that agree with their text: no model of the texts can do better, but for luck."""
        accepted = self.rows - sum(self.rejected.values())
        return None if self.wrong_labels is None or not accepted else 1 - self.wrong_labels / accepted

    def __str__(self) -> str:
        best = self.best_accuracy
        limit = (
            f"; no model can get more than {percent(best)} of its labels right" if best and self.wrong_labels else ""
        )
        return (
            f"{self.rows:,} generated tweets (nobody wrote them) in {self.path}; "
            f"{sum(self.rejected.values()):,} lines are broken on purpose{limit}."
        )


class _Writer:
    """One file being generated; `chunks` yields its bytes and fills the summary."""

    def __init__(self, path: Path, builder: LineBuilder, stretches: list[Stretch], seed: int) -> None:
        self.summary = SampleSummary(path, sum(stretch.rows for stretch in stretches))
        self._builder, self._stretches, self._seed = builder, stretches, seed
        self._shared: list[tuple[int, np.ndarray, int]] = []
        self._planted: Counter[str] = Counter()
        self._traits: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._labels: Counter[str] = Counter()
        self._wrong = 0

    def chunks(self, *, flawed: bool, broken: bool) -> Iterator[bytes]:
        """The file's bytes, piece by piece; afterwards the summary is complete."""
        rows, planter = self.summary.rows, language().flaws
        text_quotas = Quotas(flaws.TEXT_RATES | flaws.EXTRA_RATES if flawed else {}, rows)
        reject_rates = dict.fromkeys(flaws.REJECT_REASONS, flaws.REJECT_RATE / len(flaws.REJECT_REASONS))
        line_quotas = Quotas(reject_rates if broken else {}, rows)
        for number, stretch in enumerate(self._stretches):
            count = -(-stretch.rows // _CHUNK_ROWS)
            for chunk in range(count):
                first, last = stretch.rows * chunk // count, stretch.rows * (chunk + 1) // count
                rng = np.random.default_rng([self._seed, self._builder.start_day, number, chunk])
                share = (np.arange(first, last) + rng.random(last - first) / 2) / stretch.rows * stretch.span
                lines = self._builder.build(rng, stretch, share)
                free = rng.permutation(last - first)
                if flawed and stretch.label == 1:
                    free = self._take_back(lines, first, free)
                place = stretch.offset + first, stretch.offset + last
                done, free = planter.plant_in_texts(rng, lines.text, lines.truth, text_quotas.between(*place), free)
                self._planted.update(done)
                if flawed and stretch.label == -1:
                    free = self._set_aside(lines, share, stretch, first, free)
                is_good = np.ones(last - first, dtype=bool)
                for reason, wanted in line_quotas.between(*place):
                    chosen, free = free[:wanted], free[wanted:]
                    planter.break_lines(rng, lines.numbers, chosen, reason)
                    is_good[chosen] = False
                    self._rejected[reason] += len(chosen)
                self._count(lines, is_good)
                yield self._builder.table.render(lines.numbers)
        summary = self.summary
        summary.planted, summary.traits, summary.rejected = (
            dict(self._planted),
            dict(self._traits),
            dict(self._rejected),
        )
        if all(stretch.label is not None for stretch in self._stretches):
            summary.labels, summary.wrong_labels = dict(self._labels), self._wrong

    def _count(self, lines: Lines, is_good: np.ndarray) -> None:
        text, label = lines.text[is_good], lines.label[is_good]
        self._wrong += int((label != lines.truth[is_good]).sum())
        self._traits.update(self._builder.table.count_traits(text))
        self._planted["emoticons"] += int((text[:, flaws.EMOTICON] != 0).sum())
        for value, name in _LABEL_NAMES.items():
            self._labels[name] += int((label == value).sum())

    def _set_aside(self, lines: Lines, share: np.ndarray, stretch: Stretch, first: int, free: np.ndarray) -> np.ndarray:
        """Keep some negative lines for the positive class, each with the row there that has its time."""
        positive_rows = self._stretches[1].rows
        limit = int(stretch.rows * _SHARED_SPAN)
        if not positive_rows or first >= limit:
            return free
        quotas = Quotas({"shared": flaws.BOTH_LABELS_RATE * self.summary.rows / limit}, limit)
        ((_, wanted),) = quotas.between(first, min(first + len(lines.label), limit))
        # Every second row: two of them never fall on the same row of the positive class.
        is_candidate = ((free + first) % 2 == 0) & (free + first < limit)
        chosen = free[is_candidate][:wanted]
        for row in np.sort(chosen):
            twin = int(share[row] / _POSITIVE_SPAN * positive_rows)
            self._shared.append((twin, lines.numbers[row].copy(), int(lines.truth[row])))
        return free[~np.isin(free, chosen)]

    def _take_back(self, lines: Lines, first: int, free: np.ndarray) -> np.ndarray:
        """Put the lines set aside in their places under the other label."""
        rows = []
        for twin, line, truth in self._shared:
            if first <= twin < first + len(lines.label):
                lines.numbers[twin - first], lines.truth[twin - first] = line, truth
                lines.numbers[twin - first, Column.TARGET] = language().targets[1]
                rows.append(twin - first)
        self._planted["ids_under_both_labels"] += len(rows)
        return free[~np.isin(free, rows)]


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A binary stream for the path's suffix. The file appears under its name only when it is complete."""
    try:
        with atomic_write(path) as draft, draft.open("wb") as file:
            if path.suffix == ".gz":
                # No name and no time in the header: the same seed gives the same bytes.
                with gzip.GzipFile(filename="", mode="wb", compresslevel=4, fileobj=file, mtime=0) as stream:
                    yield cast(BinaryIO, stream)
            elif path.suffix == ".zst":
                with zstandard.ZstdCompressor(level=3).stream_writer(file, closefd=False) as stream:
                    yield cast(BinaryIO, stream)
            else:
                yield file
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror or error}). Give a path in a folder that exists."
        ) from error


def _write(writer: _Writer, *, flawed: bool, broken: bool) -> SampleSummary:
    with _opened(writer.summary.path) as stream:
        for piece in writer.chunks(flawed=flawed, broken=broken):
            stream.write(piece)
    return writer.summary


@dataclass(frozen=True)
class Span:
    """The dates and ids of a generated file.

    Attributes:
        start, days: topics and news depend on the date alone, so consecutive files drift as one would.
        first_id: ids start here and rise with time; by default they continue those of earlier dates (up to 345,000 rows a
            day). Two daily files of the same date need different ones.
    """

    start: date = EPOCH
    days: int = 80
    first_id: int | None = None


def write_sample(
    path: Path,
    rows: int,
    *,
    seed: int = 0,
    span: Span = Span(),
    labelled: bool = True,
    dirty: bool = True,
) -> SampleSummary:
    """Write generated tweets in the Sentiment140 format, with the flaws of the real file at its rates.

    Args:
        path: the file; `.gz` and `.zst` compress. It is replaced, and appears only when complete.
        rows: lines, broken ones included. From 2,000 on every kind of flaw is there.
        seed: the same arguments give the same bytes with the same numpy version.
        span: dates and ids.
        labelled: as the training file (negative rows first, emoticons removed, one label in six wrong, `PDT`) or as
            tweets of a day arrive (no target, ordered by time, emoticons in one of five, `UTC`).
        dirty: also break 0.02 % of the lines, in each way of `REJECT_REASONS`.

    Raises:
        InputError: fewer than one row or day, an id below nine digits, or a path that cannot be written.
    """
    builder = LineBuilder(rows, span.start, span.days, span.first_id, "PDT" if labelled else "UTC")
    negative = (rows + 1) // 2
    if labelled:
        stretches = [Stretch(-1, negative, 0, 1.0), Stretch(1, rows - negative, negative, _POSITIVE_SPAN)]
    else:
        stretches = [Stretch(None, rows, 0, 1.0)]
    return _write(_Writer(Path(path), builder, stretches, seed), flawed=True, broken=dirty)


def write_gold_sample(path: Path, rows: int, seed: int = 0) -> SampleSummary:
    """Write generated tweets in the format of the hand-labelled test file: true labels, some neutral, no flaws.

    Targets are 0, 2 (about 28 %) and 4, ordered by time, emoticons kept, the topic in the query column, `UTC`.
    The texts are others than those of `write_sample` with the same seed. Raises InputError as that does.
    """
    builder = LineBuilder(rows, _GOLD_START, _GOLD_DAYS, _GOLD_FIRST_ID, "UTC")
    writer = _Writer(Path(path), builder, [Stretch(0, rows, 0, 1.0)], seed + _GOLD_SEED)
    return _write(writer, flawed=False, broken=False)
