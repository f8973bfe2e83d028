"""A disk that forgets what was not flushed: the steps of a command, and what a power cut at one of them may leave.

The model is a harsh one, that of ALICE (Pillai et al., OSDI 2014):

- Data of a file last when the file is flushed. Until then each write is lost or kept by itself, or torn between pages of 4 KiB;
  where a file grew, the size may be kept without the data: zeros.
- A name that is made, removed or moved lasts when its folder is flushed. Until then each is lost or kept by itself, in any order;
  a rename is whole, and lasts when either folder is flushed. A flushed file has no name by that alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from simulations.system_calls import Call

PAGE = 4096
FORGOTTEN = ("locks", "work")
"""Folders of a home whose content means nothing after the process that wrote it."""


@dataclass
class Inode:
    """A file, folder or symbolic link, whatever its names.

    Attributes:
        kind: `file`, `folder` or `link`.
        content: bytes of a file, or target of a link.
        names: inodes in a folder.
    """

    kind: str
    content: bytes = b""
    names: dict[str, int] = field(default_factory=dict)
    changed: int = 0
    mode: int = 0o644


@dataclass
class Step:
    """One change of a disk.

    Attributes:
        kind: `name`, `write`, `resize`, `time` or `flush`.
        inode: the file that changes or is flushed, or the folder in which a name changes.
        name: what changes in a folder; `target` is the inode that it has from now on, None if it is removed.
        source: folder and name that a rename takes it from.
        offset: first byte that is written, or the new size.
        matters: False in folders that nobody needs after a power cut: it is always kept.
    """

    kind: str
    inode: int
    name: str = ""
    target: int | None = None
    source: tuple[int, str] | None = None
    offset: int = 0
    data: bytes = b""
    time: int = 0
    matters: bool = True
    said: str = ""


@dataclass
class Disk:
    """Inodes by number; the root folder has number 0."""

    inodes: dict[int, Inode]

    @classmethod
    def read(cls, root: Path) -> Disk:
        """All files below a folder."""
        disk = cls({0: Inode("folder")})
        for text, folders, files in os.walk(root):
            parent = disk.find(str(Path(text).relative_to(root)))
            assert parent is not None
            for name in (*folders, *files):
                path, number = Path(text, name), len(disk.inodes)
                status = path.lstat()
                inode = Inode("folder", changed=status.st_mtime_ns, mode=status.st_mode & 0o7777)
                if path.is_symlink():
                    inode.kind, inode.content = "link", os.fsencode(path.readlink())
                elif not path.is_dir():
                    inode.kind, inode.content = "file", path.read_bytes()
                disk.inodes[number] = inode
                disk.inodes[parent].names[name] = number
        return disk

    def find(self, path: str) -> int | None:
        """The inode of a path below the root."""
        number: int | None = 0
        for name in Path(path).parts:
            number = None if number is None else self.inodes[number].names.get(name)
        return number

    def copy(self) -> Disk:
        """Another disk that can change; contents are shared, since bytes never change."""
        return Disk({number: Inode(i.kind, i.content, dict(i.names), i.changed, i.mode) for number, i in self.inodes.items()})

    def apply(self, step: Step, fate: str = "kept") -> None:
        """Change the disk.

        Args:
            fate: `lost`, `kept`, or of a write: `zeros` (only the size), `head` or `tail` (only that half of its pages).
        """
        inode = self.inodes[step.inode]
        if fate == "lost" or step.kind == "flush":
            return
        if step.kind == "name":
            if step.source is not None:
                folder, name = step.source
                if self.inodes[folder].names.get(name) == step.target:
                    del self.inodes[folder].names[name]
            if step.target is None:
                inode.names.pop(step.name, None)
            else:
                inode.names[step.name] = step.target
        elif step.kind == "resize":
            inode.content = inode.content[: step.offset].ljust(step.offset, b"\0")
        elif step.kind == "write":
            self._write(inode, step, fate)
        if step.kind in ("write", "resize", "time"):
            inode.changed = step.time

    @staticmethod
    def _write(inode: Inode, step: Step, fate: str) -> None:
        end = step.offset + len(step.data)
        first, last = step.offset, end
        middle = (step.offset + len(step.data) // 2) // PAGE * PAGE
        if fate == "head":
            end = last = middle
        elif fate == "tail":
            first = middle
        elif fate == "zeros":
            first = end
        content = bytearray(inode.content.ljust(end, b"\0"))
        content[first:last] = step.data[first - step.offset : last - step.offset]
        inode.content = bytes(content)

    def below(self, folder: int = 0) -> dict[str, int]:
        """Inodes of all paths that lead there from a folder."""
        found: dict[str, int] = {}
        stack = [("", folder)]
        while stack:
            path, number = stack.pop()
            for name, inside in self.inodes[number].names.items():
                found[below := f"{path}{name}"] = inside
                if self.inodes[inside].kind == "folder":
                    stack.append((f"{below}/", inside))
        return found

    def write(self, root: Path) -> None:
        """Make its files in an empty folder."""
        for path, number in sorted(self.below().items()):
            inode, place = self.inodes[number], root / path
            if inode.kind == "folder":
                place.mkdir(inode.mode)
            elif inode.kind == "link":
                place.symlink_to(os.fsdecode(inode.content))
            else:
                place.write_bytes(inode.content)
                place.chmod(inode.mode)
                os.utime(place, ns=(inode.changed, inode.changed))

    def differs_from(self, other: Disk) -> list[str]:
        """Paths whose kind or content is another one."""
        mine, others = self.below(), other.below()

        def known(disk: Disk, number: int | None) -> tuple[str, bytes] | None:
            return None if number is None else (disk.inodes[number].kind, disk.inodes[number].content)

        return sorted(path for path in {*mine, *others} if known(self, mine.get(path)) != known(other, others.get(path)))


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
        # A home lies in a folder of its own; what lies next to it is the simulation's, but for its backups.
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

    _creat = _open

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

    _writev = _write

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

    _truncate = _ftruncate

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

    _rmdir = _unlink

    def _utimens(self, call: Call) -> None:
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

    _fdatasync = _fsync


@dataclass(frozen=True)
class Point:
    """A moment just before a flush, or the end: between flushes there are no states that are not possible then, too.

    Attributes:
        number: steps before it.
        said: what is flushed then.
        waiting: numbers of the steps that may be lost.
        lasting: numbers of the steps that have become lasting since the point before, in their order.
    """

    number: int
    said: str
    waiting: list[int]
    lasting: list[int]


def points(steps: Sequence[Step]) -> Iterator[Point]:
    """Each flush of something that was not on the disk for sure, and the end."""
    waiting: list[int] = []
    lasting: list[int] = []
    for number, step in enumerate(steps):
        if step.kind != "flush":
            (waiting if step.matters else lasting).append(number)
            continue
        flushed = [i for i in waiting if step.inode in (steps[i].inode, *(steps[i].source or ())[:1])]
        if flushed:
            yield Point(number, step.said, waiting, lasting)
            waiting = [i for i in waiting if i not in flushed]
            lasting = flushed
    yield Point(len(steps), "end", waiting, lasting)
