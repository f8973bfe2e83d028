"""The champion as the API needs it, read in MLflow's database itself: importing MLflow takes two seconds and 200 MB."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from sentiment.registry.names import CHAMPION, MODEL_DIGEST, TRAINING_KEY, RegisteredVersion
from sentiment.registry.store import damage_as_sentence, refuse_damaged_store
from sentiment.settings import Home
from sentiment.warehouse.session import read_sql

if TYPE_CHECKING:
    from sentiment.model.classifier import SentimentModel


@dataclass(frozen=True)
class ChampionFiles:
    """The champion, where its files are, and the metrics of the run that trained it."""

    version: RegisteredVersion
    files: Path
    digest: str | None
    metrics: dict[str, float]

    def load(self, name: str) -> SentimentModel:
        """Its weights.

        Args:
            name: of the registered model, for messages.

        Raises:
            ModelError: its files are missing or damaged.
        """
        from sentiment.model.classifier import SentimentModel
        from sentiment.registry.mlflow_format import whole_model

        return SentimentModel.load(
            whole_model(self.files, self.digest, f"version {self.version.model_version} of {name}")
        )


def find_champion(home: Home) -> ChampionFiles | None:
    """The champion, as `Registry.champion` finds it, in a millisecond. The store must exist.

    Raises:
        HomeError: the store is damaged.
    """
    store = home.mlflow / "mlflow.db"
    refuse_damaged_store(store)
    names = {"name": home.settings.model_name, "alias": CHAMPION}
    with damage_as_sentence(store), closing(sqlite3.connect(store, timeout=60)) as database:
        row = database.execute(read_sql("stores/select_champion_files"), names).fetchone()
    if row is None:
        return None
    number, run_id, address = row[:3]
    tags, metrics = map(json.loads, row[3:])
    version = RegisteredVersion(int(number), run_id or "", tags.get(TRAINING_KEY, ""))
    return ChampionFiles(version, Path(url2pathname(urlsplit(address).path)), tags.get(MODEL_DIGEST), metrics)
