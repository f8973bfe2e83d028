"""Flow `monitor`: measures each day's tweets, reports what is unusual, and requests a retrain when they drift; daily."""

from __future__ import annotations

import shutil
from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger
from prefect.runtime import deployment, flow_run
from pydantic import BaseModel, Field

from flows.artifacts import headline, links
from flows.events import DATA_LATE, DISK_LOW, DRIFT_FOUND, VOLUME_CHANGED, raise_alert
from flows.run_record import AsOf, is_busy, recorded_run, say_waiting
from sentiment import clock
from sentiment.monitoring import daily
from sentiment.monitoring.daily import MonitorReport
from sentiment.monitoring.report import alarm_sentence, monitor_markdown, write_html
from sentiment.settings import open_home


class MonitorOptions(BaseModel):
    """Which days to measure, and what counts as late."""

    days: int = Field(
        default=7,
        ge=1,
        le=31,
        description="How many days back late tweets are looked for; a first run measures as many.",
    )
    late_after_days: int = Field(
        default=1, ge=0, le=365, description="Days without tweets that are usual; more are late data."
    )
    least_tweets: int = Field(
        default=100, ge=1, le=1_000_000, description="A day with fewer tweets is counted and not judged."
    )
    least_free_mb: int = Field(
        default=5_000, ge=0, le=10**9, description="Free disk space in MiB below which somebody should know."
    )
    as_of: AsOf = None


def name_run() -> str:
    """Run names say which day it is for the run."""
    as_of = flow_run.parameters["options"].as_of
    return f"monitor {as_of:%Y-%m-%d}" if as_of else "monitor"


@flow(flow_run_name=name_run)
def monitor(options: MonitorOptions = MonitorOptions()) -> MonitorReport | None:
    """Measure the new days, write them to `monitoring`, and send alerts."""
    home = open_home()
    if deployment.id is not None and not home.published.exists():
        # On a schedule, before the first file, there is nothing to look at.
        get_run_logger().info("Nothing has been published yet.")
        return None
    with recorded_run("monitor", options.as_of) as run:
        report = measure(options)
        page = write_html(home, report, clock.now().date())
        text = monitor_markdown(report, page)
        run.count_rows = len(report.rows)
        run.outcome = headline(text)
    text += links(home, "/status")
    create_markdown_artifact(text, key="monitor", description="What the newest days look like")
    tell(report)
    warn_of_full_disk(home.root, options.least_free_mb)
    return report


@task(
    name="measure",
    task_run_name="measure the newest days",
    retries=3,
    retry_delay_seconds=10,
    retry_condition_fn=is_busy,
)
def measure(options: MonitorOptions) -> MonitorReport:
    """Compare each new day with the weeks before it."""
    home = open_home(say_waiting)
    return daily.monitor(
        home,
        days=options.days,
        late_after_days=options.late_after_days,
        least_tweets=options.least_tweets,
    )


def tell(report: MonitorReport) -> None:
    """Send an event for each new alarm, and one for all drift, which requests a retrain."""
    for alarm in report.alarms:
        if not alarm.is_drift:
            kind = DATA_LATE if alarm.measure == "delay_days" else VOLUME_CHANGED
            raise_alert(kind, alarm_sentence(alarm, report.words), day=str(alarm.day), value=alarm.value)
    if drift := [alarm for alarm in report.alarms if alarm.is_drift]:
        text = "\n".join(alarm_sentence(alarm, report.words) for alarm in drift)
        raise_alert(DRIFT_FOUND, text, day=str(drift[-1].day), measures=[alarm.measure for alarm in drift])


def warn_of_full_disk(root: Path, least_free_mb: int) -> None:
    """Raise an alert while there is still time to act."""
    free = shutil.disk_usage(root).free >> 20
    if free < least_free_mb:
        raise_alert(
            DISK_LOW,
            f"The disk that holds {root} has {free:,} MiB free, fewer than {least_free_mb:,}. Free some space: "
            "`sentiment status` says what the home takes.",
            free_mb=free,
        )
