"""`/topics`: words, hashtags and mentions whose share of tweets rose or fell, and what is complained about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, BeforeValidator, Field

from sentiment.desk.filters import read_address
from sentiment.desk.pages import CurrentView, Page, address, render
from sentiment.desk.store import View

SHOWN_TOPICS = 20
DAYS_OF_TOPICS = (1, 3, 7, 14, 28)
router = APIRouter(route_class=Page, include_in_schema=False)


class TopicChoice(BaseModel, extra="ignore"):
    """What is compared: the last `days` days up to a day, with four times as many before them."""

    days: Annotated[Literal[1, 3, 7, 14, 28], BeforeValidator(int)] = 7
    kind: Literal["words", "hashtags", "mentions"] = "words"
    label: Literal["negative", "positive"] | None = None
    word: str | None = Field(default=None, max_length=100)
    last: date | None = Field(default=None, alias="until")


@dataclass(frozen=True)
class Topics:
    """Topics that changed most between two periods; the later one runs from `first` to `last`."""

    before: date
    first: date
    last: date
    rising: list[dict[str, Any]]
    falling: list[dict[str, Any]]


@router.get("/topics")
def topics(request: Request, view: CurrentView) -> Response:
    """Topics that changed."""
    choice = read_address(request, TopicChoice)
    newest = view.indexed_once("select_day_range").row(0, named=True)["last"]
    followed = view.indexed("select_word_days", word=choice.word.lower()).to_dicts() if choice.word else []
    return render(
        request,
        "topics.html",
        choice=choice,
        newest=newest,
        found=find(view, choice, newest) if newest else None,
        followed=followed,
        followed_chart=word_chart(choice.word or "", followed),
        complaints=view.indexed_once("select_complaints", kind=choice.kind, count=SHOWN_TOPICS).to_dicts(),
        chosen={"kind": choice.kind, "days": choice.days, "label": choice.label, "until": choice.last},
    )


def find(view: View, choice: TopicChoice, newest: date) -> Topics:
    """What rose and what fell; kept, since everyone asks for the same weeks."""
    last = choice.last or newest
    first = last - timedelta(days=choice.days - 1)
    before = first - timedelta(days=4 * choice.days)
    found = view.indexed_once(
        "select_topics",
        first=first,
        last=last,
        before=before,
        label=choice.label,
        kind=choice.kind,
        count=SHOWN_TOPICS,
    ).to_dicts()
    period = {"from": first, "until": last}
    for row in found:
        row["href"] = address("/tweets", period, q=row["word"], label=choice.label)
        row["href_negative"] = address("/tweets", period, q=row["word"], label="negative")
    return Topics(
        before=before,
        first=first,
        last=last,
        rising=[row for row in found if row["z"] > 0][:SHOWN_TOPICS],
        falling=[row for row in reversed(found) if row["z"] < 0][:SHOWN_TOPICS],
    )


def word_chart(word: str, days: list[dict[str, Any]]) -> dict[str, Any]:
    """In how many tweets of each day a word is, negative and positive."""
    rows = [
        {
            "x": row["day"],
            "y": row[f"count_{label}"],
            "series": label,
            "href": address("/tweets", {"from": row["day"], "until": row["day"]}, q=word, label=label),
        }
        for row in days
        for label in ("negative", "positive")
    ]
    return {"kind": "stacked", "rows": rows, "y": "tweets"}
