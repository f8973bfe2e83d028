"""Tweets from another database: by the rules of files, from a watermark on, and nothing lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy

from sentiment.errors import DatabaseError, InputError, UnsureError
from sentiment.ingest.load import IngestReport
from sentiment.ingest.mapping.reading import ReadingOptions
from sentiment.ingest.sql_query import SourceQuery, ingest_query
from sentiment.settings import Home
from tests.databases import Target

QUERY = (
    "select id as tweet_id, body as text, created_at as posted_at, author as user_name, mood as label, id "
    "from {}posts where id > coalesce(cast(:watermark as bigint), 0) order by id"
)


@pytest.fixture
def posts(target: Target) -> Target:
    """A database with posts of somebody's application."""
    if target.schema:
        with target.engine.begin() as connection:
            connection.execute(sqlalchemy.schema.CreateSchema(target.schema))
    target.do(
        "create table {}posts (id bigint, body varchar(500), created_at timestamp, author varchar(50), mood varchar(20))"
    )
    for number in range(1, 4):
        add(target, number)
    return target


def add(target: Target, number: int, body: str | None = "post", mood: str = "positive") -> None:
    text = "null" if body is None else f"'{body} {number}'"
    target.do("insert into {0}posts values " + f"({number}, {text}, '2020-01-02 03:04:05', 'ann', '{mood}')")


@pytest.fixture
def load(home: Home, posts: Target) -> Callable[..., IngestReport]:
    def load(query: str = QUERY, watermark: str | None = "id", **options: Any) -> IngestReport:
        schema = f"{posts.schema}." if posts.schema else ""
        return ingest_query(home, SourceQuery(posts.address, query.format(schema), watermark), **options)

    return load


def test_rows_become_tweets_and_a_second_run_reads_the_new_ones_alone(
    load: Callable, posts: Target, home: Home, rows_of: Callable
) -> None:
    report = load()
    assert (report.count_lines, report.count_loaded) == (3, 3)
    assert rows_of(
        home, "select tweet_id, text, posted_at::varchar, user_name, label from tweets where tweet_id = 1"
    ) == [(1, "post 1", "2020-01-02 03:04:05+00", "ann", "positive")]
    assert load().outcome == "unchanged"
    add(posts, 7)
    report = load()
    assert (report.count_lines, report.count_loaded) == (1, 1)
    assert rows_of(home, "select watermark_type, watermark from source_watermarks") == [("int", "7")]
    assert rows_of(home, "select count(distinct path) from ingest_files") == [(1,)]
    assert not list(home.work.glob("source-*"))


def test_what_cannot_be_loaded_is_kept_as_rejected(
    load: Callable, posts: Target, home: Home, rows_of: Callable
) -> None:
    add(posts, 8, mood="odd")
    add(posts, 9, body=None)
    add(posts, 10)
    with pytest.raises(UnsureError, match=r"What the query gives can be read .* odd is not"):
        load()
    report = load(reading=ReadingOptions(labels="positive=positive,negative=negative"))
    assert (report.count_loaded, report.count_rejected) == (4, 2)
    assert rows_of(home, "select reason from rejected_rows order by line_number") == [
        ("unknown_target",),
        ("blank_text",),
    ]
    assert b'"mood"' not in rows_of(home, "select raw_line from rejected_rows order by line_number")[0][0]


def test_the_same_tweets_from_a_file_are_duplicates(
    load: Callable, home: Home, tweet_line: Callable, ingest_lines: Callable
) -> None:
    ingest_lines(home, tweet_line(1, "post 1"))
    report = load()
    assert (report.count_loaded, report.count_duplicate) == (2, 1)


def test_a_time_can_be_the_watermark(load: Callable, posts: Target) -> None:
    query = (
        "select id as tweet_id, body as text, created_at as posted_at from {}posts "
        "where :watermark is null or created_at > :watermark"
        if posts.schema is None
        else "select id as tweet_id, body as text, created_at as posted_at from {}posts "
        "where created_at > coalesce(cast(:watermark as timestamp), '-infinity')"
    )
    if posts.schema is None:
        pytest.skip("SQLite has no times: its strings are compared as they are written")
    assert load(query, watermark="posted_at").count_loaded == 3
    assert load(query, watermark="posted_at").outcome == "unchanged"


def test_without_a_watermark_everything_is_read_and_counted_again(load: Callable) -> None:
    query = "select id as tweet_id, body as text from {}posts order by id"
    assert load(query, watermark=None).count_loaded == 3
    assert load(query, watermark=None).outcome == "unchanged"


@pytest.mark.parametrize(
    ("query", "watermark", "words"),
    [
        ("select id, body as text from {}posts", None, "no column tweet_id: it gives id, text"),
        ("select id as tweet_id, body as text from {}posts", "id", "has to hold :watermark"),
        (QUERY, None, "--watermark COLUMN"),
        (QUERY, "created", "no column created"),
        ("select id as tweet_id, body as text from {}posts where id = :other", None, "the parameter :other"),
    ],
)
def test_a_query_that_does_not_fit_is_told_what_is_missing(
    load: Callable, query: str, watermark: str | None, words: str
) -> None:
    with pytest.raises(InputError) as error:
        load(query, watermark=watermark)
    assert words in str(error.value)


def test_what_the_database_says_of_the_query_is_passed_on(load: Callable) -> None:
    with pytest.raises(DatabaseError, match="nowhere"):
        load("select * from nowhere", watermark=None)
