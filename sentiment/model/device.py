"""Where a model trains and scores."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

import torch

from .errors import ModelError

if TYPE_CHECKING:
    from .classifier import SentimentModel

Device = Literal["auto", "cpu", "cuda"]


def choose_device(device: Device, *, gains: bool) -> torch.device:
    """The device of a name.

    Args:
        gains: whether the work is faster on a GPU, which `auto` then takes where there is one. Training of n-grams and
            encoders is not: its many short steps take less time in compiled loops than it takes to start them on a GPU.

    Raises:
        ModelError: there is no GPU that torch can use.
    """
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        build = f"is built for CUDA {torch.version.cuda}" if torch.version.cuda else "is a build for CPUs alone"
        raise ModelError(
            f"Asked for a GPU, but torch finds none; torch {torch.__version__} {build}. Install a CUDA build and NVIDIA's "
            "driver, or take the device auto or cpu (--device, SENTIMENT_DEVICE)."
        )
    if not has_gpu or device == "cpu" or not (gains or device == "cuda"):
        return torch.device("cpu")
    # Lets products add up in one order; read when the first is computed.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return torch.device("cuda")


def for_many_texts(model: SentimentModel, device: Device) -> SentimentModel:
    """The model where it scores many texts: encoders and a user's own module gain by a GPU, n-grams do not.

    Raises:
        ModelError: there is no GPU that torch can use.
    """
    gains = model.encoders is not None or model.custom is not None
    return model.to(choose_device(device, gains=gains))


def for_few_texts(model: SentimentModel, device: Device) -> SentimentModel:
    """The model where it scores a text at a time: a user's own module alone gains by a GPU.

    Raises:
        ModelError: there is no GPU that torch can use.
    """
    return model.to(choose_device(device, gains=model.custom is not None))
