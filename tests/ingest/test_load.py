"""From files to tables: no line is lost, nothing half done stays, and the order of files does not matter."""

from __future__ import annotations

import functools
import gzip
import itertools
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from sentiment.errors import InputError, NotReadyError
from sentiment.ingest import load as module
from sentiment.ingest import merge
from sentiment.ingest.inbox import find_inbox_files
from sentiment.ingest.load import ingest_file
from sentiment.ingest.readers.files import identify
from sentiment.ingest.readers.form import Form
from sentiment.settings import Home, Settings
from sentiment.warehouse.session import Warehouse

ALL_TABLES = ("tweets", "rejected_rows", "ingest_files", "gold_tweets")
quick = functools.partial(hypothesis, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def contents(rows_of: Callable) -> Callable[[Home], dict[str, list[Any]]]:
    return lambda home: {table: sorted(rows_of(home, f"from {table}"), key=str) for table in ALL_TABLES}


# -- Every line is accounted for


def lines_of_files(tweet_line: Callable[..., bytes]) -> st.SearchStrategy[list[bytes]]:
    """Good lines, lines of the same few ids with the same or another text and label, and broken ones."""
    good = st.builds(
        tweet_line,
        st.integers(1, 6),
        st.sampled_from(["so good", "so bad", "a &lt;3 b", b"caf\xe9", "tab\tand 'quotes'"]),
        st.sampled_from(["0", "2", "4", ""]),
    )
    own = st.builds(lambda number: tweet_line(number, f"tweet {number}"), st.integers(100, 10**6))
    broken = st.sampled_from(
        [
            (b'"4","7"', "wrong_column_count"),
            (tweet_line("x7", "hello"), "bad_id"),
            (tweet_line(7, "hello", "5"), "unknown_target"),
            (tweet_line(7, "hello", date="yesterday"), "bad_date"),
            (tweet_line(7, "  "), "blank_text"),
            (tweet_line(7, 'a " b'), "unterminated_quote"),
            (tweet_line(7, "a\0b"), "nul_bytes"),
            (b"", "wrong_column_count"),
        ]
    ).map(lambda pair: pair[0])
    return st.lists(st.one_of(good, own, broken), max_size=25).map(lambda lines: [tweet_line(1, "so good"), *lines])


@quick(max_examples=8)
@given(data=st.data(), block_bytes=st.sampled_from([64, 200, 1 << 20]))
def test_every_line_is_loaded_a_duplicate_or_rejected_whatever_the_block_size(
    data: st.DataObject,
    block_bytes: int,
    new_home: Callable[[], Home],
    tweet_line: Callable,
    ingest_lines: Callable,
    rows_of: Callable,
    checks_pass: Callable,
) -> None:
    lines = data.draw(lines_of_files(tweet_line))
    home, whole = new_home(), new_home()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_BYTES", block_bytes)
        report = ingest_lines(home, *lines)
    assert report.count_lines == len(lines) == report.count_loaded + report.count_duplicate + report.count_rejected
    assert sum(report.rejected_by_reason.values()) == report.count_rejected
    checks_pass(home)
    rejected = rows_of(home, "select line_number, raw_line, count_bytes from rejected_rows")
    assert {number: raw for number, raw, _ in rejected} == {number: lines[number - 1] for number, *_ in rejected}
    assert all(len(raw) == count for _, raw, count in rejected)
    ingest_lines(whole, *lines)
    for query in (
        "select * exclude (ingested_at, change_number) from tweets order by all",
        "from rejected_rows order by all",
    ):
        assert rows_of(home, query) == rows_of(whole, query)


def test_rejected_lines_keep_bytes_number_and_reason(
    home: Home, tweet_line: Callable, ingest_lines: Callable, rows_of: Callable
) -> None:
    broken = [
        b"just words",
        tweet_line(2, "hello", "3"),
        tweet_line(-2, b"caf\xe9"),
        tweet_line(2, "hello", date="32 May"),
        tweet_line(2, "\t "),
        tweet_line(2, 'she said "no'),
        tweet_line(2, "x" * 70_000),
        tweet_line(2, "nul \0"),
        tweet_line(1, "another text"),
    ]
    reasons = [
        "wrong_column_count",
        "unknown_target",
        "bad_id",
        "bad_date",
        "blank_text",
        "unterminated_quote",
        "overlong_line",
        "nul_bytes",
        "text_mismatch",
    ]
    report = ingest_lines(home, tweet_line(1, "first"), *broken)
    assert rows_of(home, "select line_number, reason, raw_line, count_bytes from rejected_rows order by 1") == [
        (number, reason, line, len(line)) for number, reason, line in zip(itertools.count(2), reasons, broken)
    ]
    assert report.rejected_by_reason == dict(sorted(Counter(reasons).items()))


def test_a_repeated_id_with_the_same_text_is_a_duplicate_within_and_across_files(
    home: Home, tweet_line: Callable, ingest_lines: Callable, rows_of: Callable
) -> None:
    line = tweet_line(1, "a &lt;3 b")
    first = ingest_lines(home, line, line, tweet_line(1, "a <3 b"))
    second = ingest_lines(home, line, tweet_line(2, "new"), name="more.csv")
    assert (first.count_loaded, first.count_duplicate, first.count_rejected) == (1, 2, 0)
    assert (second.count_loaded, second.count_duplicate, second.count_rejected) == (1, 1, 0)
    assert rows_of(home, "select tweet_id, text from tweets order by 1") == [(1, "a <3 b"), (2, "new")]


def test_repeated_lines_are_merged_in_parts_with_the_same_result(
    new_home: Callable[[], Home], tweet_line: Callable, ingest_lines: Callable, rows_of: Callable
) -> None:
    lines = [tweet_line(number % 7, f"text {number % 7}", "04"[number % 3 == 0]) for number in range(40)]
    lines.append(tweet_line(3, "another"))
    found = []
    for rows in (3, 200_000):
        home = new_home()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(merge, "REPEATED_ROWS", rows)
            report = ingest_lines(home, *lines)
        assert (report.count_loaded, report.count_duplicate, report.count_rejected) == (7, 33, 1)
        found.append(rows_of(home, "select * exclude (ingested_at, change_number) from tweets order by all"))
    assert found[0] == found[1]


# -- The same again, more of the same, and what is not complete


def test_the_same_content_again_changes_nothing_under_any_name(
    home: Home, tweet_line: Callable, ingest_lines: Callable, contents: Callable
) -> None:
    lines = [tweet_line(1, "one"), b"broken", tweet_line(2, "two", "0")]
    first = ingest_lines(home, *lines)
    before, modified = contents(home), home.warehouse.stat().st_mtime_ns
    again = ingest_lines(home, *lines)
    packed = home.inbox / "copy.csv.gz"
    packed.write_bytes(gzip.compress((home.inbox / "tweets.csv").read_bytes()))
    copy = ingest_file(home, packed)
    assert {again.outcome, copy.outcome} == {"unchanged"}
    assert copy.file_id == first.file_id
    assert "tweets.csv" in copy.note
    assert contents(home) == before
    assert home.warehouse.stat().st_mtime_ns == modified


@pytest.mark.parametrize("ending", [b"\n", b""])
def test_a_grown_file_loads_just_its_new_lines_with_their_numbers(
    home: Home, tweet_line: Callable, rows_of: Callable, checks_pass: Callable, ending: bytes
) -> None:
    path = home.inbox / "daily.csv"
    path.write_bytes(tweet_line(1, "one") + b"\n" + tweet_line(2, "two") + ending)
    ingest_file(home, path)
    path.write_bytes(tweet_line(1, "one") + b"\n" + tweet_line(2, "two") + b"\n" + b"broken\n" + tweet_line(3, "x"))
    report = ingest_file(home, path)
    assert (report.outcome, report.count_lines, report.count_loaded, report.count_rejected) == ("grown", 2, 1, 1)
    assert rows_of(home, "select line_number from rejected_rows") == [(3,)]
    assert rows_of(home, "select tweet_id from tweets order by 1") == [(1,), (2,), (3,)]
    assert ingest_file(home, path).outcome == "unchanged"
    checks_pass(home)


def test_a_file_that_was_rewritten_is_read_from_its_start(
    home: Home, tweet_line: Callable, ingest_lines: Callable
) -> None:
    ingest_lines(home, tweet_line(1, "one"))
    report = ingest_lines(home, tweet_line(9, "nine"), tweet_line(1, "one"))
    assert (report.outcome, report.count_lines, report.count_loaded, report.count_duplicate) == ("loaded", 2, 1, 1)


def test_a_torn_last_line_is_left_for_the_next_run(home: Home, tweet_line: Callable, contents: Callable) -> None:
    path = home.inbox / "tweets.csv"
    whole = tweet_line(1, "one") + b"\n" + tweet_line(2, "two words")
    before = contents(home)
    for length in (len(whole) - 1, len(whole) - 9, len(tweet_line(1, "one")) + 5):
        path.write_bytes(whole[:length])
        with pytest.raises(NotReadyError, match=r"line 2, the last, ends without a line break"):
            ingest_file(home, path)
        assert contents(home) == before
    path.write_bytes(whole)
    assert ingest_file(home, path).count_loaded == 2


def test_a_truncated_archive_is_left_for_the_next_run(home: Home, tweet_line: Callable, contents: Callable) -> None:
    path = home.inbox / "tweets.csv.gz"
    packed = gzip.compress(
        b"".join(tweet_line(number, f"text {number * 7919}", "04"[number % 2]) + b"\n" for number in range(500))
    )
    path.write_bytes(packed[:-200])
    before = contents(home)
    with pytest.raises(NotReadyError, match="ends in the middle of its gzip data"):
        ingest_file(home, path)
    assert contents(home) == before
    path.write_bytes(packed)
    assert ingest_file(home, path).count_loaded == 500


def test_a_file_that_changes_while_it_is_read_leaves_nothing_behind(
    home: Home, tweet_line: Callable, contents: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home.inbox / "tweets.csv"
    path.write_bytes(tweet_line(1, "one") + b"\n")
    before = contents(home)

    def identify_then_grow(path: Path, form: Form, sizes: list[int]) -> Any:
        found = identify(path, form, sizes)
        with path.open("ab") as file:
            file.write(tweet_line(2, "two") + b"\n")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(module, "identify", identify_then_grow)
        with pytest.raises(NotReadyError, match="changed while it was read"):
            ingest_file(home, path)
    assert contents(home) == before
    assert ingest_file(home, path).count_loaded == 2


def test_a_run_that_fails_in_the_middle_leaves_nothing_behind(
    home: Home, tweet_line: Callable, contents: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home.inbox / "tweets.csv"
    lines = [tweet_line(number % 90, f"text {number % 90}", "04"[number % 2]) for number in range(120)] + [
        b"broken",
        b"broken again",
    ]
    path.write_bytes(b"\n".join(lines) + b"\n")
    monkeypatch.setattr(module, "BLOCK_BYTES", 1000)
    before = contents(home)

    def stop_at(line: int) -> Callable[[int], None]:
        def stop(done: int) -> None:
            if done >= line:
                raise KeyboardInterrupt

        return stop

    for line in (1, 60, 122):
        with pytest.raises(KeyboardInterrupt):
            ingest_file(home, path, on_progress=stop_at(line))
        assert contents(home) == before
    report = ingest_file(home, path)
    assert (report.count_loaded, report.count_duplicate, report.count_rejected) == (90, 30, 2)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n....", b"a,b\n1,2\n", b"1.5 2.5\n" * 200, b'{"a": 1}\n'])
def test_a_file_of_another_kind_is_refused_in_a_sentence_and_leaves_nothing_behind(
    home: Home, contents: Callable, content: bytes
) -> None:
    path = home.inbox / "other.csv"
    path.write_bytes(content)
    before = contents(home)
    with pytest.raises(
        InputError,
        match=r"other\.csv (is a PNG image|can be read .* No column looks like a text)",
    ):
        ingest_file(home, path)
    assert contents(home) == before


def test_a_missing_file_and_a_folder_are_refused_in_a_sentence(home: Home) -> None:
    for path in (home.inbox / "missing.csv", home.inbox):
        with pytest.raises(InputError, match=str(path)):
            ingest_file(home, path)


# -- Hand-labelled sets


def test_hand_labelled_tweets_go_to_their_set_and_not_to_tweets(
    home: Home,
    tweet_line: Callable,
    ingest_lines: Callable,
    rows_of: Callable,
    checks_pass: Callable,
) -> None:
    lines = [tweet_line(1, "good", "4"), tweet_line(2, "so so", "2"), tweet_line(2, "so so", "2"), b"broken"]
    report = ingest_lines(home, *lines, tweet_line(1, "other text", "0"), gold_set="manual")
    assert (report.count_loaded, report.count_duplicate, report.rejected_by_reason) == (
        2,
        1,
        {"text_mismatch": 1, "wrong_column_count": 1},
    )
    assert rows_of(home, "select gold_set, tweet_id, text, label from gold_tweets order by 2") == [
        ("manual", 1, "good", "positive"),
        ("manual", 2, "so so", "neutral"),
    ]
    assert rows_of(home, "from tweets") == []
    assert ingest_lines(home, tweet_line(1, "good", "4"), name="copy.csv", gold_set="manual").count_duplicate == 1
    assert ingest_lines(home, tweet_line(1, "good", "4"), name="other.csv", gold_set="other").count_loaded == 1
    checks_pass(home)


def test_a_hand_labelled_table_without_ids_counts_repeated_texts_as_duplicates(home: Home, rows_of: Callable) -> None:
    path = home.inbox / "table.parquet"
    pl.DataFrame({"text": ["one", "two", "one"], "label": ["positive", "negative", "positive"]}).write_parquet(path)
    report = ingest_file(home, path, gold_set="table")
    assert (report.count_loaded, report.count_duplicate) == (2, 1)
    assert ingest_file(home, path, gold_set="table").outcome == "unchanged"
    assert rows_of(home, "select text, label, tweet_id from gold_tweets order by 1") == [
        ("one", "positive", None),
        ("two", "negative", None),
    ]


# -- The inbox


def test_the_inbox_gives_settled_files_that_changed_since_they_were_read(
    home: Home, tweet_line: Callable, ingest_lines: Callable
) -> None:
    ingest_lines(home, tweet_line(1, "one"), name="read.csv")
    for name in ("new.csv", ".hidden.csv", "unfinished.part", "fresh.csv"):
        (home.inbox / name).write_bytes(tweet_line(2, name) + b"\n")
    (home.inbox / "empty.csv").touch()
    (home.inbox / "folder").mkdir()
    now = time.time()
    for path in home.inbox.iterdir():
        if path.name not in ("fresh.csv", "read.csv"):
            os.utime(path, (now - 60, now - 60))
    assert [path.name for path in find_inbox_files(home)] == ["new.csv"]
    grown = home.inbox / "read.csv"
    grown.write_bytes(grown.read_bytes() * 2)
    os.utime(grown, (now - 30, now - 30))
    assert [path.name for path in find_inbox_files(home)] == ["new.csv", "read.csv"]


def test_an_inbox_that_is_not_there_says_which_setting_names_it(home: Home, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"inbox .*nowhere is not a folder\. Create it, or set SENTIMENT_INBOX"):
        find_inbox_files(replace(home, settings=Settings(inbox=tmp_path / "nowhere")))


def test_a_look_at_the_inbox_takes_as_many_statements_for_many_files_as_for_one(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed: list[str] = []
    execute = Warehouse._execute

    def count(warehouse: Warehouse, script: str, *arguments: Any) -> Any:
        executed.append(script)
        return execute(warehouse, script, *arguments)

    find_inbox_files(home)
    monkeypatch.setattr(Warehouse, "_execute", count)
    counts = []
    for number in range(20):
        path = home.inbox / f"{number}.csv"
        path.write_bytes(b"x")
        os.utime(path, (1_000_000_000, 1_000_000_000))
        executed.clear()
        assert len(find_inbox_files(home)) == number + 1
        counts.append(len(executed))
    assert counts[0] == counts[-1] > 0
