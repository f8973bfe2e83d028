"""Rules on the code itself: who may import whom, where SQL lives, and that nothing lies about unused."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from docs import architecture

FOLDERS = ("sentiment", "flows", "tests", "benchmarks", "simulations")
LONGEST_FILE = 400
SQL = re.compile(
    r"^\s*(select\s|insert\s+into\s|update\s+\w+\s+set\s|delete\s+from\s|merge\s+into\s|copy\s+[\w(]|with\s+\w+\s+as\b"
    r"|create\s+(or\s+replace\s+)?(temp\w*\s+)?(table|view|index|schema)\s|(alter|drop|truncate)\s+(table|view)\s)",
    re.IGNORECASE,
)


def modules(repository: Path, *folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (repository / folder).rglob("*.py"))


def strings(path: Path) -> Iterator[str]:
    """Strings of a module that are no docstrings, with a `*` for each value that is formatted in."""
    tree = ast.parse(path.read_text())
    passed_over = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            passed_over |= {id(part) for part in node.values}
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in passed_over:
            yield node.value


def test_imports_go_the_ways_that_are_agreed(repository: Path) -> None:
    assert lint_imports(str(repository / "pyproject.toml"), no_cache=True, no_logo=True) == 0


def test_no_file_is_longer_than_can_be_read_at_once(repository: Path) -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in modules(repository, *FOLDERS)}
    assert {str(path): length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def test_there_are_no_modules_for_whatever_fits_nowhere(repository: Path) -> None:
    names = {path.stem for path in modules(repository, *FOLDERS)}
    assert not names & {"utils", "util", "helpers", "helper", "common", "manager", "misc"}


def test_every_module_says_what_it_is(repository: Path) -> None:
    paths = [path for path in modules(repository, *FOLDERS) if path.read_text().strip()]
    assert [str(path) for path in paths if ast.get_docstring(ast.parse(path.read_text())) is None] == []


@pytest.mark.parametrize(
    "text", ["select 1", " WITH a AS (", "insert into t", "create or replace view v as", "copy t to"]
)
def test_sql_is_recognised(text: str) -> None:
    assert SQL.match(text)


def test_there_is_no_sql_in_python(repository: Path) -> None:
    found = {
        f"{path.relative_to(repository)}: {text}"
        for path in modules(repository, "sentiment", "flows")
        for text in strings(path)
        if SQL.match(text)
    }
    assert found == set()


def test_nothing_in_sql_lies_about_unused(repository: Path) -> None:
    """Steps are run by the library or a flow; a check may also be run by the tests alone."""
    code = {text for path in modules(repository, "sentiment", "flows") for text in strings(path)}
    tests = {text for path in modules(repository, "tests") for text in strings(path)}
    for folder, texts in (("steps", code), ("checks", code | tests)):
        root = repository / "sql"
        names = [str(path.relative_to(root).with_suffix("")) for path in (root / folder).rglob("*.sql")]
        # A bare `*` matches any value.
        patterns = [text for text in texts if text.strip("*/")]
        unused = [
            name
            for name in names
            if not any(fnmatch(name, text) or (folder == "checks" and name.endswith(f"/{text}")) for text in patterns)
        ]
        assert unused == []


def test_every_sql_file_that_is_asked_for_is_there(repository: Path) -> None:
    asked = {
        text
        for path in modules(repository, "sentiment", "flows")
        for text in strings(path)
        if re.fullmatch(r"(steps|checks|queries)/[\w/]+", text)
    }
    assert [text for text in sorted(asked) if not (repository / "sql" / f"{text}.sql").exists()] == []


TWEETS = r"(?<![\w.])tweets\b"
"""The table of the warehouse, not that of an attached snapshot."""


def forgotten_change_numbers(sql: str) -> list[str]:
    """Statements that write rows of `tweets` without a new change number, and no later statement gives them one."""
    statements = re.sub(r"--.*", "", sql).lower().split(";")
    updates = [text for text in statements if re.search(rf"\bupdate\s+{TWEETS}", text)]
    inserts = [text for text in statements if re.search(rf"\binsert\s+into\s+{TWEETS}", text)]
    # An insert that does not name the column takes its default, which is the next number.
    wrong = [text for text in inserts if "change_number" in text.partition(" from ")[0] or "by name" not in text]
    if updates and "change_number = nextval('change_numbers')" not in updates[-1]:
        wrong.append(updates[-1])
    return wrong


def test_whatever_changes_a_tweet_gives_it_a_new_change_number(repository: Path) -> None:
    """Else a changed text is not scored again, and an old snapshot that is brought up to date keeps the old row."""
    paths = [path for path in (repository / "sql").rglob("*.sql") if path.parent.name != "tables"]
    texts = {str(path): path.read_text() for path in paths}
    assert {path: wrong for path, text in texts.items() if (wrong := forgotten_change_numbers(text))} == {}
    assert sum(bool(re.search(rf"(update|into)\s+{TWEETS}", text)) for text in texts.values()) >= 3


@pytest.mark.parametrize(
    ("sql", "is_wrong"),
    [
        ("update tweets set label = 'x'", True),
        ("update tweets set label = 'x', change_number = nextval('change_numbers')", False),
        ("update tweets set a = 1; update tweets set change_number = nextval('change_numbers') from i", False),
        (
            "-- a comment; update\nupdate  tweets\nset change_number = nextval('change_numbers'); update tweets set a = 1",
            True,
        ),
        ("insert into tweets by name select tweet_id, text from incoming", False),
        ("insert into tweets by name select tweet_id, change_number from incoming", True),
        ("insert into draft.main.tweets select tweet_id, change_number from source.main.tweets", False),
        ("update gold_tweets set label = 'x'", False),
    ],
)
def test_a_forgotten_change_number_is_found(sql: str, is_wrong: bool) -> None:
    assert bool(forgotten_change_numbers(sql)) == is_wrong


def test_every_check_and_view_opens_with_what_it_expects(repository: Path) -> None:
    for path in (repository / "sql" / "checks").glob("*.sql"):
        comment = path.read_text().partition("\nselect")[0].partition("\nwith")[0]
        assert "Expected: none" in comment, path
        assert "Likely cause: " in comment, path
    for path in (repository / "sql" / "views").glob("*.sql"):
        text = path.read_text()
        assert text.startswith("-- Grain: one row ") or "create or replace macro" in text, path


def test_what_runs_many_times_a_day_waits_for_no_library_that_it_may_not_need() -> None:
    """`ingest` runs every 15 minutes and `score` every hour, mostly to find nothing; torch alone would cost three seconds."""
    code = (
        "import sys, flows.ingest, flows.score, flows.monitor, flows.housekeeping; "
        "print(*{'torch', 'mlflow', 'sqlalchemy', 'matplotlib'} & sys.modules.keys())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


RENAMES_WITHOUT_CONTENT = {
    "flows/server/ephemeral.py": "the log of Prefect's server, when it is rotated",
    "flows/server/processes.py": "the log of a process of `sentiment up`, when it is rotated",
}


def renames_and_flushes(path: Path) -> Iterator[ast.Call]:
    """Calls of `Path.replace` (one argument; `str.replace` takes two), `rename`, `os.replace` and `fsync`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        of_os = isinstance(node.func.value, ast.Name) and node.func.value.id == "os"
        is_of_path = node.func.attr in ("replace", "rename") and len(node.args) == 1 and not node.keywords
        if is_of_path or (of_os and node.func.attr in ("replace", "rename", "renames", "fsync", "fdatasync")):
            yield node


def test_files_are_replaced_in_one_way(repository: Path) -> None:
    """What a power cut must not tear is written by `atomic_write` or its siblings, which flush in the right order."""
    found = {
        str(path.relative_to(repository))
        for path in modules(repository, "sentiment", "flows")
        if any(renames_and_flushes(path))
    }
    assert found - {"sentiment/model/atomic.py"} == RENAMES_WITHOUT_CONTENT.keys()


MOST_ROOMS, MOST_FLOORS = 25, 10
MOST_LINES, MOST_PARAMETERS = 60, 6
# Nothing may be added. Compiled loops and operators registered with torch take each array by itself.
WIDE_SIGNATURES = {"_embed", "embed", "embed_forward", "embed_plain"}


def test_the_picture_of_the_architecture_is_what_the_imports_say(repository: Path) -> None:
    assert architecture.drawn(architecture.survey(repository)) in architecture.TARGET.read_text(), (
        "run: python -m docs.architecture --write"
    )


def test_the_house_is_small_enough_to_be_known(repository: Path) -> None:
    house = architecture.survey(repository)
    assert house.circles == []
    assert len(house.floors) <= MOST_ROOMS
    assert max(house.floors.values()) <= MOST_FLOORS


def test_functions_and_signatures_can_be_read_at_once(repository: Path) -> None:
    functions = architecture.survey(repository).functions
    long = {function.name for function in functions if function.lines > MOST_LINES}
    wide = {function.name for function in functions if function.parameters > MOST_PARAMETERS and not function.is_form}
    assert (long, wide - WIDE_SIGNATURES) == (set(), set())


def test_circles_and_floors_are_found(tmp_path: Path) -> None:
    modules = {
        "sentiment/first/one.py": "from sentiment.second import two",
        "sentiment/second/two.py": "def late():\n    from ..first.one import x",
        "sentiment/third.py": "import sentiment.first.one",
        "flows/score.py": "from sentiment import third",
    }
    for name, text in modules.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    house = architecture.survey(tmp_path)
    assert house.circles == [{"sentiment.first.one", "sentiment.second.two"}]
    assert house.floors == {"first": 1, "second": 1, "third": 2, "flows": 3}
    assert ("flows", "third") in house.arrows
