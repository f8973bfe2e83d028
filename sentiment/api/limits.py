"""What a request may bring: who may ask, how large a body may be, and how many may be under way.

Every bound has an answer of its own that says what was found and what is allowed. Together they bound memory: all bodies
that are under way hold at most 64 MiB.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

MAX_BODY_BYTES = 4 << 20
MAX_REQUESTS = 1_000
MAX_BYTES_UNDER_WAY = 64 << 20
SECONDS_FOR_BODY = 10.0
BEARER = HTTPBearer(auto_error=False, description="The value of `SENTIMENT_API_KEY`.")


def too_busy() -> HTTPException:
    """The answer to a request that there is no room for."""
    detail = "Too many requests are under way. Ask again in a second, or ask for less at once."
    return HTTPException(429, detail, {"Retry-After": "1"})


def requires_key(expected: str) -> Any:
    """What a route depends on that answers only requests with this key."""

    # `BEARER` is there for the OpenAPI document.
    async def check(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]) -> None:
        check_key(request, expected)

    return Depends(check)


def check_key(request: Request, expected: str) -> None:
    """Let a request pass that brings the key.

    Raises:
        HTTPException: 401, the key is missing or wrong.
    """
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    # Starlette reads headers as latin-1, whatever they are.
    found = given.strip().encode("latin-1") if scheme.lower() == "bearer" else b""
    if not hmac.compare_digest(found, expected.encode()):
        problem = "The key is wrong" if found else "There is no key"
        raise HTTPException(
            401, f"{problem}. Expected the header `Authorization: Bearer KEY`.", {"WWW-Authenticate": "Bearer"}
        )


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
