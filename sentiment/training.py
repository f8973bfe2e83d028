"""Fits a sentiment model on a prefix of a subset file, streaming.

Each step scores one batch and adds to just the buckets that it touched: Adagrad (Duchi et al. 2011) with a gradient
written by hand, each occurrence of an n-gram a step of its own, since coalescing them, or a dense optimiser's pass over
the table, costs ten times the rest. Reading and hashing happen in a thread beside it (`training_rows`).

A seed gives the same weights, bit for bit, also through a kill and a resume: the order of row groups and rows, and the
order of additions, follow from the seed alone, and a checkpoint holds everything that changes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from sentiment.calibration import fit_temperature, log_loss
from sentiment.checkpoint import Checkpoint, read_checkpoint, remove_checkpoint, write_checkpoint
from sentiment.features import FEATURES_PER_POSITION, FeatureConfig
from sentiment.model import ModelConfig, SentimentModel
from sentiment.training_rows import FedRows, Group, Subset, open_subset, read_groups

_RATES = np.array([1.0, 0.7, 0.5, 0.5], dtype=np.float32)


class TrainingConfig(BaseModel):
    """How much work training does, and how. Counted in work, not seconds, so that a run can be repeated exactly."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    effort: int = Field(default=2, ge=1, le=10, description="passes over the rows; the step size falls to 0 over them")
    features: FeatureConfig = FeatureConfig()
    learning_rate: float = Field(
        default=0.3, gt=0, le=10, description="size of the first step, before Adagrad's scaling"
    )
    caution: float = Field(
        default=10.0, gt=0, description="squared gradient that each bucket starts with: rare n-grams"
    )
    batch_rows: int = Field(default=1024, ge=1, le=65536, description="rows scored with the same weights")
    patience: int = Field(default=1, ge=1, description="passes without a better log loss before training stops")
    checkpoint_rows: int = Field(default=200_000, ge=1, description="rows between two checkpoints")


@dataclass(frozen=True)
class Progress:
    """What a progress bar shows: rows fed so far over all passes, of how many, and the latest mean loss in nats."""

    rows_done: int
    rows_total: int
    loss: float


@dataclass(frozen=True)
class TrainingResult:
    """A fitted, calibrated model and what it took. `curve` has one entry a pass: rows_seen, loss (mean log loss over the
    pass, nats), early_stop_accuracy, early_stop_loss, seconds (since the start, earlier attempts included)."""

    model: SentimentModel
    curve: list[dict[str, Any]]
    seconds: float
    rows_per_second: float
    count_train_rows: int
    count_early_stopping_rows: int
    early_stop_accuracy: float


class _Learner:
    """The embedding table, each bucket's sum of squared gradients, and the step that changes both."""

    def __init__(self, config: TrainingConfig) -> None:
        buckets = 1 << config.features.bucket_bits
        self.config = config
        self.weights = torch.zeros(buckets)
        self.squares = torch.zeros(buckets)
        self._cautions = config.caution / _RATES**2

    def step(self, indices: torch.Tensor, offsets: np.ndarray, labels: np.ndarray, rate: float) -> float:
        """Learn from one batch; returns the sum of its log losses before the step."""
        values = self.weights.index_select(0, indices).numpy()
        logits = np.add.reduceat(values, offsets[:-1])
        slopes = 1 / (1 + np.exp(-logits)) - labels
        gradients = np.repeat(slopes, np.diff(offsets))
        self.squares.index_add_(0, indices, torch.from_numpy(gradients * gradients))
        scale = self.squares.index_select(0, indices).numpy().reshape(-1, FEATURES_PER_POSITION)
        scale += self._cautions
        np.sqrt(scale, out=scale)
        np.divide(_RATES, scale, out=scale)
        gradients *= scale.reshape(-1)
        self.weights.index_add_(0, indices, torch.from_numpy(gradients), alpha=-rate)
        return log_loss(logits, labels) * len(labels)


def _evaluate(model: SentimentModel, subset: Subset) -> tuple[np.ndarray, float, float]:
    """Logits, accuracy and log loss on the early-stopping rows."""
    logits = model.logits(subset.early_texts)
    accuracy = float(np.mean((logits >= 0) == (subset.early_labels == 1)))
    return logits, accuracy, log_loss(logits, subset.early_labels)


def fit(
    subset: Path,
    count_rows: int,
    config: TrainingConfig,
    *,
    seed: int,
    fed_rows_path: Path,
    on_progress: Callable[[Progress], None] | None = None,
    checkpoint_folder: Path | None = None,
) -> TrainingResult:
    """Train on the first `count_rows` rows of a subset file, stop early, calibrate.

    Args:
        subset: immutable Parquet file in subset order with columns tweet_id and text_key (Int64), label (Int8, 0 negative,
            1 positive) and text (String); memory follows its row groups, so let them have some 50,000 rows.
        seed: decides the order of rows; the same seed, rows and config give the same weights bit for bit.
        fed_rows_path: where to write down the rows that were fed; appears when training has ended well.
        on_progress: called after each row group.
        checkpoint_folder: where a run that was killed finds how far it had come; empty again at the end.

    Raises:
        TrainingError: fewer rows than asked for, or too few of a class.
    """
    torch.set_num_threads(1)
    rows = open_subset(subset, count_rows)
    run = hashlib.sha256(f"{rows.digest} {seed} {config.model_dump_json()}".encode()).hexdigest()
    saved = read_checkpoint(checkpoint_folder, run) if checkpoint_folder else None
    learner = _Learner(config)
    model = SentimentModel(ModelConfig(features=config.features))
    best = torch.zeros_like(learner.weights)
    state: dict[str, Any] = {"step": 0, "rows_seen": 0, "loss_sum": 0.0, "seconds": 0.0, "curve": []}
    if saved:
        learner.weights, learner.squares, best = (saved.tensors[name] for name in ("weights", "squares", "best"))
        state = saved.progress
    started = time.perf_counter() - state["seconds"]
    count_groups = len(rows.group_rows)
    rows_total = config.effort * rows.count_train_rows
    rows_at_checkpoint = state["rows_seen"]
    with FedRows(fed_rows_path, rows) as fed:
        fed.add_again(min(state["step"], count_groups))
        groups = read_groups(rows, config.features, passes=config.effort, seed=seed, first_step=state["step"])
        for group in groups:
            if state["step"] < count_groups:
                fed.add(group.rows)
            _learn_group(learner, group, state, rows_total)
            state["step"] += 1
            if state["step"] % count_groups == 0:
                model.ngrams.data = learner.weights
                _, accuracy, loss = _evaluate(model, rows)
                state["curve"].append(
                    {
                        "rows_seen": state["rows_seen"],
                        "loss": state["loss_sum"] / rows.count_train_rows,
                        "early_stop_accuracy": accuracy,
                        "early_stop_loss": loss,
                        "seconds": time.perf_counter() - started,
                    }
                )
                state["loss_sum"] = 0.0
                losses = [entry["early_stop_loss"] for entry in state["curve"]]
                if loss == min(losses):
                    best.copy_(learner.weights)
                elif len(losses) - losses.index(min(losses)) > config.patience:
                    groups.close()
                    break
            if on_progress:
                on_progress(Progress(state["rows_seen"], rows_total, state["last_loss"]))
            if checkpoint_folder and state["rows_seen"] - rows_at_checkpoint >= config.checkpoint_rows:
                state["seconds"] = time.perf_counter() - started
                tensors = {"weights": learner.weights, "squares": learner.squares, "best": best}
                write_checkpoint(checkpoint_folder, Checkpoint(run, state, tensors))
                rows_at_checkpoint = state["rows_seen"]
    model.ngrams.data = best
    logits, accuracy, _ = _evaluate(model, rows)
    model.config = model.config.model_copy(update={"temperature": fit_temperature(logits, rows.early_labels)})
    if checkpoint_folder:
        remove_checkpoint(checkpoint_folder)
    seconds = time.perf_counter() - started
    return TrainingResult(
        model=model.eval(),
        curve=state["curve"],
        seconds=seconds,
        rows_per_second=state["rows_seen"] / seconds,
        count_train_rows=rows.count_train_rows,
        count_early_stopping_rows=len(rows.early_texts),
        early_stop_accuracy=accuracy,
    )


def _learn_group(learner: _Learner, group: Group, state: dict[str, Any], rows_total: int) -> None:
    indices, batch_rows = torch.from_numpy(group.indices), learner.config.batch_rows
    count_rows, loss_before = len(group.labels), state["loss_sum"]
    for first in range(0, count_rows, batch_rows):
        last = min(first + batch_rows, count_rows)
        begin, end = int(group.offsets[first]), int(group.offsets[last])
        rate = learner.config.learning_rate * (1 - state["rows_seen"] / rows_total)
        offsets = group.offsets[first : last + 1] - begin
        state["loss_sum"] += learner.step(indices[begin:end], offsets, group.labels[first:last], rate)
        state["rows_seen"] += last - first
    state["last_loss"] = (state["loss_sum"] - loss_before) / max(count_rows, 1)
