"""What goes wrong in the nights of a simulated year, at random but the same for the same seed, and what lifts it again."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sentiment.settings import Home
from simulations.year_people import ANN, GROUP
from simulations.year_works import Machine, Troubles, Work

KINDS = (
    "flow killed",
    "flow killed",
    "flow killed",
    "everything killed",
    "everything killed",
    "disk full",
    "few open files",
    "clock a day back",
    "clock a day ahead",
    "folder read-only",
    "file damaged",
    "MLflow tidied up",
    "proxy set",
    "hostile files",
)
FIRST_DAY = 3
DISK_BYTES = 16 << 30
READ_ONLY = (".", "locks", "published", "work", "mlflow")
DAMAGED_FILES = ("published snapshot", "search index", "export", "MLflow's database", "warehouse", "weights")
HOSTILE = ("bomb.csv.gz", "link.csv", "pipe.csv", "noise.csv", "reviews/\x1b[31mred\x1b[0m.csv")


@dataclass(frozen=True)
class Failure:
    """What goes wrong in a night; `share` is how far into the work, from 0 to 1."""

    day: int
    kind: str
    share: float
    choice: float

    def of(self, names: tuple[str, ...]) -> str:
        """One of some names, drawn for this failure."""
        return names[int(self.choice * len(names))]


def failures_of(days: int, share: float, seed: int) -> dict[int, Failure]:
    """The nights on which something fails; every kind comes once before one comes again as often as it is named."""
    dice, deck, found = random.Random(seed), [], {}
    for day in range(FIRST_DAY, days + 1):
        is_failing, drawn, choice = dice.random() < share, dice.random(), dice.random()
        if is_failing:
            if not deck:
                deck = dice.sample(KINDS, len(KINDS))
            found[day] = Failure(day, deck.pop(), drawn, choice)
    return found


@contextmanager
def own_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own in a file, which can run full; the folder itself where nothing can be mounted."""
    disk = folder / "disk"
    disk.mkdir(exist_ok=True)
    if os.geteuid() != 0:
        yield disk
        return
    image = folder / "disk.img"
    if not image.exists():
        with image.open("wb") as file:
            file.truncate(DISK_BYTES)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


class Night:
    """A failure at work: from its begin until the morning."""

    def __init__(self, failure: Failure, machine: Machine, usual_seconds: float) -> None:
        self.failure, self.machine = failure, machine
        self.home = Home(machine.root)
        self.ballast = machine.root.parent / "ballast"
        self.filling = threading.Timer(0.7 * failure.share * usual_seconds, self._fill)
        self.what = ""

    def begin(self) -> None:
        """What has to be wrong before anything starts."""
        match self.failure.kind:
            case "disk full" if os.geteuid() == 0:
                self.filling.start()
            case "folder read-only":
                self.what = self.failure.of(READ_ONLY)
                (self.home.root / self.what).chmod(0o550)
            case "file damaged":
                self.what = self._damage()
            case "MLflow tidied up":
                self.what = self.failure.of(("alias", "version"))
                self.machine.do(Work(f"tidy {self.what}"))
            case "hostile files":
                self.what = ", ".join(HOSTILE)
                self._place_hostile_files()

    def end(self) -> None:
        """What the person on call does about the machine in the morning."""
        self.filling.cancel()
        if self.filling.ident is not None:
            self.filling.join()
        self.ballast.unlink(missing_ok=True)
        if self.failure.kind == "folder read-only":
            (self.home.root / self.what).chmod(0o2770)
        if self.failure.kind == "hostile files":
            for name in HOSTILE:
                (self.home.inbox / name).unlink(missing_ok=True)

    def troubles(self) -> Troubles:
        """Of everything that runs in this night, kills aside."""
        if self.failure.kind == "few open files":
            return Troubles(open_files=12 + int(self.failure.share * 90))
        if self.failure.kind == "proxy set":
            return Troubles(proxy=self.failure.of(("http://127.0.0.1:9", "socks5://127.0.0.1:9", "socks4://proxy:1")))
        return Troubles()

    def _fill(self) -> None:
        status = os.statvfs(self.ballast.parent)
        wanted = status.f_bavail * status.f_frsize
        descriptor = os.open(self.ballast, os.O_CREAT | os.O_WRONLY)
        try:
            while wanted >= 4096:
                try:
                    os.posix_fallocate(descriptor, os.fstat(descriptor).st_size, wanted)
                except OSError:
                    wanted //= 2
        finally:
            os.close(descriptor)

    def _damage(self) -> str:
        """Flip a bit in a file, as a bad disk does: its time of change stays."""
        chosen = self.failure.of(DAMAGED_FILES)
        path = self._file(chosen)
        if path is None:
            chosen, path = DAMAGED_FILES[0], self.home.published.resolve()
        status = path.stat()
        place = int(self.failure.share * status.st_size)
        with path.open("r+b") as file:
            file.seek(place)
            (byte,) = file.read(1)
            file.seek(place)
            file.write(bytes([byte ^ 1 << place % 8]))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        return f"{chosen}, bit {place % 8} of byte {place} of {status.st_size}"

    def _file(self, name: str) -> Path | None:
        home = self.home
        if name == "weights":
            _, run = self.machine.do(Work("champion")).value or (None, None)
            found = [path for path in home.mlflow.rglob("*.safetensors") if run is not None and run in path.parts]
            return max(found, default=None, key=lambda path: path.stat().st_size)
        if name in ("search index", "export"):
            folder, pattern = (home.search_index, "*.duckdb") if name == "search index" else (home.exports, "*.parquet")
            return max(folder.rglob(pattern), default=None, key=lambda path: path.stat().st_mtime)
        return {
            "published snapshot": home.published.resolve(),
            "MLflow's database": home.mlflow / "mlflow.db",
            "warehouse": home.warehouse,
        }[name]

    def _place_hostile_files(self) -> None:
        inbox = self.home.inbox
        bomb, link, pipe, noise, red = (inbox / name for name in HOSTILE)
        bomb.write_bytes(gzip.compress(bytes(1 << 28), compresslevel=9))
        link.symlink_to("/etc/passwd")
        os.mkfifo(pipe)
        noise.write_bytes(random.Random(self.failure.day).randbytes(100_000))
        red.write_bytes(b"nr;datum;kunde;bewertung;sterne\n" + bytes(10_000))
        for path in (bomb, noise, red):
            # The inbox waits until nothing writes to a file any more.
            os.utime(path, (1_000_000_000, 1_000_000_000))
            shutil.chown(path, ANN.user_id, GROUP)
