"""The API on a port of this machine, with a model in memory or a registry of its own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from sentiment.api.app import Service, create_app
from sentiment.api.champion_watcher import NO_CHAMPION, Followed, Served
from sentiment.model.classifier import SentimentModel
from sentiment.registry.names import RegisteredVersion
from sentiment.settings import Home, Settings


@contextmanager
def listening(app: FastAPI) -> Iterator[httpx.Client]:
    """A client of an application that listens on a free port."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=5))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        wait_until(lambda: server.started)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            yield client
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Return as soon as the condition holds; fail the test if it never does."""
    give_up_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up_at, f"did not happen within {seconds:.0f} s"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def serve_model(new_home: Callable[[], Home], lexicon_model: Callable[[int], SentimentModel]) -> Callable[..., FastAPI]:
    """Makes an application that answers with a model that knows so many words (None: no champion) and follows nobody."""

    def make(count_known: int | None = 20, **settings: object) -> FastAPI:
        app = create_app(replace(new_home(), settings=Settings(**settings)))  # type: ignore[arg-type]
        follower = service_of(app).follower
        follower.run = lambda: None  # type: ignore[method-assign]
        if count_known is None:
            follower.now = Followed(problem=NO_CHAMPION)
        else:
            model = lexicon_model(count_known)
            served = Served(RegisteredVersion(7, "run", "key"), model, {"holdout_accuracy": 0.8})
            follower.now = Followed(served, champion_version=7, problem=None)
        return app

    return make


def service_of(app: FastAPI) -> Service:
    """What the routes of an application share."""
    service: Service = app.state.service
    return service


@pytest.fixture(scope="module")
def api(serve_model: Callable[..., FastAPI]) -> Iterator[httpx.Client]:
    """A client of an API with a model, version 7."""
    with listening(serve_model()) as client:
        yield client
