"""One file that holds everything a training run needs to continue: tensors, and a small JSON document in its header.

A checkpoint of another run (other rows, config or seed) or a damaged one is not used. It is written under another name and
moved into place, so a kill leaves the old one or the new one, never half of one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sentiment.model.atomic import atomic_write, draft_of, open_as_folder
from sentiment.model.classifier import apart

_FILE = "checkpoint.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """How far a run is: `run` identifies it, `progress` is JSON, `tensors` everything that training changes."""

    run: str
    progress: dict[str, Any]
    tensors: dict[str, Tensor]


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the folder's checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = apart(checkpoint.tensors)
    metadata = {"run": checkpoint.run, "progress": json.dumps(checkpoint.progress)}
    metadata["digest"] = _digest(metadata, tensors)
    with atomic_write(folder / _FILE) as draft:
        save_file(tensors, draft, metadata=metadata)
        open_as_folder(draft)


def read_checkpoint(folder: Path, run: str) -> Checkpoint | None:
    """The folder's checkpoint, if there is a whole one of this run."""
    try:
        with safe_open(folder / _FILE, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("run") != run:
                return None
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (not a dict)
            if metadata.get("digest") != _digest(metadata, tensors):
                return None
            return Checkpoint(run, json.loads(metadata["progress"]), tensors)
    except (OSError, SafetensorError):
        return None


def _digest(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of run, progress, and each tensor's name, type, shape and bytes: a flipped bit in a weight shows nowhere else."""
    digest = hashlib.sha256(json.dumps([metadata["run"], metadata["progress"]]).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def remove_checkpoint(folder: Path) -> None:
    """Remove the folder's checkpoint and what a killed write left; no error if there is none."""
    for path in (folder / _FILE, draft_of(folder / _FILE)):
        path.unlink(missing_ok=True)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of an optimizer as named tensors; numbers become tensors without dimensions."""
    state: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    return {
        f"{parameter}.{name}": value if isinstance(value, Tensor) else torch.tensor(value)
        for parameter, values in state.items()
        for name, value in values.items()
        if value is not None
    }


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Restore what `optimizer_tensors` gave; learning rates and other options stay those of the optimizer."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        parameter, _, name = key.partition(".")
        state.setdefault(int(parameter), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
