"""A home from Python: what each method gives, and that mistakes are sentences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import sentiment
from sentiment.errors import HomeError, InputError, NoChampionError
from sentiment.registry.client import Registry
from sentiment.registry.names import RegisteredVersion
from sentiment.settings import Home
from sentiment.workspace import Workspace
from tests.desk.conftest import score


@pytest.fixture
def opened(world: Home, register: Callable[..., RegisteredVersion], registry: Registry) -> Workspace:
    """A home with a champion that knows all words, whose predictions are published."""
    registry.set_champion(register(20).model_version)
    score(world, 1, "starts_with(text, 'glad')")
    return sentiment.open(world.root)


def test_tweets_are_those_of_the_view_narrowed(opened: Workspace) -> None:
    everything = opened.tweets()
    assert len(everything) == 2400
    assert everything.equals(opened.sql("from scored_tweets order by posted_at desc nulls last, tweet_id desc"))
    assert opened.tweets("GLAD7", limit=3)["text"].str.starts_with("glad7").all()
    assert len(opened.tweets(label="positive")) == 1200
    assert len(opened.tweets(user="ANN", since="2009-04-07", until="2009-04-08")) == 2400
    assert opened.tweets(since="2009-04-08").is_empty()


def test_days_are_those_of_the_view(opened: Workspace) -> None:
    assert opened.daily()["count_tweets"].to_list() == [2400]


def test_predictions_and_explanations_are_the_champions(opened: Workspace) -> None:
    found = opened.predict(["glad1 today", "sad1 today"])
    assert found["label"].to_list() == ["positive", "negative"]
    assert found.columns == ["text", "label", "probability_positive"]
    words = opened.explain("glad1 today")
    assert words.sort("contribution", descending=True)["token"][0] == "glad1"
    assert opened.predict([]).is_empty()
    with pytest.raises(InputError, match="Expected a list of texts"):
        opened.predict("glad1")


def test_corrections_are_published_at_once(opened: Workspace) -> None:
    report = opened.correct({1: "negative", 999_999: "positive"}, by="ann")
    assert (report.count_written, len(report.refused)) == (1, 1)
    assert opened.sql("select tweet_id, label, corrected_by from corrections").rows() == [(1, "negative", "ann")]
    assert opened.correct({}).count_written == 0


def test_what_is_missing_is_a_sentence(tmp_path: Path, home: Home) -> None:
    with pytest.raises(HomeError, match="There is no home"):
        sentiment.open(tmp_path / "nowhere")
    with pytest.raises(HomeError, match="Nothing has been published"):
        sentiment.open(home.root).tweets()
    with pytest.raises(NoChampionError):
        sentiment.open(home.root).predict(["text"])
