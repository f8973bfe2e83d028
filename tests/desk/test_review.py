"""Who gets which tweet, what becomes of an answer, and who may give one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from sentiment.desk.queue import ReviewQueue
from sentiment.desk.store import Store
from sentiment.ingest.reviews import Review
from sentiment.settings import Home
from sentiment.warehouse.snapshot import publish
from tests.api.conftest import listening
from tests.desk.conftest import KEY, first_view, score

Rows = Callable[[Home, str], list[tuple[Any, ...]]]


@pytest.fixture
def scored(home: Home, ingest_lines: Callable, tweet_line: Callable[..., bytes]) -> Home:
    """40 tweets; version 1 contradicts the source on odd ones, version 2 says positive of all."""
    ingest_lines(home, *(tweet_line(number, f"tweet number{number}", "0") for number in range(40)))
    score(home, 2, "true")
    score(home, 1, "tweet_id % 2 = 1")
    return home


@pytest.fixture
def queue(scored: Home) -> Iterator[ReviewQueue]:
    """A queue of that home, which publishes at once when it is closed."""
    found = ReviewQueue(Store(scored))
    first_view(found.store)
    yield found
    found.close()


def deal(queue: ReviewQueue, who: str, kind: str = "mixed") -> tuple[int, str]:
    claim = queue.deal(first_view(queue.store), who, kind)
    assert claim is not None
    return claim.tweet_id, claim.queue


class TestQueue:
    def test_two_people_do_not_get_the_same_tweet_and_each_keeps_theirs(self, queue: ReviewQueue) -> None:
        dealt = {who: deal(queue, who, "unsure") for who in ("ann", "bob", "cy")}
        assert len(set(dealt.values())) == 3
        assert {who: deal(queue, who, "unsure") for who in dealt} == dealt

    def test_nobody_gets_a_tweet_that_was_reviewed(self, queue: ReviewQueue) -> None:
        seen = []
        for turn in range(40):
            tweet_id, why = deal(queue, ("ann", "bob")[turn % 2])
            queue.answer(Review(tweet_id, why, "negative" if turn % 3 else None, ("ann", "bob")[turn % 2]))
            seen.append(tweet_id)
        assert sorted(seen) == list(range(40))
        assert queue.deal(first_view(queue.store), "ann", "mixed") is None
        publish(queue.store.home)
        again = ReviewQueue(Store(queue.store.home))
        assert again.deal(first_view(again.store), "ann", "mixed") is None

    def test_one_in_five_is_drawn_at_random(self, queue: ReviewQueue) -> None:
        why = []
        for _ in range(10):
            claim = deal(queue, "ann")
            queue.answer(Review(*claim, "negative", "ann"))
            why.append(claim[1])
        assert why.count("random") == 2
        assert {"unsure", "wrong_label", "disagreement"} < set(why)

    @pytest.mark.parametrize(("kind", "remainder"), [("wrong_label", 1), ("disagreement", 0)])
    def test_a_kind_holds_what_it_says(self, queue: ReviewQueue, kind: str, remainder: int) -> None:
        tweet_id, why = deal(queue, "ann", kind)
        assert (tweet_id % 2, why) == (remainder, kind)

    def test_undo_takes_back_label_and_review_and_deals_the_tweet_again(
        self, queue: ReviewQueue, rows_of: Rows
    ) -> None:
        claim = deal(queue, "ann", "unsure")
        queue.answer(Review(*claim, "positive", "ann"))
        assert rows_of(queue.store.home, "select tweet_id, label, corrected_by from corrections") == [
            (claim[0], "positive", "ann")
        ]
        assert queue.undo("ann") == Review(*claim, "positive", "ann")
        assert (
            rows_of(queue.store.home, "select tweet_id from corrections union all select tweet_id from reviews") == []
        )
        assert deal(queue, "ann", "unsure") == claim
        assert queue.undo("ann") is None

    def test_undo_of_a_skip_leaves_an_earlier_label(self, queue: ReviewQueue, rows_of: Rows) -> None:
        queue.answer(Review(4, "chosen", "positive", "ann"))
        queue.answer(Review(4, "chosen", None, "ann"))
        queue.undo("ann")
        assert rows_of(queue.store.home, "select label from corrections") == [("positive",)]
        assert rows_of(queue.store.home, "select label from reviews") == [("positive",)]


class TestAccuracy:
    def test_it_counts_random_tweets_alone(self, queue: ReviewQueue) -> None:
        for tweet_id, kind, label in (
            (1, "random", "positive"),
            (2, "random", "negative"),
            (3, "random", "negative"),
            (4, "random", "neutral"),
            (5, "random", None),
            (6, "unsure", "positive"),
        ):
            queue.answer(Review(tweet_id, kind, label, "ann"))
        publish(queue.store.home)
        (found,) = first_view(queue.store).rows("select_reviewed_accuracy")
        assert (found["count_reviewed"], found["count_right"]) == (3, 2)
        from statsmodels.stats.proportion import proportion_confint

        expected = proportion_confint(2, 3, method="wilson")
        assert (found["lower"], found["upper"]) == pytest.approx(expected, abs=1e-4)

    def test_what_the_version_learnt_from_is_left_out(self, queue: ReviewQueue, rows_of: Rows) -> None:
        home = queue.store.home
        for tweet_id in range(40):
            queue.answer(Review(tweet_id, "random", "negative", "ann"))
        rows_of(
            home,
            "insert into model_versions select 1, 'run', 'key', 10, 10, 'rule', 'd', 's', 'h', 'g', 0, '{}', 1, 1, "
            "now() + interval 1 hour",
        )
        publish(home)
        (found,) = first_view(queue.store).rows("select_reviewed_accuracy")
        (held_out,) = rows_of(home, "select count(*) from tweets where split = 'holdout'")[0]
        assert found["count_reviewed"] == held_out < 40


class TestPages:
    @pytest.fixture
    def client(self, make_desk: Callable[..., FastAPI], scored: Home) -> Iterator[httpx.Client]:
        """A browser that knows the key, as the user ann."""
        with listening(make_desk(scored, api_key=KEY)) as found:
            found.auth = httpx.BasicAuth("ann", KEY)
            yield found

    def fields(self, page: str) -> dict[str, str]:
        names = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
        return dict(reversed(names))

    def test_a_label_is_written_and_the_next_tweet_shown(
        self, client: httpx.Client, scored: Home, rows_of: Rows
    ) -> None:
        page = client.get("/review").text
        form = self.fields(page)
        answer = client.post("/review", data={**form, "do": "positive"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/review")
        following = client.get("/review").text
        assert self.fields(following)["tweet"] != form["tweet"]
        assert 'You said <span class="label positive">positive</span>' in following
        assert rows_of(scored, "select tweet_id, label, corrected_by from corrections") == [
            (int(form["tweet"]), "positive", "ann")
        ]
        client.post("/review", data={**form, "do": "undo"})
        assert rows_of(scored, "select * from corrections") == []
        assert self.fields(client.get("/review").text)["tweet"] == form["tweet"]

    def test_the_prediction_is_not_shown_before_the_answer(self, client: httpx.Client) -> None:
        card = client.get("/review").text.partition('<form method="post"')[0]
        assert "% positive" not in card
        assert 'class="label' not in card

    def test_a_name_of_ones_own_is_kept(self, client: httpx.Client, scored: Home, rows_of: Rows) -> None:
        form = self.fields(client.get("/review").text)
        assert client.post("/review", data={"token": form["token"], "name": " <b>Zoë</b> "}).status_code == 303
        page = client.get("/review").text
        assert "Labelling as &lt;b&gt;Zoë&lt;/b&gt;" in page
        client.post("/review", data={**self.fields(page), "do": "neutral"})
        assert rows_of(scored, "select corrected_by from corrections") == [("<b>Zoë</b>",)]

    def test_a_tweet_of_ones_choice_can_be_labelled(self, client: httpx.Client, scored: Home, rows_of: Rows) -> None:
        form = self.fields(client.get("/review?tweet=7").text)
        assert (form["tweet"], form["why"]) == ("7", "chosen")
        client.post("/review", data={**form, "do": "negative"})
        assert rows_of(scored, "select tweet_id, queue, label from reviews") == [(7, "chosen", "negative")]

    @pytest.mark.parametrize("token", [None, "", "wrong"])
    def test_a_form_of_another_page_is_refused(
        self, client: httpx.Client, scored: Home, rows_of: Rows, token: str | None
    ) -> None:
        form = {**self.fields(client.get("/review").text), "do": "positive"}
        form.pop("token")
        answer = client.post("/review", data=form if token is None else {**form, "token": token})
        assert answer.status_code == 403
        assert "does not come from this desk" in answer.text
        assert rows_of(scored, "select * from corrections") == []

    def test_a_page_of_another_origin_is_refused_even_with_the_token(self, client: httpx.Client) -> None:
        form = {**self.fields(client.get("/review").text), "do": "positive"}
        for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert client.post("/review", data=form, headers=headers).status_code == 403
            assert client.post("/retrain", data=form, headers=headers).status_code == 403

    @pytest.mark.parametrize(
        "changed",
        [{"do": "angry"}, {"tweet": "x"}, {"why": "mixed"}, {"why": "guess"}, {"tweet": "999"}, {"name": ""}],
    )
    def test_a_wrong_form_is_a_sentence(self, client: httpx.Client, changed: dict[str, str]) -> None:
        form = {**self.fields(client.get("/review").text), "do": "positive", **changed}
        answer = client.post("/review", data=form)
        assert answer.status_code == 422
        assert "Traceback" not in answer.text

    def test_retrain_without_a_server_says_what_to_do(self, client: httpx.Client) -> None:
        answer = client.post("/retrain", data=self.fields(client.get("/review").text))
        assert answer.status_code == 503
        assert "sentiment up" in answer.text

    def test_without_a_key_nothing_can_be_written(self, make_desk: Callable[..., FastAPI], scored: Home) -> None:
        with listening(make_desk(scored)) as client:
            page = client.get("/review")
            assert "that needs a key" in page.text
            assert "<form" not in page.text
            answer = client.post("/review", data={"do": "positive", "tweet": "1", "why": "random", "token": ""})
            assert answer.status_code == 403
            assert client.post("/retrain", data={"token": ""}).status_code == 403
