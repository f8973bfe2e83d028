"""NDJSON and Parquet: rows with named columns."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment.errors import NotReadyError, SentimentError, UnsureError
from sentiment.ingest.mapping.reading import ReadingOptions
from sentiment.ingest.plan import read_chunks

GOOD = b'{"tweet_id": 1, "text": "hello"}\n'
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)

# A file of which many ids are floats above 2^53 is refused as a whole.
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)
json_rows = st.dictionaries(
    st.sampled_from(["tweet_id", "text", "posted_at", "user_name", "query", "label", "lang"]), json_values
)


MEANT = ReadingOptions(
    columns="text=text,id=tweet_id,label=label,date=posted_at,user=user_name,query=query",
    labels="negative=negative,neutral=neutral,positive=positive,0=negative,2=neutral,4=positive",
)


def read(path: Path, options: ReadingOptions = ReadingOptions(), **more: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    chunks = list(read_chunks(path, options, **more))
    assert all(chunk.count_lines == len(chunk.records) + len(chunk.rejects) for chunk in chunks)
    return pl.concat([chunk.records for chunk in chunks]), pl.concat([chunk.rejects for chunk in chunks])


def refusal(path: Path) -> str | None:
    try:
        for chunk in read_chunks(path):
            assert chunk.count_lines == len(chunk.records) + len(chunk.rejects)
    except SentimentError as error:
        return str(error)
    return None


def write_lines(folder: Path, data: bytes) -> Path:
    path = folder / "tweets.ndjson"
    path.write_bytes(data)
    return path


def write_table(folder: Path, **columns: object) -> Path:
    path = folder / "tweets.parquet"
    pq.write_table(pa.table(columns), path)
    return path


class TestJsonLines:
    def test_every_column_has_its_value_and_type(self, tmp_path: Path) -> None:
        row = {
            "tweet_id": "12",
            "text": "so &lt;3\nyes",
            "posted_at": "2026-01-02T13:00:00+01:00",
            "user_name": "ann",
            "query": "q",
            "label": "negative",
            "lang": "en",
        }
        records, rejects = read(write_lines(tmp_path, orjson.dumps(row) + b"\n" + GOOD))
        assert records.drop("source", "source_id").rows() == [
            (1, 12, NOON, "ann", "q", "so <3\nyes", b"so &lt;3\nyes", "negative"),
            (2, 1, None, None, None, "hello", None, None),
        ]
        assert len(rejects) == 0

    def test_content_that_begins_with_a_brace_needs_no_name(self, tmp_path: Path) -> None:
        path = tmp_path / "tweets.txt"
        path.write_bytes(GOOD)
        assert len(read(path)[0]) == 1

    @pytest.mark.parametrize(
        ("label", "expected"), [(0, "negative"), (2, "neutral"), (4, "positive"), ("4", "positive"), (None, None)]
    )
    def test_labels_are_words_or_targets(self, tmp_path: Path, label: object, expected: str | None) -> None:
        line = orjson.dumps({"tweet_id": 1, "text": "a", "label": label})
        meant = ReadingOptions(labels="0=negative,2=neutral,4=positive")
        assert read(write_lines(tmp_path, line + b"\n"), meant)[0]["label"].to_list() == [expected]

    def test_stray_bytes_are_read_as_in_csv(self, tmp_path: Path) -> None:
        records, _ = read(write_lines(tmp_path, b'{"tweet_id": 1, "text": "caf\xe9 \\u2665"}\n'))
        assert records.select("text", "raw_text").rows() == [("café ♥", b"caf\xe9 \xe2\x99\xa5")]

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            (b"", "not_json"),
            (b"hello", "not_json"),
            (b"[1]", "not_json"),
            (b'{"tweet_id": 1, "text": "a"', "not_json"),
            (b'{"tweet_id": 1, "text": "\\ud800"}', "not_json"),
            (b'{"tweet_id": 1}', "blank_text"),
            (b'{"text": "a"}', "bad_id"),
            (b'{"tweet_id": 1, "text": 5}', "wrong_type"),
            (b'{"tweet_id": 1, "text": "a", "user_name": ["b", "c"]}', "wrong_type"),
            (b'{"tweet_id": 1, "text": "a", "label": 1}', "unknown_target"),
            (b'{"tweet_id": 1, "text": "a", "label": true}', "unknown_target"),
            (b'{"tweet_id": null, "text": "a"}', "bad_id"),
            (b'{"tweet_id": 1.5, "text": "a"}', "bad_id"),
            (b'{"tweet_id": 1, "text": "a", "posted_at": "soon"}', "bad_date"),
            (b'{"tweet_id": 1, "text": null}', "blank_text"),
            (b'{"tweet_id": 1, "text": null, "query": "\xe9"}', "blank_text"),
            (b'{"x": ' + b"[" * 20_000 + b"]" * 20_000 + b', "y": "\xe9"}', "not_json"),
            (b'{"tweet_id": 1, "text": "a\\u0000b"}', "nul_bytes"),
            (b'{"tweet_id": 1, "text": "a"}\0', "nul_bytes"),
            (b'{"tweet_id": 1, "text": "' + b"a" * 66_000 + b'"}', "overlong_line"),
        ],
    )
    def test_reason(self, tmp_path: Path, line: bytes, reason: str) -> None:
        known = b'{"tweet_id": 1, "text": "hello", "label": 4, "posted_at": "2026-01-02", "user_name": "ann", "query": "q"}\n'
        records, rejects = read(write_lines(tmp_path, known + line + b"\n" + known), MEANT)
        assert rejects.rows() == [(2, reason, line, len(line))]
        assert records["line_number"].to_list() == [1, 3]

    def test_a_last_line_without_a_line_break_is_taken_if_it_is_whole(self, tmp_path: Path) -> None:
        assert len(read(write_lines(tmp_path, GOOD + GOOD.rstrip()))[0]) == 2
        with pytest.raises(NotReadyError, match="line 2, the last"):
            read(write_lines(tmp_path, GOOD + GOOD[:-4]))

    def test_gold_needs_a_label_but_no_id(self, tmp_path: Path) -> None:
        data = b'{"text": "a", "label": 0}\n{"text": "b", "label": null}\n{"text": "c"}\n'
        records, rejects = read(write_lines(tmp_path, data), ReadingOptions(labels="0=negative"), gold=True)
        assert records.select("tweet_id", "label").rows() == [(None, "negative")]
        assert rejects["reason"].to_list() == ["unknown_target", "unknown_target"]

    @settings(deadline=None)
    @given(st.lists(json_rows, max_size=5), st.integers(1, 40))
    def test_wild_objects_end_in_the_same_rows_wherever_blocks_end(
        self, tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]], block_bytes: int
    ) -> None:
        data = GOOD + b"".join(orjson.dumps(row) + b"\n" for row in rows)
        path = write_lines(tmp_path_factory.getbasetemp(), data)
        meant = ReadingOptions(columns="text=text,id=tweet_id,label=,date=,user=,query=,title=,language=")
        whole, pieces = read(path, meant), read(path, meant, block_bytes=block_bytes)
        assert len(whole[0]) + len(whole[1]) == len(rows) + 1
        assert pieces[0].equals(whole[0])
        assert pieces[1].equals(whole[1])


class TestParquet:
    def test_every_column_has_its_value_and_type(self, tmp_path: Path) -> None:
        path = write_table(
            tmp_path,
            tweet_id=[1, 2],
            text=["so &lt;3\nyes", "b"],
            posted_at=[NOON, None],
            user_name=["ann", None],
            query=pa.array(["q", None]).dictionary_encode(),
            label=[4, None],
            lang=["en", "en"],
        )
        records, rejects = read(path)
        assert records.drop("source", "source_id").rows() == [
            (1, 1, NOON, "ann", "q", "so <3\nyes", b"so &lt;3\nyes", "positive"),
            (2, 2, None, None, None, "b", None, None),
        ]
        assert len(rejects) == 0

    @pytest.mark.parametrize(
        "posted_at",
        [
            pa.array(["2026-01-02T12:00:00Z"]),
            pa.array([NOON.replace(tzinfo=None)], pa.timestamp("ns")),
            pa.array([NOON.replace(tzinfo=None)], pa.timestamp("s")),
            pa.array([NOON], pa.timestamp("ms", "Europe/Berlin")),
        ],
    )
    def test_times_of_any_kind_are_instants(self, tmp_path: Path, posted_at: pa.Array) -> None:
        records, _ = read(write_table(tmp_path, tweet_id=["1"], text=["a"], posted_at=posted_at))
        assert records["posted_at"].to_list() == [NOON]

    def test_a_date_is_its_midnight(self, tmp_path: Path) -> None:
        records, _ = read(write_table(tmp_path, tweet_id=[1], text=["a"], posted_at=[date(2026, 1, 2)]))
        assert records["posted_at"].to_list() == [datetime(2026, 1, 2, tzinfo=UTC)]

    def test_strings_stored_as_bytes_are_decoded_as_in_csv(self, tmp_path: Path) -> None:
        records, _ = read(write_table(tmp_path, tweet_id=[1, 2], text=[b"caf\xe9", "♥".encode()]))
        assert records.select("text", "raw_text").rows() == [("café", b"caf\xe9"), ("♥", None)]

    def test_rejected_rows_are_kept_as_json(self, tmp_path: Path) -> None:
        path = write_table(
            tmp_path,
            tweet_id=["1", "x", "3", "4", "5", None],
            text=["a", "b", None, "d\0", "e" * 70_000, "f"],
            label=["positive", "neutral", "negative", None, None, "so what"],
        )
        records, rejects = read(
            path, ReadingOptions(MEANT.columns.replace(",date=posted_at,user=user_name,query=query", ""), MEANT.labels)
        )
        assert records["tweet_id"].to_list() == [1]
        assert rejects.select("line_number", "reason").rows() == [
            (2, "bad_id"),
            (3, "blank_text"),
            (4, "nul_bytes"),
            (5, "overlong_line"),
            (6, "unknown_target"),
        ]
        assert orjson.loads(rejects["raw_line"][0]) == {"tweet_id": "x", "text": "b", "label": "neutral"}
        assert rejects["count_bytes"][0] == len(rejects["raw_line"][0])

    def test_gold_needs_text_and_label_alone(self, tmp_path: Path) -> None:
        path = write_table(tmp_path, text=["a", "b"], label=["positive", "negative"])
        records, _ = read(path, gold=True)
        assert records.select("tweet_id", "text", "label").rows() == [(None, "a", "positive"), (None, "b", "negative")]

    def test_a_text_that_is_no_string_is_asked_about(self, tmp_path: Path) -> None:
        path = write_table(tmp_path, tweet_id=[1], text=[1.5])
        with pytest.raises(UnsureError, match="No column looks like a text"):
            read(path)

    def test_rows_are_numbered_through_all_batches(self, tmp_path: Path) -> None:
        count_rows = 150_000
        path = write_table(tmp_path, tweet_id=range(count_rows), text=["a"] * count_rows)
        records, _ = read(path)
        assert records["line_number"].to_list() == list(range(1, count_rows + 1))

    @pytest.mark.parametrize("count_kept", [4, 11, 40, -1])
    def test_a_file_without_its_end_is_left_for_later(self, tmp_path: Path, count_kept: int) -> None:
        path = write_table(tmp_path, tweet_id=[1], text=["a"])
        path.write_bytes(path.read_bytes()[:count_kept])
        with pytest.raises(NotReadyError, match="has no end yet"):
            read(path)

    @settings(deadline=None)
    @given(st.data())
    def test_a_damaged_file_is_refused_in_a_sentence(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        written = io.BytesIO()
        pq.write_table(pa.table({"tweet_id": [1, 2], "text": ["a", "b"]}), written)
        damaged = bytearray(written.getvalue())
        for position in data.draw(st.lists(st.integers(4, len(damaged) - 5), min_size=1, max_size=4)):
            damaged[position] = data.draw(st.integers(0, 255))
        path = tmp_path_factory.getbasetemp() / "damaged.parquet"
        path.write_bytes(bytes(damaged))
        sentence = refusal(path)
        assert sentence is None or str(path) in sentence
