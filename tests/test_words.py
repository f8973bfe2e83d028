"""The project speaks the words of its field: none of the private vocabulary that it began with comes back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

# A pattern for each word that has a name in the field, or that a native speaker stumbles over, and what to write instead.
PRIVATE = {
    r"slopes?\b": "gradient",
    r"(of|the|with) caution|caution\b": "initial accumulator",
    r"heed(s|ed|ing)?\b": "token weight",
    r"\b(a|the) walk\b|def walk\b|\bWalk\b": "forward pass, activations",
    r"(the|its) way back\b": "backward pass",
    r"lessons?\b": "update",
    r"\bbend(s|ing)?\b|\bbent\b|\bBend\b": "calibration",
    r"(stranger?|familiar) words?": "out-of-vocabulary",
    r"mend(s|ed|ing|able)?\b": "fix, repair",
    r"\bstands? (in|for|on|beside|alone|there|below|above|out|before|first|behind|at)\b|\bstood\b": "is, means",
    r"\bbeside\b": "next to, with",
    r"laid aside|lay aside|lies aside": "staged",
    r"for ever\b": "forever, until",
    r"\b(he|she|they|it|who) (is|are|was|were) told\b|\btold (of|that)\b": "is notified, learns",
    r"\bplayed clock\b": "frozen clock",
    r"\bthe like\b|\bof old\b|\bdear\b(?! )|and dear\b": "costly",
    r"\bwhoever\b": "anyone who",
    r"none of tweets|has no word for it": "plain words",
}
# Rooms whose words have been read and edited; a room that is added stays that way.
CLEAN = [
    "sentiment/registry",
    "sentiment/gate/decide.py",
    "sentiment/gate/decision.py",
    "sentiment/gate/history.py",
    "sentiment/locks.py",
    "sentiment/settings.py",
    "sentiment/errors.py",
    "flows/cli/app.py",
    "flows/cli/run.py",
    "flows/cli/options.py",
    "flows/cli/terminal.py",
    "flows/cli/demo.py",
    "flows/cli/query.py",
    "docs/architecture.md",
    "docs/glossary.md",
    "CONTRIBUTING.md",
    "Makefile",
    "pyproject.toml",
]
SUFFIXES = {".py", ".md", ".sql", ".toml", ".yaml", ".yml", ".html", ""}


def files(repository: Path, place: str) -> list[Path]:
    path = repository / place
    if path.is_file():
        return [path]
    return [file for file in sorted(path.rglob("*")) if file.is_file() and file.suffix in SUFFIXES]


def private_words(text: str) -> list[tuple[int, str, str]]:
    """Line, what was found, and what to write instead."""
    return [
        (number, match.group(), instead)
        for number, line in enumerate(text.splitlines(), start=1)
        for pattern, instead in PRIVATE.items()
        for match in re.finditer(pattern, line, re.IGNORECASE)
    ]


@pytest.mark.parametrize("place", CLEAN)
def test_the_words_are_those_of_the_field(repository: Path, place: str) -> None:
    found = [
        f"{path.relative_to(repository)}:{line}: {word!r}, write {instead!r}"
        for path in files(repository, place)
        for line, word, instead in private_words(path.read_text(errors="ignore"))
    ]
    assert found == []


def test_private_words_are_found() -> None:
    text = "add up the slopes\nto mend it\nwhat stands in the file\nthe gradient is in the file"
    assert [word for _, word, _ in private_words(text)] == ["slopes", "mend", "stands in"]
