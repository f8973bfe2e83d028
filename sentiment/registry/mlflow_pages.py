"""MLflow's server without its assistant: the `mlflow.app` of this package, `sentiment`.

The assistant runs commands on this machine for anyone who reaches the port, and no setting switches it off. The first page that
a browser opens would show it over a third of the window.
"""

from __future__ import annotations

from pathlib import Path

from mlflow.server import app as flask_app
from mlflow.server.fastapi_app import app
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route

__all__ = ["app"]

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
# The names under which MLflow's pages keep that the assistant was shown, and that it is closed.
_CLOSED = """<script>
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true")
localStorage.setItem("mlflow.assistant.panelOpen_v1", "false")
</script><style>[data-assistant-ui] { display: none !important }</style>"""


def refuse(_: Request) -> PlainTextResponse:
    """Answer for the assistant."""
    return PlainTextResponse("MLflow's assistant is switched off.", 404)


def first_page(_: Request) -> HTMLResponse:
    """MLflow's one page, with the assistant closed."""
    page = Path(flask_app.static_folder or "", "index.html").read_text(encoding="utf-8")
    return HTMLResponse(page.replace("<head>", f"<head>{_CLOSED}", 1), headers={"Cache-Control": "no-cache"})


# In front of MLflow's own routes and behind its checks of hosts and origins.
app.router.routes[:0] = [
    Route("/", first_page, methods=["GET"]),
    Route("/ajax-api/3.0/mlflow/assistant/{rest:path}", refuse, methods=_METHODS),
]
