"""How answers are written: every format holds the same rows, and what cannot be is said in a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows.cli.result_formats import SHOWN_ROWS, Form, choose_form, write_answer
from sentiment.errors import HomeError, InputError
from sentiment.settings import Home
from sentiment.warehouse.query import answer
from sentiment.warehouse.snapshot import publish

ODD = (
    "select 1 as number, null as nothing, 'a \"b\",\nc' as text, 'x\\xff'::blob as bytes, [1, 2] as list, "
    "timestamptz '2020-01-02 03:04:05+00' as at, 0.5::float as share, true as flag"
)


@pytest.fixture(scope="module")
def ask(new_home: Callable) -> Callable[[str, Form, Path | None], None]:
    home: Home = new_home()
    publish(home)

    def write(statement: str, form: Form, output: Path | None) -> None:
        with answer(home, statement) as batches:
            write_answer(batches, form, output)

    return write


Write = Callable[[str, Form, Path | None], None]


def test_csv_holds_every_type(ask: Write, tmp_path: Path) -> None:
    ask(ODD, Form.CSV, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == (
        "number,nothing,text,bytes,list,at,share,flag\n"
        '1,,"a ""b"",\nc",x\\xff,"[1, 2]",2020-01-02T03:04:05+00:00,0.5,true\n'
    )


def test_json_holds_every_type(ask: Write, tmp_path: Path) -> None:
    ask(ODD, Form.JSON, tmp_path / "a.json")
    (row,) = json.loads((tmp_path / "a.json").read_text())
    assert row == {
        "number": 1,
        "nothing": None,
        "text": 'a "b",\nc',
        "bytes": "x\\xff",
        "list": [1, 2],
        "at": "2020-01-02T03:04:05+00:00",
        "share": 0.5,
        "flag": True,
    }


def test_parquet_keeps_types(ask: Write, tmp_path: Path) -> None:
    ask(ODD, Form.PARQUET, tmp_path / "a.parquet")
    frame = pl.read_parquet(tmp_path / "a.parquet")
    assert frame.row(0, named=True)["bytes"] == b"x\xff"
    assert frame.schema["at"] == pl.Datetime("us", "UTC")


@pytest.mark.parametrize("form", [Form.CSV, Form.JSON, Form.PARQUET])
def test_an_answer_of_many_batches_is_whole_and_one_of_no_rows_is_valid(ask: Write, tmp_path: Path, form: Form) -> None:
    read: dict[Form, Callable[[Path], Any]] = {
        Form.CSV: pl.read_csv,
        Form.PARQUET: pl.read_parquet,
        Form.JSON: lambda path: json.loads(path.read_text()),
    }
    for count in (120_000, 0):
        ask(f"select i from range({count}) as t(i)", form, tmp_path / "a")
        assert len(read[form](tmp_path / "a")) == count


def test_a_table_shows_the_first_rows_and_says_how_many_there_are(
    ask: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    ask("select 'row' || i as name from range(5000) as t(i)", Form.TABLE, None)
    shown = capsys.readouterr()
    assert f"row{SHOWN_ROWS - 1}" in shown.out
    assert f"row{SHOWN_ROWS}\n" not in shown.out
    assert f"The first {SHOWN_ROWS} of 5,000 rows" in shown.err


def test_a_failed_query_leaves_no_file_and_the_old_one_as_it_was(ask: Write, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("old")
    with pytest.raises(InputError, match="The query cannot be run"):
        ask(
            "select (text || i)::integer from range(100000) as t(i), (select 'x' as text)", Form.CSV, tmp_path / "a.csv"
        )
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_file_that_cannot_be_written_is_named(ask: Write, tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="cannot be written"):
        ask("select 1", Form.CSV, tmp_path / "missing" / "a.csv")


@pytest.mark.parametrize(
    ("statement", "suggestion"),
    [
        ("select * from scored_tweet", 'Did you mean "scored_tweets"'),
        ("select * from nonsense", "Tables and views: alias_history"),
        ("select texts from tweets", '"text"'),
        ("select coutn(*) from tweets", 'Did you mean "count"'),
    ],
)
def test_a_misspelt_name_brings_the_nearest_ones(ask: Write, statement: str, suggestion: str) -> None:
    with pytest.raises(InputError) as error:
        ask(statement, Form.TABLE, None)
    assert suggestion in str(error.value)


def test_the_format_follows_from_options_and_the_ending(tmp_path: Path) -> None:
    assert choose_form(None, None, False) is Form.TABLE
    assert choose_form(None, None, True) is Form.JSON
    assert choose_form(None, Path("a.CSV"), False) is Form.CSV
    assert choose_form(Form.PARQUET, Path("a"), False) is Form.PARQUET
    for options in ((None, Path("a.txt"), False), (Form.TABLE, Path("a.csv"), False), (Form.CSV, None, True)):
        with pytest.raises(InputError):
            choose_form(*options)
