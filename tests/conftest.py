"""A home of its own for each test, and files of a few tweets."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sentiment.ingest import IngestReport, ingest_file
from sentiment.settings import Home, Settings
from sentiment.warehouse import writer

# Whoever runs the tests may work with a home and thresholds of their own.
for name in [name for name in os.environ if name.startswith("SENTIMENT_")]:
    del os.environ[name]

DATE = "Mon Apr 06 22:19:45 PDT 2009"


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The defaults, but for the patience."""
    return Settings(writer_wait_seconds=5)


@pytest.fixture(scope="session")
def new_home(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Callable[[], Home]:
    """Makes empty homes; the schema is applied once and copied."""
    template = Home(tmp_path_factory.mktemp("template")).create()
    with writer(template, settings):
        pass

    def make() -> Home:
        home = Home(tmp_path_factory.mktemp("home")).create()
        shutil.copyfile(template.warehouse, home.warehouse)
        return home

    return make


@pytest.fixture
def home(new_home: Callable[[], Home]) -> Home:
    """An empty home."""
    return new_home()


@pytest.fixture(scope="session")
def tweet_line() -> Callable[..., bytes]:
    """Makes a line of the Sentiment140 format, without its line break; `text` may be bytes."""

    def line(
        tweet_id: object,
        text: str | bytes,
        label: str = "4",
        *,
        date: str = DATE,
        user: str = "ann",
        query: str = "NO_QUERY",
    ) -> bytes:
        start = f'"{label}","{tweet_id}","{date}","{query}","{user}","'.encode()
        return start + (text.encode() if isinstance(text, str) else text) + b'"'

    return line


@pytest.fixture(scope="session")
def ingest_lines(settings: Settings) -> Callable[..., IngestReport]:
    """Writes lines into a file of the home's inbox and ingests it."""

    def ingest(home: Home, *lines: bytes, name: str = "tweets.csv", **options: Any) -> IngestReport:
        path = home.inbox / name
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        return ingest_file(home, settings, path, **options)

    return ingest


@pytest.fixture(scope="session")
def rows_of(settings: Settings) -> Callable[[Home, str], list[tuple[Any, ...]]]:
    """What a query finds in the writer's warehouse."""

    def rows(home: Home, query: str) -> list[tuple[Any, ...]]:
        with writer(home, settings) as warehouse:
            return warehouse.connection.execute(query).fetchall()

    return rows


@pytest.fixture(scope="session")
def checks_pass(settings: Settings) -> Callable[[Home], None]:
    """Fails if any check of the warehouse's tables in sql/checks/ returns a row."""
    names = ("tweets_are_unique", "predictions_are_unique", "files_reconcile", "published_version_is_complete")

    def check(home: Home) -> None:
        with writer(home, settings) as warehouse:
            found = {name: warehouse.run(f"checks/{name}").fetchall() for name in names}
        assert found == dict.fromkeys(names, [])

    return check


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]
