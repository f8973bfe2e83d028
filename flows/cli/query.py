"""The commands that only read: `status`, `decisions`, `history`, `sql`. They read the published snapshot and need no server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.result_formats import Form, choose_form, write_answer
from flows.cli.terminal import AsJson, notes, paged, print_json, print_table, show_result
from sentiment.errors import InputError
from sentiment.markdown import percent
from sentiment.settings import Home, load_settings


def decisions(
    model_version: Annotated[int | None, typer.Option(min=1, help="Only decisions on this version.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the gate decided, and why; for one version also the texts that it gets wrong.

    Example: sentiment decisions --model-version 3
    """
    import polars as pl

    from sentiment.warehouse.connection import reader

    with reader(Home(load_settings().home)) as snapshot:
        frame = snapshot.frame("steps/warehouse/select_decisions", model_version=model_version)
        losses = snapshot.frame("steps/warehouse/select_losses", model_version=model_version)
        known = snapshot.frame("steps/warehouse/select_decisions", model_version=None)["model_version"]
    if frame.is_empty() and model_version is not None:
        decided = ", ".join(map(str, sorted(set(known)))) or "none yet"
        raise InputError(f"There is no decision on version {model_version}; decided on: {decided}.")
    if as_json:
        print_json(list(frame.iter_rows(named=True)))
        return
    probabilities = ["champion_probability", "challenger_probability"]
    with paged():
        for (_,), checks in frame.group_by("decision_key", maintain_order=True):
            first = checks.row(0, named=True)
            verdict = "promoted" if checks["passed"].all() else "refused"
            against = f" against version {first['champion_version']}" if first["champion_version"] else ""
            decided_at = first["decided_at"].astimezone()
            print_table(
                f"Version {first['model_version']}{against}: {verdict}, {decided_at:%Y-%m-%d %H:%M}",
                ["check", "passed", "why"],
                checks.select("check_name", "passed", "reason").rows(),
            )
            shown = losses.filter(pl.col("decision_key") == first["decision_key"])
            if model_version is not None and len(shown):
                columns = ["check_name", "found_in", "text", "expected", *probabilities]
                shown = shown.select(columns).with_columns(pl.col(probabilities).map_elements(percent, pl.String))
                print_table("What the champion has right and this version wrong", columns, shown.rows())
    if frame.is_empty():
        notes.print("The gate has not decided on any version yet. Train one: sentiment retrain")


def history(as_json: AsJson = False) -> None:
    """Show who was champion when, and why.

    Example: sentiment history
    """
    from sentiment.warehouse.connection import reader

    with reader(Home(load_settings().home)) as snapshot:
        frame = snapshot.frame("steps/registry/select_history")
    show_result("", frame, as_json)


def sql(
    query: Annotated[str | None, typer.Argument(help="The query.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", exists=True, dir_okay=False, help="A file with the query.")
    ] = None,
    form: Annotated[Form | None, typer.Option("--format", help="How the answer is written.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", dir_okay=False, help="File for the answer; its ending says the format.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Query the published tables; any result in full as csv, parquet or json, its first rows as a table.

    Example: sentiment sql "select label, count(*) from scored_tweets group by label"
    """
    from sentiment.warehouse.query import answer

    if (query is None) == (file is None):
        raise InputError("Expected either a query or --file, e.g. sentiment sql 'select * from scored_tweets limit 5'")
    statement = query if query is not None else file.read_text()  # type: ignore[union-attr]
    form = choose_form(form, output, as_json)
    with answer(Home(load_settings().home), statement) as batches:
        write_answer(batches, form, output)
