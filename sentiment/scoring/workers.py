"""What a run needs to know of the workers that predict its shards; the same for every kind."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from dataclasses import dataclass
from typing import TypeVar

from sentiment.model.errors import SentimentError

# The model splits larger batches among threads; one of several processes, or a worker, has one thread.
ONE_THREAD_ROWS = 20_000
ALL_THREADS_ROWS = 100_000
T = TypeVar("T")


class ClusterError(SentimentError):
    """The scheduler or its workers cannot be used; what was committed is kept."""


@dataclass(frozen=True)
class Workers:
    """An executor and what a run needs to know of it.

    Attributes:
        count: tasks that run at the same time.
        batch_rows: tweets that a worker predicts at a time.
        is_remote: whether workers may be on other machines, without access to the home.
        check: raises ClusterError when the workers are gone for good; called while a run waits.
        renew: the workers that can still be used, after one has failed; raises ClusterError when there are none. None where all
            workers are alike.
    """

    executor: Executor
    count: int
    batch_rows: int
    is_remote: bool = False
    check: Callable[[], None] = lambda: None
    renew: Callable[[], Workers] | None = None


def result_of(future: Future[T]) -> T:
    """What a worker gave back.

    Raises:
        SentimentError: the task's own.
        ClusterError: the worker or the scheduler was lost.
    """
    try:
        return future.result()
    except Exception as error:
        lost = isinstance(error, (CancelledError, BrokenExecutor, OSError, RuntimeError))
        # Dask's own errors, such as that a shard has outlived several workers, share no class.
        if isinstance(error, SentimentError) or not (lost or type(error).__module__.startswith("distributed")):
            raise
        detail = str(error).partition("\n")[0] or type(error).__name__
        raise ClusterError(
            f"A worker or the scheduler was lost while it scored ({detail}). What was committed is kept: run it again."
        ) from error
