"""Blocks of whole lines from pieces of bytes.

Formats of one record a line are read block by block: large enough for whole-column work, bounded for any file
holds. A line that never ends is cut at 1 MiB and its rest only counted, so it cannot fill the memory either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from sentiment.errors import RefusedFileError

LONGEST_KEPT = 1 << 20
"""Bytes of a line that are kept, whether in memory or among the rejected rows."""


@dataclass(frozen=True)
class Block:
    """Whole lines, consecutive in their file.

    Attributes:
        data: the lines with their line breaks.
        ends: int64, shape (lines,); where each line ends in `data`, behind its line break.
        first_line: the number of the first line, from 1 at the start of the file.
        count_cut: bytes of the first line that were not kept; only a line of more than 1 MiB is cut.
        is_torn: this is the last line of the file, alone, and it has no line break.
    """

    data: bytes
    ends: np.ndarray
    first_line: int
    count_cut: int = 0
    is_torn: bool = False

    def __len__(self) -> int:
        return len(self.ends)

    def lengths(self) -> np.ndarray:
        """Bytes of each line with its line break: int64, shape (lines,)."""
        lengths = np.diff(self.ends, prepend=0)
        lengths[0] += self.count_cut
        return lengths

    def lines(self) -> list[bytes]:
        """Every line without its line break, as far as it was kept."""
        lines = self.data.split(b"\n")
        return [line.removesuffix(b"\r") for line in lines[: len(self)]]

    def line(self, index: int) -> bytes:
        """One of `lines`."""
        start = int(self.ends[index - 1]) if index else 0
        return self.data[start : int(self.ends[index])].removesuffix(b"\n").removesuffix(b"\r")

    def raw_line(self, line_number: int) -> tuple[bytes, int]:
        """The bytes to keep of a line, by its number, and its true length; both without the line break."""
        index = line_number - self.first_line
        line = self.line(index)
        return line[:LONGEST_KEPT], len(line) + (0 if index else self.count_cut)


def line_ends(data: bytes) -> np.ndarray:
    """Where each line ends, behind its line break: int64, shape (lines,). A last line needs none."""
    ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord("\n")) + 1
    return ends if data.endswith(b"\n") or not data else np.append(ends, len(data))


def read_blocks(pieces: Iterable[bytes], *, skip_bytes: int, is_resumed: bool) -> Iterator[Block]:
    """Cut pieces of bytes into blocks of whole lines.

    Args:
        pieces: the whole file.
        skip_bytes: how many of its first bytes to leave out; they count for the line numbers.
        is_resumed: the bytes left out were read earlier, when they were the whole file. If their last line had no line
            break then, the one that follows by now belongs to it.
    """
    line_number = 1
    to_skip = skip_bytes
    is_within_line = False
    held = b""
    count_cut = 0
    for piece in pieces:
        rest = piece
        if to_skip:
            skipped, rest = piece[:to_skip], piece[to_skip:]
            to_skip -= len(skipped)
            line_number += skipped.count(b"\n")
            is_within_line = is_resumed and not skipped.endswith(b"\n")
        end = rest.rfind(b"\n") + 1
        if end:
            data = b"".join((held, memoryview(rest)[:end]))
            if is_within_line:
                if not data.startswith((b"\n", b"\r\n")):
                    raise RefusedFileError(
                        f"Line {line_number} was the last one when the file was read before, and has grown since. Take the "
                        "file out "
                        "with `sentiment withdraw` and ingest it again."
                    )
                data = data[data.index(b"\n") + 1 :]
                line_number += 1
            is_within_line = False
            if data:
                block = Block(data, line_ends(data), line_number, count_cut)
                yield block
                line_number += len(block)
            held, count_cut, rest = b"", 0, rest[end:]
        kept = rest[: LONGEST_KEPT - len(held)]
        held += kept
        count_cut += len(rest) - len(kept)
    if held:
        yield Block(held, line_ends(held), line_number, count_cut, is_torn=True)
