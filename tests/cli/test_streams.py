"""Commands where people start them: in a pipe that ends early, without streams, without a locale, without a name."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sentiment.settings import Home
from sentiment.warehouse.snapshot import publish

ASCII = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}


@pytest.fixture(scope="module")
def shell(new_home: Callable[[], Home]) -> Callable[..., subprocess.CompletedProcess[str]]:
    home = new_home()
    publish(home)
    command = shlex.quote(str(Path(sys.executable).with_name("sentiment")))

    def run(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", f"set -o pipefail; {line.replace('sentiment', command)}"],
            env={**os.environ, "SENTIMENT_HOME": str(home.root), **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize("form", ["csv", "json", "table", "parquet"])
def test_a_reader_that_has_seen_enough_ends_a_command_quietly(shell: Shell, form: str) -> None:
    done = shell(f"sentiment sql 'from range(1000000)' --format {form} | head -c 100 | wc -c")
    assert (done.returncode, done.stdout.split(), done.stderr.replace("\n", "")[:9]) in [
        (0, ["100"], ""),
        (0, ["100"], "The first"),
    ]


def test_a_reader_that_reads_nothing_ends_a_command_quietly(shell: Shell) -> None:
    for line in ("sentiment sql 'from range(9)' | true", "sentiment status --json | true", "sentiment --help | true"):
        done = shell(line)
        assert (done.returncode, done.stderr) == (0, ""), line


def test_what_fails_still_fails_in_a_pipe(shell: Shell) -> None:
    done = shell("sentiment sql 'from nowhere' | cat")
    assert done.returncode == 2
    assert "nowhere" in done.stderr


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
def test_closed_streams_keep_nothing_from_working(shell: Shell, closed: str) -> None:
    done = shell(f"sentiment sql 'select 1 as a' --format csv {closed}")
    assert (done.returncode, done.stdout) == (0, "a\n1\n")


def test_a_command_without_any_stream_works(shell: Shell, tmp_path: Path) -> None:
    done = shell(f"sentiment sql 'select 1 as a' --output {tmp_path}/a.csv <&- >&- 2>&-")
    assert done.returncode == 0
    assert (tmp_path / "a.csv").read_text() == "a\n1\n"


def test_a_terminal_that_knows_ascii_alone_shows_the_rest_as_numbers(shell: Shell) -> None:
    done = shell("sentiment sql \"select 'ü🦆' as text\"", **ASCII)
    assert (done.returncode, done.stdout.split()) == (0, ["text", r"\xfc\U0001f986"])
    done = shell("sentiment sql \"select 'ü🦆' as text\" --json", **ASCII)
    assert json.loads(done.stdout) == [{"text": "ü🦆"}]
    done = shell("sentiment ingest /nowhere/ü", **ASCII)
    assert done.returncode == 2
    assert "There is no file" in done.stderr


def test_a_user_without_a_name_is_signed_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    import getpass

    from sentiment.settings import load_settings

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)

    def nameless(_: int) -> None:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setenv("LOGNAME", "")  # So that what is set is taken back.
    monkeypatch.setattr("pwd.getpwuid", nameless)
    load_settings()
    assert getpass.getuser() == f"uid-{os.getuid()}"
