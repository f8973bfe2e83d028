"""`sentiment demo`: the whole loop on generated tweets, in a home of its own, and a table of what happened."""

from __future__ import annotations

import os
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.cli.terminal import notes, print_json, print_table, progress_bars
from flows.server.ephemeral import connect
from sentiment.settings import Home, load_settings

if TYPE_CHECKING:
    from flows.retrain import RetrainSummary
from typing import Annotated

import typer

from flows.cli.terminal import AsJson

DAY_AFTER = date(2009, 6, 26)


def run_demo(rows: int, as_json: bool) -> None:
    """Train on a thirtieth and on all of the history, then on a tenth, which the gate refuses; score the tweets of the next
    day.

    Args:
        rows: generated tweets of history; the next day has a twentieth as many.
    """
    began = time.perf_counter()
    root = load_settings().home / "demo"
    os.environ["SENTIMENT_HOME"] = str(root)
    home = Home(root).create()
    with connect(root) as orchestration, progress_bars() as show:
        show("generate tweets", 0, None, "")
        history, gold, day = _generate(home, rows)
        show("start Prefect", 0, None, "")
        from flows.ingest import IngestOptions, ingest
        from flows.pipeline import PipelineOptions, pipeline
        from flows.progress import show_in
        from flows.retrain import RetrainOptions, retrain
        from flows.score import ScoreOptions, score

        with show_in(show):
            orchestration.run(ingest, IngestOptions(paths=[str(gold)], gold="manual"))
            first = orchestration.run(pipeline, PipelineOptions(paths=[str(history)], rows=rows // 15))
            better = orchestration.run(retrain, RetrainOptions(all_rows=True))
            worse = orchestration.run(retrain, RetrainOptions(rows=rows // 10))
            arrived = orchestration.run(ingest, IngestOptions(paths=[str(day)], label_by_emoticon=True)).files[0]
            scored = orchestration.run(score, ScoreOptions())
    assert scored is not None, "a command without a champion fails instead"
    loaded = first.ingest.files[0]
    steps = [
        (
            f"ingest {history.name}",
            f"{loaded.count_lines:,} lines = {loaded.count_loaded:,} loaded + {loaded.count_duplicate:,} duplicate + "
            f"{loaded.count_rejected:,} rejected"
            if loaded.outcome == "loaded"
            else "its content was loaded before: nothing changes",
        ),
        *((f"retrain on {run.trained.count_train_rows:,}", _verdict(run)) for run in (first.retrain, better, worse)),
        (f"ingest {day.name}", f"{arrived.count_loaded:,} new tweets, labelled by their emoticons where they have one"),
        (
            "score",
            f"{scored.count_scored:,} tweets; all {scored.count_tweets:,} now show version {scored.model_version}'s prediction",
        ),
    ]
    if as_json:
        print_json({"home": str(root), "steps": [{"step": step, "result": result} for step, result in steps]})
        return
    print_table("On generated tweets, no real ones", ["step", "what happened"], steps)
    _say_what_next(root, time.perf_counter() - began)


def _generate(home: Home, rows: int) -> tuple[Path, Path, Path]:
    """History, a hand-labelled set, and the tweets of a later day; written once."""
    from sentiment.sample import Span, write_gold_sample, write_sample

    folder = home.work / "generated"
    folder.mkdir(exist_ok=True)
    history, gold, day = folder / f"history-{rows}.csv", folder / "manual.csv", folder / f"day-{rows}.csv"
    if not history.exists():
        write_sample(history, rows)
    if not gold.exists():
        write_gold_sample(gold, 400, seed=1)
    if not day.exists():
        write_sample(day, rows // 20, seed=2, span=Span(start=DAY_AFTER, days=1), labelled=False)
    return history, gold, day


def _verdict(run: RetrainSummary) -> str:
    decision: Any = run.decision
    again = " (trained before on the same rows, so reused)" if run.trained.was_reused else ""
    if decision.is_champion:
        return f"version {decision.model_version} passed every check and is champion{again}"
    failed = ", ".join(check.check_name for check in decision.verdict.failed)
    return f"version {decision.model_version} was refused by the gate: {failed}{again}"


def _say_what_next(root: Path, seconds: float) -> None:
    home = root.relative_to(Path.cwd()) if root.is_relative_to(Path.cwd()) else root
    installed = Path(".venv/bin/sentiment")
    program = str(installed) if installed.exists() else "sentiment"
    notes.print(f"\nDone in {seconds:.0f} s; everything is in {home}. Next:", markup=False)
    for command in ("status", "decisions", 'sql "from daily_sentiment order by day desc limit 7"'):
        notes.print(f"  SENTIMENT_HOME={home} {program} {command}", markup=False)


def demo(
    rows: Annotated[int, typer.Option(min=5_000, help="Generated tweets to work on.")] = 60_000, as_json: AsJson = False
) -> None:
    """Run the whole loop on generated tweets, in a home of its own.

    Example: sentiment demo
    """
    from flows.cli.demo import run_demo

    run_demo(rows, as_json)
