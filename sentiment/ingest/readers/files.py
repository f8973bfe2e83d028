"""The records of a file as one stream of batches, by the form that was found for it."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from sentiment.errors import InputError, NotReadyError
from sentiment.ingest.readers import parquet, reject_reasons
from sentiment.ingest.readers.batch import Batch
from sentiment.ingest.readers.byte_stream import PIECE_BYTES, Fingerprint, fingerprint, open_source
from sentiment.ingest.readers.delimited import DelimitedReader
from sentiment.ingest.readers.encoding import as_utf8
from sentiment.ingest.readers.excel import open_sheet, read_sheet
from sentiment.ingest.readers.form import Form, labels_of
from sentiment.ingest.readers.json_records import read_json_document, read_json_lines
from sentiment.ingest.readers.lines import Block, read_blocks
from sentiment.ingest.readers.partitions import with_partitions
from sentiment.ingest.readers.posts import layout_named
from sentiment.ingest.text import decode

_MARK_BYTES = 3
_LABELLED = r"(?s)^\s*(__label__\S+(?:\s+__label__\S+)*)\s+(.*)$"


def read_batches(
    path: Path,
    form: Form,
    *,
    skip_bytes: int = 0,
    expected: Fingerprint | None = None,
    block_bytes: int = PIECE_BYTES,
) -> Iterator[Batch]:
    """Read a file batch by batch; folders that are named like `day=2026-11-01` are columns of it.

    Args:
        form: what `find_form` found.
        skip_bytes: decompressed bytes at the file's start that were loaded when they were all of it, for forms that can grow.
            Lines still count from the start of the file.
        expected: what `identify` gave; the bytes read must be the same.
        block_bytes: about how many bytes are worked on at once; memory is some twenty-five times that.

    Yields:
        Batches in the order of the file, every record in exactly one of them.

    Raises:
        InputError: the file cannot be read.
        NotReadyError: it is not complete, or changed since `expected`. Nothing of it should be kept then.
    """
    batches = _read_content(path, form, skip_bytes, expected, block_bytes)
    return with_partitions(batches, form.partitions) if form.partitions else batches


def _read_content(
    path: Path, form: Form, skip_bytes: int, expected: Fingerprint | None, block_bytes: int
) -> Iterator[Batch]:
    with open_source(path, block_bytes, is_hashed=expected is not None) as source:
        if form.kind == "parquet":
            yield from parquet.read_parquet(path, source.file)
            sha256 = fingerprint(path).sha256 if expected is not None else ""
        elif form.kind == "excel":
            yield from read_sheet(open_sheet(path), form.names, form.header_bytes)
            sha256 = fingerprint(path).sha256 if expected is not None else ""
        else:
            pieces = as_utf8(source, form.encoding, has_cr_ends=form.has_cr_ends)
            yield from _read_text(path, form, pieces, skip_bytes)
            sha256 = source.sha256 if form.kind != "text and labels" else identify(path, form).sha256
        if expected is not None and sha256 != expected.sha256:
            raise NotReadyError(f"{path} changed while it was read. It is read again once it is left alone.")


def _read_text(path: Path, form: Form, pieces: Iterable[bytes], skip_bytes: int) -> Iterator[Batch]:
    if form.kind == "json document":
        yield from read_json_document(path, pieces, layout_named(form.layout))
        # What follows the document, such as a semicolon, belongs to the file as well.
        for _ in pieces:
            pass
        return
    mark = _MARK_BYTES if form.has_mark and skip_bytes else 0
    skip = max(skip_bytes - mark, form.header_bytes)
    blocks = read_blocks(pieces, skip_bytes=skip, is_resumed=skip_bytes > 0)
    if form.kind == "table":
        assert form.dialect is not None
        yield from DelimitedReader(path, form.dialect, form.names).read(blocks)
    elif form.kind == "labelled lines":
        yield from map(_read_labelled, blocks)
    elif form.kind == "text and labels":
        yield from _read_pair(path, blocks)
    else:
        yield from read_json_lines(path, blocks, layout_named(form.layout), is_array=form.kind == "json array")


def _read_labelled(block: Block) -> Batch:
    """Lines of `__label__…` and a text; of several labels all stay, for no scheme to know."""
    lines = pl.Series("line", [decode(line) for line in block.lines()], dtype=pl.String)
    parts = lines.str.extract_groups(_LABELLED)
    numbers = np.arange(block.first_line, block.first_line + len(lines), dtype=np.int64)
    is_readable = parts.struct.field("1").is_not_null().to_numpy()
    columns = pl.DataFrame(
        {
            "label": parts.struct.field("1").str.replace_all("__label__", "", literal=True),
            "text": parts.struct.field("2"),
        }
    ).filter(pl.Series(is_readable))
    unreadable = [(number, reject_reasons.WRONG_COLUMN_COUNT) for number in numbers[~is_readable].tolist()]
    return Batch(numbers[is_readable], columns, unreadable, block.raw_line)


def _read_pair(path: Path, blocks: Iterable[Block]) -> Iterator[Batch]:
    """Texts, and the label of each from the same line of the file of labels."""
    labels_path = labels_of(path)
    labels = decode(labels_path.read_bytes()).splitlines()
    count = 0
    for block in blocks:
        texts = [decode(line) for line in block.lines()]
        columns = pl.DataFrame(
            {
                "text": texts,
                "label": labels[count : count + len(texts)] + [None] * max(0, count + len(texts) - len(labels)),
            }
        )
        numbers = np.arange(block.first_line, block.first_line + len(texts), dtype=np.int64)
        count += len(texts)
        yield Batch(numbers, columns, [], block.raw_line)
    if count != len(labels):
        raise InputError(
            f"{path} has {count:,} lines and {labels_path} has {len(labels):,}; expected is one label for each text. "
            "Fetch both files again."
        )


def identify(path: Path, form: Form, prefix_sizes: Iterable[int] = ()) -> Fingerprint:
    """The fingerprint of a file's content; of both files, where texts and labels lie apart."""
    found = fingerprint(path, prefix_sizes)
    if form.kind != "text and labels":
        return found
    both = hashlib.sha256(f"{found.sha256} {fingerprint(labels_of(path)).sha256}".encode()).hexdigest()
    return Fingerprint(both, found.count_bytes, {})


def first_and_rest(batches: Iterator[Batch]) -> tuple[Batch | None, Iterator[Batch], bool]:
    """The first batch, all of them again, and whether the first is the only one."""
    first = next(batches, None)
    if first is None:
        return None, iter(()), True
    second = next(batches, None)
    if second is None:
        return first, iter((first,)), True
    return first, itertools.chain((first, second), batches), False
