"""The sentiment model: a trainable embedding over hashed word n-grams, beside it a small sequence encoder and a lexicon.

The n-grams' embeddings are summed. With two classes and a sum, a wider embedding can say nothing that one number a bucket
cannot, so that is its width; the table then stays near the processor, which is where all the time goes. The encoder is
optional. Each part learns on its own, because together the n-grams explain the training rows away before the encoder has
learnt anything; the lexicon (`lexicon`) knows what words mean beyond the training rows, and learns nothing. A weighted sum
of the parts' logits, bent so that it means what it says, gives the probability. The weights and the bend are fitted on
rows held back from training.

A saved model is a folder with `weights.safetensors` and `config.json`, never a pickle. This module and the ones it
imports need nothing but numpy, polars, torch, safetensors and pydantic: they travel with a registered model as code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.nn.functional import glu

from sentiment.errors import ModelError
from sentiment.features import NGRAMS_PER_POSITION, FeatureConfig, Features, extract, holds_known_word
from sentiment.lexicon import Lexicon, LexiconConfig

WEIGHTS_FILE = "weights.safetensors"
CONFIG_FILE = "config.json"
_BATCH_ROWS = 20_000
_BATCH_BYTES = 4 << 20
_ENCODER_ROWS = 256
_THREADS = min(os.cpu_count() or 1, 8)


class EncoderConfig(BaseModel):
    """The shape of the encoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(default=32, ge=1, le=512, description="numbers a position in each layer")
    layers: int = Field(default=2, ge=1, le=8, description="layers, each reaching one word further to both sides")


class Bend(BaseModel):
    """Calibration of a logit, fitted after training: beta calibration and a term for the middle. Always rising, so that the
    order of tweets stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rise: float = Field(default=1.0, gt=0, description="how far positive logits count")
    fall: float = Field(default=1.0, gt=0, description="how far negative logits count")
    middle: float = Field(default=0.0, ge=0, description="how much further logits near zero count than large ones")
    offset: float = Field(default=0.0, description="added to the logit")

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Bend logits: float64, shape as given; the defaults change nothing."""
        wide = logits.astype(np.float64)
        sides = self.rise * np.logaddexp(0, wide) - self.fall * np.logaddexp(0, -wide)
        return sides + self.middle * np.arcsinh(wide) + self.offset


class ModelConfig(BaseModel):
    """What a model needs beside its weights to give the same probabilities again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["sentiment-model-1"] = "sentiment-model-1"
    features: FeatureConfig = FeatureConfig()
    encoder: EncoderConfig | None = None
    ngram_weight: float = Field(default=1.0, description="of the n-grams' logit; fitted after training")
    encoder_weight: float = Field(default=0.0, description="of the encoder's logit; fitted after training")
    lexicon: LexiconConfig | None = None
    topic_weight: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="of words that the lexicon does not know, and of n-grams without a word it knows",
    )
    lexicon_weight: float = Field(default=0.0, ge=0, description="of the lexicon's score; chosen after training")
    bend: Bend = Bend()

    @property
    def weights(self) -> np.ndarray:
        """Weights of the parts, in the order of `SentimentModel.logits`: float32, shape (3,)."""
        return np.array([self.ngram_weight, self.encoder_weight, self.lexicon_weight], dtype=np.float32)


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let torch use one thread: faster for thousands of short operations, and sums that round the same everywhere."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def as_series(texts: Sequence[str] | pl.Series) -> pl.Series:
    """Turn texts into a String column without nulls; half a surrogate pair, which no encoding has, becomes a `?`."""
    if isinstance(texts, pl.Series):
        return texts.cast(pl.String).fill_null("")
    try:
        return pl.Series("text", texts, dtype=pl.String).fill_null("")
    except UnicodeEncodeError:
        clean = [None if text is None else text.encode("utf-8", "replace").decode() for text in texts]
        return pl.Series("text", clean, dtype=pl.String).fill_null("")


def in_batches(texts: pl.Series) -> Iterator[tuple[int, pl.Series]]:
    """Cut a column into slices, each with the number of its first row.

    Rows and bytes are bounded; a text longer than the bound is a slice of its own.
    """
    for start in range(0, len(texts), _BATCH_ROWS):
        piece = texts[start : start + _BATCH_ROWS]
        ends = np.cumsum(piece.str.len_bytes().to_numpy().astype(np.int64))
        first, before = 0, 0
        while first < len(piece):
            last = max(first + 1, int(np.searchsorted(ends, before + _BATCH_BYTES, side="right")))
            yield start + first, piece[first:last]
            first, before = last, int(ends[last - 1])


class Encoder(torch.nn.Module):
    """A small gated convolution over the words of a tweet: what a bag of n-grams cannot say, such as a word's reach.

    The first layer has no matrix product: each word has three vectors, for the word before, here and after, and a position
    adds up its neighbours'. A product of embedding and filter would say less and cost more, in training and in scoring.
    Further layers are gated (Dauphin et al. 2017) with a residual, over the position and its two neighbours. Maximum and mean
    over positions give the logit.

    A batch is one flat sequence, in which each row begins with a separator that stays zero through all layers: no padding, no
    sorting by length, and a row's value does not depend on its neighbours.
    """

    def __init__(self, config: EncoderConfig, word_bits: int) -> None:
        super().__init__()
        width = config.width
        self.words = torch.nn.Parameter(torch.zeros(1 << word_bits, 6 * width), requires_grad=False)
        self.bias = torch.nn.Parameter(torch.zeros(2 * width))
        self.layers = torch.nn.ModuleList(torch.nn.Linear(3 * width, 2 * width) for _ in range(config.layers - 1))
        self.output = torch.nn.Linear(2 * width, 1)

    def embed(self, words: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        """The vectors of each position's word, zero at separators: float32, shape (positions, 6 * width)."""
        return self.words.data.index_select(0, words).index_fill_(0, offsets[:-1], 0)

    def forward(self, vectors: torch.Tensor, offsets: torch.Tensor, kept: torch.Tensor | None = None) -> torch.Tensor:
        """Encode a batch.

        Args:
            vectors: float32, shape (positions, 6 * width): what `embed` gives.
            offsets: int64, shape (rows + 1,), as in `features.Features`.
            kept: float32, shape (rows, 2 * width): dropout of the pooled values, already scaled; none when scoring.

        Returns:
            float32, shape (rows,).
        """
        separators = offsets[:-1]
        states = glu(_add_neighbours(vectors) + self.bias).index_fill_(0, separators, 0)
        for layer in self.layers:
            states = states + glu(layer(_see_neighbours(states))).index_fill_(0, separators, 0)
        lengths = offsets.diff()
        highest = torch.segment_reduce(states, "max", lengths=lengths, axis=0)
        mean = torch.segment_reduce(states, "sum", lengths=lengths, axis=0) / lengths.sqrt().unsqueeze(1)
        pooled = torch.cat([highest, mean], dim=1)
        return self.output(pooled if kept is None else pooled * kept).squeeze(1)


def _collect(parts: torch.Tensor) -> torch.Tensor:
    """(positions, 3n) to (positions, n): each position adds up what the one before, itself and the one after say of it."""
    before, here, after = parts.chunk(3, dim=1)
    total = here.clone()
    total[1:] += before[:-1]
    total[:-1] += after[1:]
    return total


def _spread(values: torch.Tensor) -> torch.Tensor:
    """(positions, n) to (positions, 3n): each position beside the one after and the one before; the transpose of
    `_collect`."""
    parts = values.new_empty(len(values), 3 * values.shape[1])
    after, here, before = parts.chunk(3, dim=1)
    after[:-1], after[-1:] = values[1:], 0
    here.copy_(values)
    before[1:], before[:1] = values[:-1], 0
    return parts


class _Collect(torch.autograd.Function):
    """`_collect`, with its gradient by hand: shifted slices under autograd cost more than the arithmetic."""

    @staticmethod
    def forward(context: Any, parts: torch.Tensor) -> torch.Tensor:
        return _collect(parts)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        return _spread(gradient)


class _Spread(torch.autograd.Function):
    """`_spread`, with its gradient by hand."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor) -> torch.Tensor:
        return _spread(values)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:
        return _collect(gradient)


def _add_neighbours(parts: torch.Tensor) -> torch.Tensor:
    total: torch.Tensor = _Collect.apply(parts)  # type: ignore[no-untyped-call]
    return total


def _see_neighbours(values: torch.Tensor) -> torch.Tensor:
    parts: torch.Tensor = _Spread.apply(values)  # type: ignore[no-untyped-call]
    return parts


class SentimentModel(torch.nn.Module):
    """Gives each text the probability that it is positive."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.ngrams = torch.nn.Parameter(torch.zeros(1 << config.features.ngram_bits), requires_grad=False)
        self.encoder = Encoder(config.encoder, config.features.word_bits) if config.encoder else None
        self.lexicon = Lexicon(config.lexicon) if config.lexicon else None

    def ngram_values(self, features: Features, is_known: np.ndarray | None = None) -> np.ndarray:
        """The value of each n-gram: float32, shape (positions, 4).

        Args:
            is_known: bool, shape (positions,): the lexicon knows the word; n-grams of other words alone are held down.
        """
        values = self.ngrams.data.index_select(0, torch.from_numpy(features.ngrams.reshape(-1))).numpy()
        values = values.reshape(-1, NGRAMS_PER_POSITION)
        if is_known is not None:
            values *= self.word_weights(holds_known_word(features, is_known))
        return values

    def word_weights(self, is_known: np.ndarray) -> np.ndarray:
        """How far words or n-grams count, by whether the lexicon knows them: float32, shape as given."""
        return np.where(is_known, np.float32(1), np.float32(self.config.topic_weight))

    def ngram_logits(self, features: Features, is_known: np.ndarray | None = None) -> np.ndarray:
        """Sum the values of each row's n-grams: float32, shape (rows,)."""
        return np.add.reduceat(self.ngram_values(features, is_known).sum(axis=1), features.offsets[:-1])

    def encoder_logits(self, features: Features, is_known: np.ndarray | None = None) -> np.ndarray:
        """Encode each row: float32, shape (rows,); zeros without an encoder.

        Args:
            is_known: bool, shape (positions,): the lexicon knows the word; the vectors of other words are held down.
        """
        count_rows = len(features.offsets) - 1
        logits = np.zeros(count_rows, dtype=np.float32)
        if self.encoder:
            with torch.inference_mode():
                for first in range(0, count_rows, _ENCODER_ROWS):
                    last = min(first + _ENCODER_ROWS, count_rows)
                    part = features.rows(first, last)
                    offsets = torch.from_numpy(part.offsets)
                    vectors = self.encoder.embed(torch.from_numpy(part.words), offsets)
                    if is_known is not None:
                        begin, end = features.offsets[first], features.offsets[last]
                        vectors.mul_(torch.from_numpy(self.word_weights(is_known[begin:end])).unsqueeze(1))
                    logits[first:last] = self.encoder(vectors, offsets).numpy()
        return logits

    def part_logits(self, features: Features) -> np.ndarray:
        """Score each row by each part: float32, shape (rows, 3), n-grams, encoder and lexicon; zeros for one that is not
        there."""
        if self.lexicon is None:
            nothing = np.zeros(len(features.offsets) - 1, dtype=np.float32)
            return np.column_stack([self.ngram_logits(features), self.encoder_logits(features), nothing])
        reading = self.lexicon.read(features)
        return np.column_stack(
            [
                self.ngram_logits(features, reading.is_known),
                self.encoder_logits(features, reading.is_known),
                reading.scores,
            ]
        )

    def logits(self, texts: Sequence[str] | pl.Series) -> np.ndarray:
        """Score texts by each part: float32, shape (rows, 3), n-grams, encoder and lexicon. None counts as empty.

        Goes batch by batch, in memory that does not grow with the number of texts; a row's values are the same to 1e-5
        whatever else is in the batch. Batches are shared out to threads, one a core: torch's own threads would have to
        meet after each of thousands of short operations.
        """
        column = as_series(texts)
        logits = np.zeros((len(column), 3), dtype=np.float32)

        def score(batch: tuple[int, pl.Series]) -> None:
            first, texts = batch
            features = extract(texts, self.config.features)
            logits[first : first + len(texts)] = self.part_logits(features)

        batches = in_batches(column)
        with one_torch_thread():
            if len(column) <= _BATCH_ROWS:
                for batch in batches:
                    score(batch)
            else:
                with ThreadPoolExecutor(_THREADS, initializer=torch.set_num_threads, initargs=(1,)) as threads:
                    for _ in threads.map(score, batches):
                        pass
        return logits

    def predict_probability(self, texts: Sequence[str] | pl.Series) -> np.ndarray:
        """The calibrated probability that each text is positive: float32, shape (rows,). None counts as empty."""
        bent = self.config.bend(self.logits(texts) @ self.config.weights)
        return (1 / (1 + np.exp(-np.clip(bent, -80, 80)))).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write weights and config into `folder`, each file whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = folder / f".{WEIGHTS_FILE}.part"
        save_file(self.state_dict(), weights)
        weights.replace(folder / WEIGHTS_FILE)
        config = folder / f".{CONFIG_FILE}.part"
        config.write_text(self.config.model_dump_json(indent=2) + "\n")
        config.replace(folder / CONFIG_FILE)

    @classmethod
    def load(cls, folder: Path) -> SentimentModel:
        """Read what `save` wrote.

        Raises:
            ModelError: a file is missing or damaged, or the config is of a version that this code does not know.
        """
        folder = Path(folder)
        for name in (CONFIG_FILE, WEIGHTS_FILE):
            if not (folder / name).is_file():
                raise ModelError(
                    f"There is no {name} in the model folder {folder}; expected {CONFIG_FILE} and {WEIGHTS_FILE}. "
                    "Use another version or train again."
                )
        try:
            config = ModelConfig.model_validate(json.loads((folder / CONFIG_FILE).read_text()))
        except (ValueError, ValidationError) as error:
            raise ModelError(
                f"{folder / CONFIG_FILE} is damaged or was written by another version of this program, which knows "
                f"format {ModelConfig().format!r}: {_first_line(error)}. Use another version or train again."
            ) from error
        try:
            weights = load_file(folder / WEIGHTS_FILE)
        except (SafetensorError, OSError) as error:
            raise ModelError(
                f"{folder / WEIGHTS_FILE} is damaged: {_first_line(error)}. Use another version or train again."
            ) from error
        model = cls(config)
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            raise ModelError(
                f"The weights in {folder} do not fit its {CONFIG_FILE}: {_first_line(error)}. "
                "Use another version or train again."
            ) from error
        return model.eval()


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error).strip().splitlines()[-1].strip()
