"""What the model of the disk says of a small program: the states that a power cut may leave of what it wrote."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

from simulations.disk import Disk, points
from simulations.power_cuts import choices
from simulations.recording import Recording
from simulations.system_calls import TRACER, recorded

needs_strace = pytest.mark.skipif(TRACER is None, reason="strace, which notes system calls, is not installed")
REPLACE = """
import os, sys
from pathlib import Path
home = Path(sys.argv[1]) / "home"
def flush(path):
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
(home / "draft").write_bytes(b"new")
if "data" in sys.argv[2:]:
    flush(home / "draft")
(home / "draft").rename(home / "file")
if "name" in sys.argv[2:]:
    flush(home)
(home / "done").write_bytes(b"done")
flush(home / "done")
flush(home)
"""


def states(world: Path, program: str, *arguments: str) -> list[dict[str, bytes]]:
    """Files of the home in each state that a power cut may leave, at any moment."""
    (world / "home").mkdir(parents=True)
    (world / "home" / "file").write_bytes(b"old")
    before = Disk.read(world)
    recording = Recording(before, world)
    command = [sys.executable, "-c", program, str(world), *arguments]
    recording.follow(recorded(command, world, world.with_suffix(".calls"), dict(os.environ)))
    assert recording.now.differs_from(Disk.read(world)) == []
    kept = recording.empty(before)
    found = []
    for point in points(recording.steps):
        for number in point.lasting:
            kept.apply(recording.steps[number])
        for fates in choices(recording.steps, point.waiting, random.Random(1), 0):
            disk = kept.copy()
            for number in point.waiting:
                disk.apply(recording.steps[number], fates[number])
            inside = {path.partition("/")[2]: number for path, number in disk.below().items() if "/" in path}
            found.append({name: disk.inodes[number].content for name, number in inside.items()})
    return found


@needs_strace
@pytest.mark.parametrize(
    ("flushed", "possible"),
    [
        (["data", "name"], {b"old", b"new"}),
        # The draft's name is there before its content.
        (["name"], {b"old", b"new", b"", b"\0\0\0"}),
        ([], {b"old", b"new", b"", b"\0\0\0"}),
    ],
)
def test_a_file_that_is_replaced_without_a_flush_may_be_empty(
    tmp_path: Path, flushed: list[str], possible: set[bytes]
) -> None:
    found = states(tmp_path / "world", REPLACE, *flushed)
    assert {state["file"] for state in found} == possible
    # Later work may be on the disk and the rename not, unless its folder was flushed in between.
    is_undone = any(state.get("done") == b"done" and state["file"] == b"old" for state in found)
    assert is_undone == ("name" not in flushed)


@needs_strace
def test_large_writes_are_torn_between_pages_and_files_grow_without_data(tmp_path: Path) -> None:
    program = """
import os, sys
descriptor = os.open(sys.argv[1] + "/home/file", os.O_RDWR)
os.pwrite(descriptor, b"n" * 8192, 4096)
os.fsync(descriptor)
"""
    hole = b"old".ljust(4096, b"\0")
    new, zeros = b"n" * 4096, bytes(4096)
    found = [state["file"] for state in states(tmp_path / "world", program)]
    assert set(found) == {b"old", hole + zeros * 2, hole + new, hole + zeros + new, hole + new * 2}


@needs_strace
def test_a_removal_may_be_undone_until_its_folder_is_flushed(tmp_path: Path) -> None:
    program = "import os, sys; os.unlink(sys.argv[1] + '/home/file')"
    assert {"file" in state for state in states(tmp_path / "one", program)} == {True, False}
    flushed = f"{program}; d = os.open(sys.argv[1] + '/home', os.O_RDONLY); os.fsync(d)"
    assert "file" not in states(tmp_path / "two", flushed)[-1]
    assert "file" not in states(tmp_path / "three", f"{program}; os.sync()")[-1]


@needs_strace
@pytest.mark.parametrize(
    "program",
    [
        "p.write_text('a'); f = p.open('a'); f.write('b'); f.flush(); os.ftruncate(f.fileno(), 1); f.write('c'); f.close()",
        "shutil.copyfile(p, p.with_name('copy')); os.link(p, p.with_name('link')); p.with_name('sign').symlink_to('file')",
        "(p.parent / 'a').mkdir(); shutil.copy2(p, p.parent / 'a'); (p.parent / 'a').rename(p.parent / 'b')",
        "(p.parent / 'a' / 'b').mkdir(parents=True); (p.parent / 'a' / 'c').touch(); shutil.rmtree(p.parent / 'a')",
        "d = os.open(p, os.O_RDWR); os.lseek(d, 2, 0); e = os.dup(d); os.writev(d, [b'xy', b'z']); os.pwrite(e, b'0', 9)",
        "c = sqlite3.connect(p.with_name('db')); c.execute('create table t (a)'); c.execute('vacuum'); c.close()",
    ],
)
def test_all_calls_replayed_give_the_files_that_are_there(tmp_path: Path, program: str) -> None:
    start = "import os, shutil, sqlite3, sys; from pathlib import Path; p = Path(sys.argv[1], 'home', 'file'); "
    assert states(tmp_path / "world", start + program)


@needs_strace
def test_writing_by_mapped_memory_is_refused(tmp_path: Path) -> None:
    program = "import mmap, sys; f = open(sys.argv[1] + '/home/file', 'r+b'); mmap.mmap(f.fileno(), 0)[0] = 1"
    with pytest.raises(RuntimeError, match="mapped memory"):
        states(tmp_path / "world", program)
