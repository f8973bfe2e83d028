"""The model that answers: loaded once, and replaced within a second or two when the champion changes.

A thread looks twice a second whether MLflow's database has changed, and asks for the alias only then (and every ten
seconds, in case the file system's clock missed a change): looking costs microseconds, asking milliseconds. A new champion is
loaded and tried while the old one answers, then put in its place by one assignment: a request holds the model that it began
with, so none is lost. What cannot be loaded replaces nothing. The registry is only read, but for the addresses in it when
the home was moved.

torch takes seconds to import, so that is left to the thread: the API listens before, and says that it is not ready yet. MLflow
would take as long, so it is not imported: the champion is read in its database.
"""

from __future__ import annotations

import gc
import logging
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Event, Thread
from typing import TYPE_CHECKING

from sentiment.errors import SentimentError
from sentiment.registry.direct import ChampionFiles, find_champion
from sentiment.registry.names import RegisteredVersion
from sentiment.registry.store import relocate
from sentiment.settings import Home

if TYPE_CHECKING:
    from sentiment.model.classifier import SentimentModel

SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_UNTIL_ASKED_ANYWAY = 10.0
STARTING = "The model is being loaded. Ask again in a few seconds."
NO_CHAMPION = "There is no champion yet. Train one: sentiment retrain"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Served:
    """A model that answers, and what is known of it."""

    version: RegisteredVersion
    model: SentimentModel
    metrics: dict[str, float]
    loaded_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class Followed:
    """What the last look found, replaced as a whole: no request sees the model of one look with the problem of another."""

    served: Served | None = None
    champion_version: int | None = None
    problem: str | None = STARTING


class ChampionFollower(Thread):
    """Keeps `now.served` at the champion, from `start` to `stop`."""

    def __init__(self, home: Home) -> None:
        super().__init__(name="champion", daemon=True)
        self.home = home
        self.now = Followed()
        self._is_at_home = False
        self._seen: object = "nothing"
        self._ask_at = 0.0
        self._stopping = Event()

    def run(self) -> None:
        while True:
            self.look()
            if self._stopping.wait(SECONDS_BETWEEN_LOOKS):
                return

    def stop(self) -> None:
        """Stop following; what is served stays."""
        self._stopping.set()

    def look(self) -> None:
        """Follow the alias if it may have moved; never raises."""
        state = self._state_of_store()
        if state == self._seen and time.monotonic() < self._ask_at:
            return
        # Noted before asking, so that a change made meanwhile is seen next time.
        self._seen, self._ask_at = state, time.monotonic() + SECONDS_UNTIL_ASKED_ANYWAY
        before = self.now
        try:
            champion = self._champion() if state is not None else None
            if champion is None:
                self.now = Followed(problem=NO_CHAMPION)
                return
            number = champion.version.model_version
            self.now = before = replace(before, champion_version=number)
            if before.served is None or before.served.version != champion.version:
                self.now = Followed(self._load(champion), number, problem=None)
                log.info("version %d answers", number)
            else:
                self.now = replace(before, problem=None)
        # The database or the disk may fail while others work on them: the loaded version goes on answering.
        except Exception as error:
            found = str(error) if isinstance(error, SentimentError) else f"{type(error).__name__}: {error}"
            if found != before.problem:
                log.warning(
                    "the champion cannot be followed: %s", found, exc_info=not isinstance(error, SentimentError)
                )
            self.now = replace(before, problem=found)

    def _state_of_store(self) -> tuple[int, int, int] | None:
        try:
            status = (self.home.mlflow / "mlflow.db").stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _champion(self) -> ChampionFiles | None:
        if not self._is_at_home:
            # In a home that was moved, the store would name files where they were.
            relocate(self.home.mlflow / "mlflow.db", self.home)
            self._is_at_home = True
        return find_champion(self.home)

    def _load(self, champion: ChampionFiles) -> Served:
        import torch

        from sentiment.model.device import for_few_texts

        # Requests are gathered and predicted by one thread; torch's own would only wait for each other.
        torch.set_num_threads(1)
        settings = self.home.settings
        model = for_few_texts(champion.load(settings.model_name), settings.device)
        model.predict_probability(["what a lovely morning", ""])
        # A hundred thousand objects of torch stay for good; to walk through them all, the collector would stop every request
        # for a tenth of a second.
        gc.freeze()
        return Served(champion.version, model, champion.metrics)
