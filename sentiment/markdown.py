"""How reports write: Markdown tables, for Prefect's artifacts and MLflow's notes; shares, everywhere alike."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

_MARKUP = re.compile(r"([\\`*_\[\]])")


def percent(share: float | None, digits: int = 1) -> str:
    """A share as people read it: 83.2 %; nothing for None."""
    return "" if share is None else f"{100 * share:.{digits}f} %"


def plain(text: str) -> str:
    """A text that shows as it is, such as the name of a file or what somebody wrote: nothing in it is markup."""
    return _MARKUP.sub(r"\\\1", html.escape(text, quote=False))


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; numbers to the right."""
    body = [[_cell(value) for value in row] for row in rows]
    lines = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value).replace("|", "\\|").replace("\n", " ")
