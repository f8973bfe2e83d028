"""Which files are read, which are refused, which are left for later; and how a file is recognised."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment.errors import InputError, NotReadyError, RefusedFileError
from sentiment.ingest.plan import read_chunks
from sentiment.ingest.readers.batch import Batch
from sentiment.ingest.readers.byte_stream import Fingerprint, fingerprint
from sentiment.ingest.readers.files import read_batches
from sentiment.ingest.readers.form import find_form

GOOD = b'"4","1","Mon Apr 06 22:19:45 PDT 2009","NO_QUERY","ann","hello"\n'
BAD = b'"4","1","NO_QUERY","ann","hello"\n'


def write(folder: Path, data: bytes, name: str = "tweets.csv") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def line_numbers(path: Path, **options: Any) -> list[int]:
    return [number for batch in batches(path, **options) for number in batch.line_numbers.tolist()]


def batches(path: Path, **options: Any) -> list[Batch]:
    return list(read_batches(path, find_form(path), **options))


class TestCompression:
    @pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
    def test_a_compressed_file_is_the_same_file_whatever_its_name(
        self, tmp_path: Path, compress: Callable[[bytes], bytes]
    ) -> None:
        path = write(tmp_path, compress(GOOD * 3))
        assert line_numbers(path) == [1, 2, 3]
        assert fingerprint(path) == fingerprint(write(tmp_path, GOOD * 3, "plain.csv"))

    @pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
    def test_files_appended_to_each_other_are_one(self, tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
        path = write(tmp_path, compress(GOOD) + compress(GOOD * 2))
        assert line_numbers(path) == [1, 2, 3]

    @pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
    @pytest.mark.parametrize("count_kept", [5, 12, -1])
    def test_a_file_cut_off_is_left_for_later(
        self, tmp_path: Path, compress: Callable[[bytes], bytes], count_kept: int
    ) -> None:
        path = write(tmp_path, compress(GOOD * 3)[:count_kept])
        with pytest.raises(NotReadyError, match="ends in the middle of its"):
            fingerprint(path)
        with pytest.raises(NotReadyError, match="ends in the middle of its"):
            line_numbers(path)

    def test_a_damaged_file_is_refused(self, tmp_path: Path) -> None:
        damaged = bytearray(gzip.compress(GOOD * 3))
        damaged[-6] ^= 255
        with pytest.raises(InputError, match="cannot be decompressed"):
            line_numbers(write(tmp_path, bytes(damaged)))

    def test_blocks_stay_small_however_well_the_file_is_compressed(self, tmp_path: Path) -> None:
        path = write(tmp_path, zstandard.compress(GOOD * 1_000_000))
        largest = max(map(len, batches(path, block_bytes=1 << 16)))
        assert largest * len(GOOD) < 16 << 20


class TestFingerprint:
    @settings(deadline=None)
    @given(st.binary(min_size=4, max_size=200), st.sets(st.integers(0, 220)))
    def test_prefixes_are_hashes_of_the_first_bytes(
        self, tmp_path_factory: pytest.TempPathFactory, data: bytes, sizes: set[int]
    ) -> None:
        data = b"x" + data
        path = write(tmp_path_factory.getbasetemp(), data)
        assert fingerprint(path, tuple(sizes)) == Fingerprint(
            hashlib.sha256(data).hexdigest(),
            len(data),
            {size: hashlib.sha256(data[:size]).hexdigest() for size in sizes if size <= len(data)},
        )

    def test_a_file_that_changed_before_it_was_read_is_left_for_later(self, tmp_path: Path) -> None:
        path = write(tmp_path, GOOD)
        found = fingerprint(path)
        assert line_numbers(path, expected=found) == [1]
        write(tmp_path, GOOD * 2)
        with pytest.raises(NotReadyError, match="changed while it was read"):
            line_numbers(path, expected=found)


class TestGrowth:
    def test_lines_count_from_the_start_of_the_file_a_header_included(self, tmp_path: Path) -> None:
        old = b"target,ids,date,flag,user,text\n" + GOOD * 2
        assert line_numbers(write(tmp_path, old)) == [2, 3]
        assert line_numbers(write(tmp_path, old + GOOD * 2), skip_bytes=len(old)) == [4, 5]

    @pytest.mark.parametrize("line_break", [b"\n", b"\r\n"])
    @pytest.mark.parametrize("block_bytes", [1, 3, 1000])
    def test_a_line_break_that_was_missing_then_makes_no_blank_line(
        self, tmp_path: Path, line_break: bytes, block_bytes: int
    ) -> None:
        old = GOOD.rstrip()
        assert line_numbers(write(tmp_path, old)) == [1]
        path = write(tmp_path, old + line_break + GOOD * 2)
        assert line_numbers(path, skip_bytes=len(old), block_bytes=block_bytes) == [2, 3]
        assert sum(map(len, batches(path, skip_bytes=len(old), block_bytes=block_bytes))) == 2

    def test_a_last_line_that_has_grown_refuses_the_file(self, tmp_path: Path) -> None:
        old = b"0,1,,,ann,hel"
        path = write(tmp_path, GOOD * 2 + old + b"lo\n")
        with pytest.raises(RefusedFileError, match=r"Line 3 was the last one .* has grown since"):
            line_numbers(path, skip_bytes=len(GOOD * 2 + old))

    def test_a_blank_line_that_came_later_is_a_line(self, tmp_path: Path) -> None:
        (batch,) = batches(write(tmp_path, GOOD + b"\n" + GOOD), skip_bytes=len(GOOD))
        assert batch.unreadable == [(2, "wrong_column_count")]

    def test_a_file_that_did_not_grow_gives_nothing(self, tmp_path: Path) -> None:
        assert batches(write(tmp_path, GOOD), skip_bytes=len(GOOD)) == []


class TestTornLines:
    def test_a_last_line_that_is_complete_without_its_line_break_is_taken(self, tmp_path: Path) -> None:
        assert line_numbers(write(tmp_path, GOOD * 2 + GOOD.rstrip())) == [1, 2, 3]

    def test_a_last_line_without_quotes_is_taken_if_it_is_whole(self, tmp_path: Path) -> None:
        assert line_numbers(write(tmp_path, GOOD * 2 + b"0,1,,,ann,hel")) == [1, 2, 3]

    @pytest.mark.parametrize(
        "torn", [GOOD[:-3], GOOD[:20], b'"0","1"', b"\0" * 100, b'"0","1","","","ann","say ""hi""']
    )
    def test_a_torn_last_line_leaves_the_file_for_later(self, tmp_path: Path, torn: bytes) -> None:
        with pytest.raises(
            NotReadyError, match=r"line 3, the last, ends without a line break.*end it with a line break"
        ):
            line_numbers(write(tmp_path, GOOD * 2 + torn))


class TestRefusedFiles:
    @pytest.mark.parametrize(
        ("data", "sentence"),
        [
            (b"%PDF-1.7 ...", "is a PDF document"),
            (b"\x89PNG\r\n\x1a\n", "is a PNG image"),
            (b'[{"tweet_id": 1}]', "No column looks like a text; the file has tweet_id"),
            (gzip.compress(gzip.compress(GOOD)), "compressed twice"),
            (b"id,label\n1,a\n2,b\n", r"No column looks like a text; the file has id, label"),
            (b"\x7fELF\0\0\0\n\0\0\0\n", "nul_bytes"),
            (b"Dear reader,\nthis is prose.\n", r"one column and no header: each line may be a post"),
            (b"<!DOCTYPE html>\n<html>", "is a web page"),
        ],
    )
    def test_another_format_is_named(self, tmp_path: Path, data: bytes, sentence: str) -> None:
        with pytest.raises(InputError, match=sentence) as caught:
            list(read_chunks(write(tmp_path, data)))
        assert not isinstance(caught.value, NotReadyError)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="There is no file"):
            line_numbers(tmp_path / "nothing.csv")
        with pytest.raises(InputError, match="There is no file"):
            fingerprint(tmp_path / "nothing.csv")

    def test_a_directory(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="is a directory; give the files in it"):
            line_numbers(tmp_path)

    @pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", b"\n", gzip.compress(b"", mtime=0)])
    def test_an_empty_file_is_left_for_later(self, tmp_path: Path, data: bytes) -> None:
        with pytest.raises(NotReadyError, match="is empty"):
            line_numbers(write(tmp_path, data))

    def test_a_header_alone_is_a_file_without_tweets(self, tmp_path: Path) -> None:
        assert line_numbers(write(tmp_path, b"target,ids,date,flag,user,text\n")) == []

    def test_rejects_later_in_a_file_do_not_refuse_it(self, tmp_path: Path) -> None:
        path = write(tmp_path, GOOD * 400 + BAD * 300)
        assert sum(len(batch.unreadable) for batch in batches(path)) == 300
