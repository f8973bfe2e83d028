"""What housekeeping removes, and above all what it keeps."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from sentiment import clock
from sentiment.errors import BusyError, InputError
from sentiment.maintenance import retention
from sentiment.maintenance.retention import HousekeepingReport, keep_house, prune_predictions
from sentiment.registry.champion import promote, rollback
from sentiment.registry.client import Registry
from sentiment.scoring.score import score
from sentiment.settings import Home
from sentiment.warehouse.connection import writer
from sentiment.warehouse.locks import operation_lock
from sentiment.warehouse.query import query
from sentiment.warehouse.session import Warehouse
from sentiment.warehouse.snapshot import publish

BY = {"changed_by": "ann", "reason": "because"}
COUNTS = "select model_version, count(*) from predictions group by all order by all"


def in_days(days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def keep(home: Home, registry: Registry, days: int = 0) -> HousekeepingReport:
    with clock.play(in_days(days)):
        return keep_house(home, registry)


@pytest.fixture
def three_champions(world: Home) -> Home:
    """Versions 1, 2 and 3 were champion one after the other, and all have scored everything; one tweet was corrected."""
    with writer(world) as warehouse:
        for version in (1, 2, 3):
            add_champion(warehouse, version)
            add_predictions(warehouse, version)
        warehouse.run("steps/registry/flip_published_model", model_version=3)
        warehouse.connection.execute("insert into corrections values (7, 'positive', 'ann', now())")
    return world


def add_champion(warehouse: Warehouse, version: int) -> None:
    former = None if version == 1 else version - 1
    change = {"change": "promotion", "changed_by": "ann", "reason": "because"}
    warehouse.run(
        "steps/registry/insert_alias_change", alias="champion", model_version=version, from_version=former, **change
    )


def add_predictions(warehouse: Warehouse, version: int) -> None:
    select = f"select tweet_id, {version}, 0.75, 'positive', now(), 'run', null from tweets"
    warehouse.connection.execute(f"insert into predictions {select}")


def prune(home: Home, champion: int, days: int) -> dict[int, int]:
    with clock.play(in_days(days)), writer(home) as warehouse:
        return prune_predictions(warehouse, champion)


def test_predictions_of_champion_and_predecessor_stay_and_of_corrected_tweets_for_ever(
    three_champions: Home, rows_of: Callable, checks_pass: Callable
) -> None:
    assert prune(three_champions, 3, days=8) == {1: 2399}
    assert rows_of(three_champions, COUNTS) == [(1, 1), (2, 2400), (3, 2400)]
    assert rows_of(three_champions, "select model_version, count_rows from pruned_predictions") == [(1, 2399)]
    assert rows_of(three_champions, "select count(*) from scored_tweets") == [(2400,)]
    checks_pass(three_champions)
    assert prune(three_champions, 3, days=8) == {}


def test_a_version_that_scored_lately_is_left_alone(three_champions: Home, rows_of: Callable) -> None:
    assert prune(three_champions, 3, days=6) == {}
    assert len(rows_of(three_champions, COUNTS)) == 3


def test_what_readers_see_stays_while_a_new_champion_is_still_scoring(three_champions: Home, rows_of: Callable) -> None:
    with writer(three_champions) as warehouse:
        for version in (4, 5):
            add_champion(warehouse, version)
    assert prune(three_champions, 5, days=8) == {1: 2399, 2: 2399}
    assert rows_of(three_champions, "select count(*), min(model_version) from scored_tweets") == [(2400, 3)]


def test_going_further_back_than_is_kept_says_what_it_needs_and_then_works(
    world: Home, registry: Registry, register: Callable
) -> None:
    for known in (10, 15):
        promote(world, registry, register(known).model_version, **BY)
    score(world, registry, run_id="r")
    with writer(world) as warehouse:
        add_predictions(warehouse, 1)
        warehouse.load(
            "steps/maintenance/delete_predictions", pl.DataFrame({"model_version": [1], "count_rows": [2400]})
        )
    with pytest.raises(InputError, match="first: sentiment score --model-version 1"):
        rollback(world, registry, **BY)
    assert registry.champion() == registry.version(2)
    with writer(world) as warehouse:
        add_predictions(warehouse, 1)
    made = rollback(world, registry, **BY)
    assert (made.model_version, made.is_published) == (1, True)


def test_it_waits_for_a_run_that_scores(world: Home, registry: Registry) -> None:
    with operation_lock(world, "score"), pytest.raises(BusyError):
        keep(world.with_patience(0.1), registry)


def test_versions_refused_long_ago_go_with_their_files_and_their_record_stays(
    world: Home,
    registry: Registry,
    register: Callable,
    rows_of: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "NEWEST_VERSIONS", 1)
    versions = [register(known) for known in (5, 10, 15, 20)]
    promote(world, registry, 1, **BY)
    columns = "'k', 100, 100, 'rule', 'd', 's', 'h', 'g', 0, '{}', 1, 1, now()"
    with writer(world) as warehouse:
        for version in versions:
            warehouse.connection.execute(
                f"insert into model_versions values ({version.model_version}, '{version.run_id}', {columns})"
            )
        for version, passed in ((2, False), (3, True)):
            warehouse.connection.execute(
                "insert into decisions by name select 'd' as decision_key, now() as decided_at, "
                f"{version} as model_version, 'better' as check_name, {passed} as passed, 'x' as reason"
            )
    killed = registry.client.create_run(registry.experiment_id, run_name="killed").info.run_id
    registry.log_text(killed, "half", "half.txt")
    assert keep(world, registry, days=80).model_versions == []
    report = keep(world, registry, days=91)
    assert (report.model_versions, report.count_dead_runs) == ([2], 0)
    assert registry.numbers() == [1, 3, 4]
    artifacts = world.mlflow / "artifacts"
    assert not list(artifacts.glob(f"{versions[1].run_id}/**/*.parquet"))
    assert not list(artifacts.rglob("half.txt"))
    assert len(list(artifacts.rglob("*.safetensors"))) == 3
    assert registry.load(1)
    assert rows_of(world, "select count(*) from model_versions") == [(4,)]


def test_leftovers_and_old_files_go_and_young_ones_stay(world: Home, registry: Registry) -> None:
    places = {
        world.reports / "profile-{}.html": 90,
        world.logs / "error-{}.txt": 90,
        world.checkpoints / "{}" / "checkpoint.safetensors": 7,
        world.work / "unscored-{}.parquet": 1,
        world.exports / ".new-{}" / "train.parquet": 1,
    }
    old, young = [], []
    for place, days in places.items():
        for age, paths in ((days + 1, old), (days - 1, young)):
            made = Path(str(place).format(age))
            made.parent.mkdir(exist_ok=True)
            made.write_text("x")
            moment = time.time() - age * 86400 + 3600
            os.utime(made, (moment, moment))
            if made.parent.parent != world.root:
                os.utime(made.parent, (moment, moment))
            paths.append(made)
    assert keep(world, registry).count_files == len(old)
    assert [path for path in old if path.exists()] == []
    assert [path for path in young if not path.exists()] == []


def test_a_warehouse_that_is_mostly_free_is_written_anew(
    world: Home, registry: Registry, monkeypatch: pytest.MonkeyPatch, rows_of: Callable
) -> None:
    monkeypatch.setattr(retention, "FREE_BYTES", 1 << 20)
    fill = "insert into predictions select i, 1, random(), 'positive', now(), 'run', null from range(2000000) as t(i)"
    with writer(world) as warehouse:
        warehouse.connection.execute(fill)
    with writer(world) as warehouse:
        # Behind them in the file: else DuckDB gives the blocks back to the disk by itself.
        warehouse.connection.execute("create table behind as select hash(i) as number from range(100000) as t(i)")
    with writer(world) as warehouse:
        warehouse.connection.execute("truncate predictions")
    before = world.warehouse.stat().st_size
    report = keep(world, registry)
    assert report.bytes_compacted == before - world.warehouse.stat().st_size > before / 2
    assert rows_of(world, "select count(*) from tweets") == [(2400,)]
    assert keep(world, registry).bytes_compacted == 0


def test_a_damaged_snapshot_is_replaced(world: Home, registry: Registry) -> None:
    publish(world)
    snapshot = world.published.resolve()
    status = snapshot.stat()
    snapshot.write_bytes(b"\0" * status.st_size)
    os.utime(snapshot, ns=(status.st_atime_ns, status.st_mtime_ns))
    keep(world, registry)
    assert query(world, "select count(*) from tweets").item() == 2400
    assert world.published.resolve() != snapshot
