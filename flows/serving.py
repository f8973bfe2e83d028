"""The command `serve`: the API alone. It needs no Prefect."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.terminal import notes, out
from sentiment.settings import open_home


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any free one.")] = 8000,
) -> None:
    """Answer requests with the champion until Ctrl-C: predictions, a page to try it on, metrics.

    Example: sentiment serve --port 8000
    """
    from sentiment.api.cross_origin import EVERY_NETWORK
    from sentiment.api.server import serve as run_api

    settings, home = open_home()
    if host not in ("127.0.0.1", "::1", "localhost"):
        keyed = "whoever has the key" if settings.api_key else "anybody, since SENTIMENT_API_KEY is not set,"
        notes.print(f"Listening on {host}: {keyed} can ask from other machines.", markup=False)
        if host in EVERY_NETWORK and not settings.allowed_hosts:
            notes.print(
                "Only requests for 127.0.0.1 and localhost are answered: name others in SENTIMENT_ALLOWED_HOSTS."
            )
    run_api(home, settings, host, port, say=lambda line: out.print(line, markup=False))
