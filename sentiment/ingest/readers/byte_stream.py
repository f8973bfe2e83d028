"""The bytes of a file: opened, decompressed where they are compressed, counted and hashed as they pass.

What a file is, is decided by its first bytes, not by its name. Memory is a few pieces for a file of any size. A file
that is cut off is told from one that is damaged: the first may still be on its way.

Costs on one core: 0.3 s for 234 MB plain, 1.4 s from gzip, 1.1 s from Zstandard; 0.15 s of each is SHA-256.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

from sentiment.errors import InputError, NotReadyError

PIECE_BYTES = 8 << 20
HEAD_BYTES = 1 << 16
# Small enough that the allocator gives the same memory again and again.
_HASHED_BYTES = 1 << 18
ZIP_MAGIC = b"PK\x03\x04"
WORKBOOK = "xl/workbook.xml"
ARCHIVE_OF_X = "data/tweets.js"

_SMALL_UNPACKED = 1 << 30
_MOST_EXPANSION = 200

# Small, since one byte of Zstandard can expand to a hundred thousand; larger pieces gain a tenth of the time.
_COMPRESSED_BYTES = 1 << 10


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


_DECOMPRESSORS: dict[bytes, tuple[str, Callable[[], _Decompressor]]] = {
    b"\x1f\x8b": ("gzip", lambda: zlib.decompressobj(wbits=31)),
    b"\x28\xb5\x2f\xfd": ("Zstandard", lambda: zstandard.ZstdDecompressor().decompressobj()),
}


@dataclass(frozen=True)
class Fingerprint:
    """What identifies the content of a file: its decompressed bytes.

    `prefixes` maps a number of bytes to the SHA-256 (hex) of that many first bytes.
    """

    sha256: str
    count_bytes: int
    prefixes: dict[int, str]


class Source:
    """An open file. Iterating gives its decompressed bytes in pieces, once; `head` is where they begin.

    `compression` names what the file is packed with, None where it is plain.
    """

    def __init__(self, path: Path, file: BinaryIO, piece_bytes: int, *, is_hashed: bool) -> None:
        self.path = path
        self.file = file
        self._digest = hashlib.sha256() if is_hashed else None
        self.compression, pieces = _open_pieces(path, file, piece_bytes)
        first: list[bytes] = []
        while sum(map(len, first)) < HEAD_BYTES and (piece := next(pieces, b"")):
            first.append(piece)
        self.head = b"".join(first)[:HEAD_BYTES]
        self._pieces = itertools.chain(first, pieces)

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if self._digest is not None:
                self._digest.update(piece)
            yield piece

    @property
    def sha256(self) -> str:
        """Of the bytes that have passed so far, hex; empty where they were not hashed."""
        return self._digest.hexdigest() if self._digest is not None else ""


@contextmanager
def open_source(path: Path, piece_bytes: int = PIECE_BYTES, *, is_hashed: bool = False) -> Iterator[Source]:
    """Open a file to read its decompressed bytes.

    Args:
        is_hashed: hash the bytes as they pass.

    Raises:
        InputError: there is no such file, it is a directory, it cannot be read, or its compression is damaged.
        NotReadyError: it is empty, or cut off in the middle of its compression. Both are also raised while iterating.
    """
    try:
        if path.is_dir():
            raise InputError(f"{path} is a directory; give the files in it, for example {path}/*.csv.")
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is not an ordinary file; copy what it gives into one.")
        with path.open("rb") as file:
            yield Source(path, file, piece_bytes, is_hashed=is_hashed)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}; check the path.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error


def _open_pieces(path: Path, file: BinaryIO, piece_bytes: int) -> tuple[str | None, Iterator[bytes]]:
    """What the file is packed with, and its bytes as they are without that."""
    magic = file.read(4)
    file.seek(0)
    if not magic:
        raise NotReadyError(f"{path} is empty. It is read once it has content.")
    for start, (name, make) in _DECOMPRESSORS.items():
        if magic.startswith(start):
            parts = _refuse_bombs(path, file, _decompressed(path, file, name, make))
            return name, _gather(parts, piece_bytes)
    if magic == ZIP_MAGIC and (member := _only_member(path, file)) is not None:
        return "zip", _refuse_bombs(path, file, _unzipped(path, file, member, piece_bytes))
    return None, iter(lambda: file.read(piece_bytes), b"")


def _refuse_bombs(path: Path, file: BinaryIO, parts: Iterator[bytes]) -> Iterator[bytes]:
    """The parts, as long as they are not much more than any text becomes when it is unpacked."""
    most = most_unpacked(file)
    count = 0
    for part in parts:
        count += len(part)
        if count > most:
            raise bomb(path, count)
        yield part


def most_unpacked(file: BinaryIO) -> int:
    """Bytes that a file of posts becomes at most when it is unpacked."""
    return max(_SMALL_UNPACKED, os.fstat(file.fileno()).st_size * _MOST_EXPANSION)


def bomb(path: Path, count: int) -> InputError:
    """The error for a file that became more than that."""
    return InputError(
        f"{path} becomes more than {_MOST_EXPANSION} times as large when it is unpacked, which no file of posts does: "
        f"reading was stopped after {count >> 20:,} MiB. If it is right all the same, unpack it and give the result."
    )


def _only_member(path: Path, file: BinaryIO) -> str | None:
    """The one file of a zip archive; None for an Excel workbook, which is a zip archive too and read as it is."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    except zipfile.BadZipFile as error:
        raise NotReadyError(
            f"{path} begins as a zip archive and has no end yet. It is read once it is complete. "
            f"If nothing writes to it any more, fetch or pack it again."
        ) from error
    finally:
        file.seek(0)
    if WORKBOOK in names:
        return None
    names = [name for name in names if not name.startswith("__MACOSX/") and not name.endswith("/.DS_Store")]
    posts = [name for name in names if name.endswith(ARCHIVE_OF_X)]
    if len(posts or names) != 1:
        raise InputError(
            f"{path} is a zip archive with {len(names)} files ({', '.join(names[:6])}{', …' if len(names) > 6 else ''}). "
            "Expected is one file in it. Unpack it and give the file that holds the posts."
        )
    return (posts or names)[0]


def _unzipped(path: Path, file: BinaryIO, member: str, piece_bytes: int) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(file) as archive, archive.open(member) as content:
            while piece := content.read(piece_bytes):
                yield piece
    # Of zipfile, NotImplementedError is an unknown compression, and RuntimeError a password that is missing.
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise InputError(
            f"{path}: {member} cannot be unpacked ({error}). Unpack it by hand, or pack it again."
        ) from error


def _gather(parts: Iterator[bytes], piece_bytes: int) -> Iterator[bytes]:
    held: list[bytes] = []
    count_held = 0
    for part in parts:
        held.append(part)
        count_held += len(part)
        if count_held >= piece_bytes:
            yield b"".join(held)
            held, count_held = [], 0
    if count_held:
        yield b"".join(held)


def _decompressed(path: Path, file: BinaryIO, name: str, make: Callable[[], _Decompressor]) -> Iterator[bytes]:
    """Decompress one frame after the other: appending to a compressed file adds a frame."""
    decompressor = make()
    has_started = False
    try:
        while data := file.read(_COMPRESSED_BYTES):
            while data:
                if decompressor.eof:
                    decompressor, has_started = make(), False
                    # gzip files may be padded with zeros.
                    data = data.lstrip(b"\0")
                    continue
                has_started = True
                part = decompressor.decompress(data)
                if part:
                    yield part
                data = decompressor.unused_data
    except (zlib.error, zstandard.ZstdError) as error:
        raise InputError(
            f"{path} starts as {name} but cannot be decompressed ({error}); fetch or compress it again."
        ) from error
    if has_started and not decompressor.eof:
        raise NotReadyError(
            f"{path} ends in the middle of its {name} data; it is read once it is complete. "
            f"If nothing writes to it any more, fetch or compress it again."
        )


def fingerprint(path: Path | str, prefix_sizes: Iterable[int] = ()) -> Fingerprint:
    """Hash a file's decompressed bytes, and its beginnings, in one pass.

    Args:
        path: any file; compressed and plain copies have the same fingerprint.
        prefix_sizes: numbers of bytes. For each that the file reaches, the hash of that many first bytes is given, so
            that a file that has grown since it had this size can be recognised.

    Raises:
        InputError, NotReadyError: as `open_source`.
    """
    digest = hashlib.sha256()
    count_bytes = 0
    prefixes: dict[int, str] = {}
    waiting = sorted(set(prefix_sizes), reverse=True)
    with open_source(Path(path), _HASHED_BYTES) as source:
        for piece in source:
            while waiting and waiting[-1] <= count_bytes + len(piece):
                size = waiting.pop()
                beginning = digest.copy()
                beginning.update(memoryview(piece)[: size - count_bytes])
                prefixes[size] = beginning.hexdigest()
            digest.update(piece)
            count_bytes += len(piece)
    return Fingerprint(digest.hexdigest(), count_bytes, prefixes)
