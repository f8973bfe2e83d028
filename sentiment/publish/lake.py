"""Publish the scored tweets to a Delta Lake table, which Spark, polars, DuckDB and many others read; no Java is needed.

The table is partitioned by day. The same comparison as for databases (`changes`) finds the rows that are new, changed or gone;
one transaction sends them. Readers see the old state or the new one, and a killed publication leaves only files that no
version names. The table's log says which snapshot it shows; of two publishers at once, one fails.

Rows that `forget` removed leave the newest version at once. Older versions keep them until the table is vacuumed, which every
publication that removes rows does.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
from sqlalchemy import URL

from sentiment.errors import DatabaseError, InputError
from sentiment.publish.changes import Changes, Manifest, changes_between, manifest_of, read_manifest
from sentiment.publish.report import TargetReport
from sentiment.settings import Home
from sentiment.warehouse.connection import reader
from sentiment.warehouse.session import Warehouse

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable

TABLE = "scored_tweets"
_PUBLICATION = "sentiment_publication"
_BATCH_ROWS = 100_000


def location_of(url: URL) -> str:
    """Where the table is: a path, or an address such as `s3://bucket/prefix`.

    Raises:
        InputError: the address names no place.
    """
    _, _, scheme = url.drivername.partition("+")
    if scheme:
        if not url.host:
            raise InputError(f"{url} names no bucket. Expected an address such as delta+{scheme}://bucket/prefix")
        return f"{scheme}://{url.host}/{url.database or ''}"
    if not url.database or url.host:
        raise InputError(f"{url} names no folder. Expected an address such as delta:///folder/{TABLE}")
    return "/" + url.database.lstrip("/")


def publish_to_lake(
    home: Home, url: URL, folder: str, on_progress: Callable[[int, int], None] | None = None
) -> TargetReport:
    """Bring a Delta Lake table to the state of the published snapshot.

    Args:
        folder: name of the folder below `targets` of the home that holds this target's manifest.

    Raises:
        InputError: the address cannot be used, the extra is not installed, or the table did not come from here.
        DatabaseError: the table cannot be read or written, or another publisher was faster.
    """
    started = time.perf_counter()
    try:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError
    except ImportError as error:
        raise InputError(f"{url} needs Delta Lake. Install the extra: pip install -e '.[lake]'") from error
    location = location_of(url)
    manifests = home.root / "targets" / folder
    with reader(home, may_spill=True) as snapshot:
        publication = home.published.resolve().stem
        now = manifest_of(snapshot, [TABLE])
        try:
            table = DeltaTable(location) if DeltaTable.is_deltatable(location) else None
            base = None if table is None else _published(table, location)
            former = read_manifest(manifests / base) if base else None
            changes = changes_between(former, now, set())
            if table is not None and former is not None:
                changes = _with_forgotten(table, former, now, changes)
            if changes:
                now.save(manifests / publication)
                _commit(snapshot, table, location, changes, publication)
        except (DeltaError, OSError) as error:
            raise DatabaseError(
                f"{url} could not be written: {str(error).partition(chr(10))[0]}. What it showed is unchanged; another "
                "publisher may have been faster. Run it again."
            ) from error
    for old in manifests.glob("*"):
        if old.name not in {publication, base}:
            shutil.rmtree(old, ignore_errors=True)
    count_removed = len(changes.removed[TABLE])
    if on_progress is not None and changes:
        on_progress(changes.count_written, changes.count_written)
    return TargetReport(
        str(url),
        publication if changes else base or publication,
        changes.count_written,
        count_removed,
        changes.whole,
        time.perf_counter() - started,
    )


def _published(table: DeltaTable, location: str) -> str:
    """The snapshot that the table shows, from its log; entries of other tools' optimisations may follow it."""
    for commit in table.history():
        if name := commit.get(_PUBLICATION):
            return str(name)
    raise InputError(
        f"There is a Delta table at {location} that did not come from here. Choose another folder; nothing was changed."
    )


def _with_forgotten(table: DeltaTable, former: Manifest, now: Manifest, changes: Changes) -> Changes:
    """`forget` takes rows out of the manifest too: then the table has more rows than it, and its ids say which are gone."""
    count = sum(pl.DataFrame(table.get_add_actions(flatten=True))["num_records"].to_list())
    if count == len(former.by_tweet[TABLE]):
        return changes
    there = pl.read_delta(table.table_uri, columns=["tweet_id"])
    return replace(changes, removed={TABLE: there.join(now.by_tweet[TABLE], on="tweet_id", how="anti")})


def _commit(snapshot: Warehouse, table: DeltaTable | None, location: str, changes: Changes, publication: str) -> None:
    from deltalake import CommitProperties, write_deltalake

    properties = CommitProperties(custom_metadata={_PUBLICATION: publication}, max_commit_retries=0)
    if table is None or TABLE in changes.is_whole:
        rows = snapshot.run("steps/publish/select_rows_by_day").to_arrow_reader(_BATCH_ROWS)
        write_deltalake(
            location if table is None else table,
            rows,
            mode="overwrite",
            partition_by=["day"],
            schema_mode="overwrite",
            name=TABLE,
            commit_properties=properties,
        )
    else:
        _merge(snapshot, table, changes, properties)
    if len(changes.removed[TABLE]) and table is not None:
        table.update_incremental()
        table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)


def _merge(snapshot: Warehouse, table: DeltaTable, changes: Changes, properties: CommitProperties) -> None:
    """Changed and removed rows in one transaction."""
    written, removed = changes.written[TABLE], changes.removed[TABLE]
    with snapshot.stream("steps/publish/select_changed_by_day", written, max(1, len(written))) as pieces:
        rows = pl.DataFrame(pieces.read_all())
    gone = removed.with_columns(is_removed=pl.lit(True))
    source = pl.concat([rows.with_columns(is_removed=pl.lit(False)), gone], how="diagonal")
    columns = {name: f"source.{name}" for name in rows.columns}
    (
        table.merge(
            pa.table(source.to_arrow()),
            predicate="target.tweet_id = source.tweet_id",
            source_alias="source",
            target_alias="target",
            commit_properties=properties,
        )
        .when_matched_delete(predicate="source.is_removed")
        .when_matched_update(updates=columns)
        .when_not_matched_insert(updates=columns, predicate="not source.is_removed")
        .execute()
    )
