"""A disk that forgets what was not flushed: the steps of a command, and what a power cut at one of them may leave.

The model is a harsh one, that of ALICE (Pillai et al., OSDI 2014):

- Data of a file last when the file is flushed. Until then each write is lost or kept by itself, or torn between pages of 4 KiB;
  where a file grew, the size may be kept without the data: zeros.
- A name that is made, removed or moved lasts when its folder is flushed. Until then each is lost or kept by itself, in any order;
  a rename is whole, and lasts when either folder is flushed. A flushed file has no name by that alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PAGE = 4096
ALL = -1
"""In place of the inode that is flushed: `sync` flushes all of them."""


@dataclass
class Inode:
    """A file, folder or symbolic link, by all of its names.

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
        return Disk(
            {number: Inode(i.kind, i.content, dict(i.names), i.changed, i.mode) for number, i in self.inodes.items()}
        )

    def apply(self, step: Step, fate: str = "kept") -> None:
        """Change the disk.

        Args:
            fate: `lost`, `kept`, or of a write: `zeros` (only the size), `head` or `tail` (only that half of its pages).
        """
        if fate == "lost" or step.kind == "flush":
            return
        inode = self.inodes[step.inode]
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

        return sorted(
            path for path in {*mine, *others} if known(self, mine.get(path)) != known(other, others.get(path))
        )


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
        flushed = [i for i in waiting if step.inode in (ALL, steps[i].inode, *(steps[i].source or ())[:1])]
        if flushed:
            yield Point(number, step.said, waiting, lasting)
            waiting = [i for i in waiting if i not in flushed]
            lasting = flushed
    yield Point(len(steps), "end", waiting, lasting)
