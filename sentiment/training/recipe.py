"""What `fit` needs to know of the model it trains: its parts, how rows become batches, and what ends a pass.

`BlendRecipe` trains the project's own model. It holds no loop: that is `fit`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
import torch
from torch import Tensor

from sentiment.errors import TrainingError
from sentiment.model.batch import Batch
from sentiment.model.classifier import SentimentModel
from sentiment.model.config import ModelConfig
from sentiment.model.features import Features, extract
from sentiment.model.lexicon import Lexicon
from sentiment.training.blending import fit_blend, fit_out_of_domain_blend
from sentiment.training.config import EFFORTS, Device, TrainingConfig
from sentiment.training.parts import NGRAM_KIND_WEIGHTS, Inputs, Part, encoder_part, ngram_part
from sentiment.training.rows import Subset, count_words
from sentiment.training.word_vectors import WordVectors, read_word_vectors

_VOCABULARY_ONE_IN = 7_500
"""A word is in the vocabulary if it occurs at least once in so many training rows."""


class Rows(Protocol):
    """Inputs of some rows, which can be cut into batches."""

    def rows(self, first: int, last: int) -> Any:
        """The inputs of rows `first` to `last`."""


class Recipe(Protocol):
    """A model in training."""

    parts: list[Part]
    device: torch.device

    def prepare(self, texts: pl.Series) -> Any:
        """What can be computed of texts in a thread of its own, ahead of training."""

    def batch(self, prepared: Any) -> Rows:
        """Prepared texts as inputs of the parts, on the device."""

    def count(self, prepared: Any) -> None:
        """Count what needs to be counted in the first pass."""

    def end_pass(self) -> tuple[float, float]:
        """Evaluate on the early-stopping rows: accuracy and log loss."""

    def state(self) -> dict[str, Tensor]:
        """The model's weights; the tensors themselves."""

    def tensors(self) -> dict[str, Tensor]:
        """What training changes beyond weights, parts and optimizers."""

    def finish(self, best: dict[str, Tensor]) -> tuple[Any, float]:
        """The calibrated model with its best weights, and its accuracy on the early-stopping rows."""


class BlendRecipe:
    """Trains n-grams and encoders, each on its own loss, and blends them with the lexicon."""

    def __init__(
        self,
        subset: Subset,
        config: TrainingConfig,
        seed: int,
        *,
        word_vectors: Path | None = None,
        device: Device = "cpu",
    ) -> None:
        """Set up the model and its parts.

        Raises:
            TrainingError: word vectors without an encoder, or a GPU that is not there.
            InputError: the word vectors cannot be used.
        """
        self.subset, self.device = subset, choose_device(device)
        self.lexicon = lexicon = Lexicon.shipped()
        self.model = SentimentModel(
            ModelConfig(
                features=config.features,
                ngram_kind_weights=NGRAM_KIND_WEIGHTS,
                encoder=EFFORTS[config.effort],
                lexicon=lexicon.config,
            )
        )
        self.model.lexicon = lexicon
        self.model.to(self.device)
        pretrained = _pretrained(config, subset, word_vectors)
        self.parts: list[Part] = []
        if self.model.encoders is not None:
            self.parts += [encoder_part(encoder, pretrained, seed) for encoder in self.model.encoders]
        self.parts.append(ngram_part(self.model))
        self.counts = torch.zeros(len(self.model.in_vocabulary), dtype=torch.int64)

    def prepare(self, texts: pl.Series) -> tuple[Features, np.ndarray]:
        """Features, and the lexicon's scores: float32, shape (rows,)."""
        features = extract(texts, self.model.config.features)
        return features, self.lexicon.read(features).scores

    def batch(self, prepared: tuple[Features, np.ndarray]) -> Inputs:
        """See `Recipe`."""
        features, scores = prepared
        return Inputs(Batch.of(features, self.device), torch.from_numpy(scores).to(self.device))

    def count(self, prepared: tuple[Features, np.ndarray]) -> None:
        """Count the words, for the vocabulary."""
        features, _ = prepared
        self.counts += torch.from_numpy(np.bincount(features.words, minlength=len(self.counts)))

    def end_pass(self) -> tuple[float, float]:
        """See `Recipe`."""
        for part in self.parts:
            part.synchronise()
        in_vocabulary = self.counts * _VOCABULARY_ONE_IN >= self.subset.count_train_rows
        self.model.in_vocabulary.copy_(in_vocabulary)
        self.model.eval()
        _, accuracy, loss = fit_blend(self.model, self.subset.early_texts, self.subset.early_labels)
        return accuracy, loss

    def state(self) -> dict[str, Tensor]:
        """See `Recipe`."""
        return self.model.state_dict()

    def tensors(self) -> dict[str, Tensor]:
        """See `Recipe`."""
        return {"counts": self.counts}

    def finish(self, best: dict[str, Tensor]) -> tuple[SentimentModel, float]:
        """See `Recipe`."""
        self.model.load_state_dict(best)
        self.model.round_vectors()
        model = self.model.eval()
        blend = fit_out_of_domain_blend(model, self.subset.early_texts, self.subset.early_labels)
        model.config = blend.config
        return model.cpu(), blend.accuracy


def choose_device(device: Device) -> torch.device:
    """The device of a name; `auto` is a GPU where there is one.

    Raises:
        TrainingError: there is no GPU that torch can use.
    """
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        build = f"is built for CUDA {torch.version.cuda}" if torch.version.cuda else "is a build for CPUs alone"
        raise TrainingError(
            f"Asked to train on a GPU, but torch finds none; torch {torch.__version__} {build}. Install a CUDA build and "
            "NVIDIA's driver, or train with the device auto or cpu."
        )
    return torch.device("cuda" if has_gpu and device != "cpu" else "cpu")


def _pretrained(config: TrainingConfig, subset: Subset, path: Path | None) -> WordVectors | None:
    if config.vectors is None:
        return None
    if EFFORTS[config.effort] is None:
        first = min(number for number, encoder in EFFORTS.items() if encoder)
        raise TrainingError(
            f"Effort {config.effort} trains n-grams alone, which have no word vectors; expected effort {first} or more with "
            "pretrained ones. Ask for more effort, or leave the word vectors out."
        )
    assert path is not None, "a config with word vectors needs their file"
    return read_word_vectors(path, *count_words(subset))
