"""`/`: how positive tweets are, by day or week, who answers, what is unusual, what changed."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from sentiment.desk.filters import read_address
from sentiment.desk.pages import CurrentView, Page, address, render
from sentiment.desk.store import View
from sentiment.errors import InputError

MOST_DAYS = 120
router = APIRouter(route_class=Page, include_in_schema=False)


class Span(BaseModel, extra="ignore"):
    """A range of days, in UTC, and how they are put together."""

    unit: Literal["day", "week"] | None = None
    first: date | None = Field(default=None, alias="from")
    last: date | None = Field(default=None, alias="until")


def read_span(request: Request) -> Span:
    """The span in an address.

    Raises:
        InputError: it is no span of days.
    """
    span = read_address(request, Span)
    if span.first and span.last and span.first > span.last:
        raise InputError(f"The days run from {span.first} until {span.last}. Put the earlier one first.")
    return span


@router.get("/")
def overview(request: Request, view: CurrentView) -> Response:
    """The first page."""
    span = read_span(request)
    days = view.indexed_once("select_day_range").row(0, named=True)
    unit = span.unit or ("day" if days["count_days"] <= MOST_DAYS else "week")
    periods = view.indexed("select_periods", unit=unit, first=span.first, last=span.last).to_dicts()
    return render(
        request,
        "overview.html",
        span=span,
        unit=unit,
        days=days,
        periods=periods,
        chart=share_chart(periods, unit),
        total={name: sum(row[name] for row in periods) for name in ("count_tweets", "count_scored", "count_positive")},
        summary=summary_of(view),
    )


def share_chart(periods: list[dict[str, Any]], unit: str) -> dict[str, Any]:
    """The share of positive predictions with its interval, over the number of tweets; each point leads to its tweets."""
    length = timedelta(days=6 if unit == "week" else 0)
    rows = [
        {
            "x": row["day"],
            "y": row["share"],
            "lower": row["lower"],
            "upper": row["upper"],
            "count": row["count_tweets"],
            "href": address("/tweets", {"from": row["day"], "until": row["day"] + length}),
        }
        for row in periods
    ]
    return {"kind": "share", "unit": unit, "rows": rows}


def summary_of(view: View) -> dict[str, Any]:
    """What does not depend on the days that are shown."""
    champion = view.frame_once("steps/warehouse/select_status_champion")
    monitored = view.rows_once("select_monitored_days")
    return {
        "champion": champion.row(0, named=True) if len(champion) else None,
        "counts": view.rows_once("select_counts")[0],
        "alarms": [row for row in monitored if row["is_alarm"]],
        "monitored": monitored,
        "changes": view.rows_once("select_changes"),
    }
