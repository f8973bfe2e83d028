"""Finds what is new, changed or gone since the last publication to a target, by comparing digests rather than clocks.

For each publication the home keeps a manifest: id and digest of every row that went there, 16 bytes a tweet and no text.
A row is sent again when its digest differs, for any reason: a new champion, a correction, a label that was withdrawn.
Comparing costs one pass over the table. Digests are DuckDB's own hash: after an update of DuckDB everything may be sent once
more, and nothing is lost.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from sentiment.model.atomic import atomic_folder
from sentiment.publish.tables import BY_TWEET
from sentiment.warehouse.session import Warehouse

WHOLE = "relations.json"


@dataclass(frozen=True)
class Manifest:
    """The content of a snapshot: rows by tweet (tweet_id, digest) for some relations, one digest for each of the others."""

    by_tweet: dict[str, pl.DataFrame]
    whole: dict[str, str]

    def save(self, folder: Path) -> None:
        """Write it atomically into a folder of its own."""
        with atomic_folder(folder) as draft:
            for name, rows in self.by_tweet.items():
                rows.write_parquet(draft / f"{name}.parquet")
            (draft / WHOLE).write_text(json.dumps(self.whole))


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in a folder; None if it is missing or damaged."""
    try:
        by_tweet = {path.stem: pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}
        return Manifest(by_tweet, json.loads((folder / WHOLE).read_text()))
    except (OSError, ValueError, pl.exceptions.PolarsError):
        return None


def manifest_of(snapshot: Warehouse, names: list[str]) -> Manifest:
    """The manifest of a snapshot."""
    by_tweet = {
        name: snapshot.frame("steps/publish/select_row_digests", relation=name) for name in names if name in BY_TWEET
    }
    whole = {
        name: snapshot.value("steps/publish/select_relation_digest", relation=name)
        for name in names
        if name not in BY_TWEET
    }
    return Manifest(by_tweet, whole)


@dataclass(frozen=True)
class Changes:
    """What must be sent to a target.

    Attributes:
        written: by relation, the tweets whose rows are new or changed (tweet_id); all of them where `is_whole`.
        removed: by relation, the tweets whose rows are gone (tweet_id).
        whole: relations that are replaced as a whole.
        is_whole: whether the target's state is unknown, so that relations by tweet are replaced as well.
    """

    written: dict[str, pl.DataFrame]
    removed: dict[str, pl.DataFrame]
    whole: list[str]
    is_whole: set[str]

    def __bool__(self) -> bool:
        return bool(
            self.whole or self.is_whole or any(map(len, self.written.values())) or any(map(len, self.removed.values()))
        )

    @property
    def count_written(self) -> int:
        return sum(map(len, self.written.values()))


def changes_between(base: Manifest | None, now: Manifest, missing: set[str]) -> Changes:
    """Compare two manifests.

    Args:
        base: what the target shows; None if that is not known.
        missing: relations that the target does not have, or with other columns.
    """
    written, removed, is_whole = {}, {}, set()
    for name, rows in now.by_tweet.items():
        before = None if base is None or name in missing else base.by_tweet.get(name)
        if before is None:
            is_whole.add(name)
            before = rows.clear()
        written[name] = rows.join(before, on=["tweet_id", "digest"], how="anti").select("tweet_id")
        removed[name] = before.join(rows, on="tweet_id", how="anti").select("tweet_id")
    whole = [
        name for name, digest in now.whole.items() if base is None or name in missing or base.whole.get(name) != digest
    ]
    return Changes(written, removed, whole, is_whole)
