"""What a person says of a tweet that the review queue showed: a correction like any other, and how the tweet was chosen."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from sentiment.errors import InputError
from sentiment.ingest.corrections import write_corrections
from sentiment.settings import Home
from sentiment.warehouse.connection import writer


@dataclass(frozen=True)
class Review:
    """One tweet that was shown; `label` is None when it was skipped, `queue` as in the table `reviews`."""

    tweet_id: int
    queue: str
    label: str | None
    reviewed_by: str


def record(home: Home, review: Review) -> None:
    """Write a review and, unless the tweet was skipped, the label as a correction: both or neither.

    Raises:
        InputError: there is no such tweet, or the label is none.
        BusyError, HomeError: as `warehouse.writer`.
    """
    with writer(home) as warehouse, warehouse.transaction():
        if review.label is not None:
            given = pl.DataFrame({"tweet_id": [str(review.tweet_id)], "label": [review.label]})
            if refused := write_corrections(warehouse, given, corrected_by=review.reviewed_by).refused:
                raise InputError(f"Nothing was changed: {refused[0].reason}.")
        warehouse.run(
            "steps/ingest/insert_review",
            tweet_id=review.tweet_id,
            queue=review.queue,
            label=review.label,
            reviewed_by=review.reviewed_by,
        )


def withdraw(home: Home, tweet_id: int, reviewed_by: str) -> None:
    """Take back a person's last review of a tweet, with the correction that came with it.

    Raises:
        BusyError, HomeError: as `warehouse.writer`.
    """
    with writer(home) as warehouse, warehouse.transaction():
        warehouse.run("steps/ingest/delete_review", tweet_id=tweet_id, reviewed_by=reviewed_by)
