"""Which snapshot and index the pages are read from."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest

from sentiment.api.app import create_app
from sentiment.desk.filters import parse_search
from sentiment.desk.store import Store, View
from sentiment.errors import HomeError
from sentiment.ingest.corrections import correct
from sentiment.settings import Home
from sentiment.warehouse.connection import writer
from sentiment.warehouse.snapshot import publish
from tests.api.conftest import listening, wait_until
from tests.desk.conftest import first_view, score


@pytest.fixture
def scored(home: Home, ingest_lines: Callable, tweet_line: Callable[..., bytes]) -> Home:
    """Three tweets, scored by version 1 and published."""
    ingest_lines(home, *(tweet_line(number, f"tweet {number}") for number in range(3)))
    score(home, 1, "tweet_id = 1")
    return home


def test_a_correction_is_seen_and_the_index_stays(scored: Home) -> None:
    store = Store(scored)
    before = first_view(store)
    correct(scored, pl.DataFrame({"tweet_id": ["1"], "label": ["negative"]}), corrected_by="ann")
    publish(scored)
    after = first_view(store)
    assert after.index_path == before.index_path
    assert [row["label"] for row in after.rows("select_corrections_of", tweet_ids=[1, 2])] == ["negative"]
    assert before.rows("select_corrections_of", tweet_ids=[1, 2]) == []


def test_the_former_view_answers_until_the_next_index_is_built(
    scored: Home, ingest_lines: Callable, tweet_line: Callable[..., bytes]
) -> None:
    store = Store(scored)
    before = first_view(store)
    ingest_lines(scored, tweet_line(3, "a new one"), name="more.csv")
    publish(scored)
    assert store.view() is before
    wait_until(lambda: store.view() is not before)
    assert store.view().index.value("desk/select_day_range") is not None
    assert store.view().indexed("select_day_range")["count_tweets"].to_list() == [4]
    assert not before.index_path.exists()
    assert before.indexed("select_day_range")["count_tweets"].to_list() == [3]


def test_another_published_version_makes_another_index(scored: Home) -> None:
    store = Store(scored)
    before = first_view(store).index_path
    score(scored, 2, "true")
    wait_until(lambda: store.view().index_path != before)
    assert store.view().indexed("select_periods", unit="day", first=None, last=None)["share"].to_list() == [1.0]


def test_a_damaged_index_is_built_again(scored: Home, make_desk: Callable, tmp_path: Path) -> None:
    with listening(make_desk(scored)) as desk:
        expected = desk.get("/tweets")
    assert expected.status_code == 200
    # DuckDB shares what is open in one process, by its path.
    other = Home(tmp_path / "copy", scored.settings)
    shutil.copytree(scored.root, other.root, symlinks=True)
    (index,) = other.search_index.glob("*.duckdb")
    whole = index.read_bytes()
    # Blocks begin behind three pages of headers. Each loses a byte behind its checksum, but for the last, with which it opens.
    damaged = bytearray(whole)
    for start in range(3 * 4096, len(whole) - (1 << 18), 1 << 18):
        damaged[start + 4096] ^= 1
    index.write_bytes(damaged)
    app = create_app(other)
    with listening(app) as desk:
        assert desk.get("/tweets").status_code == 503
        wait_until(lambda: desk.get("/tweets").status_code == 200)
        assert desk.get("/tweets").text == expected.text


def test_a_page_that_meets_damage_is_one_sentence_in_the_log(scored: Home, caplog: pytest.LogCaptureFixture) -> None:
    def prepare(_: View) -> Iterator[None]:
        raise duckdb.IOException(
            "Corrupt database file: computed checksum 1 does not match stored checksum 2\nin block 3"
        )

    store = Store(scored, prepare)
    index = first_view(store).index_path
    wait_until(lambda: caplog.records != [])
    (said,) = caplog.records
    assert {str(scored.published.resolve()), str(index)} <= set(said.getMessage().split())
    assert "\n" not in said.getMessage()
    assert said.exc_info is None
    store.close()


def test_closing_ends_what_is_being_prepared_after_its_step(scored: Home) -> None:
    steps = []

    def prepare(_: View) -> Iterator[None]:
        for number in range(1_000):
            steps.append(number)
            time.sleep(0.05)
            yield

    store = Store(scored, prepare)
    first_view(store)
    store.close()
    count = len(steps)
    assert count < 1_000
    time.sleep(0.2)
    assert len(steps) == count


@pytest.mark.parametrize(
    ("text", "words", "phrases"),
    [
        ("", [], []),
        ("Love YOU love", ["love", "you"], []),
        ("#Fail @bob don't", ["#fail", "@bob", "don't"], []),
        ('"New York" pizza', ["new", "pizza", "york"], ["new york"]),
        ('"#Fail: rock \'n roll!"', ["#fail", "'n", "rock", "roll"], ["#fail: rock 'n roll!"]),
        (":) happy", ["happy"], [":)"]),
        ("rock'n'roll!", ["rock'n'roll"], []),
        ("été 日本 2009", ["2009", "été", "日本"], []),
        ('"', [], ['"']),
        ('"" ""', [], []),
    ],
)
def test_a_search_is_words_and_phrases(text: str, words: list[str], phrases: list[str]) -> None:
    assert parse_search(text) == (words, phrases)


def test_a_snapshot_of_an_earlier_version_says_how_to_publish_again(scored: Home) -> None:
    with writer(scored) as warehouse:
        warehouse.connection.execute("delete from schema_migrations where number > 2")
        warehouse.connection.execute("checkpoint")
    shutil.copyfile(scored.warehouse, scored.published.resolve())
    with pytest.raises(HomeError, match=r"earlier version of this program\. Publish it again: sentiment score"):
        Store(scored).view()
