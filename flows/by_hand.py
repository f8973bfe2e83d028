"""The commands that change the champion by hand: `promote` and `rollback`. They need no server and take effect at once."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.events import CHAMPION_CHANGED, announce
from flows.orchestration import running_server
from flows.terminal import AsJson, out, print_json
from sentiment.settings import open_home

Reason = Annotated[str, typer.Option(help="Why; kept in alias_history.")]


def promote(
    model_version: Annotated[int, typer.Argument(min=1, help="The version to make champion.")],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Make a version champion by hand, whatever the gate said; recorded.

    Example: sentiment promote 3 --reason "approved after a look at label_flips"
    """
    from sentiment.champion import promote as change

    change_champion(partial(change, model_version=model_version), reason, as_json)


def rollback(reason: Reason, as_json: AsJson = False) -> None:
    """Go back to the former champion at once, without scoring anything again; recorded.

    Example: sentiment rollback --reason "sarcasm is taken for praise"
    """
    from sentiment.champion import rollback as change

    change_champion(change, reason, as_json)


def change_champion(change: Callable[..., Any], reason: str, as_json: bool) -> None:
    """Change the champion, publish, and say what readers see."""
    from sentiment.publishing import publish
    from sentiment.registry import Registry

    settings, home = open_home()
    made = change(home, settings, Registry(home, settings), changed_by=getpass.getuser(), reason=reason)
    publish(home, settings)
    announce_change(home.root, made.model_version)
    if as_json:
        print_json(made)
        return
    out.print(
        f"Version {made.model_version} is champion"
        + (f" instead of version {made.from_version}." if made.from_version else ".")
    )
    if made.is_published:
        out.print("scored_tweets shows its predictions now.")
    else:
        out.print("It has not scored every tweet yet; scored_tweets shows it once it has: sentiment score")


def announce_change(home: Path, model_version: int) -> None:
    """Set off what the deployments do after a promotion, if they run for this home."""
    if api := running_server(home):
        with suppress(OSError):  # It ended this moment; the hourly run scores.
            announce(api, CHAMPION_CHANGED, f"sentiment.model.{model_version}", {"model_version": model_version})
