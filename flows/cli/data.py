"""The commands on the data as a whole: `profile`, `publish`, `download`, `sample`, `correct`."""

from __future__ import annotations

import getpass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.run import run_flow
from flows.cli.terminal import AsJson, notes, out, print_json
from sentiment.errors import InputError
from sentiment.settings import open_home


def profile(as_json: AsJson = False) -> None:
    """Profile all tweets: missing values, classes, lengths, copies, telling words, label noise; writes a page with charts.

    Example: sentiment profile
    """

    def start(orchestration: Any) -> Any:
        from flows.profile import profile as flow

        return orchestration.run(flow)

    summary = run_flow(start)
    if as_json:
        print_json(summary)
        return
    out.print(f"{summary.count_tweets:,} tweets. Findings:", markup=False)
    for sentence in summary.findings:
        out.print(f"- {sentence}", markup=False)
    notes.print(f"\nThe page with charts: {summary.page}", markup=False)
    notes.print("Every figure: sentiment sql \"from profile_figures where section = 'traits'\"", markup=False)


def publish(
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="URL",
            help="SQLAlchemy address without a password (~/.pgpass or PGPASSWORD), delta:///folder, or parquet:///folder.",
        ),
    ],
    schema: Annotated[str | None, typer.Option(help="Schema there; `sentiment` in PostgreSQL unless given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Publish the tables to another database, such as PostgreSQL; sends only what changed.

    Example: sentiment publish --to postgresql+psycopg://analyst@db.example.com/tweets
    """
    from sentiment.publish import check_address

    # Check before starting anything: Prefect stores parameters, so an address with a password must not reach it.
    check_address(to)

    def start(orchestration: Any) -> Any:
        from flows.publish import PublishOptions
        from flows.publish import publish as flow

        return orchestration.run(flow, PublishOptions(to=to, schema_name=schema))

    report = run_flow(start)
    if as_json:
        print_json({**vars(report), "is_unchanged": report.is_unchanged})
        return
    from flows.artifacts import target_markdown

    out.print(target_markdown(report).replace("*", "").replace("`", "").strip(), markup=False)


def download(
    folder: Annotated[Path, typer.Argument(help="Folder for the file.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Fetch the Sentiment140 training file from Kaggle, 85 MB; needs the extra `kaggle` and a network.

    Example: sentiment download
    """
    from sentiment.ingest.kaggle import download as fetch

    path = fetch(folder)
    if as_json:
        print_json({"path": path})
    else:
        out.print(f"{path}\nNext: sentiment run {path}", markup=False)


def sample(
    path: Annotated[Path, typer.Argument(help="File to write; .gz and .zst are compressed.")],
    rows: Annotated[int, typer.Option(min=1, help="Tweets to write.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same file.")] = 0,
    unlabelled: Annotated[bool, typer.Option("--unlabelled", help="Daily tweets: no label, emoticons kept.")] = False,
    gold: Annotated[
        bool, typer.Option("--gold", help="Hand-labelled tweets: no label noise, neutral ones too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write generated tweets in the Sentiment140 format, with the flaws of the real file.

    Example: sentiment sample tweets.csv --rows 10000
    """
    from sentiment.sample import write_gold_sample, write_sample

    write = write_gold_sample if gold else partial(write_sample, labelled=not unlabelled)
    summary = write(path, rows, seed=seed)
    if as_json:
        print_json(summary)
    else:
        out.print(str(summary), markup=False)


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
    """Correct the label of one tweet, or of many by a file. The newest correction counts, before any source.

    Example: sentiment correct 1467810369 negative
    """
    import polars as pl

    from sentiment.ingest.corrections import correct as write
    from sentiment.ingest.corrections import read_corrections
    from sentiment.warehouse.snapshot import publish

    if (file is None) == (tweet_id is None) or (tweet_id is None) != (label is None):
        raise InputError("Expected a tweet and its label, or --file, e.g. sentiment correct 1467810369 negative")
    home = open_home()
    given = (
        read_corrections(file) if file is not None else pl.DataFrame({"tweet_id": [str(tweet_id)], "label": [label]})
    )
    report = write(home, given, corrected_by=corrected_by or getpass.getuser())
    if file is None and report.refused:
        raise InputError(f"Nothing was changed: {report.refused[0].reason}.")
    publish(home)
    if as_json:
        print_json(report)
    else:
        out.print(report.sentence, markup=False)
        notes.print("The next `sentiment retrain` learns from them; online_accuracy counts them now.")
    if report.refused:
        raise typer.Exit(1)
