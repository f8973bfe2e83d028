"""Trains a model on a prefix of a subset file, streaming.

`effort` chooses how large the model is; each step of that dial is worth its time. Texts are read and hashed in threads
ahead of training (`rows`); every part of the model trains on each row group, on its own loss and in its own thread
(`parts`). After every pass the model is evaluated on held-back rows and the best weights are kept.

A seed gives the same weights on the same kind of device, bit for bit, also through a kill and a resume: the order of row
groups and rows, and the order of additions, follow from the seed alone, and a checkpoint holds everything that changes.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sentiment.errors import TrainingError
from sentiment.model.classifier import SentimentModel, one_torch_thread
from sentiment.training.checkpoint import (
    Checkpoint,
    load_optimizer_tensors,
    optimizer_tensors,
    read_checkpoint,
    remove_checkpoint,
    write_checkpoint,
)
from sentiment.training.config import PASSES, TrainingJob
from sentiment.training.custom import GROUP_ROWS, MOST_HELD_BACK
from sentiment.training.parts import Part
from sentiment.training.recipe import BlendRecipe, Recipe
from sentiment.training.rows import (
    MOST_EARLY_STOPPING_ROWS,
    FedRows,
    Group,
    Subset,
    open_subset,
    read_groups,
)

SECONDS_BETWEEN_CHECKPOINTS = 30.0
"""At the end of a row group: what a kill costs at most, while writing one takes half a second to two."""
_CORES = os.cpu_count() or 1


@dataclass(frozen=True)
class Progress:
    """What a progress bar shows: rows trained on so far over all passes, of how many, and the latest mean loss in nats."""

    rows_done: int
    rows_total: int
    loss: float

    @property
    def current_pass(self) -> str:
        """Which pass over the rows it is, such as `pass 1 of 2`."""
        number = -(-PASSES * self.rows_done // max(self.rows_total, 1))
        return f"pass {min(max(number, 1), PASSES)} of {PASSES}"

    @property
    def is_nearly_done(self) -> bool:
        """Whether three quarters are done, and what follows a training can get ready."""
        return 4 * self.rows_done >= 3 * self.rows_total


@dataclass(frozen=True)
class TrainingResult:
    """A trained, calibrated model and what it took.

    `curve` has one entry a pass: rows_seen, loss (mean training loss of the pass in nats, of encoders and a user's own module
    that trains on all rows, else of the n-grams), early_stop_accuracy and early_stop_loss (of the whole model), seconds (since
    the start, earlier attempts included).
    """

    model: Any
    curve: list[dict[str, Any]]
    seconds: float
    rows_per_second: float
    count_train_rows: int
    count_early_stopping_rows: int
    early_stop_accuracy: float


@dataclass
class _Run:
    """How far a training run is; with the tensors, all that a checkpoint holds."""

    step: int = 0
    rows_seen: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    curve: list[dict[str, Any]] = field(default_factory=list)


def fit(
    job: TrainingJob,
    path: Path,
    *,
    fed_rows_path: Path,
    checkpoint_folder: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> TrainingResult:
    """Train on the first rows of a subset file, stop early, calibrate.

    Args:
        job: what to train and on how many rows.
        path: immutable Parquet file in subset order with columns tweet_id and text_key (Int64), label (Int8, 0 negative,
            1 positive) and text (String); memory follows its row groups, so let them have some 50,000 rows.
        fed_rows_path: where to list the rows that were trained on or held back; appears when training has succeeded.
        checkpoint_folder: where a run that was killed finds how far it was; empty again at the end.
        on_progress: called after each row group.

    Raises:
        TrainingError: fewer rows than asked for, too few of a class, or word vectors without an encoder.
        ModelError: no GPU though one was asked for.
        InputError: the word vectors cannot be used.
    """
    bounds = (GROUP_ROWS, MOST_HELD_BACK) if job.config.custom else (None, MOST_EARLY_STOPPING_ROWS)
    subset = open_subset(path, job.rows, *bounds)
    recipe = BlendRecipe(subset, job)
    run = _Run()
    best = {name: value.clone() for name, value in recipe.state().items()}
    identity = hashlib.sha256(f"{subset.digest} {job.seed} {job.config.model_dump_json()}".encode()).hexdigest()
    if checkpoint_folder and (saved := read_checkpoint(checkpoint_folder, identity)):
        run = _Run(**saved.progress)
        _restore(recipe, best, saved.tensors)
    started, count_groups = time.perf_counter() - run.seconds, len(subset.groups)
    rows_total = PASSES * subset.count_train_rows
    most_rows = job.config.checkpoint_rows or rows_total
    rows_at_checkpoint, written = run.rows_seen, time.perf_counter()
    groups = read_groups(subset, recipe, passes=PASSES, seed=job.seed, first_step=run.step)
    fed_rows = FedRows(fed_rows_path, subset)
    with _deterministic(recipe.device), _threads(recipe.parts) as run_all, fed_rows as fed, closing(groups):
        fed.add_again(min(run.step, count_groups))
        for group in groups:
            if run.step < count_groups:
                fed.add_later(group.rows)
                recipe.count(group.inputs)
            loss = _train_on_group(recipe, group, run, rows_total, job.seed, run_all)
            run.step += 1
            if on_progress:
                on_progress(Progress(run.rows_seen, rows_total, loss))
            if run.step % count_groups == 0:
                _end_pass(recipe, subset, run, best, time.perf_counter() - started)
            is_due = time.perf_counter() - written >= SECONDS_BETWEEN_CHECKPOINTS
            if checkpoint_folder and (is_due or run.rows_seen - rows_at_checkpoint >= most_rows):
                run.seconds = time.perf_counter() - started
                write_checkpoint(checkpoint_folder, Checkpoint(identity, vars(run), _all_tensors(recipe, best)))
                rows_at_checkpoint, written = run.rows_seen, time.perf_counter()
        model, accuracy = recipe.finish(best)
    if checkpoint_folder:
        remove_checkpoint(checkpoint_folder)
    run.seconds = time.perf_counter() - started
    return _result(model, accuracy, subset, run)


def _result(model: SentimentModel, accuracy: float, subset: Subset, run: _Run) -> TrainingResult:
    return TrainingResult(
        model=model,
        curve=run.curve,
        seconds=run.seconds,
        rows_per_second=run.rows_seen / run.seconds,
        count_train_rows=subset.count_train_rows,
        count_early_stopping_rows=len(subset.early_texts),
        early_stop_accuracy=accuracy,
    )


@contextmanager
def _threads(parts: Sequence[Part]) -> Iterator[Callable[[Callable[[Part], float], Sequence[Part]], list[float]]]:
    """A `map` that runs on a thread for each part, as far as there are cores; torch itself uses one thread in each.

    The order in which torch's own threads add up, and so the rounding of a sum, would depend on their number. A user's own
    module comes after the others and has them all nevertheless: it would leave most cores idle.
    """
    count = min(sum(part.threads == 1 for part in parts), _CORES)
    with one_torch_thread(), ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,)) as threads:

        def run_all(function: Callable[[Part], float], parts: Sequence[Part]) -> list[float]:
            running = [threads.submit(function, part) if part.threads == 1 else None for part in parts]
            wait([future for future in running if future])
            return [
                future.result() if future else _with_threads(function, part)
                for part, future in zip(parts, running, strict=True)
            ]

        yield run_all


def _with_threads(function: Callable[[Part], float], part: Part) -> float:
    torch.set_num_threads(part.threads)
    try:
        return function(part)
    finally:
        torch.set_num_threads(1)


def _train_on_group(
    recipe: Recipe, group: Group, run: _Run, rows_total: int, seed: int, run_all: Callable[..., list[float]]
) -> float:
    """Train on one row group every part whose turn it is; returns the mean loss of the encoders, else that of the n-grams."""
    inputs, labels = recipe.batch(group.inputs), torch.from_numpy(group.labels)

    def train(part: Part) -> float:
        part.seed(seed << 32 | run.step)
        for module in part.modules:
            module.train()
        total = torch.zeros((), device=recipe.device)
        for first in range(0, len(labels), part.batch_rows):
            last = min(first + part.batch_rows, len(labels))
            part.scale_learning_rate(part.schedule(part.progress(run.rows_seen, first, rows_total)))
            with _autocast(recipe.device):
                logits = part.forward(inputs.rows(first, last))
            loss = part.loss(logits, labels[first:last].to(recipe.device))
            loss.backward()  # type: ignore[no-untyped-call]
            for optimizer in part.optimizers:
                optimizer.step()
                optimizer.zero_grad()
            total += loss.detach()
        return float(total)

    parts = [part for part in recipe.parts if part.trains_on(run.step, rows_total)]
    losses = run_all(train, parts)
    if not all(map(math.isfinite, losses)):
        name, loss = next(
            (part.name, loss) for part, loss in zip(parts, losses, strict=True) if not math.isfinite(loss)
        )
        raise TrainingError(
            f"After {run.rows_seen:,} rows the training loss of the part {name} is {loss}, so its weights are lost. Train with "
            "a smaller learning rate, or another seed."
        )
    # A part that trains on some groups alone would make the curve jump.
    *first_losses, last_loss = (loss for part, loss in zip(parts, losses, strict=True) if part.rows is None)
    loss = sum(first_losses) / len(first_losses) if first_losses else last_loss
    run.rows_seen += len(labels)
    run.loss_sum += loss
    return loss / max(len(labels), 1)


@contextmanager
def _deterministic(device: torch.device) -> Iterator[None]:
    """Let a GPU add up in one order, so that a seed gives the same weights; torch warns of a module that has no such way."""
    if device.type != "cuda":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def _autocast(device: torch.device) -> Any:
    """bfloat16 matrix products where they are faster and no result is promised to the last bit."""
    return torch.autocast("cuda", dtype=torch.bfloat16) if device.type == "cuda" else nullcontext()


def _end_pass(recipe: Recipe, subset: Subset, run: _Run, best: dict[str, Tensor], seconds: float) -> None:
    """Evaluate, add a point to the curve, and keep the weights if they are the best so far."""
    accuracy, loss = recipe.end_pass()
    run.curve.append(
        {
            "rows_seen": run.rows_seen,
            "loss": run.loss_sum / subset.count_train_rows,
            "early_stop_accuracy": accuracy,
            "early_stop_loss": loss,
            "seconds": seconds,
        }
    )
    run.loss_sum = 0.0
    if loss <= min(point["early_stop_loss"] for point in run.curve):
        for name, value in recipe.state().items():
            best[name].copy_(value)


def _all_tensors(recipe: Recipe, best: dict[str, Tensor]) -> dict[str, Tensor]:
    """Everything that training changes, by name."""
    tensors = {f"model.{name}": value for name, value in recipe.state().items()}
    tensors |= {f"best.{name}": value for name, value in best.items()}
    tensors |= {f"recipe.{name}": value for name, value in recipe.tensors().items()}
    for part in recipe.parts:
        tensors |= {f"{part.name}.{name}": value for name, value in part.tensors().items()}
        for number, optimizer in enumerate(part.optimizers):
            state = optimizer_tensors(optimizer)
            tensors |= {f"{part.name}.optimizer{number}.{name}": value for name, value in state.items()}
    return tensors


def _restore(recipe: Recipe, best: dict[str, Tensor], tensors: dict[str, Tensor]) -> None:
    """Take over what `_all_tensors` gave, in place."""
    prefixed = [("model", recipe.state()), ("best", best), ("recipe", recipe.tensors())]
    prefixed += [(part.name, part.tensors()) for part in recipe.parts]
    with torch.no_grad():
        for prefix, values in prefixed:
            for name, value in values.items():
                value.copy_(tensors[f"{prefix}.{name}"])
    for part in recipe.parts:
        for number, optimizer in enumerate(part.optimizers):
            prefix = f"{part.name}.optimizer{number}."
            state = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
            load_optimizer_tensors(optimizer, state)
