"""Spark: the snippets of docs/scale.md score as the model does, and it reads what `publish --to parquet://` writes.

Skipped where pyspark or Java is missing; neither is among the project's dependencies: `pip install pyspark`, and Java 17.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sentiment.model.classifier import SentimentModel
from sentiment.publish import publish_to
from sentiment.registry.client import Registry
from sentiment.scoring.score import score
from sentiment.settings import Home
from sentiment.warehouse.query import query
from sentiment.warehouse.snapshot import publish

pytestmark = pytest.mark.slow
TEXTS = ["glad1 and nothing else", "sad3 it is", "", "glad0 sad1 glad2"]


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """Spark on two cores of this machine."""
    pytest.importorskip("pyspark", reason="pyspark is not installed")
    if shutil.which("java") is None:
        pytest.skip("Java is not installed, which Spark needs")
    from pyspark.sql import SparkSession

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("PYSPARK_DRIVER_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        session = (
            SparkSession.builder.master("local[2]")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.sql.session.timeZone", "UTC")
            .getOrCreate()
        )
        yield session
        session.stop()


def snippets(repository: Path) -> dict[str, str]:
    """The snippets of docs/scale.md that score with Spark, by the function of Spark that each calls."""
    blocks = re.findall(r"```python\n(.*?)```", (repository / "docs/scale.md").read_text(), flags=re.DOTALL)
    names = ("spark_udf", "mapInArrow")
    return {name: block for name in names for block in blocks if name in block}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["spark_udf", "mapInArrow"])
def test_a_documented_snippet_scores_as_the_model_does(
    spark: Any, name: str, world: Home, registry: Registry, register: Callable, repository: Path, monkeypatch: Any
) -> None:
    register(20)
    registry.set_champion(1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", world.mlflow_store)
    rows = [(number, f"{text} {number}") for number, text in enumerate(TEXTS * 50)]
    names: dict[str, Any] = {"spark": spark, "tweets": spark.createDataFrame(rows, "tweet_id long, text string")}
    exec(snippets(repository)[name], names)
    found = sorted(map(tuple, names["scored"].select("tweet_id", "label", "probability_positive").collect()))

    model = SentimentModel.load(registry.model_files(1))
    predicted = model.predict(pl.Series([text for _, text in rows]))
    assert [(number, label) for number, label, _ in found] == list(enumerate(predicted.labels(3)))
    assert [probability for *_, probability in found] == pytest.approx(
        predicted.probability_positive.tolist(), abs=1e-6
    )


def test_spark_reads_what_is_published_by_day(
    spark: Any, world: Home, registry: Registry, register: Callable, tmp_path: Path
) -> None:
    register(20)
    registry.set_champion(1)
    score(world, registry, run_id="run")
    publish(world)
    publish_to(world, f"parquet://{tmp_path / 'scored_tweets'}")
    found = spark.read.parquet(str(tmp_path / "scored_tweets"))
    expected = query(world, "select tweet_id, text, label, posted_at::date as day from scored_tweets order by 1")
    assert [tuple(row) for row in found.select(*expected.columns).orderBy("tweet_id").collect()] == expected.rows()
