"""Searches the home for traces of forgotten texts: in logs, reports and databases.

All texts are searched for at once (Aho-Corasick, in polars), so that a user with a thousand tweets costs what one tweet
does: about 0.2 s for 100 MB. Bytes are read as latin-1, which maps each to a character of its own.
"""

from __future__ import annotations

import html
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

import polars as pl

from sentiment.errors import SentimentError
from sentiment.ingest.readers.byte_stream import open_source
from sentiment.model.atomic import flush_to_disk
from sentiment.settings import Home
from sentiment.warehouse.session import read_sql

_PIECE_BYTES = 8 << 20
_SMALL_BYTES = 256 << 10
# Weights hold no text; warehouse and snapshots were rewritten.
_WITHOUT_TEXTS = {".safetensors", ".duckdb", ".png"}


def forms(texts: Iterable[str]) -> list[bytes]:
    """The forms of a text: as it is, escaped for HTML, and escaped for JSON."""
    written = {form for text in texts for form in (text, html.escape(text), json.dumps(text)[1:-1])}
    # Original bytes come as latin-1.
    original = {text.encode("latin-1", "ignore") for text in texts}
    return sorted({form.encode() for form in written} | original - {b""})


def contains(values: Sequence[bytes], needles: Sequence[bytes]) -> list[bool]:
    """Which values hold one of the needles."""
    if not needles or not values:
        return [False] * len(values)
    texts = pl.Series([value.decode("latin-1") for value in values], dtype=pl.String)
    found = pl.select(texts.str.contains_any([needle.decode("latin-1") for needle in needles])).to_series()
    return found.to_list()


def contains_file(path: Path, needles: Sequence[bytes]) -> bool:
    """Whether a file holds one of the needles, compressed files included."""
    if not needles:
        return False
    overlap = max(map(len, needles)) - 1
    before = b""
    with suppress(SentimentError), open_source(path, _PIECE_BYTES) as source:
        for piece in source:
            if contains([before + piece], needles)[0]:
                return True
            # A piece of a compressed file may be shorter than what is searched for.
            before = (before + piece)[-overlap:] if overlap else b""
    return False


def holding(paths: Iterable[Path], needles: Sequence[bytes]) -> Iterator[Path]:
    """Those files that hold one of the needles.

    Small ones are searched together: to get ready for a thousand needles takes longer than to search most files.
    """
    waiting: dict[Path, bytes] = {}
    size = 0

    def search() -> Iterator[Path]:
        found = contains(list(waiting.values()), needles)
        yield from [path for path, is_found in zip(waiting, found, strict=True) if is_found]
        waiting.clear()

    for path in paths:
        content = _small_content(path)
        if content is None:
            if contains_file(path, needles):
                yield path
            continue
        waiting[path] = content
        size += len(content)
        if size >= _PIECE_BYTES:
            yield from search()
            size = 0
    yield from search()


def _small_content(path: Path) -> bytes | None:
    """All of a file, decompressed; None if it is large, or more than one piece."""
    content = None
    with suppress(OSError):
        if path.stat().st_size > _SMALL_BYTES:
            return None
    with suppress(SentimentError), open_source(path, _PIECE_BYTES) as source:
        for piece in source:
            if content is not None:
                return None
            content = piece
    return content or b""


def files(home: Home) -> Iterator[Path]:
    """Every file under the home that may hold a text; the inbox is the user's own."""
    for path in sorted(home.root.rglob("*")):
        is_ours = path.is_file() and not path.is_symlink() and not path.is_relative_to(home.inbox)
        if is_ours and path.suffix not in _WITHOUT_TEXTS:
            yield path


def find(home: Home, needles: Sequence[bytes]) -> list[Path]:
    """Files of ours that still hold a needle."""
    return sorted(holding((path for path in files(home) if path != home.forgetting), needles))


def find_inbox(home: Home, needles: Sequence[bytes]) -> list[Path]:
    """Files of the home's inbox that hold a needle: the user's, and left alone."""
    return sorted(holding((path for path in home.inbox.rglob("*") if path.is_file()), needles))


def blank_stores(home: Home, needles: Sequence[bytes]) -> None:
    """Blank the needles in what Prefect's and MLflow's databases have kept, and overwrite the pages that this frees."""
    stores = {home.prefect / "prefect.db": "stores/blank_prefect", home.mlflow / "mlflow.db": "stores/blank_mlflow"}
    for database, script in stores.items():
        if any(contains_file(path, needles) for path in database.parent.glob(f"{database.name}*")):
            _blank(database, read_sql(script), needles)


def _blank(database: Path, script: str, needles: Sequence[bytes]) -> None:
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        connection.execute("pragma secure_delete = on")
        statements = [part for part in script.split(";\n") if part.strip()]
        for needle in needles:
            with suppress(UnicodeDecodeError):
                for statement in statements:
                    connection.execute(statement, {"needle": needle.decode()})
        connection.commit()
        connection.execute("vacuum")
        connection.execute("pragma wal_checkpoint(truncate)")
    flush_to_disk(database.parent)
