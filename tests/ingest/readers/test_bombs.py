"""Small files that become huge, deep or slow when they are read: refused in bounded time and memory, with a sentence."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from sentiment.errors import InputError
from sentiment.ingest.inspection import inspect_file
from sentiment.ingest.readers import byte_stream, excel, parquet
from sentiment.ingest.readers.byte_stream import fingerprint

MEBIBYTE = 1 << 20


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tweets.csv", content)
    return file.getvalue()


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, zipped])
def test_what_unpacks_without_end_is_refused_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(byte_stream, "_SMALL_UNPACKED", 4 * MEBIBYTE)
    path = tmp_path / "tweets.csv"
    path.write_bytes(pack(bytes(64 * MEBIBYTE)))
    assert path.stat().st_size < MEBIBYTE // 10
    with pytest.raises(InputError, match="becomes more than 200 times as large when it is unpacked"):
        fingerprint(path)


def test_a_column_that_repeats_one_huge_value_is_read_in_small_batches_and_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(byte_stream, "_SMALL_UNPACKED", 64 * MEBIBYTE)
    monkeypatch.setattr(parquet, "_BATCH_BYTES", 16 * MEBIBYTE)
    path = tmp_path / "tweets.parquet"
    huge = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), pa.array(["x" * MEBIBYTE]))
    pq.write_table(pa.table({"text": huge}), path, compression="zstd")
    assert path.stat().st_size < MEBIBYTE // 100
    before, sizes, taken = pa.total_allocated_bytes(), [], []

    def read() -> None:
        with path.open("rb") as file:
            for batch in parquet.read_parquet(path, file):
                sizes.append(batch.columns.estimated_size())
                taken.append(pa.total_allocated_bytes() - before)

    with pytest.raises(InputError, match="becomes more than 200 times as large"):
        read()
    assert 0 < max(sizes) <= 17 * MEBIBYTE
    assert max(taken) < 128 * MEBIBYTE


def test_a_short_value_that_repeats_is_read_in_large_batches(tmp_path: Path) -> None:
    path = tmp_path / "tweets.parquet"
    users = pl.DataFrame({"name": ["ann"] * 100_000, "seen": [True] * 100_000}).to_struct("user")
    pq.write_table(pa.table({"text": ["good morning"] * 100_000, "user": users.to_arrow()}), path)
    with path.open("rb") as file:
        batches = list(parquet.read_parquet(path, file))
    assert [len(batch.columns) for batch in batches] == [65_536, 34_464]
    assert batches[0].columns.row(0) == ("good morning", "ann", "true")


def test_ordinary_text_is_far_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_stream, "_SMALL_UNPACKED", 0)
    lines = [
        f'"4","{number}","","NO_QUERY","user{number % 97}","such a lovely day {number}"' for number in range(50_000)
    ]
    path = tmp_path / "tweets.csv.zst"
    path.write_bytes(zstandard.compress("\n".join(lines).encode(), 19))
    assert fingerprint(path).count_bytes > 2 * MEBIBYTE


def test_a_workbook_that_fills_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel, "_MOST_UNPACKED", 4 * MEBIBYTE)
    path = tmp_path / "tweets.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", bytes(5 * MEBIBYTE))
    with pytest.raises(InputError, match=r"Excel workbook of 5 MiB when it is unpacked.*Save its sheet as CSV"):
        inspect_file(path)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "content",
    [
        "[" * 3_000_000,
        '[{"text": ' + "[" * 3_000_000,
        '[{"text": "fine", "label": ' + "9" * 3_000_000 + "}]",
        '{"text": "fine", "label": ' + "9" * 3_000_000 + "}\n",
        '[{"text": "fine"}, nonsense' + " " * 3_000_000 + '{"text": "fine"}]',
        '{"a": ' * 100_000 + "1" + "}" * 100_000,
    ],
    ids=["nested", "nested inside", "digits", "digits in lines", "blanks", "objects"],
)
def test_json_that_is_deep_or_long_ends_with_an_answer_or_a_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "posts.json"
    path.write_text(content)
    try:
        answer = str(inspect_file(path).count_rows)
    except InputError as error:
        answer = str(error)
    assert answer.isdigit() or str(path) in answer
