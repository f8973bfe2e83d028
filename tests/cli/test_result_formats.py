"""How answers are written: every format holds the same rows, and what cannot be is said in a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from flows.cli.options import Form
from flows.cli.result_formats import SHOWN_ROWS, choose_form, write_answer
from sentiment.errors import HomeError, InputError
from sentiment.settings import Home
from sentiment.warehouse.query import answer, query
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


NAMES = "select 1 as label, 2 as label, 3 as label_1, 4 as label"


def read_back(path: Path, form: Form) -> list[dict[str, Any]]:
    if form is Form.JSON:
        return json.loads(path.read_text())
    frame = pl.read_csv(path, infer_schema=False) if form is Form.CSV else pl.read_parquet(path)
    return frame.to_dicts()


@pytest.mark.parametrize("form", [Form.CSV, Form.JSON, Form.PARQUET])
def test_columns_of_one_name_are_all_there(ask: Write, tmp_path: Path, form: Form) -> None:
    ask(NAMES, form, tmp_path / "a")
    (row,) = read_back(tmp_path / "a", form)
    assert {name: int(value) for name, value in row.items()} == {"label": 1, "label_2": 2, "label_1": 3, "label_3": 4}


def test_a_table_and_python_show_columns_of_one_name(
    ask: Write, new_home: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    ask("select 1 as label, 2 as label", Form.TABLE, None)
    assert capsys.readouterr().out.split() == ["label", "label", "1", "1", "2"]
    home = new_home()
    publish(home)
    assert query(home, "select 1 as label, 2 as label").to_dicts() == [{"label": 1, "label_1": 2}]


@pytest.mark.parametrize("form", [Form.CSV, Form.JSON, Form.PARQUET])
def test_a_duration_comes_as_text(ask: Write, tmp_path: Path, form: Form) -> None:
    ask("select interval '2 days 03:04:05' as span, [interval '1 month'] as spans", form, tmp_path / "a")
    (row,) = read_back(tmp_path / "a", form)
    assert row["span"] == "2 days 03:04:05"
    assert row["spans"] == ('["1 month"]' if form is Form.CSV else ["1 month"])


def test_json_has_no_numbers_that_json_has_not(ask: Write, tmp_path: Path) -> None:
    ask(
        "select 'inf'::double as a, '-inf'::float as b, 'nan'::double as c, ['inf'::double, 1] as d, "
        "{'x': 'nan'::double} as e",
        Form.JSON,
        tmp_path / "a",
    )

    def refuse(name: str) -> None:
        raise AssertionError(name)

    (row,) = json.loads((tmp_path / "a").read_text(), parse_constant=refuse)
    assert row == {"a": "Infinity", "b": "-Infinity", "c": "NaN", "d": ["Infinity", 1.0], "e": {"x": "NaN"}}


def test_json_keeps_every_digit(ask: Write, tmp_path: Path) -> None:
    ask(
        "select sum(9223372036854775807) as whole, 1.5::decimal(9, 2) as exact, "
        "1234567890123456789.0123456789::decimal(38, 10) as long, map {1: 'a'} as map, {'at': date '2020-01-02'} as struct "
        "from range(3)",
        Form.JSON,
        tmp_path / "a",
    )
    (row,) = json.loads((tmp_path / "a").read_text())
    assert row == {
        "whole": 27670116110564327421,
        "exact": 1.5,
        "long": "1234567890123456789.0123456789",
        "map": {"1": "a"},
        "struct": {"at": "2020-01-02"},
    }


# Types that Arrow has not, or holds wrongly; the expected text is DuckDB's own.
AS_TEXT = ["bit", "uhugeint", "bignum", "interval", "time", "time_tz", "time_ns", "uuid"]


@pytest.mark.parametrize("form", [Form.CSV, Form.JSON, Form.PARQUET])
def test_the_ends_of_every_type_come_out_as_they_are(ask: Write, tmp_path: Path, form: Form) -> None:
    columns = ", ".join(f"{name}, {name}::varchar as expected_{name}" for name in AS_TEXT)
    ask(f"select {columns} from test_all_types()", form, tmp_path / "a")
    rows = read_back(tmp_path / "a", form)
    assert len(rows) == 3
    for row in rows:
        assert {name: row[name] for name in AS_TEXT} == {name: row[f"expected_{name}"] for name in AS_TEXT}


@pytest.mark.parametrize("form", list(Form))
def test_every_type_there_is_can_be_written(ask: Write, tmp_path: Path, form: Form) -> None:
    statement = "select * exclude (hugeint) from test_all_types()"
    ask(statement, form, None if form is Form.TABLE else tmp_path / "a")
    if form is Form.PARQUET:
        assert pq.read_metadata(tmp_path / "a").num_rows == 3
    elif form is not Form.TABLE:
        assert len(read_back(tmp_path / "a", form)) == 3


def test_a_time_without_a_zone_gets_none(ask: Write, tmp_path: Path) -> None:
    ask(
        "select timestamp '2020-01-02 03:04:05.5' as a, timestamp_ns '2020-01-02 03:04:05' as b",
        Form.CSV,
        tmp_path / "a",
    )
    assert read_back(tmp_path / "a", Form.CSV) == [{"a": "2020-01-02T03:04:05.500", "b": "2020-01-02T03:04:05"}]


@pytest.mark.parametrize("form", [Form.CSV, Form.JSON])
def test_dates_that_python_has_not_come_as_text(ask: Write, tmp_path: Path, form: Form) -> None:
    ask(
        "select 'infinity'::date as a, '-infinity'::timestamptz as b, date '12000-01-01' as c, ['infinity'::timestamp] as d",
        form,
        tmp_path / "a",
    )
    (row,) = read_back(tmp_path / "a", form)
    assert row == {"a": "infinity", "b": "-infinity", "c": "12000-01-01", "d": "[infinity]"}


@pytest.mark.parametrize("form", list(Form))
def test_a_number_too_long_for_arrow_is_refused(ask: Write, tmp_path: Path, form: Form) -> None:
    with pytest.raises(InputError, match="does not fit"):
        ask(
            "select 170141183460469231731687303715884105727::hugeint as a",
            form,
            None if form is Form.TABLE else tmp_path / "a",
        )


def test_the_order_of_an_answer_is_kept(ask: Write, tmp_path: Path) -> None:
    ask("select i from range(200000) as t(i) order by i desc", Form.CSV, tmp_path / "a")
    assert pl.read_csv(tmp_path / "a")["i"].to_list() == list(range(199_999, -1, -1))


@pytest.mark.parametrize(
    "statement", ["show tables", "describe select 1 as a", "summarize select 1 as a", "explain select 1"]
)
def test_what_is_no_select_is_answered_as_well(ask: Write, tmp_path: Path, statement: str) -> None:
    ask(statement, Form.JSON, tmp_path / "a")
    assert json.loads((tmp_path / "a").read_text())
