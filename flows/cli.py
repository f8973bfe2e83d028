"""The command line, `sentiment`. Commands that work run the same flows as the deployments; those that ask read the snapshot.

Prefect, MLflow and torch take seconds to import, so each command imports what it runs, after `connect` has set Prefect's
server going.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from flows import by_hand, data_commands, explaining, feedback, keeping, questions, serving
from flows.orchestration import connect
from flows.terminal import AsJson, errors_as_sentences, notes, out, print_json, print_table, progress_bars
from sentiment.errors import InputError
from sentiment.settings import load_settings, open_home

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Ingest tweets, retrain and gate a sentiment model, score every tweet. State lives in SENTIMENT_HOME (default var/).",
)

Rows = Annotated[int | None, typer.Option(min=100, help="Rows to train on.")]
Effort = Annotated[int | None, typer.Option(min=1, max=4, help="How much work training does for each row.")]
UntilFlat = Annotated[
    bool, typer.Option("--until-flat", help="Climb until the next subset should bring nothing; gate only the last.")
]
WarmStart = Annotated[bool, typer.Option("--warm-start", help="Begin with the champion's weights.")]
WordVectors = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="Pretrained word vectors to begin with: GloVe's or fastText's text format."),
]
FreezeWordVectors = Annotated[bool, typer.Option("--freeze-word-vectors", help="Keep these vectors; learn all else.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the training run.")]
Gold = Annotated[str | None, typer.Option(metavar="NAME", help="Load into this hand-labelled set; it never trains.")]
Emoticons = Annotated[
    bool, typer.Option("--label-by-emoticon", help="Label tweets without a label by their emoticons.")
]


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
    """What stands before a command."""


def main() -> None:
    """Entry point: errors become a sentence and an exit status, 0 done, 1 failed, 2 wrong use."""
    with errors_as_sentences(lambda: load_settings().home):
        app(prog_name="sentiment")


def run_flow(start: Callable[[Any], Any]) -> Any:
    """Run flows in this process, with progress bars, on the home's own Prefect server or a temporary one.

    Args:
        start: imports and runs the flow; gets the connection, whose `run` it calls.
    """
    _, home = open_home()
    with connect(home.root) as orchestration, progress_bars() as show:
        show("starting", 0, None)
        from flows.progress import show_in

        with show_in(show):
            return start(orchestration)


def check_paths(paths: list[Path]) -> list[str]:
    """Refuse what is no file before anything is started.

    Raises:
        InputError: a path does not exist or is a folder.
    """
    for path in paths:
        if path.is_dir():
            raise InputError(f"{path} is a folder, expected a file. Name the files in it, e.g. {path}/*.csv")
        if not path.exists():
            raise InputError(f"There is no file {path} in {Path.cwd()}. Check the spelling.")
    return [str(path.absolute()) for path in paths]


@app.command()
def demo(
    rows: Annotated[int, typer.Option(min=5_000, help="Generated tweets to work on.")] = 60_000, as_json: AsJson = False
) -> None:
    """Run the whole loop on generated tweets, in a home of its own.

    Example: sentiment demo
    """
    from flows.demo import run_demo

    run_demo(rows, as_json)


@app.command()
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
    """Write generated tweets in the Sentiment140 format, dirty as the real file is.

    Example: sentiment sample tweets.csv --rows 10000
    """
    from sentiment.sample import write_gold_sample, write_sample

    write = write_gold_sample if gold else partial(write_sample, labelled=not unlabelled)
    summary = write(path, rows, seed=seed)
    if as_json:
        print_json(summary)
    else:
        out.print(str(summary), markup=False)


@app.command()
def ingest(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="CSV (plain, .gz, .zst), Parquet or NDJSON; none: the inbox.")
    ] = None,
    gold: Gold = None,
    label_by_emoticon: Emoticons = False,
    source_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Read from this database: SQLAlchemy address without a password.")
    ] = None,
    query: Annotated[
        str | None,
        typer.Option(metavar="SQL", help="What to read there: tweet_id, text, posted_at, user_name, query, label."),
    ] = None,
    watermark: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Fills :watermark in the query with its greatest value so far.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Load files of tweets, or what a query gives; every line is loaded, a duplicate, or kept as rejected.

    Example: sentiment ingest tweets.csv
    """
    names = check_paths(paths or [])
    source = data_commands.check_source(source_url, query, watermark, paths)

    def start(orchestration: Any) -> Any:
        from flows.ingest import IngestOptions
        from flows.ingest import ingest as flow

        return orchestration.run(
            flow, IngestOptions(paths=names, gold=gold, label_by_emoticon=label_by_emoticon, **source)
        )

    show_ingest(run_flow(start), as_json)


def show_ingest(summary: Any, as_json: bool) -> None:
    """Show what became of each file; end with 1 if one was left for later."""
    if as_json:
        print_json({"files": summary.files})
    else:
        columns = ["file", "outcome", "lines", "loaded", "duplicate", "rejected", "seconds"]
        rows = [
            [
                Path(r.path).name,
                r.outcome,
                r.count_lines,
                r.count_loaded,
                r.count_duplicate,
                r.count_rejected,
                r.seconds,
            ]
            for r in summary.files
        ]
        print_table("", columns, rows)
        for report in summary.files:
            if report.note:
                notes.print(f"{Path(report.path).name}: {report.note}", markup=False)
            for reason, count in report.rejected_by_reason.items():
                notes.print(f"{Path(report.path).name}: {count:,} rejected: {reason}", markup=False)
        if not summary.files:
            notes.print("No new files in the inbox.")
    if any(report.outcome == "waiting" for report in summary.files):
        raise typer.Exit(1)


@app.command()
def retrain(
    rows: Rows = None,
    until_flat: UntilFlat = False,
    effort: Effort = None,
    seed: Seed = 0,
    warm_start: WarmStart = False,
    word_vectors: WordVectors = None,
    freeze_word_vectors: FreezeWordVectors = False,
    as_json: AsJson = False,
) -> None:
    """Train on the next growing subset and let the gate decide.

    Example: sentiment retrain --rows 100000
    """

    def start(orchestration: Any) -> Any:
        from flows.retrain import RetrainOptions
        from flows.retrain import retrain as flow

        options = RetrainOptions(
            rows=rows,
            until_flat=until_flat,
            seed=seed,
            warm_start=warm_start,
            word_vectors=word_vectors and word_vectors.absolute(),
            freeze_word_vectors=freeze_word_vectors,
        )
        return orchestration.run(flow, options.model_copy(update={"effort": effort}) if effort else options)

    show_decision(run_flow(start), as_json)


def show_decision(summary: Any, as_json: bool) -> None:
    """Show the verdict on a challenger."""
    decision, trained = summary.decision, summary.trained
    if as_json:
        print_json(
            {**vars(decision), "passed": decision.verdict.passed, "trained": trained, "outlook": summary.outlook}
        )
        return
    from sentiment.reports import decision_markdown

    report = decision_markdown(
        decision.model_version,
        decision.champion_version,
        decision.verdict,
        awaits_approval=decision.awaits_approval,
        was_champion=decision.was_champion,
        was_decided=decision.was_decided,
    )
    print_table(
        report.partition("\n")[0].replace("*", ""),
        ["check", "passed", "why"],
        [[check.check_name, check.passed, check.reason] for check in decision.verdict.checks],
    )
    notes.print(f"What more data would bring: {summary.outlook.reason}", markup=False)
    if trained.was_reused:
        notes.print(f"Version {decision.model_version} was trained on the same rows before; nothing was trained anew.")


@app.command()
def score(
    model_version: Annotated[
        int | None, typer.Option(min=1, help="Version to score with; the champion unless given.")
    ] = None,
    since: Annotated[datetime | None, typer.Option(help="Only tweets posted from then on (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option(help="Only tweets posted before then (UTC).")] = None,
    as_json: AsJson = False,
) -> None:
    """Predict every tweet that has no prediction yet, and publish; of a past range or with another version if you say so.

    Example: sentiment score --model-version 2 --since 2009-05-01 --until 2009-06-01
    """

    def start(orchestration: Any) -> Any:
        from flows.score import ScoreOptions
        from flows.score import score as flow

        return orchestration.run(flow, ScoreOptions(model_version=model_version, since=since, until=until))

    show_score(run_flow(start), as_json)


def show_score(report: Any, as_json: bool) -> None:
    """Show what was scored."""
    if as_json:
        print_json(report)
        return
    columns = ["version", "scored", "tweets", "complete", "seconds"]
    row = [report.model_version, report.count_scored, report.count_tweets, report.is_complete, report.seconds]
    print_table("", columns, [row])


@app.command()
def run(
    paths: Annotated[list[Path] | None, typer.Argument(help="Files to load; none: the inbox.")] = None,
    rows: Rows = None,
    effort: Effort = None,
    seed: Seed = 0,
    label_by_emoticon: Emoticons = False,
    as_json: AsJson = False,
) -> None:
    """Ingest, train on all rows (unless --rows), gate, score and publish: the whole loop once.

    Example: sentiment run tweets.csv
    """
    names = check_paths(paths or [])

    def start(orchestration: Any) -> Any:
        from flows.pipeline import PipelineOptions, pipeline

        options = PipelineOptions(paths=names, rows=rows, seed=seed, label_by_emoticon=label_by_emoticon)
        return orchestration.run(pipeline, options.model_copy(update={"effort": effort}) if effort else options)

    summary = run_flow(start)
    if as_json:
        decision = summary.retrain.decision
        retrained = {**vars(decision), "passed": decision.verdict.passed, "trained": summary.retrain.trained}
        print_json({"ingest": {"files": summary.ingest.files}, "retrain": retrained, "score": summary.score})
        return
    show_decision(summary.retrain, as_json=False)
    if summary.score is not None:
        show_score(summary.score, as_json=False)
    show_ingest(summary.ingest, as_json=False)


for command in (
    data_commands.download,
    data_commands.profile,
    data_commands.publish,
    questions.status,
    questions.decisions,
    questions.history,
    by_hand.promote,
    by_hand.rollback,
    keeping.forget,
    keeping.backup,
    keeping.restore,
    keeping.housekeeping,
    keeping.doctor,
    feedback.correct,
    questions.sql,
    serving.serve,
    explaining.explain,
):
    app.command()(command)


@app.command()
def up() -> None:
    """Run Prefect's server, a worker, all deployments, MLflow's pages and the API until Ctrl-C.

    Example: sentiment up
    """
    from flows.up import up as run_up

    settings, home = open_home()
    run_up(home, settings, say=lambda line: out.print(line, markup=False))


if __name__ == "__main__":
    main()
