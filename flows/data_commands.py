"""The commands that look at the data as a whole and carry it in and out: `profile`, `publish`, `download`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flows.terminal import AsJson, notes, out, print_json
from sentiment.errors import InputError


def check_source(
    source_url: str | None, query: str | None, watermark: str | None, paths: list[Path] | None
) -> dict[str, str | None]:
    """Options of `ingest` for a database, refused before anything is started.

    Raises:
        InputError: one of the two is missing, files are named as well, or the address holds a password.
    """
    if source_url is None and query is None and watermark is None:
        return {}
    if source_url is None or query is None:
        raise InputError("To read from a database, give both --source-url and --query.")
    if paths:
        raise InputError("Expected either files or --source-url, found both.")
    from sentiment.databases import check_address

    check_address(source_url)
    return {"source_url": source_url, "source_query": query, "watermark": watermark}


def profile(as_json: AsJson = False) -> None:
    """Look at all tweets: missing values, classes, lengths, copies, telling words, label noise; a page with pictures.

    Example: sentiment profile
    """
    from flows.cli import run_flow

    def start(orchestration: Any) -> Any:
        from flows.data_profile import profile as flow

        return orchestration.run(flow)

    summary = run_flow(start)
    if as_json:
        print_json(summary)
        return
    out.print(f"{summary.count_tweets:,} tweets. What stands out:", markup=False)
    for sentence in summary.findings:
        out.print(f"- {sentence}", markup=False)
    notes.print(f"\nThe page with pictures: {summary.page}", markup=False)
    notes.print("Every figure: sentiment sql \"from profile_figures where section = 'traits'\"", markup=False)


def publish(
    to: Annotated[
        str, typer.Option("--to", metavar="URL", help="SQLAlchemy address without a password: ~/.pgpass or PGPASSWORD.")
    ],
    schema: Annotated[str | None, typer.Option(help="Schema there; `sentiment` in PostgreSQL unless given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Bring another database, such as PostgreSQL, to the state of the published tables; what changed alone is sent.

    Example: sentiment publish --to postgresql+psycopg://analyst@db.example.com/tweets
    """
    from flows.cli import run_flow
    from sentiment.databases import check_address

    # Before anything is started: an address with a password must not reach Prefect, which keeps parameters.
    check_address(to)

    def start(orchestration: Any) -> Any:
        from flows.publish import PublishOptions
        from flows.publish import publish as flow

        return orchestration.run(flow, PublishOptions(to=to, schema_name=schema))

    report = run_flow(start)
    if as_json:
        print_json({**vars(report), "is_unchanged": report.is_unchanged})
        return
    from sentiment.reports import target_markdown

    out.print(target_markdown(report).replace("*", "").replace("`", "").strip(), markup=False)


def download(
    folder: Annotated[Path, typer.Argument(help="Folder for the file.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Fetch the Sentiment140 training file from Kaggle, 85 MB; needs the extra `kaggle` and a network.

    Example: sentiment download
    """
    from sentiment.download import download as fetch

    path = fetch(folder)
    if as_json:
        print_json({"path": path})
    else:
        out.print(f"{path}\nNext: sentiment run {path}", markup=False)
