"""Flow `profile`: what the tweets look like as a whole, as a page, as figures in SQL and in the UI; weekly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact

from flows.artifacts import headline, links
from flows.progress import Step
from flows.run_record import is_busy, recorded_run, say_waiting
from sentiment.monitoring import profile as profiling
from sentiment.monitoring.profile import Figures
from sentiment.settings import open_home
from sentiment.warehouse.snapshot import publish


@dataclass(frozen=True)
class ProfileSummary:
    """The findings, and the page that shows them."""

    page: Path
    count_tweets: int
    findings: list[str]


@flow(flow_run_name="profile of all tweets")
def profile() -> ProfileSummary:
    """Measure all tweets, keep the figures in SQL, and write the page."""
    home = open_home()
    with recorded_run("profile") as run:
        figures = measure()
        page = profiling.write_page(home.reports / "profile.html", figures)
        count_tweets = int(figures.value("rows", "tweets", "count_rows"))
        text = profiling.profile_markdown(figures, page)
        run.count_rows = count_tweets
        run.outcome = headline(text)
    text += links(home, "/topics")
    create_markdown_artifact(text, key="profile", description="What the tweets look like as a whole")
    return ProfileSummary(page, count_tweets, profiling.findings(figures))


@task(task_run_name="measure all tweets", retries=3, retry_delay_seconds=10, retry_condition_fn=is_busy)
def measure() -> Figures:
    """Measure on a fresh snapshot, and keep the figures."""
    home = open_home(say_waiting)
    publish(home)
    figures = profiling.measure(home, on_progress=Step("profile"))
    profiling.keep(home, figures)
    return figures
