"""A home from Python: `sentiment.open("var")` gives its tweets, predictions and labels as polars frames.

Reading takes the published snapshot and never waits for a run. Predicting and explaining load the champion once, in two
seconds. Correcting writes as `sentiment correct` does. Every frame becomes a pandas one with `.to_pandas()`.
"""

from __future__ import annotations

import functools
import getpass
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl

from sentiment.errors import HomeError, InputError, NoChampionError
from sentiment.ingest.corrections import CorrectionReport
from sentiment.ingest.corrections import correct as write_corrections
from sentiment.settings import Home, load_settings
from sentiment.warehouse.connection import reader
from sentiment.warehouse.query import query
from sentiment.warehouse.snapshot import publish

if TYPE_CHECKING:
    from sentiment.model.classifier import SentimentModel

MOST_ROWS = 2**62


class Workspace:
    """An open home; see `sentiment.open`."""

    def __init__(self, home: Home) -> None:
        self.home = home

    def tweets(
        self,
        contains: str | None = None,
        *,
        since: date | datetime | str | None = None,
        until: date | datetime | str | None = None,
        user: str | None = None,
        label: Literal["negative", "neutral", "positive"] | None = None,
        limit: int | None = None,
    ) -> pl.DataFrame:
        """Tweets with the published prediction, newest first: the columns of the view `scored_tweets`.

        Args:
            contains: a part of the text; case is ignored.
            since: the first moment or day, in UTC.
            until: the first moment or day that is left out.
            label: what is predicted.
            limit: rows at most; all unless given.

        Raises:
            HomeError: nothing has been published yet.
        """
        with reader(self.home, may_spill=True) as snapshot:
            return snapshot.frame(
                "steps/workspace/select_tweets",
                contains=contains,
                since=None if since is None else str(since),
                until=None if until is None else str(until),
                user=user,
                label=label,
                most=MOST_ROWS if limit is None else limit,
            )

    def daily(self) -> pl.DataFrame:
        """The view `daily_sentiment`: counts and shares of the published predictions by day, in UTC.

        Raises:
            HomeError: nothing has been published yet.
        """
        with reader(self.home) as snapshot:
            return snapshot.frame("steps/workspace/select_daily")

    def sql(self, statement: str) -> pl.DataFrame:
        """The answer to a query on the published tables and views (docs/tables.md).

        Raises:
            HomeError: nothing has been published yet.
            InputError: the query is not valid; the message holds DuckDB's explanation.
        """
        return query(self.home, statement)

    def predict(self, texts: Sequence[str]) -> pl.DataFrame:
        """Predict texts with the champion: columns `text`, `label` and `probability_positive`, in their order.

        Raises:
            NoChampionError: there is no champion yet.
            InputError: a single text is given instead of a list.
        """
        if isinstance(texts, str):
            raise InputError("Expected a list of texts, found one text. Write predict([text]).")
        found = self._champion.predict(list(texts))
        labels = found.labels(self.home.settings.labels).tolist()
        return pl.DataFrame(
            {"text": list(texts), "label": labels, "probability_positive": found.probability_positive},
            schema={"text": pl.String, "label": pl.String, "probability_positive": pl.Float32},
        )

    def explain(self, text: str) -> pl.DataFrame:
        """The words of a text and what each adds to the champion's logit: columns `token` and `contribution`.

        Raises:
            NoChampionError: there is no champion yet.
        """
        from sentiment.model.explanation import explain

        schema = {"token": pl.String, "contribution": pl.Float64}
        return pl.DataFrame(explain(self._champion, text), schema=schema, orient="row")

    def correct(self, labels: Mapping[int, str], *, by: str | None = None) -> CorrectionReport:
        """Give tweets the labels that people say are right, and publish; the newest correction of a tweet counts.

        Args:
            labels: `negative`, `neutral` or `positive` by tweet id.
            by: who says so; the user of this process unless given.

        Raises:
            BusyError, HomeError: the warehouse cannot be written now.
        """
        rows = {"tweet_id": [str(key) for key in labels], "label": list(labels.values())}
        given = pl.DataFrame(rows, schema={"tweet_id": pl.String, "label": pl.String})
        report = write_corrections(self.home, given, corrected_by=by or getpass.getuser())
        publish(self.home)
        return report

    @functools.cached_property
    def _champion(self) -> SentimentModel:
        from sentiment.registry.client import Registry

        missing = NoChampionError("There is no champion yet. Train one: sentiment retrain")
        if not (self.home.mlflow / "mlflow.db").exists():
            raise missing
        registry = Registry(self.home, read_only=True)
        champion = registry.champion()
        if champion is None:
            raise missing
        return registry.load(champion.model_version)

    def __repr__(self) -> str:
        return f"sentiment.open({str(self.home.root)!r})"


def open_workspace(home: str | Path | None = None) -> Workspace:
    """Open a home that is there; nothing is created.

    Raises:
        HomeError: there is none.
    """
    settings = load_settings()
    root = (Path(home).expanduser() if home is not None else settings.home).absolute()
    if not root.is_dir():
        raise HomeError(
            f"There is no home {root}. Start with `sentiment ingest PATH`, or name the folder of another one."
        )
    return Workspace(Home(root, settings))
