"""Scores shards on a Dask cluster. When a worker is lost, the scheduler gives its shards to another one.

A Dask scheduler runs code for anyone who can reach it. So an address off this machine must be `tls://`, with certificates in
Dask's own configuration (`DASK_DISTRIBUTED__COMM__TLS__…`). Workers take their configuration from `deployments/dask.yaml`,
which leaves out the nanny's `MALLOC_TRIM_THRESHOLD_`: with it, numpy maps memory for every temporary array and a worker
scores a third fewer tweets a second.
"""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sentiment.scoring.worker import refuse_other_versions, versions
from sentiment.scoring.workers import ONE_THREAD_ROWS, ClusterError, Workers
from sentiment.settings import Settings

if TYPE_CHECKING:
    from distributed import Client

SECONDS_TO_CONNECT = 30.0
SECONDS_WITHOUT_WORKERS = 120.0
LONGEST_TTL = 60.0
_RETRIES = 3


@contextmanager
def open_cluster(settings: Settings) -> Iterator[Workers]:
    """Connect to the scheduler of the settings.

    Raises:
        ClusterError: it cannot be reached, must not be used, has no workers, or has workers with other versions.
    """
    with connected(settings) as client:
        try:
            client.wait_for_workers(1, timeout=SECONDS_WITHOUT_WORKERS)
        except TimeoutError as error:
            raise ClusterError(
                f"The scheduler {settings.scheduler} has had no workers for {SECONDS_WITHOUT_WORKERS:.0f} s. Start some: "
                f"DASK_CONFIG=deployments/dask.yaml dask worker {settings.scheduler}"
            ) from error
        if problems := version_problems(client):
            raise ClusterError(f"The cluster {settings.scheduler} cannot be used. {' '.join(problems)}")
        executor: Executor = client.get_executor(pure=False, retries=_RETRIES)
        try:
            count = sum(client.nthreads().values())
            yield Workers(executor, max(1, count), ONE_THREAD_ROWS, True, _Watch(client, settings.scheduler or ""))
        finally:
            executor.shutdown(wait=False)


@contextmanager
def connected(settings: Settings) -> Iterator[Client]:
    """A client of the scheduler.

    Raises:
        ClusterError: the address is not allowed, the extra is not installed, or nobody answers.
    """
    address = settings.scheduler or ""
    refuse_open_network(address, settings.shards)
    try:
        from distributed import Client
    except ImportError as error:
        raise ClusterError(
            f"A scheduler is named ({address}), but Dask is not installed. Install the extra: pip install -e '.[cluster]'"
        ) from error
    try:
        client = Client(address, timeout=SECONDS_TO_CONNECT, set_as_default=False, name="sentiment")
    except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as error:
        raise ClusterError(
            f"The scheduler {address} cannot be reached ({_first_line(error)}). Start it (`dask scheduler`), check the "
            "address and the certificates, or unset SENTIMENT_SCHEDULER to score on this machine."
        ) from error
    try:
        yield client
    finally:
        client.close(timeout=10)


def refuse_open_network(address: str, shards: str | None) -> None:
    """Fail where anybody on the network could run code, or where workers could not find their shards.

    Raises:
        ClusterError: the scheduler is off this machine without TLS, or there is no store that all see.
    """
    parts = urlsplit(address)
    if is_loopback(parts.hostname or ""):
        return
    if parts.scheme != "tls":
        raise ClusterError(
            f"The scheduler {address} is on the network without TLS: anyone who reaches it can run code on every worker. Give "
            "scheduler, workers and client certificates and use tls:// (docs/scale.md), or put it on 127.0.0.1."
        )
    if shards is None:
        raise ClusterError(
            f"Workers of {address} cannot read this home. Set SENTIMENT_SHARDS to a folder that all see, or to a bucket, "
            "such as s3://bucket/prefix."
        )


def is_loopback(host: str) -> bool:
    """Whether an address never leaves this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def version_problems(client: Client) -> list[str]:
    """Sentences on what makes workers unusable."""
    problems = []
    for address, found in client.run(_versions_problem, versions(), on_error="return").items():
        if isinstance(found, Exception):
            problems.append(
                f"The worker {address} cannot run this program ({_first_line(found)}): install the same checkout there."
            )
        elif found:
            problems.append(f"{address}: {found}")
    return problems


def setup_problems(client: Client) -> list[str]:
    """Sentences on what makes workers slow, or delays noticing a lost one."""
    problems = [
        f"The worker {address} has MALLOC_TRIM_THRESHOLD_ set, which costs a third of its speed: start it with "
        "DASK_CONFIG=deployments/dask.yaml."
        for address, is_set in client.run(_has_malloc_trim, on_error="ignore").items()
        if is_set
    ]
    seconds = client.run_on_scheduler(_worker_ttl)
    if seconds is None or seconds > LONGEST_TTL:
        waits = "never gives up" if seconds is None else f"waits {seconds:.0f} s for"
        problems.append(
            f"The scheduler {waits} a machine that has gone silent: start it with DASK_CONFIG=deployments/dask.yaml, "
            f"which says {LONGEST_TTL:.0f} s."
        )
    return problems


class _Watch:
    """Raises ClusterError when the scheduler is lost, or has had no worker for two minutes."""

    def __init__(self, client: Client, address: str) -> None:
        self.client = client
        self.address = address
        self.last_seen = time.monotonic()

    def __call__(self) -> None:
        if self.client.status != "running":
            raise lost(self.address)
        if self.client.scheduler_info(n_workers=-1)["workers"]:
            self.last_seen = time.monotonic()
        elif time.monotonic() - self.last_seen > SECONDS_WITHOUT_WORKERS:
            raise ClusterError(
                f"All workers of {self.address} have been gone for {SECONDS_WITHOUT_WORKERS:.0f} s. What was committed is "
                "kept: start workers and run it again."
            )


def lost(address: str) -> ClusterError:
    """The scheduler is gone."""
    return ClusterError(
        f"The scheduler {address} was lost. What was committed is kept: when it is there again, the next run goes on."
    )


# These run on workers and on the scheduler.


def _versions_problem(expected: dict[str, str]) -> str:
    try:
        refuse_other_versions(expected)
    except Exception as error:
        return str(error)
    return ""


def _has_malloc_trim() -> bool:
    return "MALLOC_TRIM_THRESHOLD_" in os.environ


def _worker_ttl(dask_scheduler: Any = None) -> float | None:
    ttl = dask_scheduler.worker_ttl
    return None if ttl is None else float(ttl)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")
