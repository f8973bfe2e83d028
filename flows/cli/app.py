"""The command line, `sentiment`. Commands that write run the same flows as the deployments; those that read use the snapshot.

Prefect, MLflow and torch take seconds to import, so each command imports what it runs, after `connect` has started Prefect's
server.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer

from flows.cli import data, demo, ingest, maintenance, model, monitor, query, status
from flows.cli.terminal import allow_open_files, errors_as_sentences, open_standard_streams, out
from sentiment.settings import load_settings

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Ingest tweets, retrain and gate a sentiment model, score every tweet. State lives in SENTIMENT_HOME (default var/).",
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        out.print(version("sentiment"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """Global options."""


def main() -> None:
    """Entry point: errors become a sentence and an exit status, 0 done, 1 failed, 2 wrong use."""
    open_standard_streams()
    with errors_as_sentences(lambda: load_settings().home):
        allow_open_files()
        app(prog_name="sentiment")


GROUPS: dict[str, tuple[Callable[..., None], ...]] = {
    "Start": (demo.demo, data.sample, model.run, maintenance.up, maintenance.open_page),
    "Data": (
        ingest.inspect,
        ingest.ingest,
        ingest.withdraw,
        data.download,
        data.profile,
        data.correct,
        query.sql,
    ),
    "Model": (
        model.retrain,
        model.score,
        model.explain,
        query.decisions,
        query.history,
        model.promote,
        model.rollback,
    ),
    "People and programs": (maintenance.serve, data.publish, monitor.monitor, maintenance.forget),
    "Operate": (
        status.status,
        maintenance.doctor,
        maintenance.backup,
        maintenance.restore,
        maintenance.housekeeping,
    ),
}
NAMES = {maintenance.open_page: "open"}
for group, commands in GROUPS.items():
    for command in commands:
        app.command(NAMES.get(command), rich_help_panel=group)(command)


if __name__ == "__main__":
    main()
