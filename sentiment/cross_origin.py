"""Keeps web pages of other sites away from a server that listens on this machine.

127.0.0.1 is no wall: every page in every browser of this machine can send requests there. Two ways lead in, and each has
its check, for HTTP and for websockets:

- DNS rebinding: the page's own name is made to point to 127.0.0.1, and the browser takes the server for the page's own
  origin. The `Host` header still names the page, so only known names are answered.
- Cross-site requests: forms, `fetch`, images, frames and websockets reach the server although the page may not read the
  answer. Browsers say where a request comes from, in `Sec-Fetch-Site` and in `Origin`, and no page can change either.

A link to the server goes on working: a top-level navigation is let in, a frame is not. Programs send none of these headers
and notice nothing. The checks are those of Fetch Metadata (https://www.w3.org/TR/fetch-metadata/) and of Go's
`http.CrossOriginProtection`; both headers have to agree. Starlette's `TrustedHostMiddleware` covers the first way alone.
Costs: 5 µs a request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

LOOPBACK = ("127.0.0.1", "localhost", "::1")
NAMES = (b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest")  # ASGI gives them in lower case.
EVERY_NETWORK = ("0.0.0.0", "::", "")  # noqa: S104 - Addresses to listen on, which nobody asks for by name.


def answered_hosts(listening_on: str, others: Iterable[str]) -> frozenset[str]:
    """The names that a server may be asked by: this machine's own, the address it listens on, and others.

    Args:
        listening_on: the host of its socket; that of every network adds nothing.
        others: names or addresses without a port, as in `SENTIMENT_ALLOWED_HOSTS`.
    """
    listened = () if listening_on in EVERY_NETWORK else (listening_on,)
    return frozenset(host.lower() for host in (*LOOPBACK, *listened, *others))


class CrossOriginProtection:
    """ASGI middleware: answers 403 to requests for another host and to those that pages of another origin make.

    Args:
        app: what answers the others.
        hosts: `answered_hosts`.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is allowed; nobody may show it in a frame of another origin."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        if problem := self._problem(scope):
            # A websocket that is closed before it is accepted is answered with 403 as well.
            is_websocket = scope["type"] == "websocket"
            refusal = WebSocketClose() if is_websocket else JSONResponse({"detail": problem}, 403)
            await refusal(scope, receive, send)
            return

        async def unframed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"x-frame-options", b"SAMEORIGIN")]}
            await send(message)

        await self.app(scope, receive, unframed)

    def _problem(self, scope: Scope) -> str | None:
        """Why a request is refused, if it is."""
        headers: dict[bytes, list[str]] = {name: [] for name in NAMES}
        for name, value in scope["headers"]:
            if name in headers:
                headers[name].append(value.decode("latin-1").strip().lower())
        asked, origins, sites = headers[b"host"], headers[b"origin"], headers[b"sec-fetch-site"]
        if len(asked) != 1 or host_of(asked[0]) not in self.hosts:
            return (
                f"This server is not known as {', '.join(asked) or 'nothing'}. Ask for it as 127.0.0.1 or localhost, or "
                "start it with SENTIMENT_ALLOWED_HOSTS set to the names that it may be asked by."
            )
        is_own = all(origin.partition("://")[2] == asked[0] for origin in origins)
        if is_own and (set(sites) <= {"same-origin", "none"} or is_link(scope, headers)):
            return None
        return (
            f"The request comes from a page of another origin ({', '.join(origins or sites)}), and only pages of this "
            f"server ({asked[0]}) may use it. To see it, open its address."
        )


def host_of(authority: str) -> str:
    """The host of `host`, `host:port` or `[address]:port`; empty if it is none of these."""
    if authority.startswith("["):
        host, _, rest = authority[1:].partition("]")
        port = rest.removeprefix(":")
        is_whole = rest == "" or rest.startswith(":")
    else:
        host, _, port = authority.partition(":")
        is_whole = True
    return host if is_whole and (port == "" or (port.isascii() and port.isdigit())) else ""


def is_link(scope: Scope, headers: Mapping[bytes, list[str]]) -> bool:
    """Whether somebody followed a link: the whole page changes to what is asked for, and nothing is sent along."""
    return (
        scope.get("method") in ("GET", "HEAD")
        and headers[b"sec-fetch-mode"] == ["navigate"]
        and headers[b"sec-fetch-dest"] == ["document"]
    )
