"""What a request may bring: who may ask, how large a body may be, and how many may be under way.

Every bound has an answer of its own that says what was found and what is allowed. Together they bound memory: all bodies
that are under way hold at most 64 MiB.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from fastapi import HTTPException, Request
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

MAX_BODY_BYTES = 4 << 20
MAX_REQUESTS = 1_000
MAX_BYTES_UNDER_WAY = 64 << 20
SECONDS_FOR_BODY = 10.0
WITHOUT_KEY = frozenset({"/health", "/ready"})
BEARER = HTTPBearer(auto_error=False, description="The value of `SENTIMENT_API_KEY`.")  # For the OpenAPI document.


def too_busy() -> HTTPException:
    """The answer to a request that there is no room for."""
    detail = "Too many requests are under way. Ask again in a second, or ask for less at once."
    return HTTPException(429, detail, {"Retry-After": "1"})


class KeyRequired:
    """ASGI middleware: every address asks for the key, but those that say whether the process runs.

    It comes before the routes, so that none can be forgotten; what does not exist is 401 as well.

    Args:
        app: what answers requests that bring the key.
        key: the key; programs send it as `Bearer`, browsers as the password of `Basic`, with any user name.
    """

    def __init__(self, app: ASGIApp, key: str) -> None:
        self.app, self.key = app, key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what brings the key."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in WITHOUT_KEY:
            await self.app(scope, receive, send)
            return
        found = _key_of(Headers(scope=scope).get("authorization", ""))
        if hmac.compare_digest(found, self.key):
            await self.app(scope, receive, send)
            return
        problem = "The key is wrong" if found else "There is no key"
        answer = JSONResponse({"detail": f"{problem}. Expected the header `Authorization: Bearer KEY`."}, 401)
        answer.headers.append("WWW-Authenticate", "Bearer")
        answer.headers.append("WWW-Authenticate", 'Basic realm="The password is the key", charset="UTF-8"')
        await answer(scope, receive, send)


def _key_of(authorization: str) -> bytes:
    """The key in the value of this header; empty if there is none."""
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return given.strip().encode("latin-1")  # Starlette always reads headers as latin-1.
    if scheme.lower() == "basic":
        with suppress(ValueError):
            return base64.b64decode(given.strip(), validate=True).partition(b":")[2]
    return b""


class Room:
    """How many requests and bytes are under way."""

    def __init__(self) -> None:
        self.count_requests = 0
        self.count_bytes = 0

    @contextmanager
    def taken_by(self, request: Request) -> Iterator[None]:
        """Hold room for a request and its body.

        Raises:
            HTTPException: 413, the body is too large; 429, there is no room.
        """
        length = _content_length(request)
        if length > MAX_BODY_BYTES:
            raise _too_large(f"{length:,} bytes")
        if self.count_requests >= MAX_REQUESTS or self.count_bytes + length > MAX_BYTES_UNDER_WAY:
            raise too_busy()
        self.count_requests += 1
        self.count_bytes += length
        try:
            yield
        finally:
            self.count_requests -= 1
            self.count_bytes -= length


async def read_body(request: Request) -> bytes:
    """The body, as far as it is allowed to go.

    Raises:
        HTTPException: 408, it did not come in time or to its end; 413, it is too large.
    """
    parts: list[bytes] = []
    room = MAX_BODY_BYTES
    try:
        async with asyncio.timeout(SECONDS_FOR_BODY):
            while True:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise _too_slow("The body did not come to its end.")
                parts.append(message.get("body", b""))
                room -= len(parts[-1])
                if room < 0:
                    raise _too_large("more")
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise _too_slow(f"The body did not come within {SECONDS_FOR_BODY:.0f} seconds.") from None


def _content_length(request: Request) -> int:
    """What the request says of its length; the most that is allowed when it does not say."""
    said = request.headers.get("content-length", "")
    return int(said) if said.isascii() and said.isdigit() else MAX_BODY_BYTES


def _too_slow(detail: str) -> HTTPException:
    return HTTPException(408, detail, {"Connection": "close"})


def _too_large(found: str) -> HTTPException:
    detail = f"The body has {found}; allowed are {MAX_BODY_BYTES:,} bytes. Send fewer texts at once."
    return HTTPException(413, detail, {"Connection": "close"})
