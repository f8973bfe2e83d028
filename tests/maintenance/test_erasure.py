"""What was forgotten is nowhere under the home, does not come back, and every account still adds up."""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
import zstandard

from sentiment.errors import BusyError, HomeError, InputError
from sentiment.maintenance import erasure
from sentiment.maintenance.backup import backup
from sentiment.maintenance.erasure import finish_forgetting, forget
from sentiment.registry.champion import promote
from sentiment.registry.client import Registry
from sentiment.scoring.score import score
from sentiment.settings import Home
from sentiment.training.subsets import export
from sentiment.warehouse.connection import writer
from sentiment.warehouse.locks import operation_lock
from sentiment.warehouse.query import query
from sentiment.warehouse.snapshot import publish

TEXT = "a very private sentence about xylophones"
USER = "Forgettable"


def traces_of(home: Home, *words: str) -> list[str]:
    """Every file under the home, the inbox aside, that holds one of the words: as bytes, or in a Parquet file or table."""
    found = []
    for path in sorted(home.root.rglob("*")):
        if not path.is_file() or path.is_relative_to(home.inbox):
            continue
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += str(pq.read_table(path).to_pydict()).encode()
        if path.suffix == ".gz":
            content += gzip.decompress(content)
        found += [f"{path.relative_to(home.root)}: {word}" for word in words if word.encode() in content]
    return found


def die(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def told(home: Home, tweet_line: Callable[..., bytes], ingest_lines: Callable[..., Any]) -> None:
    """A home with two private tweets of one user, lines that were rejected and quote them, and tweets of others."""
    lines = [tweet_line(number, f"tweet {number} of somebody", user=f"user{number}") for number in range(1, 400)]
    private = [
        tweet_line(1000, TEXT, user=USER),
        tweet_line(1001, f"{TEXT} &amp; once more", "0", user=USER.lower()),
        b'"4","1000","no date at all","NO_QUERY","' + USER.encode() + b'","' + TEXT.encode() + b'"',
        b"rubbish that quotes " + TEXT.encode(),
    ]

    ingest_lines(home, *lines, *private)
    ingest_lines(home, tweet_line(1000, TEXT, user=USER), tweet_line(5, "a gold tweet"), name="gold.csv", gold_set="g")
    publish(home)
    with writer(home) as warehouse:
        warehouse.connection.execute(
            "insert into predictions select tweet_id, 1, 0.5, 'positive', now(), 'r', null from tweets"
        )
        warehouse.connection.execute("insert into corrections values (1000, 'negative', 'ann', now())")
    publish(home)


def test_no_byte_of_it_is_left_under_the_home(home: Home, told: object, rows_of: Callable) -> None:
    with writer(home) as warehouse:
        warehouse.run(
            "steps/scoring/export_unscored",
            **{"model_version": 2, "since": None, "until": None},
            **{"first_number": 1, "end_number": 1000, "least": 0, "greatest": 2000},
            path=str(home.work / "shard.parquet"),
            compression="uncompressed",
        )
    (home.reports / "profile.html").write_text(f"<p>{TEXT}</p>")
    (home.logs / "error.txt").write_text(f"could not convert '{TEXT}'")
    assert {trace.partition(":")[0].partition("/")[0] for trace in traces_of(home, TEXT)} >= {
        "warehouse.duckdb", "published", "work", "reports", "logs",
    }  # fmt: skip
    report = forget(home, users=[f"@{USER.upper()}"])
    assert (report.count_tweets, report.count_gold, report.count_rejected) == (2, 1, 2)
    assert report.left == []
    assert traces_of(home, TEXT, USER, USER.lower()) == []
    for table in ("tweets", "gold_tweets", "predictions", "corrections"):
        assert rows_of(home, f"select count(*) from {table} where tweet_id in (1000, 1001)") == [(0,)]
    assert query(home, "select count(*), count(distinct user_name) from tweets").row(0) == (399, 399)
    assert list(home.published.parent.glob("*.duckdb")) != []
    assert not home.forgetting.exists()


def test_a_name_that_one_of_several_files_gives_is_forgotten_as_well(
    home: Home, told: object, tweet_line: Callable[..., bytes], ingest_lines: Callable[..., Any], rows_of: Callable
) -> None:
    other = "zoe_whom_one_file_knows"
    ingest_lines(home, tweet_line(7, "tweet 7 of somebody", user=other), name="other.csv")
    publish(home)
    assert rows_of(home, "select user_name from tweets where tweet_id = 7") == [("user7",)]
    assert traces_of(home, other)
    report = forget(home, users=[other])
    assert report.count_tweets == 1
    assert traces_of(home, other, "tweet 7 of somebody") == []
    assert rows_of(home, "select tweet_id from tweets where tweet_id in (6, 7, 8) order by 1") == [(6,), (8,)]
    assert ingest_lines(home, tweet_line(7, "tweet 7 of somebody", user="user7"), name="again.csv").count_loaded == 0


def test_files_of_the_user_are_named_and_left_alone(home: Home, told: object) -> None:
    (home.inbox / "old.csv.gz").write_bytes(gzip.compress(TEXT.encode()))
    report = forget(home, tweet_ids=[1000])
    assert [Path(path).name for path in report.users_files] == ["gold.csv", "old.csv.gz", "tweets.csv"]
    assert TEXT.encode() in (home.inbox / "tweets.csv").read_bytes()


def test_every_account_still_adds_up(home: Home, told: object, checks_pass: Callable, rows_of: Callable) -> None:
    account = rows_of(home, "select count_lines, count_loaded, count_rejected from ingest_files order by all")
    forget(home, users=[USER])
    checks_pass(home)
    assert rows_of(home, "select count_lines, count_loaded, count_rejected from ingest_files order by all") == account


def test_it_stays_out_when_it_comes_again(
    home: Home,
    told: object,
    tweet_line: Callable,
    ingest_lines: Callable,
    rows_of: Callable,
    checks_pass: Callable,
) -> None:
    forget(home, users=[USER])
    report = ingest_lines(
        home,
        tweet_line(1000, "another text under the same id", user="somebody"),
        tweet_line(2000, f"{TEXT} by the same user", user=USER),
        tweet_line(2001, "somebody else's", user="somebody"),
        b'"4","x","no id","NO_QUERY","' + USER.encode() + b'","' + TEXT.encode() + b'"',
        name="again.csv",
    )
    assert (report.count_lines, report.count_loaded, report.count_duplicate) == (4, 1, 0)
    assert report.rejected_by_reason == {"forgotten": 3}
    lines = "select line_number, raw_line from rejected_rows where file_id = '" + report.file_id + "' order by 1"
    assert rows_of(home, lines) == [(1, b""), (2, b""), (4, b"")]
    publish(home)
    assert traces_of(home, TEXT, USER) == []
    checks_pass(home)


def test_a_hand_labelled_one_stays_out_too(
    home: Home, told: object, tweet_line: Callable, ingest_lines: Callable, checks_pass: Callable
) -> None:
    forget(home, tweet_ids=[1000])
    report = ingest_lines(home, tweet_line(1000, TEXT), tweet_line(7, "new"), name="gold2.csv", gold_set="g")
    assert (report.count_loaded, report.rejected_by_reason) == (1, {"forgotten": 1})
    checks_pass(home)


SPELLINGS = ["ann", "Ann", "@ann", " ANN ", "@ Ann", "@@ann\\t", "\u00a0@aNN\u2003"]


@pytest.mark.parametrize("asked", SPELLINGS)
def test_every_spelling_of_a_name_is_the_same_person(
    home: Home, tweet_line: Callable, ingest_lines: Callable, rows_of: Callable, asked: str
) -> None:
    spelt = [name.replace("\\t", "\t") for name in SPELLINGS]
    ingest_lines(
        home, *(tweet_line(i, f"text {i}", user=name) for i, name in enumerate([*spelt, "anna", "an n", "joann"], 1))
    )
    with writer(home) as warehouse:
        # As other sources have them: no reader of ours leaves them so.
        for number, name in enumerate(spelt, 1):
            warehouse.connection.execute("update tweets set user_name = $1 where tweet_id = $2", [name, number])
    report = forget(home, users=[asked.replace("\\t", "\t")])
    assert report.count_tweets == len(spelt)
    assert rows_of(home, "select user_name from tweets order by tweet_id") == [("anna",), ("an n",), ("joann",)]
    again = ingest_lines(
        home, *(tweet_line(100 + i, f"new {i}", user=name) for i, name in enumerate(spelt)), name="new.csv"
    )
    assert again.count_loaded == 0


def test_what_was_not_there_is_reported(home: Home, tweet_line: Callable, ingest_lines: Callable) -> None:
    ingest_lines(home, tweet_line(1, "a tweet", user="ann"))
    assert forget(home, users=["bob"], tweet_ids=[2]).found_nothing
    assert not forget(home, users=["ann"]).found_nothing


def test_an_id_that_never_came_is_kept_out(home: Home, tweet_line: Callable, ingest_lines: Callable) -> None:
    report = forget(home, tweet_ids=[77])
    assert report.count_tweets == 0
    assert ingest_lines(home, tweet_line(77, TEXT)).rejected_by_reason == {"forgotten": 1}


def test_without_the_secret_nothing_is_loaded_that_might_be_forgotten(
    home: Home, tweet_line: Callable, ingest_lines: Callable
) -> None:
    forget(home, tweet_ids=[77])
    home.forget_key.unlink()
    with pytest.raises(HomeError, match=r"forget\.key is missing"):
        ingest_lines(home, tweet_line(78, TEXT))


def test_a_damaged_secret_recognises_nobody_and_so_nothing_is_loaded(
    home: Home, tweet_line: Callable, ingest_lines: Callable
) -> None:
    forget(home, tweet_ids=[77])
    whole = home.forget_key.read_bytes()
    for bit in range(0, len(whole) * 8, 5):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        home.forget_key.write_bytes(damaged)
        with pytest.raises(HomeError, match=r"forget\.key is damaged.*tar --zstd"):
            ingest_lines(home, tweet_line(77, TEXT), name=f"{bit}.csv")
    home.forget_key.write_bytes(whole)
    assert ingest_lines(home, tweet_line(77, TEXT)).rejected_by_reason == {"forgotten": 1}


def test_a_secret_of_an_earlier_version_gets_a_checksum(
    home: Home, tweet_line: Callable, ingest_lines: Callable
) -> None:
    forget(home, tweet_ids=[77])
    whole = home.forget_key.read_text()
    home.forget_key.write_text(whole.splitlines()[0])
    assert ingest_lines(home, tweet_line(77, TEXT)).rejected_by_reason == {"forgotten": 1}
    assert home.forget_key.read_text() == whole


def test_tweets_of_others_stay_and_are_counted(
    home: Home, told: object, tweet_line: Callable, ingest_lines: Callable, rows_of: Callable
) -> None:
    ingest_lines(
        home,
        tweet_line(3000, TEXT, user="copycat"),
        tweet_line(3001, f"hello @{USER}, how are you", user="friend"),
        name="others.csv",
    )
    report = forget(home, users=[USER])
    assert (report.count_same_text, report.count_mentions) == (1, 1)
    assert rows_of(home, "select count(*) from tweets where tweet_id >= 3000") == [(2,)]


@pytest.mark.parametrize("step", ["publish_alone", "_forget_files"])
def test_a_request_that_was_killed_is_finished_by_the_next(
    home: Home, told: object, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(erasure, step, die)
        with pytest.raises(KeyboardInterrupt):
            forget(home, users=[USER])
    assert home.forgetting.exists()
    assert finish_forgetting(home)
    assert traces_of(home, TEXT, USER) == []
    assert not home.forgetting.exists()
    assert query(home, "select count(*) from tweets where tweet_id = 1000").item() == 0


def test_a_kill_while_the_file_is_written_anew_leaves_the_old_one_and_is_made_good(
    home: Home, told: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("sentiment.warehouse.connection.put_in_place", die)
        with pytest.raises(KeyboardInterrupt):
            forget(home, tweet_ids=[1000])
    forget(home, users=[USER])
    assert traces_of(home, TEXT, USER) == []


def test_while_a_model_is_trained_the_tables_are_clean_at_once_and_the_rest_follows(
    home: Home, told: object, rows_of: Callable
) -> None:
    (home.exports / "snapshot").mkdir()
    pl.DataFrame({"tweet_id": [1000], "text": [TEXT]}).write_parquet(home.exports / "snapshot" / "train.parquet")
    with operation_lock(home, "retrain"):
        with pytest.raises(BusyError, match="are clean"):
            forget(home.with_patience(0.1), users=[USER])
        assert query(home, "select count(*) from tweets where tweet_id = 1000").item() == 0
        assert not finish_forgetting(home)
    assert finish_forgetting(home)
    assert traces_of(home, TEXT, USER) == []


def test_versions_that_had_learnt_from_it_are_named_and_the_proof_of_no_leak_goes_on(
    world: Home,
    register: Callable,
    registry: Registry,
    rows_of: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with writer(world) as warehouse:
        before = export(warehouse, world)
    train = pl.read_parquet(before.train)
    first, second = train["tweet_id"][0], train["tweet_id"][-1]
    register(20)
    register(10, fed=train.head(100))
    columns = "'k', 100, 100, 'rule', 'd', 's', 'h', 'g', 0, '{}', 1, 1, now()"
    with writer(world) as warehouse:
        for version in (1, 2):
            run = registry.version(version).run_id
            warehouse.connection.execute(f"insert into model_versions values ({version}, '{run}', {columns})")
    promote(world, registry, 1, changed_by="test", reason="test")
    score(world, registry, run_id="r")
    # Killed when the lists were stripped and nobody had been told yet.
    with monkeypatch.context() as patch:
        patch.setattr(erasure.text_search, "blank_stores", die)
        with pytest.raises(KeyboardInterrupt):
            forget(world, tweet_ids=[first, second])
    report = forget(world)
    assert report.rows_learnt == {1: 2, 2: 1}
    assert rows_of(world, "select model_version, count_rows from learnt_from_forgotten order by 1") == [(1, 2), (2, 1)]
    for version in (1, 2):
        fed = registry.fed_rows(registry.version(version))
        assert fed is not None
        assert not pl.read_parquet(fed)["tweet_id"].is_in([first, second]).any()
    with writer(world) as warehouse:
        after = export(warehouse, world)
    assert after.data_digest != before.data_digest
    assert after.subset_digest(100) != train_digest(train, 100)


def train_digest(train: pl.DataFrame, rows: int) -> str:
    from sentiment.training.subsets import _digest

    return _digest(train.head(rows).select("tweet_id", "text_key", "label"))


def test_no_byte_is_left_in_mlflows_database_nor_in_the_next_backup(
    home: Home, told: object, tmp_path: Path, repository: Path
) -> None:
    registry = Registry(home)
    with registry.training_run("key", "a run") as run_id:
        registry.log(run_id, parameters={"note": f"it says: {TEXT}"})
        registry.log_text(run_id, f"it says: {TEXT}", "note.txt")
    registry.client.create_registered_model(registry.name, tags={"text": TEXT}, description=TEXT)
    registry.client.create_model_version(
        registry.name, (home.mlflow / "none").as_uri(), tags={"text": TEXT}, description=TEXT
    )
    assert [trace for trace in traces_of(home, TEXT) if trace.startswith("mlflow")] != []
    report = forget(home, users=[USER])
    assert report.left == []
    assert traces_of(home, TEXT, USER) == []
    for path in home.inbox.iterdir():
        path.unlink()  # They are the user's, and named in the report.
    backup(home, tmp_path / "b.tar.zst")
    with (tmp_path / "b.tar.zst").open("rb") as file:
        content = zstandard.ZstdDecompressor().stream_reader(file).read()
    assert len(content) > 1_000_000
    assert TEXT.encode() not in content
    assert USER.encode() not in content


def test_what_prefect_has_kept_of_it_is_blanked(home: Home, told: object) -> None:
    tables = {
        "log": "message", "artifact": "data", "artifact_collection": "data", "events": "payload",
        "flow_run": "parameters", "flow_run_state": "message", "task_run_state": "message",
    }  # fmt: skip
    with closing(sqlite3.connect(home.prefect / "prefect.db")) as database:
        for table, column in tables.items():
            database.execute(f"create table {table} (id integer, {column} varchar)")
            database.execute(f"insert into {table} values (1, ?)", (f"it says: {TEXT}",))
        database.commit()
    forget(home, users=[USER])
    assert traces_of(home, TEXT) == []
    with closing(sqlite3.connect(home.prefect / "prefect.db")) as database:
        assert database.execute("select data from artifact").fetchall() == [("it says: [forgotten]",)]


def test_the_secret_is_for_the_owner_alone(home: Home) -> None:
    forget(home, tweet_ids=[1])
    assert home.forget_key.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("wrong", [{"users": [" @"]}, {"tweet_ids": [-1]}, {"tweet_ids": [2**63]}])
def test_what_is_no_name_and_no_id_is_refused(home: Home, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="Expected the name of a user, or a tweet's id"):
        forget(home, **wrong)
    assert not home.forgetting.exists()


def test_every_table_with_tweets_in_it_is_forgotten_from(rows_of: Callable, home: Home, repository: Path) -> None:
    columns = "('tweet_id', 'user_name', 'text', 'raw_text', 'raw_line')"
    tables = rows_of(
        home, f"select distinct table_name from duckdb_columns() where column_name in {columns} and not internal"
    )
    views = {name for (name,) in rows_of(home, "select view_name from duckdb_views() where not internal")}
    steps = repository / "sql" / "steps" / "maintenance"
    scripts = (steps / "forget_rows.sql").read_text() + (steps / "forget_rejected_lines.sql").read_text()
    assert {name for (name,) in tables} - views == {
        name for (name,) in tables if f" {name}\n" in scripts or f" {name} where" in scripts
    }
