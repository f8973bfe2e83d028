"""Requests that wait for the model: gathered while it is busy, and predicted together in a thread.

A prediction costs 1 ms for one text and 2 ms for a hundred, so whatever has come in while one prediction ran goes
together into the next: nobody waits for a timer, and under load the batches grow by themselves. All texts of a request
are predicted by one model version. Large requests have a lane and a thread of their own, so that a single tweet never
waits behind ten thousand.

How many texts wait is bounded; beyond that a request is turned away at once, which costs nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

SMALL_REQUEST = 100
TEXTS_AT_ONCE = 2_000
MAX_WAITING_TEXTS = 50_000


class LaneFullError(Exception):
    """As many texts as allowed are waiting."""


@dataclass(frozen=True)
class Answer:
    """Probabilities of positive, float32, shape (texts,), and the version that gave them."""

    model_version: int
    probabilities: np.ndarray


Predict = Callable[[Sequence[str]], Answer]


@dataclass
class Waiting:
    """A request in a lane."""

    texts: list[str]
    answer: asyncio.Future[Answer]


class Lane:
    """A queue before one thread; used from one event loop."""

    def __init__(self, name: str, predict: Predict) -> None:
        self._predict = predict
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._waiting: deque[Waiting] = deque()
        self._is_busy = False
        self.count_waiting_texts = 0

    async def ask(self, texts: list[str]) -> Answer:
        """Predict texts, together with those of other requests.

        Raises:
            LaneFullError: too many texts are waiting already.
        """
        if self._waiting and self.count_waiting_texts + len(texts) > MAX_WAITING_TEXTS:
            raise LaneFullError
        waiting = Waiting(texts, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self.count_waiting_texts += len(texts)
        if not self._is_busy:
            self._is_busy = True
            # After everything that has arrived in this turn of the loop.
            asyncio.get_running_loop().call_soon(self._start)
        return await waiting.answer

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False)

    def _start(self) -> None:
        batch = [self._take()]
        count = len(batch[0].texts)
        while self._waiting and count + len(self._waiting[0].texts) <= TEXTS_AT_ONCE:
            batch.append(self._take())
            count += len(batch[-1].texts)
        running = asyncio.get_running_loop().run_in_executor(self._thread, self._answer, batch)
        running.add_done_callback(lambda done: self._finish(batch, done))

    def _take(self) -> Waiting:
        taken = self._waiting.popleft()
        self.count_waiting_texts -= len(taken.texts)
        return taken

    def _answer(self, batch: list[Waiting]) -> list[Answer | Exception]:
        """Runs in the thread: one prediction for all; if that fails, one each, so that nobody fails for another's text."""
        try:
            together = self._predict([text for waiting in batch for text in waiting.texts])
        except Exception as error:
            if len(batch) == 1:
                return [error]
            return [answer for waiting in batch for answer in self._answer([waiting])]
        ends = np.cumsum([len(waiting.texts) for waiting in batch])
        parts = np.split(together.probabilities, ends[:-1])
        return [Answer(together.model_version, part) for part in parts]

    def _finish(self, batch: list[Waiting], done: asyncio.Future[list[Answer | Exception]]) -> None:
        for waiting, answer in zip(batch, done.result(), strict=True):
            if waiting.answer.done():
                continue
            if isinstance(answer, Exception):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(answer)
        if self._waiting:
            self._start()
        else:
            self._is_busy = False
