"""The figures of a profile: each section is one SQL file that returns item, label, measure and value.

They are read from the published snapshot, so nobody who writes waits for them, and kept under a short lock. Words are
counted once, in a temporary table of some 900,000 rows that two sections share; everything else is one pass a section.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from sentiment.errors import InputError
from sentiment.settings import Home
from sentiment.warehouse.connection import reader, writer
from sentiment.warehouse.session import Warehouse

CALENDAR = ("months", "days", "weekdays", "hours")
SECTIONS = (
    *("rows", "columns", *CALENDAR, "words_per_tweet", "characters_per_tweet", "length"),
    *("duplicates", "repeated_texts", "traits", "users", "encoding", "label_noise", "telling_words", "vocabulary"),
)
COUNT_TEXTS = 12
COUNT_WORDS = 25
PRIOR_WORDS = 10_000
"""How many words the prior of the log-odds weighs: a word needs about so many neighbours before chance is ruled out."""


@dataclass(frozen=True)
class Figures:
    """The figures of one profile.

    Attributes:
        frame: columns section, position, item, label, measure (String but for position), value (Float64); label is null for
            all tweets together.
        profiled_at: when the tweets were looked at.
    """

    frame: pl.DataFrame
    profiled_at: datetime

    def section(self, name: str, measure: str | None = None) -> pl.DataFrame:
        """The rows of a section in their order, of one measure perhaps."""
        rows = self.frame.filter(pl.col("section") == name)
        return rows if measure is None else rows.filter(pl.col("measure") == measure)

    def value(self, section: str, item: str, measure: str, label: str | None = None) -> float:
        """One figure; 0 where it does not exist."""
        is_it = (
            (pl.col("section") == section)
            & (pl.col("item") == item)
            & (pl.col("measure") == measure)
            & pl.col("label").eq_missing(pl.lit(label, dtype=pl.String))
        )
        found = self.frame.filter(is_it)["value"]
        return float(found[0]) if len(found) else 0.0

    def by_label(self, section: str, measure: str = "count_tweets") -> pl.DataFrame:
        """One row an item, in their order, with a column a label; what does not exist is 0."""
        rows = self.section(section, measure)
        if rows.is_empty():
            return pl.DataFrame(schema={"item": pl.String})
        return rows.pivot("label", index="item", values="value", maintain_order=True).fill_null(0.0)


def measure(home: Home, on_progress: Callable[[int, int], None] | None = None) -> Figures:
    """Measure every section on the newest published snapshot.

    Args:
        on_progress: told how many sections are measured, of how many.

    Raises:
        HomeError: nothing has been published yet.
        InputError: there are no tweets.
    """
    profiled_at = datetime.now(UTC)
    frames = []
    with reader(home, may_spill=True) as snapshot:
        if not snapshot.value("steps/warehouse/count_tweets"):
            raise InputError("There are no tweets to profile. Load some first: sentiment ingest PATH")
        snapshot.run("steps/profile/create_profiled")
        for done, section in enumerate(SECTIONS):
            if on_progress is not None:
                on_progress(done, len(SECTIONS))
            if section == "telling_words":
                snapshot.run("steps/profile/create_profiled_words")
            frames.append(_measure_section(snapshot, section))
    return Figures(pl.concat(frames), profiled_at)


def _measure_section(snapshot: Warehouse, section: str) -> pl.DataFrame:
    if section in CALENDAR:
        found = snapshot.frame("steps/profile/profile_calendar", unit=section)
    else:
        found = snapshot.frame(
            f"steps/profile/profile_{section}",
            count_texts=COUNT_TEXTS,
            count_words=COUNT_WORDS,
            prior_words=PRIOR_WORDS,
        )
    return found.select(
        section=pl.lit(section),
        position=pl.int_range(pl.len(), dtype=pl.Int32),
        item=pl.col("item").cast(pl.String),
        label=pl.col("label").cast(pl.String),
        measure="measure",
        value=pl.col("value").cast(pl.Float64),
    )


def keep(home: Home, figures: Figures) -> None:
    """Put the figures in the place of the former ones, all or none.

    Raises:
        BusyError, HomeError: as `warehouse.writer`.
    """
    with writer(home) as warehouse, warehouse.transaction():
        warehouse.load("steps/profile/insert_profile_figures", figures.frame, profiled_at=figures.profiled_at)
