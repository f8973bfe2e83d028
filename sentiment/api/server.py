"""Runs the API in this process until Ctrl-C or SIGTERM; requests that are under way are answered first."""

from __future__ import annotations

import logging
import os
import signal
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from sentiment.api.app import create_app
from sentiment.desk.orchestration import Orchestration
from sentiment.errors import InputError
from sentiment.settings import Home

SECONDS_TO_FINISH = 10
BACKLOG = 2_048


class Server(uvicorn.Server):
    """A uvicorn server that says when it answers, and ends with status 0 when it is asked to end."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Uvicorn's own would raise the signal again after a clean end."""
        handled = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in handled.items():
                signal.signal(number, handler)


def serve(
    home: Home, host: str, port: int, say: Callable[[str], None], orchestration: Orchestration | None = None
) -> None:
    """Serve a home until SIGINT or SIGTERM.

    Args:
        port: 0 takes any free one.
        orchestration: the server that runs the home's flows, which the desk may ask.
        say: gets the line that begins `ready` once the API listens; a model may still be loading (`/ready`).

    Raises:
        InputError: the address cannot be listened on.
    """
    with listen(host, port) as listener:
        # Two threads share the interpreter; at its usual 5 ms a turn they would wait for each other most of the time.
        sys.setswitchinterval(0.0005)
        logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
        config = uvicorn.Config(
            create_app(home, host, orchestration),
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            # Nothing here asks who is behind a proxy.
            proxy_headers=False,
            timeout_graceful_shutdown=SECONDS_TO_FINISH,
        )
        url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
        Server(config, lambda: say(f"ready: {url}")).run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens: the standard input if it is one, as `sentiment up` and `inetd` hand it over, else a new one.

    Raises:
        InputError: another program has the port, or the machine has no such address.
    """
    if (handed_over := handed_over_listener()) is not None:
        return handed_over
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        # Python adds the address to what the system says; an unknown name is no error of the system's.
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise InputError(
            f"{host}:{port} cannot be listened on ({reason}). Choose another port with --port, or 0 for any free one."
        ) from error


def handed_over_listener() -> socket.socket | None:
    """The standard input if it is a listening socket, else None."""
    try:
        if not stat.S_ISSOCK(os.fstat(0).st_mode):
            return None
    except OSError:  # It is closed.
        return None
    found = socket.socket(fileno=os.dup(0))
    if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return found
    found.close()
    return None
