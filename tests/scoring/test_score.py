"""Each tweet is scored once by a version, also after kills; readers never see a mixture."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import polars as pl
import pytest

from sentiment.errors import InputError, ModelError, NoChampionError
from sentiment.model.classifier import SentimentModel
from sentiment.model.config import ModelConfig
from sentiment.model.features import FeatureConfig
from sentiment.model.lexicon import Lexicon
from sentiment.registry.client import Registry
from sentiment.scoring import score as scoring
from sentiment.scoring import worker
from sentiment.scoring.score import Selection
from sentiment.settings import Home

PREDICTIONS = "select * from predictions order by all"
SHOWN = "select model_version, count(*) from scored_tweets group by 1"
COUNT_TWEETS = 2400


def kill_after(chunks: int) -> Callable[[int, int], None]:
    """An `on_progress` that ends the run once so many chunks are committed."""
    seen: list[int] = []

    def progress(done: int, total: int) -> None:
        seen.append(done)
        if len(seen) == chunks:
            raise KeyboardInterrupt

    return progress


def test_every_tweet_is_scored_once_and_shown(
    world: Home, score: Callable, rows_of: Callable, checks_pass: Callable
) -> None:
    progress: list[tuple[int, int]] = []
    report = score(on_progress=lambda done, total: progress.append((done, total)))
    assert (report.count_scored, report.count_tweets, report.is_complete, report.is_published) == (
        2400,
        2400,
        True,
        True,
    )
    assert progress == [(1000, 2400), (2000, 2400), (2400, 2400)]
    assert rows_of(world, SHOWN) == [(1, 2400)]
    checks_pass(world)
    wrong = "select count(*) from scored_tweets where label != source_label"
    assert rows_of(world, wrong) == [(0,)]
    cut = "select count(*) from predictions where (probability_positive >= 0.5) != (label = 'positive')"
    assert rows_of(world, cut) == [(0,)]
    assert not [path for path in (world.work / "scoring").rglob("*") if path.is_file()]
    assert not (world.work / "shard.parquet").exists()


def test_again_writes_nothing_and_makes_no_second_pass(
    world: Home, score: Callable, rows_of: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    score()
    before, modified = rows_of(world, PREDICTIONS), world.warehouse.stat().st_mtime_ns
    monkeypatch.setattr(Registry, "files", None)
    report = score(run_id="another")
    assert (report.count_scored, report.is_complete, report.is_published) == (0, True, True)
    assert rows_of(world, PREDICTIONS) == before
    assert world.warehouse.stat().st_mtime_ns == modified


def test_only_new_tweets_are_scored(
    world: Home, score: Callable, rows_of: Callable, tweet_line: Callable, ingest_lines: Callable
) -> None:
    score()
    ingest_lines(world, tweet_line(9001, "glad1 new"), tweet_line(9002, "sad1 new", "0"), name="new.csv")
    assert rows_of(world, SHOWN) == [(1, 2400)]
    assert score(run_id="later").count_scored == 2
    assert rows_of(world, "select tweet_id from predictions where run_id = 'later' order by 1") == [(9001,), (9002,)]
    assert rows_of(world, SHOWN) == [(1, 2402)]


@pytest.mark.parametrize("chunks", [1, 2, 3])
def test_a_kill_loses_at_most_a_chunk_and_doubles_nothing(
    world: Home, score: Callable, rows_of: Callable, checks_pass: Callable, chunks: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        score(on_progress=kill_after(chunks))
    committed = min(chunks * 1000, COUNT_TWEETS)
    assert rows_of(world, "select count(*) from predictions") == [(committed,)]
    assert rows_of(world, SHOWN) == []
    report = score(run_id="resumed")
    assert report.count_scored == COUNT_TWEETS - committed
    assert rows_of(world, SHOWN) == [(1, COUNT_TWEETS)]
    checks_pass(world)


def test_a_killed_chunk_leaves_no_part_of_itself(
    world: Home, score: Callable, rows_of: Callable, checks_pass: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict, calls = worker.predict_frame, []

    def predict_then_die(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:  # the second half of the second chunk
            raise KeyboardInterrupt
        return predict(*args)

    with monkeypatch.context() as patch:
        patch.setattr(worker, "predict_frame", predict_then_die)
        with pytest.raises(KeyboardInterrupt):
            score()
    assert rows_of(world, "select count(*) from predictions") == [(1000,)]
    score()
    checks_pass(world)


def test_readers_see_the_former_champion_until_the_new_one_has_scored_everything(
    world: Home, registry: Registry, score: Callable, rows_of: Callable
) -> None:
    score()
    registry.set_champion(2)
    with pytest.raises(KeyboardInterrupt):
        score(on_progress=kill_after(2))
    assert rows_of(world, SHOWN) == [(1, 2400)]
    assert score().is_published
    assert rows_of(world, SHOWN) == [(2, 2400)]
    assert rows_of(world, "select count(*) from published_model") == [(1,)]


def test_another_version_scores_without_being_shown(world: Home, score: Callable, rows_of: Callable) -> None:
    score()
    report = score(model_version=2)
    assert (report.count_scored, report.is_complete, report.is_published) == (2400, True, False)
    assert rows_of(world, SHOWN) == [(1, 2400)]
    assert rows_of(world, "select model_version, count(*) from predictions group by 1 order by 1") == [
        (1, 2400),
        (2, 2400),
    ]


def test_a_past_range_is_filled_with_another_version_and_goes_on_where_it_was_killed(
    world: Home, score: Callable, rows_of: Callable
) -> None:
    rows_of(world, "update tweets set posted_at = '2009-05-01'::timestamptz + interval (tweet_id) minute")
    limits = {"since": datetime(2009, 5, 1, 4, tzinfo=UTC), "until": datetime(2009, 5, 2)}
    with pytest.raises(KeyboardInterrupt):
        score(model_version=2, on_progress=kill_after(1), chunk_rows=500, **limits)
    report = score(model_version=2, **limits)
    assert (report.count_scored, report.is_complete, report.is_published) == (940, False, False)
    assert score(model_version=2, **limits).count_scored == 0
    select = "select model_version, min(tweet_id), max(tweet_id), count(*) from predictions group by 1"
    assert rows_of(world, select) == [(2, 240, 1439, 1200)]
    with pytest.raises(InputError, match="Swap the two"):
        score(since=limits["until"], until=limits["since"])


def test_since_scores_later_tweets_alone_and_does_not_flip(
    world: Home, score: Callable, rows_of: Callable, tweet_line: Callable, ingest_lines: Callable
) -> None:
    ingest_lines(world, tweet_line(9001, "glad1 late", date="Sun Nov 01 00:00:00 UTC 2009"), name="new.csv")
    report = score(since=datetime(2009, 10, 1, tzinfo=UTC))
    assert (report.count_scored, report.is_complete, report.is_published) == (1, False, False)
    assert rows_of(world, SHOWN) == []
    assert score().count_scored == 2400


def test_a_text_that_changed_while_it_was_scored_is_scored_anew(
    world: Home,
    score: Callable,
    rows_of: Callable,
    tweet_line: Callable,
    ingest_lines: Callable,
    checks_pass: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ingest_lines(world, tweet_line(9001, "glad1 new :(", ""), name="new.csv")
    predict = worker.predict_frame
    asked: list[str] = []

    def predict_and_note(model: Any, frame: pl.DataFrame, count_labels: Literal[2, 3]) -> pl.DataFrame:
        asked.extend(frame.filter(tweet_id=9001)["text"])
        return predict(model, frame, count_labels)

    def relabel(done: int, total: int) -> None:
        if done == 2000:
            ingest_lines(world, tweet_line(9001, "glad1 new :(", ""), name="e.csv", label_by_emoticon=True)

    monkeypatch.setattr(worker, "predict_frame", predict_and_note)
    report = score(on_progress=relabel, chunk_rows=2000)
    assert asked == ["glad1 new :(", "glad1 new"]
    assert (report.count_scored, report.is_published) == (2401, True)
    assert rows_of(world, "select text from scored_tweets where tweet_id = 9001") == [("glad1 new",)]
    checks_pass(world)


def test_tweets_that_another_run_scored_meanwhile_are_left_out(
    world: Home, score: Callable, rows_of: Callable, checks_pass: Callable
) -> None:
    raced: list[int] = []

    def race(done: int, total: int) -> None:
        if not raced:
            raced.append(1)
            rows_of(
                world,
                "insert into predictions select tweet_id, 1, 0.5, 'positive', now(), 'race', null from tweets "
                "where tweet_id not in (select tweet_id from predictions) limit 300",
            )

    assert score(on_progress=race).count_scored == 2100
    checks_pass(world)


def test_without_a_champion_and_with_an_unknown_version_it_says_so(world: Home, registry: Registry) -> None:
    with pytest.raises(NoChampionError, match=r"no champion to score with\. Train one first: sentiment retrain"):
        scoring.score(world, registry, run_id="run")
    with pytest.raises(ModelError, match="There is no version 9"):
        scoring.score(world, registry, run_id="run", selection=Selection(9))


def test_predictions_do_not_depend_on_the_chunks(world: Home, score: Callable, rows_of: Callable) -> None:
    score(chunk_rows=7 * 100)
    query = "select tweet_id, round(probability_positive, 5) from predictions order by 1"
    first = rows_of(world, query)
    rows_of(world, "truncate predictions")
    rows_of(world, "truncate scored_ranges")
    score(chunk_rows=5000)
    assert rows_of(world, query) == first


def test_a_frame_gets_probability_and_label(lexicon_model: Callable) -> None:
    frame = worker.predict_frame(lexicon_model(20), pl.DataFrame({"text": ["glad1", "sad1", "nothing known"]}))
    assert frame["label"].to_list() == ["positive", "negative", "positive"]
    assert frame.schema["probability_positive"] == frame.schema["probability_neutral"] == pl.Float32


@pytest.mark.parametrize(("count_labels", "label"), [(3, "neutral"), (2, "positive")])
def test_a_text_without_mood_is_neutral_unless_two_labels_are_asked_for(
    count_labels: Literal[2, 3], label: str
) -> None:
    lexicon = Lexicon.shipped()
    model = SentimentModel(
        ModelConfig(features=FeatureConfig(ngram_bits=10), lexicon=lexicon.config, lexicon_weight=4.0)
    )
    model.lexicon = lexicon
    frame = worker.predict_frame(model, pl.DataFrame({"text": ["the train to york", "i love it"]}), count_labels)
    assert frame["label"].to_list() == [label, "positive"]
    assert frame["probability_neutral"].null_count() == (0 if count_labels == 3 else 2)
