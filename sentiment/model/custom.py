"""A user's own module as a part of the model: any `nn.Module` that maps texts to logits.

The module takes a list of texts, or with the attribute `takes_features = True` a `Batch` of hashed words, and returns the
logit that each is positive, of shape (rows,) or (rows, 1). Its source travels next to the weights (`custom_code`), or, for
a Hugging Face model, its configuration and tokenizer do (`hugging_face`).
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import custom_code
from .batch import Batch
from .config import CustomConfig
from .errors import ModelError

HUGGING_FACE = "hf:"
_BLOCK_ROWS = {"cpu": 64}


def build_module(config: CustomConfig, folder: Path) -> torch.nn.Module:
    """The module with weights as its factory draws them.

    Args:
        folder: holds what the module is made from.

    Raises:
        ModelError: it cannot be built; says why.
    """
    if config.name.startswith(HUGGING_FACE):
        from .hugging_face import TextClassifier

        return TextClassifier(config.name, folder)
    factory = custom_code.import_factory(config.name, folder)
    try:
        module = factory()
    except Exception as error:
        raise ModelError(f"The model {config.name} cannot be built: it {custom_code.raised(error, folder)}.") from error
    if not isinstance(module, torch.nn.Module):
        raise ModelError(f"{config.name} gives a {type(module).__name__}; expected a torch.nn.Module.")
    return module


class CustomEncoder(torch.nn.Module):
    """Calls a user's module as the model calls its other parts."""

    def __init__(self, config: CustomConfig, folder: Path) -> None:
        """Build the module; see `build_module`."""
        super().__init__()
        self.config, self.folder = config, folder
        self.module = build_module(config, folder)
        self.threads = torch.get_num_threads()
        self._lock = threading.Lock()  # Users' modules, and fast tokenizers, are not safe to call from several threads.
        self._known: dict[str, float] | None = None

    @property
    def takes_features(self) -> bool:
        """Whether the module takes a `Batch` instead of texts."""
        return bool(getattr(self.module, "takes_features", False))

    def forward(self, batch: Batch) -> Tensor:
        """Logits of a batch that has its texts: float32, shape (rows,)."""
        assert batch.texts is not None, "a custom module reads texts"
        if self.training:
            return self.ask(batch if self.takes_features else batch.texts)
        if self._known is None:
            return self._score(batch)
        if any(text not in self._known for text in batch.texts):
            self._known |= dict(zip(batch.texts, self._score(batch).tolist(), strict=True))
        return torch.tensor([self._known[text] for text in batch.texts], device=batch.offsets.device)

    def train(self, mode: bool = True) -> CustomEncoder:
        """As of any module; what was remembered is forgotten."""
        if mode and self._known:
            self._known = {}
        return super().train(mode)

    def remember(self, is_on: bool) -> None:
        """Score no text twice until the module trains again; after setting weights by hand, call this again."""
        self._known = {} if is_on else None

    def ask(self, inputs: Batch | list[str]) -> Tensor:
        """What the module says of what it takes, as float32 of shape (rows,).

        Raises:
            ModelError: it raises, or gives anything but one finite number a text.
        """
        name, rows = self.config.name, inputs.count_rows if isinstance(inputs, Batch) else len(inputs)
        try:
            logits: Any = self.module(inputs)
        except Exception as error:
            reason = custom_code.raised(error, self.folder)
            raise ModelError(f"The model {name}, called with {rows:,} texts, {reason}.") from error
        if not isinstance(logits, Tensor):
            raise ModelError(f"The model {name} returns a {type(logits).__name__}; expected a tensor of logits.")
        if logits.shape not in ((rows,), (rows, 1)):
            raise ModelError(
                f"The model {name} returns shape {tuple(logits.shape)} for {rows:,} texts; expected ({rows},) or ({rows}, 1): "
                "for each text the logit that it is positive."
            )
        if not logits.is_floating_point():
            raise ModelError(f"The model {name} returns {logits.dtype}; expected logits as floating-point numbers.")
        return logits.reshape(rows).float()

    def _score(self, batch: Batch) -> Tensor:
        """Logits without gradients, on all cores that the process had when the model was made."""
        assert batch.texts is not None, "a custom module reads texts"
        logits = torch.empty(batch.count_rows, device=batch.offsets.device)
        before = torch.get_num_threads()
        with self._lock, torch.inference_mode():
            torch.set_num_threads(self.threads)
            try:
                for rows, inputs in self._blocks(batch, batch.texts):
                    logits[rows] = self.ask(inputs).to(logits.device)
            finally:
                torch.set_num_threads(before)
        unusable = torch.nonzero(~torch.isfinite(logits)).flatten().tolist()
        if unusable:
            raise ModelError(
                f"The model {self.config.name} gives {float(logits[unusable[0]])} for the text "
                f"{batch.texts[unusable[0]][:100]!r}; expected a finite logit for every text, the empty one included."
            )
        return logits

    def _blocks(self, batch: Batch, texts: list[str]) -> Iterator[tuple[Tensor, Batch | list[str]]]:
        """Row numbers and inputs of some rows at once: texts of similar length, so that little is padded."""
        size = _BLOCK_ROWS.get(batch.offsets.device.type, 512)
        if self.takes_features:
            for first in range(0, len(texts), size):
                last = min(first + size, len(texts))
                yield torch.arange(first, last), batch.rows(first, last)
            return
        by_length = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        for first in range(0, len(texts), size):
            rows = by_length[first : first + size]
            yield torch.tensor(rows), [texts[row] for row in rows]

    def imported_packages(self) -> set[str]:
        """Top-level names that the module's source imports, besides its own and the standard library's."""
        if self.config.name.startswith(HUGGING_FACE):
            return {"transformers"}
        return custom_code.imported_packages(self.folder)

    def save_files(self, folder: Path) -> None:
        """Copy what the module is made from."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder)
