"""Flow `pipeline`: ingest, retrain and score once, in this order; on demand."""

from __future__ import annotations

from dataclasses import dataclass

from prefect import flow
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from pydantic import Field

from flows.artifacts import headline, score_markdown
from flows.ingest import FilesForm, IngestOptions, IngestSummary, ingest
from flows.retrain import DEFAULT_EFFORT, MOST_EFFORT, RetrainOptions, RetrainSummary, retrain
from flows.run_record import AsOf
from flows.score import ScoreOptions, score
from sentiment.gate.report import decision_markdown
from sentiment.scoring.score import ScoreReport


class PipelineOptions(FilesForm):
    """What to load and what to train on."""

    rows: int | None = Field(default=None, ge=100, description="Rows to train on. Empty: all.")
    effort: int = Field(
        default=DEFAULT_EFFORT, ge=1, le=MOST_EFFORT, description="How much work training does for each row."
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Seed of the training run.")
    as_of: AsOf = None


@dataclass(frozen=True)
class PipelineSummary:
    """What each part did."""

    ingest: IngestSummary
    retrain: RetrainSummary
    score: ScoreReport | None


def name_run() -> str:
    """Run names say what is trained on."""
    rows = flow_run.parameters["options"].rows
    return f"pipeline, {rows:,} rows" if rows else "pipeline, all rows"


@flow(flow_run_name=name_run)
def pipeline(options: PipelineOptions = PipelineOptions()) -> PipelineSummary:
    """Run the whole loop once."""
    files = options.model_dump(include=set(FilesForm.model_fields))
    loaded = ingest(IngestOptions(**files, as_of=options.as_of))
    log = get_run_logger()
    log.info("%s new tweets", f"{loaded.count_loaded:,}")
    trained = retrain(
        RetrainOptions(
            rows=options.rows,
            all_rows=options.rows is None,
            effort=options.effort,
            seed=options.seed,
            as_of=options.as_of,
        )
    )
    log.info("%s", headline(decision_markdown(trained.decision)))
    has_champion = trained.decision.is_champion or trained.decision.champion_version is not None
    scored = score(ScoreOptions(as_of=options.as_of)) if has_champion else None
    if scored is not None:
        log.info("%s", headline(score_markdown(scored)))
    return PipelineSummary(loaded, trained, scored)
