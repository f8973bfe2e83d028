"""The sentiment model: a bag of hashed word n-grams, small sequence encoders, and a lexicon, blended and calibrated.

Encoders are optional, and so is a module of a user's own (`custom`). Each part is trained on its own loss, because trained
together the n-grams fit the training rows before an encoder has learnt anything; the lexicon (`lexicon`) knows what words
mean outside the training rows and is not trained. The more words of a tweet are out of vocabulary, the more the lexicon
counts, and the less the words that it does not know. A weighted sum of the parts' logits, calibrated, gives the probability.
Weights and calibration are fitted on rows held back from training.

A saved model is a folder with `weights.safetensors` and `config.json`, never a pickle. This package travels with a registered
model as code and needs nothing but numpy, polars, torch, numba, safetensors and pydantic.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from .atomic import atomic_write, open_as_folder
from .batch import Batch
from .config import BetaCalibration, ModelConfig, upgrade_config
from .errors import ModelError
from .features import extract
from .lexicon import Lexicon, Reading
from .neutral import Prediction, evidence_of
from .ngrams import NgramBag
from .weighting import WordWeights, weigh_words

if TYPE_CHECKING:
    from .custom import CustomEncoder
    from .encoder import Encoders

WEIGHTS_FILE = "weights.safetensors"
CONFIG_FILE = "config.json"
CUSTOM_FOLDER = "custom"
"""What a custom module is made from: its source, or its tokenizer and configuration."""
_BATCH_ROWS, _FEWEST_BATCH_ROWS = 20_000, 5_000
"""A larger batch gains nothing; with fewer rows, the work that every batch costs shows."""
_BATCH_BYTES = 4 << 20
_THREADS = min(os.cpu_count() or 1, 8)
_EARLIER_WEIGHT_NAMES = {"ngrams": "ngrams.weight", "is_familiar": "in_vocabulary"}
_EARLIER_CUSTOM_WEIGHTS = "encoders.module."


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

    Rows and bytes are bounded; a text longer than the bound is a slice of its own. Every thread gets as many slices as any
    other.
    """
    rounds = -(-len(texts) // (_BATCH_ROWS * _THREADS))
    rows = max(-(-len(texts) // max(rounds * _THREADS, 1)), _FEWEST_BATCH_ROWS)
    for start in range(0, len(texts), rows):
        piece = texts[start : start + rows]
        if piece.estimated_size() <= _BATCH_BYTES:
            yield start, piece
            continue
        ends = np.cumsum(piece.str.len_bytes().to_numpy().astype(np.int64))
        first, before = 0, 0
        while first < len(piece):
            last = max(first + 1, int(np.searchsorted(ends, before + _BATCH_BYTES, side="right")))
            yield start + first, piece[first:last]
            first, before = last, int(ends[last - 1])


class SentimentModel(torch.nn.Module):
    """Gives each text the probability that it is positive.

    `model(batch)` returns calibrated logits, `model.part_logits(batch)` those of the parts; `predict` takes texts.
    """

    in_vocabulary: Tensor
    """bool, shape (2**word_bits,): whether the bucket's words were frequent in the training rows."""

    def __init__(self, config: ModelConfig, custom_folder: Path | None = None) -> None:
        """Make a model without weights.

        Args:
            custom_folder: holds what `config.custom` is made from.
        """
        super().__init__()
        self.config = config
        self.ngrams = NgramBag(config.features.ngram_bits, config.ngram_kind_weights)
        self.register_buffer("in_vocabulary", torch.zeros(1 << config.features.word_bits, dtype=torch.bool))
        self.encoders: Encoders | None = None
        if config.encoder:
            from .encoder import Encoders

            self.encoders = Encoders(config.encoder, config.features)
        self.custom: CustomEncoder | None = None
        if config.custom:
            from .custom import CustomEncoder

            assert custom_folder is not None, "a custom module is made from files"
            self.custom = CustomEncoder(config.custom, custom_folder)
        self.lexicon = Lexicon(config.lexicon) if config.lexicon else None

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.ngrams.weight.device

    def batch(self, texts: pl.Series) -> Batch:
        """What the model takes, of texts without nulls."""
        features = extract(texts, self.config.features)
        return Batch.of(features, self.device, texts.to_list() if self.config.custom else None)

    def forward(self, batch: Batch) -> Tensor:
        """Calibrated logits: float64, shape (rows,); their sigmoid is the probability of positive."""
        weights = torch.from_numpy(self.config.weights).to(self.device)
        return calibrate(self.part_logits(batch) @ weights, self.config.calibration)

    def part_logits(self, batch: Batch, config: ModelConfig | None = None) -> Tensor:
        """Score each row by each part: float32, shape (rows, 4), n-grams, encoders, a user's own module and lexicon; zeros
        for a missing part.

        Args:
            config: to take out-of-vocabulary discount and boost from; the model's own unless given.
        """
        return self._scores(batch, config or self.config)[:, :-1]

    def _scores(self, batch: Batch, config: ModelConfig) -> Tensor:
        """`part_logits`, and then the lexicon's `Reading.strength`: float32, shape (rows, 5)."""
        zeros = torch.zeros(batch.count_rows, device=self.device)
        custom = zeros if self.custom is None else self.custom(batch)
        if self.lexicon is None:
            encoder = zeros if self.encoders is None else self.encoders(batch)
            return torch.stack([self.ngrams(batch), encoder, custom, zeros, zeros], dim=1)
        reading = self.lexicon.read(batch.features)
        weights = self.word_weights(batch, reading, config)
        encoder = zeros if self.encoders is None else self.encoders(batch, weights.encoder)
        scores, strength = (
            torch.from_numpy(values).to(self.device, torch.float32) for values in (reading.scores, reading.strength)
        )
        ngrams = self.ngrams(batch, weights.ngrams)
        return torch.stack([ngrams, encoder, custom, scores * weights.lexicon, strength], dim=1)

    def word_weights(self, batch: Batch, reading: Reading, config: ModelConfig) -> WordWeights:
        """How much each word of a batch counts, on the model's device; see `weighting`."""
        weights = weigh_words(batch.features, reading, self.in_vocabulary.cpu().numpy(), config)
        return WordWeights(*(values.to(self.device) for values in weights))

    def predict_part_logits(self, texts: Sequence[str] | pl.Series, config: ModelConfig | None = None) -> np.ndarray:
        """Score texts by each part: float32, shape (rows, 4), as `part_logits` does. None counts as empty.

        Args:
            config: as in `part_logits`.
        """
        return self._predict(texts, config or self.config)[:, :-1]

    def predict_probability(self, texts: Sequence[str] | pl.Series) -> np.ndarray:
        """The calibrated probability that each text is positive: float32, shape (rows,). None counts as empty."""
        return self.predict(texts).probability_positive

    def predict(self, texts: Sequence[str] | pl.Series) -> Prediction:
        """How likely each text is positive rather than negative, and neutral rather than either. None counts as empty."""
        logits, evidence = self.logits_and_evidence(texts)
        positive = (1 / (1 + np.exp(-np.clip(logits, -80, 80)))).astype(np.float32)
        return Prediction(positive, self.config.neutral(evidence) if self.lexicon else np.zeros_like(positive))

    def logits_and_evidence(self, texts: Sequence[str] | pl.Series) -> tuple[np.ndarray, np.ndarray]:
        """Calibrated logits, and how much mood each text shows (`neutral.evidence_of`): both float64, shape (rows,)."""
        scores = self._predict(texts, self.config)
        logits = self.config.calibration(scores[:, :-1] @ self.config.weights)
        return logits, evidence_of(scores[:, -1].astype(np.float64), logits)

    def _predict(self, texts: Sequence[str] | pl.Series, config: ModelConfig) -> np.ndarray:
        """`_scores` of texts, batch by batch, in memory that does not grow with their number.

        A row's values are the same to 1e-5 in any batch. Batches are shared out to threads, one a core:
        torch's own threads would have to meet after each of thousands of short operations. A custom module takes one batch
        after the other with all of torch's threads.
        """
        column = as_series(texts)
        scores = np.empty((len(column), len(self.config.weights) + 1), dtype=np.float32)

        @torch.inference_mode()
        def predict(batch: tuple[int, pl.Series]) -> None:
            first, texts = batch
            scores[first : first + len(texts)] = self._scores(self.batch(texts), config).cpu().numpy()

        batches = in_batches(column)
        with one_torch_thread():
            if len(column) <= _FEWEST_BATCH_ROWS or self.custom is not None:
                for batch in batches:
                    predict(batch)
            else:
                with ThreadPoolExecutor(_THREADS, initializer=torch.set_num_threads, initargs=(1,)) as threads:
                    for _ in threads.map(predict, batches):
                        pass
        return scores

    def save(self, folder: Path) -> None:
        """Write weights and config into `folder`, each file whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / WEIGHTS_FILE) as draft:
            save_file(apart({name: _stored(name, value) for name, value in self.state_dict().items()}), draft)
            open_as_folder(draft)
        with atomic_write(folder / CONFIG_FILE) as draft:
            draft.write_text(self.config.model_dump_json(indent=2) + "\n")
        if self.custom is not None:
            self.custom.save_files(folder / CUSTOM_FOLDER)

    def round_vectors(self) -> None:
        """Round words' and pairs' vectors as `save` does, so that a saved model gives the same probabilities."""
        for name, value in self.state_dict().items():
            value.copy_(_stored(name, value))

    @classmethod
    def load(cls, folder: Path) -> SentimentModel:
        """Read what `save` wrote, in this format or the one before.

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
            config = ModelConfig.model_validate(upgrade_config(json.loads((folder / CONFIG_FILE).read_text())))
        except (ValueError, AttributeError, ValidationError) as error:
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
        model = cls(config, folder / CUSTOM_FOLDER)
        try:
            model.load_state_dict({_name_today(name): value for name, value in weights.items()})
        except RuntimeError as error:
            raise ModelError(
                f"The weights in {folder} do not fit its {CONFIG_FILE}: {_first_line(error)}. "
                "Use another version or train again."
            ) from error
        return model.eval()


def calibrate(logits: Tensor, calibration: BetaCalibration) -> Tensor:
    """`BetaCalibration` of a tensor: float64, shape as given."""
    wide = logits.double()
    sides = calibration.b * F.softplus(wide, threshold=80) - calibration.a * F.softplus(-wide, threshold=80)
    ends = calibration.asinh * torch.asinh(wide) + calibration.signed_square * wide * wide.abs()
    return sides + calibration.c + ends


def _stored(name: str, value: Tensor) -> Tensor:
    """Words' and pairs' vectors are most of a file and need few digits: float16, a part in 2,000."""
    is_vectors = name.endswith((".words", ".pairs")) and not name.startswith("custom.")
    return value.half() if is_vectors else value


def _name_today(name: str) -> str:
    """The name of a weight in `state_dict`, from the name in a file of this version or of one before."""
    if name.startswith(_EARLIER_CUSTOM_WEIGHTS):
        return f"custom.module.{name.removeprefix(_EARLIER_CUSTOM_WEIGHTS)}"
    return _EARLIER_WEIGHT_NAMES.get(name, name)


def apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, contiguous and without shared memory, as safetensors needs them: weights that are tied are copied."""
    seen: set[int] = set()
    found = {}
    for name, value in tensors.items():
        storage = value.untyped_storage().data_ptr()
        found[name] = value.clone() if storage in seen else value.contiguous()
        seen.add(storage)
    return found


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error).strip().splitlines()[-1].strip()
