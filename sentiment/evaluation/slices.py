"""The slices of a hold-out in which a new model must not be worse: kinds of tweets that an average hides.

A pure function of a frame: each slice is a mask over its rows, so that one comparison of two models serves all of them.
Slices overlap, and what is in a slice depends on the tweet alone, never on a model. A month is a calendar month in
UTC. 80,000 tweets take 0.3 s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sentiment.evaluation.comparison import PairedDifference, paired_difference

LAST_MONTHS = 6
# About the shortest sixth and the longest fifth of Sentiment140, whose median is 12 words.
SHORT_WORDS = 6
LONG_WORDS = 20

_MENTION = r"@\w"
_LINK = r"(?i)https?://|www\."
# With and without the apostrophe, straight or curly; "cant" and "wont" are more often negations than words here.
_NEGATION = (
    r"(?i)\b(?:not|no|never|none|nobody|nothing|nowhere|neither|nor|cannot|\w+n['’]t"
    r"|(?:ai|are|ca|could|did|do|does|had|has|have|is|should|was|were|wo|would)nt)\b"
)
_NON_ASCII = r"[^\x00-\x7F]"


def slice_masks(holdout: pl.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """Say for each slice which rows belong to it.

    Args:
        holdout: columns `text` and `label_source` (String), and `posted_at` (Datetime, in UTC where it has no zone). A null
            in `text` or `posted_at` belongs to no slice of that column.

    Returns:
        masks of shape (rows,), in this order: `mention`, `link`, `negation`, `short` (at most 6 words), `long` (20 or
        more), `non_ascii`, then `label_source:<source>` for each source, by name, and `month:<year-month>` for each of the
        last six calendar months that have rows.
    """
    text = pl.col("text")
    words = text.str.count_matches(r"\S+")
    posted_at = pl.col("posted_at").cast(pl.Datetime("us"))  # a zone's wall clock never matters: the cast gives UTC
    frame = holdout.select(
        "label_source",
        mention=text.str.contains(_MENTION),
        link=text.str.contains(_LINK),
        negation=text.str.contains(_NEGATION),
        short=words <= SHORT_WORDS,
        long=words >= LONG_WORDS,
        non_ascii=text.str.contains(_NON_ASCII),
        month=posted_at.dt.strftime("%Y-%m"),
    )
    masks = {name: _mask(frame[name]) for name in frame.columns if frame[name].dtype == pl.Boolean}
    for source in frame["label_source"].drop_nulls().unique().sort():
        masks[f"label_source:{source}"] = _mask(frame["label_source"] == source)
    for month in frame["month"].drop_nulls().unique().sort().tail(LAST_MONTHS):
        masks[f"month:{month}"] = _mask(frame["month"] == month)
    return masks


def _mask(column: pl.Series) -> NDArray[np.bool_]:
    return column.fill_null(False).to_numpy()


FEWEST_SLICE_ROWS = 500


@dataclass(frozen=True)
class SliceDifference:
    """Challenger minus champion in one slice.

    Attributes:
        name: of the slice.
        count_rows: rows of the slice.
        difference: with an interval whose upper bound holds for all slices at once, and the loss that this slice shows
            with 80 % power (`detectable`) at the level that each slice has if all share alike.
        p_value: one-sided for "worse", corrected for the number of slices.
        is_worse: whether that is significant; so whenever the interval is below zero, and, as Holm's correction is
            sharper than equal shares, sometimes when it does not.
    """

    name: str
    count_rows: int
    difference: PairedDifference
    p_value: float
    is_worse: bool


def slice_differences(
    masks: Mapping[str, NDArray[np.bool_]],
    champion_right: NDArray[np.bool_],
    challenger_right: NDArray[np.bool_],
    *,
    least_rows: int = FEWEST_SLICE_ROWS,
    alpha: float = 0.05,
) -> list[SliceDifference]:
    """Compare two models in every slice that is large enough.

    The p-value of a slice is the lower tail of the mid-p McNemar test (Fagerland, Lydersen and Laake 2013), corrected as
    by Holm (1979).

    Args:
        masks: which rows belong to each slice: shape (rows,).
        champion_right, challenger_right: shape (rows,), whether each is right.
        least_rows: slices with fewer rows are left out.
        alpha: one-sided chance that any slice is called worse when none is.

    Returns:
        one entry a slice, in the order of `masks`; none if all are too small.
    """
    from statsmodels.stats.multitest import multipletests

    compared = {name: mask for name, mask in masks.items() if int(mask.sum()) >= least_rows}
    if not compared:
        return []
    # An interval of level 1 - 2a leaves a on the side that matters; each slice has an equal share of alpha.
    share = 2 * alpha / len(compared)
    differences = [paired_difference(champion_right[mask], challenger_right[mask], share) for mask in compared.values()]
    is_worse, p_values, *_ = multipletests([_p_value_worse(found) for found in differences], alpha, method="holm")
    return [
        SliceDifference(name, found.count_rows, found, float(p_value), bool(worse))
        for name, found, p_value, worse in zip(compared, differences, p_values, is_worse, strict=True)
    ]


def _p_value_worse(found: PairedDifference) -> float:
    """The lower tail of the two-sided mid-p value, which is twice the smaller tail of a symmetric distribution."""
    return found.p_value / 2 if found.difference <= 0 else 1 - found.p_value / 2
