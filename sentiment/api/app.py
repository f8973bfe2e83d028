"""The application for one home: the API for programs and the desk for people, behind the same checks.

A FastAPI application, so that its OpenAPI document is made from what it does. Who may ask is decided in middleware, before
any route: a new one cannot miss it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from sentiment import desk
from sentiment.api import routes, schemas
from sentiment.api.limits import BEARER, KeyRequired
from sentiment.api.metrics import Measured
from sentiment.api.service import Service
from sentiment.cross_origin import CrossOriginProtection, answered_hosts
from sentiment.desk.orchestration import NoOrchestration, Orchestration
from sentiment.settings import Home

DESCRIPTION = """Sentiment of tweets, by the champion of this home. A promotion or rollback is followed within two seconds.

Where a key is set (`SENTIMENT_API_KEY`), send it as `Authorization: Bearer KEY`; a browser asks for it as the password."""


def create_app(home: Home, host: str = "127.0.0.1", orchestration: Orchestration | None = None) -> FastAPI:
    """The application for a home. It starts following the champion when it starts up.

    Args:
        host: the address that it will listen on, which it may be asked by besides the names of this machine.
        orchestration: the server that runs the home's flows, if the desk may ask it.
    """
    service = Service(home)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.follower.start()
        yield
        service.close()
        app.state.queue.close()
        app.state.store.close()

    app = FastAPI(
        title="Tweet sentiment",
        version="1",
        description=DESCRIPTION,
        docs_url=None,  # FastAPI's pages load their script from elsewhere.
        redoc_url=None,
        lifespan=lifespan,
        exception_handlers={RequestValidationError: tell_what_is_wrong},
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.service = service
    key = home.settings.api_key.get_secret_value() if home.settings.api_key else ""
    if key:
        app.add_middleware(KeyRequired, key=key)
    app.add_middleware(CrossOriginProtection, hosts=answered_hosts(host, home.settings.allowed_hosts))
    app.add_middleware(Measured, metrics=service.metrics)  # What is added last comes first, and counts refusals too.
    for router in routes.GUARDED:
        refusals = routes.problems(401, 403) if key else routes.problems(403)
        app.include_router(router, dependencies=[Depends(BEARER)] if key else [], responses=refusals)
    for router in routes.OPEN:
        app.include_router(router)
    desk.add_to(app, home, key=key, orchestration=orchestration or NoOrchestration())
    return app


async def tell_what_is_wrong(_: Request, error: Exception) -> Response:
    """The answer to a request whose parameters do not fit."""
    assert isinstance(error, RequestValidationError)
    return JSONResponse({"detail": schemas.sentence_of(error.errors())}, 422)
