"""Scores shards on a Dask cluster. When a worker is lost, the scheduler gives its shards to another one.

A Dask scheduler runs code for anyone who can reach it. So an address off this machine must be `tls://`, with certificates in
Dask's own configuration (`DASK_DISTRIBUTED__COMM__TLS__…`). Workers take their configuration from `deployments/dask.yaml`,
which leaves out the nanny's `MALLOC_TRIM_THRESHOLD_`: with it, numpy maps memory for every temporary array and a worker
scores a third fewer tweets a second.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sentiment.scoring.store import ShardStore
from sentiment.scoring.worker import PREDICTIONS, SHARDS, refuse_other_versions, versions
from sentiment.scoring.workers import ONE_THREAD_ROWS, ClusterError, Workers
from sentiment.settings import Settings

if TYPE_CHECKING:
    from distributed import Client

SECONDS_TO_CONNECT = 30.0
SECONDS_WITHOUT_WORKERS = 120.0
LONGEST_TTL = 60.0
LEAST_FREE_BYTES = 100 << 20
"""Room for a model in the temporary folder of a worker."""
SECONDS_FOR_THE_STORE = 10.0
log = logging.getLogger(__name__)


@contextmanager
def open_cluster(settings: Settings, store: ShardStore) -> Iterator[Workers]:
    """Connect to the scheduler of the settings.

    Args:
        store: where workers find shards.

    Raises:
        StoreError: the store cannot be used from here.
        ClusterError: it cannot be reached, must not be used, or has no workers that can be used.
    """
    with connected(settings) as client:
        try:
            client.wait_for_workers(1, timeout=SECONDS_WITHOUT_WORKERS)
        except TimeoutError as error:
            raise ClusterError(
                f"The scheduler {settings.scheduler} has had no workers for {SECONDS_WITHOUT_WORKERS:.0f} s. Start some: "
                f"DASK_CONFIG=deployments/dask.yaml dask worker {settings.scheduler}"
            ) from error
        executors: list[Executor] = []
        watch = _Watch(client, settings.scheduler or "")

        def usable() -> Workers:
            try:
                left_out = worker_problems(client, store)
                threads = {address: count for address, count in client.nthreads().items() if address not in left_out}
            except (OSError, TimeoutError) as error:
                raise lost(settings.scheduler or "") from error
            if not threads:
                raise ClusterError(f"No worker of {settings.scheduler} can be used. {' '.join(left_out.values())}")
            for problem in left_out.values():
                log.warning("Scoring goes on without a worker. %s", problem)
            # Without names, workers that come later are used too.
            names = {"workers": list(threads)} if left_out else {}
            executors.append(client.get_executor(pure=False, **names))
            return Workers(executors[-1], sum(threads.values()), ONE_THREAD_ROWS, True, watch, usable)

        try:
            yield usable()
        finally:
            for executor in executors:
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
    # It logs a stack trace when the scheduler is lost; the run ends with a sentence.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
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


def worker_problems(client: Client, store: ShardStore) -> dict[str, str]:
    """Sentences on workers that cannot be used, by their addresses.

    Raises:
        StoreError: the store cannot be used from here.
    """
    probe = f"{SHARDS}/probe-{uuid.uuid4().hex}"
    store.write(probe, b"")
    problems = {}
    for address, found in client.run(_problem, versions(), store.address, probe, on_error="return").items():
        if isinstance(found, Exception):
            problems[address] = (
                f"The worker {address} cannot run this program ({_first_line(found)}): install the same checkout there."
            )
        elif found:
            problems[address] = f"The worker {address}: {found}"
    store.remove(probe)
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


def _problem(expected: dict[str, str], address: str, probe: str) -> str:
    folder = tempfile.gettempdir()
    try:
        refuse_other_versions(expected)
        free = shutil.disk_usage(folder).free
        if free < LEAST_FREE_BYTES:
            return f"{free >> 20} MiB are free in {folder}, {LEAST_FREE_BYTES >> 20} are needed. Free some space there."
        store = ShardStore(address, patience=SECONDS_FOR_THE_STORE)
        if not store.exists(probe):
            return f"It sees another {address} than this run. Mount the folder that all share there."
        own = f"{PREDICTIONS}/probe-{uuid.uuid4().hex}"
        store.write(own, b"")
        store.remove(own)
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
