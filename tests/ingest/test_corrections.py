"""Labels that people give later: what is taken, and what training and evaluation make of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from sentiment import clock
from sentiment.errors import InputError
from sentiment.gate.decide import decide_on
from sentiment.ingest.corrections import CorrectionReport, correct, read_corrections
from sentiment.registry.client import Registry
from sentiment.settings import Home
from sentiment.training.subsets import Export, export
from sentiment.training.versions import TrainedVersion, evaluate_version, look_ahead
from sentiment.warehouse.connection import writer

WORDS = ("negative", "positive")


@pytest.fixture
def say() -> Callable[..., CorrectionReport]:
    """Corrects tweets of a home, given as (tweet_id, label) pairs."""

    def say(home: Home, *pairs: tuple[object, str], by: str = "ann") -> CorrectionReport:
        given = pl.DataFrame(
            [(str(tweet), label) for tweet, label in pairs], schema=["tweet_id", "label"], orient="row"
        )
        return correct(home, given, corrected_by=by)

    return say


@pytest.fixture
def take() -> Callable[[Home], Export]:
    def take(home: Home) -> Export:
        with writer(home) as warehouse:
            return export(warehouse, home)

    return take


@pytest.fixture
def four(home: Home, tweet_line: Callable, ingest_lines: Callable) -> Home:
    """Four tweets."""
    ingest_lines(home, *(tweet_line(number, f"text {number}") for number in range(1, 5)))
    return home


def test_the_newest_correction_counts_and_all_are_kept(four: Home, say: Callable, rows_of: Callable) -> None:
    say(four, (1, "negative"))
    say(four, (1, "positive"), by="bob")
    assert rows_of(four, "select tweet_id, label, corrected_by from newest_corrections") == [(1, "positive", "bob")]
    assert rows_of(four, "select count(*) from corrections") == [(2,)]
    assert rows_of(four, "select label, label_source from tweets where tweet_id = 1") == [("positive", "file")]


def test_the_last_correction_counts_also_when_the_clock_was_set_back(
    four: Home, say: Callable, rows_of: Callable
) -> None:
    for day, first, second in ((3, "negative", "neutral"), (1, "positive", "negative"), (2, "neutral", "positive")):
        with clock.play(datetime(2026, 5, day, tzinfo=UTC)):
            say(four, (1, first), (2, first), (1, second))
    newest = "select tweet_id, label from newest_corrections order by tweet_id"
    assert rows_of(four, newest) == [(1, "positive"), (2, "neutral")]
    assert rows_of(four, "select count(*), count(distinct corrected_at) from corrections where tweet_id = 1") == [
        (6, 6)
    ]


def test_of_two_rows_for_a_tweet_the_later_counts_and_the_same_again_writes_nothing(
    four: Home, say: Callable, rows_of: Callable
) -> None:
    given = [(1, "negative"), (2, "neutral"), (1, "positive")]
    assert say(four, *given).count_written == 3
    newest = "select tweet_id, label from newest_corrections order by 1"
    assert rows_of(four, newest) == [(1, "positive"), (2, "neutral")]
    again = say(four, (1, "positive"), (2, "neutral"))
    assert (again.count_written, again.count_unchanged) == (0, 2)
    assert rows_of(four, newest) == [(1, "positive"), (2, "neutral")]


def test_unknown_tweets_and_labels_are_named_and_the_others_written(
    four: Home, say: Callable, rows_of: Callable
) -> None:
    report = say(four, (1, "negative"), (99, "negative"), (2, "sad"), ("x", "positive"), (3, " Positive "))
    assert [(found.row, found.reason) for found in report.refused] == [
        (2, "there is no tweet '99'"),
        (3, "the label 'sad' is not negative, neutral or positive"),
        (4, "there is no tweet 'x'"),
    ]
    assert "row 3: the label 'sad' is not" in report.sentence
    assert rows_of(four, "select tweet_id, label from corrections order by 1") == [(1, "negative"), (3, "positive")]


@pytest.mark.parametrize("ending", ["csv", "parquet", "ndjson"])
def test_files_of_each_format_are_read(four: Home, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"labels.{ending}"
    frame = pl.DataFrame(
        {"tweet_id": [1, 2], "label": ["negative", "neutral"], "corrected_by": ["eve", None], "x": [0, 0]}
    )
    getattr(frame, f"write_{ending}")(path)
    assert correct(four, read_corrections(path), corrected_by="ann").count_written == 2
    with writer(four) as warehouse:
        found = warehouse.connection.execute("select label, corrected_by from corrections order by tweet_id").fetchall()
    assert found == [("negative", "eve"), ("neutral", "ann")]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", b"tweet_id,sentiment\n1,negative\n", "lacks the column label: it has tweet_id, sentiment"),
        ("a.xlsx", b"PK", r"ends in \.xlsx, expected one of \.csv, \.parquet, \.ndjson"),
        ("a.parquet", b"nothing of the kind", "cannot be read as PARQUET"),
        ("a.csv", b"", "cannot be read as CSV"),
    ],
)
def test_what_is_no_file_of_corrections_is_said(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_corrections(tmp_path / name)


def test_a_correction_overrides_the_sources_in_training_and_never_changes_sides(
    world: Home, frozen: Export, take: Callable, say: Callable, tweet_line: Callable, ingest_lines: Callable
) -> None:
    ingest_lines(
        world, tweet_line(5001, "unlabelled new 1", ""), tweet_line(5001, "unlabelled new 1", ""), name="u.csv"
    )
    ingest_lines(world, *(tweet_line(5002, "conflict new 9", label) for label in "04"), name="c.csv")
    before = pl.read_parquet(frozen.train)
    flipped, neutral = before["tweet_id"][0], before["tweet_id"][1]
    other = WORDS[1 - before["label"][0]]
    say(world, (flipped, other), (neutral, "neutral"), (5001, "negative"), (5002, "positive"))
    after = take(world)
    train, holdout = pl.read_parquet(after.train), pl.read_parquet(after.holdout)
    both = pl.concat(
        [train.select("tweet_id", "label", "label_source"), holdout.select("tweet_id", "label", "label_source")]
    )
    corrected = both.filter(label_source="correction").sort("tweet_id").rows()
    assert corrected == sorted(
        [(flipped, WORDS.index(other), "correction"), (5001, 0, "correction"), (5002, 1, "correction")]
    )
    assert neutral not in both["tweet_id"]
    assert flipped in train["tweet_id"]
    assert not set(train["text_key"]) & set(holdout["text_key"])
    assert set(holdout["tweet_id"]) - {5001, 5002} == set(pl.read_parquet(frozen.holdout)["tweet_id"])


def test_a_corrected_copy_speaks_for_its_text_in_the_holdout(
    world: Home, frozen: Export, take: Callable, say: Callable, tweet_line: Callable, ingest_lines: Callable
) -> None:
    first, second = pl.read_parquet(frozen.holdout).head(2).iter_rows(named=True)
    ingest_lines(
        world,
        *(
            tweet_line(6000 + number, f"{row['text'].upper()}!", "04"[row["label"]])
            for number, row in enumerate((first, second))
        ),
        name="copies.csv",
    )
    say(world, (6000, WORDS[1 - first["label"]]), (6001, "neutral"))
    after = take(world)
    holdout = pl.read_parquet(after.holdout)
    assert holdout.filter(text_key=first["text_key"]).select("tweet_id", "label").rows() == [(6000, 1 - first["label"])]
    assert holdout.filter(text_key=second["text_key"]).is_empty()
    assert after.holdout_digest != frozen.holdout_digest
    assert after.data_digest == frozen.data_digest


def test_a_confirmed_label_makes_an_export_that_says_so(
    world: Home, frozen: Export, take: Callable, say: Callable
) -> None:
    row = pl.read_parquet(frozen.holdout).row(0, named=True)
    say(world, (row["tweet_id"], WORDS[row["label"]]))
    after = take(world)
    assert after.holdout_digest == frozen.holdout_digest
    assert pl.read_parquet(after.holdout).row(0, named=True)["label_source"] == "correction"


@pytest.mark.usefixtures("loaded_here")
def test_the_gate_decides_on_corrected_rows_for_both_models(
    world: Home,
    registry: Registry,
    frozen: Export,
    register: Callable,
    take: Callable,
    say: Callable,
) -> None:
    registry.set_champion(register(20).model_version)
    challenger = register(19)
    wrong = pl.read_parquet(frozen.holdout).filter(pl.col("text").str.contains(r"\D{3,4}19 ")).head(3)
    say(world, *((row["tweet_id"], WORDS[1 - row["label"]]) for row in wrong.iter_rows(named=True)))
    corrected = take(world)
    decision = decide_on(world, registry, corrected, challenger)
    (check,) = [check for check in decision.verdict.checks if check.check_name == "better"]
    count = len(pl.read_parquet(corrected.holdout))
    assert check.champion_value == pytest.approx(1 - len(wrong) / count)
    assert [c.passed for c in decision.verdict.checks if c.check_name == "no_leak"] == [True]


def test_a_version_trained_before_the_corrections_still_has_an_outlook(
    world: Home,
    registry: Registry,
    frozen: Export,
    register: Callable,
    take: Callable,
    say: Callable,
) -> None:
    version = register(20)
    row = pl.read_parquet(frozen.holdout).row(0, named=True)
    say(world, (row["tweet_id"], WORDS[1 - row["label"]]))
    corrected = take(world)
    holdout = evaluate_version(registry, corrected, version.model_version)["holdout"]
    trained = TrainedVersion(version, True, corrected.count_train_rows, 1.0, holdout)
    outlook, _ = look_ahead(world, registry, corrected, trained)
    assert outlook.reason


def test_worst_mistakes_are_those_nobody_has_looked_at(four: Home, say: Callable, rows_of: Callable) -> None:
    for number in (1, 2):
        rows_of(
            four,
            f"insert into predictions values ({number}, 1, 0.1, 'negative', now(), 'run', null)",
        )
    rows_of(four, "insert into published_model values (1, now())")
    assert rows_of(four, "select tweet_id from worst_mistakes order by 1") == [(1,), (2,)]
    say(four, (1, "negative"))
    assert rows_of(four, "select tweet_id from worst_mistakes") == [(2,)]
    assert rows_of(four, "select count_corrections, accuracy from online_accuracy") == [(1, 1.0)]
