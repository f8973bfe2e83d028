"""Asking a server over REST: busy is not gone, and gone is an `OSError`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from flows.server.rest import ask


class Server(HTTPServer):
    """Answers with the statuses it was given, one a request, then always the last one."""

    def __init__(self) -> None:
        self.statuses, self.requests = [200], list[tuple[str, str, object]]()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/api"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.server.requests.append((self.command, self.path, json.loads(self.rfile.read(length) or b"null")))
        statuses = self.server.statuses
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        content = json.dumps({"found": True}).encode() if status == 200 else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_question_and_its_answer(server: Server) -> None:
    assert ask(f"{server.address}/health") == {"found": True}
    assert ask(f"{server.address}/runs/filter", {"limit": 1}) == {"found": True}
    assert server.requests == [("GET", "/api/health", None), ("POST", "/api/runs/filter", {"limit": 1})]


@pytest.mark.parametrize("body", [None, {"limit": 1}])
def test_a_busy_server_is_asked_again(server: Server, body: object) -> None:
    server.statuses = [503, 503, 200]
    assert ask(server.address, body) == {"found": True}
    assert len(server.requests) == 3


def test_what_is_not_there_or_says_nothing_is_none(server: Server) -> None:
    server.statuses = [404, 204]
    assert ask(server.address) is None
    assert ask(server.address, []) is None


@pytest.mark.parametrize("status", [400, 500])
def test_a_refusal_is_an_error_at_once(server: Server, status: int) -> None:
    server.statuses = [status]
    with pytest.raises(OSError, match=str(status)):
        ask(server.address)
    assert len(server.requests) == 1


def test_nobody_there_is_an_error(server: Server) -> None:
    with Server() as gone:
        address = gone.address
    with pytest.raises(OSError, match="refused"):
        ask(address)
