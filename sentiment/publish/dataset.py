"""Publish the scored tweets as Parquet files, one a day: `folder/day=2026-11-01/scored_tweets.parquet`.

polars, DuckDB, Spark and others read the folder as one table with the column `day`. Each file carries a digest of its rows, so
the next publication writes the days that differ and no others: new, changed and deleted rows are found by comparing digests, at
the cost of one pass over the published snapshot and of a footer for each day.

A day is written outside of the folder and renamed into it. So readers see each day whole, old or new, also after a kill. One
that opens a file twice can fail in between; who cannot have that, or needs all days from one transaction, takes a Delta table
(`lake`). Of two publishers at once, one is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout
from sqlalchemy import URL

from sentiment.errors import DatabaseError, InputError
from sentiment.model.atomic import flush_to_disk, put_in_place
from sentiment.publish.report import TargetReport
from sentiment.settings import Home
from sentiment.warehouse.connection import reader

FILE = "scored_tweets.parquet"
UNKNOWN_DAY = "__HIVE_DEFAULT_PARTITION__"
"""The day of tweets without a time, as Hive and Spark name it: readers see a null."""
_DIGEST = b"sentiment_digest"
_BATCH_ROWS = 100_000


def folder_of(url: URL) -> Path:
    """The folder that an address names.

    Raises:
        InputError: it names none.
    """
    if "+" in url.drivername:
        raise InputError(
            f"{url} cannot be used: Parquet files are published into a folder, such as parquet:///folder/scored_tweets. A "
            "bucket takes a Delta table, which replaces files in one transaction: delta+s3://bucket/prefix"
        )
    if not url.database or url.host:
        raise InputError(f"{url} names no folder. Expected an address such as parquet:///folder/scored_tweets")
    return Path("/", url.database.lstrip("/"))


def publish_to_dataset(home: Home, url: URL, on_progress: Callable[[int, int], None] | None = None) -> TargetReport:
    """Bring a folder of Parquet files to the state of the published snapshot.

    Raises:
        InputError: the address cannot be used, or the folder holds files that did not come from here.
        DatabaseError: it cannot be written, or another publisher is writing to it.
    """
    started = time.perf_counter()
    folder = folder_of(url)
    with _sole_publisher(url, folder), reader(home, may_spill=True) as snapshot:
        now = snapshot.frame("steps/publish/select_day_digests", unknown_day=UNKNOWN_DAY)
        shown = _shown(folder)
        changed = now.filter(
            pl.Series([shown.get(day) != digest for day, _, digest in now.iter_rows()], dtype=pl.Boolean)
        )
        total, done = int(changed["count_rows"].sum()), 0
        digests = dict(changed.select("day", "digest").iter_rows())
        if len(changed):
            parameters = {"unknown_day": UNKNOWN_DAY}
            days = changed.select("day")
            with snapshot.stream("steps/publish/select_rows_of_days", days, _BATCH_ROWS, **parameters) as batches:
                for count in _write_days(folder, batches, digests):
                    done += count
                    if on_progress is not None:
                        on_progress(done, total)
        gone = shown.keys() - set(now["day"])
        for day in gone:
            _remove(folder / f"day={day}")
    before = {day: _count_of(digest) for day, digest in shown.items() if day in gone or day in digests}
    after = dict(changed.select("day", "count_rows").iter_rows())
    count_removed = sum(max(0, count - after.get(day, 0)) for day, count in before.items())
    seconds = time.perf_counter() - started
    return TargetReport(str(url), home.published.resolve().stem, total, count_removed, [], seconds)


@contextmanager
def _sole_publisher(url: URL, folder: Path) -> Iterator[None]:
    """Hold a lock next to the folder, which the kernel frees when this process dies; errors become sentences."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(_beside(folder, "lock"), timeout=0):
            yield
    except Timeout as error:
        raise DatabaseError(f"Another publisher is writing to {url}. Run it again when that has ended.") from error
    except OSError as error:
        raise DatabaseError(
            f"{url} could not be written: {error.strerror or error} ({error.filename}). Days that were written are whole. "
            "Check the rights and the space there, and run it again."
        ) from error


def _shown(folder: Path) -> dict[str, str]:
    """Digests of the days that the folder shows; empty where a file is damaged, so that it is written again."""
    shown = {}
    for path in sorted(folder.iterdir()):
        name, _, day = path.name.partition("=")
        if name != "day" or not path.is_dir() or any(inner.name != FILE for inner in path.iterdir()):
            raise _foreign(folder, path)
        if not (path / FILE).exists():
            continue  # A publisher was killed before it had written the day, or after it had removed it.
        try:
            metadata = pq.read_metadata(path / FILE).metadata or {}
        except pa.ArrowException:
            shown[day] = ""
            continue
        if _DIGEST not in metadata:
            raise _foreign(folder, path / FILE)
        shown[day] = metadata[_DIGEST].decode()
    return shown


def _foreign(folder: Path, path: Path) -> InputError:
    return InputError(
        f"{folder} holds {path.name}, which did not come from here. Choose another folder; nothing was changed."
    )


def _count_of(digest: str) -> int:
    return int(digest.partition("-")[0] or 0)


def _write_days(folder: Path, batches: pa.RecordBatchReader, digests: dict[str, str]) -> Iterator[int]:
    """Write rows that come day by day, each day as a file; yields the number of rows of each."""
    draft = _beside(folder, "draft")
    writer: pq.ParquetWriter | None = None
    current, count = "", 0
    try:
        for batch in batches:
            for part in pl.DataFrame(batch).partition_by("day", maintain_order=True):
                day, rows = part["day"][0], part.drop("day").to_arrow()
                if writer is not None and day != current:
                    _finish(writer, draft, folder / f"day={current}")
                    yield count
                    writer, count = None, 0
                if writer is None:
                    schema = rows.schema.with_metadata({_DIGEST: digests[day].encode()})
                    writer, current = pq.ParquetWriter(draft, schema, compression="zstd"), day
                writer.write_table(rows.cast(writer.schema))
                count += len(part)
        if writer is not None:
            _finish(writer, draft, folder / f"day={current}")
            yield count
    finally:
        draft.unlink(missing_ok=True)


def _finish(writer: pq.ParquetWriter, draft: Path, day: Path) -> None:
    writer.close()
    day.mkdir(exist_ok=True)
    put_in_place(draft, day / FILE)


def _remove(day: Path) -> None:
    (day / FILE).unlink(missing_ok=True)
    day.rmdir()
    flush_to_disk(day.parent)


def _beside(folder: Path, purpose: str) -> Path:
    """A file next to the folder: readers take every file in it for a part of the table."""
    return folder.with_name(f".{folder.name}.{purpose}")
