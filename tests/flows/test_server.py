"""Runs whose processes are gone: a new server ends them, and their deployments run again."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from filelock import FileLock
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, StateType
from prefect.states import Pending, Running, Scheduled, State

from flows.server import supervisor
from flows.server.app import mark_older_as_crashed
from sentiment.settings import Home


@flow
def some_flow() -> None:
    """Does nothing."""


def taken_run(client: SyncPrefectClient, deployment: UUID, state: State) -> UUID:
    """A run of a deployment, taken by a worker."""
    run = client.create_flow_run_from_deployment(deployment, state=Scheduled(scheduled_time=datetime.now(UTC)))
    for reached in (Pending(), state):
        client.set_flow_run_state(run.id, reached)
    return run.id


@pytest.mark.parametrize("state", [Pending(name="Submitting"), Running()], ids=["never begun", "begun"])
def test_a_run_of_the_tree_before_is_ended_and_its_deployment_runs_again(state: State) -> None:
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(
            client.create_flow(some_flow),
            f"of a test, {state.name}",
            concurrency_limit=1,
            concurrency_options={"collision_strategy": ConcurrencyLimitStrategy.CANCEL_NEW},
        )
        left = taken_run(client, deployment, state)
        assert client.read_flow_run(left).state_type == state.type
        turned_away = taken_run(client, deployment, Pending())
        assert client.read_flow_run(turned_away).state_type == StateType.CANCELLED

        asyncio.run(mark_older_as_crashed(datetime.now(UTC) - timedelta(minutes=5)))
        assert client.read_flow_run(left).state_type == state.type, "it may belong to this tree"
        asyncio.run(mark_older_as_crashed(datetime.now(UTC)))
        ended = client.read_flow_run(left).state
        assert ended is not None
        assert ended.type == StateType.CRASHED
        assert "sentiment up" in str(ended.message)
        assert client.read_flow_run(taken_run(client, deployment, Running())).state_type == StateType.RUNNING


def test_up_takes_the_place_of_one_that_is_on_its_way_down(
    new_home: Callable[[], Home], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = new_home()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(supervisor, "start", lambda home, parts, stopping, say: (say("started"), stopping.set()))
    other = FileLock(home.locks / "up.lock", thread_local=False)
    other.acquire()
    threading.Timer(0.5, other.release).start()
    lines: list[str] = []
    try:
        supervisor.up(home, lines.append)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert lines == ["started", "stopping"]
