"""The commands on models. `promote` and `rollback` need no server and take effect at once."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.ingest import as_parameters, asking, show_ingest
from flows.cli.options import (
    Effort,
    Emoticons,
    Model,
    ModelRows,
    Rows,
    Seed,
    TrainingDevice,
    UntilFlat,
    WordVectors,
    takes_reading_options,
)
from flows.cli.run import check_paths, run_flow
from flows.cli.terminal import AsJson, notes, out, print_json, print_table
from flows.events import CHAMPION_CHANGED
from flows.server.ephemeral import running_server
from flows.server.rest import announce
from sentiment.errors import NoChampionError
from sentiment.markdown import percent
from sentiment.registry.environment import import_for_training, import_mlflow
from sentiment.settings import open_home

if TYPE_CHECKING:
    from sentiment.gate.decision import Decision
    from sentiment.ingest.mapping.reading import ReadingOptions
    from sentiment.model.explanation import Explanation

Reason = Annotated[str, typer.Option(help="Why; kept in alias_history.")]


def promote(
    model_version: Annotated[int, typer.Argument(min=1, help="The version to make champion.")],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Make a version champion by hand, even one that the gate refused; recorded.

    Example: sentiment promote 3 --reason "approved after a look at label_flips"
    """
    from sentiment.registry.champion import promote as change

    change_champion(partial(change, model_version=model_version), reason, as_json)


def rollback(reason: Reason, as_json: AsJson = False) -> None:
    """Go back to the former champion at once, without scoring anything again; recorded.

    Example: sentiment rollback --reason "sarcasm is taken for praise"
    """
    from sentiment.registry.champion import rollback as change

    change_champion(change, reason, as_json)


def change_champion(change: Callable[..., Any], reason: str, as_json: bool) -> None:
    """Change the champion, publish, and report what readers see."""
    from sentiment.registry.client import Registry
    from sentiment.warehouse.snapshot import publish

    home = open_home()
    made = change(home, Registry(home), changed_by=getpass.getuser(), reason=reason)
    publish(home)
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
    """Trigger the deployments that follow a promotion, if `sentiment up` runs for this home."""
    if api := running_server(home):
        with suppress(OSError):  # It stopped just now; the hourly run scores.
            announce(api, CHAMPION_CHANGED, f"sentiment.model.{model_version}", {"model_version": model_version})


def retrain(
    rows: Rows = None,
    until_flat: UntilFlat = False,
    effort: Effort = None,
    seed: Seed = 0,
    word_vectors: WordVectors = None,
    model: Model = None,
    model_rows: ModelRows = None,
    device: TrainingDevice = None,
    as_json: AsJson = False,
) -> None:
    """Train on the next growing subset and let the gate decide.

    Example: sentiment retrain --rows 100000
    """

    def start(orchestration: Any) -> Any:
        from flows.retrain import RetrainOptions
        from flows.retrain import retrain as flow

        import_for_training()  # While the server starts.
        options = RetrainOptions(
            rows=rows,
            until_flat=until_flat,
            seed=seed,
            word_vectors=word_vectors and word_vectors.absolute(),
            model=model,
            model_rows=model_rows,
            device=device,
        )
        return orchestration.run(flow, options.model_copy(update={"effort": effort}) if effort else options)

    show_decision(run_flow(start), as_json)


def decision_json(decision: Decision) -> dict[str, Any]:
    """The gate's decision for programs; `outcome` sums up the flags that follow it."""
    from sentiment.gate.decision import Outcome

    return {
        **vars(decision),
        "passed": decision.verdict.passed,
        "is_champion": decision.is_champion,
        "awaits_approval": decision.outcome is Outcome.AWAITS_APPROVAL,
        "was_champion": decision.outcome is Outcome.ALREADY_CHAMPION,
        "was_decided": decision.outcome is Outcome.REFUSED_BEFORE,
    }


def show_decision(summary: Any, as_json: bool) -> None:
    """Show the verdict on a challenger."""
    decision, trained = summary.decision, summary.trained
    if as_json:
        print_json({**decision_json(decision), "trained": trained, "outlook": summary.outlook})
        return
    from sentiment.gate.report import decision_markdown

    report = decision_markdown(decision)
    print_table(
        report.partition("\n")[0].replace("*", ""),
        ["check", "passed", "why"],
        [[check.check_name, check.passed, check.reason] for check in decision.verdict.checks],
    )
    notes.print(f"What more data would bring: {summary.outlook.reason}", markup=False)
    if trained.was_reused:
        notes.print(f"Version {decision.model_version} was trained on the same rows before; nothing was trained.")


def score(
    model_version: Annotated[
        int | None, typer.Option(min=1, help="Version to score with; the champion unless given.")
    ] = None,
    since: Annotated[datetime | None, typer.Option(help="Only tweets posted at or after this time (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option(help="Only tweets posted before this time (UTC).")] = None,
    as_json: AsJson = False,
) -> None:
    """Predict every tweet that has no prediction yet, and publish. Options choose a range of days or another version.

    Example: sentiment score --model-version 2 --since 2009-05-01 --until 2009-06-01
    """
    if model_version is None and since is None and until is None:
        from sentiment.scoring.score import nothing_to_score

        # No run: Prefect alone would take seconds.
        if (report := nothing_to_score(open_home())) is not None:
            show_score(report, as_json)
            return

    def start(orchestration: Any) -> Any:
        from flows.score import ScoreOptions
        from flows.score import score as flow

        import_mlflow()  # While the server starts.
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


@takes_reading_options
def run(
    reading: ReadingOptions,
    paths: Annotated[
        list[str] | None, typer.Argument(help="Files to load, or s3://bucket/prefix/*.parquet; none: the inbox.")
    ] = None,
    rows: Rows = None,
    effort: Effort = None,
    seed: Seed = 0,
    label_by_emoticon: Emoticons = False,
    as_json: AsJson = False,
) -> None:
    """Ingest, train on all rows (unless --rows), gate, score and publish: the whole loop once.

    Example: sentiment run tweets.csv
    """
    others: dict[str, Any] = {"paths": check_paths(paths or []), "rows": rows, "seed": seed}
    others |= {"label_by_emoticon": label_by_emoticon, **({"effort": effort} if effort else {})}

    def start(reading: ReadingOptions) -> Any:
        def loop(orchestration: Any) -> Any:
            from flows.pipeline import PipelineOptions, pipeline

            import_for_training()  # While the server starts.
            return orchestration.run(pipeline, PipelineOptions(**others, **as_parameters(reading)))

        return run_flow(loop)

    summary = asking(start, reading, as_json)
    if as_json:
        retrained = {**decision_json(summary.retrain.decision), "trained": summary.retrain.trained}
        print_json({"ingest": {"files": summary.ingest.files}, "retrain": retrained, "score": summary.score})
        return
    show_decision(summary.retrain, as_json=False)
    if summary.score is not None:
        show_score(summary.score, as_json=False)
    show_ingest(summary.ingest, as_json=False)


_WIDEST_BAR = 12


def explain(
    text: Annotated[str, typer.Argument(help="The tweet.")],
    model_version: Annotated[
        int | None, typer.Option(min=1, help="Version to explain; the champion unless given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how much each word of a text pushed the model, and which way.

    Example: sentiment explain "the food was not bad at all :)"
    """
    from sentiment.model.explanation import explain_in_full
    from sentiment.registry.champion import known_champion
    from sentiment.registry.client import Registry
    from sentiment.warehouse.connection import writer

    home = open_home()
    registry = Registry(home)
    if model_version is None:
        champion = registry.champion()
        if champion is None:
            with writer(home) as warehouse:
                known_champion(registry, warehouse)
            raise NoChampionError("There is no champion to explain yet. Train one: sentiment retrain")
        model_version = champion.model_version
    found = explain_in_full(registry.load(model_version), text)
    if as_json:
        words = [{**word._asdict(), "total": word.total} for word in found.words]
        print_json(
            {
                "model_version": model_version,
                "label": found.label(home.settings.labels),
                **asdict(found),
                "words": words,
            }
        )
    else:
        _show(found, model_version, found.label(home.settings.labels))


def _show(found: Explanation, model_version: int, label: str) -> None:
    largest = max((abs(word.total) for word in found.words), default=0.0)
    rows = [
        [word.token, _bar(word.total, largest), word.total, word.ngrams, word.lexicon, word.encoder]
        for word in found.words
    ]
    rest = [
        ("words together", found.together),
        ("any tweet", found.every_tweet),
        ("calibration", found.calibration),
        ("all of it", found.logit),
    ]
    rows += [[f"({name})", "", value, None, None, None] for name, value in rest]
    print_table(
        f"Version {model_version} says {label}: {percent(found.probability_positive)} positive rather than negative, "
        f"{percent(found.probability_neutral)} neutral (mood shown: {found.evidence:.1f})",
        ["word", "pushes", "logit", "n-grams", "lexicon", "encoder"],
        rows,
    )
    notes.print("Above zero is towards positive. The logit column adds up to its last line.", markup=False)


def _bar(value: float, largest: float) -> str:
    length = round(_WIDEST_BAR * abs(value) / largest) if largest else 0
    return ("+" if value > 0 else "-") * length
