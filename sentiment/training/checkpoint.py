"""One file that holds everything a training run needs to go on: tensors, and a small JSON document beside them.

Written under another name and moved into place, so that a kill leaves the old one or the new one, never half of one; the
old one is gone with the move. A checkpoint of another run (other rows, config or seed) or a damaged one is not used.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from sentiment.model.atomic import atomic_write, draft_of

_FILE = "checkpoint.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """What one run has come to: `run` identifies it, `progress` is JSON, `tensors` everything that learns."""

    run: str
    progress: dict[str, Any]
    tensors: dict[str, torch.Tensor]


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the folder's checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {"run": checkpoint.run, "progress": json.dumps(checkpoint.progress)}
    with atomic_write(folder / _FILE) as draft:
        save_file(checkpoint.tensors, draft, metadata=metadata)


def read_checkpoint(folder: Path, run: str) -> Checkpoint | None:
    """The folder's checkpoint, if there is a whole one of this run."""
    try:
        with safe_open(folder / _FILE, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("run") != run:
                return None
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (not a dict)
            return Checkpoint(run, json.loads(metadata["progress"]), tensors)
    except (OSError, SafetensorError):
        return None


def remove_checkpoint(folder: Path) -> None:
    """Remove the folder's checkpoint and what a killed write left; no error if there is none."""
    for path in (folder / _FILE, draft_of(folder / _FILE)):
        path.unlink(missing_ok=True)
