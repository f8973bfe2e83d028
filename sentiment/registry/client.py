"""The only module that talks to MLflow: runs, registered versions, the champion alias.

The store is a SQLite file and a folder in the home; no server is needed. The alias in MLflow decides who is
champion; `sentiment.registry.history` records in the warehouse what it sees here. MLflow and torch take 2 s each to
import: the one is imported when a registry is opened, the other when a model is loaded.

Every call names its store. MLflow's own default, which is one for the whole process, is neither used nor set, so several
registries can be open at once. The environment is the process's (`sentiment.registry.environment`).
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from sentiment.errors import ModelError
from sentiment.registry.environment import import_mlflow
from sentiment.registry.mlflow_format import whole_model, write_mlflow_model
from sentiment.registry.names import (
    CHALLENGER,
    CHAMPION,
    EXPERIMENT_TAGS,
    FED_ROWS,
    MODEL_DESCRIPTION,
    MODEL_DIGEST,
    PREVIOUS,
    REFERENCE_PREDICTIONS,
    TRAINING_KEY,
    RegisteredVersion,
    digest_tag,
)
from sentiment.registry.store import create_store, flush_artifacts, purge_runs, refuse_damaged_store
from sentiment.settings import Home
from sentiment.warehouse.connection import translated_errors
from sentiment.warehouse.locks import operation_lock
from sentiment.warehouse.seals import digest_of_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from sentiment.model.classifier import SentimentModel

EXPERIMENT = "retrain"
_SECONDS_BETWEEN_SYSTEM_METRICS = 5


class Registry:
    """The home's model registry."""

    def __init__(self, home: Home, *, read_only: bool = False) -> None:
        """Open the registry, creating it when the home is new.

        Args:
            read_only: create nothing, wait for nobody, and notice when the store's file is replaced. The store must exist.

        Raises:
            HomeError: the home cannot be written, the disk is full, or MLflow's database is damaged.
        """
        mlflow = import_mlflow()
        self.home = home
        self.name = home.settings.model_name
        self.uri = home.mlflow_store
        if read_only:
            refuse_damaged_store(home.mlflow / "mlflow.db")
            self.client: MlflowClient = mlflow.MlflowClient(self.uri, self.uri)
            return
        # If two processes create the store at once, one of them fails.
        with operation_lock(home, "mlflow"), translated_errors(home):
            create_store(home)
            self.client = mlflow.MlflowClient(self.uri, self.uri)
            experiment = self.client.get_experiment_by_name(EXPERIMENT)
            self.experiment_id: str = (
                experiment.experiment_id
                if experiment is not None
                else self.client.create_experiment(
                    EXPERIMENT, artifact_location=(home.mlflow / "artifacts").as_uri(), tags=EXPERIMENT_TAGS
                )
            )

    def champion(self) -> RegisteredVersion | None:
        """The version that the alias points to, or None."""
        from mlflow.exceptions import MlflowException

        try:
            return _registered(self.client.get_model_version_by_alias(self.name, CHAMPION))
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def version(self, model_version: int) -> RegisteredVersion:
        """A version by its number.

        Raises:
            ModelError: there is no such version.
        """
        from mlflow.exceptions import MlflowException

        try:
            return _registered(self.client.get_model_version(self.name, str(model_version)))
        except MlflowException as error:
            raise self._missing(model_version) from error

    def find(self, training_key: str) -> RegisteredVersion | None:
        """The version that was trained on the same rows with the same config and seed."""
        found = self.client.search_model_versions(f"name = '{self.name}' and tags.{TRAINING_KEY} = '{training_key}'")
        return min(map(_registered, found), key=lambda version: version.model_version, default=None)

    @contextmanager
    def training_run(self, training_key: str, run_name: str) -> Iterator[str]:
        """Start a run that records its use of processor, memory, disk and network. Killed runs of the same key are marked
        as killed.

        Yields:
            the run's id.

        Raises:
            ModelError: somebody deleted the experiment in MLflow.
        """
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        self._refuse_deleted_experiment()
        # The key is a digest of our own, never a user's text.
        query = f"tags.{TRAINING_KEY} = '{training_key}' and attributes.status = 'RUNNING'"
        for run in self.client.search_runs([self.experiment_id], query):
            self.client.set_terminated(run.info.run_id, "KILLED")
        created = self.client.create_run(self.experiment_id, run_name=run_name, tags={TRAINING_KEY: training_key})
        run_id: str = created.info.run_id
        monitor: Any = SystemMetricsMonitor(  # type: ignore[no-untyped-call]
            run_id, sampling_interval=_SECONDS_BETWEEN_SYSTEM_METRICS, tracking_uri=self.uri
        )
        monitor.start()
        status = "FAILED"
        try:
            yield run_id
            status = "FINISHED"
        finally:
            monitor.finish()
            self.client.set_terminated(run_id, status)

    def _refuse_deleted_experiment(self) -> None:
        experiment = self.client.get_experiment(self.experiment_id)
        if experiment.lifecycle_stage == "deleted":
            command = f"{sys.executable} -m mlflow experiments restore --experiment-id {self.experiment_id}"
            raise ModelError(
                f"The experiment `{EXPERIMENT}` was deleted in MLflow, so no run can be recorded in it. "
                f"Restore it: MLFLOW_TRACKING_URI={shlex.quote(self.uri)} {command}"
            )

    def register(
        self, run_id: str, training_key: str, model: SentimentModel, files: Mapping[str, Path], tags: Mapping[str, str]
    ) -> RegisteredVersion:
        """Log the model and its files, and register the version in one step.

        Args:
            files: artifacts of the run by name, e.g. the list of fed rows.
            tags: searchable tags of the version.
        """
        from mlflow.entities import LoggedModelOutput

        digests = {digest_tag(name): digest_of_file(path) for name, path in files.items()}
        for name, path in files.items():
            with tempfile.TemporaryDirectory(dir=self.home.work) as folder:
                renamed = shutil.copy(path, Path(folder) / name)
                self.log_file(run_id, Path(renamed))
        with tempfile.TemporaryDirectory(dir=self.home.work) as folder:
            parameters = dict(self.client.get_run(run_id).data.params)
            logged = self.client.create_logged_model(
                self.experiment_id, "model", source_run_id=run_id, params=parameters
            )
            digest = write_mlflow_model(Path(folder), model, logged)
            self.client.log_model_artifacts(logged.model_id, str(Path(folder) / "logged"))
        flush_artifacts(logged.artifact_location)
        self.client.finalize_logged_model(logged.model_id, "READY")
        self.client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        if not (found := self.client.search_registered_models(f"name = '{self.name}'")):
            self.client.create_registered_model(self.name, description=MODEL_DESCRIPTION)
        elif not found[0].description:  # A text of the home's own stays.
            self.client.update_registered_model(self.name, MODEL_DESCRIPTION)
        return _registered(
            self.client.create_model_version(
                self.name,
                source=logged.artifact_location,  # MLflow would look up `models:/…` in its default store.
                run_id=run_id,
                model_id=logged.model_id,
                # MLflow's pages list them in this order.
                tags={**tags, TRAINING_KEY: training_key, MODEL_DIGEST: digest, **digests},
            )
        )

    def log(
        self, run_id: str, *, parameters: Mapping[str, Any] | None = None, metrics: Mapping[str, float] | None = None
    ) -> None:
        """Log parameters and final metrics of a run in one call."""
        from mlflow.entities import Metric, Param

        now = int(time.time() * 1000)
        self.client.log_batch(
            run_id,
            metrics=[Metric(key, float(value), now, 0) for key, value in (metrics or {}).items()],
            params=[Param(key, str(value)) for key, value in (parameters or {}).items()],
        )

    def log_curve(self, run_id: str, curve: Sequence[Mapping[str, float]], step: str) -> None:
        """Log the training curve: one metric a key of its points, against the point's `step`."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(f"curve_{key}", float(value), now, int(point[step]))
            for point in curve
            for key, value in point.items()
            if key != step
        ]
        self.client.log_batch(run_id, metrics=metrics)

    def log_dataset(self, run_id: str, rows: int, *, digest: str, source: Path) -> None:
        """Log the training subset as an MLflow dataset: source, digest and size."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(
            name=f"tweets, first {rows:,} rows",
            digest=digest[:36],
            source_type="local",
            source=json.dumps({"uri": source.as_uri()}),
            profile=json.dumps({"num_rows": rows}),
        )
        self.client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])

    def metrics(self, version: RegisteredVersion) -> dict[str, float]:
        """Final metrics of the run that trained a version."""
        return dict(self.client.get_run(version.run_id).data.metrics)

    def tag_version(self, model_version: int, tags: Mapping[str, str], description: str | None = None) -> None:
        """Set searchable tags, and the description people read, on a version."""
        for key, value in tags.items():
            self.client.set_model_version_tag(self.name, str(model_version), key, value)
        if description is not None:
            self.client.update_model_version(self.name, str(model_version), description)

    def log_file(self, run_id: str, path: Path) -> None:
        """Keep a file with the run, under its own name."""
        self.client.log_artifact(run_id, str(path))
        flush_artifacts(self.client.get_run(run_id).info.artifact_uri)

    def log_picture(self, run_id: str, png: bytes, name: str) -> None:
        """Keep a picture with the run."""
        with tempfile.TemporaryDirectory(dir=self.home.work) as folder:
            path = Path(folder) / name
            path.write_bytes(png)
            self.log_file(run_id, path)

    def log_text(self, run_id: str, text: str, name: str) -> None:
        """Keep a text with the run."""
        self.client.log_text(run_id, text, name)
        flush_artifacts(self.client.get_run(run_id).info.artifact_uri)

    def set_champion(self, model_version: int) -> None:
        """Move the alias; `previous` then names the champion before, and `challenger` no longer this version."""
        aliases = {name: int(to) for name, to in self.client.get_registered_model(self.name).aliases.items()}
        self.client.set_registered_model_alias(self.name, CHAMPION, str(model_version))
        if aliases.get(CHAMPION, model_version) != model_version:
            self.client.set_registered_model_alias(self.name, PREVIOUS, str(aliases[CHAMPION]))
        if aliases.get(CHALLENGER) == model_version:
            self.client.delete_registered_model_alias(self.name, CHALLENGER)

    def set_challenger(self, model_version: int) -> None:
        """Name the version that the gate judged last; for readers of MLflow's pages, nothing here depends on it."""
        self.client.set_registered_model_alias(self.name, CHALLENGER, str(model_version))

    def remove(self, model_versions: Sequence[int], *, dead_before: datetime) -> tuple[list[int], int]:
        """Delete versions with their runs and files, and failed or killed runs that started before a time.

        What people have deleted in MLflow's pages is removed for good as well, unless a registered version needs it.

        Returns:
            the versions that were deleted, and the number of other runs.
        """
        from mlflow.entities import ViewType

        there = {
            int(version.version): version for version in self.client.search_model_versions(f"name = '{self.name}'")
        }
        removed = [number for number in model_versions if number in there]
        # The time is a number of our own making, never a user's text.
        query = f"attributes.status != 'FINISHED' and attributes.start_time < {int(dead_before.timestamp() * 1000)}"
        found = self.client.search_runs([self.experiment_id], query)
        dead = {run.info.run_id for run in found} - {version.run_id for version in there.values()}
        # Keep a run while one of its versions is registered: its files list what the version was fed.
        needed = {version.run_id for number, version in there.items() if number not in removed}
        for run_id in dead | {there[number].run_id or "" for number in removed} - needed:
            self._delete_run(run_id)
        # After their runs: nobody would look for the run of a version that is gone.
        for number in removed:
            self.client.delete_model_version(self.name, str(number))
        deleted = self.client.search_runs([self.experiment_id], run_view_type=ViewType.DELETED_ONLY)
        if unused := [run.info.run_id for run in deleted if run.info.run_id not in needed]:
            purge_runs(self.home, unused)
        return removed, len(dead)

    def _delete_run(self, run_id: str) -> None:
        """Delete a run and its models, unless somebody has done it in MLflow's pages."""
        for logged in self.client.search_logged_models([self.experiment_id], f"source_run_id = '{run_id}'"):
            self.client.delete_logged_model(logged.model_id)
        if self.client.search_runs([self.experiment_id], f"attributes.run_id = '{run_id}'"):
            self.client.delete_run(run_id)

    def load(self, model_version: int) -> SentimentModel:
        """The weights of a version, straight from its files, where it scores many texts.

        Raises:
            ModelError: the version or its files are missing or damaged, or there is no GPU though one was asked for.
        """
        from sentiment.model.classifier import SentimentModel
        from sentiment.model.device import for_many_texts

        return for_many_texts(SentimentModel.load(self.model_files(model_version)), self.home.settings.device)

    def model_files(self, model_version: int) -> Path:
        """The folder of a version's weights and configuration, as they were registered.

        Raises:
            ModelError: the version or its files are missing or damaged.
        """
        files = self.files(model_version)
        tags = self.client.get_model_version(self.name, str(model_version)).tags
        return whole_model(files, tags.get(MODEL_DIGEST), f"version {model_version} of {self.name}")

    def files(self, model_version: int) -> Path:
        """The folder of a version's files, from which MLflow loads it.

        Raises:
            ModelError: the version or its files are missing.
        """
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        try:
            source = self.client.get_model_version_download_uri(self.name, str(model_version))
        except MlflowException as error:
            raise self._missing(model_version) from error
        try:
            return Path(download_artifacts(source, tracking_uri=self.uri, registry_uri=self.uri))
        except (MlflowException, OSError) as error:
            raise ModelError(
                f"The files of version {model_version} of {self.name} cannot be read ({error}). "
                "Restore them from a backup, or go back with `sentiment rollback`."
            ) from error

    def fed_rows(self, version: RegisteredVersion) -> Path | None:
        """The list of rows that a version was fed (`tweet_id`, `text_key`), or None when it is missing or damaged."""
        return self._run_file(version, FED_ROWS)

    def reference_predictions(self, version: RegisteredVersion) -> Path | None:
        """Ids of hold-out tweets and the probabilities that the model gave them right after training."""
        return self._run_file(version, REFERENCE_PREDICTIONS)

    def _run_file(self, version: RegisteredVersion, name: str) -> Path | None:
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        try:
            # Asked for the file alone, MLflow leaves a copy behind in the system's temporary folder each time.
            path = Path(download_artifacts(run_id=version.run_id, tracking_uri=self.uri)) / name
            pl.read_parquet_schema(path)
            registered = self.client.get_model_version(self.name, str(version.model_version))
            # Versions of earlier releases have no digest; a list loses it while rows are forgotten.
            expected = registered.tags.get(digest_tag(name)) if registered.run_id == version.run_id else None
            is_whole = expected is None or digest_of_file(path) == expected
        except (MlflowException, OSError, pl.exceptions.PolarsError):
            return None
        return path if is_whole else None

    def numbers(self) -> list[int]:
        """The numbers of all versions, in order."""
        found = self.client.search_model_versions(f"name = '{self.name}'")
        return sorted(int(version.version) for version in found)

    def _missing(self, model_version: int) -> ModelError:
        numbers = ", ".join(map(str, self.numbers())) or "none"
        return ModelError(
            f"There is no version {model_version} of {self.name}; found {numbers}. "
            "`sentiment history` names the champions so far."
        )


def _registered(version: ModelVersion) -> RegisteredVersion:
    return RegisteredVersion(int(version.version), version.run_id or "", version.tags.get(TRAINING_KEY, ""))
