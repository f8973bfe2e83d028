"""What Prometheus is told, in a registry of its own for each application."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sentiment.api.champion_watcher import ChampionFollower

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
TEXTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)


class Metrics:
    """Counters of one application."""

    def __init__(self, follower: ChampionFollower, count_waiting_texts: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Counter(
            "sentiment_requests_total",
            "Requests answered.",
            ["path", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "sentiment_request_seconds",
            "Seconds from a request's head to the end of its answer.",
            ["path"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.texts = Counter(
            "sentiment_texts_total", "Texts predicted.", ["label", "model_version"], registry=self.registry
        )
        self.batch = Histogram(
            "sentiment_texts_per_prediction",
            "Texts of one or more requests that were predicted together.",
            buckets=TEXTS,
            registry=self.registry,
        )
        Gauge("sentiment_waiting_texts", "Texts that wait to be predicted.", registry=self.registry).set_function(
            count_waiting_texts
        )
        Gauge(
            "sentiment_model_version", "The version that answers; 0 when there is none.", registry=self.registry
        ).set_function(lambda: served.version.model_version if (served := follower.now.served) else 0)
        Gauge(
            "sentiment_champion_version", "The version that is champion; 0 when there is none.", registry=self.registry
        ).set_function(lambda: follower.now.champion_version or 0)
        self._of_requests = functools.cache(self.requests.labels)
        self._of_seconds = functools.cache(self.seconds.labels)

    def note_request(self, path: str, status: int, seconds: float) -> None:
        """Count a request that was answered; `path` is that of a route, so there are few."""
        self._of_requests(path, status).inc()
        self._of_seconds(path).observe(seconds)


class Measured:
    """ASGI middleware: counts and times every request, by the path of its route and not by what strangers ask for."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, note)
        finally:
            route = scope.get("route")
            self.metrics.note_request(route.path if route is not None else "other", status, time.perf_counter() - began)
