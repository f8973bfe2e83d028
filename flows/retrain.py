"""Flow `retrain`: trains on the next growing subset, and lets the gate decide whether it replaces the champion; weekly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event
from prefect.runtime import flow_run, task_run
from pydantic import BaseModel, Field

from flows.artifacts import headline, links
from flows.events import CHALLENGER_REFUSED, CHALLENGER_WAITS, CHAMPION_CHANGED, raise_alert
from flows.progress import Step
from flows.run_record import AsOf, is_busy, recorded_run, say_waiting
from sentiment.gate.decide import decide_on
from sentiment.gate.decision import Decision, Outcome
from sentiment.gate.report import decision_markdown, next_step, outlook_markdown
from sentiment.registry import subprocess_check
from sentiment.registry.champion import known_champion
from sentiment.registry.client import Registry
from sentiment.registry.names import RegisteredVersion
from sentiment.settings import Device, Home, open_home
from sentiment.training import versions
from sentiment.training.config import EFFORTS, TrainingConfig, TrainingJob
from sentiment.training.learning_curve import Outlook
from sentiment.training.subsets import Export, export, next_rung
from sentiment.training.versions import TrainedVersion, train_version
from sentiment.training.word_vectors import describe
from sentiment.warehouse.connection import writer
from sentiment.warehouse.locks import operation_lock

if TYPE_CHECKING:
    from sentiment.training.fit import Progress  # Imports torch, which takes 2 s.

DEFAULT_EFFORT, MOST_EFFORT = TrainingConfig().effort, max(EFFORTS)


class RetrainOptions(BaseModel):
    """The rows to train on, and how much work to do for each."""

    rows: int | None = Field(
        default=None, ge=100, description="Rows to train on, of the fixed subset order. Empty: the next growing subset."
    )
    until_flat: bool = Field(
        default=False,
        description="Go on from subset to subset until the forecast for the next one is no gain; gate only the last.",
    )
    all_rows: bool = Field(default=False, description="Train on all rows, instead of the next subset.")
    effort: int = Field(
        default=DEFAULT_EFFORT, ge=1, le=MOST_EFFORT, description="How much work training does for each row."
    )
    seed: int = Field(
        default=0, ge=0, le=2**31 - 1, description="Seed of the training run; the same seed gives the same weights."
    )
    word_vectors: Path | None = Field(
        default=None,
        description="Pretrained word vectors that the encoders start from, a file in GloVe's or fastText's text format on the "
        "worker's machine; for efforts with encoders.",
    )
    model: str | None = Field(
        default=None,
        description="Your own model besides n-grams and lexicon: my_package.my_module:build, or hf: and a folder or name of a "
        "Hugging Face model. Empty: SENTIMENT_MODEL, or this project's own.",
    )
    model_rows: int | None = Field(
        default=None,
        ge=1,
        description="Rows that your own model trains on, of both passes together, evenly spread; a slow one needs fewer. "
        "Empty: SENTIMENT_MODEL_ROWS, or all.",
    )
    device: Device | None = Field(
        default=None,
        description="Where to train: cpu, cuda, or auto, which takes a GPU for a model of your own if there is one. "
        "Empty: SENTIMENT_DEVICE.",
    )
    as_of: AsOf = None


@dataclass(frozen=True)
class RetrainSummary:
    """The result of a training and of the gate."""

    trained: TrainedVersion
    decision: Decision
    outlook: Outlook


def name_run() -> str:
    """Run names say what is trained on."""
    return f"retrain {trained_on(flow_run.parameters['options'])}"


def name_training() -> str:
    """The same, of the task."""
    return f"train on {trained_on(task_run.parameters['options'])}"


def trained_on(options: RetrainOptions) -> str:
    """The rows that a run trains on."""
    return f"{options.rows:,} rows" if options.rows else "all rows" if options.all_rows else "next subset"


@flow(flow_run_name=name_run)
def retrain(options: RetrainOptions = RetrainOptions()) -> RetrainSummary:
    """Train a challenger and let it face the champion; a refusal is a result, not a failure."""
    home = open_home(say_waiting)
    with (
        recorded_run("retrain", options.as_of) as run,
        operation_lock(home, "retrain"),
        subprocess_check.ending_unused(),
    ):
        snapshot = export_snapshot()
        trained = train(snapshot, options)
        outlook, picture = look_ahead(snapshot, trained)
        while options.until_flat and not outlook.is_flat:
            trained = train(snapshot, options)
            outlook, picture = look_ahead(snapshot, trained)
        decision = gate(snapshot, trained.version)
        run.count_rows = trained.count_train_rows
        report = decision_markdown(decision)
        run.outcome = headline(report)
    report += f"\n{outlook_markdown(outlook, picture)}{links_of(home, decision)}"
    create_markdown_artifact(report, key="decision", description="What the gate decided and why")
    if decision.outcome is Outcome.PROMOTED:
        emit_event(
            CHAMPION_CHANGED,
            {"prefect.resource.id": f"sentiment.model.{decision.model_version}"},
            payload={"model_version": decision.model_version},
        )
    elif decision.outcome is Outcome.AWAITS_APPROVAL:
        raise_alert(CHALLENGER_WAITS, run.outcome, model_version=decision.model_version)
    elif decision.outcome is Outcome.REFUSED:
        raise_alert(
            CHALLENGER_REFUSED,
            f"{run.outcome} What to do next: {next_step(decision.model_version, decision.verdict)}",
            model_version=decision.model_version,
        )
    return RetrainSummary(trained, decision, outlook)


def links_of(home: Home, decision: Decision) -> str:
    """The page of a decision, and the version that it is about."""
    version, champion = decision.model_version, decision.champion_version
    page = f"/models/{version}" if champion in (None, version) else f"/models/{version}-vs-{champion}"
    return links(home, page, model_version=version)


@task(
    name="export",
    task_run_name="freeze training and evaluation rows",
    retries=3,
    retry_delay_seconds=10,
    retry_condition_fn=is_busy,
)
def export_snapshot() -> Export:
    """Export the training rows and the hold-out, as they are now."""
    home = open_home(say_waiting)
    registry = Registry(home)
    with writer(home) as warehouse:
        known_champion(
            registry, warehouse
        )  # Fails now rather than after the training if the champion was deleted in MLflow.
        return export(warehouse, home)


@task(task_run_name=name_training)
def train(snapshot: Export, options: RetrainOptions) -> TrainedVersion:
    """Train and register, or reuse the version that was trained in the same way before."""
    home = open_home(say_waiting)
    if options.rows or options.all_rows:
        rows = options.rows or snapshot.count_train_rows
    else:
        with writer(home) as warehouse:
            rows = next_rung(warehouse.value("steps/warehouse/select_largest_subset"), snapshot.count_train_rows)
    model = options.model or home.settings.model
    step = Step(f"train on {rows:,} rows")

    def show(progress: Progress) -> None:
        step(progress.rows_done, progress.rows_total, progress.current_pass)
        if progress.is_nearly_done:
            subprocess_check.start_ahead()  # The gate asks it soon.

    return train_version(
        home,
        Registry(home),
        snapshot,
        TrainingJob(
            rows=rows,
            config=config_of(options, model, home.settings.model_rows),
            seed=options.seed,
            word_vectors=options.word_vectors,
            device=options.device or home.settings.device,
            model=model,
        ),
        on_progress=show,
    )


def config_of(options: RetrainOptions, model: str | None, usual_model_rows: int | None) -> TrainingConfig:
    """What identifies a training, besides rows and seed."""
    custom, custom_rows = None, options.model_rows
    if model:
        from sentiment.training.custom import describe as describe_model  # Imports torch, which takes 2 s.

        custom, custom_rows = describe_model(model), options.model_rows or usual_model_rows
    return TrainingConfig(
        effort=options.effort,
        vectors=options.word_vectors and describe(options.word_vectors),
        custom=custom,
        custom_rows=custom_rows,
    )


@task(name="look ahead", task_run_name="forecast what more data brings")
def look_ahead(snapshot: Export, trained: TrainedVersion) -> tuple[Outlook, bytes]:
    """Forecast what the next subset should bring, and draw the curve."""
    home = open_home(say_waiting)
    return versions.look_ahead(home, Registry(home), snapshot, trained)


@task(task_run_name="judge version {challenger.model_version}")
def gate(snapshot: Export, challenger: RegisteredVersion) -> Decision:
    """Compare with the champion on the same rows, record the verdict, and move the alias if it passed."""
    home = open_home(say_waiting)
    Step("gate")(0)
    return decide_on(home, Registry(home), snapshot, challenger)
