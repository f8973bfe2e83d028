"""The API: one application for one home, which answers with the champion and follows it.

A FastAPI application, so that its OpenAPI document is made from what it does. `/predict` reads and writes its bodies
itself (`bodies`), because that is where the time goes; it documents them with the models that they are checked with.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from sentiment.api import schemas
from sentiment.api.batching import SMALL_CHARACTERS, SMALL_REQUEST, Answer, Lane, LaneFullError
from sentiment.api.champion_watcher import ChampionFollower, Served
from sentiment.api.cross_origin import CrossOriginProtection, answered_hosts
from sentiment.api.daily import DailyReader
from sentiment.api.limits import BEARER, KeyRequired, Room, read_body, too_busy
from sentiment.api.metrics import Measured, Metrics
from sentiment.api.page import page_and_policy
from sentiment.api.plain_route import PlainRoute
from sentiment.api.schemas import DailySentiment, Model, Problem, Ready, Status
from sentiment.errors import HomeError, InputError, NoChampionError
from sentiment.settings import Home

DESCRIPTION = """Sentiment of tweets, by the champion of this home. A promotion or rollback is followed within two seconds.

Where a key is set (`SENTIMENT_API_KEY`), send it as `Authorization: Bearer KEY`; a browser asks for it as the password."""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Documents answers that are a `Problem`."""
    means = {
        401: "The key is missing or wrong.",
        403: "The request is for another host, or a web page of another origin makes it.",
        408: "The body did not come in time.",
        413: "The body is too large.",
        422: "The request is not of the expected form.",
        429: "Too much is under way; ask again after `Retry-After` seconds.",
        503: "There is no model to answer with, or nothing to read, at the moment.",
    }
    return {status: {"model": Problem, "description": means[status]} for status in statuses}


class Service:
    """What the application's routes share."""

    def __init__(self, home: Home) -> None:
        self.follower = ChampionFollower(home)
        self.tweets = Lane("tweets", self.predict, threads=0)
        self.batches = Lane("batches", self.predict, threads=os.cpu_count() or 1)
        self.explained = Lane("explained", self.explain, threads=1)
        self.lanes = (self.tweets, self.batches, self.explained)
        self.metrics = Metrics(self.follower, lambda: sum(lane.count_waiting_texts for lane in self.lanes))
        self.room = Room()
        self.daily = DailyReader(home)

    def predict(self, texts: Sequence[str]) -> Answer:
        """Predict with the version that answers at this moment; runs in the lanes.

        Raises:
            NoChampionError: there is none.
        """
        return self._predict(self._served(), texts)

    def explain(self, texts: Sequence[str]) -> Answer:
        """Predict, and say which words pushed which way.

        Raises:
            NoChampionError: there is no version that answers.
        """
        from sentiment.model.explanation import explain

        served = self._served()
        return replace(self._predict(served, texts), explanations=[explain(served.model, text) for text in texts])

    def _served(self) -> Served:
        if self.follower.served is None:
            raise NoChampionError(self.follower.problem)
        return self.follower.served

    def _predict(self, served: Served, texts: Sequence[str]) -> Answer:
        version = served.version.model_version
        probabilities = served.model.predict_probability(texts)
        count_positive = int((probabilities >= 0.5).sum())
        self.metrics.texts.labels("positive", version).inc(count_positive)
        self.metrics.texts.labels("negative", version).inc(len(texts) - count_positive)
        self.metrics.batch.observe(len(texts))
        return Answer(version, probabilities)

    async def ask(self, question: schemas.Question) -> Answer:
        """Answer in the lane that fits.

        Raises:
            HTTPException: 429, too many texts wait; 503, there is no model.
        """
        try:
            return await self._lane(question).ask(question.texts)
        except LaneFullError:
            raise too_busy() from None
        except NoChampionError as error:
            raise HTTPException(503, str(error)) from error

    def _lane(self, question: schemas.Question) -> Lane:
        if question.is_explained:
            return self.explained
        is_small = len(question.texts) <= SMALL_REQUEST and sum(map(len, question.texts)) <= SMALL_CHARACTERS
        return self.tweets if is_small else self.batches


def create_app(home: Home, host: str = "127.0.0.1") -> FastAPI:
    """The application for a home. It starts following the champion when it starts up.

    Args:
        host: the address that it will listen on, which it may be asked by besides the names of this machine.
    """
    service = Service(home)
    follower = service.follower

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        follower.start()
        yield
        follower.stop()
        for lane in service.lanes:
            lane.close()

    app = FastAPI(
        title="Tweet sentiment",
        version="1",
        description=DESCRIPTION,
        docs_url=None,  # FastAPI's pages load their script from elsewhere.
        redoc_url=None,
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.service = service
    key = home.settings.api_key.get_secret_value() if home.settings.api_key else ""
    if key:
        app.add_middleware(KeyRequired, key=key)
    app.add_middleware(CrossOriginProtection, hosts=answered_hosts(host, home.settings.allowed_hosts))
    app.add_middleware(Measured, metrics=service.metrics)  # What is added last comes first, and counts refusals too.

    @app.exception_handler(RequestValidationError)
    async def tell(_: Request, error: RequestValidationError) -> Response:
        return JSONResponse({"detail": schemas.sentence_of(error.errors())}, 422)

    guarded = [Depends(BEARER)] if key else []
    refusals = (401, 403) if key else (403,)

    async def predict(request: Request) -> Response:
        with service.room.taken_by(request):
            try:
                question = schemas.parse_question(await read_body(request))
            except InputError as error:
                raise HTTPException(422, str(error)) from error
            answer = await service.ask(question)
        write = schemas.many_answers if question.is_batch else schemas.one_answer
        return Response(write(answer), media_type="application/json")

    app.router.add_api_route(
        "/predict",
        predict,
        methods=["POST"],
        route_class_override=PlainRoute,
        summary="Predict the sentiment of one text or many",
        dependencies=guarded,
        response_class=Response,
        responses={
            200: {"model": schemas.OneAnswer | schemas.ManyAnswers, "description": "One answer, or one for each text."},
            **problems(*refusals, 408, 413, 422, 429, 503),
        },
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/json": {"schema": schemas.PREDICT_SCHEMA}}}
        },
    )

    @app.get("/model", summary="The version that answers", dependencies=guarded, responses=problems(*refusals, 503))
    async def model() -> Model:
        served = follower.served
        if served is None:
            raise HTTPException(503, follower.problem)
        metrics = served.metrics
        return Model(
            model_name=home.settings.model_name,
            model_version=served.version.model_version,
            run_id=served.version.run_id,
            loaded_at=served.loaded_at,
            champion_version=follower.champion_version or served.version.model_version,
            problem=follower.problem,
            has_encoder=served.model.encoders is not None,
            count_train_rows=int(metrics["fed_rows"]) if "fed_rows" in metrics else None,
            holdout_accuracy=metrics.get("holdout_accuracy"),
            holdout_accuracy_lower=metrics.get("holdout_accuracy_lower"),
            holdout_accuracy_upper=metrics.get("holdout_accuracy_upper"),
            holdout_calibration_error=metrics.get("holdout_calibration_error"),
        )

    @app.get(
        "/daily_sentiment",
        summary="The champion's predictions by day",
        dependencies=guarded,
        responses=problems(*refusals, 422, 503),
    )
    async def daily_sentiment(
        days: Annotated[int, Query(ge=1, le=366, description="How many days back from the newest tweet.")] = 56,
    ) -> DailySentiment:
        try:
            return await asyncio.to_thread(service.daily.last, days)
        except HomeError as error:
            raise HTTPException(503, str(error)) from error

    @app.get("/health", summary="Whether the process runs")
    async def health() -> Status:
        return Status()

    @app.get("/ready", summary="Whether there is a model to answer with", responses=problems(503))
    async def ready() -> Ready:
        if follower.served is None:
            raise HTTPException(503, follower.problem)
        return Ready(model_version=follower.served.version.model_version)

    @app.get(
        "/metrics",
        summary="Figures for Prometheus",
        dependencies=guarded,
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **problems(*refusals)},
    )
    async def metrics() -> Response:
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    page, policy = page_and_policy(Path(__file__).with_name("page.html"))

    @app.get("/", include_in_schema=False)
    async def home_page() -> Response:
        return HTMLResponse(page, headers={"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"})

    return app
