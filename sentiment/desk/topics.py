"""`/topics`: words, hashtags and mentions whose share of tweets rose or fell, and what is complained about."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, ValidationError

from sentiment.desk.overview import read_span
from sentiment.desk.pages import CurrentView, Page, address, render
from sentiment.errors import InputError

SHOWN_TOPICS = 20
router = APIRouter(route_class=Page, include_in_schema=False)


class TopicChoice(BaseModel, extra="ignore"):
    """What is compared: the last `days` days up to a day, with four times as many before them."""

    days: Literal[1, 3, 7, 14, 28] = 7
    kind: Literal["words", "hashtags", "mentions"] = "words"
    label: Literal["negative", "positive"] | None = None
    word: str | None = Field(default=None, max_length=100)


def read_choice(request: Request) -> TopicChoice:
    """What an address asks for.

    Raises:
        InputError: a value cannot be used.
    """
    given: dict[str, Any] = {name: value for name, value in request.query_params.items() if value.strip()}
    if str(given.get("days", "")).isdigit():
        given["days"] = int(given["days"])
    try:
        return TopicChoice.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{first['loc'][0]}={str(first['input'])[:100]!r} cannot be used: {first['msg']}.") from error


@router.get("/topics")
def topics(request: Request, view: CurrentView) -> Response:
    """Topics that changed."""
    choice, span = read_choice(request), read_span(request)
    newest = view.index.frame("desk/select_day_range").row(0, named=True)["last"]
    last = span.last or newest
    found: list[dict[str, Any]] = []
    first = before = last
    if last is not None:
        first = last - timedelta(days=choice.days - 1)
        before = first - timedelta(days=4 * choice.days)
        found = view.indexed(
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
    rising = [row for row in found if row["z"] > 0][:SHOWN_TOPICS]
    falling = [row for row in reversed(found) if row["z"] < 0][:SHOWN_TOPICS]
    followed = view.indexed("select_word_days", word=choice.word.lower()).to_dicts() if choice.word else []
    return render(
        request,
        "topics.html",
        choice=choice,
        last=last,
        newest=newest,
        first=first,
        before=before,
        rising=rising,
        falling=falling,
        followed=followed,
        followed_chart=word_chart(choice.word or "", followed),
        complaints=view.indexed("select_complaints", kind=choice.kind, count=SHOWN_TOPICS).to_dicts(),
        chosen={"kind": choice.kind, "days": choice.days, "label": choice.label, "until": span.last},
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
