"""Requests that wait for the model: gathered while it is busy, and predicted together.

A prediction costs 1 ms for one text and 2 ms for thirty, so all that came in while one prediction ran goes
together into the next: nobody waits for a timer, and under load the batches grow by themselves. All texts of a request
are predicted by one model version.

Small requests are predicted where they come in, on the event loop: handing them to a thread would cost more than predicting
them, because the two would take the interpreter from each other twenty times a prediction. Large requests and explanations
have lanes with threads of their own, so that a single tweet never waits behind ten thousand.

How many texts wait is bounded; beyond that a request is turned away at once, which costs nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

SMALL_REQUEST = 100
SMALL_CHARACTERS = 20_000
TEXTS_AT_ONCE = 2_000
TEXTS_AT_ONCE_ON_LOOP = 200
MAX_WAITING_TEXTS = 50_000


class LaneFullError(Exception):
    """As many texts as allowed are waiting."""


@dataclass(frozen=True)
class Answer:
    """What a version predicts of texts."""

    model_version: int
    probabilities: np.ndarray
    """Of positive rather than negative: float32, shape (texts,)."""
    labels: np.ndarray
    """str, shape (texts,)."""
    neutral: np.ndarray | None = None
    """Probabilities of neutral: float32, shape (texts,); None with two labels."""
    explanations: list[list[tuple[str, float]]] | None = None
    """Of each text the words and what each pushed, when that was asked for."""

    def part(self, first: int, last: int) -> Answer:
        """What belongs to the texts from `first` to `last`."""
        explanations = None if self.explanations is None else self.explanations[first:last]
        neutral = None if self.neutral is None else self.neutral[first:last]
        return Answer(
            self.model_version, self.probabilities[first:last], self.labels[first:last], neutral, explanations
        )


Predict = Callable[[Sequence[str]], Answer]


@dataclass
class Waiting:
    """A request in a lane."""

    texts: list[str]
    answer: asyncio.Future[Answer]


class Lane:
    """A queue before the model; used from one event loop.

    Args:
        threads: how many predict at a time; none: the event loop itself does.
    """

    def __init__(self, name: str, predict: Predict, threads: int) -> None:
        self._predict = predict
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name) if threads else None
        self._texts_at_once = TEXTS_AT_ONCE if threads else TEXTS_AT_ONCE_ON_LOOP
        self._count_free = max(threads, 1)
        self._waiting: deque[Waiting] = deque()
        self.count_waiting_texts = 0

    async def ask(self, texts: list[str]) -> Answer:
        """Predict texts, together with those of other requests.

        Raises:
            LaneFullError: too many texts are waiting already.
        """
        if self._waiting and self.count_waiting_texts + len(texts) > MAX_WAITING_TEXTS:
            raise LaneFullError
        loop = asyncio.get_running_loop()
        waiting = Waiting(texts, loop.create_future())
        self._waiting.append(waiting)
        self.count_waiting_texts += len(texts)
        if self._count_free:
            self._count_free -= 1
            # After everything that has arrived in this turn of the loop.
            loop.call_soon(self._start)
        return await waiting.answer

    def close(self) -> None:
        """Let the threads end."""
        if self._threads:
            self._threads.shutdown(wait=False)

    def _start(self) -> None:
        if not self._waiting:
            self._count_free += 1
            return
        batch = [self._take()]
        count = len(batch[0].texts)
        while self._waiting and count + len(self._waiting[0].texts) <= self._texts_at_once:
            batch.append(self._take())
            count += len(batch[-1].texts)
        if self._threads is None:
            self._finish(batch, self._answer(batch))
        else:
            running = asyncio.get_running_loop().run_in_executor(self._threads, self._answer, batch)
            running.add_done_callback(lambda done: self._finish(batch, done.result()))

    def _take(self) -> Waiting:
        taken = self._waiting.popleft()
        self.count_waiting_texts -= len(taken.texts)
        return taken

    def _answer(self, batch: list[Waiting]) -> list[Answer | Exception]:
        """One prediction for all; if that fails, one each, so that nobody fails for another's text."""
        try:
            together = self._predict([text for waiting in batch for text in waiting.texts])
        except Exception as error:
            if len(batch) == 1:
                return [error]
            return [answer for waiting in batch for answer in self._answer([waiting])]
        ends = list(accumulate((len(waiting.texts) for waiting in batch), initial=0))
        return [together.part(first, last) for first, last in pairwise(ends)]

    def _finish(self, batch: list[Waiting], answers: list[Answer | Exception]) -> None:
        for waiting, answer in zip(batch, answers, strict=True):
            if waiting.answer.done():
                continue
            if isinstance(answer, Exception):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(answer)
        # In the next turn of the loop: what was answered goes out first.
        asyncio.get_running_loop().call_soon(self._start)
