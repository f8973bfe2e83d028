"""`sentiment serve` as a process: its `ready` line, its end, and ports that are taken."""

from __future__ import annotations

import signal
import socket
import urllib.request
from collections.abc import Callable

from flows.server.ephemeral import DIRECT
from tests.process.conftest import Command


def test_it_listens_on_this_machine_alone_and_ends_when_asked(new_command: Callable[[str], Command]) -> None:
    process = new_command("home").start("serve", "--port", "0")
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready: http://127.0.0.1:")
        with DIRECT.open(urllib.request.Request(f"{line.split()[1]}/health"), timeout=30) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, "")
    finally:
        process.kill()


def test_a_port_that_is_taken_is_a_sentence(new_command: Callable[[str], Command]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, said = new_command("home").fails("serve", "--port", port)
    assert (status, "Traceback" in said) == (2, False)
    assert f"127.0.0.1:{port} cannot be listened on (Address already in use). Choose another port with --port" in said


def test_listening_for_other_machines_is_said(new_command: Callable[[str], Command]) -> None:
    process = new_command("home").start("serve", "--host", "0.0.0.0", "--port", "0")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready: http://0.0.0.0:")
    process.terminate()
    assert "Listening on 0.0.0.0: anyone, since SENTIMENT_API_KEY is not set" in process.communicate(timeout=60)[1]
