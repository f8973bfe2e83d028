"""A Hugging Face model to begin with: a folder, or a name on the hub, of configuration, tokenizer and safetensors.

Weights that are pickled (`pytorch_model.bin`) are never read, and code that comes with a model is never run. A folder needs no
network; a name is fetched once and kept in Hugging Face's own cache.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from sentiment.errors import InputError, ModelError
from sentiment.model.custom import HUGGING_FACE
from sentiment.model.hugging_face import TextClassifier, import_transformers

_SMALL_FILES = ("*.json", "*.txt", "*.model")
_WEIGHTS = "*.safetensors"


def pretrained_folder(model: str) -> Path:
    """Where the files of `hf:PATH_OR_NAME` are on this machine, fetched if need be.

    Raises:
        InputError: there is no such model, or its weights are no safetensors.
    """
    place = model.removeprefix(HUGGING_FACE)
    folder = Path(place).expanduser()
    if not folder.is_dir():
        folder = _fetch(model, place)
    for name, pattern in (("config.json", "config.json"), ("a tokenizer", "*token*"), ("model.safetensors", _WEIGHTS)):
        if not any(folder.glob(pattern)):
            pickles = sorted(path.name for path in folder.glob("*.bin"))
            found = f" ({pickles[0]} is a pickle, which could run code and is not read)" if pickles else ""
            raise InputError(
                f"The folder {folder} has no {name}{found}; expected config.json, the tokenizer's files and model.safetensors, "
                "as `model.save_pretrained(folder)` and `tokenizer.save_pretrained(folder)` write them."
            )
    return folder.resolve()


def _fetch(model: str, name: str) -> Path:
    try:
        import_transformers(model)
    except ModelError as error:
        raise InputError(str(error)) from error
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(snapshot_download(name, allow_patterns=[*_SMALL_FILES, _WEIGHTS]))
    except (HFValidationError, HfHubHTTPError, OSError, ValueError, RuntimeError) as error:
        words = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputError(
            f"There is no folder {name!r} on this machine, and Hugging Face's hub gave no model of that name ({words}). "
            "Name a folder with hf:PATH, or a model of the hub where there is a network."
        ) from error


def described_files(folder: Path, *, weights: bool) -> dict[str, Path]:
    """Configuration and tokenizer, by name, and the pretrained weights if asked for."""
    patterns = (*_SMALL_FILES, _WEIGHTS) if weights else _SMALL_FILES
    paths = {path for pattern in patterns for path in folder.glob(pattern)}
    return {path.name: path for path in sorted(paths) if not path.name.endswith(".index.json") or weights}


def load_pretrained(module: Any, model: str) -> None:
    """Give a module the pretrained weights; a head that is new keeps those that were drawn.

    Raises:
        TrainingError: transformers cannot load them.
    """
    assert isinstance(module, TextClassifier)
    transformers = import_transformers(model)
    kind = transformers.AutoModelForSequenceClassification if module.sides else transformers.AutoModel
    folder = pretrained_folder(model)
    try:
        loaded = kind.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=torch.float32)
        module.network.load_state_dict(loaded.state_dict())
    except (OSError, ValueError, RuntimeError) as error:
        words = " ".join(str(error).split())[:300].rstrip(".")
        raise InputError(
            f"The weights of {model} cannot be loaded: {words}. Expected those of its config.json."
        ) from error
