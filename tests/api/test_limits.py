"""Every bound of the API, and the sentence that it is answered with."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI, Request, Response
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route

from sentiment.api import batching, limits
from sentiment.api.batching import Answer, Lane, LaneFullError
from sentiment.api.plain_route import PlainRoute
from tests.api.conftest import listening, service_of, wait_until


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "The body is not JSON"),
        (b"what a day", "The body is not JSON"),
        (b'{"text": "half', "The body is not JSON"),
        (b'{"text": "\xff"}', "The body is not JSON"),
        (b'{"text": "\\ud800"}', "The body is not JSON"),
        (b"[" * 3_000, "The body is not JSON"),
        (b"null", 'Expected a JSON object with either "text"'),
        (b"[1]", 'Expected a JSON object with either "text"'),
        (b'{"tweet": "a"}', 'Expected a JSON object with either "text"'),
        (b'{"text": "a", "texts": ["b"]}', 'Expected a JSON object with either "text"'),
        (b'{"text": 5}', "text: Input should be a valid string."),
        (b'{"text": null}', "text: Input should be a valid string."),
        (b'{"text": "a", "lang": "en"}', "lang: Extra inputs are not permitted."),
        (b'{"texts": "a"}', "texts: Input should be a valid list."),
        (b'{"texts": []}', "texts: List should have at least 1 item"),
        (b'{"texts": ["a", null, 5]}', "texts[1]: Input should be a valid string (1 more)."),
        (json.dumps({"text": "a" * 10_001}).encode(), "text: String should have at most 10000 characters."),
        (json.dumps({"texts": ["a"] * 10_001}).encode(), "texts: List should have at most 10000 items"),
    ],
)
def test_a_body_of_another_form_is_422_and_says_what_is_wrong(api: httpx.Client, body: bytes, words: str) -> None:
    answer = api.post("/predict", content=body)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(words)


def in_parts(count_bytes: int) -> Iterator[bytes]:
    """A body without a length."""
    for _ in range(0, count_bytes, 1 << 16):
        yield b" " * (1 << 16)


@pytest.mark.parametrize("content", [b" " * (limits.MAX_BODY_BYTES + 1), in_parts(limits.MAX_BODY_BYTES + 1)])
def test_a_large_body_is_413_with_and_without_a_length(api: httpx.Client, content: Any) -> None:
    answer = api.post("/predict", content=content)
    assert answer.status_code == 413
    assert answer.json()["detail"].endswith("allowed are 4,194,304 bytes. Send fewer texts at once.")
    assert api.post("/predict", json={"text": "glad1"}).status_code == 200


def test_a_body_of_the_largest_size_is_answered(api: httpx.Client) -> None:
    body = b'{"text": "glad1"}'
    assert api.post("/predict", content=body + b" " * (limits.MAX_BODY_BYTES - len(body))).status_code == 200
    assert api.post("/predict", content=iter([body[:5], body[5:]])).status_code == 200


def test_a_body_that_does_not_come_is_408(serve_model: Callable[..., FastAPI], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SECONDS_FOR_BODY", 0.2)
    app = serve_model()
    ended = threading.Event()

    def slowly() -> Iterator[bytes]:
        yield b'{"text": '
        ended.wait(10)
        yield b'"glad1"}'

    with listening(app) as api, ThreadPoolExecutor(1) as thread:
        asked = thread.submit(api.post, "/predict", content=slowly())
        wait_until(lambda: service_of(app).room.count_requests == 1)
        wait_until(lambda: service_of(app).room.count_requests == 0)
        ended.set()
        assert asked.result().status_code == 408


class TestWhenMuchIsUnderWay:
    # Large requests wait in a lane with threads, so an API can be held there and still turn others away.
    @pytest.fixture
    def held(
        self, serve_model: Callable[..., FastAPI], monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[tuple[FastAPI, threading.Event]]:
        """An API that answers nothing until the event is set."""
        app = serve_model()
        release = threading.Event()
        service = service_of(app)
        predict = service.predict

        def slowly(texts: list[str]) -> Answer:
            release.wait(20)
            return predict(texts)

        for lane in service.lanes:
            monkeypatch.setattr(lane, "_predict", slowly)
        yield app, release
        release.set()

    def check(
        self, app: FastAPI, release: threading.Event, count: int, body: dict[str, Any], count_waiting_texts: int = 0
    ) -> None:
        """`count` requests are held, the next one is turned away with 429, and the others are answered in the end."""
        room, lanes = service_of(app).room, service_of(app).lanes
        with listening(app) as api, ThreadPoolExecutor(count) as threads:
            asked = []
            for number in range(1, count + 1):
                asked.append(threads.submit(api.post, "/predict", json=body))
                wait_until(lambda number=number: room.count_requests == number)  # type: ignore[misc]
                if count_waiting_texts:
                    # Else one that waits for a thread for a moment would turn the next away.
                    waiting = len(body["texts"]) * max(0, number - (os.cpu_count() or 1))
                    wait_until(lambda waiting=waiting: sum(lane.count_waiting_texts for lane in lanes) == waiting)  # type: ignore[misc]
            assert sum(lane.count_waiting_texts for lane in lanes) >= count_waiting_texts
            answer = api.post("/predict", json=body)
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
            assert answer.json()["detail"].startswith("Too many requests are under way.")
            assert api.get("/health").status_code == 200
            release.set()
            assert [each.result().status_code for each in asked] == [200] * count
            assert (room.count_requests, room.count_bytes) == (0, 0)
            assert api.post("/predict", json=body).status_code == 200

    def test_too_many_requests_are_429(
        self, held: tuple[FastAPI, threading.Event], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "MAX_REQUESTS", 4)
        self.check(*held, 4, {"texts": ["glad1"] * 101})

    def test_too_many_bytes_are_429(
        self, held: tuple[FastAPI, threading.Event], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "MAX_BYTES_UNDER_WAY", 10_000)
        self.check(*held, 4, {"texts": ["glad1 glad2 glad3"] * 101})

    def test_too_many_waiting_texts_are_429(
        self, held: tuple[FastAPI, threading.Event], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(batching, "MAX_WAITING_TEXTS", 1_000)
        # One is with each thread, two wait.
        count = (os.cpu_count() or 1) + 2
        self.check(*held, count, {"texts": ["glad1"] * 500}, count_waiting_texts=1_000)


def paths_of(routes: Iterable[BaseRoute]) -> Iterator[str]:
    """The path of every route, also of those that are mounted or included."""
    for route in routes:
        below = getattr(getattr(route, "original_router", route), "routes", None)
        path = getattr(route, "path", "")
        yield from (path + inner for inner in paths_of(below)) if below else [path]


class TestKey:
    @pytest.fixture(scope="class")
    def guarded(self, serve_model: Callable[..., FastAPI]) -> Iterator[httpx.Client]:
        """An API that asks for a key."""
        with listening(serve_model(api_key="s3cret-ké")) as client:
            yield client

    @pytest.mark.parametrize("header", [None, "Bearer wrong", "s3cret", "Basic czNjcmV0", "Basic ?", "Bearer ké"])
    def test_without_the_key_it_is_401(self, guarded: httpx.Client, header: str | None) -> None:
        headers = {} if header is None else {"Authorization": header.encode()}
        answer = guarded.post("/predict", json={"text": "glad1"}, headers=headers)  # type: ignore[arg-type]
        assert answer.status_code == 401
        assert answer.headers.get_list("www-authenticate")[0] == "Bearer"
        assert answer.json()["detail"].endswith("Expected the header `Authorization: Bearer KEY`.")

    def test_every_route_asks_for_the_key_but_health_and_readiness(self, serve_model: Callable[..., FastAPI]) -> None:
        app = serve_model(api_key="s3cret")

        async def added_later(_: Request) -> Response:
            return Response("secret")

        app.router.add_api_route("/later", added_later, route_class_override=PlainRoute)
        app.mount("/mounted", Starlette(routes=[Route("/inside", added_later)]))
        app.router.add_route("/plain", added_later)
        paths = set(paths_of(app.routes))
        assert {"/", "/predict", "/metrics", "/openapi.json", "/later", "/mounted/inside", "/plain"} <= paths
        with listening(app) as api:
            for method in ("GET", "HEAD", "POST", "OPTIONS"):
                open_to_all = {path for path in paths if api.request(method, path).status_code != 401}
                assert open_to_all == {"/health", "/ready"}
            odd = [
                "/nowhere",
                "//health",
                "/health/",
                "/health/../metrics",
                "/health%2f..%2fmetrics",
                "/metrics?/health",
            ]
            assert {path: api.get(path).status_code for path in odd} == dict.fromkeys(odd, 401)

    @pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
    def test_with_the_key_it_is_answered(self, guarded: httpx.Client, scheme: str) -> None:
        basic = base64.b64encode("anyone:s3cret-ké".encode())
        headers = {"Authorization": b"Basic " + basic if scheme == "Basic" else "bearer s3cret-ké".encode()}
        assert guarded.post("/predict", json={"text": "glad1"}, headers=headers).status_code == 200  # type: ignore[arg-type]
        for path in ("/docs", "/metrics", "/openapi.json"):
            assert guarded.get(path, headers=headers).status_code == 200  # type: ignore[arg-type]

    def test_the_document_says_what_asks_for_it(self, guarded: httpx.Client) -> None:
        document = guarded.get("/openapi.json", headers={"Authorization": "Bearer s3cret-ké".encode()}).json()  # type: ignore[arg-type]
        for path, methods in document["paths"].items():
            for method, described in methods.items():
                assert ("security" in described) == (guarded.request(method, path).status_code == 401), path

    def test_an_empty_key_is_none(self, serve_model: Callable[..., FastAPI]) -> None:
        with listening(serve_model(api_key="")) as api:
            assert api.post("/predict", json={"text": "glad1"}).status_code == 200


def answer_of(texts: Sequence[str]) -> Answer:
    """Each text is the number that it is answered with."""
    return Answer(1, np.array([float(text) for text in texts], dtype=np.float32), np.full(len(texts), "positive"))


class TestLane:
    """What waits is predicted together, and nobody pays for another's text."""

    def test_what_arrives_while_the_model_is_busy_is_predicted_together(self) -> None:
        calls: list[int] = []
        release = threading.Event()

        def predict(texts: list[str]) -> Answer:
            calls.append(len(texts))
            release.wait(10)
            return answer_of(texts)

        async def ask() -> list[Answer]:
            lane = Lane("test", predict, threads=1)
            first = asyncio.create_task(lane.ask(["0"]))
            await asyncio.to_thread(wait_until, lambda: calls)
            others = [asyncio.create_task(lane.ask([str(number), str(-number)])) for number in range(1, 50)]
            await asyncio.sleep(0)
            release.set()
            return await asyncio.gather(first, *others)

        answers = asyncio.run(ask())
        assert calls == [1, 98]
        assert [answer.probabilities.tolist() for answer in answers[1:]] == [[n, -n] for n in range(1, 50)]

    def test_small_requests_that_arrive_together_are_predicted_together_on_the_loop(self) -> None:
        calls: list[tuple[int, int]] = []

        def predict(texts: list[str]) -> Answer:
            calls.append((len(texts), threading.get_ident()))
            return answer_of(texts)

        async def ask() -> list[Answer]:
            lane = Lane("test", predict, threads=0)
            return await asyncio.gather(*(lane.ask([str(number)]) for number in range(250)))

        answers = asyncio.run(ask())
        assert [answer.probabilities.tolist() for answer in answers] == [[number] for number in range(250)]
        assert calls == [(200, threading.get_ident()), (50, threading.get_ident())]

    @pytest.mark.parametrize("threads", [0, 1])
    def test_a_text_that_fails_fails_its_own_request_alone(self, threads: int) -> None:
        def predict(texts: list[str]) -> Answer:
            return answer_of(texts)

        async def ask() -> list[Any]:
            lane = Lane("test", predict, threads)
            return await asyncio.gather(*(lane.ask([text]) for text in ("1", "x", "3")), return_exceptions=True)

        first, second, third = asyncio.run(ask())
        assert (first.probabilities.tolist(), third.probabilities.tolist()) == ([1], [3])
        assert isinstance(second, ValueError)

    def test_one_request_may_be_larger_than_the_bound_when_nobody_waits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(batching, "MAX_WAITING_TEXTS", 3)

        async def ask() -> list[Any]:
            lane = Lane("test", lambda texts: answer_of(["0"] * len(texts)), threads=1)
            return await asyncio.gather(lane.ask(["a"] * 5), lane.ask(["b"]), return_exceptions=True)

        first, second = asyncio.run(ask())
        assert len(first.probabilities) == 5
        assert isinstance(second, LaneFullError)
