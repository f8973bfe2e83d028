"""A route that FastAPI documents and that answers by itself.

FastAPI solves dependencies and opens and closes stacks of contexts for each request, which costs more than a prediction. A
route that reads its own body has no use for that: it keeps the place in the OpenAPI document and skips the rest.
"""

from __future__ import annotations

from fastapi import HTTPException, Request
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send


class PlainRoute(APIRoute):
    """Calls its endpoint, `async (Request) -> Response`, with nothing around it but the answer to an `HTTPException`.

    Its dependencies are documented and not run.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.methods and scope["method"] not in self.methods:
            await super().handle(scope, receive, send)
            return
        try:
            response = await self.endpoint(Request(scope, receive))
        except HTTPException as error:
            response = JSONResponse({"detail": error.detail}, error.status_code, error.headers)
        await response(scope, receive, send)
