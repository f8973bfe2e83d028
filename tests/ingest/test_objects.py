"""Objects of a bucket as files: read once, read again when they change, folders as columns, refusals as sentences."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pyarrow import fs

from flows.ingest import IngestOptions, load_objects
from sentiment.errors import InputError, NotReadyError, RefusedFileError, UnsureError
from sentiment.ingest import objects
from sentiment.ingest.inspection import inspect_file
from sentiment.ingest.load import IngestReport, Instructions
from sentiment.ingest.mapping.reading import ReadingOptions
from sentiment.ingest.objects import Bucket, find_new_objects, ingest_object
from sentiment.ingest.sources import load_source, save_source, watched_addresses, with_source
from sentiment.maintenance.withdrawal import withdraw
from sentiment.object_store import StoreError
from sentiment.settings import Home

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = ("a lovely morning in town", "an awful evening at home", "a great match to watch", "a sad end of the film")


class Counting:
    """A local folder as a bucket; counts what is asked of it."""

    def __init__(self, root: Path) -> None:
        self.inner = fs.SubTreeFileSystem(str(root), fs.LocalFileSystem())
        self.listings = 0
        self.fetched: list[str] = []

    def get_file_info(self, what: Any) -> Any:
        self.listings += isinstance(what, fs.FileSelector)
        return self.inner.get_file_info(what)

    def open_input_stream(self, key: str) -> Any:
        self.fetched.append(key)
        return self.inner.open_input_stream(key)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counting:
    """What `s3://lake` is in these tests."""
    (tmp_path / "store" / "lake").mkdir(parents=True)
    counting = Counting(tmp_path / "store")
    monkeypatch.setattr(objects, "open_address", lambda address: (counting, address))
    objects.open_bucket.cache_clear()
    yield counting
    objects.open_bucket.cache_clear()


@pytest.fixture
def put(store: Counting, tmp_path: Path) -> Callable[..., Path]:
    """Writes an object of posts: Parquet, CSV or JSON lines by its name, an hour after the one before."""
    times = iter(range(1_767_225_600, 1_800_000_000, 3600))

    def put(key: str, first: int, count: int = 4, **columns: Any) -> Path:
        path = tmp_path / "store" / "lake" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = [f"{WORDS[number % 4]} {number}" for number in range(first, first + count)]
        frame = pl.DataFrame({"id": range(first, first + count), "text": texts, **columns})
        if key.endswith(".parquet"):
            frame.write_parquet(path)
        elif key.endswith(".csv"):
            frame.write_csv(path)
        else:
            frame.write_ndjson(path)
        changed = next(times)
        os.utime(path, (changed, changed))
        return path

    return put


def load(home: Home, address: str, **options: Any) -> list[IngestReport]:
    found = find_new_objects(home, address)
    return [ingest_object(home, stored, **options) for stored in found.objects]


def test_what_was_read_and_has_not_changed_is_not_fetched_again(
    home: Home, store: Counting, put: Callable, rows_of: Callable, checks_pass: Callable
) -> None:
    address = "s3://lake/day=*/*.parquet"
    put("day=2026-11-01/a.parquet", 10)
    put("day=2026-11-02/b.parquet", 20)
    put("day=2026-11-02/notes.csv", 90)
    assert [report.count_loaded for report in load(home, address)] == [4, 4]
    assert load(home, address) == []
    assert len(store.fetched) == 2

    put("day=2026-11-03/c.parquet", 30)
    put("day=2026-11-02/b.parquet", 20, 6)
    reports = load(home, address)
    assert [(r.path, r.count_loaded, r.count_duplicate) for r in reports] == [
        ("s3://lake/day=2026-11-02/b.parquet", 2, 4),
        ("s3://lake/day=2026-11-03/c.parquet", 4, 0),
    ]
    assert store.listings == 3
    assert rows_of(home, "select count(*), min(posted_at)::date::varchar from tweets") == [(14, "2026-11-01")]
    checks_pass(home)


def test_ten_thousand_keys_that_were_read_cost_one_listing(home: Home, store: Counting, rows_of: Callable) -> None:
    folder = Path(store.inner.base_path) / "lake"
    for number in range(10_000):
        (folder / f"{number}.csv").write_bytes(b"x")
    found = find_new_objects(home, "s3://lake/*.csv").objects
    seen = pl.DataFrame({"name": [o.name for o in found], "size": 1, "changed_at": [o.modified_at for o in found]})
    with objects.writer(home) as warehouse:
        connection = warehouse.connection
        connection.register("seen", seen.to_arrow())
        connection.execute(
            "insert into read_objects select name, null, false, size, changed_at, 'same', now() from seen"
        )
        connection.execute(
            "insert into ingest_files by name select 'same' as file_id, 'x' as path, false as is_labelled_by_emoticon, "
            "0 as count_lines, 0 as count_loaded, 0 as count_duplicate, 0 as count_rejected, now() as started_at, "
            "now() as finished_at, 1 as count_bytes, 1 as count_disk_bytes, now() as modified_at"
        )
    again = find_new_objects(home, "s3://lake/*.csv")
    assert (again.objects, again.count_unchanged) == ([], 10_000)
    assert (store.listings, store.fetched) == (2, [])


def test_the_same_content_under_another_key_is_fetched_once_and_remembered(
    home: Home, store: Counting, put: Callable
) -> None:
    put("a.csv", 10)
    load(home, "s3://lake/*.csv")
    put("b.csv", 10)
    (report,) = load(home, "s3://lake/*.csv")
    assert (report.outcome, "loaded already, from s3://lake/a.csv" in report.note) == ("unchanged", True)
    assert load(home, "s3://lake/*.csv") == []


def test_lines_appended_to_an_object_are_read_alone(home: Home, put: Callable) -> None:
    put("posts.ndjson", 10)
    load(home, "s3://lake/*.ndjson")
    put("posts.ndjson", 10, 7)
    (report,) = load(home, "s3://lake/*.ndjson")
    assert (report.outcome, report.count_lines, report.count_loaded) == ("grown", 3, 3)


def test_an_object_that_was_just_written_is_looked_at_once_more(home: Home, store: Counting, put: Callable) -> None:
    path = put("a.csv", 10)
    now = time.time()
    os.utime(path, (now, now))
    load(home, "s3://lake/a.csv")
    os.utime(path, (now - 60, now - 60))
    assert [report.outcome for report in load(home, "s3://lake/a.csv")] == ["unchanged"]
    assert load(home, "s3://lake/a.csv") == []


def test_withdrawn_objects_are_read_again(home: Home, put: Callable, rows_of: Callable) -> None:
    put("a.csv", 10)
    load(home, "s3://lake/*.csv")
    assert withdraw(home, "s3://lake/a.csv").count_tweets == 4
    assert [report.count_loaded for report in load(home, "s3://lake/*.csv")] == [4]


def test_an_object_is_read_once_for_tweets_and_once_for_a_gold_set(home: Home, put: Callable) -> None:
    put("a.csv", 10, label=["positive", "negative", "positive", "negative"])
    load(
        home, "s3://lake/*.csv", instructions=Instructions(ReadingOptions(labels="positive=positive,negative=negative"))
    )
    assert find_new_objects(home, "s3://lake/*.csv").objects == []
    assert len(find_new_objects(home, "s3://lake/*.csv", gold_set="manual").objects) == 1


def test_questions_and_refusals_name_the_object(home: Home, put: Callable) -> None:
    put(
        "two.csv",
        10,
        body=["another text of many words", "and one more of these", "as long as others", "the last of them"],
    )
    with pytest.raises(UnsureError, match=r"s3://lake/two.csv can be read in more than one way") as caught:
        load(home, "s3://lake/two.csv")
    assert str(home.work) not in str(caught.value)
    (report,) = load(home, "s3://lake/two.csv", instructions=Instructions(ReadingOptions(columns="text=body")))
    assert report.count_loaded == 4
    put("bad.csv", 30, created_at=["31/31/2026"] * 4)
    with pytest.raises(RefusedFileError, match=r"^s3://lake/bad.csv"):
        load(home, "s3://lake/bad.csv", instructions=Instructions(ReadingOptions(date_format="day-first")))
    assert list(home.work.iterdir()) == []


def test_a_refused_object_does_not_keep_the_others_out(
    home: Home, put: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import ingest as flow

    said = Instructions(ReadingOptions(date_format="day-first"))
    monkeypatch.setattr(flow, "load_object", lambda stored, options: ingest_object(home, stored, instructions=said))
    put("a.csv", 10, created_at=["31/31/2026"] * 4)
    put("b.csv", 20, created_at=["21/11/2026"] * 4)
    summary, errors = flow.IngestSummary([], []), []
    load_objects(home, "s3://lake/*.csv", IngestOptions(), summary, errors)
    assert [report.path for report in summary.files] == ["s3://lake/b.csv"]
    assert [type(error) for error in errors] == [RefusedFileError]


def test_an_object_that_changes_while_it_is_fetched_is_left_for_the_next_run(
    home: Home, store: Counting, put: Callable
) -> None:
    put("a.csv", 10)
    (listed,) = Bucket("s3://lake/a.csv").find()
    put("a.csv", 10, 8)
    with pytest.raises(NotReadyError, match=r"s3://lake/a.csv was written again while it was read"):
        ingest_object(home, listed)


def test_a_saved_source_with_an_address_is_read_next_to_the_inbox_and_refusals_are_given_once(
    home: Home, put: Callable, monkeypatch: pytest.MonkeyPatch, rows_of: Callable
) -> None:
    from flows import ingest as flow

    monkeypatch.setattr(
        flow, "load_object", lambda stored, options: ingest_object(home, stored, instructions=_as_said(home, options))
    )
    address = "s3://lake/day=*/*.csv"
    example = put("day=2026-11-01/a.csv", 10)
    reading = inspect_file(example).reading
    save_source(home, "posts", reading, example, address)
    assert (watched_addresses(home), load_source(home, "posts").columns) == ({"posts": address}, dict(reading.columns))
    put("day=2026-11-02/bad.csv", 20, day=["31/31/2026"] * 4)

    def run() -> tuple[list[str], int]:
        summary, errors = flow.IngestSummary([], []), []
        load_objects(home, address, IngestOptions(source="posts"), summary, errors, is_watched=True)
        return [report.path for report in summary.files], len(errors)

    assert run() == (["s3://lake/day=2026-11-01/a.csv"], 1)
    assert run() == ([], 0)
    assert rows_of(home, "select distinct source, posted_at::date::varchar from tweets") == [("posts", "2026-11-01")]
    put("day=2026-11-03/c.csv", 30)
    assert run() == (["s3://lake/day=2026-11-03/c.csv"], 0)


def test_a_watched_address_may_have_no_objects_yet(home: Home, store: Counting) -> None:
    assert find_new_objects(home, "s3://lake/*.csv", source="posts").objects == []


def _as_said(home: Home, options: IngestOptions) -> Instructions:
    return Instructions(with_source(home, options.reading()))


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("day=*/*.csv", ["day=1/a.csv", "day=2/b.csv"]),
        ("**/*.csv", ["c.csv", "day=1/a.csv", "day=2/b.csv", "day=2/x/d.csv"]),
        ("**", ["c.csv", "day=1/a.csv", "day=2/b.csv", "day=2/x/d.csv"]),
        ("day=[1]/*", ["day=1/a.csv"]),
        ("c.csv", ["c.csv"]),
    ],
)
def test_patterns_go_folder_by_folder(store: Counting, put: Callable, pattern: str, names: list[str]) -> None:
    for name in ("day=1/a.csv", "day=2/b.csv", "day=2/x/d.csv", "c.csv", "_SUCCESS.csv", "day=1/.part.csv"):
        put(name, 10)
    assert [o.name.removeprefix("s3://lake/") for o in Bucket(f"s3://lake/{pattern}").find()] == names


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("s3://lake/*.json", "No object matches s3://lake/.*json: 2 objects there have other names"),
        ("s3://lake/day=2026-11-01", "is a folder of 1 objects.*s3://lake/day=2026-11-01/\\*\\*/\\*.parquet"),
        ("s3://lake/table/*.parquet", "s3://lake/table is a Delta table: its files also hold rows that were deleted"),
    ],
)
def test_what_names_nothing_to_read_is_a_sentence(put: Callable, address: str, sentence: str) -> None:
    put("day=2026-11-01/a.csv", 10)
    put("b.csv", 20)
    if "table" in address:
        put("table/a.parquet", 30)
        put("table/_delta_log/0000.json", 30)
    with pytest.raises(InputError, match=sentence):
        Bucket(address).find()


def test_addresses_with_keys_or_of_unknown_stores_are_refused_without_showing_the_key() -> None:
    with pytest.raises(InputError, match=r"it holds a key.*AWS_SECRET_ACCESS_KEY") as caught:
        Bucket("s3://AKIA123:hush@lake/*.csv")
    assert "hush" not in str(caught.value)
    with pytest.raises(InputError, match="Unrecognized filesystem type"):
        Bucket("floppy://lake/*.csv")


def test_an_object_larger_than_the_disk_is_a_sentence(home: Home, store: Counting, put: Callable) -> None:
    put("a.csv", 10)
    (listed,) = Bucket("s3://lake/a.csv").find()
    with pytest.raises(InputError, match="does not fit on the disk of the home"):
        ingest_object(home, dataclasses.replace(listed, count_bytes=1 << 60))


# -- A server that speaks S3


def upload(address: str, key: str, first: int, count: int = 4) -> None:
    place, _, options = address.partition("?")
    filesystem, root = fs.FileSystem.from_uri(f"{place}?{options}")
    rows = [f"{number},{WORDS[number % 4]} {number}" for number in range(first, first + count)]
    with filesystem.open_output_stream(f"{root}/{key}") as file:
        file.write("\n".join(["id,text", *rows, ""]).encode())


@pytest.mark.slow
def test_a_bucket_is_read_once_and_what_changes_in_it_again(
    s3: tuple[str, subprocess.Popen[bytes]], home: Home, rows_of: Callable, checks_pass: Callable
) -> None:
    address = s3[0].replace("/prefix?", "/prefix/day=*/*.csv?")
    for day in (1, 2):
        upload(s3[0], f"day=2026-11-0{day}/posts.csv", 10 * day)
    time.sleep(3)
    assert [report.count_loaded for report in load(home, address)] == [4, 4]
    assert find_new_objects(home, address) == objects.NewObjects([], 2)
    upload(s3[0], "day=2026-11-02/posts.csv", 20, 6)
    (report,) = load(home, address)
    assert (report.path, report.outcome) == ("s3://shards/prefix/day=2026-11-02/posts.csv", "grown")
    assert rows_of(home, "select posted_at::date::varchar, count(*) from tweets group by 1 order by 1") == [
        ("2026-11-01", 4),
        ("2026-11-02", 6),
    ]
    checks_pass(home)


@pytest.mark.slow
def test_a_bucket_that_is_away_for_a_while_is_waited_for(s3: tuple[str, subprocess.Popen[bytes]], home: Home) -> None:
    address, server = s3
    upload(address, "posts.csv", 10)
    server.send_signal(signal.SIGSTOP)
    threading.Timer(8, server.send_signal, [signal.SIGCONT]).start()
    assert load(home, address.replace("?", "/posts.csv?"))[0].count_loaded == 4


@pytest.mark.slow
def test_no_bucket_and_no_store_are_sentences(
    s3: tuple[str, subprocess.Popen[bytes]], home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, server = s3
    with pytest.raises(
        StoreError, match=r"s3://nowhere/.*NO_SUCH_BUCKET.*Check the address, the keys and their rights"
    ):
        find_new_objects(home, address.replace("s3://shards/prefix", "s3://nowhere/*.csv"))
    server.kill()
    server.wait()
    with pytest.raises(StoreError, match="what was loaded is kept, so run it again"):
        Bucket(address.replace("?", "/*.csv?"), patience=1).find()


@pytest.mark.slow
def test_a_key_without_the_right_to_list_is_a_sentence_at_once(s3_with_rights: Callable[..., str], home: Home) -> None:
    address = s3_with_rights("s3:PutObject")
    started = time.monotonic()
    with pytest.raises(StoreError, match=r"ACCESS_DENIED.*to list the bucket and to get objects"):
        find_new_objects(home, address.replace("?", "/*.csv?"))
    assert time.monotonic() - started < 30
