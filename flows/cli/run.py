"""Runs flows from a command: checks paths, connects to a Prefect server, shows progress."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from flows.cli.terminal import progress_bars
from flows.server.ephemeral import connect
from sentiment.errors import InputError
from sentiment.ingest.file_names import refuse_other_names
from sentiment.object_store import is_address
from sentiment.settings import open_home


def run_flow(start: Callable[[Any], Any]) -> Any:
    """Run flows in this process, with progress bars, on the home's own Prefect server or a temporary one.

    Args:
        start: imports and runs the flow; gets the connection, whose `run` it calls.
    """
    home = open_home()
    with connect(home.root) as orchestration, progress_bars() as show:
        show("starting", 0, None, "")
        from flows.progress import show_in

        with show_in(show):
            return start(orchestration)


def check_paths(names: list[str]) -> list[str]:
    """Refuse what is no file before anything is started; addresses of objects pass as they are.

    Raises:
        InputError: a path does not exist, is a folder, or has a name that is not in UTF-8.
    """
    return [name if is_address(name) else str(_checked(Path(name))) for name in names]


def _checked(path: Path) -> Path:
    if path.is_dir():
        raise InputError(f"{path} is a folder, expected a file. Name the files in it, e.g. {path}/*.csv")
    if not path.exists():
        raise InputError(f"There is no file {path} in {Path.cwd()}. Check the spelling.")
    refuse_other_names(path)
    return path.absolute()
