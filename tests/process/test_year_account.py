"""What `simulations.year` claims can fail: each claim is violated here, and a home in order violates none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import polars as pl
import pytest

from sentiment.errors import SentimentError
from sentiment.ingest.inspection import inspect_file
from sentiment.ingest.load import Instructions, ingest_file
from sentiment.ingest.mapping.reading import ReadingOptions
from sentiment.ingest.sources import save_source, with_source
from sentiment.settings import Home
from sentiment.warehouse.connection import reader, writer
from sentiment.warehouse.snapshot import publish
from simulations import year_source
from simulations.year_account import account, explain, promoted_for_reasons
from simulations.year_diary import Diary
from simulations.year_failures import KINDS, failures_of
from simulations.year_layouts import COLUMNS
from simulations.year_readers import look
from simulations.year_source import LEAVERS, Source
from tests.desk.conftest import score

PARTS = ("warehouse.duckdb", "published", "mlflow", "exports", "reports", "checkpoints", "work", "logs")


def small_source(home: Home, patched: pytest.MonkeyPatch) -> Source:
    """Three sources that have sent the history of three days and two days, some hundred tweets."""
    for name, value in (("HISTORY_DAYS", 3), ("USUAL_TWEETS", 150), ("POOL_A_DAY", 700), ("POOL_DAYS", 3)):
        patched.setattr(year_source, name, value)
    patched.setattr(year_source, "NEUTRAL_TEXTS", 2_000)
    source = Source(home.inbox)
    source.send_history()
    source.send(1)
    source.send(2)
    return source


@pytest.fixture(scope="module")
def played(new_home: Callable[[], Home]) -> tuple[Home, Source]:
    """A home that has loaded and scored what three sources sent."""
    home = new_home()
    with pytest.MonkeyPatch.context() as patched:
        source = small_source(home, patched)
    for name, columns in COLUMNS.items():
        (example,) = (home.inbox / name).glob("history.*")
        save_source(home, name, inspect_file(example, ReadingOptions(columns=columns, source=name)).reading, example)
    for sent in source.sent:
        reading = ReadingOptions(source=sent.name.partition("/")[0] if "/" in sent.name else None)
        ingest_file(home, home.inbox / sent.name, instructions=Instructions(with_source(home, reading)))
    score(home, 1, "tweet_id % 2 = 1")
    return home, source


def diary(**other: Any) -> dict[str, Any]:
    kept = vars(Diary())
    kept["disk"] = [{"day": 1, **dict.fromkeys(PARTS, 0), "warehouse.duckdb": 1}]
    kept["costs"] = [{"day": 1, "ingest": 1.0}]
    kept["readers"] = {"looks": 3, "refused": 0, "wrong": []}
    return kept | other


def broken(played: tuple[Home, Source], **other: Any) -> set[str]:
    """The claims that do not hold."""
    home, source = played
    result, _ = account(home, source, diary(**other), 2)
    return {name for name, holds in result["claims"].items() if not holds}


@contextmanager
def changed(home: Home, change: str) -> Iterator[None]:
    """Within the context the tables are changed by hand."""
    before = home.warehouse.read_bytes()
    with writer(home) as warehouse:
        warehouse.connection.execute(change)
    publish(home)
    try:
        yield
    finally:
        home.warehouse.write_bytes(before)
        home.warehouse.touch()
        publish(home)


def test_three_sources_whose_ids_overlap_are_loaded_whole(played: tuple[Home, Source]) -> None:
    home, source = played
    assert broken(played) == set()
    with reader(home) as snapshot:
        found = snapshot.connection.sql("select tweet_id, label, source_id, source from tweets").fetchall()
    assert {row[0] for row in found} == source.labels.keys()
    assert all(label in (None, source.labels[tweet_id]) for tweet_id, label, _, _ in found)
    assert {label for _, label, _, _ in found} == {None, "negative", "neutral", "positive"}
    own_ids = [{row[2] for row in found if row[3] == name} for name in ("reviews", "forum")]
    assert own_ids[0] & own_ids[1]


@pytest.mark.parametrize(
    ("change", "claim"),
    [
        ("delete from tweets where tweet_id = (select min(tweet_id) from tweets)", "no_line_is_lost"),
        (
            "update ingest_files set count_loaded = count_loaded - 1, count_rejected = count_rejected + 1",
            "tables_are_whole",
        ),
        ("delete from predictions where tweet_id = (select min(tweet_id) from tweets)", "every_tweet_is_scored"),
        ("insert into predictions from predictions limit 1", "no_tweet_is_scored_twice"),
    ],
)
def test_a_loss_by_hand_is_noticed(played: tuple[Home, Source], change: str, claim: str) -> None:
    with changed(played[0], change):
        assert claim in broken(played)


def test_a_correction_that_is_gone_is_noticed(played: tuple[Home, Source]) -> None:
    given = [(min(played[1].labels), "neutral", "ben")]
    assert broken(played, corrections=given) == {"every_correction_holds"}


def test_somebody_forgotten_who_is_there_is_noticed(played: tuple[Home, Source]) -> None:
    there = next(who for who in LEAVERS if who in played[1].leavers.values())
    assert "who_is_forgotten_stays_out" in broken(played, forgotten=[there])


@pytest.mark.parametrize(
    ("kept", "claim"),
    [
        (
            {"endings": [{"day": 1, "work": "score", "how": "trace", "said": "ValueError"}]},
            "every_failure_ends_in_a_sentence_or_a_kill",
        ),
        ({"readers": {"looks": 3, "refused": 0, "wrong": ["2 versions"]}}, "readers_saw_one_whole_version"),
        ({"readers": {"looks": 0, "refused": 0, "wrong": []}}, "readers_saw_one_whole_version"),
        ({"desk": {"uses": 1, "pages": 1, "failed": ["/: 500"]}}, "the_desk_never_broke"),
    ],
)
def test_what_was_written_down_is_judged(played: tuple[Home, Source], kept: dict[str, Any], claim: str) -> None:
    assert broken(played, **kept) == {claim}


@pytest.mark.parametrize(
    ("champion", "operator", "holds"),
    [
        ({}, [], True),
        ({"count_against": 1}, [], False),
        ({"count_reasons": 0}, [], False),
        ({"changed_by": "ann", "count_against": 1}, ["promote"], True),
        ({"changed_by": "ann"}, [], False),
        ({"changed_by": "ann", "reason": ""}, ["promote"], False),
        ({"change": "outside"}, [], False),
    ],
)
def test_people_promote_only_what_a_sentence_said(champion: dict[str, Any], operator: list[str], holds: bool) -> None:
    usual = {"change": "promotion", "changed_by": "gate", "reason": "better", "count_reasons": 8, "count_against": 0}
    assert promoted_for_reasons(pl.DataFrame([usual | champion]), [{"operator": operator}]) is holds


def test_a_reader_notices_two_versions_at_once(played: tuple[Home, Source]) -> None:
    home, _ = played
    with reader(home) as snapshot:
        assert look(snapshot) == ""
    with (
        changed(home, "delete from predictions where tweet_id = (select max(tweet_id) from tweets)"),
        reader(home) as snapshot,
    ):
        assert "1 not scored" in look(snapshot)


def test_failures_are_the_same_for_the_same_seed_and_every_kind_comes() -> None:
    found = failures_of(365, 0.25, 0)
    assert found == failures_of(365, 0.25, 0)
    assert found != failures_of(365, 0.25, 1)
    assert {failure.kind for failure in found.values()} == set(KINDS)
    assert 70 <= len(found) <= 115


def test_late_data_is_excused_by_a_failure_of_that_night_alone() -> None:
    alarm = {"day": "2011-01-10", "told_on": str(date(2011, 1, 11)), "measure": "delay_days"}
    assert explain(alarm, {10}) == {"kind": "late"}
    assert explain(alarm, {9}) == {"kind": "false"}
    assert explain(alarm | {"measure": "vocabulary"}, {10}) == {"kind": "false"}


def test_a_home_without_anything_published_is_refused(home: Home) -> None:
    with pytest.raises(SentimentError):
        account(home, Source(home.inbox), diary(), 1)
