"""What several files say of the same tweets: labels, texts and times, for files in any order."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import polars as pl
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from sentiment.ingest.load import ingest_file
from sentiment.settings import Home

quick = functools.partial(hypothesis, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

SOURCES = [("a &lt;3 day :)", "a <3 day :)"), ("plain", "plain"), (b"caf\xc3\xa9 :(", b"caf\xc3\xa9 :(")]
mention = st.fixed_dictionaries(
    {
        "tweet_id": st.integers(0, 2),
        "form": st.integers(0, 1),
        "label": st.sampled_from(["", "0", "2", "4"]),
        "date": st.sampled_from(["", "Mon Apr 06 22:19:45 PDT 2009", "Tue Apr 07 05:19:44 UTC 2009"]),
        "user": st.sampled_from(["", "ann", "bob"]),
        "query": st.sampled_from(["", "NO_QUERY", "lakers"]),
    }
)


@quick(max_examples=8)
@given(
    files=st.lists(st.lists(mention, min_size=1, max_size=4), min_size=3, max_size=3),
    labelled_by_emoticon=st.lists(st.booleans(), min_size=3, max_size=3),
    order=st.permutations(range(3)),
)
def test_files_in_any_order_give_the_same_tweets(
    files: list[list[dict[str, Any]]],
    labelled_by_emoticon: list[bool],
    order: list[int],
    new_home: Callable[[], Home],
    tweet_line: Callable,
    ingest_lines: Callable,
    rows_of: Callable,
    checks_pass: Callable,
) -> None:
    found = []
    for places in (range(3), order):
        home = new_home()
        for place in places:
            lines = [
                tweet_line(
                    row["tweet_id"],
                    SOURCES[row["tweet_id"]][row["form"]],
                    row["label"],
                    **{key: row[key] for key in ("date", "user", "query")},
                )
                for row in files[place]
            ]
            way = labelled_by_emoticon[place]
            report = ingest_lines(home, *lines, name=f"{place}.csv", label_by_emoticon=way)
            assert report.count_rejected == 0
        checks_pass(home)
        found.append(
            rows_of(home, "select * exclude (file_id, ingested_at, change_number) from tweets order by tweet_id")
        )
    assert found[0] == found[1]


LABEL_STATE = "select label, label_source, has_label_conflict from tweets"


def test_labels_that_disagree_are_a_conflict_for_good(
    home: Home, tweet_line: Callable, ingest_lines: Callable, rows_of: Callable
) -> None:
    for number, label in enumerate(["4", "0", "4", "4"]):
        ingest_lines(home, tweet_line(1, "hm", label), tweet_line(10 + number, "x"), name=f"{number}.csv")
    assert rows_of(home, f"{LABEL_STATE} where tweet_id = 1") == [(None, None, True)]


def test_a_later_label_fills_an_empty_one_and_a_missing_one_takes_none_away(
    home: Home, tweet_line: Callable, ingest_lines: Callable, rows_of: Callable
) -> None:
    expected = {"": (None, None, False), "0": ("negative", "file", False)}
    for label, then in (("", ""), ("0", "0"), ("", "0"), ("0", "0")):
        user = f"user {label}"
        ingest_lines(home, tweet_line(1, "hm", label, user=user), name="same.csv")
        assert rows_of(home, LABEL_STATE) == [expected[then]]


def test_a_label_that_a_file_states_outranks_an_emoticon(
    home: Home, tweet_line: Callable, ingest_lines: Callable, rows_of: Callable
) -> None:
    ingest_lines(home, tweet_line(1, "nice :)", ""), label_by_emoticon=True)
    assert rows_of(home, f"{LABEL_STATE}") == [("positive", "emoticon", False)]
    ingest_lines(home, tweet_line(1, "nice :)", "4"), name="stated.csv")
    assert rows_of(home, f"{LABEL_STATE}") == [("positive", "file", False)]
    assert rows_of(home, "select text, raw_text from tweets") == [("nice", b"nice :)")]


def test_tweets_are_labelled_by_their_emoticon_only_where_no_label_is_given(
    home: Home, tweet_line: Callable, ingest_lines: Callable, rows_of: Callable
) -> None:
    lines = [tweet_line(1, "so :(", ""), tweet_line(2, "so :(", "4"), tweet_line(3, "none", "")]
    ingest_lines(home, *lines, label_by_emoticon=True)
    assert rows_of(home, "select tweet_id, text, raw_text, label, label_source from tweets order by 1") == [
        (1, "so", b"so :(", "negative", "emoticon"),
        (2, "so :(", None, "positive", "file"),
        (3, "none", None, None, None),
    ]


def test_the_same_file_read_in_another_way_labels_what_is_there(
    home: Home, tweet_line: Callable, ingest_lines: Callable, rows_of: Callable
) -> None:
    ingest_lines(home, tweet_line(1, "so :(", ""))
    report = ingest_lines(home, tweet_line(1, "so :(", ""), label_by_emoticon=True)
    assert (report.outcome, report.count_duplicate) == ("loaded", 1)
    assert rows_of(home, "select text, label from tweets") == [("so", "negative")]


def test_a_changed_text_loses_its_predictions_and_others_keep_theirs(
    home: Home, tweet_line: Callable, ingest_lines: Callable, rows_of: Callable
) -> None:
    ingest_lines(home, tweet_line(1, "so :(", ""), tweet_line(2, "plain", ""))
    rows_of(
        home,
        "insert into predictions select tweet_id, 1, 0.5, 'positive', now(), 'run', null from tweets",
    )
    ingest_lines(
        home, tweet_line(1, "so :(", ""), tweet_line(2, "plain", "0"), name="again.csv", label_by_emoticon=True
    )
    assert rows_of(home, "select tweet_id from predictions") == [(2,)]


def test_the_original_bytes_are_kept_only_where_the_text_changed(
    home: Home, tweet_line: Callable, ingest_lines: Callable, rows_of: Callable
) -> None:
    texts: list[tuple[str | bytes, str, bytes | None]] = [
        ("plain", "plain", None),
        (b"caf\xc3\xa9", "café", None),
        (b"caf\xe9", "café", b"caf\xe9"),
        (b"\x93q\x94 \xc3\xa9", "“q” é", b"\x93q\x94 \xc3\xa9"),
        ("a &lt;3", "a <3", b"a &lt;3"),
        ("&amp;lt;3", "<3", b"&amp;lt;3"),
    ]
    ingest_lines(home, *(tweet_line(number, raw) for number, (raw, *_) in enumerate(texts)))
    assert rows_of(home, "select text, raw_text from tweets order by tweet_id") == [
        (text, raw) for _, text, raw in texts
    ]


def test_times_are_stored_as_instants(
    home: Home, tweet_line: Callable, ingest_lines: Callable, rows_of: Callable
) -> None:
    ingest_lines(home, tweet_line(1, "one"), tweet_line(2, "two", date="Tue Apr 07 05:19:45 UTC 2009"))
    assert rows_of(home, "select distinct posted_at from tweets") == [(datetime(2009, 4, 7, 5, 19, 45, tzinfo=UTC),)]


def test_ndjson_and_parquet_load_the_same_tweets_as_csv(
    new_home: Callable[[], Home], tweet_line: Callable, ingest_lines: Callable, rows_of: Callable
) -> None:
    csv, json, parquet = new_home(), new_home(), new_home()
    ingest_lines(csv, *(tweet_line(number, f"day {number}", "04"[number % 2]) for number in range(20)))
    rows = [
        {
            "tweet_id": number,
            "text": f"day {number}",
            "label": ["negative", "positive"][number % 2],
            "posted_at": "2009-04-07T05:19:45Z",
            "user_name": "ann",
            "query": "NO_QUERY",
        }
        for number in range(20)
    ]
    (json.inbox / "tweets.ndjson").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    pl.DataFrame(rows).with_columns(pl.col("posted_at").str.to_datetime(time_zone="UTC")).write_parquet(
        parquet.inbox / "tweets.parquet"
    )
    ingest_file(json, json.inbox / "tweets.ndjson")
    ingest_file(parquet, parquet.inbox / "tweets.parquet")
    query = "select * exclude (file_id, ingested_at, change_number) from tweets order by tweet_id"
    assert rows_of(csv, query) == rows_of(json, query) == rows_of(parquet, query)
