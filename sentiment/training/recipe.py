"""What `fit` needs to know of the model it trains: its parts, how rows become batches, and what ends a pass.

`BlendRecipe` trains the project's own model. It holds no loop: that is `fit`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import polars as pl
import torch
from torch import Tensor

from sentiment.errors import TrainingError
from sentiment.model.batch import Batch
from sentiment.model.classifier import SentimentModel
from sentiment.model.config import ModelConfig
from sentiment.model.device import choose_device
from sentiment.model.features import Features, extract
from sentiment.model.lexicon import Lexicon
from sentiment.training.blending import fit_blend, fit_out_of_domain_blend
from sentiment.training.config import EFFORTS, TrainingConfig, TrainingJob
from sentiment.training.custom import CUSTOM_PART, by_length, custom_part
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

    def arrange(self, texts: pl.Series, generator: np.random.Generator) -> np.ndarray:
        """An order in which to train on some rows: int64, shape (rows,)."""

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


class Prepared(NamedTuple):
    """What is computed of some rows ahead of training."""

    features: Features
    lexicon_scores: np.ndarray
    """float32, shape (rows,)."""
    texts: list[str] | None
    """For a custom module."""


class BlendRecipe:
    """Trains n-grams, encoders and a user's own module, each on its own loss, and blends them with the lexicon."""

    def __init__(self, subset: Subset, job: TrainingJob) -> None:
        """Set up the model and its parts.

        Raises:
            TrainingError: word vectors without an encoder.
            InputError: the word vectors, or the weights to fine-tune, cannot be used.
            ModelError: the user's own module cannot be built, or there is no GPU though one was asked for.
        """
        config, seed = job.config, job.seed
        self.subset, self.device = subset, choose_device(job.device, gains=config.custom is not None)
        self.lexicon = lexicon = Lexicon.shipped()
        torch.manual_seed(seed)
        self.model = SentimentModel(
            ModelConfig(
                features=config.features,
                ngram_kind_weights=NGRAM_KIND_WEIGHTS,
                encoder=EFFORTS[config.effort],
                custom=config.custom,
                lexicon=lexicon.config,
            ),
            job.custom_folder,
        )
        self.model.lexicon = lexicon
        self.model.to(self.device)
        pretrained = _pretrained(config, subset, job.word_vectors)
        self.parts: list[Part] = []
        if self.model.encoders is not None:
            self.parts += [encoder_part(encoder, pretrained, seed) for encoder in self.model.encoders]
        if self.model.custom is not None:
            assert job.model is not None
            self.model.custom.remember(True)
            self.parts.append(custom_part(self.model.custom, job.model, config.custom_rows))
        self.parts.append(ngram_part(self.model))
        self.counts = torch.zeros(len(self.model.in_vocabulary), dtype=torch.int64)

    def arrange(self, texts: pl.Series, generator: np.random.Generator) -> np.ndarray:
        """See `Recipe`; a custom module gets batches of texts of similar length."""
        if self.model.custom is None:
            return generator.permutation(len(texts))
        (custom,) = (part for part in self.parts if part.name == CUSTOM_PART)
        return by_length(texts, generator, custom.batch_rows)

    def prepare(self, texts: pl.Series) -> Prepared:
        """See `Recipe`."""
        features = extract(texts, self.model.config.features)
        custom = self.model.custom
        return Prepared(features, self.lexicon.read(features).scores, None if custom is None else texts.to_list())

    def batch(self, prepared: Prepared) -> Inputs:
        """See `Recipe`."""
        batch = Batch.of(prepared.features, self.device, prepared.texts)
        return Inputs(batch, torch.from_numpy(prepared.lexicon_scores).to(self.device))

    def count(self, prepared: Prepared) -> None:
        """Count the words, for the vocabulary."""
        features = prepared.features
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
        state, custom = self.state(), self.model.custom
        if custom is not None and any(not torch.equal(best[name], value) for name, value in state.items()):
            custom.remember(True)
        weight = self.model.ngrams.weight
        weight.data = best["ngrams.weight"]  # until now next to the optimizer's accumulators
        self.model.load_state_dict(best)
        self.model.round_vectors()
        model = self.model.eval()
        blend = fit_out_of_domain_blend(model, self.subset.early_texts, self.subset.early_labels)
        model.config = blend.config
        if custom is not None:
            custom.remember(False)
        return model.cpu(), blend.accuracy


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
