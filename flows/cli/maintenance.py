"""The commands that maintain a home, such as `forget`, `backup`, `restore`, `doctor`; most work on its files directly."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from flows.cli.run import run_flow
from flows.cli.terminal import AsJson, notes, out, print_json, print_table, say_waiting
from sentiment.errors import HomeError, InputError
from sentiment.settings import Home, load_settings, open_home

if TYPE_CHECKING:
    from sentiment.maintenance.erasure import ForgetReport


def forget(
    user: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Forget all tweets of this user.")] = None,
    tweet_id: Annotated[list[int] | None, typer.Option(metavar="ID", help="Forget this tweet.")] = None,
    as_json: AsJson = False,
) -> None:
    """Delete a user or a tweet everywhere, for good, and name the model versions that were trained on it.

    Names match with and without @, in upper and lower case. Exit status 1 if nothing was found; it is kept out all the same.
    Without an option, finish an interrupted request.

    Example: sentiment forget --user somebody
    """
    from sentiment.maintenance.erasure import forget as run

    home = open_home(say_waiting)
    is_continued = home.forgetting.exists()
    if not user and not tweet_id and not is_continued:
        raise InputError("Expected --user NAME or --tweet-id ID; no earlier request is left to finish.")
    report = run(
        home,
        tweet_ids=tweet_id or (),
        users=user or (),
    )
    if as_json:
        print_json(report)
    else:
        _show_forgotten(report)
    # An interrupted request may have deleted it already.
    if report.found_nothing and not is_continued:
        asked = ", ".join([*(user or ()), *map(str, tweet_id or ())])
        notes.print(f"Nothing of {asked} was found. Check the spelling; it stays out if it comes.", markup=False)
        raise typer.Exit(1)


def _show_forgotten(report: ForgetReport) -> None:
    print_table(
        "",
        ["tweets", "hand-labelled", "rejected lines"],
        [[report.count_tweets, report.count_gold, report.count_rejected]],
    )
    if report.rows_learnt:
        versions = ", ".join(f"{version} ({rows:,} rows)" for version, rows in report.rows_learnt.items())
        notes.print(f"Versions that were trained on it, and keep their weights: {versions}.", markup=False)
        notes.print("To replace them: sentiment retrain", markup=False)
    else:
        notes.print("No model version was trained on it.")
    for count, what in (
        (report.count_same_text, "tweet(s) of others have the same text"),
        (report.count_mentions, "tweet(s) of others mention the user"),
    ):
        if count:
            notes.print(f"{count:,} {what} and stay; name them with --tweet-id to forget them too.", markup=False)
    for path in report.users_files:
        notes.print(f"Your own file still holds it: {path}. Delete or edit it.", markup=False)
    for path in report.left:
        notes.print(f"A trace is left in {path}: end what has it open, delete it, and forget again.", markup=False)
    notes.print("It stays out if it comes again. Files outside the home, and backups made before, are yours to delete.")


def backup(
    path: Annotated[Path, typer.Argument(help="File to write, or a folder in which it is named by the time.")],
    inbox: Annotated[bool, typer.Option(help="Whether to include the files in the home's inbox.")] = True,
    as_json: AsJson = False,
) -> None:
    """Save the whole home in one file, while everything runs.

    Example: sentiment backup /mnt/backups
    """
    from sentiment.maintenance.backup import backup as run

    home = open_home(say_waiting)
    report = run(home, path, with_inbox=inbox)
    show_backup("Saved", report, as_json)


def restore(
    path: Annotated[Path, typer.Argument(help="A file that `sentiment backup` wrote.")], as_json: AsJson = False
) -> None:
    """Restore a backup into an empty home, at any path.

    The home is the one that SENTIMENT_HOME names.

    Example: sentiment restore /mnt/backups/sentiment-20260105T020000.tar.zst
    """
    from sentiment.maintenance.backup import restore as run

    home = open_home()
    show_backup("Restored", run(home, path), as_json)


def show_backup(done: str, report: Any, as_json: bool) -> None:
    """Say what a backup holds."""
    if as_json:
        print_json(report)
        return
    out.print(
        f"{done} {report.count_files:,} files, {report.count_bytes >> 20:,} MiB, in {report.seconds:.1f} s: {report.path} "
        f"({report.count_disk_bytes >> 20:,} MiB)",
        markup=False,
    )


def housekeeping(as_json: AsJson = False) -> None:
    """Remove what is no longer needed: old predictions, refused versions, leftovers. `sentiment up` does it daily.

    Example: sentiment housekeeping
    """

    def start(orchestration: Any) -> Any:
        from flows.housekeeping import housekeeping as flow

        return orchestration.run(flow)

    report = run_flow(start)
    if as_json:
        print_json(report)
        return
    from flows.artifacts import housekeeping_markdown

    notes.print(housekeeping_markdown(report).replace("*", ""), markup=False)


def doctor(as_json: AsJson = False) -> None:
    """Check versions, permissions, disk, locks, warehouse, snapshot, registry and schedules; say how to fix each.

    Exit status 1 if something is wrong.

    Example: sentiment doctor
    """
    from flows.server.health import check_server
    from sentiment.maintenance.doctor import diagnose

    settings = load_settings()
    home = Home(settings.home, settings)
    if not home.root.exists():
        raise InputError(
            f"There is no home {home.root} yet. Start with `sentiment ingest PATH`, or set SENTIMENT_HOME."
        )
    findings = [*diagnose(home), *check_server(home)]
    wrong = [finding for finding in findings if not finding.is_well]
    if as_json:
        print_json({"home": str(home.root), "is_well": not wrong, "findings": findings})
    else:
        print_table(
            "",
            ["check", "", "found"],
            [[finding.check, "ok" if finding.is_well else "WRONG", finding.found] for finding in findings],
        )
        for finding in wrong:
            out.print(f"to fix {finding.check}: {finding.remedy}", markup=False)
    if wrong:
        raise typer.Exit(1)


def up() -> None:
    """Run Prefect's server, a worker, all deployments, MLflow's pages and the API until Ctrl-C.

    Example: sentiment up
    """
    from flows.server.supervisor import up as run_up

    home = open_home()
    run_up(home, say=lambda line: out.print(line, markup=False))


def open_page(
    page: Annotated[Literal["desk", "prefect", "mlflow"], typer.Argument(help="Which page.")] = "desk",
) -> None:
    """Open a page of a running `sentiment up` in the browser: the desk, Prefect's or MLflow's.

    Example: sentiment open mlflow
    """
    from flows.ports import desk_page, mlflow_page, read_ports
    from flows.server.ephemeral import running_server

    home = open_home()
    server, ports = running_server(home.root), read_ports(home)
    if server is None or not ports:
        raise HomeError(
            f"`sentiment up` does not run in {home.root}, so there is no page to open. Start it: sentiment up"
        )
    pages = {
        "desk": desk_page(ports["api"]),
        "prefect": server.removesuffix("/api"),
        "mlflow": mlflow_page(ports["mlflow"]),
    }
    out.print(pages[page], markup=False)
    webbrowser.open(pages[page])


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is every network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes any free one.")] = 8000,
) -> None:
    """Serve the desk, pages for people, and the API, predictions for programs, until Ctrl-C.

    Example: sentiment serve --port 8000
    """
    from flows.server.desk_link import PrefectServer
    from sentiment.api.server import serve as run_api
    from sentiment.cross_origin import EVERY_NETWORK

    home = open_home()
    if host not in ("127.0.0.1", "::1", "localhost"):
        keyed = "anyone with the key" if home.settings.api_key else "anyone, since SENTIMENT_API_KEY is not set,"
        notes.print(f"Listening on {host}: {keyed} can ask from other machines.", markup=False)
        if host in EVERY_NETWORK and not home.settings.allowed_hosts:
            notes.print(
                "Only requests for 127.0.0.1 and localhost are answered: name others in SENTIMENT_ALLOWED_HOSTS."
            )
    run_api(home, host, port, say=lambda line: out.print(line, markup=False), orchestration=PrefectServer(home))
