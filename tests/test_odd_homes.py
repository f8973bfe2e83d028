"""Homes at paths with characters that addresses and patterns give a meaning to: they work, or are refused by name."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flows.server.ephemeral import TemporaryServer
from sentiment.errors import HomeError
from sentiment.ingest.load import ingest_file
from sentiment.model.classifier import SentimentModel
from sentiment.registry.client import Registry
from sentiment.settings import Home, open_home
from sentiment.training.subsets import export
from sentiment.warehouse.connection import reader, writer
from sentiment.warehouse.snapshot import publish

WORKS = "sp ace it's quo\"te #1 50% %20 {a,b} tab\tbed ümlaut🦆 a&b=c;d+e:f@g $HOME~!|<>,"


@pytest.fixture
def home(new_home: Callable[[], Home], request: pytest.FixtureRequest) -> Home:
    """A home at a path with an odd name."""
    return moved(new_home(), request.param)


def moved(home: Home, name: str) -> Home:
    (home.root.parent / f"of-{home.root.name}").mkdir()
    return replace(home, root=home.root.rename(home.root.parent / f"of-{home.root.name}" / name))


@pytest.mark.parametrize("home", [WORKS], indirect=True)
def test_a_model_is_registered_and_found_at_any_path(
    home: Home, lexicon_model: Callable[[int], SentimentModel], tmp_path: Path
) -> None:
    neighbours = set(home.root.parent.iterdir())
    registry = Registry(home)
    model = lexicon_model(20)
    (tmp_path / "fed.parquet").write_bytes(b"")
    pl.DataFrame({"tweet_id": [1]}).write_parquet(tmp_path / "fed.parquet")
    with registry.training_run("key", "at an odd path") as run_id:
        version = registry.register(run_id, "key", model, {"fed_rows.parquet": tmp_path / "fed.parquet"}, {})
        registry.log_text(run_id, "text", "note.txt")
    registry.set_champion(version.model_version)
    again = Registry(home, read_only=True)
    assert again.champion() == version
    assert again.fed_rows(version) is not None
    text = ["glad1 today"]
    np.testing.assert_allclose(again.load(1).predict_probability(text), model.predict_probability(text))
    assert set(home.root.parent.iterdir()) == neighbours


@pytest.mark.parametrize("home", [WORKS], indirect=True)
def test_tweets_are_loaded_published_and_exported_at_any_path(
    home: Home, tweet_line: Callable[..., bytes], tmp_path: Path
) -> None:
    (tmp_path / "tweets.csv").write_bytes(
        b"".join(tweet_line(i, f"text {i}", "04"[i % 2]) + b"\n" for i in range(1, 300))
    )
    ingest_file(home, tmp_path / "tweets.csv")
    publish(home)
    with reader(home) as snapshot:
        assert snapshot.value("steps/warehouse/count_tweets") == 299
    with writer(home) as warehouse:
        assert len(pl.read_parquet(export(warehouse, home).train)) > 100
    assert [path.name for path in home.root.parent.iterdir()] == [home.root.name]


@pytest.mark.parametrize("home", [WORKS], indirect=True)
def test_prefects_server_keeps_its_database_in_the_home(home: Home) -> None:
    server = TemporaryServer(home.root)
    try:
        server.wait()
    finally:
        server.stop()
    with closing(sqlite3.connect(home.prefect / "prefect.db")) as database:
        assert database.execute("select count(*) from flow_run").fetchone() == (0,)
    assert [path.name for path in home.root.parent.iterdir()] == [home.root.name]


@pytest.mark.parametrize(
    ("name", "character"), [("what?now", "'?'"), ("a*b", "'*'"), ("[1]", "'['"), ("a\nb", r"'\n'"), ("a\\b", r"'\\'")]
)
def test_a_path_that_cannot_be_taken_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, character: str
) -> None:
    monkeypatch.setenv("SENTIMENT_HOME", str(tmp_path / name / "home"))
    with pytest.raises(HomeError) as error:
        open_home()
    assert character in str(error.value)
    assert list(tmp_path.iterdir()) == []
