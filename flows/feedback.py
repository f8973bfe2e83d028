"""The command that tells the model what people know better: `correct`. It needs no server and publishes at once."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from flows.terminal import AsJson, notes, out, print_json
from sentiment.errors import InputError
from sentiment.settings import open_home


def correct(
    tweet_id: Annotated[int | None, typer.Argument(help="The tweet.")] = None,
    label: Annotated[str | None, typer.Argument(help="negative, neutral or positive.")] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="CSV, Parquet or NDJSON with tweet_id, label and optionally corrected_by."),
    ] = None,
    corrected_by: Annotated[str | None, typer.Option("--by", help="Who says so; you unless given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Correct the label of one tweet, or of a file of them; the newest correction counts, before what sources say.

    Example: sentiment correct 1467810369 negative
    """
    import polars as pl

    from sentiment.corrections import correct as write
    from sentiment.corrections import read_corrections
    from sentiment.publishing import publish

    if (file is None) == (tweet_id is None) or (tweet_id is None) != (label is None):
        raise InputError("Expected a tweet and its label, or --file, e.g. sentiment correct 1467810369 negative")
    settings, home = open_home()
    given = (
        read_corrections(file) if file is not None else pl.DataFrame({"tweet_id": [str(tweet_id)], "label": [label]})
    )
    report = write(home, settings, given, corrected_by=corrected_by or getpass.getuser())
    if file is None and report.refused:
        raise InputError(f"Nothing was changed: {report.refused[0].reason}.")
    publish(home, settings)
    if as_json:
        print_json(report)
    else:
        out.print(report.sentence, markup=False)
        notes.print("The next `sentiment retrain` learns from them; online_accuracy counts them now.")
    if report.refused:
        raise typer.Exit(1)
