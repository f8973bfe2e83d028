"""`/tweets`: search, filter, sort and export; `/tweets/ID`: one tweet, why it was predicted so, and what was said of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import orjson
import polars as pl
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from sentiment.desk.filters import ROWS_PER_PAGE, SORTS, TweetFilter, read_address
from sentiment.desk.pages import CurrentView, Page, address, render, store_of
from sentiment.desk.store import View
from sentiment.desk.topics import DAYS_OF_TOPICS
from sentiment.errors import InputError, NoChampionError

MOST_EXPORTED = 100_000
ROWS_AT_ONCE = 10_000
EXPORTED = (
    "tweet_id",
    "posted_at",
    "user_name",
    "text",
    "query",
    "source",
    "source_label",
    "label",
    "probability_positive",
)
router = APIRouter(route_class=Page, include_in_schema=False)


@router.get("/tweets")
def tweets(request: Request, view: CurrentView) -> Response:
    """A page of the tweets that match, and how they are spread."""
    chosen = read_address(request, TweetFilter)
    counts = count_matching(view, chosen)
    rows = select_matching(view, chosen, ROWS_PER_PAGE, (chosen.page - 1) * ROWS_PER_PAGE)
    people = people_say(view, [row["tweet_id"] for row in rows])
    return render(
        request,
        "tweets.html",
        chosen=chosen,
        sorts=SORTS,
        rows=rows,
        people=people,
        total=int(counts["count_tweets"].sum()),
        by_label=facet(counts, "label"),
        by_given=facet(counts, "source_label"),
        chart=day_chart(counts, chosen),
        choices=view.indexed_once("select_choices").to_dicts(),
        rows_per_page=ROWS_PER_PAGE,
        about=topics_of(chosen),
        most_exported=MOST_EXPORTED,
    )


def count_matching(view: View, chosen: TweetFilter) -> pl.DataFrame:
    """Counts by day, label and source label; kept, since another order or page leaves them as they are."""
    return view.indexed_once("count_matching", **chosen.parameters())


def select_matching(view: View, chosen: TweetFilter, count: int, skip: int) -> list[dict[str, Any]]:
    """Some of the tweets that match, in the order that is asked for."""
    frame = view.indexed("select_matching", **chosen.parameters(), sort=chosen.sort, count=count, skip=skip)
    return frame.to_dicts()


def people_say(view: View, tweet_ids: list[int]) -> dict[int, dict[str, Any]]:
    """The newest label that a person gave each of some tweets."""
    return {row["tweet_id"]: row for row in view.rows("select_corrections_of", tweet_ids=tweet_ids)}


def facet(counts: pl.DataFrame, column: str) -> list[tuple[str | None, int]]:
    """Values of a column and how many tweets have each, commonest first."""
    grouped = counts.group_by(column).agg(pl.col("count_tweets").sum()).sort("count_tweets", descending=True)
    return list(grouped.iter_rows())


def day_chart(counts: pl.DataFrame, chosen: TweetFilter) -> dict[str, Any]:
    """Matching tweets by day and label; a day leads to itself."""
    by_day = counts.drop_nulls("day").group_by("day", "label").agg(pl.col("count_tweets").sum()).sort("day", "label")
    rows = [
        {
            "x": day,
            "y": count,
            "series": label or "not scored",
            "href": address("/tweets", chosen.in_address(page=None, **{"from": day, "until": day})),
        }
        for day, label, count in by_day.iter_rows()
    ]
    return {"kind": "stacked", "rows": rows, "y": "tweets"}


def topics_of(chosen: TweetFilter) -> str:
    """The page that says what was written about more than usual on the days that are shown, if they end on one."""
    if chosen.last is None:
        return ""
    days = (chosen.last - chosen.first).days + 1 if chosen.first else DAYS_OF_TOPICS[-1]
    shown = next((number for number in DAYS_OF_TOPICS if number >= days), DAYS_OF_TOPICS[-1])
    return address("/topics", until=chosen.last, days=shown, label=chosen.label if chosen.label != "neutral" else None)


@router.get("/tweets.csv")
def export_csv(request: Request, view: CurrentView) -> Response:
    """The tweets that match, up to 100,000, as CSV."""
    chosen = read_address(request, TweetFilter)

    def lines() -> Iterator[bytes]:
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        writer.writerow(EXPORTED)
        for row in _exported(view, chosen):
            writer.writerow([_in_spreadsheet(row[name]) for name in EXPORTED])
            if buffer.tell() > 1 << 16:
                yield buffer.getvalue().encode()
                buffer.seek(0)
                buffer.truncate()
        yield buffer.getvalue().encode()

    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=_as_file("tweets.csv"))


@router.get("/tweets.json")
def export_json(request: Request, view: CurrentView) -> Response:
    """The same as a JSON array."""
    chosen = read_address(request, TweetFilter)

    def parts() -> Iterator[bytes]:
        start = b"[\n"
        for row in _exported(view, chosen):
            yield start + orjson.dumps({name: row[name] for name in EXPORTED})
            start = b",\n"
        yield b"\n]\n" if start != b"[\n" else b"[]\n"

    return StreamingResponse(parts(), media_type="application/json", headers=_as_file("tweets.json"))


def _exported(view: View, chosen: TweetFilter) -> Iterator[dict[str, Any]]:
    for skip in range(0, MOST_EXPORTED, ROWS_AT_ONCE):
        rows = select_matching(view, chosen, ROWS_AT_ONCE, skip)
        yield from rows
        if len(rows) < ROWS_AT_ONCE:
            return


def _as_file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _in_spreadsheet(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula gets an apostrophe before it (OWASP, CSV injection)."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


@router.get("/tweets/{tweet_id}")
async def tweet(request: Request, tweet_id: str) -> Response:
    """One tweet."""
    view = await run_in_threadpool(store_of(request).view)
    if not tweet_id.lstrip("-").isdigit() or abs(int(tweet_id)) >= 2**63:
        raise InputError(f"{tweet_id[:50]!r} is no tweet id. Expected a whole number.")
    rows = await run_in_threadpool(view.rows, "select_tweet", tweet_id=int(tweet_id))
    if not rows:
        return render(request, "problem.html", 404, problem=f"There is no tweet {tweet_id} in what is published.")
    words, problem = await explain(request, rows[0]["text"])
    return render(
        request,
        "tweet.html",
        tweet=rows[0],
        predictions=await run_in_threadpool(view.rows, "select_tweet_predictions", tweet_id=int(tweet_id)),
        said=(await run_in_threadpool(people_say, view, [int(tweet_id)])).get(int(tweet_id)),
        words=words,
        explanation_problem=problem,
    )


async def explain(request: Request, text: str) -> tuple[list[dict[str, Any]], str]:
    """What each word pushed, by the version that answers now, with its strength relative to the strongest; or why not."""
    try:
        answer = await request.app.state.service.explained.ask([text])
    except NoChampionError as error:
        return [], str(error)
    pushes: list[tuple[str, float]] = answer.explanations[0]
    most = max([0.5, *(abs(pushed) for _, pushed in pushes)])
    words = [{"token": token, "pushed": pushed, "strength": round(5 * abs(pushed) / most)} for token, pushed in pushes]
    return words, ""


@router.get("/try")
async def try_text(request: Request) -> Response:
    """Predict a text of one's own, with what each word pushed."""
    text = request.query_params.get("text", "")
    if len(text) > 10_000:
        raise InputError(f"The text has {len(text):,} characters; allowed are 10,000.")
    label = probability = neutral = version = None
    words: list[dict[str, Any]] = []
    problem = ""
    if text:
        words, problem = await explain(request, text)
    if text and not problem:
        answer = await request.app.state.service.tweets.ask([text])
        label, probability, version = str(answer.labels[0]), float(answer.probabilities[0]), answer.model_version
        neutral = None if answer.neutral is None else float(answer.neutral[0])
    return render(
        request,
        "try.html",
        text=text,
        label=label,
        probability=probability,
        neutral=neutral,
        version=version,
        words=words,
        explanation_problem=problem,
    )
