"""Whether what came out of a file can be right.

A file that is mostly rejected, lacks a class, or is dated 1239 is refused.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import polars as pl

from sentiment.errors import RefusedFileError
from sentiment.ingest.readers import reject_reasons
from sentiment.markdown import percent

_LEAST_LABELLED = 20
_MOST_ABSURD = 0.05


@dataclass
class Tally:
    """What the records of a file hold, counted as they pass."""

    count_records: int = 0
    count_times: int = 0
    count_absurd: float = 0.0
    labels: Counter[str] = field(default_factory=Counter)

    def add(self, records: pl.DataFrame, now: datetime) -> None:
        """Count one block."""
        self.count_records += len(records)
        times = records["posted_at"]
        known = len(times) - times.null_count()
        self.count_times += known
        self.count_absurd += absurd_share(times, now) * known
        labels = records["label"]
        if labels.null_count() < len(labels):
            for label, count in labels.drop_nulls().value_counts(name="count").iter_rows():
                self.labels[label] += count


def refuse_implausible(tally: Tally, rejected: Counter[str], *, max_rejected: float, is_said: bool) -> None:
    """Refuse a file whose result cannot be right.

    Args:
        is_said: a person said how labels are read, so a class may be missing.

    Raises:
        RefusedFileError: most records are rejected, all labels are of one class, or times are absurd.
    """
    harmful = {reason: count for reason, count in rejected.items() if reason not in reject_reasons.HARMLESS}
    count_rejected, count = sum(harmful.values()), tally.count_records + sum(rejected.values())
    mismatched = harmful.get(reject_reasons.TEXT_MISMATCH, 0)
    # A mismatch is found among the records.
    count -= mismatched
    if count_rejected > max_rejected * count:
        raise RefusedFileError(_mostly_rejected(count_rejected, count, harmful, mismatched))
    classes = {label for label in ("negative", "positive") if tally.labels[label]}
    count_labelled = tally.labels.total()
    if count_labelled >= _LEAST_LABELLED and len(classes) < 2 and not is_said:
        missing = sorted({"negative", "positive"} - classes)
        found = ", ".join(f"{count:,} {label}" for label, count in tally.labels.items())
        raise RefusedFileError(
            f"its labels are {found}, and none is {' or '.join(missing)}, which is rarely meant. If it is, say "
            "how labels are read with "
            "--labels; if another column is the label, with --columns label=NAME."
        )
    if tally.count_times and tally.count_absurd > _MOST_ABSURD * tally.count_times:
        share = tally.count_absurd / tally.count_times
        raise RefusedFileError(
            f"{percent(share, 0)} of its times lie before 1990 or in the future. Say how they are read with "
            "--date-format, or leave them out with "
            "--columns date=."
        )


def _mostly_rejected(count_rejected: int, count: int, harmful: dict[str, int], mismatched: int) -> str:
    reason, most = max(harmful.items(), key=lambda item: item[1])
    text = (
        f"{count_rejected:,} of {count:,} records were rejected, {most:,} of them for {reason}: "
        f"{reject_reasons.SENTENCES[reason]}"
    )
    if mismatched == most:
        return (
            f"{text} If its ids are its own, not those of what is there already, give its source a name: --source NAME."
        )
    return f"{text} Look at it with `sentiment inspect` and say what it is, or raise --max-rejected from 0.5."


def absurd_share(instants: pl.Series, now: datetime) -> float:
    """The share of times that no post can have: before 1990, or more than two days ahead."""
    known = instants.drop_nulls()
    if known.is_empty():
        return 0.0
    is_absurd = (known < datetime(1990, 1, 1, tzinfo=UTC)) | (known > now + timedelta(days=2))
    return float(is_absurd.mean())  # type: ignore[arg-type]
