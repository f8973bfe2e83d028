"""Shows the progress of a run: on the terminal of a command, or as a progress artifact of a deployed run.

Library functions report through plain callbacks. A command shows them as bars (`show_in`); a run that a worker started has
no terminal and updates one artifact a step, at most every few seconds, since each update is a request to the server.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.runtime import flow_run

Show = Callable[[str, int, int | None, str], None]
_show: ContextVar[Show | None] = ContextVar("show", default=None)

SECONDS_BETWEEN_UPDATES = 3.0


@contextmanager
def show_in(show: Show) -> Iterator[None]:
    """Within this context, progress goes to `show(step, done, total, detail)`; total is None while it is not known."""
    token = _show.set(show)
    try:
        yield
    finally:
        _show.reset(token)


class Step:
    """One step of a run, e.g. reading a file: call it with the work done, the total, and what of it is done now."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.show = _show.get()
        self.artifact: UUID | None = None
        self.updated_at = time.monotonic()

    def __call__(self, done: int, total: int | None = None, detail: str = "") -> None:
        if self.show is not None:
            self.show(self.name, done, total, detail)
            return
        if total is None or not flow_run.id:
            return
        is_end_of_shown = self.artifact is not None and done >= total
        if not is_end_of_shown and time.monotonic() - self.updated_at < SECONDS_BETWEEN_UPDATES:
            return
        self.updated_at = time.monotonic()
        percent = min(100.0, round(100.0 * done / max(total, 1), 1))
        description = f"{self.name}, {detail}" if detail else self.name
        if self.artifact is None:
            key = re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")
            created = create_progress_artifact(percent, key=key, description=description)
            assert isinstance(created, UUID)
            self.artifact = created
        else:
            update_progress_artifact(self.artifact, percent, description=description)
