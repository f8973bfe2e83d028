"""`sentiment demo`: the whole loop on generated tweets, in a home of its own, and a table of what happened."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from flows.orchestration import connect
from flows.terminal import notes, print_json, print_table, progress_bars
from sentiment.settings import Home, load_settings

SMALL_SUBSET = 2_000
DAILY_SHARE = 20


def write_generated(
    path: Path, rows: int, *, seed: int = 0, unlabelled: bool = False, gold: bool = False
) -> dict[str, int | float | str]:
    """Write generated tweets; returns what was planted, by name."""
    import dataclasses

    from sentiment.sample import write_gold_sample, write_sample

    if gold:
        summary: Any = write_gold_sample(path, rows, seed=seed)
    else:
        summary = write_sample(path, rows, seed=seed, labelled=not unlabelled)
    return dataclasses.asdict(summary) if dataclasses.is_dataclass(summary) else {"rows": rows}  # type: ignore[arg-type]


def run_demo(rows: int, as_json: bool) -> None:
    """Ingest, train twice, refuse once, and score what arrives the day after."""
    began = time.perf_counter()
    root = load_settings().home / "demo"
    os.environ["SENTIMENT_HOME"] = str(root)
    home = Home(root).create()
    files = home.work / "generated"
    files.mkdir(exist_ok=True)
    history, gold, daily = files / f"history-{rows}.csv", files / "manual.csv", files / f"daily-{rows}.csv"
    steps: list[list[Any]] = []
    with connect(root) as orchestration, progress_bars() as show:
        show("generate tweets", 0, None)
        for path, count, options in (
            (history, rows, {}),
            (gold, 400, {"gold": True, "seed": 1}),
            (daily, rows // DAILY_SHARE, {"unlabelled": True, "seed": 2}),
        ):
            if not path.exists():
                draft = path.with_name(f"draft-{path.name}")
                write_generated(draft, count, **options)  # type: ignore[arg-type]
                draft.rename(path)
        show("start Prefect", 0, None)
        from flows.ingest import IngestOptions, ingest
        from flows.pipeline import PipelineOptions, pipeline
        from flows.progress import show_in
        from flows.retrain import RetrainOptions, retrain
        from flows.score import ScoreOptions, score

        with show_in(show):
            orchestration.run(ingest, IngestOptions(paths=[str(gold)], gold="manual"))
            first = orchestration.run(pipeline, PipelineOptions(paths=[str(history)], rows=SMALL_SUBSET))
            loaded = first.ingest.files[0]
            steps.append(["ingest", f"{loaded.count_lines:,} lines: {loaded.count_loaded:,} loaded, "
                          f"{loaded.count_duplicate:,} duplicate, {loaded.count_rejected:,} rejected ({loaded.outcome})"])
            steps.append([f"retrain on {SMALL_SUBSET:,}", _verdict(first.retrain)])
            larger = orchestration.run(retrain, RetrainOptions(all_rows=True))
            steps.append([f"retrain on {larger.trained.count_train_rows:,}", _verdict(larger)])
            refused = orchestration.run(retrain, RetrainOptions(rows=SMALL_SUBSET * 2))
            steps.append([f"retrain on {SMALL_SUBSET * 2:,}", _verdict(refused)])
            arrived = orchestration.run(ingest, IngestOptions(paths=[str(daily)], label_by_emoticon=True))
            steps.append(["ingest a day", f"{arrived.files[0].count_loaded:,} new tweets, labelled by emoticon where they have one"])
            scored = orchestration.run(score, ScoreOptions())
            steps.append(["score", f"{scored.count_scored:,} tweets scored; scored_tweets shows version "
                          f"{scored.model_version} for all {scored.count_tweets:,}"])
    if as_json:
        print_json({"home": str(root), "steps": [{"step": step, "result": result} for step, result in steps]})
        return
    print_table("On generated tweets, no real ones", ["step", "what happened"], steps)
    notes.print(f"\nDone in {time.perf_counter() - began:.0f} s. Everything is in {root}. Try next:", markup=False)
    shown = os.path.relpath(root)
    for command in (
        "status",
        "decisions",
        'sql "from daily_sentiment order by day desc limit 7"',
    ):
        notes.print(f"  SENTIMENT_HOME={shown} {_program()} {command}", markup=False)


def _verdict(summary: Any) -> str:
    decision = summary.decision
    if summary.trained.was_reused:
        return f"version {decision.model_version} again: the same rows, config and seed were trained before"
    if decision.verdict.passed:
        return f"version {decision.model_version} passed every check and is the champion"
    failed = ", ".join(check.check_name for check in decision.verdict.failed)
    return f"version {decision.model_version} refused by {failed}; version {decision.champion_version} stays"


def _program() -> str:
    """How the user can call the command: by name when it is on the path, else as it lies in the checkout."""
    local = Path(".venv/bin/sentiment")
    return str(local) if local.exists() else "sentiment"
