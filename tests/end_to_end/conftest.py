"""The installed command in processes of its own, in homes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

SECONDS = 180


@dataclass(frozen=True)
class Command:
    """Runs `sentiment` in one home."""

    home: Path

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start it and return at once."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("sentiment")), *arguments],
            env=environment | {"SENTIMENT_HOME": str(self.home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home.parent,
            **options,
        )

    def fails(self, *arguments: str) -> tuple[int, str]:
        """Run it to its end, which is no success: exit status and what it said."""
        process = self.start(*arguments)
        _, said = process.communicate(timeout=SECONDS)
        return process.returncode, said

    def __call__(self, *arguments: str) -> Any:
        """Run it to its end and return its JSON document."""
        process = self.start(*arguments, "--json")
        answer, said = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, said
        return json.loads(answer)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a reader of the published snapshot sees."""
        with duckdb.connect(str((self.home / "published/sentiment.duckdb").resolve()), read_only=True) as snapshot:
            return snapshot.sql(query).fetchall()


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command in a home that the tests of a module share."""
    return Command(tmp_path_factory.mktemp("end-to-end") / "home")


@pytest.fixture
def new_command(tmp_path: Path) -> Callable[[str], Command]:
    """Makes the command in an empty home."""
    return lambda name: Command(tmp_path / name)
