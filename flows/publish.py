"""Flow `publish`: the published tables into another database, such as PostgreSQL; by hand, or on a schedule of yours."""

from __future__ import annotations

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run
from pydantic import BaseModel, Field

from flows.artifacts import headline, target_markdown
from flows.progress import Step
from flows.run_record import is_busy, recorded_run, say_waiting
from sentiment.publish import TargetReport, check_address, publish_to
from sentiment.settings import open_home
from sentiment.warehouse import snapshot


class PublishOptions(BaseModel):
    """Where to publish."""

    to: str = Field(
        description="SQLAlchemy address of the database, such as postgresql+psycopg://user@host/database. Never with a "
        "password: that is taken from ~/.pgpass or PGPASSWORD on the worker. Or `delta:///folder` for a Delta table, "
        "`parquet:///folder` for Parquet files by day."
    )
    schema_name: str | None = Field(
        default=None, pattern=r"^\w+$", description="Schema of the tables there. Empty: `sentiment` in PostgreSQL."
    )


def name_run() -> str:
    """Run names say where to."""
    return f"publish to {check_address(flow_run.parameters['options'].to).host or 'a file'}"


@flow(flow_run_name=name_run)
def publish(options: PublishOptions) -> TargetReport:
    """Bring another database to the state of the snapshot; readers there see the old state or the new one."""
    check_address(options.to)
    with recorded_run("publish") as run:
        report = send(options)
        run.count_rows = report.count_written
        text = target_markdown(report)
        run.outcome = headline(text)
    create_markdown_artifact(text, key="publish", description="What was sent to another database")
    return report


@task(task_run_name="send what changed", retries=3, retry_delay_seconds=10, retry_condition_fn=is_busy)
def send(options: PublishOptions) -> TargetReport:
    """Publish the snapshot, then send it."""
    home = open_home(say_waiting)
    snapshot.publish(home)
    return publish_to(
        home,
        options.to,
        schema=options.schema_name,
        on_progress=Step("send rows"),
    )
