"""Turns what a command did to files, call by call, into the steps of a disk."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from simulations.disk import ALL, Disk, Inode, Step
from simulations.system_calls import Call

FORGOTTEN = ("locks", "work")
"""Folders of a home whose content means nothing after the process that wrote it."""


class Recording:
    """Turns calls into steps, and keeps the disk as it is after all of them."""

    def __init__(self, before: Disk, root: Path) -> None:
        self.root, self.now = root, before.copy()
        self.steps: list[Step] = []
        self._positions: dict[tuple[int, int], int] = {}
        self._appends: set[tuple[int, int]] = set()
        self._last_change: dict[int, Step] = {}
        self._needed: set[int] = set()

    def follow(self, calls: Sequence[Call]) -> None:
        """Note the steps of these calls, in their order.

        Raises:
            RuntimeError: a call is not understood.
        """
        for call in calls:
            handler = getattr(self, f"_{call.name}", None)
            if handler is None:
                raise RuntimeError(f"not understood: {call}")
            handler(call)
        for step in self.steps:
            # What was made in a folder that does not matter, and moved from there to one that does.
            step.matters |= step.inode in self._needed

    def _step(self, step: Step) -> None:
        self.now.apply(step)
        self.steps.append(step)
        if step.kind in ("write", "resize", "time"):
            self._last_change[step.inode] = step

    def _inside(self, path: str) -> str | None:
        return os.path.relpath(path, self.root) if Path(path).is_relative_to(self.root) else None

    def _find(self, path: str) -> int | None:
        inside = self._inside(path)
        return None if inside is None else self.now.find(inside)

    def _folder(self, path: str) -> tuple[int, str, bool]:
        inside = self._inside(path)
        assert inside is not None, path
        folder, name = os.path.split(inside)
        number = self.now.find(folder)
        if number is None:
            raise RuntimeError(f"a folder that was never made: {path}")
        # A home has a folder of its own; what is next to it is the simulation's, but for its backups.
        parts = Path(inside).parts
        return number, name, len(parts) > 1 and parts[1] not in FORGOTTEN

    def _name(self, call: Call, path: str, target: int | None, source: str | None = None) -> None:
        folder, name, matters = self._folder(path)
        step = Step("name", folder, name, target, matters=matters, said=f"{call.name} {self._inside(path)}")
        if source is not None:
            step.source = self._folder(source)[:2]
        self._step(step)
        if matters and target is not None:
            self._needed |= {target, *self.now.below(target).values()}

    def _make(self, call: Call, path: str, inode: Inode) -> int:
        number = len(self.now.inodes)
        inode.changed = call.time
        self.now.inodes[number] = inode
        self._name(call, path, number)
        return number

    def _data(self, call: Call, inode: int, **change: object) -> None:
        matters = self._folder(call.paths[0])[2]
        said = f"{call.name} {self._inside(call.paths[0])}"
        step = Step("write", inode, time=call.time, matters=matters, said=said)
        for key, value in change.items():
            setattr(step, key, value)
        self._step(step)

    def empty(self, before: Disk) -> Disk:
        """The disk before the first step, with the inodes that are made later and have no name yet."""
        disk = before.copy()
        for number, inode in self.now.inodes.items():
            if number not in disk.inodes:
                content = inode.content if inode.kind == "link" else b""
                disk.inodes[number] = Inode(inode.kind, content, changed=inode.changed, mode=inode.mode)
        return disk

    # -- One for each system call

    def _open(self, call: Call) -> None:
        path = call.paths[0]
        number = self._find(path)
        if number is None and "O_CREAT" in call.arguments:
            mode = re.search(r", (0\d+)$", call.arguments.strip())
            umask = os.umask(0)
            os.umask(umask)
            number = self._make(call, path, Inode("file", mode=int(mode[1], 8) & ~umask if mode else 0o644))
        if number is None:
            return
        if "O_TRUNC" in call.arguments and self.now.inodes[number].content:
            self._data(call, number, kind="resize")
        key = (number, call.descriptors[0])
        self._positions[key] = 0
        (self._appends.add if "O_APPEND" in call.arguments else self._appends.discard)(key)

    def _write(self, call: Call) -> None:
        number = self._find(call.paths[0])
        if number is None:
            return  # It has no name any more.
        given = re.fullmatch(r"[, \d{}=a-z_\[\]]*, (\d+), (\d+)", call.arguments.strip())
        key = (number, call.descriptors[0])
        if given:
            offset = int(given[2])
        else:
            offset = len(self.now.inodes[number].content) if key in self._appends else self._positions.get(key, 0)
            self._positions[key] = offset + len(call.data)
        self._data(call, number, offset=offset, data=call.data)

    def _lseek(self, call: Call) -> None:
        number = self._find(call.paths[0])
        if number is not None:
            self._positions[number, call.descriptors[0]] = call.result

    def _sendfile(self, call: Call) -> None:
        self._copy(call, call.paths[0], call.paths[1], call.descriptors[0])

    def _copy_file_range(self, call: Call) -> None:
        self._copy(call, call.paths[1], call.paths[0], call.descriptors[1])

    def _copy(self, call: Call, target: str, source: str, descriptor: int) -> None:
        number, origin = self._find(target), self._find(source)
        if number is None or not call.result:
            return
        content = Path(source).read_bytes() if origin is None else self.now.inodes[origin].content
        given = re.search(r"\[(\d+)\]", call.arguments)
        start = int(given[1]) if given else 0
        offset = self._positions.get((number, descriptor), 0)
        self._positions[number, descriptor] = offset + call.result
        data = content[start : start + call.result]
        matters = self._folder(target)[2]
        said = f"{call.name} {self._inside(target)}"
        self._step(Step("write", number, offset=offset, data=data, time=call.time, matters=matters, said=said))

    def _ftruncate(self, call: Call) -> None:
        number = self._find(call.paths[0])
        size = int(call.arguments.strip(", ").split(", ")[-1])
        if number is not None and len(self.now.inodes[number].content) != size:
            self._data(call, number, kind="resize", offset=size)

    def _fallocate(self, call: Call) -> None:
        number = self._find(call.paths[0])
        mode, offset, length = call.arguments.strip(", ").split(", ")[-3:]
        if mode != "0":
            raise RuntimeError(f"not understood: {call}")
        if number is not None and (end := int(offset) + int(length)) > len(self.now.inodes[number].content):
            self._data(call, number, kind="resize", offset=end)

    def _rename(self, call: Call) -> None:
        number = self._find(call.paths[0])
        if number is None or self._inside(call.paths[1]) is None or "RENAME_" in call.arguments:
            raise RuntimeError(f"moved from or to elsewhere: {call.paths}")
        self._name(call, call.paths[1], number, call.paths[0])

    def _link(self, call: Call) -> None:
        self._name(call, call.paths[1], self._find(call.paths[0]))

    def _symlink(self, call: Call) -> None:
        self._make(call, call.paths[-1], Inode("link", call.data))

    def _mkdir(self, call: Call) -> None:
        self._make(call, call.paths[0], Inode("folder", mode=0o755))

    def _unlink(self, call: Call) -> None:
        self._name(call, call.paths[0], None)

    def _utimensat(self, call: Call) -> None:
        number = self._find(call.paths[0])
        if number is not None:
            self._data(call, number, kind="time")

    def _stat(self, call: Call) -> None:
        """What was seen is the time of the last change: the clock of files ticks more slowly than that of calls."""
        number = self._find(call.paths[0])
        if number in self._last_change:
            self._last_change[number].time = self.now.inodes[number].changed = call.time

    def _fsync(self, call: Call) -> None:
        number = self._find(call.paths[0])
        if number is not None:
            self._step(Step("flush", number, said=f"{call.name} {self._inside(call.paths[0])}"))

    def _sync(self, call: Call) -> None:
        self._step(Step("flush", ALL, said=call.name))
