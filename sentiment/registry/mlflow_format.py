"""A model in MLflow's own format: what `mlflow.pyfunc.log_model` writes, without its process-wide state."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from sentiment import model
from sentiment.errors import ModelError
from sentiment.warehouse.seals import digest_of_file

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel

    from sentiment.model.classifier import SentimentModel

# What the model needs where it is loaded, besides the copied code.
REQUIREMENTS = ("torch", "polars", "numpy", "numba", "safetensors", "pydantic", "pandas", "mlflow")


def write_mlflow_model(folder: Path, trained: SentimentModel, logged: LoggedModel) -> str:
    """Write a model into `folder/logged`.

    Args:
        logged: the entry in MLflow's store that the files will belong to.

    Returns:
        the digest of the model's files.
    """
    from mlflow.models import Model, ModelSignature
    from mlflow.pyfunc import save_model
    from mlflow.types import ColSpec, Schema

    trained.save(folder / "model")
    target = folder / "logged"
    outputs = [("string", "label"), ("double", "probability_positive"), ("double", "probability_neutral")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_model(
            path=str(target),
            mlflow_model=Model(
                artifact_path=logged.artifact_location,
                model_uuid=logged.model_id,
                run_id=logged.source_run_id,
                model_id=logged.model_id,
            ),
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            # In a bare path MLflow takes # and % for parts of an address.
            artifacts={"model": (folder / "model").as_uri()},
            code_paths=[str(_copy_model_code(folder))],
            pip_requirements=[f"{name}=={_public_version(name)}" for name in requirements(trained)],
            signature=ModelSignature(
                inputs=Schema([ColSpec("string")]), outputs=Schema([ColSpec(kind, name) for kind, name in outputs])
            ),
        )
    for compiled in target.rglob("__pycache__"):
        shutil.rmtree(compiled)
    return digest_of_model(target / "artifacts" / "model")


def requirements(trained: SentimentModel) -> list[str]:
    """Distributions that the model needs where it is loaded; of a custom module those that its source imports."""
    if trained.custom is None:
        return list(REQUIREMENTS)
    distributions = importlib.metadata.packages_distributions()
    needed = {name for module in trained.custom.imported_packages() for name in distributions.get(module, ())}
    return [*REQUIREMENTS, *sorted(needed - {*REQUIREMENTS, "sentiment"})]


def digest_of_model(folder: Path) -> str:
    """SHA-256 over the names and bytes of all files in a folder; 0.1 s for 70 MB."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = bytes.fromhex(digest_of_file(path))
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + content)
    return digest.hexdigest()


def whole_model(files: Path, digest: str | None, name: str) -> Path:
    """The folder of a version's weights and configuration, as they were registered.

    Args:
        digest: of the files; None for versions of earlier releases.

    Raises:
        ModelError: they are missing or damaged.
    """
    folder = files / "artifacts" / "model"
    # Nobody would notice a flipped bit in the weights.
    if digest is not None and digest_of_model(folder) != digest:
        raise ModelError(
            f"The files of {name} in {folder} are damaged: they are not those that were registered. "
            "Restore them from a backup, or go back with `sentiment rollback`."
        )
    return folder


def _copy_model_code(folder: Path) -> Path:
    """Copy the model's package under another name: it must not shadow this project where both are installed."""
    package = folder / "sentiment_model"
    shutil.copytree(Path(model.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


def _public_version(package: str) -> str:
    """The installed version without a local part such as `+cpu`, which no index has."""
    return importlib.metadata.version(package).partition("+")[0]
