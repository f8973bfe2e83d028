"""Watches the inbox and tells Prefect's server when files have landed in it, as a part of `up`.

`python -m flows.server.inbox_watcher API` starts it.

The event `sentiment.file.landed` triggers `ingest` (deployments/prefect.yaml). A file is announced once it has been unchanged
for as long as `ingest` requires; files that land together are announced together. An `ingest` that is running may have listed
the inbox too early and keeps another one from starting, so an announcement is repeated until a run has started after it. The
run every 15 minutes is for file systems that do not report changes. Costs 45 MB, and no time while nothing happens.
"""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from watchfiles import watch

from flows.events import FILE_LANDED
from flows.server.rest import announce, ask
from sentiment.settings import SETTLE_SECONDS, UNFINISHED_SUFFIXES, Home, load_settings

LOG = logging.getLogger(__name__)
MILLISECONDS_BETWEEN_LOOKS = 1_000
SECONDS_BETWEEN_ANNOUNCEMENTS = 10.0
SECONDS_UNTIL_AGAIN = 30.0
MOST_REPEATS = 5
MOST_NAMES = 20


@dataclass
class Watcher:
    """Files that have landed but are not announced, and those announced but not loaded; times are of a monotonic clock."""

    api: str
    landed: dict[Path, float] = field(default_factory=dict)
    open: list[Path] = field(default_factory=list)
    announced_at: datetime | None = None
    announced: float = -SECONDS_BETWEEN_ANNOUNCEMENTS
    repeats: int = 0

    def see(self, path: Path, now: float) -> None:
        """A file was created or written to."""
        if not path.name.startswith(".") and path.suffix not in UNFINISHED_SUFFIXES:
            self.landed[path] = now

    def look(self, now: float) -> None:
        """Announce files that have been unchanged for long enough, and again those that no run has loaded."""
        settled = [path for path, changed in self.landed.items() if now - changed > SETTLE_SECONDS]
        if settled and now - self.announced > SECONDS_BETWEEN_ANNOUNCEMENTS:
            for path in settled:
                del self.landed[path]
            if files := [path for path in settled if path.is_file() and not path.is_symlink()]:
                self.open, self.repeats = files, 0
                self._announce(now)
        elif self.open and now - self.announced > SECONDS_UNTIL_AGAIN:
            if self.repeats >= MOST_REPEATS or self._is_taken():
                self.open = []
            else:
                self.repeats += 1
                self._announce(now)

    def _announce(self, now: float) -> None:
        self.announced, self.announced_at = now, datetime.now(UTC)
        names = ", ".join(path.name for path in self.open[:MOST_NAMES])
        try:
            announce(self.api, FILE_LANDED, "sentiment.inbox", {"count": len(self.open), "names": names})
            LOG.info("announced %s", names)
        except OSError as error:
            LOG.warning("the server did not take %s (%s); again soon", names, error)

    def _is_taken(self) -> bool:
        """Whether an `ingest` has started since; if the server cannot say, not."""
        assert self.announced_at is not None
        question: dict[str, Any] = {
            "flows": {"name": {"any_": ["ingest"]}},
            "flow_runs": {"start_time": {"after_": self.announced_at.isoformat()}},
        }
        try:
            return bool(ask(f"{self.api}/flow_runs/count", question))
        except OSError:
            return False


def main(api: str) -> None:
    """Watch until the process is ended."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    settings = load_settings()
    folder = (settings.inbox or Home(settings.home).inbox).expanduser().absolute()
    watcher = Watcher(api)
    for path in folder.rglob("*"):
        # Files that landed while nobody watched; `ingest` recognises those it has read.
        watcher.see(path, time.monotonic())
    looks = watch(
        folder,
        rust_timeout=MILLISECONDS_BETWEEN_LOOKS,
        yield_on_timeout=True,
        recursive=True,
        raise_interrupt=False,
        debounce=200,
    )
    for changes in looks:
        for _, name in changes:
            watcher.see(Path(name), time.monotonic())
        watcher.look(time.monotonic())


if __name__ == "__main__":
    main(sys.argv[1])
