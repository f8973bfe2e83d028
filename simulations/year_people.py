"""The two people of a simulated year, who share a home: each has a user id of their own, one group, and another umask."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

GROUP = 4000


@dataclass(frozen=True)
class Person:
    """Somebody who works with the home."""

    name: str
    user_id: int
    umask: int

    def become(self) -> None:
        """Go on as this person."""
        os.umask(self.umask)
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(GROUP)
            os.setuid(self.user_id)


ANN, BEN = Person("ann", 4001, 0o022), Person("ben", 4002, 0o077)


def can_be_two() -> bool:
    """Whether two people with user ids of their own can run this interpreter."""
    if os.geteuid() != 0:
        return False
    try:
        subprocess.run([sys.executable, "-c", ""], user=ANN.user_id, group=GROUP, extra_groups=[], check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def share(path: Path) -> None:
    """Give a folder with all that is in it to both people."""
    if os.geteuid() != 0:
        return
    for found in (path, *path.rglob("*")):
        if not found.is_symlink():
            shutil.chown(found, ANN.user_id, GROUP)
            found.chmod(0o2770 if found.is_dir() else 0o660)
