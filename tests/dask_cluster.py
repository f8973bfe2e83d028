"""A Dask scheduler and workers on this machine, each a process of its own as a user starts it.

Tests, benchmarks and simulations use it; `distributed.LocalCluster` keeps the scheduler in the caller's process, where it
cannot be killed.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
SECONDS_TO_START = 60.0


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class DaskCluster:
    """A scheduler and workers; each worker is a nanny and the process that it watches.

    Attributes:
        address: of the scheduler, the same after it is started again.
        scheduler: its process.
        workers: the nannies' processes.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        """Start the scheduler.

        Args:
            folder: where workers keep their files.
        """
        self.folder = folder
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        config = {"DASK_CONFIG": str(ROOT / "deployments" / "dask.yaml"), "PYTHONPATH": str(ROOT)}
        self.environment = os.environ | config | dict(environment or {})
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self.start_scheduler()

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        """Start it, also again after a kill."""
        self.scheduler = self._start("dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port))
        return self.scheduler

    def start_worker(self) -> subprocess.Popen[bytes]:
        """Start one with one thread."""
        worker = self._start("dask_worker", self.address, "--nthreads", "1", "--local-directory", str(self.folder))
        self.workers.append(worker)
        return worker

    def wait_for_workers(self, count: int) -> None:
        """Return when so many workers are connected.

        Raises:
            TimeoutError: they are not after a minute.
        """
        from distributed import Client

        with Client(self.address, timeout=SECONDS_TO_START, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=SECONDS_TO_START)

    def processes(self) -> list[psutil.Process]:
        """Scheduler, nannies and workers."""
        found = []
        for started in (self.scheduler, *self.workers):
            if started.poll() is None:
                process = psutil.Process(started.pid)
                found += [process, *process.children(recursive=True)]
        return found

    def cpu_seconds(self) -> float:
        """Processor seconds that all of them have used."""
        return sum(used.user + used.system for used in (process.cpu_times() for process in self.processes()))

    def stop(self) -> None:
        """Kill all of them."""
        for started in (*self.workers, self.scheduler):
            kill(started)

    def _start(self, command: str, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{command}", *arguments, "--no-dashboard"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def kill(started: subprocess.Popen[bytes]) -> None:
    """Kill a process that leads its own group, with what it started, as a machine that loses its power would."""
    if started.poll() is None:
        os.killpg(started.pid, signal.SIGKILL)
    started.wait()
