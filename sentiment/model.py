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
from typing import Literal

import numpy as np
import polars as pl
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from sentiment.errors import ModelError
from sentiment.features import NGRAMS_PER_POSITION, FeatureConfig, Features, extract, holds_known_word
from sentiment.lexicon import Lexicon, LexiconConfig

WEIGHTS_FILE = "weights.safetensors"
CONFIG_FILE = "config.json"
_BATCH_ROWS = 20_000
_BATCH_BYTES = 4 << 20
_ENCODER_POSITIONS = 8192
_MOST_POSITIONS = 256
_THREADS = min(os.cpu_count() or 1, 8)


class EncoderConfig(BaseModel):
    """The shape of the encoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(
        default=32, ge=2, le=512, description="numbers a position in each layer; the second half reads backwards"
    )
    layers: int = Field(default=2, ge=1, le=8, description="layers of gated memory, one upon the other")


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
        column = texts.cast(pl.String)
    else:
        try:
            column = pl.Series("text", texts, dtype=pl.String)
        except UnicodeEncodeError:
            clean = [None if text is None else text.encode("utf-8", "replace").decode() for text in texts]
            column = pl.Series("text", clean, dtype=pl.String)
    return column.fill_null("") if column.has_nulls() else column


def in_batches(texts: pl.Series) -> Iterator[tuple[int, pl.Series]]:
    """Cut a column into slices, each with the number of its first row.

    Rows and bytes are bounded; a text longer than the bound is a slice of its own.
    """
    for start in range(0, len(texts), _BATCH_ROWS):
        piece = texts[start : start + _BATCH_ROWS]
        if piece.estimated_size() <= _BATCH_BYTES:
            yield start, piece
            continue
        ends = np.cumsum(piece.str.len_bytes().to_numpy().astype(np.int64))
        first, before = 0, 0
        while first < len(piece):
            last = max(first + 1, int(np.searchsorted(ends, before + _BATCH_BYTES, side="right")))
            yield start + first, piece[first:last]
            first, before = last, int(ends[last - 1])


class Encoder(torch.nn.Module):
    """A small gated memory over the words of a tweet: what a bag of n-grams cannot say, such as a word's reach.

    The first layer's inputs need no matrix product: each word has three vectors, for the word before, here and after, and a
    position adds up its neighbours'. A product of embedding and filter would say less and cost more, in training and in
    scoring. A layer keeps at each position a part of the state before and takes in new values, by gates that depend on the
    inputs alone (SRU, Lei et al. 2018; minGRU, Feng et al. 2024), so that walking along a tweet costs two operations a
    number; half of the numbers walk backwards. Further layers are added to the ones before. Maximum and scaled sum over
    positions give the logit.

    A batch is one flat sequence, in which each row begins with a separator that stays zero through all layers: a row's value
    does not depend on its neighbours. `kernels` computes the same while learning.
    """

    def __init__(self, config: EncoderConfig, word_bits: int) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.words = torch.nn.Parameter(torch.zeros(1 << word_bits, 6 * width), requires_grad=False)
        self.bias = torch.nn.Parameter(torch.zeros(2 * width))
        self.layers = torch.nn.ModuleList(torch.nn.Linear(width, 2 * width) for _ in range(config.layers - 1))
        self.output = torch.nn.Linear(2 * width, 1)

    def shorten(self, values: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values, (positions,), and offsets of the first `_MOST_POSITIONS` positions of each row, so that one endless text
        costs little."""
        lengths = np.diff(offsets)
        if lengths.max(initial=0) <= _MOST_POSITIONS:
            return values, offsets
        places = np.arange(len(values)) - np.repeat(offsets[:-1], lengths)
        shorter = np.concatenate([[0], np.cumsum(np.minimum(lengths, _MOST_POSITIONS))])
        return values[places < _MOST_POSITIONS], shorter

    def forward(self, words: torch.Tensor, offsets: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Encode a batch, best of rows of like length.

        Args:
            words: int32, shape (positions,), and offsets: int64, shape (rows + 1,): as `shorten` gives them.
            weights: float32, shape (positions,): how far each word counts; fully unless given.

        Returns:
            float32, shape (rows,).
        """
        separators, lengths = offsets[:-1], offsets.diff()
        steps = torch.arange(1, int(lengths.max())).unsqueeze(1)
        is_inside = steps < lengths
        # Where a row has ended, its separator stands in: it keeps the state as it is.
        forwards = separators + steps * is_inside
        backwards = separators + (lengths - steps) * is_inside
        vectors = self.words.index_select(0, words).index_fill(0, separators, 0)
        if weights is not None:
            vectors = vectors * weights.unsqueeze(1)
        inputs = _add_neighbours(vectors) + self.bias
        states = self._remember(inputs, separators, forwards, backwards)
        for layer in self.layers:
            states = states + self._remember(layer(states), separators, forwards, backwards)
        highest = torch.segment_reduce(states, "max", lengths=lengths, axis=0)
        total = torch.segment_reduce(states, "sum", lengths=lengths, axis=0) / lengths.sqrt().unsqueeze(1)
        logits: torch.Tensor = self.output(torch.cat([highest, total], dim=1)).squeeze(1)
        return logits

    def _remember(
        self, inputs: torch.Tensor, separators: torch.Tensor, forwards: torch.Tensor, backwards: torch.Tensor
    ) -> torch.Tensor:
        """Walk along all rows at once: inputs (positions, 2 * width), ways (steps, rows); returns (positions, width)."""
        new, gates = inputs.chunk(2, dim=1)
        gates = torch.sigmoid(gates)
        taken = ((1 - gates) * new).index_fill(0, separators, 0)
        gates = gates.index_fill(0, separators, 1)
        half = self.config.width // 2
        walked = []
        for way, columns in ((forwards, slice(half)), (backwards, slice(half, None))):
            kept, added = gates[:, columns][way], taken[:, columns][way]
            state, states = added.new_zeros(added.shape[1:]), []
            for step in range(len(way)):
                state = torch.addcmul(added[step], kept[step], state)
                states.append(state)
            along = taken.new_zeros(len(taken), taken[:, columns].shape[1])
            if states:
                along = along.index_put((way.flatten(),), torch.stack(states).flatten(0, 1))
            walked.append(along)
        return torch.cat(walked, dim=1).index_fill(0, separators, 0)


def _add_neighbours(parts: torch.Tensor) -> torch.Tensor:
    """(positions, 3n) to (positions, n): each position adds up what the one before, itself and the one after say of it."""
    before, here, after = parts.chunk(3, dim=1)
    total = here.clone()
    total[1:] += before[:-1]
    total[:-1] += after[1:]
    return total


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
        logits = np.zeros(len(features.offsets) - 1, dtype=np.float32)
        if self.encoder:
            words, offsets = self.encoder.shorten(features.words, features.offsets)
            weights = None
            if is_known is not None:
                weights = self.encoder.shorten(self.word_weights(is_known), features.offsets)[0]
            lengths = np.diff(offsets)
            order = np.argsort(lengths, kind="stable")
            first = 0
            with torch.inference_mode():
                while first < len(order):
                    last = min(first + max(1, _ENCODER_POSITIONS // int(lengths[order[first]])), len(order))
                    last = min(last, first + max(1, _ENCODER_POSITIONS // int(lengths[order[last - 1]])))
                    rows = order[first:last]
                    ends = np.concatenate([[0], np.cumsum(lengths[rows])])
                    places = np.arange(ends[-1]) + np.repeat(offsets[rows] - ends[:-1], lengths[rows])
                    known = None if weights is None else torch.from_numpy(weights[places])
                    logits[rows] = self.encoder(torch.from_numpy(words[places]), torch.from_numpy(ends), known).numpy()
                    first = last
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
