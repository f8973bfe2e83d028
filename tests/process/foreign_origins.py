"""A browser that shows pages of other origins, for tests of what such pages can do to servers of this machine.

Names end in `.example` and are mapped by Chromium itself. A rebound name is one whose page has been loaded from somebody
else and whose address then is this machine's: here a relay on another loopback address, at the very port of the server,
hands out the page and passes everything else on to the server, so that both are one origin to the browser.
"""

from __future__ import annotations

import json
import queue
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any
from urllib.parse import quote, urlsplit

PAGE = Path(__file__).with_name("foreign_page.html")
RELAY = "127.0.0.2"
OTHER_SITE, REBOUND, TRUSTED = "page.example", "rebound.example", "trusted.example"
NAMES = {OTHER_SITE: "127.0.0.1", REBOUND: RELAY, TRUSTED: RELAY}
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SECONDS = 60


class Attacker(ThreadingHTTPServer):
    """Serves the page and takes its reports."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _AttackersAnswer)
        self.reports: queue.Queue[dict[str, Any]] = queue.Queue()


class _AttackersAnswer(BaseHTTPRequestHandler):
    server: Attacker

    def do_GET(self) -> None:
        page = PAGE.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(page)

    def do_POST(self) -> None:
        self.server.reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Relay(ThreadingTCPServer):
    """On the port of a server: the attacker's page for `/attack`, that server for all else."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, attacker: Attacker) -> None:
        super().__init__((RELAY, port), _RelaysConnection)
        self.port, self.attacker = port, attacker


class _RelaysConnection(BaseRequestHandler):
    server: Relay

    def handle(self) -> None:
        first = self.request.recv(1 << 16)
        is_page = first.startswith(b"GET /attack")
        port = self.server.attacker.server_port if is_page else self.server.port
        with socket.create_connection(("127.0.0.1", port)) as beyond:
            beyond.sendall(first)
            answers = threading.Thread(target=_pass_on, args=(beyond, self.request), daemon=True)
            answers.start()
            _pass_on(self.request, beyond)
            answers.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(1 << 16):
            target.sendall(part)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def attacker_before(ports: list[int]) -> Iterator[Attacker]:
    """An attacker whose page is also found at these ports of `RELAY`, together with the servers that have them here."""
    with ExitStack() as stack:
        attacker = stack.enter_context(Attacker())
        for server in (attacker, *(stack.enter_context(Relay(port, attacker)) for port in ports)):
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
        yield attacker


@contextmanager
def tried(
    attacker: Attacker, host: str, targets: Mapping[str, Mapping[str, Any]], folder: Path, then: str = ""
) -> Iterator[dict[str, Any]]:
    """What the page of a host could do to targets; the browser stays open within.

    Args:
        host: its page is on the port of the first target if the relay answers for it, else on the attacker's own.
        folder: a new one for the browser.
        then: where the page leads in the end, as by a link.
    """
    assert CHROMIUM is not None
    first = urlsplit(next(iter(targets.values()))["url"]).port
    port = first if NAMES.get(host) == RELAY else attacker.server_port
    report = f"http://127.0.0.1:{attacker.server_port}/report"
    asked = quote(json.dumps({"targets": targets, "report": report, "then": then}))
    rules = ", ".join(f"MAP {name} {address}" for name, address in NAMES.items())
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server", f"--user-data-dir={folder}"]
    browser = subprocess.Popen(
        [CHROMIUM, *options, f"--host-resolver-rules={rules}", f"http://{host}:{port}/attack#{asked}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield attacker.reports.get(timeout=SECONDS)
    finally:
        browser.terminate()
        browser.wait(SECONDS)
