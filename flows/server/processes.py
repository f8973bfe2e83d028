"""Child processes of `sentiment up`: start, log, restart with a growing pause, stop.

Why not a supervisor that exists: `supervisor` and `circus` want a configuration file and a control socket, and leave their
children running when they are killed with -9, which `flows.server.reaper` does not; circus brings pyzmq and tornado. `honcho`
ends all processes when one ends and never starts one again. Ours is this file and the reaper.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from socket import socket

from flows.server.deploy import PROJECT
from flows.server.reaper import signal_group

SECONDS_TO_STOP = 15.0


LONGEST_PAUSE = 60.0


LOG_BYTES = 5_000_000


Say = Callable[[str], None]


class Part:
    """One process of the tree, in a process group of its own, and how it is kept running.

    A server gets its listening socket as standard input. It stays open here, so that what asks while the server is started
    again waits for an answer.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        environment: dict[str, str],
        log: Path,
        listener: socket | None = None,
    ) -> None:
        self.name = name
        self.command = command
        self.environment = environment
        self.log = log
        self.listener = listener
        self.pause = 0.0
        self.start()

    def start(self) -> None:
        """Start the process."""
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=PROJECT,
                env=self.environment,
                stdin=self.listener.fileno() if self.listener else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started_at = time.monotonic()
        self.start_again_at: float | None = None

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def keep_running(self, say: Say) -> None:
        """Start the process again if it has ended: at once, then after pauses that double while it ends early."""
        if self.is_running:
            return
        if self.start_again_at is None:
            signal_group(self.process.pid, signal.SIGKILL)  # A child of it may still hold the port.
            lived_long = time.monotonic() - self.started_at > LONGEST_PAUSE
            self.pause = 0.0 if lived_long else min(2 * self.pause + 1, LONGEST_PAUSE)
            self.start_again_at = time.monotonic() + self.pause
            say(f"{self.name} ended with status {self.process.returncode} and is started again; its log is {self.log}")
        elif time.monotonic() >= self.start_again_at:
            self.start()

    def stop(self) -> None:
        """Ask the process to end, then kill what is left of its group."""
        if self.is_running:
            signal_group(self.process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(SECONDS_TO_STOP)
        signal_group(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.listener is not None:
            self.listener.close()


class Parts:
    """The running processes, and the reaper that ends them if this process is killed."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.parts: list[Part] = []
        self.guarded: list[int] = []
        self.guard = self._start_guard()

    def add(self, part: Part) -> Part:
        """Start a process and supervise it; the one added last is stopped first."""
        self.parts.append(part)
        self._tell_guard()
        return part

    def keep_running(self) -> None:
        """Restart processes that have ended."""
        for part in self.parts:
            part.keep_running(self.say)
        if self.guard.poll() is not None:
            self.guard, self.guarded = self._start_guard(), []
        self._tell_guard()

    def stop(self) -> None:
        """End all parts, then the guard."""
        for part in reversed(self.parts):
            part.stop()
        self.parts.clear()
        self._tell_guard()
        self.guard.communicate()

    def _start_guard(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "flows.server.reaper"]
        return subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, text=True, start_new_session=True)

    def _tell_guard(self) -> None:
        groups = [part.process.pid for part in self.parts if part.is_running]
        if groups == self.guarded:
            return
        assert self.guard.stdin is not None
        try:
            print(*groups, file=self.guard.stdin, flush=True)
        except BrokenPipeError:
            return  # The next check replaces the reaper.
        self.guarded = groups
