"""Training a user's own module: found, identified, tried on a few texts, then trained.

What is wrong with a module shows on a handful of texts, before any long work: `try_out` calls it as training and
scoring will. It trains with AdamW (Loshchilov and Hutter 2019) unless it brings optimizers of its own, on batches of texts of
similar length, with gradients clipped to a norm of 1 and a learning rate that warms up and then falls to zero.

A large module learns more from a row than n-grams do, and takes a thousand times as long for it. So it may train on fewer
rows than they: on whole groups, spread evenly over the passes.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from torch import Tensor

from sentiment.errors import InputError, ModelError, TrainingError
from sentiment.model import custom_code
from sentiment.model.atomic import atomic_folder
from sentiment.model.batch import Batch
from sentiment.model.config import CustomConfig
from sentiment.model.custom import HUGGING_FACE, CustomEncoder
from sentiment.model.device import choose_device
from sentiment.model.features import FeatureConfig, extract
from sentiment.settings import Device
from sentiment.training.parts import Part, smoothed_log_loss
from sentiment.training.pretrained import described_files, load_pretrained, pretrained_folder

CUSTOM_PART = "custom"
MOST_HELD_BACK = 8_000
"""Rows that a module of a user's own scores after each pass; a slow one takes minutes for so many."""
GROUP_ROWS = 4_096
"""Rows between two places where a killed run may continue; a slow module takes minutes for so many."""
_BATCH_ROWS = 32
_LEARNING_RATE = 1e-3
_FINE_TUNING_BATCH_ROWS = 64
"""A row takes a fifth less time than in batches of 32."""
_FINE_TUNING_RATE = 7e-5
_WARM_UP = 0.06
"""Share of the training in which the learning rate rises."""
_LARGEST_NORM = 1.0
_TEXTS = ("a good day", "", "so sad :( http://example.org", "😀", "I do not like waiting for the bus " * 8)
_SAME = 1e-3
_TIMED_ROWS = 64
_MOST_TIMINGS, _SECONDS_OF_TIMINGS = 8, 3.0
_MARGIN = 1.5
"""A machine may be busy for the seconds of a measurement; the gate measures again."""


def describe(model: str) -> CustomConfig:
    """Identify a model for a training's config: a change of its source, or of pretrained weights, makes another one.

    Args:
        model: `my_package.my_module:build`, or `hf:` and a folder or a name on Hugging Face's hub.

    Raises:
        InputError: there is no such module or model.
    """
    if model.startswith(HUGGING_FACE):
        folder = pretrained_folder(model)
        name = f"{HUGGING_FACE}{folder.name}" if Path(model.removeprefix(HUGGING_FACE)).expanduser().is_dir() else model
        return CustomConfig(name=name, digest=custom_code.digest_of_files(described_files(folder, weights=True)))
    module, _, attribute = model.partition(":")
    if not attribute or not all(part.isidentifier() for part in (*module.split("."), attribute)):
        raise InputError(
            f"{model!r} does not name a model; expected my_package.my_module:build for what makes a torch.nn.Module, or "
            "hf:PATH_OR_NAME for a Hugging Face model."
        )
    try:
        return CustomConfig(name=model, digest=custom_code.digest_of_files(custom_code.find_files(module)))
    except ModelError as error:
        raise InputError(str(error)) from error


def copy_source(model: str, config: CustomConfig, folder: Path) -> Path:
    """Put what a module is made from into `folder`, where it stays as it is while the model trains; a copy from before a kill
    is used again.

    Raises:
        InputError: it was changed after `describe` saw it.
    """
    if folder.is_dir():
        return folder
    if model.startswith(HUGGING_FACE):
        source = pretrained_folder(model)
        files, known = described_files(source, weights=False), described_files(source, weights=True)
    else:
        known = files = custom_code.find_files(model.partition(":")[0])
    with atomic_folder(folder) as draft:
        custom_code.copy_files(files, draft)
        if custom_code.digest_of_files(known | {name: draft / name for name in files}) != config.digest:
            raise InputError(f"The files of {model} were changed while they were copied. Run it again.")
    return folder


class Budget(NamedTuple):
    """What the gate's check `speed` will ask for."""

    seconds: float
    """In which all tweets must be scored."""
    count_tweets: int
    texts: pl.Series
    """Tweets to take the time of."""


def try_out(
    config: CustomConfig, folder: Path, features: FeatureConfig, budget: Budget | None, device: Device = "cpu"
) -> None:
    """Build a module, train it on a few texts and let it score some; its weights are drawn again afterwards.

    Args:
        device: that it is to train and score on.

    Raises:
        TrainingError: it cannot be trained or used, or is too slow for the gate; says what was found and what to change.
    """
    try:
        encoder = CustomEncoder(config, folder).to(place := choose_device(device, gains=True))
        _refuse_weights(encoder)
        _optimizers(encoder)
        _learn_once(encoder, _batch(_TEXTS, features, place))
        encoder.eval()
        _refuse_neighbours(encoder, features, place)
        if budget is not None:
            _refuse_slow(encoder, budget, features, place)
    except ModelError as error:
        raise TrainingError(str(error)) from error


def _batch(texts: Any, features: FeatureConfig, device: torch.device) -> Batch:
    column = pl.Series("text", list(texts), dtype=pl.String)
    return Batch.of(extract(column, features), device, column.to_list())


def _refuse_weights(encoder: CustomEncoder) -> None:
    name, weights = encoder.config.name, dict(encoder.module.named_parameters())
    if lazy := [key for key, value in weights.items() if torch.nn.parameter.is_lazy(value)]:
        raise TrainingError(
            f"The model {name} has lazy weights ({lazy[0]}); expected ones whose shape is known when it is made."
        )
    if not any(value.requires_grad for value in weights.values()):
        raise TrainingError(
            f"The model {name} has {len(weights):,} weights and none requires a gradient; expected at least one that can be "
            "trained. Set requires_grad=True on it."
        )
    kinds = sorted({str(value.dtype) for value in weights.values()})
    if kinds != ["torch.float32"]:
        raise TrainingError(
            f"The model {name} has weights of {' and '.join(kinds)}; expected torch.float32 in all of them. Call "
            ".float() on it where it is made."
        )
    if odd := [key for key, value in encoder.module.state_dict().items() if not isinstance(value, Tensor)]:
        raise TrainingError(f"The state_dict of {name} holds {odd[0]}, which is no tensor; expected tensors alone.")


def _learn_once(encoder: CustomEncoder, batch: Batch) -> None:
    name = encoder.config.name
    encoder.train()
    logits: Tensor = encoder(batch)
    if not logits.requires_grad:
        raise TrainingError(
            f"The logits of {name} do not depend on its weights; expected a gradient. Leave out torch.no_grad(), .detach() and "
            ".item() where it computes them."
        )
    try:
        logits.sum().backward()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        words = " ".join(str(error).split())[:300].rstrip(".")
        raise TrainingError(
            f"The model {name} gives logits, but their gradient cannot be computed: {words}."
        ) from error
    grads = [value.grad for value in encoder.parameters() if value.grad is not None]
    values = [logits.detach(), *(grad.coalesce().values() if grad.is_sparse else grad for grad in grads)]
    if not all(bool(torch.isfinite(value).all()) for value in values):
        what = "logits" if not bool(torch.isfinite(logits).all()) else "gradients"
        raise TrainingError(
            f"The model {name} gives {what} that are no finite numbers, on {len(logits)} short texts of which one is empty; "
            "expected finite ones. A mean over no words is 0/0: divide by at least 1."
        )


def _refuse_neighbours(encoder: CustomEncoder, features: FeatureConfig, device: torch.device) -> None:
    """A text's logit must be its own: scoring puts it next to others each time."""
    together = encoder(_batch(_TEXTS, features, device))
    alone, again = (torch.cat([encoder(_batch([text], features, device)) for text in _TEXTS]) for _ in range(2))
    name = encoder.config.name
    if (apart := float((alone - again).abs().max())) > _SAME:
        raise TrainingError(
            f"In evaluation mode the model {name} gives logits {apart:.2g} apart for the same text; expected equal "
            "ones. Draw at random in training alone, as torch.nn.Dropout does."
        )
    if (apart := float((alone - together).abs().max())) > _SAME:
        raise TrainingError(
            f"The model {name} gives a text another logit when other texts are in the batch ({apart:.2g} apart); expected the "
            f"same within {_SAME:g}. Mask what is padded, and let nothing be averaged over the batch."
        )


def _refuse_slow(encoder: CustomEncoder, budget: Budget, features: FeatureConfig, device: torch.device) -> None:
    if budget.texts.is_empty():
        return
    encoder(_batch(budget.texts.head(8), features, device))
    speeds: list[float] = []
    began = time.perf_counter()
    while len(speeds) < _MOST_TIMINGS and time.perf_counter() - began < _SECONDS_OF_TIMINGS:
        batch = _batch(budget.texts.slice(len(speeds) * _TIMED_ROWS % len(budget.texts), _TIMED_ROWS), features, device)
        before = time.perf_counter()
        encoder(batch)
        speeds.append(batch.count_rows / (time.perf_counter() - before))
    # What else runs on the machine only ever makes it slower.
    per_second = max(speeds)
    needed = budget.count_tweets / per_second
    if needed > _MARGIN * budget.seconds:
        raise TrainingError(
            f"The model {encoder.config.name} scores {per_second:,.0f} tweets a second here, so all {budget.count_tweets:,} "
            f"would take {needed:,.0f} s; the gate's check `speed` allows {budget.seconds:,.0f} s and would refuse it after "
            "training. Make it smaller, or allow more: SENTIMENT_GATE__RESCORING_SECONDS. Nothing was trained."
        )


def custom_part(encoder: CustomEncoder, model: str, rows: int | None) -> Part:
    """A user's module in training, with the weights that its factory drew or that were pretrained.

    Args:
        rows: as `Part.rows`.
    """
    module = encoder.module
    if model.startswith(HUGGING_FACE):
        load_pretrained(module, model)
    optimizers = _optimizers(encoder)
    usual = _FINE_TUNING_BATCH_ROWS if model.startswith(HUGGING_FACE) else _BATCH_ROWS
    batch_rows = int(getattr(module, "batch_rows", usual))

    def clip(*_: Any) -> None:
        dense = [value for value in module.parameters() if value.grad is not None and not value.grad.is_sparse]
        # Losses are summed over a batch.
        torch.nn.utils.clip_grad_norm_(dense, _LARGEST_NORM * batch_rows)

    def forward(inputs: Any) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=_has_fast_bf16() and model.startswith(HUGGING_FACE)):
            logits: Tensor = encoder(inputs.batch)
        return logits

    optimizers[0].register_step_pre_hook(clip)
    return Part(
        name=CUSTOM_PART,
        forward=forward,
        loss=smoothed_log_loss,
        optimizers=optimizers,
        batch_rows=batch_rows,
        seed=torch.manual_seed,
        modules=[encoder],
        schedule=_warm_up_and_decay,
        threads=encoder.threads,
        rows=rows,
    )


def _optimizers(encoder: CustomEncoder) -> list[torch.optim.Optimizer]:
    """Those that the module's `configure_optimizers` makes, or AdamW."""
    module, name = encoder.module, encoder.config.name
    if not hasattr(module, "configure_optimizers"):
        rate = _FINE_TUNING_RATE if name.startswith(HUGGING_FACE) else _LEARNING_RATE
        return [torch.optim.AdamW(module.parameters(), lr=rate, fused=True)]
    configure: Any = module.configure_optimizers
    try:
        made = configure()
    except Exception as error:
        reason = custom_code.raised(error, encoder.folder)
        raise TrainingError(f"configure_optimizers of {name} {reason}.") from error
    optimizers = list(made) if isinstance(made, (list, tuple)) else [made]
    odd = [type(item).__name__ for item in optimizers if not isinstance(item, torch.optim.Optimizer)]
    if odd or not optimizers:
        raise TrainingError(
            f"configure_optimizers of {name} gives {odd[0] if odd else 'nothing'}; expected a torch.optim.Optimizer or a list "
            "of them. The learning rate warms up and falls by itself."
        )
    return optimizers


def _warm_up_and_decay(done: float) -> float:
    """The learning rate after a share of the training, as a multiple of the largest."""
    return min((done + 1e-3) / _WARM_UP, (1 - done) / (1 - _WARM_UP))


def _has_fast_bf16() -> bool:
    """Whether this processor has instructions for products of bfloat16: 2.3 times as fast as fp32 with AVX-512's alone."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16"))


def by_length(texts: pl.Series, generator: np.random.Generator, batch_rows: int) -> np.ndarray:
    """An order in which each batch has texts of similar length, and batches come at random: int64, shape (rows,)."""
    order = generator.permutation(len(texts))
    lengths = texts.str.len_chars().to_numpy()[order]
    order = order[np.argsort(lengths, kind="stable")]
    batches = np.array_split(order, np.arange(batch_rows, len(order), batch_rows))
    # The last batch of the order is the one that is cut short, whichever it is; the others keep their bounds.
    *whole, rest = batches
    return np.concatenate([*(whole[place] for place in generator.permutation(len(whole))), rest])
