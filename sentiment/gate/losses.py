"""Examples for a refusal: texts that the champion has right and the challenger wrong, the most confident first.

Ten texts with both answers say more than a percentage. A decision stores ids and text keys (`decision_losses`), never a text,
so a forgotten tweet is gone from here too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sentiment.evaluation.behaviour import BehaviourResult, Case
from sentiment.gate.checks import Loss
from sentiment.model.neutral import LABELS

MOST_LOSSES = 10


def slice_losses(rows: pl.DataFrame, worse: Mapping[str, NDArray[np.bool_]]) -> list[Loss]:
    """Losses of the slices in which the challenger is worse.

    Args:
        rows: columns `tweet_id`, `text`, `label` (1 positive, 0 negative), `champion` and `challenger` (probabilities).
        worse: masks over the rows, by name of the slice.
    """
    if not worse:
        return []
    name = pl.lit(None, dtype=pl.String)
    for slice_name, mask in worse.items():
        name = pl.when(pl.Series(mask)).then(pl.lit(slice_name)).otherwise(name)
    named = rows.drop("text_key", strict=False).with_columns(found_in=name).filter(pl.col("found_in").is_not_null())
    return _surest(named, "slices")


def gold_losses(sets: Iterable[pl.DataFrame]) -> list[Loss]:
    """Losses of hand-labelled sets: frames as `slice_losses` has it, with `gold_set` and `text_key` instead of `tweet_id`."""
    frames = [rows.select("text_key", "text", "label", "champion", "challenger", found_in="gold_set") for rows in sets]
    return _surest(pl.concat(frames), "gold") if frames else []


def neutral_losses(rows: pl.DataFrame) -> list[Loss]:
    """Losses of hand-labelled tweets of three labels.

    Args:
        rows: columns `evaluation_set`, `text_key`, `text`, `label` (place in `LABELS`), `champion_right`, `challenger_right`,
            `champion` and `challenger` (probabilities of neutral).
    """
    lost = rows.filter(pl.col("champion_right") & ~pl.col("challenger_right")).sort(
        (pl.col("challenger") - pl.col("champion")).abs(), descending=True
    )
    return [
        Loss(
            check_name="neutral",
            found_in=row["evaluation_set"],
            expected=f"is {LABELS[row['label']]}",
            text=row["text"],
            champion_probability=row["champion"],
            challenger_probability=row["challenger"],
            text_key=row["text_key"],
        )
        for row in lost.head(MOST_LOSSES).iter_rows(named=True)
    ]


def behaviour_losses(cases: Sequence[Case], champion: BehaviourResult, challenger: BehaviourResult) -> list[Loss]:
    """Cases that the champion passes and the challenger does not; of one with variants, the variant that moves most."""
    losses = []
    for place in np.flatnonzero(champion.passed & ~challenger.passed).tolist():
        case, before, after = cases[place], champion.probabilities[place], challenger.probabilities[place]
        variant = int(np.argmax(np.abs(after - after[0])))
        text = case.texts[0] if variant == 0 else f"{case.texts[0]} → {case.texts[variant]}"
        losses.append(
            Loss("behaviour", case.name, case.test.expected, text, float(before[variant]), float(after[variant]))
        )
    return sorted(losses, key=lambda loss: -abs(loss.champion_probability - loss.challenger_probability))[:MOST_LOSSES]


def _surest(rows: pl.DataFrame, check_name: str) -> list[Loss]:
    is_positive = pl.col("label") == 1
    lost = rows.filter(
        ((pl.col("champion") >= 0.5) == is_positive) & ((pl.col("challenger") >= 0.5) != is_positive)
    ).sort((pl.col("challenger") - pl.col("champion")).abs(), descending=True)
    return [
        Loss(
            check_name=check_name,
            found_in=row["found_in"],
            expected="is positive" if row["label"] == 1 else "is negative",
            text=row["text"],
            champion_probability=row["champion"],
            challenger_probability=row["challenger"],
            tweet_id=row.get("tweet_id"),
            text_key=row.get("text_key"),
        )
        for row in lost.head(MOST_LOSSES).iter_rows(named=True)
    ]
