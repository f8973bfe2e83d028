"""Flow `score`: predicts every tweet that the champion has not scored, and publishes the snapshot; hourly and after ingest."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger
from prefect.runtime import deployment, flow_run
from pydantic import BaseModel, Field

from flows.artifacts import headline, links, score_markdown
from flows.progress import Step
from flows.run_record import AsOf, is_busy, recorded_run, say_waiting
from sentiment.errors import NoChampionError
from sentiment.registry.client import Registry
from sentiment.scoring import score as scoring
from sentiment.scoring.score import CHUNK_ROWS, ScoreReport, Selection
from sentiment.settings import open_home


class ScoreOptions(BaseModel):
    """Which tweets to score, with which version."""

    model_version: int | None = Field(default=None, ge=1, description="Version to score with. Empty: the champion.")
    since: datetime | None = Field(default=None, description="Only tweets posted at or after this time. Empty: all.")
    until: datetime | None = Field(default=None, description="Only tweets posted before this time. Empty: all.")
    chunk_rows: int = Field(
        default=CHUNK_ROWS, ge=1_000, le=1_000_000, description="Tweets committed at a time: what a kill can cost."
    )
    scheduler: str | None = Field(
        default=None,
        pattern=r"^(tcp|tls)://[^\s/]+:\d+$",
        description="Dask scheduler whose workers score, e.g. tls://scheduler:8786. Empty: what SENTIMENT_SCHEDULER names.",
    )
    as_of: AsOf = None


def name_run() -> str:
    """Run names say who scores."""
    options = flow_run.parameters["options"]
    who = f"version {options.model_version}" if options.model_version else "the champion"
    since = f" from {options.since:%Y-%m-%d}" if options.since else ""
    return f"score with {who}{since}" + (f" to {options.until:%Y-%m-%d}" if options.until else "")


@flow(flow_run_name=name_run)
def score(options: ScoreOptions = ScoreOptions()) -> ScoreReport | None:
    """Score each tweet once, then show the champion's predictions to readers."""
    try:
        return score_and_publish(options)
    except NoChampionError as error:
        if deployment.id is None:
            raise
        # On a schedule, before the first model, there is nothing to fix.
        get_run_logger().info("%s", error)
        return None


def score_and_publish(options: ScoreOptions) -> ScoreReport:
    """Score, record the run, and report the result."""
    with recorded_run("score", options.as_of) as run:
        report = predict(options, run.run_id)
        run.count_rows = report.count_scored
        text = score_markdown(report)
        run.outcome = headline(text)
    text += links(open_home(), "/", model_version=report.model_version)
    create_markdown_artifact(text, key="score", description="What was scored and what people read now")
    return report


@task(
    task_run_name="predict tweets that have no prediction",
    retries=3,
    retry_delay_seconds=10,
    retry_condition_fn=is_busy,
)
def predict(options: ScoreOptions, run_id: str) -> ScoreReport:
    """Score the tweets that have no prediction, chunk by chunk."""
    home = open_home(say_waiting)
    if options.scheduler is not None:
        home = replace(home, settings=home.settings.model_copy(update={"scheduler": options.scheduler}))
    return scoring.score(
        home,
        Registry(home),
        run_id=run_id,
        selection=Selection(options.model_version, options.since, options.until),
        chunk_rows=options.chunk_rows,
        on_progress=Step("score"),
    )
