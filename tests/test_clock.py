"""The time of a run: the machine's, or a played one that runs on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from sentiment import clock
from sentiment.settings import Home

PLAYED = datetime(2010, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "as_of", [PLAYED, PLAYED.replace(tzinfo=None), PLAYED.astimezone(timezone(timedelta(hours=-7)))]
)
def test_a_played_clock_starts_where_it_is_told_and_runs_on(as_of: datetime) -> None:
    with clock.play(as_of):
        first, second = clock.now(), clock.now()
    assert PLAYED <= first < second < PLAYED + timedelta(seconds=5)
    assert first.tzinfo is UTC
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_without_a_time_it_is_now_and_an_outer_one_goes_on() -> None:
    with clock.play(None):
        assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    with clock.play(PLAYED), clock.play(None):
        assert clock.now().year == 2010


def test_what_is_loaded_carries_the_played_time(
    home: Home, tweet_line: Callable, ingest_lines: Callable, rows_of: Callable
) -> None:
    with clock.play(PLAYED):
        ingest_lines(home, tweet_line(1, "fine"))
    assert rows_of(home, "select year(ingested_at) from tweets") == [(2010,)]
    assert rows_of(home, "select year(started_at), year(finished_at) from ingest_files") == [(2010, 2010)]
