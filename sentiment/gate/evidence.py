"""Measures what the gate looks at: challenger and champion on the same frozen rows, loaded from the registry.

A failure to load counts as evidence. A challenger that cannot be loaded fails the checks that need it. A champion that cannot
be loaded can no longer score, so any challenger that passes the other checks is better.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sentiment.errors import ModelError
from sentiment.evaluation.behaviour import BehaviourResult, Case, run_cases
from sentiment.evaluation.comparison import PairedDifference, alpha_of_look, paired_difference
from sentiment.evaluation.metrics import evaluate
from sentiment.evaluation.slices import slice_differences, slice_masks
from sentiment.gate.checks import BehaviourEvidence, Evidence, Loss
from sentiment.gate.losses import behaviour_losses, gold_losses, neutral_losses, slice_losses
from sentiment.model.neutral import LABELS, Prediction
from sentiment.registry.client import Registry
from sentiment.registry.names import RegisteredVersion
from sentiment.registry.subprocess_check import predict_in_fresh_process
from sentiment.settings import Home
from sentiment.training.subsets import Export
from sentiment.warehouse.connection import scratch

# Tests made from one template tend to fail together, so their number overstates what they prove.
BEHAVIOUR_ALPHA = 0.01
GOLD_ALPHA = 0.05
FEWEST_NEUTRAL = 50


@dataclass(frozen=True)
class Answers:
    """What one version predicts: on the hold-out, on each hand-labelled set and on the behaviour cases."""

    probabilities: NDArray[np.float32]
    is_right: NDArray[np.bool_]
    gold: dict[str, NDArray[np.float32]]
    """Of each hand-labelled set the probabilities."""
    behaviour: BehaviourResult
    neutral: Prediction
    """Of the hand-labelled tweets of three labels."""
    rows_per_second: float


def gather_evidence(
    home: Home,
    registry: Registry,
    export: Export,
    challenger: RegisteredVersion,
    champion: RegisteredVersion | None,
    *,
    look: int,
    cases: Sequence[Case],
    count_tweets: int,
) -> Evidence:
    """Measure a challenger, and the champion if there is one.

    Args:
        look: which comparison with a champion of the last year this is.
        cases: behaviour tests.
        count_tweets: all tweets, which the challenger would have to score.
    """
    holdout = pl.read_parquet(export.holdout)
    labels = holdout["label"].to_numpy()
    try:
        found: Answers | None = ask(registry, export, holdout, cases, challenger.model_version)
        difference, error = _load_difference(home, registry, export, challenger)
    except ModelError as raised:
        found, difference, error = None, None, str(raised)
    fed_rows = registry.fed_rows(challenger)
    evidence = Evidence(
        count_evaluation_rows=len(holdout) + pl.scan_parquet(export.gold).select(pl.len()).collect().item(),
        count_leaked=None if fed_rows is None else len(_leaked_rows(export, fed_rows)),
        load_difference=difference,
        load_error=error,
        challenger=evaluate(labels, found.probabilities)
        if found
        else evaluate(np.zeros(0, np.int8), np.zeros(0, np.float32)),
        behaviour=BehaviourEvidence(len(cases), found.behaviour.rate.share) if found else None,
        rescoring_seconds=count_tweets / found.rows_per_second if found else None,
        look=look,
    )
    if champion is None or found is None:
        return evidence
    champion_error = ""
    try:
        former = ask(registry, export, holdout, cases, champion.model_version)
    except ModelError as raised:
        champion_error = str(raised)
        former = _no_answers(found, cases)
    left_out = _fed_evaluation_rows(registry, export, champion)
    is_compared = _is_unseen(holdout["tweet_id"], left_out, "holdout", "tweet_id")
    gold_sets = _gold_sets(export)
    is_gold_compared = {
        name: _is_unseen(rows["text_key"], left_out, f"gold:{name}", "text_key") for name, rows in gold_sets.items()
    }
    gold_right = {
        name: (_is_right(former.gold[name], rows["label"]), _is_right(found.gold[name], rows["label"]))
        for name, rows in gold_sets.items()
    }
    before, after = former.is_right[is_compared], found.is_right[is_compared]
    gold = {
        name: paired_difference(gold_right[name][0][unseen], gold_right[name][1][unseen], GOLD_ALPHA / len(gold_sets))
        for name, unseen in is_gold_compared.items()
        if unseen.any()
    }
    masks = {name: mask[is_compared] for name, mask in slice_masks(holdout).items()}
    slices = slice_differences(masks, before, after, least_rows=home.settings.gate.slice_rows)
    behaviour = BehaviourEvidence(
        len(cases),
        found.behaviour.rate.share,
        former.behaviour.rate.share,
        paired_difference(former.behaviour.passed, found.behaviour.passed, BEHAVIOUR_ALPHA),
        _by_group(cases, former.behaviour.passed, found.behaviour.passed),
    )
    neutral, lost_neutral = (
        _compare_neutral(_three_labels(export), former.neutral, found.neutral)
        if home.settings.labels == 3
        else (None, [])
    )
    rows = holdout.filter(is_compared).with_columns(
        champion=former.probabilities[is_compared], challenger=found.probabilities[is_compared]
    )
    return replace(
        evidence,
        comparison=paired_difference(before, after, alpha_of_look(look, home.settings.gate.alpha)),
        champion_error=champion_error,
        champion_accuracy=float(before.mean()) if len(before) else math.nan,
        challenger_accuracy=float(after.mean()) if len(after) else math.nan,
        count_left_out=None if left_out is None else int((~is_compared).sum()),
        gold=gold,
        count_gold_left_out=sum(int((~unseen).sum()) for unseen in is_gold_compared.values()),
        neutral=neutral,
        slices=slices,
        behaviour=behaviour,
        losses=(
            *slice_losses(rows, {found.name: masks[found.name] for found in slices if found.is_worse}),
            *gold_losses(
                gold_sets[name]
                .filter(unseen)
                .with_columns(champion=former.gold[name][unseen], challenger=found.gold[name][unseen])
                for name, unseen in is_gold_compared.items()
                if name in gold and gold[name].upper < 0
            ),
            *lost_neutral,
            *behaviour_losses(cases, former.behaviour, found.behaviour),
        ),
    )


def ask(
    registry: Registry, export: Export, holdout: pl.DataFrame, cases: Sequence[Case], model_version: int
) -> Answers:
    """Load a version and let it answer everything.

    Raises:
        ModelError: it cannot be loaded.
    """
    model = registry.load(model_version)
    began = time.perf_counter()
    probabilities = model.predict_probability(holdout["text"])
    seconds = time.perf_counter() - began
    return Answers(
        probabilities=probabilities,
        is_right=_is_right(probabilities, holdout["label"]),
        gold={name: model.predict_probability(rows["text"]) for name, rows in _gold_sets(export).items()},
        behaviour=run_cases(cases, model.predict_probability),
        neutral=model.predict(_three_labels(export)["text"]),
        rows_per_second=len(holdout) / seconds,
    )


def _no_answers(like: Answers, cases: Sequence[Case]) -> Answers:
    """The answers of a version that cannot be loaded: as many, none of them a number, and so none right."""
    return Answers(
        probabilities=np.full_like(like.probabilities, math.nan),
        is_right=np.zeros_like(like.is_right),
        gold={name: np.full_like(probabilities, math.nan) for name, probabilities in like.gold.items()},
        behaviour=run_cases(cases, lambda texts: np.full(len(texts), math.nan, dtype=np.float32)),
        neutral=Prediction(*(np.full_like(values, math.nan) for values in like.neutral)),
        rows_per_second=math.nan,
    )


def _three_labels(export: Export) -> pl.DataFrame:
    """Hand-labelled rows of three labels that the rule for neutral was not fitted on."""
    return pl.read_parquet(export.neutral).filter(pl.col("evaluation_set") != "fit")


def _compare_neutral(
    rows: pl.DataFrame, champion: Prediction, challenger: Prediction
) -> tuple[PairedDifference | None, list[Loss]]:
    """Both models on tweets of three labels, and what the challenger loses; None where too few are neutral."""
    if (rows["label"] == LABELS.index("neutral")).sum() < FEWEST_NEUTRAL:
        return None, []
    labels = np.array(LABELS)[rows["label"].to_numpy()]
    before, after = (
        (found.labels() == labels) & ~np.isnan(found.probability_positive) for found in (champion, challenger)
    )
    difference = paired_difference(before, after, GOLD_ALPHA)
    compared = rows.with_columns(
        champion_right=before,
        challenger_right=after,
        champion=champion.probability_neutral,
        challenger=challenger.probability_neutral,
    )
    return difference, neutral_losses(compared) if difference.upper < 0 else []


def _gold_sets(export: Export) -> dict[str, pl.DataFrame]:
    """The hand-labelled rows of each set."""
    return {str(name): rows for (name,), rows in pl.read_parquet(export.gold).group_by("gold_set", maintain_order=True)}


def _is_right(probabilities: NDArray[np.float32], labels: pl.Series) -> NDArray[np.bool_]:
    """Which predictions are right; a probability that is no number is wrong."""
    is_right: NDArray[np.bool_] = np.where(labels.to_numpy() == 1, probabilities >= 0.5, probabilities < 0.5)
    return is_right


def _by_group(
    cases: Sequence[Case], before: NDArray[np.bool_], after: NDArray[np.bool_]
) -> dict[str, PairedDifference]:
    """Both models on the cases of each group: what one loses in a single group, an average would hide."""
    groups = np.array([case.group for case in cases])
    names = dict.fromkeys(groups.tolist())
    return {
        name: paired_difference(before[groups == name], after[groups == name], BEHAVIOUR_ALPHA / len(names))
        for name in names
    }


def _leaked_rows(export: Export, fed_rows: Path) -> pl.DataFrame:
    with scratch() as database:
        return database.frame(
            "checks/leaked_rows", fed_rows=str(fed_rows), holdout=str(export.holdout), gold=str(export.gold)
        )


def _fed_evaluation_rows(registry: Registry, export: Export, champion: RegisteredVersion) -> pl.DataFrame | None:
    """Evaluation rows that the champion was fed, such as a gold set that was loaded later; None when its list is missing."""
    fed_rows = registry.fed_rows(champion)
    return None if fed_rows is None else _leaked_rows(export, fed_rows)


def _is_unseen(keys: pl.Series, fed: pl.DataFrame | None, evaluation_set: str, column: str) -> NDArray[np.bool_]:
    if fed is None:
        return np.ones(len(keys), dtype=bool)
    seen = fed.filter(pl.col("evaluation_set") == evaluation_set)[column]
    unseen: NDArray[np.bool_] = ~keys.is_in(seen.implode()).to_numpy()
    return unseen


def _load_difference(
    home: Home, registry: Registry, export: Export, challenger: RegisteredVersion
) -> tuple[float | None, str]:
    """Largest difference between the registered copy's probabilities and those right after training."""
    path = registry.reference_predictions(challenger)
    if path is None:
        return None, "the probabilities noted right after training are missing."
    rows = pl.read_parquet(path).join(pl.read_parquet(export.holdout, columns=["tweet_id", "text"]), on="tweet_id")
    if rows.is_empty():
        return None, "none of the tweets whose probabilities were noted after training is in the hold-out any more."
    with tempfile.TemporaryDirectory(dir=home.work) as folder:
        answers = predict_in_fresh_process(registry.files(challenger.model_version), rows["text"], Path(folder))
    if isinstance(answers, str):
        return None, answers
    return float((answers - rows["probability_positive"].cast(pl.Float64)).abs().max()), ""  # type: ignore[arg-type]
