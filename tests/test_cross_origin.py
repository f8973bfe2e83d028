"""Who is let in by 127.0.0.1: programs and the server's own pages, and no page of another origin."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from sentiment.cross_origin import CrossOriginProtection, answered_hosts, host_of

HOST = "127.0.0.1:4200"
HOSTS = answered_hosts("0.0.0.0", ["server", "2001:db8::5"])
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def answer(
    headers: list[tuple[str, str]], method: str = "GET", kind: str = "http", hosts: frozenset[str] = HOSTS
) -> tuple[Any, dict[bytes, bytes], bool]:
    """The status of a request, the headers of its answer, and whether the application saw it."""
    seen: list[Scope] = []
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"x-of", b"app")]})
        else:
            await send({"type": "websocket.accept"})

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": f"{kind}.connect"}

    encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    scope: Scope = {"type": kind, "path": "/", "headers": encoded}
    if kind == "http":
        scope["method"] = method
    asyncio.run(CrossOriginProtection(app, hosts)(scope, receive, send))
    first = sent[0]
    status = {"websocket.accept": "accepted", "websocket.close": 403}.get(first["type"]) or first["status"]
    return status, dict(first.get("headers", ())), bool(seen)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        HOST,
        "localhost:8000",
        "LocalHost",
        "[::1]",
        "[::1]:4200",
        "server:4200",
        "Server",
        "[2001:db8::5]:1",
    ],
)
def test_known_hosts_are_answered(host: str) -> None:
    status, headers, _ = answer([("Host", host)])
    assert (status, headers) == (200, {b"x-of": b"app", b"x-frame-options": b"SAMEORIGIN"})


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:4200",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "evil.example#127.0.0.1",
        "localhost.evil.example:4200",
        "evil.localhost",
        "127.0.0.2",
        "0.0.0.0:4200",
        "192.168.0.7:4200",
        "127.0.0.1:4200:evil",
        "127.0.0.1:evil.example",
        "[::1]evil.example",
        "[::2]:4200",
        "::1",
        "servers",
        "",
        "\xff",
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_other_hosts_are_refused(host: str, kind: str) -> None:
    status, _, was_seen = answer([("Host", host)], kind=kind)
    assert (status, was_seen) == (403, False)


def test_no_host_or_two_are_refused() -> None:
    assert answer([])[::2] == (403, False)
    assert answer([("Host", HOST), ("Host", "evil.example")])[::2] == (403, False)
    assert answer([("Host", "evil.example"), ("Host", HOST)])[::2] == (403, False)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_programs_notice_nothing(method: str) -> None:
    assert answer([("Host", HOST), ("User-Agent", "curl")], method)[0] == 200


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "sent",
    [
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        {"Origin": f"http://{HOST}"},
        {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_its_own_pages_may_use_it(method: str, sent: dict[str, str]) -> None:
    assert answer([("Host", HOST), *sent.items()], method)[0] == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "sent",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1:3000"},  # Another program of this machine.
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://localhost:4200"},
        {"Origin": f"http://{HOST}.evil.example"},
        {"Origin": f"http://evil.example/?://{HOST}"},
        {"Origin": HOST},
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "something new"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "embed"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        LINK | {"Origin": "http://evil.example"},
    ],
)
def test_pages_of_other_origins_may_not(method: str, sent: dict[str, str]) -> None:
    status, headers, was_seen = answer([("Host", HOST), *sent.items()], method)
    assert (status, was_seen) == (403, False)
    assert not [name for name in headers if name.startswith(b"access-control")]


@pytest.mark.parametrize(
    ("method", "status"), [("GET", 200), ("HEAD", 200), ("POST", 403), ("PUT", 403), ("DELETE", 403)]
)
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_is_followed_and_a_form_is_not(method: str, status: int, site: str) -> None:
    assert answer([("Host", HOST), *(LINK | {"Sec-Fetch-Site": site}).items()], method)[0] == status


def test_one_own_origin_does_not_cover_for_a_second() -> None:
    origins = [("Origin", f"http://{HOST}"), ("Origin", "http://evil.example")]
    assert answer([("Host", HOST), *origins])[0] == 403
    assert answer([("Host", HOST), ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")])[0] == 403


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({}, "accepted"),
        ({"Origin": f"http://{HOST}"}, "accepted"),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:3000"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "websocket"}, 403),
        (LINK, 403),
    ],
)
def test_websockets_are_opened_by_programs_and_own_pages(sent: dict[str, str], status: str | int) -> None:
    found, _, was_seen = answer([("Host", HOST), *sent.items()], kind="websocket")
    assert (found, was_seen) == (status, status == "accepted")


def test_a_server_is_asked_by_the_address_that_it_listens_on() -> None:
    assert answered_hosts("127.0.0.1", []) == {"127.0.0.1", "localhost", "::1"}
    assert answered_hosts("10.0.0.5", ["Server.LAN"]) - answered_hosts("127.0.0.1", []) == {"10.0.0.5", "server.lan"}
    assert answered_hosts("0.0.0.0", []) == answered_hosts("::", []) == answered_hosts("127.0.0.1", [])


def test_start_and_end_of_the_application_pass() -> None:
    seen: list[str] = []

    async def app(scope: Scope, _: Receive, __: Send) -> None:
        seen.append(scope["type"])

    asyncio.run(CrossOriginProtection(app, HOSTS)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]


@given(st.text(st.characters(max_codepoint=255)))
def test_any_host_is_read_or_refused(text: str) -> None:
    host = host_of(text)
    assert host in text
    assert answer([("Host", text)])[0] == (200 if host_of(text.strip().lower()) in HOSTS else 403)
