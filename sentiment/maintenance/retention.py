"""Keeps a home within bounds over years. What stays:

- predictions of the champion, of the version that readers see, of the champion before (what `rollback` goes back to), of any
  version that scored within 7 days; and of corrected tweets, without a limit;
- model versions: every former champion, what waits for approval, the newest 10. Others go 90 days after they were
  registered, with their MLflow run and files;
- MLflow runs that were killed or failed, 7 days; what was deleted in MLflow's pages goes for good;
- reports and error reports, 90 days; checkpoints of killed trainings, 7 days; work files, 1 day; shards, while they are scored;
- the warehouse file, until a quarter of it, and 64 MiB, are free: then it is rewritten.

Of the tables, only predictions are deleted: decisions, learning curve, history and accounts of files stay, also of deleted
versions. Prefect's server prunes its own history (`flows.server.supervisor`). 1.6 million new tweets a week are 83 million
predictions a year for each version; these rules keep two versions' predictions, and a few more for a week after a change.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from sentiment import clock
from sentiment.maintenance.erasure import finish_forgetting
from sentiment.registry import history
from sentiment.registry.client import Registry
from sentiment.scoring.score import clear_store, open_store
from sentiment.settings import Home
from sentiment.warehouse.connection import rewrite, writer
from sentiment.warehouse.locks import operation_lock
from sentiment.warehouse.session import Warehouse
from sentiment.warehouse.snapshot import publish, remove_damaged

DAYS_OF_PREDICTIONS = 7
DAYS_OF_REFUSED_VERSIONS = 90
NEWEST_VERSIONS = 10
DAYS_OF_DEAD_RUNS = 7
DAYS_OF_REPORTS = 90
DAYS_OF_CHECKPOINTS = 7
DAYS_OF_WORK_FILES = 1
FREE_SHARE = 0.25
FREE_BYTES = 64 << 20


@dataclass(frozen=True)
class HousekeepingReport:
    """What was removed."""

    predictions: dict[int, int] = field(default_factory=dict)
    model_versions: list[int] = field(default_factory=list)
    count_dead_runs: int = 0
    count_files: int = 0
    bytes_compacted: int = 0
    is_all_forgotten: bool = True


def keep_house(home: Home, registry: Registry) -> HousekeepingReport:
    """Apply the rules, relative to the time of this run.

    Raises:
        BusyError: a scoring run takes longer than `settings.writer_wait_seconds`; nothing was removed.
        HomeError: as `warehouse.writer`.
        StoreError: what SENTIMENT_SHARDS names cannot be reached; all else was removed.
    """
    is_all_forgotten = finish_forgetting(home)
    with operation_lock(home, "upkeep"), operation_lock(home, "score"):
        champion = registry.champion()
        with writer(home) as warehouse:
            # A champion deleted in MLflow may be restored there; its predictions are still read.
            kept = champion.model_version if champion else history.recorded_champion(warehouse)
            predictions = prune_predictions(warehouse, kept)
            versions = [
                version
                for (version,) in warehouse.run(
                    "steps/maintenance/select_refused_versions",
                    before=_days_ago(DAYS_OF_REFUSED_VERSIONS),
                    keep=NEWEST_VERSIONS,
                ).fetchall()
            ]
            free_bytes, free_share = warehouse.run("steps/maintenance/select_free_share").fetchone() or (0, 0.0)
        versions, count_dead_runs = registry.remove(versions, dead_before=_days_ago(DAYS_OF_DEAD_RUNS))
        count_files = sum(_remove_old_files(home))
        size = home.warehouse.stat().st_size
        # A block is free only when all its rows are gone; after a large deletion it is worth checking.
        if sum(predictions.values()) > 1_000_000 or (free_share >= FREE_SHARE and free_bytes >= FREE_BYTES):
            rewrite(home)
        if remove_damaged(home):
            count_files += 1
            # The next snapshot is a copy of the warehouse, which may be damaged in the same place.
            with writer(home) as warehouse:
                warehouse.read_all()
        count_files += clear_store(open_store(home))
    publish(home)
    return HousekeepingReport(
        predictions,
        versions,
        count_dead_runs,
        count_files,
        max(0, size - home.warehouse.stat().st_size),
        is_all_forgotten,
    )


def prune_predictions(warehouse: Warehouse, champion: int | None) -> dict[int, int]:
    """Delete the predictions that no rule keeps; how many, by version."""
    kept = [champion] if champion is not None else []
    if champion is not None:
        former = warehouse.value("steps/registry/select_former_champion", model_version=champion)
        kept += [former] if former is not None else []
    with warehouse.transaction():
        prunable = warehouse.frame(
            "steps/maintenance/select_prunable_predictions", kept=kept, before=_days_ago(DAYS_OF_PREDICTIONS)
        )
        if len(prunable):
            warehouse.load("steps/maintenance/delete_predictions", prunable)
    return dict(prunable.rows())


def _remove_old_files(home: Home) -> Iterable[int]:
    """Remove what is older than its rule allows; one number a rule."""
    yield _remove_older(home.reports.rglob("*"), DAYS_OF_REPORTS)
    yield _remove_older(home.logs.glob("error-*.txt"), DAYS_OF_REPORTS)
    yield _remove_older(home.checkpoints.iterdir(), DAYS_OF_CHECKPOINTS)
    yield _remove_older(home.work.iterdir(), DAYS_OF_WORK_FILES)
    yield _remove_older(home.exports.glob(".new-*"), DAYS_OF_WORK_FILES)
    yield _remove_older(home.published.parent.glob("*.part"), DAYS_OF_WORK_FILES)


def _remove_older(paths: Iterable[Path], days: int) -> int:
    oldest, count = _days_ago(days).timestamp(), 0
    for path in paths:
        if _newest_change(path) >= oldest:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        count += 1
    return count


def _newest_change(path: Path) -> float:
    """For a folder, the time of its newest file: a folder in use is written to."""
    found = [path, *(path.rglob("*") if path.is_dir() else [])]
    return max((file.lstat().st_mtime for file in found if file.exists()), default=0.0)


def _days_ago(days: int) -> datetime:
    return clock.now() - timedelta(days=days)
