"""The ledger of predictions: every tweet once for a model version, whatever is killed and however often it runs.

What the version has not scored is copied to a Parquet shard under a short lock; the shard is scored without any lock, and
each chunk of predictions is committed by itself, leaving out what another run has scored meanwhile. So a kill costs at
most one chunk of work, and readers and writers wait for milliseconds. Memory is that of one chunk. When the champion has
scored every tweet, `published_model` flips to it and the views show its predictions alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl
import pyarrow.parquet as pq

from sentiment import clock
from sentiment.errors import InputError, NoChampionError
from sentiment.locks import operation_lock
from sentiment.registry.champion import known_champion, publish_if_complete
from sentiment.registry.client import Registry
from sentiment.settings import Home
from sentiment.warehouse.connection import writer

if TYPE_CHECKING:
    from sentiment.model.classifier import SentimentModel

CHUNK_ROWS = 100_000


@dataclass(frozen=True)
class ScoreReport:
    """What a scoring run did."""

    model_version: int
    count_scored: int
    count_tweets: int
    is_complete: bool
    is_published: bool
    seconds: float


def score(
    home: Home,
    registry: Registry,
    *,
    run_id: str,
    model_version: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    chunk_rows: int = CHUNK_ROWS,
    on_progress: Callable[[int, int], None] | None = None,
) -> ScoreReport:
    """Score every tweet that a version has not scored.

    Args:
        run_id: written beside each prediction.
        model_version: the champion unless given.
        since, until: just the tweets that were posted from `since` on and before `until`; without a zone, UTC.
        on_progress: told how many tweets are scored, of how many.

    Raises:
        InputError: `since` is not before `until`.
        NoChampionError: there is no champion to score with.
        ModelError: the version does not exist or cannot be loaded.
    """
    began = time.perf_counter()
    champion = registry.champion()
    if model_version is None:
        if champion is None:
            with writer(home) as warehouse:
                known_champion(registry, warehouse)
            raise NoChampionError("There is no champion to score with. Train one first: sentiment retrain")
        model_version = champion.model_version
    registry.version(model_version)
    if since is not None and until is not None and clock.in_utc(since) >= clock.in_utc(until):
        raise InputError(f"Asked for tweets from {since} on and before {until}: there are none. Swap the two.")
    wanted = {
        "model_version": model_version,
        "since": since and clock.in_utc(since),
        "until": until and clock.in_utc(until),
    }
    shard = home.work / f"unscored-{model_version}.parquet"
    count_scored = 0
    model: SentimentModel | None = None
    with operation_lock(home, "score"):
        while True:
            with writer(home) as warehouse:
                pending = warehouse.value("steps/scoring/count_unscored", **wanted)
                if pending:
                    warehouse.run("steps/scoring/export_unscored", **wanted, path=str(shard))
            if not pending:
                break
            model = model or registry.load(model_version)
            before = count_scored

            def report(done: int, before: int = before, pending: int = pending) -> None:
                if on_progress is not None:
                    on_progress(before + done, before + pending)

            count_scored += _score_shard(home, model, shard, model_version, run_id, chunk_rows, report)
            shard.unlink()
            if count_scored == before:
                # All of it was forgotten or changed while it was scored; the next run sees what is left.
                break
        with writer(home) as warehouse, warehouse.transaction():
            count_tweets = warehouse.value("steps/warehouse/count_tweets")
            # Asked again: the alias may have moved while this was scoring.
            champion = registry.champion()
            is_complete = (
                warehouse.value("steps/scoring/count_unscored", model_version=model_version, since=None, until=None)
                == 0
            )
            is_flipped = champion is not None and publish_if_complete(warehouse, champion.model_version)
            is_published = is_flipped and champion is not None and champion.model_version == model_version
    return ScoreReport(
        model_version, count_scored, count_tweets, is_complete, is_published, time.perf_counter() - began
    )


def predict_frame(model: SentimentModel, frame: pl.DataFrame, count_labels: Literal[2, 3] = 3) -> pl.DataFrame:
    """Add `probability_positive` and `probability_neutral` (float32) and `label` to a frame with a `text` column.

    Args:
        count_labels: with 2 no label is neutral, and `probability_neutral` is null.
    """
    found = model.predict(frame["text"])
    neutral = found.probability_neutral if count_labels == 3 else [None] * len(frame)
    return frame.with_columns(
        probability_positive=pl.Series(found.probability_positive, dtype=pl.Float32),
        probability_neutral=pl.Series(neutral, dtype=pl.Float32),
        label=pl.Series(found.labels(count_labels), dtype=pl.String),
    )


def _score_shard(
    home: Home,
    model: SentimentModel,
    shard: Path,
    model_version: int,
    run_id: str,
    chunk_rows: int,
    on_progress: Callable[[int], None],
) -> int:
    count_scored = done = 0
    with pq.ParquetFile(shard) as file:
        for batch in file.iter_batches(chunk_rows):
            frame = pl.DataFrame(batch)
            scored = predict_frame(model, frame, home.settings.labels).drop("text")
            with writer(home) as warehouse, warehouse.transaction():
                count_scored += warehouse.load(
                    "steps/scoring/insert_predictions",
                    scored,
                    model_version=model_version,
                    run_id=run_id,
                    scored_at=clock.now(),
                ).item()
            done += len(frame)
            on_progress(done)
    return count_scored
