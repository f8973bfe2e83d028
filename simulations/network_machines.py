"""Machines of a simulation: network namespaces with a link each, which can be cut, slowed down or lose their power."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
NETWORK, BRIDGE = "10.213.7", "sentiment0"
# The workers' folder of temporary files is in memory.
ROOM = "512m"


def ip(*arguments: str) -> None:
    """Run `ip`."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@dataclass
class Machine:
    """A network namespace with a link to the others, and the processes in it."""

    name: str
    number: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Its address."""
        return f"{NETWORK}.{self.number}"

    @property
    def link(self) -> str:
        """This end of its link."""
        return f"sentiment{self.number}"

    def create(self) -> None:
        """Make namespace and link."""
        ip("netns", "add", self.name)
        ip("link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("link", "set", self.link, "master", BRIDGE, "up")
        ip("-n", self.name, "address", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip("-n", self.name, "link", "set", device, "up")

    def remove(self) -> None:
        """Kill its processes and remove it."""
        self.kill()
        subprocess.run(["ip", "netns", "delete", self.name], check=False, capture_output=True)

    def start(
        self, *command: str, hidden: Path, room: str = ROOM, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start a Python module that sees neither a folder nor the temporary files of others."""
        temporary = self.temporary(hidden)
        temporary.mkdir(exist_ok=True)
        script = 'mount -t tmpfs tmpfs "$1" && mount -t tmpfs -o size="$2" tmpfs "$3" && shift 3 && exec "$@"'
        process = subprocess.Popen(
            [
                *("ip", "netns", "exec", self.name, "unshare", "--mount", "sh", "-c", script, "sh"),
                *(str(hidden), room, str(temporary), sys.executable, "-m", *command),
            ],
            env=os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)} | dict(environment or {}),
            cwd=hidden.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.processes.append(process)

    def temporary(self, hidden: Path) -> Path:
        """Its folder of temporary files, next to the hidden one."""
        return hidden.with_name(self.name)

    def cut(self) -> None:
        """Take its link down: nothing arrives, and nobody is notified."""
        ip("link", "set", self.link, "down")

    def join(self) -> None:
        """Bring its link up."""
        ip("link", "set", self.link, "up")

    def away(self, seconds: float) -> None:
        """Cut its link for some seconds."""
        self.cut()
        threading.Timer(seconds, self.join).start()

    def kill(self) -> None:
        """End all of its processes at once."""
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()

    def slow_down(self, ended: threading.Event) -> None:
        """Let it run for a tenth of the time."""
        while not ended.is_set():
            for number, seconds in ((signal.SIGSTOP, 0.45), (signal.SIGCONT, 0.05)):
                for process in self.processes:
                    for part in (process.pid, *(child.pid for child in psutil.Process(process.pid).children(True))):
                        os.kill(part, number)
                time.sleep(seconds)


@contextmanager
def machines(*names: str) -> Iterator[dict[str, Machine]]:
    """Machines with these names that reach each other and this one."""
    made = {name: Machine(f"sentiment-{name}", number) for number, name in enumerate(names, start=2)}
    with ExitStack() as stack:
        ip("link", "add", BRIDGE, "type", "bridge")
        stack.callback(ip, "link", "delete", BRIDGE)
        ip("address", "add", f"{NETWORK}.1/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        for machine in made.values():
            stack.callback(machine.remove)
            machine.create()
        yield made
