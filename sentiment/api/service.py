"""What answers requests: the champion, lanes before it, and how many requests may be under way."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
from fastapi import Depends, HTTPException, Request

from sentiment.api import schemas
from sentiment.api.batching import SMALL_CHARACTERS, SMALL_REQUEST, Answer, Lane, LaneFullError
from sentiment.api.champion_watcher import ChampionFollower, Served
from sentiment.api.daily import DailyReader
from sentiment.api.limits import Room, too_busy
from sentiment.api.metrics import Metrics
from sentiment.errors import NoChampionError
from sentiment.settings import Home


class Service:
    """What the routes of an application share; it is in the application's state as `service`."""

    def __init__(self, home: Home) -> None:
        self.count_labels = home.settings.labels
        self.follower = ChampionFollower(home)
        self.tweets = Lane("tweets", self.predict, threads=0)
        self.batches = Lane("batches", self.predict, threads=os.cpu_count() or 1)
        self.explained = Lane("explained", self.explain, threads=1)
        self.lanes = (self.tweets, self.batches, self.explained)
        self.metrics = Metrics(self.follower, lambda: sum(lane.count_waiting_texts for lane in self.lanes))
        self.room = Room()
        self.daily = DailyReader(home)

    def predict(self, texts: Sequence[str]) -> Answer:
        """Predict with the version that answers at this moment; runs in the lanes.

        Raises:
            NoChampionError: there is none.
        """
        return self._predict(self._served(), texts)

    def explain(self, texts: Sequence[str]) -> Answer:
        """Predict, and say which words pushed which way.

        Raises:
            NoChampionError: there is no version that answers.
        """
        from sentiment.model.explanation import explain

        served = self._served()
        return replace(self._predict(served, texts), explanations=[explain(served.model, text) for text in texts])

    def _served(self) -> Served:
        now = self.follower.now
        if now.served is None:
            raise NoChampionError(now.problem)
        return now.served

    def _predict(self, served: Served, texts: Sequence[str]) -> Answer:
        version = served.version.model_version
        found = served.model.predict(texts)
        labels = found.labels(self.count_labels)
        for label, count in zip(*np.unique(labels, return_counts=True), strict=True):
            self.metrics.texts.labels(str(label), version).inc(int(count))
        self.metrics.batch.observe(len(texts))
        neutral = found.probability_neutral if self.count_labels == 3 else None
        return Answer(version, found.probability_positive, labels, neutral)

    async def ask(self, question: schemas.Question) -> Answer:
        """Answer in the lane that fits.

        Raises:
            HTTPException: 429, too many texts wait; 503, there is no model.
        """
        try:
            return await self._lane(question).ask(question.texts)
        except LaneFullError:
            raise too_busy() from None
        except NoChampionError as error:
            raise HTTPException(503, str(error)) from error

    def _lane(self, question: schemas.Question) -> Lane:
        if question.is_explained:
            return self.explained
        is_small = len(question.texts) <= SMALL_REQUEST and sum(map(len, question.texts)) <= SMALL_CHARACTERS
        return self.tweets if is_small else self.batches

    def close(self) -> None:
        """Stop following the champion, and let the lanes' threads end."""
        self.follower.stop()
        for lane in self.lanes:
            lane.close()


def service_of(request: Request) -> Service:
    """The service of the application that a request came to."""
    service: Service = request.app.state.service
    return service


CurrentService = Annotated[Service, Depends(service_of)]
