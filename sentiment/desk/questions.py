"""`/questions`: the worked examples of `sql/queries/`, each with its answer, a chart, and the SQL to copy.

An answer is kept until a table that it reads changes; the slowest takes two seconds for 1.6 million tweets.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import polars as pl
from fastapi import APIRouter, Request, Response

from sentiment.desk.pages import CurrentView, Page, address, count, moment, percent, render
from sentiment.desk.pages import day as written_day
from sentiment.desk.store import View
from sentiment.warehouse.session import SQL_FOLDER

SHOWN_ROWS = 100
router = APIRouter(route_class=Page, include_in_schema=False)


@dataclass(frozen=True)
class Question:
    """A file of `sql/queries/`: its first comment is the question and a note."""

    name: str
    title: str
    note: str
    sql: str


@dataclass(frozen=True)
class Drawn:
    """How an answer is drawn: the kind of chart, and its columns."""

    kind: str
    x: str
    y: str
    is_percent: bool = False
    most: int = 20


CHARTS = {
    "can_the_probabilities_be_believed": Drawn("line", "mean_probability", "share_positive", is_percent=True),
    "how_good_is_the_champion_by_month": Drawn("bars", "month", "accuracy", is_percent=True),
    "what_did_more_data_bring": Drawn("line", "count_train_rows", "accuracy", is_percent=True),
    "which_days_turned": Drawn("bars", "day", "change", is_percent=True),
    "which_hours_are_happiest": Drawn("bars", "hour", "share_positive", is_percent=True, most=24),
    "which_words_tell_the_classes_apart": Drawn("bars", "word", "z"),
    "who_complains_most_about_what": Drawn("bars", "hashtag", "count_negative"),
    "where_does_the_time_go": Drawn("bars", "flow", "seconds"),
    "why_were_lines_rejected": Drawn("bars", "reason", "count_lines"),
}
SHARES = ("share", "accuracy", "mean_prob", "probability", "confidence", "from_prob", "change", "lower", "upper")
LINKS: dict[str, Callable[[dict[str, Any]], str]] = {
    "tweet_id": lambda row: f"/tweets/{row['tweet_id']}",
    "hashtag": lambda row: address("/tweets", q=row["hashtag"]),
    "word": lambda row: address("/tweets", q=row["word"]),
    "user_name": lambda row: address("/tweets", user=row["user_name"]),
    "day": lambda row: address("/tweets", {"from": row["day"], "until": row["day"]}),
    "model_version": lambda row: f"/models/{row['model_version']}",
}


@functools.cache
def read_questions() -> dict[str, Question]:
    """All questions by name."""
    found = {}
    for path in sorted((SQL_FOLDER / "queries").glob("*.sql")):
        sql = path.read_text()
        comment = " ".join(line.removeprefix("--").strip() for line in sql.splitlines()[:3] if line.startswith("--"))
        title, mark, note = comment.partition("?")
        found[path.stem] = Question(path.stem, title + mark, note.strip(), sql.strip())
    return found


@router.get("/questions")
def questions(request: Request) -> Response:
    """All questions."""
    return render(request, "questions.html", questions=list(read_questions().values()))


@router.get("/questions/{name}")
def question(request: Request, view: CurrentView, name: str) -> Response:
    """One question with its answer."""
    asked = read_questions().get(name)
    if asked is None:
        return render(request, "problem.html", 404, problem=f"There is no question {name[:80]!r} in sql/queries/.")
    frame = answer(view, name)
    rows = frame.head(SHOWN_ROWS).to_dicts()
    return render(
        request,
        "question.html",
        question=asked,
        rows=rows,
        count_rows=len(frame),
        columns=frame.columns,
        numbers={name for name, kind in frame.schema.items() if kind.is_numeric() and not name.endswith("_id")},
        links=[LINKS.get(name) for name in frame.columns],
        shown=show,
        chart=draw(CHARTS.get(name), frame),
    )


def answer(view: View, name: str) -> pl.DataFrame:
    """The rows that a question selects, kept until a table that it reads changes."""
    return view.frame_once(f"queries/{name}")


def draw(drawn: Drawn | None, frame: pl.DataFrame) -> dict[str, Any] | None:
    """An answer's chart, if it has one."""
    if drawn is None or frame.is_empty():
        return None
    link = LINKS.get(drawn.x)
    rows = [
        {
            "x": str(row[drawn.x]) if drawn.kind == "bars" else row[drawn.x],
            "y": row[drawn.y],
            "href": link(row) if link else None,
        }
        for row in frame.drop_nulls([drawn.x, drawn.y]).head(drawn.most).to_dicts()
    ]
    return {"kind": drawn.kind, "percent": drawn.is_percent, "xpercent": drawn.x == "mean_probability", "rows": rows}


def show(name: str, value: Any) -> str:
    """A value as a page shows it: shares in percent, times in UTC."""
    if isinstance(value, float):
        small = f"{value:,.4g}" if abs(value) < 1000 else count(value)
        return percent(value) if name.startswith(SHARES) else small
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and name.startswith("count"):
        return count(value)
    if isinstance(value, datetime):
        return moment(value)
    return written_day(value) if isinstance(value, date) else "–" if value is None else str(value)
