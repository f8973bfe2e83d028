"""Opens and closes every flow: the home and the time first, a row in `runs` and a published snapshot last."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from prefect import task
from prefect.client.schemas.objects import State, TaskRun
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.tasks import Task
from pydantic import Field

from sentiment import clock
from sentiment.errors import BusyError
from sentiment.maintenance.erasure import finish_forgetting
from sentiment.registry.history import record_run
from sentiment.settings import open_home
from sentiment.warehouse.connection import writer
from sentiment.warehouse.locks import working_as
from sentiment.warehouse.snapshot import publish

AsOf = Annotated[
    datetime | None,
    Field(description="Time to use as now, to simulate the past; rows carry it. Empty: now."),
]


def is_busy(task: Task, run: TaskRun, state: State) -> bool:  # type: ignore[type-arg]
    """Retry only errors that another process can have caused; a wrong file stays wrong."""
    return isinstance(state.result(raise_on_failure=False), BusyError)


def say_waiting(message: str) -> None:
    """What a run waits for goes to its log."""
    get_run_logger().info("%s", message)


@dataclass
class RunRecord:
    """What a run did; filled in by the flow, written to `runs` when it ends well."""

    flow: str
    count_rows: int = 0
    outcome: str = ""
    run_id: str = field(default_factory=lambda: str(flow_run.id or "local"))


@contextmanager
def recorded_run(flow: str, as_of: datetime | None = None) -> Iterator[RunRecord]:
    """Time a flow, write its row in `runs`, and publish the snapshot; within the context, now is `as_of`."""
    home = open_home(say_waiting)
    if not finish_forgetting(home):
        say_waiting("A request to forget is not finished: another run is at work; the next one goes on")
    with clock.play(as_of), working_as(str(flow_run.name or flow)):
        record, started_at, began = RunRecord(flow), clock.now(), time.perf_counter()
        yield record
        seconds = time.perf_counter() - began
        row = {
            "run_id": record.run_id,
            "flow": flow,
            "started_at": started_at,
            "finished_at": clock.now(),
            "seconds": seconds,
            "count_rows": record.count_rows,
            "rows_per_second": record.count_rows / seconds,
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "outcome": record.outcome,
        }
        publish_snapshot(row)
        get_run_logger().info("%s", record.outcome)


@task(name="publish", task_run_name="publish to readers", retries=3, retry_delay_seconds=10, retry_condition_fn=is_busy)
def publish_snapshot(run: dict[str, object]) -> None:
    """Write the run's row and publish the snapshot."""
    home = open_home(say_waiting)
    with writer(home) as warehouse:
        record_run(warehouse, run)
    publish(home)
