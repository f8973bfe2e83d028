"""Flow `housekeeping`: removes what is no longer needed, by the rules of `sentiment.maintenance.retention`; daily."""

from __future__ import annotations

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.runtime import flow_run
from pydantic import BaseModel

from flows.artifacts import headline, housekeeping_markdown, links
from flows.progress import Step
from flows.run_record import AsOf, is_busy, recorded_run, say_waiting
from sentiment.maintenance.retention import HousekeepingReport, keep_house
from sentiment.registry.client import Registry
from sentiment.settings import open_home


class HousekeepingOptions(BaseModel):
    """The rules are fixed; only the time can be set."""

    as_of: AsOf = None


def name_run() -> str:
    """Run names say which day it is for the run."""
    as_of = flow_run.parameters["options"].as_of
    return f"housekeeping {as_of:%Y-%m-%d}" if as_of else "housekeeping"


@flow(flow_run_name=name_run)
def housekeeping(options: HousekeepingOptions = HousekeepingOptions()) -> HousekeepingReport:
    """Remove old predictions, refused versions, killed runs and leftovers; shrink the warehouse when much of it is free."""
    with recorded_run("housekeeping", options.as_of) as run:
        report = tidy_up()
        run.count_rows = sum(report.predictions.values())
        text = housekeeping_markdown(report)
        run.outcome = headline(text)
    text += links(open_home(), "/status")
    create_markdown_artifact(text, key="housekeeping", description="What was removed")
    return report


@task(
    name="tidy up",
    task_run_name="remove what is no longer needed",
    retries=3,
    retry_delay_seconds=60,
    retry_condition_fn=is_busy,
)
def tidy_up() -> HousekeepingReport:
    """Apply the rules."""
    home = open_home(say_waiting)
    Step("tidy up")(0)
    return keep_house(home, Registry(home))
