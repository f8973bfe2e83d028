"""How pages are made: templates that escape everything, one policy for the browser, errors as pages with a sentence.

Pages are complete without script; the script draws the charts and sends filter forms as soon as they change. A page may load
nothing but this server's own files.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, date, datetime
from math import isnan
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from sentiment.desk.store import PreparingError, Store, View
from sentiment.errors import BusyError, HomeError, InputError
from sentiment.warehouse.connection import tells_of_damage

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"
SCRIPTS = ("d3-7.9.2.min.js", "plot-0.6.17.min.js", "desk.js")
# The style element that Observable Plot puts into every chart whose class is `plot`, as it is in the vendored file.
PLOT_STYLE = """:where(.plot) {
  --plot-background: white;
  display: block;
  height: auto;
  height: intrinsic;
  max-width: 100%;
}
:where(.plot text),
:where(.plot tspan) {
  white-space: pre;
}"""


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'self' 'sha256-{_sha256(PLOT_STYLE)}'; script-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Page(APIRoute):
    """A route whose errors are pages that say what was found and what to do."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response = await handle(request)
            except PreparingError as error:
                response = render(request, "preparing.html", 503, step=str(error))
                response.headers["Refresh"] = "2"
            except HTTPException as error:
                response = render(request, "problem.html", error.status_code, problem=error.detail)
            except InputError as error:
                response = render(request, "problem.html", 422, problem=str(error))
            except (HomeError, BusyError) as error:
                response = render(request, "problem.html", 503, problem=str(error))
            except Exception as error:
                if not tells_of_damage(error):
                    raise
                response = replace_damaged(request)
            response.headers.update({name: value for name, value in HEADERS.items() if name not in response.headers})
            return response

        return answer


def store_of(request: Request) -> Store:
    """What the pages are read from."""
    store: Store = request.app.state.store
    return store


def replace_damaged(request: Request) -> HTMLResponse:
    """The page in answer to a request that met damage: a new index is being built, or the snapshot must be replaced."""
    try:
        store_of(request).replace_damaged()
    except HomeError as error:
        return render(request, "problem.html", 503, problem=str(error))
    response = render(request, "preparing.html", 503, step="replacing a damaged index")
    response.headers["Refresh"] = "2"
    return response


def view_of(store: Annotated[Store, Depends(store_of)]) -> View:
    """The newest snapshot whose index is ready; see `Store.view` for what it raises."""
    return store.view()


CurrentView = Annotated[View, Depends(view_of)]


def render(request: Request, template: str, status: int = 200, /, **values: Any) -> HTMLResponse:
    """A page from `templates/`."""
    path = request.url.path
    section = "/" + path.strip("/").partition("/")[0].partition(".")[0]
    page = _environment().get_template(template).render(path=path, section=section, **values)
    return HTMLResponse(page, status)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = {name: _versioned(name) for name in (*SCRIPTS, "desk.css")}
    environment.globals["now"] = lambda: datetime.now(UTC)
    environment.filters.update(
        count=count,
        percent=percent,
        points=points,
        day=day,
        moment=moment,
        ago=ago,
        code=code,
        chart=chart,
        address=address,
    )
    return environment


def _versioned(name: str) -> str:
    """A static file's address, which changes with its content, so that browsers may keep it."""
    return f"/static/{name}?{hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


# -- How values are written, on every page alike


def count(value: float | None) -> str:
    """1,598,316."""
    return "–" if value is None else f"{value:,.0f}"


def percent(value: float | None, digits: int = 1) -> str:
    """83.2 %, with a space that does not break."""
    return "–" if value is None or isnan(value) else f"{100 * value:.{digits}f}\N{NO-BREAK SPACE}%"


def points(value: float | None, digits: int = 1) -> str:
    """A difference of shares in percentage points: +1.3."""
    return "–" if value is None or isnan(value) else f"{100 * value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def day(value: date | None) -> str:
    """25 Jun 2009."""
    return "–" if value is None else f"{value.day} {value:%b %Y}"


def moment(value: datetime | None) -> str:
    """25 Jun 2009, 17:28 UTC."""
    return "no date" if value is None else f"{day(value)}, {value.astimezone(UTC):%H:%M} UTC"


def ago(value: datetime | None) -> str:
    """How long ago something was."""
    if value is None:
        return "never"
    seconds = (datetime.now(UTC) - value).total_seconds()
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {name}{'s' if number > 1 else ''} ago"
    return "just now"


def code(value: str) -> Markup:
    """A text whose parts in backticks are code."""
    parts = [
        f"<code>{escape(part)}</code>" if number % 2 else escape(part) for number, part in enumerate(value.split("`"))
    ]
    return Markup("").join(map(Markup, parts))


def chart(value: Mapping[str, Any]) -> Markup:
    """A chart's data as JSON for a script element: nothing in it can end the element."""
    text = json.dumps(value, default=str, separators=(",", ":"))
    for character in "<>&\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - Escaped above.


def address(path: str, /, values: Mapping[str, Any] | None = None, **others: Any) -> str:
    """An address with those of the parameters that have a value."""
    given = {name: value for name, value in {**(values or {}), **others}.items() if value not in (None, "", False)}
    return f"{path}?{urlencode(given, doseq=True)}" if given else path
