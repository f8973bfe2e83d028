"""Measures what the gate looks at: challenger and champion on the same frozen rows, loaded from the registry.

A failure to load counts as evidence. A challenger that cannot be loaded fails the checks that need it. A champion that cannot
be loaded can no longer score, so any challenger that passes the other checks is better.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sentiment.errors import ModelError
from sentiment.evaluation.behaviour import BehaviourResult, Case, run_cases
from sentiment.evaluation.comparison import PairedDifference, alpha_of_look, paired_difference
from sentiment.evaluation.metrics import calibration_error_lower, evaluate
from sentiment.evaluation.slices import slice_differences, slice_masks
from sentiment.gate.checks import BehaviourEvidence, Evidence
from sentiment.gate.losses import behaviour_losses, gold_losses, neutral_losses, slice_losses
from sentiment.model.neutral import LABELS, Prediction
from sentiment.registry.client import Registry
from sentiment.registry.names import RegisteredVersion
from sentiment.registry.subprocess_check import predict_in_fresh_process
from sentiment.settings import Home
from sentiment.training.predictions import Predictions, gold_sets, predictions_of, three_labels
from sentiment.training.subsets import Export
from sentiment.warehouse.connection import scratch

BEHAVIOUR_ALPHA = 0.05
GOLD_ALPHA = 0.05
FEWEST_NEUTRAL = 50


@dataclass(frozen=True)
class Trial:
    """What is the same for both versions.

    Attributes:
        look: which comparison with a champion of the last year this is.
        cases: behaviour tests.
        count_tweets: all tweets, which the challenger would have to score.
    """

    home: Home
    registry: Registry
    export: Export
    look: int
    cases: Sequence[Case]
    count_tweets: int


@dataclass(frozen=True)
class Measured:
    """One version on the evaluation rows and on the behaviour cases."""

    predictions: Predictions
    is_right: NDArray[np.bool_]
    """Whether each prediction of the hold-out is right."""
    behaviour: BehaviourResult


def gather_evidence(trial: Trial, challenger: RegisteredVersion, champion: RegisteredVersion | None) -> Evidence:
    """Measure a challenger, and the champion if there is one."""
    labels = pl.read_parquet(trial.export.holdout, columns=["label"])["label"].to_numpy()
    try:
        # Another process loads the model, while this one measures it.
        with ThreadPoolExecutor(1) as other:
            loading = other.submit(_load_difference, trial.home, trial.registry, trial.export, challenger)
            found: Measured | None = measure(trial, challenger)
            difference, error = loading.result()
    except ModelError as raised:
        found, difference, error = None, None, str(raised)
    leaked = _fed_evaluation_rows(trial.registry, trial.export, challenger)
    count_gold = pl.scan_parquet(trial.export.gold).select(pl.len()).collect().item()
    probabilities = found.predictions.holdout if found else np.zeros(0, np.float32)
    judged = labels[: len(probabilities)]
    evidence = Evidence(
        count_evaluation_rows=len(labels) + count_gold,
        count_leaked=None if leaked is None else len(leaked),
        load_difference=difference,
        load_error=error,
        challenger=evaluate(judged, probabilities),
        calibration_error_lower=calibration_error_lower(judged, probabilities),
        behaviour=BehaviourEvidence(len(trial.cases), found.behaviour.rate.share, biases=found.behaviour.biases)
        if found
        else None,
        rescoring_seconds=trial.count_tweets / found.predictions.rows_per_second if found else None,
        look=trial.look,
    )
    if champion is None or found is None:
        return evidence
    champion_error = ""
    try:
        former = measure(trial, champion)
    except ModelError as raised:
        champion_error = str(raised)
        former = _nothing_right(found, trial.cases)
    left_out = _fed_evaluation_rows(trial.registry, trial.export, champion)
    evidence = replace(evidence, champion_error=champion_error)
    evidence = _compare_holdout(evidence, trial, former, found, left_out)
    evidence = _compare_gold(evidence, trial, former, found, left_out)
    if trial.home.settings.labels == 3:
        evidence = _compare_neutral(evidence, trial, former.predictions.neutral, found.predictions.neutral)
    return _compare_behaviour(evidence, trial, former.behaviour, found.behaviour)


def measure(trial: Trial, version: RegisteredVersion) -> Measured:
    """Load a version and measure it. Its predictions may be kept from its training; loading proves that its files are whole.

    Raises:
        ModelError: it cannot be loaded.
    """
    model = trial.registry.load(version.model_version)
    predictions = predictions_of(trial.registry, trial.export, version, model)
    labels = pl.read_parquet(trial.export.holdout, columns=["label"])["label"]
    return Measured(
        predictions, _is_right(predictions.holdout, labels), run_cases(trial.cases, model.predict_probability)
    )


def _nothing_right(like: Measured, cases: Sequence[Case]) -> Measured:
    """The measurement of a version that cannot be loaded: every prediction is NaN, and so none is right."""
    predictions = like.predictions
    return Measured(
        Predictions(
            holdout=np.full_like(predictions.holdout, math.nan),
            gold={name: np.full_like(values, math.nan) for name, values in predictions.gold.items()},
            neutral=Prediction(*(np.full_like(values, math.nan) for values in predictions.neutral)),
            rows_per_second=math.nan,
        ),
        is_right=np.zeros_like(like.is_right),
        behaviour=run_cases(cases, lambda texts: np.full(len(texts), math.nan, dtype=np.float32)),
    )


def _compare_holdout(
    evidence: Evidence, trial: Trial, champion: Measured, challenger: Measured, left_out: pl.DataFrame | None
) -> Evidence:
    """Add both versions on the hold-out rows that the champion was not fed, and on their slices."""
    gate = trial.home.settings.gate
    holdout = pl.read_parquet(trial.export.holdout)
    is_compared = _is_unseen(holdout["tweet_id"], left_out, "holdout", "tweet_id")
    before, after = champion.is_right[is_compared], challenger.is_right[is_compared]
    masks = {name: mask[is_compared] for name, mask in slice_masks(holdout).items()}
    slices = slice_differences(masks, before, after, least_rows=gate.slice_rows)
    rows = holdout.filter(is_compared).with_columns(
        champion=champion.predictions.holdout[is_compared], challenger=challenger.predictions.holdout[is_compared]
    )
    worse = {found.name: masks[found.name] for found in slices if found.is_worse}
    return replace(
        evidence,
        comparison=paired_difference(before, after, alpha_of_look(trial.look, gate.alpha)),
        champion_accuracy=float(before.mean()) if len(before) else math.nan,
        challenger_accuracy=float(after.mean()) if len(after) else math.nan,
        count_left_out=None if left_out is None else int((~is_compared).sum()),
        slices=slices,
        losses=(*evidence.losses, *slice_losses(rows, worse)),
    )


def _compare_gold(
    evidence: Evidence, trial: Trial, champion: Measured, challenger: Measured, left_out: pl.DataFrame | None
) -> Evidence:
    """Add both versions on the hand-labelled rows of each set that the champion was not fed."""
    sets = {
        name: rows.with_columns(
            champion=champion.predictions.gold[name],
            challenger=challenger.predictions.gold[name],
            is_unseen=_is_unseen(rows["text_key"], left_out, f"gold:{name}", "text_key"),
        )
        for name, rows in gold_sets(trial.export).items()
    }
    unseen = {name: rows.filter("is_unseen") for name, rows in sets.items() if rows["is_unseen"].any()}
    gold = {
        name: paired_difference(
            _is_right(rows["champion"].to_numpy(), rows["label"]),
            _is_right(rows["challenger"].to_numpy(), rows["label"]),
            GOLD_ALPHA / len(sets),
        )
        for name, rows in unseen.items()
    }
    return replace(
        evidence,
        gold=gold,
        count_gold_left_out=sum(int((~rows["is_unseen"]).sum()) for rows in sets.values()),
        losses=(*evidence.losses, *gold_losses(unseen[name] for name, found in gold.items() if found.upper < 0)),
    )


def _compare_neutral(evidence: Evidence, trial: Trial, champion: Prediction, challenger: Prediction) -> Evidence:
    """Add both versions on tweets of three labels, unless too few of them are neutral."""
    rows = three_labels(trial.export)
    if (rows["label"] == LABELS.index("neutral")).sum() < FEWEST_NEUTRAL:
        return evidence
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
    losses = neutral_losses(compared) if difference.upper < 0 else []
    return replace(evidence, neutral=difference, losses=(*evidence.losses, *losses))


def _compare_behaviour(
    evidence: Evidence, trial: Trial, champion: BehaviourResult, challenger: BehaviourResult
) -> Evidence:
    """Add both versions on the behaviour cases."""
    behaviour = BehaviourEvidence(
        len(trial.cases),
        challenger.rate.share,
        champion.rate.share,
        paired_difference(champion.passed, challenger.passed, BEHAVIOUR_ALPHA, _templates(trial.cases)),
        compare_groups(trial.cases, champion.passed, challenger.passed),
        challenger.biases,
    )
    losses = (*evidence.losses, *behaviour_losses(trial.cases, champion, challenger))
    return replace(evidence, behaviour=behaviour, losses=losses)


def _is_right(probabilities: NDArray[np.float32], labels: pl.Series) -> NDArray[np.bool_]:
    """Which predictions are right; a probability that is no number is wrong."""
    is_right: NDArray[np.bool_] = np.where(labels.to_numpy() == 1, probabilities >= 0.5, probabilities < 0.5)
    return is_right


def compare_groups(
    cases: Sequence[Case], before: NDArray[np.bool_], after: NDArray[np.bool_]
) -> dict[str, PairedDifference]:
    """Both models on the cases of each group: what one loses in a single group, an average would hide.

    Args:
        before, after: which cases champion and challenger pass, shape (cases,).
    """
    groups, templates = np.array([case.group for case in cases]), _templates(cases)
    names = dict.fromkeys(groups.tolist())
    masks = {name: groups == name for name in names}
    # As for slices, only the side that is worse matters, and groups share it.
    share = 2 * BEHAVIOUR_ALPHA / len(names)
    return {name: paired_difference(before[mask], after[mask], share, templates[mask]) for name, mask in masks.items()}


def _templates(cases: Sequence[Case]) -> NDArray[np.str_]:
    """What makes cases fail together: the template that they were made from, of the same file."""
    return np.array([f"{case.group}/{case.template}" for case in cases])


def _leaked_rows(export: Export, fed_rows: Path) -> pl.DataFrame:
    with scratch() as database:
        return database.frame(
            "checks/leaked_rows", fed_rows=str(fed_rows), holdout=str(export.holdout), gold=str(export.gold)
        )


def _fed_evaluation_rows(registry: Registry, export: Export, version: RegisteredVersion) -> pl.DataFrame | None:
    """Evaluation rows that a version was fed, such as a gold set that was loaded later; None when its list is missing."""
    fed_rows = registry.fed_rows(version)
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
    # numpy's maximum is NaN where an answer is, which no tolerance allows; polars would pass over it.
    return float(np.abs(answers.to_numpy() - rows["probability_positive"].to_numpy()).max()), ""
