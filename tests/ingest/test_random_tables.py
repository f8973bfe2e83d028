"""Random tables of every format, dialect and scheme: none goes in wrongly, and few are asked about."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl

from sentiment.errors import SentimentError, UnsureError
from sentiment.ingest.plan import read_chunks
from tests.ingest.random_tables import Truth, write_table

COUNT = 250
FIRST_TWEET_HASH = 2**62


def outcome(truth: Truth) -> str:
    """What became of a table: right, asked, asked rightly, guessed, or what is wrong."""
    try:
        records = pl.concat([chunk.records for chunk in read_chunks(truth.path)]).to_dicts()
    except UnsureError:
        return "asked rightly" if truth.must_ask else "asked"
    except SentimentError as error:
        return f"refused: {error}"
    if truth.must_ask:
        return "guessed"
    if len(records) != len(truth.rows):
        return f"{len(records)} rows of {len(truth.rows)}"
    for record, row in zip(records, truth.rows, strict=True):
        own_id = str(record["tweet_id"]) if record["tweet_id"] < FIRST_TWEET_HASH else None
        found = {**record, "user": record["user_name"], "id": record["source_id"] or own_id}
        for name, expected in row.items():
            if found[name] != expected:
                return f"{name} {found[name]!r} is not {expected!r}"
    return "right"


def test_no_table_goes_in_wrongly_and_one_in_ten_at_most_is_asked_about(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    wrong = {}
    for seed in range(COUNT):
        truth = write_table(tmp_path, seed)
        found = outcome(truth)
        counts[found] += 1
        if found not in ("right", "asked", "asked rightly"):
            wrong[seed] = (found, truth.recipe)
        truth.path.unlink()
    assert not wrong
    assert counts["asked"] + counts["asked rightly"] <= 0.1 * COUNT
