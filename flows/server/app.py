"""Prefect's server for one home, in a process of its own.

    python -m flows.server.app temporary SOCKET   for one command, which started it (`flows.server.ephemeral`)
    python -m flows.server.app permanent HOST PORT           for containers, with scheduler and UI
    python -m flows.server.app handed-over SINCE             for `sentiment up`: the same, standard input is its socket
    python -m flows.server.app prepare            once per virtual environment, by `make setup`

It is Prefect's own application under uvicorn, with four additions. The schema is migrated under a lock, so that two commands
may start at once on a fresh home. Transactions wait for each other when they begin (`begin_immediately`). Requests by web
pages of other sites are refused (`protected`). Runs of dead processes are marked as crashed: a run that stayed "Running" would
keep its deployment from ever running again.

The temporary server prints `ready` on standard output once it answers. It ends when standard input closes, as the operating
system makes sure when the command ends in any way, and marks runs that have not ended as crashed. That of `sentiment up` marks
runs of deployments that started before SINCE, the start of its process tree: their processes ended with an earlier tree, or
belong to the home that a backup was made of.

Costs: 2.8 s of imports and application, 120 MB; on a fresh home 4.3 s of migrations more, unless `prepare` was run.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sqlite3
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, closing
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI, Request, Response
from filelock import FileLock
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

from sentiment.cross_origin import CrossOriginProtection, answered_hosts
from sentiment.errors import InputError
from sentiment.model.atomic import atomic_write
from sentiment.settings import load_settings

STATE_OF_FLOW_RUN = re.compile(r"/api/flow_runs/([0-9a-f-]{36})/set_state")
Respond = Callable[[Request], Awaitable[Response]]


class Server(uvicorn.Server):
    """A uvicorn server that says when it answers."""

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        tell_the_command("ready")
        os.dup2(2, 1)  # All output goes to the log from now on; nobody reads the pipe any more.


class Lifeline(threading.Thread):
    """Waits for the end of standard input, that is of the command, and then stops the server."""

    server: Server | None = None

    def run(self) -> None:
        os.read(0, 1)
        if self.server is None:
            os._exit(0)  # In the middle of imports or migrations; each migration is a transaction.
        self.server.should_exit = True


def serve_temporarily(listener: socket) -> None:
    """Serve on a listening socket until standard input closes."""
    lifeline = Lifeline(daemon=True)
    lifeline.start()
    allow_no_other_origin()
    from prefect.server.api.server import create_app

    begin_immediately()
    try:
        migrate()
    except Exception as error:
        tell_the_command(str(error).partition("\n")[0])
        raise
    app = create_app(ephemeral=True, final=True)
    runs = remember_runs(app)
    lifeline.server = Server(
        uvicorn.Config(protected(app, answered_hosts("127.0.0.1", ())), log_config=None, timeout_graceful_shutdown=5)
    )
    lifeline.server.run(sockets=[listener])
    asyncio.run(mark_unfinished_as_crashed(runs, "The command that ran this flow was ended."))
    os._exit(0)  # Everything is written; a normal interpreter exit would cost the waiting command most of a second.


def tell_the_command(line: str) -> None:
    """The first line on standard output: `ready`, or why not."""
    os.write(1, f"{line}\n".encode())


def serve_permanently(address: dict[str, Any], since: datetime | None = None) -> None:
    """Serve until SIGTERM.

    Args:
        address: uvicorn's `host` and `port`, or `fd`, a socket that listens on this machine alone.
        since: runs of deployments that started earlier are marked as crashed.
    """
    try:
        hosts = answered_hosts(address.get("host", "127.0.0.1"), load_settings().allowed_hosts)
    except InputError as error:
        sys.exit(str(error))
    allow_no_other_origin()
    from prefect.server.api.server import create_app

    begin_immediately()
    migrate()
    if since is not None:
        asyncio.run(mark_older_as_crashed(since))
    app = protected(create_app(final=True), hosts)
    uvicorn.run(app, **address, log_config=None, timeout_graceful_shutdown=5)


def protected(app: FastAPI, hosts: frozenset[str]) -> CrossOriginProtection:
    """Prefect's application; only its own pages and programs may use it, no web page of another site.

    A flow run may name the command that its worker starts, so anyone who reaches the server can run code. Prefect's own
    settings do not reach that far: `CORS_ALLOWED_ORIGINS` keeps pages from reading answers, yet their requests are carried
    out; `CSRF_PROTECTION_ENABLED` gives its tokens to a rebound page as well, and covers no websockets.
    """
    return CrossOriginProtection(app, hosts)


def allow_no_other_origin() -> None:
    """Set CORS before Prefect is imported, so that pages of other origins may read nothing; by default all may."""
    # An empty value is taken for unset, and no page has this origin.
    os.environ["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] = "none"


def begin_immediately() -> None:
    """Let every transaction on SQLite take the write lock when it begins, and wait for it, not in the middle.

    Prefect does so for some. The others read first; if another transaction has written meanwhile, their own write fails at
    once: events are lost, and clients have to ask again. Worse, the traceback of the failure keeps the statement alive. When
    it is freed while its connection already waits for the lock on behalf of another task, the event loop waits with it,
    and so does the holder of the lock: nothing moves for a minute.
    """
    from prefect.server.database.configurations import AioSqliteConfiguration

    begin = AioSqliteConfiguration.begin_transaction

    def begin_transaction(
        self: AioSqliteConfiguration, session: AsyncSession, with_for_update: bool = True
    ) -> AbstractAsyncContextManager[AsyncSessionTransaction]:
        return begin(self, session, with_for_update=True)

    AioSqliteConfiguration.begin_transaction = begin_transaction  # type: ignore[method-assign, assignment]


def migrate() -> None:
    """Create Prefect's tables or bring them up to date; one process at a time."""
    from prefect.server.database import provide_database_interface
    from prefect.settings import PREFECT_HOME

    database = Path(PREFECT_HOME.value()) / "prefect.db"
    with FileLock(database.with_name("schema.lock")):
        if not database.exists() and prepared_database().exists():
            with atomic_write(database) as draft:
                shutil.copyfile(prepared_database(), draft)
        asyncio.run(provide_database_interface().create_db())


def prepared_database() -> Path:
    """Prefect's empty database, kept in the virtual environment for the version of Prefect that is installed there."""
    return Path(sys.prefix) / "share" / "sentiment" / f"prefect-{version('prefect')}.db"


def prepare() -> None:
    """Write the prepared database, once per environment: it spares every fresh home 113 migrations, that is 4 s."""
    with TemporaryDirectory() as home:
        os.environ["PREFECT_HOME"] = home
        migrate()
        prepared_database().parent.mkdir(parents=True, exist_ok=True)
        with (
            atomic_write(prepared_database()) as draft,
            closing(sqlite3.connect(Path(home) / "prefect.db")) as database,
        ):
            database.execute("vacuum into ?", [str(draft)])


def remember_runs(app: FastAPI) -> set[UUID]:
    """The ids of flow runs whose state is reported to `app`; grows with each report."""
    runs: set[UUID] = set()

    @app.middleware("http")
    async def remember(request: Request, respond: Respond) -> Response:
        if match := STATE_OF_FLOW_RUN.fullmatch(request.url.path):
            runs.add(UUID(match[1]))
        return await respond(request)

    return runs


async def mark_older_as_crashed(since: datetime) -> None:
    """Give every run of a deployment that was under way before a time, and has not changed its state after it, the state
    `Crashed`."""
    from prefect.server.database import provide_database_interface
    from prefect.server.schemas.states import StateType

    database = provide_database_interface()
    run, under_way = database.FlowRun, (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)
    async with database.session_context() as session:
        found = await session.scalars(
            sa.select(run.id).where(
                run.state_type.in_(under_way), run.state_timestamp < since, run.deployment_id.is_not(None)
            )
        )
    message = "`sentiment up` has ended since this began. The next run does its work."
    await mark_unfinished_as_crashed(set(found), message)


async def mark_unfinished_as_crashed(runs: set[UUID], message: str) -> None:
    """Give every run of `runs` that has not ended the state `Crashed`, which also frees its concurrency slots."""
    from prefect.server import models
    from prefect.server.database import provide_database_interface
    from prefect.server.schemas.states import TERMINAL_STATES, Crashed, State

    database = provide_database_interface()
    async with database.session_context(begin_transaction=True, with_for_update=True) as session:
        for run_id in runs:
            run = await models.flow_runs.read_flow_run(session, run_id)  # type: ignore[attr-defined]
            if run is not None and run.state_type not in TERMINAL_STATES:
                state: State = Crashed(message=message)
                await models.flow_runs.set_flow_run_state(session, run_id, state, force=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["temporary", number]:
            serve_temporarily(socket(fileno=int(number)))
        case ["permanent", host, port]:
            serve_permanently({"host": host, "port": int(port)})
        case ["handed-over", since]:
            serve_permanently({"fd": 0}, datetime.fromisoformat(since))
        case ["prepare"]:
            prepare()
        case _:
            sys.exit(__doc__)
