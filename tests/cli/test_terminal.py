"""Tables at any width, what is long in the pager, and shares written one way."""

from __future__ import annotations

import errno
import io
import os
import pydoc
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from flows.cli import terminal
from flows.cli.terminal import paged, print_table

REPOSITORY = Path(__file__).resolve().parents[2]
REASON = "It is worse in 2 of 12 slices: short by 1.20 points on 4,000 rows; tagged by 0.90 points on 900 rows."
COLUMNS = ["check_name", "passed", "count_rows", "reason"]
ROWS = [["slices", False, 1_598_316, REASON], ["speed", True, None, "Fast."]]


def screen(monkeypatch: pytest.MonkeyPatch, width: int, height: int = 24) -> io.StringIO:
    """A terminal of this size in the place of standard output."""
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, color_system=None, width=width, height=height)
    console.soft_wrap, console.highlighter = terminal.out.soft_wrap, terminal.out.highlighter
    monkeypatch.setattr(terminal, "out", console)
    return shown


@pytest.mark.parametrize("width", [30, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal_and_no_word_is_lost(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    shown = screen(monkeypatch, width)
    print_table("A decision", COLUMNS, ROWS)
    text = shown.getvalue()
    assert max(map(cell_len, text.splitlines())) <= width
    assert re.sub(r"\s+", "", REASON) in re.sub(r"\s+", "", text) or all(word in text for word in REASON.split())
    assert "1,598,316" in text


def test_a_narrow_terminal_gets_keys_above_values(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = screen(monkeypatch, 30)
    print_table("A decision", COLUMNS, ROWS)
    lines = [line.rstrip() for line in shown.getvalue().splitlines()]
    assert lines[:4] == ["A decision", "check name", "  slices", "passed"]
    assert lines[lines.index("count rows") + 1] == "  1,598,316"
    assert "check name" in lines[lines.index("") + 1]


def test_a_long_text_of_an_answer_is_cut_and_that_of_a_report_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = screen(monkeypatch, 60)
    print_table("", ["text", "label"], [["word " * 200, "negative"], ["short", "positive"]], most_lines=3)
    lines = shown.getvalue().splitlines()
    assert len(lines) == 5
    assert "…" in lines[3]
    assert "negative" in lines[1]


def test_markup_in_a_text_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = screen(monkeypatch, 60)
    print_table("", ["text"], [["[bold red]not bold[/] [link=http://evil.example]no link[/]"]])
    assert "[bold red]not bold[/]" in shown.getvalue()


def test_wide_characters_count_double(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = screen(monkeypatch, 40)
    print_table("", ["text", "count_rows"], [["日本語のツイート" * 6, 1]], most_lines=2)
    assert max(map(cell_len, shown.getvalue().splitlines())) <= 40


@pytest.mark.parametrize(("count_rows", "is_paged"), [(5, False), (50, True)])
def test_what_is_longer_than_the_terminal_goes_through_the_pager(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], count_rows: int, is_paged: bool
) -> None:
    screen(monkeypatch, 60)
    pages: list[str] = []
    monkeypatch.setattr(pydoc, "pager", pages.append)
    rows: list[list[Any]] = [[number, "text"] for number in range(count_rows)]
    with paged():
        print_table("", ["number", "text"], rows)
    assert (len(pages) == 1) == is_paged
    shown = pages[0] if is_paged else capsys.readouterr().out
    assert len(shown.splitlines()) == count_rows + 1


def test_no_sentence_writes_a_share_in_another_way() -> None:
    """Shares are `83.2 %`, by `markdown.percent`; Python's own `83.2%` is not used."""
    found = [
        f"{path.relative_to(REPOSITORY)}:{number}"
        for folder in ("sentiment", "flows")
        for path in (REPOSITORY / folder).rglob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if re.search(r":\.\d%\}", line)
    ]
    assert found == []


@pytest.mark.parametrize("command", ["ingest", "inspect"])
def test_a_name_of_a_file_cannot_act_on_the_terminal(tmp_path: Path, command: str) -> None:
    path = tmp_path / "a\x1b[31mred\x1b]0;title\x07\u202e.csv"
    path.write_text("no\nposts\n")
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli.app", command, str(path)],
        env=os.environ | {"SENTIMENT_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "red" in done.stdout + done.stderr
    assert not {"\x1b", "\x07", "\u202e"} & set(done.stdout + done.stderr)


def test_a_progress_bar_shows_a_name_with_brackets_and_controls_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    console = terminal.HarmlessConsole(file=written, force_terminal=True, color_system=None, width=100)
    monkeypatch.setattr(terminal, "notes", console)
    with terminal.progress_bars() as show:
        show("read [red]a\x07b.csv", 1, 2, "")
    assert "read [red]a�b.csv" in written.getvalue()
    assert "\x07" not in written.getvalue()


def test_a_file_of_another_user_is_named_without_a_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = tmp_path / "model.safetensors"
    weights.touch()
    with pytest.raises(SystemExit) as ended, terminal.errors_as_sentences(lambda: tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied", str(weights))
    text = capsys.readouterr().err
    assert ended.value.code == 1
    assert f"{weights} may not be read or written by this user (Permission denied)" in text
    assert f"It belongs to {weights.owner()}." in text
    assert not (tmp_path / "logs").exists()
