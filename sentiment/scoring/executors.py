"""Where shards are predicted. Everything behind `concurrent.futures.Executor` takes the same tasks.

- in this process, the default: no start, no second copy of the model;
- in processes of this machine (`SENTIMENT_SCORING_PROCESSES`): each takes 500 MB and 2 s to start, and they do not wait for
  one interpreter lock;
- on a Dask cluster (`SENTIMENT_SCHEDULER`), see `sentiment.scoring.cluster`.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from sentiment.scoring.store import ShardStore
from sentiment.scoring.workers import ALL_THREADS_ROWS, ONE_THREAD_ROWS, Workers
from sentiment.settings import Settings

T = TypeVar("T")


class InlineExecutor(Executor):
    """Runs each task in this thread as it is submitted."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run `fn` and return a finished future; KeyboardInterrupt passes through."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # as every executor: the future holds it
            future.set_exception(error)
        return future


@contextmanager
def open_workers(settings: Settings, store: ShardStore) -> Iterator[Workers]:
    """The workers that the settings name. When the context ends, tasks that have not started are cancelled.

    Args:
        store: where workers of other machines find shards.

    Raises:
        StoreError: they are to be used, and the store cannot be.
        ClusterError: the scheduler cannot be reached or must not be used.
    """
    if settings.scheduler is not None:
        from sentiment.scoring.cluster import open_cluster

        with open_cluster(settings, store) as workers:
            yield workers
    elif settings.scoring_processes > 1:
        # Forked processes would inherit locks of threads that do not exist in them.
        pool = ProcessPoolExecutor(
            settings.scoring_processes, multiprocessing.get_context("spawn"), initializer=use_one_thread
        )
        try:
            yield Workers(pool, settings.scoring_processes, ONE_THREAD_ROWS)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    else:
        yield Workers(InlineExecutor(), 1, ALL_THREADS_ROWS)


def use_one_thread() -> None:
    """Let polars use one thread in a process that has just been started."""
    # Must be set before polars is imported: it is read once.
    os.environ["POLARS_MAX_THREADS"] = "1"
