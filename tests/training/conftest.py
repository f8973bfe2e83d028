"""A module of a user's own, as a package in the current folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

DOCUMENT = (Path(__file__).parents[2] / "docs" / "own-model.md").read_text()
EXAMPLE = re.findall(r"^```python\n(.*?)^```", DOCUMENT, flags=re.MULTILINE | re.DOTALL)[0]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes `my_package` into the current folder: the example of the docs unless another module is given."""
    monkeypatch.chdir(tmp_path)

    def write(source: str = EXAMPLE, **others: str) -> Path:
        folder = tmp_path / "my_package"
        folder.mkdir(exist_ok=True)
        for name, text in {"__init__": "", "my_module": source, **others}.items():
            (folder / f"{name}.py").write_text(text)
        return folder

    return write
