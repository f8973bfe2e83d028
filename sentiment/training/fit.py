"""Fits a sentiment model on a prefix of a subset file, streaming.

`effort` chooses how large the model is and how often it sees the rows; each step of that dial is worth its time. Texts are
read and hashed in a thread beside training (`training_rows`); both parts of the model learn from each batch, each on its
own (`learners`). After every pass the model is evaluated on held-back rows and the best state is kept.

A seed gives the same weights, bit for bit, also through a kill and a resume: the order of row groups and rows, and the
order of additions, follow from the seed alone, and a checkpoint holds everything that changes. Each sum is made by one
thread, since its order, and so its rounding, would follow the number of threads.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sentiment.errors import TrainingError
from sentiment.model.classifier import SentimentModel, one_torch_thread
from sentiment.model.config import ModelConfig
from sentiment.model.lexicon import Lexicon
from sentiment.training.blending import weigh, weigh_for_elsewhere
from sentiment.training.checkpoint import Checkpoint, read_checkpoint, remove_checkpoint, write_checkpoint
from sentiment.training.config import EFFORTS, PASSES, TrainingConfig
from sentiment.training.learners import EncoderLearner, Learner, NgramLearner
from sentiment.training.rows import FedRows, Group, Subset, count_words, open_subset, read_groups
from sentiment.training.word_vectors import WordVectors, read_word_vectors

_FAMILIAR_ONE_IN = 7_500
"""A word is familiar that stands in the training rows at least once for so many of them."""
_CORES = os.cpu_count() or 1


@dataclass(frozen=True)
class Progress:
    """What a progress bar shows: rows fed so far over all passes, of how many, and the latest mean loss in nats."""

    rows_done: int
    rows_total: int
    loss: float


@dataclass(frozen=True)
class TrainingResult:
    """A fitted, calibrated model and what it took.

    `curve` has one entry a pass: rows_seen, loss (mean log loss of the pass in nats, of the encoders, else of the
    n-grams), early_stop_accuracy and early_stop_loss (of both together), seconds (since the start, earlier
    attempts included).
    """

    model: SentimentModel
    curve: list[dict[str, Any]]
    seconds: float
    rows_per_second: float
    count_train_rows: int
    count_early_stopping_rows: int
    early_stop_accuracy: float


@dataclass
class _Run:
    """Where a training run stands; with the learners' tensors, all that a checkpoint holds."""

    step: int = 0
    rows_seen: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    curve: list[dict[str, Any]] = field(default_factory=list)


def fit(
    subset: Path,
    count_rows: int,
    config: TrainingConfig,
    *,
    seed: int,
    fed_rows_path: Path,
    warm_start: SentimentModel | None = None,
    word_vectors: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    checkpoint_folder: Path | None = None,
) -> TrainingResult:
    """Train on the first `count_rows` rows of a subset file, stop early, calibrate.

    Args:
        subset: immutable Parquet file in subset order with columns tweet_id and text_key (Int64), label (Int8, 0 negative,
            1 positive) and text (String); memory follows its row groups, so let them have some 50,000 rows.
        seed: decides the order of rows; the same seed, rows and config give the same weights bit for bit.
        fed_rows_path: where to write down the rows that were fed; appears when training has ended well.
        warm_start: begin with the weights of this model instead of from nothing; it is not changed.
        word_vectors: the file that `config.vectors` speaks of.
        on_progress: called after each row group.
        checkpoint_folder: where a run that was killed finds how far it had come; empty again at the end.

    Raises:
        TrainingError: fewer rows than asked for, too few of a class, a warm start from a model of another shape or together
            with word vectors, or word vectors without an encoder.
        InputError: the word vectors cannot be used.
    """
    encoder = EFFORTS[config.effort]
    count_learners = 1 + (encoder.count if encoder else 0)
    with (
        one_torch_thread(),
        ThreadPoolExecutor(min(count_learners, _CORES), initializer=torch.set_num_threads, initargs=(1,)) as threads,
    ):
        return _fit(
            subset,
            count_rows,
            config,
            seed,
            fed_rows_path,
            warm_start,
            word_vectors,
            on_progress,
            checkpoint_folder,
            threads,
        )


def _fit(
    path: Path,
    count_rows: int,
    config: TrainingConfig,
    seed: int,
    fed_rows_path: Path,
    warm_start: SentimentModel | None,
    word_vectors: Path | None,
    on_progress: Callable[[Progress], None] | None,
    checkpoint_folder: Path | None,
    threads: Executor,
) -> TrainingResult:
    subset = open_subset(path, count_rows)
    lexicon = Lexicon.shipped()
    model = SentimentModel(
        ModelConfig(features=config.features, encoder=EFFORTS[config.effort], lexicon=lexicon.config)
    )
    model.lexicon = lexicon
    learners = _learners(model, lexicon, seed, _pretrained(config, subset, word_vectors, warm_start))
    identity = hashlib.sha256(f"{subset.digest} {seed} {config.model_dump_json()}".encode())
    if warm_start is not None:
        _begin_with(model, warm_start)
        identity.update(warm_start.ngrams.detach().numpy().tobytes())
    best = {name: value.clone(memory_format=torch.contiguous_format) for name, value in model.state_dict().items()}
    counts = torch.zeros(len(model.is_familiar), dtype=torch.int64)
    tensors = {name: value for learner in learners for name, value in learner.tensors().items()} | {"counts": counts}
    tensors |= {f"best.{name}": value for name, value in best.items()}
    run = _Run()
    if checkpoint_folder and (saved := read_checkpoint(checkpoint_folder, identity.hexdigest())):
        run = _Run(**saved.progress)
        for name, value in tensors.items():
            value.copy_(saved.tensors[name])
    started = time.perf_counter() - run.seconds
    count_groups = len(subset.group_rows)
    rows_total = PASSES * subset.count_train_rows
    rows_at_checkpoint = run.rows_seen
    groups = read_groups(subset, config.features, passes=PASSES, seed=seed, first_step=run.step)
    with FedRows(fed_rows_path, subset) as fed, closing(groups):
        fed.add_again(min(run.step, count_groups))
        for group in groups:
            if run.step < count_groups:
                fed.add(group.rows)
                counts += torch.from_numpy(np.bincount(group.features.words, minlength=len(counts)))
            loss = _learn_group(learners, group, run, rows_total, seed, threads)
            run.step += 1
            if on_progress:
                on_progress(Progress(run.rows_seen, rows_total, loss))
            if run.step % count_groups == 0:
                for learner in learners:
                    learner.settle()
                model.is_familiar |= counts * _FAMILIAR_ONE_IN >= subset.count_train_rows
                _end_pass(model, subset, run, best, time.perf_counter() - started)
            if checkpoint_folder and run.rows_seen - rows_at_checkpoint >= config.checkpoint_rows:
                run.seconds = time.perf_counter() - started
                write_checkpoint(checkpoint_folder, Checkpoint(identity.hexdigest(), vars(run), tensors))
                rows_at_checkpoint = run.rows_seen
    model.ngrams.data = best["ngrams"]  # until now a view of the learner's table
    model.load_state_dict(best)
    model.round_vectors()
    model.config, accuracy, _ = weigh_for_elsewhere(model, subset.early_texts, subset.early_labels)
    if checkpoint_folder:
        remove_checkpoint(checkpoint_folder)
    seconds = time.perf_counter() - started
    return TrainingResult(
        model=model.eval(),
        curve=run.curve,
        seconds=seconds,
        rows_per_second=run.rows_seen / seconds,
        count_train_rows=subset.count_train_rows,
        count_early_stopping_rows=len(subset.early_texts),
        early_stop_accuracy=accuracy,
    )


def _pretrained(
    config: TrainingConfig, subset: Subset, path: Path | None, warm_start: SentimentModel | None
) -> WordVectors | None:
    if config.vectors is None:
        return None
    if EFFORTS[config.effort] is None:
        first = min(number for number, encoder in EFFORTS.items() if encoder)
        raise TrainingError(
            f"Effort {config.effort} trains n-grams alone, which have no word vectors; expected effort {first} or more with "
            "pretrained ones. Ask for more effort, or leave the word vectors out."
        )
    if warm_start is not None:
        raise TrainingError(
            "A warm start begins with the champion's word vectors, so it cannot begin with pretrained ones too. "
            "Leave out one of the two."
        )
    assert path is not None, "a config that speaks of word vectors needs their file"
    return read_word_vectors(path, *count_words(subset), frozen=config.vectors.frozen)


def _learners(model: SentimentModel, lexicon: Lexicon, seed: int, pretrained: WordVectors | None) -> list[Learner]:
    learners: list[Learner] = []
    if model.encoders is not None:
        learners = [EncoderLearner(encoder, seed, pretrained) for encoder in model.encoders]
    return [*learners, NgramLearner(model.ngrams, lexicon)]


def _begin_with(model: SentimentModel, other: SentimentModel) -> None:
    if (model.config.features, model.config.encoder) != (other.config.features, other.config.encoder):
        raise TrainingError(
            f"A warm start needs a model of the same shape; found {other.config.features} and encoder {other.config.encoder}, "
            f"expected {model.config.features} and encoder {model.config.encoder}. Take the effort that the champion was "
            "trained with, or train from scratch."
        )
    with torch.no_grad():
        model.ngrams.copy_(other.ngrams)
        model.is_familiar.copy_(other.is_familiar)
        if model.encoders is not None and other.encoders is not None:
            model.encoders.load_state_dict(other.encoders.state_dict())


def _learn_group(
    learners: list[Learner], group: Group, run: _Run, rows_total: int, seed: int, threads: Executor
) -> float:
    """One row group through every learner, each on a thread; returns the mean of the log losses of the encoders, else that of
    the n-grams."""
    count_rows = len(group.labels)

    def teach(learner: Learner) -> float:
        learner.begin(seed, run.step)
        loss = 0.0
        for first in range(0, count_rows, learner.batch_rows):
            last = min(first + learner.batch_rows, count_rows)
            rate = 1 - (run.rows_seen + first) / rows_total
            loss += learner.learn(group.features.rows(first, last), group.labels[first:last], rate)
        return loss

    *of_encoders, of_ngrams = threads.map(teach, learners)
    loss = sum(of_encoders) / len(of_encoders) if of_encoders else of_ngrams
    run.rows_seen += count_rows
    run.loss_sum += loss
    return loss / max(count_rows, 1)


def _end_pass(model: SentimentModel, subset: Subset, run: _Run, best: dict[str, torch.Tensor], seconds: float) -> None:
    """Evaluate, add a point to the curve, and keep the weights if they are the best so far."""
    _, accuracy, loss = weigh(model, subset.early_texts, subset.early_labels)
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
        for name, value in model.state_dict().items():
            best[name].copy_(value)
