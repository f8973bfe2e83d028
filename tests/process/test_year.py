"""Six days of a simulated year, four of them with a failure in the night."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from simulations.year_people import can_be_two


@pytest.mark.timeout(900)
@pytest.mark.skipif(not can_be_two(), reason="needs root, and an interpreter that every user may run")
def test_nights_of_failures_lose_nothing(tmp_path: Path, repository: Path) -> None:
    # People of other user ids cannot look into pytest's folders.
    for folder in (tmp_path, *tmp_path.parents):
        if folder.name.startswith(("pytest", "popen", tmp_path.name)):
            folder.chmod(0o755)
    arguments = ["-m", "simulations.year", "--days", "6", "--failing", "1", "--folder", str(tmp_path / "year")]
    ended = subprocess.run([sys.executable, *arguments], cwd=repository, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = json.loads(ended.stdout)
    assert all(found["claims"].values())
    assert (found["failures"]["nights"], found["desk"]["uses"]) == (4, 2)
    assert found["readers"]["looks"] > 0
