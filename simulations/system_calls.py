"""What a command does to the files below a folder, as `strace` sees it: one `Call` for each system call that succeeded.

It works on Linux alone. Only calls on paths and open files below the folder are kept, in the order in which they returned. Where a
process writes to mapped memory, nobody can tell what reaches the disk and when, so that is an error.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

TRACER = shutil.which("strace")
_TRACED = (
    "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,rename,renameat,renameat2,link,linkat,"
    "symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,copy_file_range,sendfile,fsync,fdatasync,sync,syncfs,mmap,lseek,"
    "utimensat,stat,lstat,fstat,newfstatat,statx"
)
_NAMES = {
    "openat": "open",
    "creat": "open",
    "pwrite64": "write",
    "writev": "write",
    "pwritev": "write",
    "pwritev2": "write",
    "truncate": "ftruncate",
    "renameat": "rename",
    "renameat2": "rename",
    "linkat": "link",
    "symlinkat": "symlink",
    "unlinkat": "unlink",
    "rmdir": "unlink",
    "mkdirat": "mkdir",
    "fdatasync": "fsync",
    "syncfs": "sync",
    "lstat": "stat",
    "fstat": "stat",
    "newfstatat": "stat",
    "statx": "stat",
}
"""Calls that differ only in how a place is given, or in what does not matter here."""
_HEX = r"(?:\\x[0-9a-f]{2})*"
_LINE = re.compile(r"(\d+) +(\d+)\.(\d+) (.*)", re.DOTALL)
_WHOLE = re.compile(r"(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+)(.*)", re.DOTALL)
_PLACE = re.compile(rf'(?:(\d+|AT_FDCWD)<({_HEX})>(\(deleted\))?)(?:, "({_HEX})")?|"({_HEX})"')
_BASE = re.compile(rf'iov_base="({_HEX})"')
_TEXT = re.compile(rf'"({_HEX})"')
_TIME = re.compile(r"(?:st_mtime=(\d+)[^,]*, st_mtime_nsec=(\d+))|(?:stx_mtime=\{tv_sec=([-\d]+), tv_nsec=(\d+))")
_SET_TIME = re.compile(r"tv_sec=(\d+), tv_nsec=(\d+)")


@dataclass(frozen=True)
class Call:
    """A system call that succeeded.

    Attributes:
        name: `write`, `rename`, …; those that differ only in how a place is given have one name.
        paths: absolute paths, in the order of the arguments; the path of an opened file is the one it was opened at.
        descriptors: numbers of the open files among the arguments, and of the one that was opened.
        arguments: text of the arguments, without data.
        data: what was written, or the target of a symbolic link.
        result: what it returned.
        time: when it was called, or the time of change that it showed or set, in nanoseconds since 1970.
    """

    name: str
    paths: tuple[str, ...]
    descriptors: tuple[int, ...]
    arguments: str
    data: bytes
    result: int
    time: int


def recorded(command: Sequence[str], folder: Path, log: Path, environment: dict[str, str]) -> list[Call]:
    """Run a command, and give its calls below a folder.

    Raises:
        RuntimeError: it failed, or did what cannot be followed.
    """
    assert TRACER is not None, "look first"
    options = [
        "-f",
        "--seccomp-bpf",
        "-y",
        "-xx",
        "-v",
        "-s",
        str(1 << 24),
        "-ttt",
        "-o",
        str(log),
        "-e",
        f"trace={_TRACED}",
    ]
    done = subprocess.run([TRACER, *options, *command], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command} ended with status {done.returncode}: {done.stderr[-2_000:]}")
    return list(calls_in(log, folder))


def calls_in(log: Path, folder: Path) -> Iterator[Call]:
    """Read what `strace -f -y -xx -v -ttt` wrote."""
    inside = "".join(f"\\x{byte:02x}" for byte in os.fsencode(folder))
    begun: dict[str, str] = {}
    with log.open() as lines:
        for line in lines:
            found = _LINE.match(line)
            if found is None:
                continue
            thread, seconds, fraction, text = found.groups()
            text = text.rstrip("\n")
            if text.endswith("<unfinished ...>"):
                begun[thread] = text.removesuffix("<unfinished ...>")
                continue
            if text.startswith("<... "):
                text = begun.pop(thread, "") + text.partition(" resumed>")[2]
            if (inside in text or text.startswith("sync(")) and (
                call := _call(text, int(seconds) * 10**9 + int(fraction.ljust(9, "0")), str(folder))
            ):
                yield call


def _call(text: str, time: int, folder: str) -> Call | None:
    found = _WHOLE.fullmatch(text)
    if found is None:
        if re.search(r"\) += (-1|\?)", text) is None and not text.startswith("+++"):
            raise RuntimeError(f"not understood: {text[:400]}")
        return None
    name, arguments, result, rest = found.groups()
    if result.startswith("-"):
        return None
    name = _NAMES.get(name, name)
    if name == "mmap":
        if "PROT_WRITE" in arguments and "MAP_SHARED" in arguments:
            raise RuntimeError(f"a file was written by mapped memory: {_places(arguments)[0]}")
        return None
    data = b""
    if name == "write":
        parts = (_BASE if "iov_base" in arguments else _TEXT).findall(arguments)
        data, arguments = b"".join(map(_decoded, parts))[: int(result)], _BASE.sub("", _TEXT.sub("", arguments))
    elif name == "symlink":
        data = _decoded(_TEXT.findall(arguments)[0])
        arguments = arguments.partition(", ")[2]
    if name == "stat":
        times = _TIME.search(arguments)
        if times is None:
            return None
        time = _nanoseconds(times)
    if name == "utimensat":
        given = _SET_TIME.findall(arguments)
        time = int(given[-1][0]) * 10**9 + int(given[-1][1]) if given else time
    paths, descriptors = _places(arguments + (rest if name == "open" else ""))
    if name != "sync" and not any(path == folder or path.startswith(f"{folder}/") for path in paths):
        return None
    if name == "open":
        paths, descriptors = paths[-1:], (int(result),)
    return Call(name, paths, descriptors, _TEXT.sub("", _PLACE.sub("", arguments)), data, int(result, 0), time)


def _places(arguments: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    paths, descriptors = [], []
    for number, place, deleted, relative, alone in _PLACE.findall(arguments):
        if number:
            path = os.fsdecode(_decoded(place)) + (" (deleted)" if deleted else "")
            if relative:
                path = str(Path(path, os.fsdecode(_decoded(relative))))
            if number != "AT_FDCWD":
                descriptors.append(int(number))
        else:
            path = os.fsdecode(_decoded(alone))
        paths.append(os.path.normpath(path))
    return tuple(paths), tuple(descriptors)


def _decoded(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _nanoseconds(found: re.Match[str]) -> int:
    seconds, fraction, other_seconds, other_fraction = found.groups()
    return int(seconds or other_seconds) * 10**9 + int(fraction or other_fraction)
