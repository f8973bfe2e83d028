"""What the pages show, that it is what SQL says, and that nothing in the data becomes more than text."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser

import httpx
import pytest
from fastapi import FastAPI

from sentiment.desk.pages import STATIC
from sentiment.desk.questions import CHARTS, read_questions
from sentiment.settings import Home
from sentiment.warehouse.query import query
from tests.api.conftest import listening
from tests.desk.conftest import FILE, HOSTILE

PAGES = (
    "/",
    "/?unit=week",
    "/?from=2009-04-07&until=2009-05-10",
    "/topics?days=28&until=2009-05-10",
    "/topics?kind=hashtags&label=negative&word=%23fail",
    "/tweets",
    "/tweets?q=glad",
    "/tweets/0",
    "/tweets/1",
    "/models",
    "/status",
    "/questions",
    "/try",
    "/try?text=%3Cscript%3Ealert(1)%3C/script%3E%20glad1",
    "/docs",
    *(f"/questions/{name}" for name in read_questions()),
)


class Elements(HTMLParser):
    """The elements of a page, and the addresses that it loads or leads to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_safe_and_loads_nothing_from_elsewhere(desk: httpx.Client, path: str) -> None:
    answer = desk.get(path)
    assert answer.status_code == 200, answer.text[:500]
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for tag, attributes in Elements(answer.text).tags:
        assert tag not in ("img", "iframe", "object", "style", "b") or not attributes, (tag, attributes)
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
        if tag == "script":
            assert str(attributes.get("src")).startswith("/static/") or attributes["type"] == "application/json"
        for name in ("href", "src", "action"):
            value = str(attributes.get(name) or "/")
            assert value.startswith(("/", "#", "data:,")), (tag, name, value)
            assert not value.startswith("//"), value


def test_hostile_texts_names_and_files_are_shown_as_they_are(desk: httpx.Client) -> None:
    escaped = HOSTILE.replace("<", "&lt;").replace(">", "&gt;")
    page = desk.get("/tweets").text
    assert escaped in page
    assert "@&lt;b&gt;eve&lt;/b&gt;" in desk.get("/tweets?sort=oldest").text
    assert FILE.replace("<", "&lt;").replace(">", "&gt;") in desk.get("/status").text
    data = re.findall(r'<script type="application/json">(.*?)</script>', page, flags=re.DOTALL)
    assert data
    assert all(json.loads(part)["rows"] for part in data)


def test_links_of_every_page_lead_somewhere(desk: httpx.Client) -> None:
    seen, waiting = set(), ["/"]
    while waiting:
        path = waiting.pop()
        if path in seen or len(seen) > 150:
            continue
        seen.add(path)
        answer = desk.get(path)
        assert answer.status_code == 200, path
        if answer.headers["content-type"].startswith("text/html"):
            links = [str(attributes["href"]) for tag, attributes in Elements(answer.text).tags if tag == "a"]
            waiting += [link.partition("#")[0] for link in links if link.startswith("/")]
    assert {"/topics", "/models", "/status", "/docs", "/metrics"} <= seen


class TestTweets:
    @pytest.mark.parametrize(
        ("filters", "condition"),
        [
            ("", "true"),
            ("q=glad", "contains(text, 'glad')"),
            ("q=GLAD+number7", "text like '%glad%number7 %'"),
            ("q=%23fail", "contains(text, '#fail')"),
            ("q=fail", "contains(text, '#fail')"),
            ("q=bob", "contains(text, '@bob')"),
            ("q=gla", "false"),
            ("q=%22glad+day%22", "contains(text, 'glad day')"),
            ("q=it's", "contains(text, 'it''s')"),
            ("q=%3Cimg", "contains(text, '<img')"),
            ("user=ann", "user_name = 'Ann'"),
            ("user=@Ann&label=negative", "user_name = 'Ann' and label = 'negative'"),
            ("label=positive", "label = 'positive'"),
            ("given=negative", "source_label = 'negative'"),
            ("given=none", "source_label is null"),
            ("disputed=true", "label != source_label"),
            ("from=2009-04-07&until=2009-04-07", "posted_at::date = '2009-04-07'"),
            ("least=50", "probability_positive >= 0.5"),
            ("most=50", "probability_positive <= 0.5"),
        ],
    )
    def test_filters_select_what_sql_selects(
        self, desk: httpx.Client, desk_home: Home, filters: str, condition: str
    ) -> None:
        expected = query(desk_home, f"select tweet_id from scored_tweets where {condition}")["tweet_id"].to_list()
        found = desk.get(f"/tweets.json?{filters}").json()
        assert sorted(row["tweet_id"] for row in found) == sorted(expected)
        assert f"<b>{len(expected):,}</b> tweet" in desk.get(f"/tweets?{filters}").text

    @pytest.mark.parametrize(
        ("sort", "order"),
        [
            ("newest", "posted_at desc, tweet_id desc"),
            ("oldest", "posted_at, tweet_id"),
            ("negative", "probability_positive, posted_at desc, tweet_id desc"),
            ("positive", "probability_positive desc, posted_at desc, tweet_id desc"),
            ("unsure", "abs(probability_positive - 0.5), posted_at desc, tweet_id desc"),
        ],
    )
    def test_the_order_is_what_is_asked_for(self, desk: httpx.Client, desk_home: Home, sort: str, order: str) -> None:
        expected = query(desk_home, f"select tweet_id from scored_tweets order by {order}")["tweet_id"].to_list()
        assert [row["tweet_id"] for row in desk.get(f"/tweets.json?sort={sort}").json()] == expected

    def test_pages_hold_each_tweet_once(self, desk: httpx.Client) -> None:
        shown = [re.findall(r'<a href="/tweets/(\d+)">', desk.get(f"/tweets?page={page}").text) for page in (1, 2, 3)]
        assert [len(part) for part in shown] == [50, 50, 20]
        assert len({tweet for part in shown for tweet in part}) == 120

    def test_csv_holds_what_json_holds_and_no_formula(self, desk: httpx.Client) -> None:
        rows = list(csv.DictReader(io.StringIO(desk.get("/tweets.csv?q=glad").text)))
        assert {int(row["tweet_id"]) for row in rows} == {
            row["tweet_id"] for row in desk.get("/tweets.json?q=glad").json()
        }
        assert "attachment" in desk.get("/tweets.csv").headers["content-disposition"]

    @pytest.mark.parametrize(
        ("address", "problem"),
        [
            ("/tweets?from=yesterday", "from=&#39;yesterday&#39; cannot be used"),
            ("/tweets?label=angry", "label=&#39;angry&#39; cannot be used"),
            ("/tweets?page=0", "page=&#39;0&#39; cannot be used"),
            ("/?from=2010-01-01&amp;until=x".replace("&amp;", "&"), "until=&#39;x&#39; cannot be used"),
            ("/?from=2010-01-01&until=2009-01-01", "Put the earlier one first"),
            ("/topics?days=5", "days=&#39;5&#39; cannot be used"),
            ("/tweets/first", "is no tweet id"),
            ("/models/newest", "is no model version"),
        ],
    )
    def test_a_wrong_address_is_a_sentence(self, desk: httpx.Client, address: str, problem: str) -> None:
        answer = desk.get(address)
        assert answer.status_code == 422
        assert problem in answer.text

    @pytest.mark.parametrize("path", ["/tweets/99999999999", "/models/99", "/questions/why"])
    def test_what_is_not_there_is_a_sentence(self, desk: httpx.Client, path: str) -> None:
        answer = desk.get(path)
        assert answer.status_code == 404
        assert "There is no " in answer.text

    def test_a_tweet_is_explained_by_the_version_that_answers(self, desk: httpx.Client) -> None:
        page = desk.get("/tweets/1").text
        assert re.search(r'<span class="(up|down)\d">glad <small>', page)
        assert "Version 7</a>" in page


def test_the_overview_counts_what_is_published(desk: httpx.Client) -> None:
    page = desk.get("/").text
    assert "<b>120</b> tweets" in page
    assert "<b>66.7\N{NO-BREAK SPACE}%</b> predicted positive" in page


def test_a_topic_rises_where_its_share_does(desk: httpx.Client) -> None:
    page = desk.get("/topics?days=1&until=2009-04-07&kind=words").text
    rising = page.partition("<h2>Rising</h2>")[2].partition("<h2>Falling</h2>")[0]
    assert ">glad</a>" in rising
    assert ">fail</a>" not in rising


def test_without_earlier_tweets_no_topic_rose(desk: httpx.Client) -> None:
    page = desk.get("/topics?days=28&until=2009-04-10").text
    assert page.count("too few tweets of these days, or of the days before them") == 2


def test_a_day_leads_to_what_was_written_about_more_than_usual(desk: httpx.Client) -> None:
    page = desk.get("/tweets?from=2009-05-10&until=2009-05-10&label=positive").text
    assert '<a href="/topics?until=2009-05-10&amp;days=1&amp;label=positive">What rose or fell on this day</a>' in page


def test_every_question_that_is_drawn_exists() -> None:
    assert set(CHARTS) <= set(read_questions())
    assert all(question.title.endswith("?") and question.sql for question in read_questions().values())


def test_a_home_without_a_snapshot_says_how_to_start(make_desk: Callable[..., FastAPI], home: Home) -> None:
    with listening(make_desk(home)) as client:
        answer = client.get("/")
    assert answer.status_code == 503
    assert "Start with `sentiment ingest PATH`" in answer.text


def test_vendored_files_come_with_their_licence_and_stay_small() -> None:
    for name in ("d3", "plot"):
        assert "Permission to use" in (STATIC / f"{name}.LICENSE.txt").read_text()
        assert list(STATIC.glob(f"{name}-*.min.js"))
    assert all(path.stat().st_size < 800_000 for path in STATIC.iterdir())
