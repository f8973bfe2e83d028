"""The sentiment model: a trainable embedding over hashed word n-grams, beside it small sequence encoders and a lexicon.

The n-grams' embeddings are summed. With two classes and a sum, a wider embedding can say nothing that one number a bucket
cannot, so that is its width; the table then stays near the processor, which is where all the time goes. Encoders are
optional. Each part learns on its own, because together the n-grams explain the training rows away before an encoder has
learnt anything; the lexicon (`lexicon`) knows what words mean beyond the training rows, and learns nothing. The stranger a
tweet, the more the lexicon counts and the less what was learnt of words that it does not know. A weighted sum of the
parts' logits, bent so that it means what it says, gives the probability. The weights and the bend are fitted on rows held
back from training.

A saved model is a folder with `weights.safetensors` and `config.json`, never a pickle. This module and the ones it
imports need nothing but numpy, polars, torch, safetensors and pydantic, and numba for encoders: they travel with a registered
model as code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from .atomic import atomic_write
from .config import ModelConfig
from .errors import ModelError
from .features import NGRAMS_PER_POSITION, Features, extract, holds_known_word
from .lexicon import NEGATED, Lexicon, Reading
from .neutral import Prediction, evidence_of

if TYPE_CHECKING:
    from .encoder import Encoders

WEIGHTS_FILE = "weights.safetensors"
CONFIG_FILE = "config.json"
_BATCH_ROWS = 20_000
_SYMBOL_LIFT = np.float32(3)
"""How much more the lexicon counts in a text with emoticons or emoji: training rows are labelled by them and hold none."""
_FEWEST_WORDS = 5
"""A hashtag in a text of fewer words does not make it stranger."""
_BATCH_BYTES = 4 << 20
_THREADS = min(os.cpu_count() or 1, 8)


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


class Heed(NamedTuple):
    """How far a model heeds the words of a batch."""

    reading: Reading
    word_weights: np.ndarray
    """float32, shape (positions,): 1 where the lexicon knows the word."""
    encoder_weights: np.ndarray
    """float32, shape (positions,): the same for the encoders."""
    lexicon_weights: np.ndarray
    """float32, shape (rows,)."""


class SentimentModel(torch.nn.Module):
    """Gives each text the probability that it is positive."""

    is_familiar: torch.Tensor
    """bool, shape (2**word_bits,): the bucket's words were frequent in the training rows."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.ngrams = torch.nn.Parameter(torch.zeros(1 << config.features.ngram_bits), requires_grad=False)
        self.register_buffer("is_familiar", torch.zeros(1 << config.features.word_bits, dtype=torch.bool))
        self.encoders: Encoders | None = None
        if config.encoder:
            from .encoder import Encoders

            self.encoders = Encoders(config.encoder, config.features)
        self.lexicon = Lexicon(config.lexicon) if config.lexicon else None

    @property
    def reads_rules(self) -> bool:
        """Whether negation and contrast change what was learnt of words too, and symbols mean what the lexicon says alone."""
        return self.lexicon is not None and self.lexicon.config.rules != "valence-v1"

    def heed(self, features: Features) -> Heed | None:
        """Read a batch by the lexicon, and weigh its words by how strange their row is; None without a lexicon.

        A row's strangeness is the share of its words that neither the lexicon knows nor the training rows held often; hashtags,
        which are rare in personal tweets and frequent in news and talk of brands, count `hashtag_weight` words each.
        The more of these, the less the row is like the training rows, and the less what they taught is true of it.
        """
        if self.lexicon is None:
            return None
        reading = self.lexicon.read(features)
        lengths = np.diff(features.offsets)
        is_strange = ~(self.is_familiar.numpy()[features.words] | reading.is_known)
        is_strange[features.offsets[:-1]] = False
        counts = np.add.reduceat(is_strange, features.offsets[:-1], dtype=np.int32)
        marks = self.config.hashtag_weight * features.hashtags / np.maximum(lengths - 1, _FEWEST_WORDS)
        strangeness = (counts / np.maximum(lengths - 1, 1) + marks).astype(np.float32)
        fade = 1 / (1 + np.float32(self.config.topic_fade) * strangeness)
        word_weights = np.where(reading.is_known, np.float32(1), np.repeat(fade, lengths))
        encoder_weights = word_weights
        if self.reads_rules and self.encoders is not None:
            # An encoder has seen negations and contrasts itself, so the rules count half; no row has taught it symbols.
            encoder_weights = word_weights * np.sqrt(reading.clause_weights)
            encoder_weights[reading.symbols] = 0
            encoder_weights[reading.positions[reading.is_negated]] *= np.float32(0.5)
        lexicon_weights = 1 + np.float32(self.config.lexicon_lift) * strangeness
        if self.reads_rules and len(reading.symbols):
            lexicon_weights[np.searchsorted(features.offsets, reading.symbols, side="right") - 1] *= _SYMBOL_LIFT
        return Heed(reading, word_weights, encoder_weights, lexicon_weights)

    def ngram_values(self, features: Features, heed: Heed | None = None) -> np.ndarray:
        """The value of each n-gram: float32, shape (positions, 4); of those without a word that the lexicon knows, as far
        as their words are heeded."""
        values = self.ngrams.data.index_select(0, torch.from_numpy(features.ngrams.reshape(-1))).numpy()
        values = values.reshape(-1, NGRAMS_PER_POSITION)
        if heed is not None:
            holds_known = holds_known_word(features, heed.reading.is_known)
            values *= np.where(holds_known, np.float32(1), heed.word_weights[:, None])
            if self.reads_rules:
                _apply_rules(values, features, heed.reading)
        return values

    def ngram_logits(self, features: Features, heed: Heed | None = None) -> np.ndarray:
        """Sum the values of each row's n-grams: float32, shape (rows,)."""
        one, two, three, skipping = self.ngram_values(features, heed).T
        return np.add.reduceat(
            one + two + three + skipping, features.offsets[:-1]
        )  # a sum along rows takes ten times that

    def encoder_logits(self, features: Features, heed: Heed | None = None) -> np.ndarray:
        """Encode each row: float32, shape (rows,); zeros without an encoder. Words' vectors count as far as the words are
        heeded."""
        if self.encoders is None:
            return np.zeros(len(features.offsets) - 1, dtype=np.float32)
        return self.encoders.logits(features, None if heed is None else heed.encoder_weights)

    def part_logits(self, features: Features, heed: Heed | None = None) -> np.ndarray:
        """Score each row by each part: float32, shape (rows, 3), n-grams, encoder and lexicon; zeros for one that is not
        there."""
        heed = heed or self.heed(features)
        if heed is None:
            lexicon = np.zeros(len(features.offsets) - 1, dtype=np.float32)
        else:
            lexicon = heed.reading.scores * heed.lexicon_weights
        return np.column_stack([self.ngram_logits(features, heed), self.encoder_logits(features, heed), lexicon])

    def logits(self, texts: Sequence[str] | pl.Series) -> np.ndarray:
        """Score texts by each part: float32, shape (rows, 3), n-grams, encoder and lexicon. None counts as empty.

        Goes batch by batch, in memory that does not grow with the number of texts; a row's values are the same to 1e-5
        whatever else is in the batch. Batches are shared out to threads, one a core: torch's own threads would have to
        meet after each of thousands of short operations.
        """
        return self._score(texts)[:, :3]

    def _score(self, texts: Sequence[str] | pl.Series) -> np.ndarray:
        """`logits`, and behind them the lexicon's `Reading.strength`: float32, shape (rows, 4)."""
        column = as_series(texts)
        logits = np.zeros((len(column), 4), dtype=np.float32)

        def score(batch: tuple[int, pl.Series]) -> None:
            first, texts = batch
            features = extract(texts, self.config.features)
            heed = self.heed(features)
            logits[first : first + len(texts), :3] = self.part_logits(features, heed)
            if heed is not None:
                logits[first : first + len(texts), 3] = heed.reading.strength

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
        return self.predict(texts).probability_positive

    def predict(self, texts: Sequence[str] | pl.Series) -> Prediction:
        """How likely each text is positive rather than negative, and neutral rather than either. None counts as empty."""
        bent, evidence = self.bent_logits_and_evidence(texts)
        positive = (1 / (1 + np.exp(-np.clip(bent, -80, 80)))).astype(np.float32)
        return Prediction(positive, self.config.neutral(evidence) if self.lexicon else np.zeros_like(positive))

    def bent_logits_and_evidence(self, texts: Sequence[str] | pl.Series) -> tuple[np.ndarray, np.ndarray]:
        """Calibrated logits, and how much mood each text shows (`neutral.evidence_of`): both float64, shape (rows,)."""
        scores = self._score(texts)
        bent = self.config.bend(scores[:, :3] @ self.config.weights)
        return bent, evidence_of(scores[:, 3].astype(np.float64), bent)

    def save(self, folder: Path) -> None:
        """Write weights and config into `folder`, each file whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / WEIGHTS_FILE) as draft:
            save_file({name: _stored(name, value) for name, value in self.state_dict().items()}, draft)
        with atomic_write(folder / CONFIG_FILE) as draft:
            draft.write_text(self.config.model_dump_json(indent=2) + "\n")

    def round_vectors(self) -> None:
        """Round words' and pairs' vectors to what `save` writes of them, so that a saved model gives the same probabilities."""
        for name, value in self.state_dict().items():
            value.copy_(_stored(name, value))

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


def _apply_rules(values: np.ndarray, features: Features, reading: Reading) -> None:
    """Let the lexicon's rules change what was learnt of words: a negated word means the opposite, what a contrast sets aside
    counts less, and of emoticons and emoji nothing was learnt, since rows are labelled by them and hold none.

    Args:
        values: of the n-grams, float32, shape (positions, 4).
    """
    values[reading.positions[reading.is_negated]] *= NEGATED
    weighed = np.flatnonzero(reading.clause_weights != 1)
    values[weighed] *= reading.clause_weights[weighed, None]
    # An n-gram holds words of up to two positions behind the one that it begins at, of the same row.
    row_begins = features.offsets[np.searchsorted(features.offsets, reading.symbols, side="right") - 1]
    for distance, kinds in enumerate(([0, 1, 2, 3], [1, 2], [2, 3])):
        begins = reading.symbols - distance
        values[begins[begins >= row_begins][:, None], kinds] = 0


def _stored(name: str, value: torch.Tensor) -> torch.Tensor:
    """Words' and pairs' vectors are most of a file and need few digits: float16, a part in 2,000."""
    return value.half() if name.endswith((".words", ".pairs")) else value


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error).strip().splitlines()[-1].strip()
