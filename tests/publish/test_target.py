"""Publishing to other databases: SQLite by the general path, and a real PostgreSQL."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy

from sentiment.errors import DatabaseError, InputError
from sentiment.publish import TargetReport, publish_to
from sentiment.publish import target as publication
from sentiment.publish.rows import copy_text
from sentiment.settings import Home
from sentiment.warehouse.snapshot import publish
from tests.databases import Target
from tests.postgresql_server import PASSWORD

ODD = 'tab\t, "quotes", back\\slash \\N \\., héllo \U0001f600'


@pytest.fixture
def filled(home: Home, tweet_line: Callable, ingest_lines: Callable, predict: Callable) -> Home:
    """Five scored tweets and a rejected line."""
    odd = ODD.replace('"', '""')
    lines = [tweet_line(number, f"tweet {number}", "4" if number % 2 else "0") for number in range(1, 5)]
    ingest_lines(home, *lines, tweet_line(5, odd, ""), tweet_line("x", "broken"))
    predict(home)
    return home


@pytest.fixture
def send(filled: Home, target: Target) -> Callable[..., TargetReport]:
    """Publishes the home as it is to the target."""

    def send(**options: Any) -> TargetReport:
        publish(filled)
        return publish_to(filled, target.address, schema=target.schema, **options)

    return send


SCORED = "select tweet_id, source_label, label, model_version from {}scored_tweets order by tweet_id"


def test_everything_that_is_published_arrives_with_its_types(
    send: Callable, target: Target, filled: Home, rows_of: Callable
) -> None:
    report = send()
    assert report.count_written == 5 + 2  # with the two negative ones among the worst mistakes
    assert target.rows(SCORED) == [
        (1, "positive", "positive", 1),
        (2, "negative", "positive", 1),
        (3, "positive", "positive", 1),
        (4, "negative", "positive", 1),
        (5, None, "positive", 1),
    ]
    assert target.rows("select text from {}scored_tweets where tweet_id = 5") == [(ODD,)]
    names = set(sqlalchemy.inspect(target.engine).get_table_names(target.schema))
    assert {"scored_tweets", "daily_sentiment", "decisions", "runs", "rejected_rows", "worst_mistakes"} <= names
    assert not {"tweets", "predictions", "schema_migrations"} & names
    assert not [name for name in names if name.startswith("staging_")]
    ((raw_line, reason),) = target.rows("select raw_line, reason from {}rejected_rows")
    assert (bytes(raw_line), reason) == (rows_of(filled, "select raw_line from rejected_rows")[0][0], "bad_id")
    assert target.rows("select count_tweets, share_positive from {}daily_sentiment") == [(5, 1.0)]


def test_again_sends_nothing_and_new_tweets_alone_are_sent(
    send: Callable, target: Target, filled: Home, tweet_line: Callable, ingest_lines: Callable, predict: Callable
) -> None:
    send()
    assert send().is_unchanged
    ingest_lines(filled, tweet_line(6, "new", "4"), name="new.csv")
    predict(filled)
    before = target.rows("select * from {}scored_tweets order by tweet_id")
    report = send()
    assert (report.count_written, report.count_removed) == (1, 0)
    assert "daily_sentiment" in report.replaced
    assert "decisions" not in report.replaced
    assert target.rows("select * from {}scored_tweets order by tweet_id")[:5] == before
    assert len(target.rows(SCORED)) == 6


def test_a_new_champion_changes_every_row_and_a_forgotten_tweet_goes(
    send: Callable, target: Target, filled: Home, rows_of: Callable, predict: Callable
) -> None:
    send()
    predict(filled, version=2, probability=0.25)
    rows_of(filled, "delete from tweets where tweet_id = 3")
    report = send()
    assert report.count_removed >= 1
    assert [row[0] for row in target.rows(SCORED)] == [1, 2, 4, 5]
    assert {row[2:] for row in target.rows(SCORED)} == {("negative", 2)}
    assert [row[0] for row in target.rows("select tweet_id from {}worst_mistakes order by 1")] == [1]


def test_a_label_that_was_withdrawn_is_changed_alone(
    send: Callable, target: Target, filled: Home, rows_of: Callable
) -> None:
    send()
    rows_of(filled, "update tweets set label = null, has_label_conflict = true where tweet_id = 1")
    assert send().count_written == 1
    assert target.rows(SCORED)[0] == (1, None, "positive", 1)


def test_views_and_indexes_that_people_put_on_the_tables_stay(
    send: Callable, target: Target, filled: Home, predict: Callable
) -> None:
    send()
    target.do("create view {}mine as select count(*) as tweets from {}scored_tweets".replace("{}", "{0}"))
    predict(filled, version=2)
    send()
    assert target.rows("select tweets from {}mine") == [(5,)]


def test_tables_that_did_not_come_from_here_are_left_alone(send: Callable, target: Target) -> None:
    with target.engine.begin() as connection:
        if target.schema:
            connection.execute(sqlalchemy.schema.CreateSchema(target.schema))
    target.do("create table {}runs (mine integer)")
    with pytest.raises(InputError, match="already holds runs, which did not come from here"):
        send()
    assert target.rows("select * from {}runs") == []
    assert sqlalchemy.inspect(target.engine).get_table_names(target.schema) == ["runs"]


def test_a_lost_manifest_means_that_everything_is_sent_again(
    send: Callable, target: Target, filled: Home, rows_of: Callable
) -> None:
    send()
    for path in (filled.root / "targets").glob("*/*/*"):
        path.unlink()
    rows_of(filled, "delete from tweets where tweet_id = 2")
    assert send().count_written >= 4
    assert [row[0] for row in target.rows(SCORED)] == [1, 3, 4, 5]


def test_a_column_that_is_new_here_is_new_there(send: Callable, target: Target) -> None:
    send()
    target.do("drop table {}scored_tweets")
    target.do("create table {}scored_tweets (tweet_id bigint)")
    assert send().count_written >= 5
    assert len(target.rows(SCORED)) == 5


class Interrupted(Exception):
    """Simulates a kill."""


def test_a_run_that_was_cut_off_shows_nothing_and_the_next_one_goes_on(
    send: Callable, target: Target, monkeypatch: pytest.MonkeyPatch, filled: Home, predict: Callable
) -> None:
    send()
    before = target.rows(SCORED)
    predict(filled, version=2, probability=0.25)
    sent: list[int] = []
    write_rows = publication.write_rows

    def write(connection: Any, table: Any, rows: Any) -> None:
        if table.name == "staging_scored_tweets" and len(rows) and not rows["is_removed"][0]:
            if len(sent) == 2:
                raise Interrupted
            sent.extend(rows["tweet_id"])
        write_rows(connection, table, rows)

    with monkeypatch.context() as patch:
        patch.setattr(publication, "write_rows", write)
        with pytest.raises(Interrupted):
            send(piece_rows=1)
    assert sent == [1, 2]
    assert target.rows(SCORED) == before
    again: list[int] = []

    def watch(connection: Any, table: Any, rows: Any) -> None:
        if table.name == "staging_scored_tweets" and len(rows) and not rows["is_removed"][0]:
            again.extend(rows["tweet_id"])
        write_rows(connection, table, rows)

    monkeypatch.setattr(publication, "write_rows", watch)
    send()
    assert again == [3, 4, 5]
    assert {row[3] for row in target.rows(SCORED)} == {2}


def test_what_was_staged_for_an_older_snapshot_is_not_used(
    send: Callable, target: Target, monkeypatch: pytest.MonkeyPatch, filled: Home, predict: Callable, rows_of: Callable
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(publication._Target, "take_over", lambda *_: (_ for _ in ()).throw(Interrupted()))
        with pytest.raises(Interrupted):
            send()
    rows_of(filled, "delete from tweets where tweet_id = 1")
    predict(filled, version=2, probability=0.25)
    send()
    assert [(row[0], row[3]) for row in target.rows(SCORED)] == [(2, 2), (3, 2), (4, 2), (5, 2)]


def test_two_homes_that_publish_to_one_target_do_not_mix(
    send: Callable,
    target: Target,
    filled: Home,
    new_home: Callable,
    tweet_line: Callable,
    ingest_lines: Callable,
    predict: Callable,
) -> None:
    send()
    other = new_home()
    ingest_lines(other, tweet_line(77, "other"))
    predict(other)
    publish(other)
    publish_to(other, target.address, schema=target.schema)
    assert [row[0] for row in target.rows(SCORED)] == [77]
    send()
    assert [row[0] for row in target.rows(SCORED)] == [1, 2, 3, 4, 5]


class TestPostgresql:
    @pytest.fixture
    def target(self, postgresql_target: Target) -> Target:
        return postgresql_target

    def test_keys_types_and_comments(self, send: Callable, target: Target) -> None:
        send()
        found = sqlalchemy.inspect(target.engine)
        assert found.get_pk_constraint("scored_tweets", target.schema)["constrained_columns"] == ["tweet_id"]
        columns = {column["name"]: column for column in found.get_columns("scored_tweets", target.schema)}
        assert str(columns["posted_at"]["type"]) == "TIMESTAMP"
        assert columns["posted_at"]["type"].timezone
        assert columns["probability_positive"]["comment"].startswith(
            "Probability that the tweet is positive rather than"
        )
        assert str(found.get_table_comment("scored_tweets", target.schema)["text"]).startswith(
            "The champion's prediction"
        )
        assert (
            str({c["name"]: c for c in found.get_columns("model_versions", target.schema)}["config"]["type"]) == "JSONB"
        )
        ((posted_at,),) = target.rows("select posted_at from {}scored_tweets where tweet_id = 1")
        assert posted_at == datetime.fromisoformat("2009-04-07T05:19:45+00:00")

    def test_a_reader_sees_the_old_state_or_the_new_one(
        self, send: Callable, target: Target, filled: Home, predict: Callable
    ) -> None:
        send()
        stop = threading.Event()
        seen: set[tuple[Any, ...]] = set()

        def read() -> None:
            with target.engine.connect() as connection:
                while not stop.is_set():
                    query = (
                        f"select count(*), min(model_version), max(model_version) from {target.schema}.scored_tweets"
                    )
                    seen.add(tuple(connection.execute(sqlalchemy.text(query)).one()))
                    connection.rollback()

        reader = threading.Thread(target=read)
        reader.start()
        for version in (2, 3, 4):
            predict(filled, version=version, probability=0.1 * version)
            send(piece_rows=2)
        stop.set()
        reader.join()
        assert seen <= {(5, version, version) for version in (1, 2, 3, 4)}

    def test_a_killed_process_leaves_the_old_state_and_the_next_run_finishes(
        self, send: Callable, target: Target, filled: Home, predict: Callable
    ) -> None:
        send()
        predict(filled, version=2, probability=0.25)
        publish(filled)
        script = f"""
            import os, signal
            from pathlib import Path
            from sentiment.publish import publish_to
            from sentiment.publish import target as publication
            from sentiment.settings import Home
            take_over = publication._Target._take_over_tweets
            def die(*args, **options):
                take_over(*args, **options)
                os.kill(os.getpid(), signal.SIGKILL)
            publication._Target._take_over_tweets = die
            publish_to(Home(Path({str(filled.root)!r})), {target.address!r}, schema={target.schema!r})
        """
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert {row[3] for row in target.rows(SCORED)} == {1}
        send()
        assert {row[3] for row in target.rows(SCORED)} == {2}

    def test_without_the_password_there_is_a_sentence_that_does_not_hold_it(
        self, send: Callable, target: Target, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("PGPASSWORD")
        with pytest.raises(DatabaseError) as error:
            send()
        assert "could not do what was asked" in str(error.value)
        assert PASSWORD not in str(error.value)


def test_copy_text_escapes_what_copy_reads_as_its_own() -> None:
    import polars as pl

    rows = pl.DataFrame({"s": ["a\tb\\N\n\\.", None, ""], "b": [b"\x00\\", None, b""]})
    assert copy_text(rows) == b"a\\tb\\\\N\\n\\\\.\t\\\\x005c\n\\N\t\\N\n\t\\\\x\n"
