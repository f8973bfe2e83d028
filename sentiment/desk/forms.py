"""Forms that change something: who sends them, and that they come from this desk.

Three things are needed: the key, which the application's middleware has checked; a request that no page of another origin
makes, which it has checked too; and a token that only pages of this desk hold. Without a key set, nothing can be written.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from fastapi import HTTPException, Request

from sentiment.errors import InputError

MAX_FORM_BYTES = 20_000
MAX_NAME = 60
COOKIE = "sentiment-reviewer"
NEEDS_KEY = "Set SENTIMENT_API_KEY and start `sentiment serve` again: what is written needs a key."


def token_of(request: Request) -> str:
    """What every form of this desk carries; empty without a key."""
    key: str = request.app.state.key
    return hmac.new(key.encode(), b"forms of the desk", hashlib.sha256).hexdigest() if key else ""


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form that was sent by a page of this desk.

    Raises:
        HTTPException: 403, no key is set or the token is missing; 413, it is too long.
    """
    if not request.app.state.key:
        raise HTTPException(403, NEEDS_KEY)
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_FORM_BYTES:
            raise HTTPException(413, "The form is too long.")
    fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    if not hmac.compare_digest(fields.get("token", "").encode(), token_of(request).encode()):
        raise HTTPException(403, "The form does not come from this desk. Open its page again and send it from there.")
    return fields


def name_of(request: Request) -> str:
    """Who sends a request: the name chosen on the page, else the user name given with the key, else nobody's."""
    if chosen := request.cookies.get(COOKIE):
        with suppress(ValueError):
            return check_name(base64.urlsafe_b64decode(chosen).decode())
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        with suppress(ValueError, InputError):
            return check_name(base64.b64decode(given.strip(), validate=True).decode().partition(":")[0])
    return ""


def check_name(text: str) -> str:
    """A person's name as it is kept with labels.

    Raises:
        InputError: it is empty, too long, or has control characters.
    """
    name = " ".join(text.split())
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise InputError(f"{text[:80]!r} cannot be used as a name. Expected 1 to {MAX_NAME} characters.")
    return name


def cookie_of(name: str) -> dict[str, Any]:
    """The cookie that keeps a name for a year, for this desk alone."""
    value = base64.urlsafe_b64encode(name.encode()).decode()
    return {"key": COOKIE, "value": value, "max_age": 31_536_000, "httponly": True, "samesite": "strict"}
