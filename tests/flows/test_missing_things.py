"""Every command, with everything that can be missing: a sentence and an exit status, never a stack trace.

The table below has an entry for each command, and for each command an answer for each thing that it needs. Both are
demanded by the commands' own signatures, so that a new command, or a new option, cannot be forgotten here.
"""

from __future__ import annotations

import inspect
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.cli import app
from sentiment.ingest.load import ingest_file
from sentiment.registry.client import Registry
from sentiment.settings import Home
from sentiment.warehouse.snapshot import publish

COMMANDS: dict[str, Callable[..., Any]] = {
    command.callback.__name__: command.callback for command in app.app.registered_commands if command.callback
}


@dataclass(frozen=True)
class Case:
    """A command line that lacks something, and what is answered."""

    arguments: str
    answer: str
    statuses: tuple[int, ...] = (1, 2)


FINE = (0,)
NO_FILE, NO_FOLDER = r"no file|does not exist", r"no folder|folder that exists|cannot be written"
NO_VERSION = r"no (decision on )?version 99"
NO_SERVER = "does not answer"
NO_HOME = "is a file, expected a folder"
NOTHING_PUBLISHED = "Nothing has been published"
STARTS_ONE = "it brings a server of its own"
NEVER_ENDS = "it makes what is missing and runs until it is stopped"

Entry = dict[str, Case | str]
"""By what is missing: the case, or the reason why there is none."""

TABLE: dict[str, Entry] = {
    "demo": {
        "home": Case("demo", NO_HOME),
        "empty home": "it is made for an empty home; the tutorial's test runs it",
        "server": Case("demo --rows 5000", NO_SERVER),
    },
    "sample": {
        "home": Case("sample {folder}/made.csv --rows 10", "made.csv", FINE),
        "empty home": Case("sample {folder}/made.csv --rows 10", "made.csv", FINE),
        "file": Case("sample {folder}/nowhere/made.csv", NO_FOLDER),
    },
    "inspect": {
        "home": Case("inspect {tweets}", "tweet", (0, 1, 2)),
        "empty home": Case("inspect {tweets}", "tweet", FINE),
        "file": Case("inspect {folder}/nowhere.csv", NO_FILE),
        "column": Case("inspect {two_columns} --columns text=nowhere", "nowhere"),
    },
    "ingest": {
        "home": Case("ingest {tweets}", NO_HOME),
        "empty home": Case("ingest", "", FINE),
        "file": Case("ingest {folder}/nowhere.csv", NO_FILE),
        "column": Case("ingest {two_columns}", "column"),
        "server": Case("ingest {tweets}", NO_SERVER),
    },
    "withdraw": {
        "home": Case("withdraw {tweets}", NO_HOME),
        "empty home": Case("withdraw {tweets}", "no file|No file|not loaded|was loaded"),
        "file": Case("withdraw {folder}/nowhere.csv", "no file|No file|not loaded|was loaded"),
        "column": "it reads no column of the file",
    },
    "monitor": {
        "home": Case("monitor", NO_HOME),
        "empty home": Case("monitor", "", (0, 1, 2)),
        "server": Case("monitor", NO_SERVER),
    },
    "download": {
        "home": "it needs none, and would reach for the network",
        "empty home": "it needs none, and would reach for the network",
        "file": Case("download {tweets}/folder", "cannot be written|not installed|Not a directory"),
    },
    "profile": {
        "home": Case("profile", NO_HOME),
        "empty home": Case("profile", "There are no tweets"),
        "server": Case("profile", NO_SERVER),
    },
    "publish": {
        "home": Case("publish --to sqlite:///{folder}/other.db", NO_HOME),
        "empty home": Case("publish --to sqlite:///{folder}/other.db", "0 rows", FINE),
        "server": Case("publish --to sqlite:///{folder}/other.db", NO_SERVER),
    },
    "status": {
        "home": Case("status", "", (0, 1, 2)),
        "empty home": Case("status", "Nothing has been loaded", FINE),
    },
    "decisions": {
        "home": Case("decisions", f"{NO_HOME}|{NOTHING_PUBLISHED}"),
        "empty home": Case("decisions", NOTHING_PUBLISHED),
        "version": Case("decisions --model-version 99", NO_VERSION),
    },
    "history": {
        "home": Case("history", f"{NO_HOME}|{NOTHING_PUBLISHED}"),
        "empty home": Case("history", NOTHING_PUBLISHED),
    },
    "retrain": {
        "home": Case("retrain", NO_HOME),
        "empty home": Case("retrain", "Found 0 labelled tweets"),
        "file": Case("retrain --word-vectors {folder}/nowhere.txt", f"{NO_FILE}|labelled tweets"),
        "server": Case("retrain", NO_SERVER),
    },
    "score": {
        "home": Case("score", NO_HOME),
        "empty home": Case("score", "no champion"),
        "version": Case("score --model-version 99", NO_VERSION),
        "server": Case("score", NO_SERVER),
    },
    "run": {
        "home": Case("run", NO_HOME),
        "empty home": Case("run", "Found 0 labelled tweets"),
        "file": Case("run {folder}/nowhere.csv", NO_FILE),
        "column": Case("run {two_columns}", "column"),
        "server": Case("run {tweets}", NO_SERVER),
    },
    "promote": {
        "home": Case("promote 1 --reason why", NO_HOME),
        "empty home": Case("promote 1 --reason why", "no version 1"),
        "version": Case("promote 99 --reason why", NO_VERSION),
    },
    "rollback": {
        "home": Case("rollback --reason why", NO_HOME),
        "empty home": Case("rollback --reason why", "no champion"),
    },
    "forget": {
        "home": Case("forget --user nobody", NO_HOME),
        "empty home": Case("forget --user nobody", "Nothing of nobody was found"),
    },
    "backup": {
        "home": Case("backup {folder}/saved.tar.zst", NO_HOME),
        "empty home": Case("backup {folder}/saved.tar.zst", "Saved", FINE),
        "file": Case("backup {folder}/nowhere/saved.tar.zst", NO_FOLDER),
    },
    "restore": {
        "home": Case("restore {folder}/nowhere.tar.zst", NO_HOME),
        "empty home": Case("restore {folder}/nowhere.tar.zst", NO_FILE),
        "file": Case("restore {folder}/nowhere.tar.zst", NO_FILE),
    },
    "housekeeping": {
        "home": Case("housekeeping", NO_HOME),
        "empty home": Case("housekeeping", "", FINE),
        "server": Case("housekeeping", NO_SERVER),
    },
    "open_page": {
        "home": Case("open desk", NO_HOME),
        "empty home": Case("open mlflow", "does not run in"),
    },
    "doctor": {
        "home": Case("doctor", "", (1, 2)),
        "empty home": Case("doctor", "There is no home"),
    },
    "correct": {
        "home": Case("correct 1 negative", NO_HOME),
        "empty home": Case("correct 1 negative", "tweet 1|no tweet"),
        "file": Case("correct --file {folder}/nowhere.csv", NO_FILE),
        "column": Case("correct --file {two_columns}", "column"),
    },
    "sql": {
        "home": Case("sql 'select 1'", f"{NO_HOME}|{NOTHING_PUBLISHED}"),
        "empty home": Case("sql 'select 1'", NOTHING_PUBLISHED),
        "file": Case("sql --file {folder}/nowhere.sql", NO_FILE),
        "column": Case("sql 'select nowhere from scored_tweets'", "nowhere"),
    },
    "serve": {"home": Case("serve", NO_HOME), "empty home": NEVER_ENDS},
    "up": {"home": Case("up", NO_HOME), "empty home": NEVER_ENDS},
    "explain": {
        "home": Case("explain fine", NO_HOME),
        "empty home": Case("explain fine", "no champion"),
        "version": Case("explain fine --model-version 99", NO_VERSION),
    },
}


def needs(command: Callable[..., Any]) -> set[str]:
    """What a command can lack, by its signature and its source."""
    types = get_type_hints(command)
    found = {"home", "empty home"}
    if "model_version" in types:
        found.add("version")
    if any(annotation is Path or Path in _arguments(annotation) for annotation in types.values()):
        found.add("file")
    if types.keys() & {"paths", "file", "query"}:
        found.add("column")
    if re.search(r"\b(run_flow|connect)\(", _source(command)):
        found.add("server")
    return found


def _arguments(annotation: Any) -> set[Any]:
    parts = set(get_args(annotation))
    return parts.union(*map(_arguments, parts))


def _source(command: Callable[..., Any]) -> str:
    """The command's source with that of the functions of its module that it calls."""
    module, seen = sys.modules[command.__module__], {command.__name__: inspect.getsource(command)}
    for name in re.findall(r"\b(\w+)\(", seen[command.__name__]):
        function = getattr(module, name, None)
        is_of_module = inspect.isfunction(function) and function.__module__ == module.__name__
        if is_of_module and name not in COMMANDS:
            seen.setdefault(name, inspect.getsource(function))
    return "\n".join(seen.values())


def cases() -> list[Any]:
    return [
        pytest.param(name, missing, case, id=f"{name}-{missing.replace(' ', '_')}")
        for name, entry in TABLE.items()
        for missing, case in entry.items()
        if isinstance(case, Case) and name in COMMANDS
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_answers_for_everything_it_needs(name: str) -> None:
    assert name in TABLE, f"say in TABLE what `sentiment {name}` answers when something is missing"
    missing = needs(COMMANDS[name]) - TABLE[name].keys()
    assert not missing, f"say in TABLE what `sentiment {name}` answers without: {', '.join(sorted(missing))}"


@pytest.mark.parametrize(("name", "missing", "case"), cases())
def test_what_is_missing_is_a_sentence(
    name: str,
    missing: str,
    case: Case,
    home: Path,
    files: dict[str, Path],
    filled: Home,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if missing == "home":
        home.write_text("a file")
    elif missing != "empty home" and name != "restore":  # It takes an empty home alone.
        monkeypatch.setenv("SENTIMENT_HOME", str(filled.root))
    line = case.arguments.format(folder=home.parent, **files)
    nowhere = {PREFECT_API_URL: "http://127.0.0.1:9/api"} if missing == "server" else {}
    with temporary_settings(nowhere):
        status = run(line, monkeypatch)
    shown = capsys.readouterr()
    text = shown.out + shown.err
    assert "should not have happened" not in text, text
    assert "Traceback" not in text, text
    assert status in case.statuses, text
    assert re.search(case.answer, " ".join(text.split())), text


def run(line: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a command in this process; its exit status."""
    monkeypatch.setattr(sys, "argv", ["sentiment", *shlex.split(line)])
    monkeypatch.setenv("COLUMNS", "200")
    try:
        app.main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    return 0


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory, tweet_line: Callable[..., bytes]) -> dict[str, Path]:
    """A good file of tweets, and one that lacks its columns."""
    folder = tmp_path_factory.mktemp("given")
    found = {"tweets": folder / "tweets.csv", "two_columns": folder / "two_columns.csv"}
    found["tweets"].write_bytes(tweet_line(1, "a fine tweet") + b"\n" + tweet_line(2, "a sad tweet", "0") + b"\n")
    found["two_columns"].write_text("a,b\n1,2\n")
    return found


@pytest.fixture(scope="session")
def filled(new_home: Callable[[], Home], files: dict[str, Path]) -> Home:
    """A home with two tweets, published, and a registry without a version."""
    home = new_home()
    ingest_file(home, files["tweets"])
    publish(home)
    Registry(home)
    return home
