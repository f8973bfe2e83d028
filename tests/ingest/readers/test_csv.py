"""The Sentiment140 format: what a line means, whichever way it is parsed, and why a line is rejected."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment.errors import SentimentError
from sentiment.ingest.mapping.labels import PLAIN_LABELS, Scheme
from sentiment.ingest.mapping.reading import Reading, ReadingOptions
from sentiment.ingest.mapping.times import TimePlan, parse_times
from sentiment.ingest.plan import read_chunks
from sentiment.ingest.readers.delimited import DelimitedReader
from sentiment.ingest.readers.dialect import Dialect
from sentiment.ingest.readers.files import read_batches
from sentiment.ingest.readers.form import Form, find_form, numbered
from sentiment.ingest.readers.lines import Block, line_ends
from sentiment.ingest.readers.records import Chunk, RecordMaker

DATE = "Mon Apr 06 22:19:45 PDT 2009"
GOOD = f'"4","1","{DATE}","NO_QUERY","ann","hello"\n'.encode()

FORM = Form("table", dialect=Dialect(",", True, 6), names=numbered(6))
ROLES = ("label", "id", "date", "query", "user", "text")
READING = Reading(
    FORM,
    dict(zip(ROLES, FORM.names, strict=True)),
    Scheme("Sentiment140's numbers", dict(PLAIN_LABELS)),
    TimePlan(),
)

# Fields from what matters to a parser, often enough right to make whole records.
field = st.one_of(
    st.sampled_from(
        ["0", "4", "", "7", "12", DATE, "NO_QUERY", "ann", "so good", 'a "b" c', "x,y", "&lt;3", "😀", " "]
    ),
    st.text(alphabet='",ab \r\0é&;', max_size=8),
)
quoted = field.map(lambda value: '"' + value.replace('"', '""') + '"')
line = st.one_of(
    st.lists(st.one_of(quoted, field), min_size=5, max_size=7).map(",".join),
    st.tuples(st.just('"0"'), st.just('"5"'), st.just(f'"{DATE}"'), quoted, quoted, quoted).map(",".join),
    st.text(alphabet='",a\0', max_size=30),
)
raw_line = st.one_of(line.map(str.encode), line.map(lambda text: text.encode("latin-1", "replace")), st.binary())
raw_file = st.lists(raw_line, min_size=1, max_size=12).map(lambda lines: GOOD + b"\n".join(lines) + b"\n")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv") / "tweets.csv"


def chunks_of(path: Path, *, gold: bool = False, **options: Any) -> list[Chunk]:
    chunks = list(map(RecordMaker(READING, gold=gold).make, read_batches(path, FORM, **options)))
    assert all(chunk.count_lines == len(chunk.records) + len(chunk.rejects) for chunk in chunks)
    return chunks


def read(path: Path, data: bytes, **options: Any) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    path.write_bytes(data)
    return joined(chunks_of(path, **options))


def refusal(path: Path) -> str | None:
    try:
        for chunk in read_chunks(path):
            assert chunk.count_lines == len(chunk.records) + len(chunk.rejects)
    except SentimentError as error:
        return str(error)
    return None


def joined(chunks: list[Chunk]) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    return (
        pl.concat([chunk.records for chunk in chunks]),
        pl.concat([chunk.rejects for chunk in chunks]),
        sum(chunk.count_lines for chunk in chunks),
    )


def reason(path: Path, line: bytes) -> str | None:
    _, rejects, _ = read(path, GOOD + line + b"\n")
    return rejects["reason"][0] if len(rejects) else None


class TestRecords:
    def test_every_column_has_its_value_and_type(self, path: Path) -> None:
        records, rejects, count_lines = read(path, GOOD + b'"","2","","","","I &lt;3 caf\xe9 \xe2\x99\xa5"\n')
        assert records.drop("source", "source_id").rows() == [
            (1, 1, datetime(2009, 4, 7, 5, 19, 45, tzinfo=UTC), "ann", "NO_QUERY", "hello", None, "positive"),
            (2, 2, None, None, None, "I <3 café ♥", b"I &lt;3 caf\xe9 \xe2\x99\xa5", None),
        ]
        assert (len(rejects), count_lines) == (0, 2)

    @pytest.mark.parametrize(
        ("target", "label"), [("0", "negative"), ("2", "neutral"), ("4", "positive"), ("", None), ("4.0", "positive")]
    )
    def test_target(self, path: Path, target: str, label: str | None) -> None:
        records, _, _ = read(path, f'"{target}","1","","","","a"\n'.encode())
        assert records["label"].to_list() == [label]

    @pytest.mark.parametrize(
        ("date", "hour"),
        [
            ("Mon Apr 06 10:00:00 PDT 2009", 17),
            ("Mon Apr 06 10:00:00 PST 2009", 18),
            ("Mon Apr 06 10:00:00 UTC 2009", 10),
            ("Mon Apr 06 10:00:00 GMT 2009", 10),
            ("Mon Apr 06 10:00:00 +0000 2009", 10),
            ("2009-04-06T10:00:00Z", 10),
            ("2009-04-06 10:00:00+02:00", 8),
            ("2009-04-06T10:00:00", 10),
        ],
    )
    def test_dates_are_instants(self, path: Path, date: str, hour: int) -> None:
        records, _, _ = read(path, f'"0","1","{date}","","","a"\n'.encode())
        assert records["posted_at"].to_list() == [datetime(2009, 4, 6, hour, tzinfo=UTC)]

    @pytest.mark.parametrize(
        "line",
        [
            f'0,1,{DATE},NO_QUERY,ann,"so, ""good"""',
            f'"0","1","{DATE}","NO_QUERY","ann","so, ""good"""',
            f'"0",1,{DATE},"NO_QUERY",ann,"so, ""good"""\r',
        ],
    )
    def test_quotes_are_undone_however_they_were_written(self, path: Path, line: str) -> None:
        records, _, _ = read(path, line.encode() + b"\n")
        assert records.select("tweet_id", "user_name", "text").rows() == [(1, "ann", 'so, "good"')]

    def test_raw_text_is_kept_only_where_the_text_changed(self, path: Path) -> None:
        texts = [b"plain", "ünchanged".encode(), b"&amp;", b"\x93", b'""\x93""']
        records, _, _ = read(path, b"".join(b'"0","1","","","","%s"\n' % text for text in texts))
        assert records["raw_text"].to_list() == [None, None, b"&amp;", b"\x93", b'"\x93"']
        assert records["text"].to_list() == ["plain", "ünchanged", "&", "“", '"“"']

    def test_a_stray_byte_elsewhere_in_the_line_leaves_no_raw_text(self, path: Path) -> None:
        records, _, _ = read(path, b'"0","1","","","andr\xe9","plain"\n')
        assert records.select("user_name", "text", "raw_text").rows() == [("andré", "plain", None)]

    @pytest.mark.parametrize("line_break", [b"", b"\n"])
    def test_one_line_with_empty_fields_and_a_comma_in_its_text_has_six_columns(
        self, path: Path, line_break: bytes
    ) -> None:
        path.write_bytes(b'"","77777","","","","no label, but a text"' + line_break)
        (chunk,) = read_chunks(path)
        assert chunk.records.select("tweet_id", "text", "label").rows() == [(77777, "no label, but a text", None)]

    def test_quoted_texts_with_line_breaks_are_one_column(self, path: Path) -> None:
        path.write_bytes(b'"body"\n' + b'"so good,\nreally"\n"so bad"\n' * 20)
        chunks = list(read_chunks(path, ReadingOptions(columns="text=body")))
        assert [text for chunk in chunks for text in chunk.records["text"]] == ["so good,\nreally", "so bad"] * 20
        assert sum(len(chunk.rejects) for chunk in chunks) == 0

    def test_the_last_text_of_one_column_may_have_line_breaks_and_no_end_of_line(self, path: Path) -> None:
        path.write_bytes(b"review\n" + b'"so ""good"""\nplain\n"it has\ntwo lines"\n' * 9 + b'"and he\nsaid ""well"""')
        chunks = read_chunks(path, ReadingOptions(columns="text=review"))
        texts = [text for chunk in chunks for text in chunk.records["text"]]
        assert texts == ['so "good"', "plain", "it has\ntwo lines"] * 9 + ['and he\nsaid "well"']

    def test_texts_that_are_quoted_just_where_they_hold_commas_are_without_quotes(self, path: Path) -> None:
        path.write_bytes(b'review\nso good\n"so good, really"\nso bad; truly\n"so bad, really"\nso so\nwell\n')
        (chunk,) = read_chunks(path, ReadingOptions(columns="text=review"))
        assert chunk.records["text"].to_list()[1:4] == ["so good, really", "so bad; truly", "so bad, really"]

    def test_quoted_texts_with_commas_are_one_column(self, path: Path) -> None:
        path.write_bytes(b'"so good, really"\n"so bad, really"\n')
        form = find_form(path)
        assert form.dialect is not None
        assert form.dialect.count_columns == 1

    @pytest.mark.parametrize(
        "header", [b"target,ids,date,flag,user,text", b'"Polarity","id","date","query","user","text"\r']
    )
    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
    def test_a_header_is_no_line_but_has_a_number(self, path: Path, mark: bytes, header: bytes) -> None:
        path.write_bytes(mark + header + b"\n" + GOOD)
        form = find_form(path)
        assert form.has_header
        (batch,) = read_batches(path, form)
        assert batch.line_numbers.tolist() == [2]
        assert len(batch) == 1


class TestRejects:
    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            (b"", "wrong_column_count"),
            (b'"0","1","","ann","a"', "wrong_column_count"),
            (b'"0","1","","","ann","a","b"', "wrong_column_count"),
            (b'"3","1","","","ann","a"', "unknown_target"),
            (b'"positive!","1","","","ann","a"', "unknown_target"),
            (b'"0","","","","ann","a"', "bad_id"),
            (b'"0","1.5e9","","","ann","a"', "bad_id"),
            (b'"0","-1","","","ann","a"', "bad_id"),
            (b'"0","+1","","","ann","a"', "bad_id"),
            (b'"0","9223372036854775808","","","ann","a"', "bad_id"),
            (b'"0","1","yesterday","","ann","a"', "bad_date"),
            (b'"0","1","Tue Apr 06 22:19:45 PDT 2009","","ann","a"', "bad_date"),
            (b'"0","1","Mon Apr 06 22:19:45 XYZ 2009","","ann","a"', "bad_date"),
            (b'"0","1","Fri Dec 31 22:19:45 PDT 9999","","ann","a"', "bad_date"),
            (b'"0","1","","","ann",""', "blank_text"),
            (b'"0","1","","","ann"," \xc2\xa0&nbsp;"', "blank_text"),
            (b'"0","1","","","ann","a', "unterminated_quote"),
            (b'"0","1","","","ann,"a"', "unterminated_quote"),
            (b'"0","1","","","ann","so "good" it is"', "unterminated_quote"),
            (b'0","1","","","ann","a"', "unterminated_quote"),
            (b'"0","1","","","ann","a\0b"', "nul_bytes"),
            (b'"0","1","","","ann","' + b"a" * 66_000 + b'"', "overlong_line"),
        ],
    )
    def test_reason(self, path: Path, line: bytes, expected: str) -> None:
        records, rejects, count_lines = read(path, GOOD + line + b"\r\n" + GOOD)
        assert rejects.rows() == [(2, expected, line, len(line))]
        assert records["line_number"].to_list() == [1, 3]
        assert count_lines == 3

    def test_the_first_applicable_reason_is_given(self, path: Path) -> None:
        line = b'"9","x","x","","ann",""'
        expected = ["unknown_target", "bad_id", "bad_date", "blank_text"]
        repairs = [(b'"9"', b'"0"'), (b'"x"', b'"1"'), (b'"x"', b'""')]
        assert reason(path, line[:-1] + b"\0" + b"a" * 66_000) == "overlong_line"
        assert reason(path, line[:-1] + b"\0") == "nul_bytes"
        assert reason(path, line[:-1]) == "unterminated_quote"
        found = [reason(path, line)]
        for old, new in repairs:
            line = line.replace(old, new, 1)
            found.append(reason(path, line))
        assert found == expected

    def test_a_broken_quote_does_not_swallow_its_neighbours(self, path: Path) -> None:
        records, rejects, _ = read(path, GOOD + GOOD.replace(b'"hello"', b'"hello') + GOOD * 3)
        assert records["line_number"].to_list() == [1, 3, 4, 5]
        assert rejects["line_number"].to_list() == [2]

    def test_of_a_monstrous_line_the_beginning_is_kept_and_all_is_counted(self, path: Path) -> None:
        monster = b"a" * 3_000_000
        for block_bytes in (1 << 16, 1 << 23):
            records, rejects, _ = read(path, GOOD + monster + b"\n" + GOOD, block_bytes=block_bytes)
            assert rejects.rows() == [(2, "overlong_line", monster[: 1 << 20], 3_000_000)]
            assert records["line_number"].to_list() == [1, 3]

    def test_gold_needs_a_target_but_no_id(self, path: Path) -> None:
        data = b'"4","","","","","a"\n"","1","","","","b"\n"0","x","","","","c"\n'
        records, rejects, _ = read(path, data, gold=True)
        assert records.select("tweet_id", "text", "label").rows() == [(None, "a", "positive")]
        assert rejects["reason"].to_list() == ["unknown_target", "bad_id"]


class TestParsersAgree:
    @settings(deadline=None)
    @given(st.lists(line.filter(lambda text: "\n" not in text), min_size=1, max_size=8))
    def test_whole_columns_are_split_as_the_careful_parser_splits_each_line(self, path: Path, lines: list[str]) -> None:
        data = "".join(f"{text}\n" for text in lines).encode("utf-8", "replace")
        block = Block(data, line_ends(data), first_line=1)
        found = {}
        for batch in DelimitedReader(path, FORM.dialect, FORM.names).read([block]):
            found |= dict(zip(batch.line_numbers.tolist(), batch.columns.rows(), strict=True))
        for number, text in enumerate(lines, start=1):
            fields = FORM.dialect.split(text.encode("utf-8", "replace").decode().removesuffix("\r"))
            if number in found and fields is not None and len(fields) == 6:
                assert found[number] == tuple(fields)

    @settings(deadline=None)
    @given(st.lists(st.text(alphabet='",ab \r', max_size=6), min_size=2, max_size=7))
    def test_the_careful_parser_reads_what_the_standard_library_writes(self, fields: list[str]) -> None:
        written = io.StringIO()
        csv.writer(written, lineterminator="").writerow(fields)
        assert Dialect(",", True, len(fields)).split(written.getvalue()) == fields

    @settings(deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["Mon Apr 06 ", "Tue Apr 06 ", "Sun Mar 08 ", "Mon Apr 6  ", "é on Apr 0 "]),
                st.one_of(
                    st.times().map(lambda time: f"{time:%H:%M:%S}"),
                    st.sampled_from(["24:00:00", "23:59:60", "1:2:3   ", "+1:00:00"]),
                ),
                st.sampled_from([" PDT 2009", " UTC 2009", " PST 0000", "         "]),
            ).map("".join),
            max_size=4,
        )
    )
    def test_dates_mean_the_same_alone_and_among_thousands_of_the_published_form(self, wild: list[str]) -> None:
        published = [f"Tue Apr 07 00:{minute:02}:07 PDT 2009" for minute in range(60)]
        among = parse_times(pl.Series(published + wild), TimePlan())
        assert among[:60].to_list() == [datetime(2009, 4, 7, 7, minute, 7, tzinfo=UTC) for minute in range(60)]
        assert among[60:].to_list() == [parse_times(pl.Series([date]), TimePlan())[0] for date in wild]


class TestWildInput:
    @settings(deadline=None)
    @given(raw_file)
    def test_every_line_is_accounted_for(self, path: Path, data: bytes) -> None:
        records, rejects, count_lines = read(path, data)
        assert count_lines == data.count(b"\n")
        numbers = sorted(records["line_number"].to_list() + rejects["line_number"].to_list())
        assert numbers == list(range(1, count_lines + 1))

    @settings(deadline=None, max_examples=40)
    @given(raw_file, st.integers(1, 64))
    def test_block_boundaries_do_not_matter(self, path: Path, data: bytes, block_bytes: int) -> None:
        whole, pieces = read(path, data), read(path, data, block_bytes=block_bytes)
        assert pieces[0].equals(whole[0])
        assert pieces[1].equals(whole[1])
        assert pieces[2] == whole[2]

    @settings(deadline=None, max_examples=40)
    @given(raw_file, st.integers(0, 12))
    def test_a_prefix_and_the_rest_are_the_whole(self, path: Path, data: bytes, count_first: int) -> None:
        lines = [part + b"\n" for part in data.split(b"\n")[:-1]]
        prefix = b"".join(lines[: count_first + 1])
        whole, first = read(path, data), read(path, prefix)
        path.write_bytes(data)
        rest = chunks_of(path, skip_bytes=len(prefix))
        if rest:
            later = joined(rest)
            assert pl.concat([first[0], later[0]]).equals(whole[0])
            assert pl.concat([first[1], later[1]]).equals(whole[1])
        else:
            assert first[0].equals(whole[0])

    @settings(deadline=None)
    @given(st.binary(max_size=300))
    def test_arbitrary_bytes_end_in_rows_or_a_sentence(self, path: Path, data: bytes) -> None:
        path.write_bytes(data)
        sentence = refusal(path)
        assert sentence is None or str(path) in sentence

    @settings(deadline=None)
    @given(st.binary(max_size=60))
    def test_a_block_has_as_many_lines_as_line_breaks_and_one_more_if_it_is_torn(self, data: bytes) -> None:
        block = Block(data, line_ends(data), first_line=1)
        parts: Iterator[bytes] = (block.line(index) for index in range(len(block)))
        expected = data.split(b"\n") if not data.endswith(b"\n") else data.split(b"\n")[:-1]
        assert list(parts) == ([] if not data else [part.removesuffix(b"\r") for part in expected])
