"""Which format a file has, whether it is a file of tweets at all, and its rows as one stream.

The first bytes decide, not the name; only NDJSON may also be told by it. A file of another kind is refused with what it
is instead. Where that is not known, its rows tell: a CSV file with other columns would otherwise become a million
rejected rows and no error.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sentiment.errors import InputError, NotReadyError
from sentiment.ingest.readers import parquet, reject_reasons
from sentiment.ingest.readers.byte_stream import PIECE_BYTES, Fingerprint, Source, fingerprint, open_source
from sentiment.ingest.readers.csv import COLUMNS, preamble_bytes, read_csv, split_record
from sentiment.ingest.readers.lines import read_blocks
from sentiment.ingest.readers.ndjson import read_json_lines, required_columns
from sentiment.ingest.readers.records import Chunk
from sentiment.ingest.text import decode

_FOREIGN_MAGIC = {
    b"PK\x03\x04": "a zip archive (Excel workbooks are such, too); unpack it, or save the sheet as CSV",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"SQLite format 3": "an SQLite database; read it with --source-url",
    b"\x28\xb5\x2f\xfd": "compressed twice; decompress it once",
    b"\x1f\x8b": "compressed twice; decompress it once",
    b"BZh": "compressed with bzip2; compress it with gzip or Zstandard instead",
    b"\xfd7zXZ": "compressed with xz; compress it with gzip or Zstandard instead",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it",
    b"\xff\xfe": "text in UTF-16; save it as UTF-8",
    b"\xfe\xff": "text in UTF-16; save it as UTF-8",
    b"[": "a JSON array; write one object a line instead (NDJSON)",
}
_EXPECTED = (
    f"Expected is CSV with the six columns {', '.join(COLUMNS)}, or NDJSON or Parquet with tweet_id and text; "
    f"CSV and NDJSON plain, .gz or .zst."
)
# Rejected lines at the start of a file, without a good one among them, after which it is refused.
_COUNT_HOPELESS = 100


def read_chunks(
    path: Path | str,
    *,
    skip_bytes: int = 0,
    gold: bool = False,
    expected: Fingerprint | None = None,
    block_bytes: int = PIECE_BYTES,
) -> Iterator[Chunk]:
    """Read a file of tweets chunk by chunk.

    Args:
        path: CSV in the Sentiment140 format or NDJSON, plain, gzip or Zstandard; or Parquet.
        skip_bytes: decompressed bytes at the file's start that were loaded when they were all of it. Lines still count
            from the start of the file. Parquet cannot grow and is always read whole.
        gold: hand-labelled tweets, which need a label and may lack an id.
        expected: what `fingerprint` gave; the bytes read must be the same.
        block_bytes: about how many bytes are worked on at once; memory is some twenty-five times that.

    Yields:
        Chunks in the order of the file, every line in exactly one of them.

    Raises:
        InputError: the file cannot be read, or is no file of tweets: another kind of file, or one of which the first
            100 lines are rejected, or of which all lines are, since none has the columns.
        NotReadyError: the file is empty, ends in the middle of a line, or changed since `expected`. Nothing of it
            should be kept then, as it is read again.
    """
    path = Path(path)
    with open_source(path, block_bytes) as source:
        _refuse_foreign(source)
        if source.head.startswith(parquet.MAGIC):
            chunks = parquet.read_parquet(path, source.file, gold=gold)
        else:
            skip = max(skip_bytes, preamble_bytes(source.head))
            blocks = read_blocks(source, skip_bytes=skip, is_resumed=skip_bytes > 0)
            read = read_json_lines if _is_json(source) else read_csv
            chunks = read(path, blocks, gold=gold)
        yield from chunks if skip_bytes else _refuse_hopeless(source, chunks, gold=gold)
        if expected is not None:
            is_parquet = source.head.startswith(parquet.MAGIC)
            sha256 = fingerprint(path).sha256 if is_parquet else source.sha256
            if sha256 != expected.sha256:
                raise NotReadyError(f"{path} changed while it was read; it is read again once it is left alone.")


def _content(source: Source) -> bytes:
    return source.head.removeprefix(b"\xef\xbb\xbf").lstrip()


def _is_json(source: Source) -> bool:
    name = source.path.name.lower().removesuffix(".gz").removesuffix(".zst")
    return name.endswith((".ndjson", ".jsonl")) or _content(source).startswith(b"{")


def _refuse_foreign(source: Source) -> None:
    if not _content(source):
        raise NotReadyError(f"{source.path} is empty; it is read once something stands in it.")
    for magic, kind in _FOREIGN_MAGIC.items():
        if source.head.startswith(magic):
            raise InputError(f"{source.path} is {kind}. {_EXPECTED}")


def _refuse_hopeless(source: Source, chunks: Iterator[Chunk], *, gold: bool) -> Iterator[Chunk]:
    """Hold chunks back until the first record, so that a file that has none near its start leaves nothing behind."""
    held: list[Chunk] = []
    count_rejected = 0
    is_foreign = True
    for chunk in chunks:
        held.append(chunk)
        if len(chunk.records):
            before = chunk.rejects["line_number"].search_sorted(chunk.records["line_number"][0])
            count_rejected += int(before)
            if count_rejected >= _COUNT_HOPELESS:
                raise _hopeless(source, held, gold=gold)
            yield from held
            yield from chunks
            return
        count_rejected += len(chunk.rejects)
        is_foreign = is_foreign and chunk.rejects["reason"].is_in(list(reject_reasons.FOREIGN)).all()
        if count_rejected >= _COUNT_HOPELESS:
            raise _hopeless(source, held, gold=gold)
    if count_rejected and is_foreign:
        raise _hopeless(source, held, gold=gold)
    yield from held


def _hopeless(source: Source, held: list[Chunk], *, gold: bool) -> InputError:
    """What the first lines have in common, in a sentence."""
    rejects = held[0].rejects
    reason = rejects["reason"][0]
    first_line = decode(rejects["raw_line"][0][:500])
    sentence = reject_reasons.SENTENCES[reason]
    if reason == reject_reasons.WRONG_COLUMN_COUNT:
        names = [name.strip()[:40] for name in split_record(first_line) or [first_line]]
        sentence = f"Its first line has {len(names)} columns ({', '.join(names[:12])})."
    required = " and ".join(required_columns(gold=gold))
    return InputError(
        f"{source.path} is not a file of tweets that can be read: none of its first lines can be taken, the first for "
        f"{reason}. {sentence} {_EXPECTED}" + (f" Hand-labelled files need {required}." if gold else "")
    )
