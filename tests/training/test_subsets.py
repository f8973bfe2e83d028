"""What may train and what evaluates: nested, stratified, and never on both sides."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from sentiment.errors import TrainingError
from sentiment.ingest.identity import split_of, text_key
from sentiment.settings import Home
from sentiment.training.subsets import RUNGS, Export, export, next_rung
from sentiment.warehouse.connection import scratch, writer


@pytest.fixture
def take() -> Callable[[Home], Export]:
    def take(home: Home) -> Export:
        with writer(home) as warehouse:
            return export(warehouse, home)

    return take


@pytest.fixture
def filled(home: Home, tweet_line: Callable, ingest_lines: Callable) -> Home:
    """900 tweets, a third of them positive, each fifth text once more; neutral, unlabelled and conflicting ones."""
    lines = [tweet_line(number, f"text {number}", "4" if number % 3 == 0 else "0") for number in range(900)]
    lines += [
        tweet_line(5000 + number, f"Text, {number}!", "4" if number % 3 == 0 else "0") for number in range(0, 900, 5)
    ]
    lines += [tweet_line(10_000 + number, f"neutral {number}", "2") for number in range(50)]
    lines += [tweet_line(20_000 + number, f"unknown {number}", "") for number in range(50)]
    lines += [tweet_line(30_000 + number // 2, f"both {number // 2}", "04"[number % 2]) for number in range(100)]
    ingest_lines(home, *lines)
    ingest_lines(
        home, *(tweet_line(number, f"text {number}", "0") for number in range(40)), name="g.csv", gold_set="manual"
    )
    ingest_lines(home, tweet_line(1, "a neutral one", "2"), name="n.csv", gold_set="neutral")
    return home


def test_train_and_holdout_share_no_text_and_together_hold_all_that_may(filled: Home, take: Callable) -> None:
    found = take(filled)
    train, holdout = pl.read_parquet(found.train), pl.read_parquet(found.holdout)
    assert not set(train["text_key"]) & set(holdout["text_key"])
    gold = set(text_key(pl.Series([f"text {number}" for number in range(40)])))
    keys = [key for key in text_key(pl.Series([f"text {number}" for number in range(900)])) if key not in gold]
    assert set(train["text_key"]) | set(holdout["text_key"]) == set(keys)
    assert set(split_of(train["text_key"])) == {"train"}
    assert set(split_of(holdout["text_key"])) == {"holdout"}


def test_no_gold_text_and_no_conflicting_neutral_or_unlabelled_tweet_is_exported(filled: Home, take: Callable) -> None:
    found = take(filled)
    for path in (found.train, found.holdout):
        texts = pl.read_parquet(path)["text"]
        assert set(texts.str.extract(r"^(\w+)").str.to_lowercase()) == {"text"}
        assert texts.str.extract(r"(\d+)").cast(pl.Int64).min() >= 40  # type: ignore[operator]


def test_the_holdout_has_one_row_a_text_and_the_training_split_keeps_copies(filled: Home, take: Callable) -> None:
    found = take(filled)
    holdout, train = pl.read_parquet(found.holdout), pl.read_parquet(found.train)
    assert holdout["text_key"].is_unique().all()
    assert holdout["tweet_id"].is_sorted()
    assert len(train) > train["text_key"].n_unique()
    assert found.count_train_rows == len(train)


def test_the_gold_export_leaves_neutral_rows_out(filled: Home, take: Callable) -> None:
    assert pl.read_parquet(take(filled).gold).group_by("gold_set").len().rows() == [("manual", 40)]


@pytest.mark.parametrize("rows", [10, 77, 300, 700])
def test_every_subset_has_the_proportions_of_the_whole(filled: Home, take: Callable, rows: int) -> None:
    labels = pl.read_parquet(take(filled).train, columns=["label"])["label"]
    assert abs(labels.head(rows).mean() - labels.mean()) <= 1 / rows  # type: ignore[operator]


def test_subsets_nest_also_when_more_tweets_arrive(
    filled: Home, take: Callable, tweet_line: Callable, ingest_lines: Callable
) -> None:
    before = pl.read_parquet(take(filled).train)
    more = [tweet_line(40_000 + number, f"later {number}", "04"[number % 2]) for number in range(300)]
    ingest_lines(filled, *more, name="later.csv")
    after = pl.read_parquet(take(filled).train)
    for label in (0, 1):
        old, new = (frame.filter(label=label)["tweet_id"].to_list() for frame in (before, after))
        assert [tweet_id for tweet_id in new if tweet_id in set(old)] == old
        assert new != old


def test_the_order_is_not_that_of_the_file(filled: Home, take: Callable) -> None:
    train = pl.read_parquet(take(filled).train).filter(label=0)["tweet_id"]
    assert abs(np.corrcoef(np.arange(len(train)), train.rank())[0, 1]) < 0.15


def test_the_same_data_give_the_same_export_which_is_reused(
    filled: Home, take: Callable, ingest_lines: Callable
) -> None:
    first = take(filled)
    stamp = first.train.stat().st_mtime_ns
    ingest_lines(filled, b'"","77777","","","","no label, so nothing to train on"', name="unlabelled.csv")
    again = take(filled)
    assert again == first
    assert again.train.stat().st_mtime_ns == stamp


def test_digests_change_with_the_data_they_are_of_and_with_nothing_else(
    filled: Home, take: Callable, tweet_line: Callable, ingest_lines: Callable
) -> None:
    first = take(filled)
    split = split_of(text_key(pl.Series([f"new {number}" for number in range(200)])))
    number = {side: split.to_list().index(side) for side in ("train", "holdout")}
    ingest_lines(filled, tweet_line(90_001, f"new {number['holdout']}"), name="h.csv")
    second = take(filled)
    assert (second.data_digest, second.gold_digest) == (first.data_digest, first.gold_digest)
    assert second.holdout_digest != first.holdout_digest
    ingest_lines(filled, tweet_line(90_002, f"new {number['train']}"), name="t.csv")
    third = take(filled)
    assert third.holdout_digest == second.holdout_digest
    assert third.data_digest != second.data_digest
    ingest_lines(filled, tweet_line(1, "hand-labelled", "0"), name="more.csv", gold_set="more")
    assert take(filled).gold_digest != third.gold_digest


def test_the_digest_of_a_subset_is_of_its_rows_alone(filled: Home, take: Callable) -> None:
    found = take(filled)
    assert found.subset_digest(100) == found.subset_digest(100) != found.subset_digest(101)
    assert found.subset_digest(found.count_train_rows) == found.data_digest


def test_only_the_newest_exports_are_kept_and_leftovers_of_killed_runs_go(
    filled: Home, take: Callable, tweet_line: Callable, ingest_lines: Callable
) -> None:
    (filled.exports / ".new-killed").mkdir()
    made = []
    for number in range(3):
        ingest_lines(filled, tweet_line(95_000 + number, f"again {number} {number}"), name=f"{number}.csv")
        made.append(take(filled).folder)
        os.utime(made[-1], (1000 + number, 1000 + number))
    assert sorted(filled.exports.iterdir()) == sorted(made[1:])


@pytest.mark.parametrize("labels", ["", "0", "2"])
def test_without_both_labels_there_is_nothing_to_export(
    home: Home, take: Callable, tweet_line: Callable, ingest_lines: Callable, labels: str
) -> None:
    ingest_lines(home, *(tweet_line(number, f"text {number}", labels) for number in range(200)))
    with pytest.raises(TrainingError, match=r"expected both negative and positive ones\. Ingest labelled tweets first"):
        take(home)
    assert list(home.exports.iterdir()) == []


def test_rungs_grow_one_by_one_and_end_with_all_rows() -> None:
    assert next_rung(None, 10**6) == RUNGS[0]
    assert [next_rung(rung, 10**6) for rung in RUNGS] == [*RUNGS[1:], 10**6]
    assert next_rung(None, 300) == 300
    assert next_rung(400_000, 500_000) == next_rung(500_000, 500_000) == 500_000


def test_about_one_key_in_twenty_is_held_out_for_ever() -> None:
    keys = text_key(pl.Series([f"some text {number}" for number in range(20_000)]))
    split = split_of(keys)
    assert abs((split == "holdout").mean() - 0.05) < 0.006  # type: ignore[operator]
    assert split_of(pl.Series([0, 20, -16, 1, -1], dtype=pl.Int64)).to_list() == [
        "holdout",
        "holdout",
        "holdout",
        "train",
        "train",
    ]


def test_a_leak_is_found_by_id_and_by_text_in_both_kinds_of_sets(filled: Home, take: Callable) -> None:
    found = take(filled)
    holdout, gold = pl.read_parquet(found.holdout), pl.read_parquet(found.gold)
    train = pl.read_parquet(found.train, columns=["tweet_id", "text_key"])
    path = filled.work / "fed.parquet"

    def leaked(*planted: tuple[int, int]) -> list[tuple[str, int | None]]:
        rows = pl.DataFrame(planted, schema=train.schema, orient="row")
        pl.concat([train, rows]).write_parquet(path)
        with scratch() as database:
            parameters = {"fed_rows": str(path), "holdout": str(found.holdout), "gold": str(found.gold)}
            return sorted(row[:2] for row in database.run("checks/leaked_rows", **parameters).fetchall())

    assert leaked() == []
    first, second = holdout["tweet_id"][:2]
    assert leaked((first, 123)) == [("holdout", first)]
    assert leaked((123, holdout["text_key"][1])) == [("holdout", second)]
    assert leaked((123, gold["text_key"][0])) == [("gold:manual", None)]


@pytest.mark.parametrize("name", ["train.parquet", "holdout.parquet", "neutral.parquet", "export.json"])
def test_a_damaged_export_is_written_again(filled: Home, take: Callable, name: str) -> None:
    found = take(filled)
    path = found.folder / name
    rows = {file: pl.read_parquet(file) for file in (found.train, found.holdout, found.gold, found.neutral)}
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    again = take(filled)
    assert again == found
    assert all(pl.read_parquet(file).equals(frame) for file, frame in rows.items())
    touched = path.stat().st_ino
    assert take(filled) == found
    assert path.stat().st_ino == touched
