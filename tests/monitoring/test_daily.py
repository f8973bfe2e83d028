"""What the monitor writes of each day, when it alarms, and what its page says."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from sentiment import clock
from sentiment.errors import HomeError
from sentiment.monitoring.daily import MonitorReport, monitor
from sentiment.monitoring.report import monitor_figure, monitor_markdown, write_html
from sentiment.settings import Home
from sentiment.warehouse.snapshot import publish

FIRST = date(2010, 5, 3)
COUNT_DAYS, TWEETS = 40, 120


@pytest.fixture
def look() -> Callable[..., MonitorReport]:
    """Publishes and monitors at noon of a day, counted from the first."""

    def look(home: Home, number: int, **options: Any) -> MonitorReport:
        publish(home)
        with clock.play(datetime(2010, 5, 3, 12, tzinfo=UTC) + timedelta(days=number)):
            return monitor(home, **options)

    return look


@pytest.fixture
def write_days(tweet_line: Callable, ingest_lines: Callable, rows_of: Callable) -> Callable[..., None]:
    """Ingests some days of tweets and scores them with a version 1 that goes by their first word."""

    def write(
        home: Home, first: int, count: int, *, word: str = "plain", positive: float = 0.5, tweets: int = TWEETS
    ) -> None:
        rng = random.Random(first)
        lines = []
        for number in range(first, first + count):
            day = FIRST + timedelta(days=number)
            for tweet in range(tweets):
                first_word = "glad" if rng.random() < positive else "sad"
                lines.append(
                    tweet_line(
                        number * 10_000 + tweet + 1,
                        f"{first_word} {word} {rng.choice(['one', 'two', 'six'])} {number} {tweet}",
                        date=f"{day:%a %b %d} 12:00:00 UTC {day.year}",
                    )
                )
        ingest_lines(home, *lines, name=f"{first}-{word}-{tweets}.csv")
        rows_of(
            home,
            "insert into predictions select tweet_id, 1, if(starts_with(text, 'glad'), 0.8, 0.2), "
            "if(starts_with(text, 'glad'), 'positive', 'negative'), now(), 'run', null from tweets "
            "where tweet_id not in (select tweet_id from predictions)",
        )
        rows_of(home, "delete from published_model")
        rows_of(home, "insert into published_model values (1, now())")

    return write


@pytest.fixture
def calm(home: Home, write_days: Callable) -> Home:
    """Forty days alike."""
    write_days(home, 0, COUNT_DAYS)
    return home


def alarms(report: MonitorReport) -> set[tuple[int, str]]:
    return {((alarm.day - FIRST).days, alarm.measure) for alarm in report.alarms}


def test_a_calm_week_is_measured_and_alarms_nobody(calm: Home, look: Callable, rows_of: Callable) -> None:
    report = look(calm, COUNT_DAYS)
    assert report.days == [FIRST + timedelta(days=number) for number in range(COUNT_DAYS - 7, COUNT_DAYS)]
    assert report.alarms == []
    newest = f"from monitoring where day = '{report.days[-1]}'"
    assert dict(rows_of(calm, f"select measure, is_alarm {newest}")) == dict.fromkeys(
        [
            "delay_days",
            "estimated_accuracy",
            "mean_probability",
            "score_distribution",
            "text_length",
            "vocabulary",
            "volume",
        ],
        False,
    )
    (found,) = rows_of(calm, f"select value, lower, upper {newest} and measure = 'estimated_accuracy'")
    assert found[0] == pytest.approx(0.8, abs=1e-6)
    assert found[1] < 0.8 < found[2]
    assert rows_of(calm, f"select value {newest} and measure = 'volume'") == [(TWEETS,)]
    assert "**Nothing unusual.**" in monitor_markdown(report, calm.reports)


def test_the_next_run_measures_what_is_new_and_late_tweets_again(
    calm: Home, look: Callable, write_days: Callable, rows_of: Callable
) -> None:
    look(calm, COUNT_DAYS)
    assert look(calm, COUNT_DAYS).days == []
    write_days(calm, COUNT_DAYS, 1)
    write_days(calm, COUNT_DAYS - 2, 1, tweets=TWEETS + 30)
    again = look(calm, COUNT_DAYS + 1)
    assert [(day - FIRST).days for day in again.days] == [COUNT_DAYS - 2, COUNT_DAYS]
    volumes = rows_of(calm, "select value from monitoring where measure = 'volume' order by day desc limit 3")
    assert volumes == [(TWEETS,), (TWEETS,), (TWEETS + 30,)]
    assert rows_of(calm, "select max(n) from (select count(*) as n from monitoring group by day, measure)") == [(1,)]


def test_what_changes_for_good_is_an_alarm_on_its_second_day_and_told_once(
    calm: Home, look: Callable, write_days: Callable
) -> None:
    write_days(calm, COUNT_DAYS, 1, word="strange", positive=0.9)
    assert alarms(look(calm, COUNT_DAYS + 1)) == set()
    write_days(calm, COUNT_DAYS + 1, 1, word="strange", positive=0.9)
    second = look(calm, COUNT_DAYS + 2)
    expected = {"vocabulary", "score_distribution", "mean_probability", "text_length"}
    assert alarms(second) == {(COUNT_DAYS + 1, measure) for measure in expected}
    assert all(alarm.is_drift for alarm in second.alarms)
    text = monitor_markdown(second, calm.reports)
    assert "strange +" in text
    assert "plain −" in text
    assert "A retrain is asked for" in text
    write_days(calm, COUNT_DAYS + 2, 1, word="strange", positive=0.9)
    third = look(calm, COUNT_DAYS + 3)
    assert alarms(third) == set()
    assert "Still an alarm: " in monitor_markdown(third, calm.reports)


def test_a_day_that_changes_after_its_alarm_is_measured_again_and_no_second_alarm(
    calm: Home, look: Callable, write_days: Callable, rows_of: Callable
) -> None:
    write_days(calm, COUNT_DAYS, 2, word="strange", positive=0.9)
    assert (COUNT_DAYS + 1, "vocabulary") in alarms(look(calm, COUNT_DAYS + 2))
    rows_of(calm, f"delete from tweets where tweet_id = {(COUNT_DAYS + 1) * 10_000 + 1}")
    again = look(calm, COUNT_DAYS + 2)
    assert [(day - FIRST).days for day in again.days] == [COUNT_DAYS + 1]
    assert again.rows.filter("is_alarm").height > 0
    assert alarms(again) == set()


def test_an_archive_is_measured_from_its_newest_tweet_and_is_never_late(calm: Home, look: Callable) -> None:
    report = look(calm, COUNT_DAYS + 6_000)
    assert report.days[-1] == FIRST + timedelta(days=COUNT_DAYS - 1)
    assert alarms(report) == set()
    assert "delay_days" not in set(report.rows["measure"])
    assert f"the newest tweets are of {report.days[-1]}" in monitor_markdown(report, calm.reports)


def test_a_day_of_news_is_no_alarm(calm: Home, look: Callable, write_days: Callable) -> None:
    write_days(calm, COUNT_DAYS, 1, word="strange")
    write_days(calm, COUNT_DAYS + 1, 1)
    assert alarms(look(calm, COUNT_DAYS + 2)) == set()


def test_missing_days_are_late_once_and_count_as_empty_when_tweets_come_again(
    calm: Home, look: Callable, write_days: Callable, rows_of: Callable
) -> None:
    assert alarms(look(calm, COUNT_DAYS + 1)) == set()
    late = look(calm, COUNT_DAYS + 2)
    assert alarms(late) == {(COUNT_DAYS + 1, "delay_days")}
    assert "See whether files still arrive" in monitor_markdown(late, calm.reports)
    assert alarms(look(calm, COUNT_DAYS + 3)) == set()
    write_days(calm, COUNT_DAYS + 3, 1)
    look(calm, COUNT_DAYS + 4)
    gap = f"select value from monitoring where measure = 'volume' and day = '{FIRST + timedelta(days=COUNT_DAYS + 1)}'"
    assert rows_of(calm, gap) == [(0,)]


def test_half_of_the_tweets_are_an_alarm_of_their_number_alone(
    calm: Home, look: Callable, write_days: Callable
) -> None:
    write_days(calm, COUNT_DAYS, 2, tweets=TWEETS // 2)
    report = look(calm, COUNT_DAYS + 2, least_tweets=50)
    assert alarms(report) == {(COUNT_DAYS + 1, "volume")}
    assert not report.alarms[0].is_drift
    assert "fewer than" in monitor_markdown(report, calm.reports)


def test_corrections_are_measured_with_their_interval(calm: Home, look: Callable, rows_of: Callable) -> None:
    rows_of(
        calm,
        "insert into corrections select tweet_id, 'positive', 'ann', '2010-06-10'::timestamptz from tweets "
        "where starts_with(text, 'glad') limit 8",
    )
    rows_of(
        calm,
        "insert into corrections select tweet_id, 'positive', 'ann', '2010-06-10'::timestamptz from tweets "
        "where starts_with(text, 'sad') limit 2",
    )
    look(calm, COUNT_DAYS)
    (found,) = rows_of(
        calm, "select value, lower, upper, is_alarm from monitoring where measure = 'accuracy_on_corrections'"
    )
    assert found[0] == pytest.approx(0.8)
    assert found[1] < 0.6 < 0.9 < found[2]
    assert not found[3]


def test_the_page_stands_alone_and_escapes_what_comes_from_tweets(
    calm: Home, look: Callable, write_days: Callable
) -> None:
    write_days(calm, COUNT_DAYS, 2, word="l'été")
    report = look(calm, COUNT_DAYS + 2)
    page = write_html(calm, report, date(2010, 6, 14)).read_text()
    assert "l&#39;été +" in page
    assert "data:image/png;base64," in page
    assert "http:" not in page
    assert "https:" not in page
    assert page.count("<tr>") == 8


def test_the_picture_of_old_tweets_shows_their_days(calm: Home, look: Callable) -> None:
    shown = look(calm, COUNT_DAYS + 1).shown.filter(pl.col("measure") != "delay_days")
    today = shown.head(1).with_columns(
        pl.lit(shown["day"].max() + timedelta(days=6_000)).alias("day"), pl.lit("delay_days").alias("measure")
    )
    assert monitor_figure(pl.concat([shown, today])) == monitor_figure(shown)


def test_without_scores_the_rest_is_measured_and_scores_follow(
    home: Home, look: Callable, tweet_line: Callable, ingest_lines: Callable, write_days: Callable
) -> None:
    ingest_lines(home, *(tweet_line(number, f"text {number}") for number in range(1, 150)))
    report = look(home, 0)
    assert report.model_version is None
    assert set(report.rows["measure"]) == {"volume"}
    write_days(home, 0, 1)
    assert "estimated_accuracy" in set(look(home, 1).rows["measure"])


def test_before_anything_is_published_there_is_nothing_to_look_at(home: Home) -> None:
    with pytest.raises(HomeError, match="Nothing has been published"):
        monitor(home)


def test_tweets_that_the_model_may_have_learnt_from_say_nothing_of_new_ones(
    calm: Home, look: Callable, write_days: Callable, rows_of: Callable
) -> None:
    rows_of(
        calm,
        "insert into model_versions by name select 1 as model_version, '' as run_id, '' as training_key, 1 as "
        "count_train_rows, 1 as count_fed_rows, '' as subset_rule, '' as data_digest, '' as subset_digest, '' as "
        "holdout_digest, '' as gold_digest, 0 as seed, '{}'::json as config, 1 as train_seconds, 1 as train_peak_mb, "
        "now() as registered_at",
    )
    write_days(calm, COUNT_DAYS, 2)
    # As a model is of the rows it was fed: surer than of others.
    learnt = f"posted_at < '{FIRST + timedelta(days=COUNT_DAYS)}' and split = 'train'"
    rows_of(
        calm,
        "update predictions set probability_positive = if(label = 'positive', 0.95, 0.05) "
        f"where tweet_id in (select tweet_id from tweets where {learnt})",
    )
    assert alarms(look(calm, COUNT_DAYS + 2)) == set()
    rows_of(calm, "delete from monitoring")
    rows_of(calm, "update tweets set label = null, split = 'train'")
    fooled = {(COUNT_DAYS + 1, measure) for measure in ("estimated_accuracy", "score_distribution")}
    assert alarms(look(calm, COUNT_DAYS + 2)) == fooled
