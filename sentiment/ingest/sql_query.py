"""Tweets from another database: the user's own query, from where the last run of it ended, by the same rules as a file.

Rows stream in pieces into a file of JSON lines in the home, which is then ingested and removed: so nothing is loaded by
halves, what cannot be loaded is kept in `rejected_rows` as the line that it became, and memory stays that of a piece. The
query is passed on as it is; `:watermark` in it is bound to the greatest value that the watermark column had so far, null
the first time. That value is written to `source_watermarks` with the rows, so it moves with them or not at all.

Most of the time goes into writing and reading the JSON lines, which is what makes it as safe as a file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Engine, text

from sentiment.database_url import check_address, open_database
from sentiment.errors import InputError, UnsureError
from sentiment.ingest.load import IngestReport, Instructions, Watermark, ingest_file
from sentiment.ingest.mapping.reading import ReadingOptions
from sentiment.settings import Home
from sentiment.warehouse.connection import writer
from sentiment.warehouse.locks import operation_lock

PIECE_ROWS = 10_000
PARAMETER = "watermark"
COLUMNS = {
    "text": "text",
    "label": "label",
    "id": "tweet_id",
    "date": "posted_at",
    "user": "user_name",
    "query": "query",
}
_KINDS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "str": str,
    "Decimal": Decimal,
    "float": float,
}
EXAMPLE = (
    '--query "select id as tweet_id, body as text, created_at as posted_at from posts '
    "where created_at > coalesce(cast(:watermark as timestamptz), '-infinity')\""
)


@dataclass(frozen=True)
class SourceQuery:
    """What to read from another database.

    Attributes:
        address: SQLAlchemy URL without a password.
        text: a query that gives `tweet_id`, `text` and optionally `posted_at`, `user_name`, `query`, `label`; other columns are
            left out.
        watermark: the column by which rows grow; the query then holds `:watermark`.
    """

    address: str
    text: str
    watermark: str | None = None


def ingest_query(
    home: Home,
    query: SourceQuery,
    *,
    gold_set: str | None = None,
    label_by_emoticon: bool = False,
    reading: ReadingOptions = ReadingOptions(),
    on_progress: Callable[[int], None] | None = None,
) -> IngestReport:
    """Load what a query gives.

    Args:
        on_progress: called with the number of rows loaded so far.

    Raises:
        InputError: the address, the query or its columns are not what is expected.
        DatabaseError: the database cannot be reached, or refuses the query.
    """
    url = check_address(query.address)
    _check_parameters(query.text, query.watermark)
    key = hashlib.sha256(f"{url} {query.text} {query.watermark}".encode()).hexdigest()[:12]
    name = f"{url} query {key}"
    spool = home.work / f"source-{key}.ndjson"
    with operation_lock(home, f"source-{key}"):
        since = _read_watermark(home, key) if query.watermark else None
        try:
            with open_database(query.address) as engine:
                count, reached, columns = _spool(engine, query, since, spool, gold=gold_set is not None)
            if not count:
                return IngestReport(name, "unchanged", note="the query gives no rows that are new")
            mark = _watermark(key, str(url), reached) if query.watermark and reached is not None else None
            try:
                report = ingest_file(
                    home,
                    spool,
                    gold_set=gold_set,
                    label_by_emoticon=label_by_emoticon,
                    instructions=Instructions(_named(columns).over(reading), name, watermark=mark),
                    on_progress=on_progress,
                )
            except UnsureError as error:
                raise UnsureError(str(error).replace(str(spool), "What the query gives"), error.questions) from error
            except InputError as error:
                raise type(error)(str(error).replace(str(spool), "What the query gives")) from error
        finally:
            spool.unlink(missing_ok=True)
    return replace(report, path=name)


def _named(columns: list[str]) -> ReadingOptions:
    """The columns of a query are what they are named."""
    return ReadingOptions(columns=",".join(f"{role}={name}" for role, name in COLUMNS.items() if name in columns))


def _check_parameters(query: str, watermark: str | None) -> None:
    names = set(text(query).compile().params)
    if unknown := sorted(names - {PARAMETER}):
        raise InputError(f"The query has the parameter :{unknown[0]}; the only one that is filled in is :{PARAMETER}.")
    if watermark is None and names:
        raise InputError(
            "The query holds :watermark. Name the column whose greatest value it takes: --watermark COLUMN"
        )
    if watermark is not None and not names:
        raise InputError(
            f"With --watermark {watermark} the query has to hold :watermark, or each run reads everything again. Such as: "
            f"{EXAMPLE}"
        )


def _spool(engine: Engine, query: SourceQuery, since: Any, spool: Path, *, gold: bool) -> tuple[int, Any, list[str]]:
    """Write the query's rows as JSON lines; how many they are, the greatest watermark among them, and their columns."""
    count, reached, watermark = 0, since, query.watermark
    with engine.connect() as connection, spool.open("wb") as file:
        streamed = connection.execution_options(stream_results=True, max_row_buffer=PIECE_ROWS)
        result = streamed.execute(text(query.text), {PARAMETER: since} if watermark else {})
        if not result.returns_rows:
            raise InputError(f"The query gives no rows at all. Expected is one such as: {EXAMPLE}")
        names = list(result.keys())
        expected = [*(("label", "text") if gold else ("tweet_id", "text")), *([watermark] if watermark else [])]
        if missing := [name for name in expected if name not in names]:
            raise InputError(
                f"The query gives no column {' and '.join(missing)}: it gives {', '.join(names)}. Name columns with `as`, such "
                f"as: {EXAMPLE}"
            )
        place = names.index(watermark) if watermark else None
        for piece in result.partitions(PIECE_ROWS):
            for row in piece:
                file.write(_line(dict(zip(names, row, strict=True))))
            if place is not None:
                known = [row[place] for row in piece if row[place] is not None]
                reached = max([*known, *([] if reached is None else [reached])], default=None)
            count += len(piece)
    return count, reached, names


def _line(row: dict[str, Any]) -> bytes:
    plain = {name: _plain(value) for name, value in row.items()}
    try:
        return orjson.dumps(plain, default=str, option=orjson.OPT_NAIVE_UTC | orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        # Numbers beyond 64 bits, and strings that are no Unicode: kept as they are, and rejected by the reader if need be.
        return json.dumps(plain, default=str).encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", errors="surrogateescape")
    return value


def _watermark(key: str, address: str, value: Any) -> Watermark:
    kind = type(value).__name__
    if kind not in _KINDS:
        raise InputError(
            f"The watermark column holds {kind}; expected are numbers, times or strings, which have an order."
        )
    return Watermark(key, address, kind, value.isoformat() if isinstance(value, date) else str(value))


def _read_watermark(home: Home, key: str) -> Any:
    with writer(home) as warehouse:
        found = warehouse.run("steps/ingest/select_watermark", source_key=key).fetchone()
    return None if found is None else _KINDS[found[0]](found[1])
