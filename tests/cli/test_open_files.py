"""A limit on open files is raised as far as the system lets us, or named before something fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def status_with(limit: str, home: Path) -> subprocess.CompletedProcess[str]:
    command = f"ulimit {limit}; {sys.executable} -m flows.cli.app status"
    environment = os.environ | {"SENTIMENT_HOME": str(home)}
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, env=environment)


def test_too_few_files_are_named_with_the_command_that_helps(tmp_path: Path) -> None:
    done = status_with("-n 40", tmp_path / "home")
    assert done.returncode == 1
    assert done.stderr == "error: This process may open 40 files, and needs 64. Allow more: ulimit -n 1024\n"
    assert not (tmp_path / "home").exists()


def test_a_low_limit_is_raised_where_the_system_lets_us(tmp_path: Path) -> None:
    done = status_with("-S -n 40", tmp_path / "home")
    assert "may open" not in done.stderr
    assert done.returncode == 0
