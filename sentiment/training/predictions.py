"""What a registered version predicts on the evaluation rows of an export: predicted once, and kept with the export.

The learning curve, MLflow's metrics, the gate and the estimate of shares all measure a version on the same rows. They read the
same predictions, made by the registered copy and never by the model in the memory of its training. Costs one pass over the
hold-out for each version and export, 0.5 s for 80,000 rows, and 0.3 MB.
"""

from __future__ import annotations

import hashlib
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sentiment.model.atomic import atomic_write
from sentiment.model.neutral import Prediction
from sentiment.registry.client import Registry
from sentiment.registry.names import RegisteredVersion
from sentiment.training.subsets import Export

if TYPE_CHECKING:
    from sentiment.model.classifier import SentimentModel

_GOLD = "gold:"


@dataclass(frozen=True)
class Predictions:
    """Predictions of one version; each array has one entry for each row, in the order of the export's file.

    Attributes:
        holdout: probabilities of positive, float32.
        gold: the same for each hand-labelled set.
        neutral: on `three_labels(export)`.
        rows_per_second: speed on the hold-out.
    """

    holdout: NDArray[np.float32]
    gold: dict[str, NDArray[np.float32]]
    neutral: Prediction
    rows_per_second: float


def gold_sets(export: Export) -> dict[str, pl.DataFrame]:
    """The hand-labelled rows of each set, without neutral ones."""
    return {str(name): rows for (name,), rows in pl.read_parquet(export.gold).group_by("gold_set", maintain_order=True)}


def three_labels(export: Export) -> pl.DataFrame:
    """Hand-labelled rows of three labels that the rule for neutral was not fitted on."""
    return pl.read_parquet(export.neutral).filter(pl.col("evaluation_set") != "fit")


def predictions_of(
    registry: Registry, export: Export, version: RegisteredVersion, model: SentimentModel | None = None
) -> Predictions:
    """Predict the evaluation rows of an export, or read the predictions that were kept.

    Args:
        model: the registered copy, if the caller has loaded it.

    Raises:
        ModelError: the version cannot be loaded.
    """
    path = _path(export, version)
    kept = _read(path)
    if kept is not None:
        return kept
    made = _predict(model or registry.load(version.model_version), export)
    arrays: dict[str, Any] = {
        "holdout": made.holdout,
        "positive": made.neutral.probability_positive,
        "neutral": made.neutral.probability_neutral,
        "rows_per_second": np.float64(made.rows_per_second),
        **{f"{_GOLD}{name}": probabilities for name, probabilities in made.gold.items()},
    }
    with atomic_write(path) as draft, draft.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    return made


def _path(export: Export, version: RegisteredVersion) -> Path:
    """Named by the rows and by the run: a version that was deleted may give its number to another one."""
    parts = (version.run_id, export.holdout_digest, export.gold_digest, export.neutral_digest)
    digest = hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]
    return export.folder / f"predictions-{version.model_version}-{digest}.npz"


def _read(path: Path) -> Predictions | None:
    """The kept predictions; None if there are none, or the file is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return Predictions(
                holdout=file["holdout"],
                gold={name.removeprefix(_GOLD): file[name] for name in file.files if name.startswith(_GOLD)},
                neutral=Prediction(file["positive"], file["neutral"]),
                rows_per_second=float(file["rows_per_second"]),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _predict(model: SentimentModel, export: Export) -> Predictions:
    texts = pl.read_parquet(export.holdout, columns=["text"])["text"]
    started = time.perf_counter()
    holdout = model.predict_probability(texts)
    seconds = time.perf_counter() - started
    return Predictions(
        holdout=holdout,
        gold={name: model.predict_probability(rows["text"]) for name, rows in gold_sets(export).items()},
        neutral=model.predict(three_labels(export)["text"]),
        rows_per_second=len(texts) / seconds,
    )
