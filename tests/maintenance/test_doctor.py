"""Faults planted one at a time: the doctor finds each, and its remedy fixes it."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from typer.testing import CliRunner

from flows.cli.app import app
from flows.cli.status import gather_status, print_status
from sentiment.maintenance import doctor
from sentiment.maintenance.doctor import Finding, diagnose
from sentiment.maintenance.erasure import forget
from sentiment.maintenance.retention import keep_house
from sentiment.registry.champion import promote
from sentiment.registry.client import Registry
from sentiment.scoring.score import score
from sentiment.settings import Home
from sentiment.warehouse.connection import writer
from sentiment.warehouse.snapshot import publish

BY = {"changed_by": "ann", "reason": "because"}


@pytest.fixture
def wrong(home: Home, world_template: Home) -> Callable[[], list[Finding]]:
    """Publishes an empty home; gives what is wrong with it whenever it is called."""
    # To make a store of MLflow's takes seconds; a copied one finds its place.
    shutil.copytree(world_template.mlflow, home.mlflow, dirs_exist_ok=True)
    publish(home)
    assert find(home) == []
    return lambda: find(home)


def find(home: Home) -> list[Finding]:
    return [finding for finding in diagnose(home) if not finding.is_well]


def follow(remedy: str, home: Home) -> None:
    """Do what the doctor says: the commands in this process, anything else in a shell."""
    command = remedy.partition(";")[0]
    if command == "sentiment housekeeping":
        keep_house(home, Registry(home))  # What the flow of that name does.
    elif command.startswith("sentiment "):
        done = CliRunner(env={"SENTIMENT_HOME": str(home.root)}).invoke(app, shlex.split(command)[1:])
        assert done.exit_code == 0, done.output
    else:
        subprocess.run(command, shell=True, check=True)


def assert_fixed(finding: Finding, home: Home) -> None:
    follow(finding.remedy, home)
    assert find(home) == []


def test_a_lock_held_by_a_process_that_does_not_go_on(home: Home, wrong: Callable) -> None:
    script = (
        "import os, pathlib, signal, sys\n"
        "from sentiment.warehouse.locks import operation_lock\n"
        "from sentiment.settings import Home\n"
        "with operation_lock(Home(pathlib.Path(sys.argv[1])), 'warehouse'):\n"
        "    print('held', flush=True); os.kill(os.getpid(), signal.SIGSTOP)"
    )
    command = [sys.executable, "-c", script, str(home.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
            finding = next(finding for finding in wrong() if finding.check == "locks")
            assert f"process {process.pid}, which is stopped" in finding.found
            follow(finding.remedy, home)
            assert process.wait(10) == -signal.SIGKILL
        finally:
            process.kill()
    assert wrong() == []


def test_a_lock_of_a_run_that_is_at_work_is_no_fault(home: Home, wrong: Callable) -> None:
    with writer(home):
        assert wrong() == []


@pytest.fixture
def two_champions(world: Home, registry: Registry, register: Callable) -> Home:
    """A home whose champions were versions 1 and then 2; both have scored everything."""
    for known in (10, 20):
        promote(world, registry, register(known).model_version, **BY)
        score(world, registry, run_id="r")
    publish(world)
    assert find(world) == []
    return world


def test_files_of_the_champion_that_are_missing(two_champions: Home, registry: Registry) -> None:
    shutil.rmtree(registry.files(2) / "artifacts" / "model")
    (finding,) = find(two_champions)
    assert finding.check == "registry"
    assert finding.remedy.startswith("sentiment promote 1 ")
    assert_fixed(finding, two_champions)
    # Nothing depends on it any more; it is still said.
    assert any("version 2" in finding.found for finding in diagnose(two_champions) if finding.check == "registry")


def test_an_alias_that_points_to_a_deleted_version(two_champions: Home, registry: Registry) -> None:
    registry.client.delete_model_version(registry.name, "2")
    (finding,) = find(two_champions)
    assert finding.found == "the alias `champion` points to no version; it should be 2"
    assert_fixed(finding, two_champions)


@pytest.mark.parametrize("damage", ["dangling", "zeros"])
def test_a_snapshot_that_is_gone_or_damaged(home: Home, wrong: Callable, damage: str) -> None:
    snapshot = home.published.resolve()
    if damage == "dangling":
        snapshot.unlink()
    else:
        snapshot.write_bytes(bytes(snapshot.stat().st_size))
    (finding,) = wrong()
    assert finding.check == "snapshot"
    assert_fixed(finding, home)


def test_a_warehouse_of_a_newer_version(home: Home, wrong: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    with writer(home) as warehouse:
        warehouse.run("steps/warehouse/insert_schema_migration", number=9999, name="9999_future")
    finding = next(finding for finding in wrong() if finding.check == "warehouse")
    assert "schema migration 9999" in finding.found
    assert "git -C" in finding.remedy
    # Its advice is to take that newer version of the program.
    monkeypatch.setattr(doctor, "known_migration", lambda: 9999)
    assert [finding for finding in wrong() if finding.check == "warehouse"] == []


def test_a_disk_that_is_nearly_full(home: Home) -> None:
    def disk(free: int) -> Finding:
        return next(found for found in diagnose(home, free_bytes=free) if found.check == "disk")

    assert not disk(100 << 20).is_well
    assert disk(100 << 20).remedy.startswith("sentiment housekeeping")
    assert disk(1 << 40).is_well


def test_packages_other_than_the_pins(home: Home, repository: Path) -> None:
    versions = {"sqlalchemy": "2.1.0", "fastapi": "0.155.0"}

    def installed(name: str) -> str:
        return versions.get(name) or importlib.metadata.version(name)

    found = [finding for finding in diagnose(home, installed=installed) if finding.check == "versions"]
    assert sorted(finding.found.split()[0] for finding in found) == sorted(versions)
    lock = repository / "requirements.lock"
    assert {finding.remedy for finding in found} == {f"{sys.executable} -m pip install -r {lock}"}
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(), flags=re.MULTILINE))
    for line in importlib.metadata.requires("sentiment") or []:
        wanted = Requirement(line)
        if wanted.name in versions:
            assert wanted.specifier.contains(locked[wanted.name])


def test_a_file_left_unfinished_by_a_kill(home: Home, wrong: Callable, rows_of: Callable) -> None:
    with writer(home) as warehouse:
        warehouse.connection.execute(
            "insert into tweets by name select 1 as tweet_id, 'half' as text, false as has_label_conflict, 1 as text_key, "
            "'train' as split, 'f' as file_id, timestamptz '2026-01-01' as ingested_at"
        )
        warehouse.connection.execute("insert into unfinished_files values ('f', timestamptz '2026-01-01')")
    finding = next(finding for finding in wrong() if "killed while it loaded a file" in finding.found)
    assert_fixed(finding, home)
    assert rows_of(home, "select count(*) from tweets") == [(0,)]


def test_tables_that_do_not_add_up(home: Home, wrong: Callable) -> None:
    with writer(home) as warehouse:
        warehouse.connection.execute(
            "insert into predictions select 1, 1, 0.5, 'positive', now(), 'r', null from range(2)"
        )
    finding = next(finding for finding in wrong() if finding.check == "warehouse")
    assert "1 row(s) against predictions_are_unique. Likely cause: " in finding.found
    assert "sentiment restore FILE" in finding.remedy


def test_a_folder_that_cannot_be_written(home: Home, wrong: Callable) -> None:
    home.exports.chmod(0o500)
    (finding,) = wrong()
    assert finding.found == f"{home.exports} cannot be read and written"
    assert_fixed(finding, home)


def test_a_home_that_others_can_write(home: Home, wrong: Callable) -> None:
    home.root.chmod(0o777)
    (finding,) = wrong()
    assert_fixed(finding, home)


def test_leftovers_of_killed_runs(home: Home, wrong: Callable) -> None:
    leftover = home.work / "unscored-1.parquet"
    leftover.write_text("x")
    os.utime(leftover, (time.time() - 2 * 86400,) * 2)
    (finding,) = wrong()
    assert_fixed(finding, home)
    assert not leftover.exists()


def test_a_request_to_forget_that_was_killed(home: Home, wrong: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sentiment.maintenance.erasure._forget_files", die)
        with pytest.raises(KeyboardInterrupt):
            forget(home, tweet_ids=[7])
    finding = next(finding for finding in wrong() if finding.check == "forgetting")
    assert_fixed(finding, home)


def test_the_secret_of_what_was_forgotten_is_missing(home: Home, wrong: Callable) -> None:
    forget(home, tweet_ids=[7])
    home.forget_key.unlink()
    (finding,) = wrong()
    assert "nothing is loaded" in finding.found
    assert "out of a backup" in finding.remedy


def test_status_begins_with_what_is_wrong_and_goes_on_where_the_snapshot_is_gone(
    home: Home, wrong: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gather_status(home)["wrong"] == []
    home.published.resolve().unlink()
    found = gather_status(home)
    assert [finding.check for finding in found["wrong"]] == ["snapshot"]
    print_status(found)
    assert capsys.readouterr().err.startswith("snapshot: ")
