"""A Hugging Face model as a module that maps texts to logits: its own tokenizer, and its own head where that fits.

A sequence classifier whose labels include a positive and a negative one keeps its head: the difference of the two logits is
the logit of positive. Any other model is used as a bare encoder: the mean of its last hidden states over the tokens of a
text, and a new linear layer. Its folder holds configuration and tokenizer; weights are those of the model that it is part
of. Nothing is fetched here, and code that comes with a model is never run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .errors import ModelError

MOST_TOKENS = 128
"""Of a longer text the beginning is read; a tweet has 280 characters."""


def import_transformers(name: str) -> Any:
    """The package, quiet.

    Raises:
        ModelError: it is not installed.
    """
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise ModelError(
            f"The model {name} needs the package {error.name}, which is not installed in this environment. Install it: "
            "pip install 'transformers>=5.20,<6'"
        ) from error
    quiet: Any = transformers.logging
    quiet.set_verbosity_error()
    quiet.disable_progress_bar()
    return transformers


class TextClassifier(torch.nn.Module):
    """Tokenizes texts and gives the logit that each is positive."""

    def __init__(self, name: str, folder: Path) -> None:
        """Build the model that the configuration in `folder` describes, with random weights.

        Raises:
            ModelError: transformers is not installed, or cannot build it.
        """
        super().__init__()
        transformers = import_transformers(name)
        try:
            config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self.sides = sides_of(config)
            kind = transformers.AutoModelForSequenceClassification if self.sides else transformers.AutoModel
            # On a CPU, torch's fused attention is slower than plain matrix products.
            attention = "sdpa" if torch.cuda.is_available() else "eager"
            self.network = kind.from_config(config, attn_implementation=attention)
        except (OSError, ValueError, KeyError, ImportError) as error:
            words = " ".join(str(error).split())[:300].rstrip(".")
            raise ModelError(
                f"The model {name} cannot be built by transformers {transformers.__version__}: {words}. Expected a folder with "
                "config.json, tokenizer and model.safetensors of an architecture that transformers has itself."
            ) from error
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
            config.pad_token_id = self.tokenizer.pad_token_id
        if self.tokenizer.pad_token is None:
            raise ModelError(
                f"The tokenizer of {name} has neither a padding token nor an end; give it one: `pad_token`."
            )
        self.most_tokens = min(MOST_TOKENS, self.tokenizer.model_max_length, _positions(config))
        self.dropout = torch.nn.Dropout(0.1)
        self.head = None if self.sides else torch.nn.Linear(config.get_text_config().hidden_size, 1)

    def forward(self, texts: list[str]) -> Tensor:
        """Logits: shape (rows,)."""
        tokens = self.tokenizer(
            texts, return_tensors="pt", padding=True, truncation=True, max_length=self.most_tokens
        ).to(self.network.device)
        found = self.network(**tokens)
        if self.sides is not None:
            positive, negative = self.sides
            difference: Tensor = found.logits[:, positive] - found.logits[:, negative]
            return difference
        assert self.head is not None
        mask = tokens["attention_mask"][:, :, None].to(found.last_hidden_state.dtype)
        mean = (found.last_hidden_state * mask).sum(1) / mask.sum(1).clamp(min=1)
        logits: Tensor = self.head(self.dropout(mean))
        return logits.squeeze(1)


def sides_of(config: Any) -> tuple[int, int] | None:
    """The outputs of a sequence classifier for positive and negative; None if there is no such head.

    Of two outputs without names the second is positive, as everybody has it.
    """
    if not any(name.endswith("ForSequenceClassification") for name in config.architectures or ()):
        return None
    names = {int(place): str(label).lower() for place, label in (config.id2label or {}).items()}
    sides = [[place for place, label in names.items() if label.startswith(side)] for side in ("pos", "neg")]
    if all(len(places) == 1 for places in sides):
        return sides[0][0], sides[1][0]
    return (1, 0) if sorted(names.values()) == ["label_0", "label_1"] else None


def _positions(config: Any) -> int:
    """Tokens that a model with position embeddings can read; RoBERTa's begin at 2."""
    positions = getattr(config, "max_position_embeddings", None)
    return MOST_TOKENS if positions is None else max(int(positions) - 2, 1)
