"""Finds what is wrong with a home, and names the command that fixes it. Reads everything and changes nothing.

Each check is a function that returns findings. What it needs from outside (free disk, installed versions) is passed in, so
that tests can plant a fault. Prefect's side of it (server, work pool, schedules) is in `flows.server.health`.
Takes 5 s, most of it to import MLflow and to load the champion, so both are imported by
the check that needs them: `status` runs the quick ones.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shlex
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from filelock import FileLock, Timeout
from packaging.requirements import Requirement

from sentiment.errors import BusyError, HomeError, ModelError, SentimentError
from sentiment.registry.names import FED_ROWS
from sentiment.settings import LEAST_FREE_BYTES, Home
from sentiment.warehouse.connection import inspected, reader
from sentiment.warehouse.locks import holding_process
from sentiment.warehouse.migrations import known_migration
from sentiment.warehouse.session import SQL_FOLDER, Warehouse, read_sql

if TYPE_CHECKING:
    from sentiment.registry.client import Registry

PROJECT = SQL_FOLDER.parent
# Checks without a parameter, and the command that repairs a table which fails; without one, restore a backup.
TABLE_CHECKS = {
    "files_reconcile": "",
    "predictions_are_unique": "",
    "tweets_are_unique": "",
    "published_version_is_complete": "sentiment score",
    "scored_ranges_hold": "",
}
_RESTORE = "restore the last backup into a new home: SENTIMENT_HOME=NEW sentiment restore FILE"
_TAKE_KEY = "take forget.key out of a backup of this home: tar --zstd -xf FILE forget.key"
_SECONDS_BEHIND = 3600


@dataclass(frozen=True)
class Finding:
    """The result of one check; `remedy` is a command, or what to do, when something is wrong."""

    check: str
    is_well: bool
    found: str
    remedy: str = ""


def diagnose(
    home: Home,
    *,
    free_bytes: int | None = None,
    installed: Callable[[str], str] = importlib.metadata.version,
) -> list[Finding]:
    """Run all checks of the home; a check that itself fails is a finding.

    Args:
        free_bytes: free disk space to assume; measured unless given.
        installed: gives the installed version of a package.
    """
    impatient = home.with_patience(2)
    return run_checks(
        home,
        {
            "versions": lambda: check_versions(installed),
            "permissions": lambda: check_permissions(home),
            "disk": lambda: check_disk(home, free_bytes),
            "locks": lambda: check_locks(home),
            "warehouse": lambda: check_warehouse(impatient),
            "snapshot": lambda: check_snapshot(home, whole=True),
            "registry": lambda: check_registry(impatient),
            "forgetting": lambda: check_forgetting(impatient),
            "leftovers": lambda: check_leftovers(home),
            **({"cluster": lambda: check_cluster(home)} if home.settings.scheduler else {}),
        },
    )


def check_cluster(home: Home) -> Iterator[Finding]:
    """The scheduler that is named: reachable, with workers of the same versions and the right configuration."""
    from sentiment.object_store import StoreError
    from sentiment.scoring import cluster
    from sentiment.scoring.score import open_store
    from sentiment.scoring.workers import ClusterError

    address = home.settings.scheduler
    start = f"DASK_CONFIG=deployments/dask.yaml dask worker {address}"
    try:
        with cluster.connected(home.settings) as client:
            count = len(client.scheduler_info(n_workers=-1)["workers"])
            problems = [*cluster.worker_problems(client, open_store(home)).values(), *cluster.setup_problems(client)]
    except (ClusterError, StoreError) as error:
        yield Finding("cluster", False, str(error), f"dask scheduler, and then {start}")
        return
    found = f"{address} has {count} workers. {' '.join(problems)}".strip()
    yield Finding("cluster", count > 0 and not problems, found, "" if count and not problems else start)


def look_quickly(home: Home) -> list[Finding]:
    """The quick checks, 50 ms."""
    checks = {
        "permissions": lambda: check_permissions(home),
        "disk": lambda: check_disk(home, None),
        "locks": lambda: check_locks(home),
        "snapshot": lambda: check_snapshot(home),
    }
    return [finding for finding in run_checks(home, checks) if not finding.is_well]


def run_checks(home: Home, checks: dict[str, Callable[[], Iterator[Finding]]]) -> list[Finding]:
    """Run checks by name. One without findings is well; one that fails to run is not."""
    findings = []
    for name, check in checks.items():
        try:
            found = list(check())
        except BusyError as error:
            found = [Finding(name, True, f"could not be looked at, since a run is at work: {error}")]
        except SentimentError as error:
            found = [Finding(name, False, str(error), _RESTORE)]
        except OSError as error:
            found = [Finding(name, False, f"cannot be looked at: {error}", f"chmod -R u+rwX {_quoted(home.root)}")]
        findings += found or [Finding(name, True, "well")]
    return findings


def check_versions(installed: Callable[[str], str]) -> Iterator[Finding]:
    """Whether the installed packages satisfy pyproject.toml."""
    remedy = f"{_quoted(sys.executable)} -m pip install -r {_quoted(PROJECT / 'requirements.lock')}"
    for line in importlib.metadata.requires("sentiment") or []:
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            version = installed(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding("versions", False, f"{wanted.name} is not installed, expected {wanted.specifier}", remedy)
            continue
        if not wanted.specifier.contains(version.partition("+")[0], prereleases=True):
            yield Finding("versions", False, f"{wanted.name} is {version}, expected {wanted.specifier}", remedy)


def check_permissions(home: Home) -> Iterator[Finding]:
    """Whether the owner can write everything, and whether others can read or write what they must not."""
    for path in (home.root, *(path for path in sorted(home.root.iterdir()) if not path.is_symlink())):
        mode = path.stat().st_mode
        needed = 0o700 if stat.S_ISDIR(mode) else 0o600
        if path.stat().st_uid != os.geteuid() and os.geteuid() != 0 and not mode & 0o020:
            who = f"chown -R {os.geteuid()} {_quoted(home.root)}"
            yield Finding("permissions", False, f"{path} belongs to another user", who)
        elif mode & needed != needed:
            yield Finding(
                "permissions", False, f"{path} cannot be read and written", f"chmod -R u+rwX {_quoted(home.root)}"
            )
        elif mode & 0o002 or (path in (home.forget_key, home.forgetting) and mode & 0o777 & ~home.secret_mode):
            yield Finding(
                "permissions", False, f"{path} is open to other users", f"chmod -R go-rwx {_quoted(home.root)}"
            )


def check_disk(home: Home, free_bytes: int | None) -> Iterator[Finding]:
    """Whether a snapshot and a rewritten warehouse would still fit."""
    free = shutil.disk_usage(home.root).free if free_bytes is None else free_bytes
    size = home.warehouse.stat().st_size if home.warehouse.exists() else 0
    needed = max(LEAST_FREE_BYTES, 3 * size)
    if free < needed:
        yield Finding(
            "disk",
            False,
            f"{free >> 20:,} MiB are free, {needed >> 20:,} are needed for a new snapshot and a rewritten warehouse",
            "sentiment housekeeping; if that is not enough, free some space or move the home to a larger disk",
        )
    else:
        yield Finding("disk", True, f"{free >> 20:,} MiB are free")


def check_locks(home: Home) -> Iterator[Finding]:
    """Whether a stopped process holds a lock. The kernel frees those of dead processes."""
    for path in sorted(home.locks.glob("*.lock")):
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
            lock.release()
        except Timeout:
            holder = holding_process(path)
            if holder is not None and _is_stopped(holder):
                yield Finding(
                    "locks", False, f"{path.stem} is held by process {holder}, which is stopped", f"kill -9 {holder}"
                )
            else:
                yield Finding("locks", True, f"{path.stem} is held by process {holder or 'unknown'}, which is at work")


def check_warehouse(home: Home) -> Iterator[Finding]:
    """Whether the warehouse opens, has this version's schema, is complete, and passes the checks in sql/checks/."""
    if not home.warehouse.exists():
        yield Finding("warehouse", True, "there is none yet: sentiment ingest PATH makes it")
        return
    try:
        with inspected(home) as warehouse:
            yield from _check_tables(warehouse)
    except BusyError:
        raise
    except HomeError as error:
        yield Finding("warehouse", False, str(error), _RESTORE)


def _check_tables(warehouse: Warehouse) -> Iterator[Finding]:
    applied = [number for (number,) in warehouse.run("steps/warehouse/select_schema_migrations").fetchall()]
    if applied[-1:] > [known_migration()]:
        yield Finding(
            "warehouse",
            False,
            f"it was written by a newer version: schema migration {applied[-1]}, this one knows {known_migration()}",
            f"git -C {_quoted(PROJECT)} pull && make -C {_quoted(PROJECT)} setup",
        )
        return
    if warehouse.value("steps/warehouse/count_unfinished_files"):
        yield Finding(
            "warehouse", False, "a run was killed while it loaded a file", "sentiment housekeeping; then load it again"
        )
    if applied[-1:] < [known_migration()]:
        yield Finding("warehouse", True, f"schema migration {applied[-1]}; the next run brings it up to date")
        return
    # Damage shows where it is read; the checks below read some columns, this all of them.
    warehouse.read_all()
    for name, remedy in TABLE_CHECKS.items():
        if found := warehouse.run(f"checks/{name}").fetchall():
            cause = re.search(r"Likely cause: (.*?)\n(?!--)", read_sql(f"checks/{name}"), re.DOTALL)
            why = cause[1].replace("\n-- ", " ") if cause else ""
            yield Finding(
                "warehouse", False, f"{len(found):,} row(s) against {name}. Likely cause: {why}", remedy or _RESTORE
            )


def check_snapshot(home: Home, *, whole: bool = False) -> Iterator[Finding]:
    """Whether people can read the snapshot, every block of it if `whole`, and whether it is up to date."""
    remedy = "sentiment housekeeping"
    if not home.published.exists():
        if home.published.is_symlink():
            yield Finding("snapshot", False, f"{home.published} points to a file that is gone", remedy)
        elif home.warehouse.exists():
            yield Finding("snapshot", False, "nothing has been published", remedy)
        return
    try:
        with reader(home) as snapshot:
            count = snapshot.value("steps/warehouse/count_tweets")
            if whole:
                snapshot.read_all()
    except HomeError as error:
        yield Finding("snapshot", False, f"{home.published} cannot be read ({error.__cause__ or error})", remedy)
        return
    if home.warehouse.exists():
        behind = home.warehouse.stat().st_mtime - home.published.stat().st_mtime
        if behind and time.time() - home.warehouse.stat().st_mtime > _SECONDS_BEHIND:
            yield Finding("snapshot", False, "the warehouse was written an hour ago and has not been published", remedy)
            return
    yield Finding("snapshot", True, f"{count:,} tweets")


def check_registry(home: Home) -> Iterator[Finding]:
    """Whether the champion is the one that the tables name, and loads."""
    if not (home.mlflow / "mlflow.db").exists():
        yield Finding("registry", True, "no model yet: sentiment retrain makes one")
        return
    from sentiment.registry.client import Registry

    registry = Registry(home)
    recorded, former = _recorded_champions(home)
    champion = registry.champion()
    if champion is None:
        if recorded is None:
            yield Finding("registry", True, "no champion yet")
            return
        others = [version for version in former if _can_load(registry, version)]
        what = f"the alias `champion` points to no version; it should be {recorded}"
        remedy = f'sentiment promote {others[0]} --reason "the champion was gone"' if others else "sentiment retrain"
        yield Finding("registry", False, what, remedy)
        return
    try:
        registry.load(champion.model_version)
    except ModelError as error:
        others = [version for version in former if version != champion.model_version and _can_load(registry, version)]
        remedy = f'sentiment promote {others[0]} --reason "files were missing"' if others else _RESTORE
        yield Finding("registry", False, str(error), remedy)
        return
    if registry.fed_rows(champion) is None:
        yield Finding(
            "registry",
            False,
            f"the list of rows that version {champion.model_version} was fed, {FED_ROWS}, is missing or damaged, so no "
            "challenger can be compared",
            f"sentiment retrain, or {_RESTORE}",
        )
        return
    others = [number for number in registry.numbers() if number != champion.model_version]
    yield from (finding for number in others if (finding := _damage_of(registry, number)))
    yield Finding("registry", True, f"version {champion.model_version} is champion and loads")


def _damage_of(registry: Registry, model_version: int) -> Finding | None:
    """A note if the files of a version that is not champion are not those that were registered; 0.1 s. Nothing needs them
    but a rollback to it, or a comparison with it, which say the same."""
    try:
        registry.model_files(model_version)
    except ModelError as error:
        return Finding("registry", True, str(error))
    return None


def _recorded_champions(home: Home) -> tuple[int | None, list[int]]:
    """The champion according to the tables, and all former ones, newest first."""
    if not home.warehouse.exists():
        return None, []
    try:
        with inspected(home) as warehouse:
            recorded = warehouse.value("steps/registry/select_recorded_champion", alias="champion")
            history = warehouse.frame("steps/registry/select_history")
    except HomeError:
        return None, []
    return recorded, list(dict.fromkeys(history["model_version"]))


def _can_load(registry: Registry, model_version: int) -> bool:
    try:
        registry.version(model_version)
        registry.load(model_version)
    except Exception:  # MLflow's error for a version that is gone is not documented
        return False
    return True


def check_forgetting(home: Home) -> Iterator[Finding]:
    """Whether every request to forget was finished, and whether forgotten tweets can be recognised."""
    if home.forgetting.exists():
        yield Finding("forgetting", False, "a request to forget was not finished", "sentiment forget")
    if home.forget_key.exists():
        from sentiment.ingest.blocklist import read_key

        try:
            read_key(home)
        except HomeError as error:
            yield Finding("forgetting", False, str(error), _TAKE_KEY)
    elif home.warehouse.exists():
        with inspected(home) as warehouse:
            tables = {name for _, name, _ in warehouse.run("steps/warehouse/select_relations").fetchall()}
            has_forgotten = "forgotten" in tables and warehouse.value("steps/maintenance/count_forgotten")
        if has_forgotten:
            yield Finding(
                "forgetting",
                False,
                f"{home.forget_key} is missing: forgotten tweets cannot be recognised, and nothing is loaded",
                _TAKE_KEY,
            )


def check_leftovers(home: Home) -> Iterator[Finding]:
    """Files of killed runs that no running process can need."""
    from sentiment.maintenance.retention import DAYS_OF_WORK_FILES

    oldest = time.time() - DAYS_OF_WORK_FILES * 86400
    places = (home.work.iterdir(), home.exports.glob(".new-*"), home.published.parent.glob("*.part"))
    found = [path for paths in places for path in paths if path.lstat().st_mtime < oldest]
    if found:
        yield Finding(
            "leftovers", False, f"{len(found)} file(s) of killed runs, such as {found[0]}", "sentiment housekeeping"
        )


def _is_stopped(process: int) -> bool:
    """Whether a process is stopped, as by Ctrl-Z."""
    try:
        return psutil.Process(process).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    except psutil.Error:
        return False


def _quoted(path: Path | str) -> str:
    return shlex.quote(str(path))
