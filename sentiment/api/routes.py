"""The addresses for programs: predictions, the model that gives them, daily figures, and how the process does.

`/predict` reads and writes its bodies itself (`schemas`), because that is where the time goes; it documents them with the
models that they are checked with.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from sentiment.api import schemas
from sentiment.api.limits import read_body
from sentiment.api.plain_route import PlainRoute
from sentiment.api.schemas import DailySentiment, Model, Problem, Ready, Status
from sentiment.api.service import CurrentService, service_of
from sentiment.errors import HomeError, InputError


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


predictions, model, daily, metrics, health = (APIRouter() for _ in range(5))
GUARDED = (predictions, model, daily, metrics)
OPEN = (health,)


async def predict(request: Request) -> Response:
    """Predict the texts of a body."""
    service = service_of(request)
    with service.room.taken_by(request):
        try:
            question = schemas.parse_question(await read_body(request))
        except InputError as error:
            raise HTTPException(422, str(error)) from error
        answer = await service.ask(question)
    write = schemas.many_answers if question.is_batch else schemas.one_answer
    return Response(write(answer), media_type="application/json")


predictions.add_api_route(
    "/predict",
    predict,
    methods=["POST"],
    route_class_override=PlainRoute,
    summary="Predict the sentiment of one text or many",
    response_class=Response,
    responses={
        200: {"model": schemas.OneAnswer | schemas.ManyAnswers, "description": "One answer, or one for each text."},
        **problems(408, 413, 422, 429, 503),
    },
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": schemas.PREDICT_SCHEMA}}}
    },
)


@model.get("/model", summary="The version that answers", responses=problems(503))
async def get_model(service: CurrentService) -> Model:
    """What `Model` says of the version that answers."""
    now = service.follower.now
    if (served := now.served) is None:
        raise HTTPException(503, now.problem)
    found = served.metrics
    return Model(
        model_name=service.follower.home.settings.model_name,
        model_version=served.version.model_version,
        run_id=served.version.run_id,
        loaded_at=served.loaded_at,
        champion_version=now.champion_version or served.version.model_version,
        problem=now.problem,
        has_encoder=served.model.encoders is not None or served.model.custom is not None,
        count_train_rows=int(found["fed_rows"]) if "fed_rows" in found else None,
        holdout_accuracy=found.get("holdout_accuracy"),
        holdout_accuracy_lower=found.get("holdout_accuracy_lower"),
        holdout_accuracy_upper=found.get("holdout_accuracy_upper"),
        holdout_calibration_error=found.get("holdout_calibration_error"),
    )


@daily.get(
    "/daily_sentiment",
    summary="The champion's predictions by day",
    responses=problems(422, 503),
)
async def daily_sentiment(
    service: CurrentService,
    days: Annotated[int, Query(ge=1, le=366, description="How many days back from the newest tweet.")] = 56,
) -> DailySentiment:
    """The last days with tweets."""
    try:
        return await asyncio.to_thread(service.daily.last, days)
    except HomeError as error:
        raise HTTPException(503, str(error)) from error


@health.get("/health", summary="Whether the process runs", description="")
async def get_health() -> Status:
    """It does."""
    return Status()


@health.get("/ready", summary="Whether there is a model to answer with", responses=problems(503))
async def ready(service: CurrentService) -> Ready:
    """Which version answers."""
    now = service.follower.now
    if now.served is None:
        raise HTTPException(503, now.problem)
    return Ready(model_version=now.served.version.model_version)


@metrics.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def get_metrics(service: CurrentService) -> Response:
    """All figures in Prometheus' text format."""
    return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)
