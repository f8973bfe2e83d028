"""Takes a file out that was loaded by mistake or read wrongly; the corrected one can then be loaded as if for the first time.

Tweets that no other file has are deleted, with their predictions. For the others, labels, conflicts, times and users are
computed again from the remaining files, and the tweet belongs to the first of them. Rows that were rejected because of this
file's texts come back when their own file is read again; the result names it. Corrections by people stay: they are about a
tweet, not about a file; how a tweet was chosen for review is deleted with it. Lists of fed rows stay as well: they record the
past. The result names the versions that were trained on the file; the next training does without it.

All of it is one transaction. Costs seconds for a million tweets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from sentiment.errors import HomeError, InputError
from sentiment.ingest.merge import merge_known
from sentiment.ingest.readers.byte_stream import fingerprint
from sentiment.registry.names import FED_ROWS
from sentiment.settings import Home
from sentiment.warehouse.connection import writer
from sentiment.warehouse.locks import operation_lock
from sentiment.warehouse.session import Warehouse
from sentiment.warehouse.snapshot import publish


@dataclass(frozen=True)
class WithdrawReport:
    """What was taken out, and what follows from it.

    Attributes:
        count_kept: tweets that stay, since other files have them.
        rows_learnt: rows of the file that each model version had been fed.
        read_again: paths of files of which rows had been rejected because of this one.
    """

    paths: list[str]
    count_tweets: int
    count_gold: int
    count_kept: int
    count_rejected: int
    rows_learnt: dict[int, int] = field(default_factory=dict)
    read_again: list[str] = field(default_factory=list)


def withdraw(home: Home, name: str) -> WithdrawReport:
    """Take a file out.

    Args:
        name: its path, the name of the query it came from, or at least 8 digits of its `file_id`; a file at another path is
            recognised by its content.

    Raises:
        InputError: no such file was loaded.
        HomeError: an earlier version loaded it, which did not keep what its duplicate lines said; or a list of what a version
            was trained on is damaged, which only the result needs.
        BusyError: a training or scoring run takes longer than `settings.writer_wait_seconds`.
    """
    path = Path(name).expanduser().absolute()
    digest = fingerprint(path).sha256 if path.is_file() else ""
    with operation_lock(home, "retrain"), operation_lock(home, "score"):
        try:
            with writer(home) as warehouse:
                accounts = _accounts(warehouse, name, str(path), digest)
                with warehouse.transaction():
                    gone, count_kept, read_again = _take_out(warehouse, accounts)
        except InputError:
            publish(home)  # It may be gone already, by a run that was killed before readers saw it.
            raise
        publish(home)
        rows_learnt = _count_learnt(home, gone)
    is_gold = accounts["gold_set"].is_not_null()
    return WithdrawReport(
        accounts["path"].unique(maintain_order=True).to_list(),
        len(gone),
        int(accounts.filter(is_gold)["count_loaded"].sum()),
        count_kept,
        int(accounts["count_rejected"].sum()),
        rows_learnt,
        read_again,
    )


def _accounts(warehouse: Warehouse, name: str, path: str, digest: str) -> pl.DataFrame:
    for given in (path, name):
        accounts = warehouse.frame("steps/maintenance/select_accounts", path=given, file_id=digest)
        if len(accounts):
            break
    else:
        known = ", ".join(path for (path,) in warehouse.run("steps/maintenance/select_known_paths").fetchall())
        raise InputError(
            f"{name} was not loaded. Loaded last were: {known or 'no files at all'}. Give one of these paths."
        )
    if not accounts["is_withdrawable"].all():
        unknown = warehouse.value("steps/maintenance/count_unrecorded_duplicates")
        if unknown:
            raise HomeError(
                f"{accounts['path'][0]} was loaded by an earlier version, which did not keep what {unknown:,} duplicate lines "
                "said, so what would be left without it is not known. Restore a backup from before, or load the other files "
                "into a new home."
            )
    return accounts


def _take_out(warehouse: Warehouse, accounts: pl.DataFrame) -> tuple[pl.Series, int, list[str]]:
    """Delete and recompute; return the deleted ids, the number of tweets that stay, and the files to read again."""
    files = accounts.select("file_id").unique()
    gone = warehouse.load("steps/maintenance/select_tweets_to_withdraw", files)
    statements = warehouse.load("steps/maintenance/select_statements", files)
    warehouse.load("steps/maintenance/delete_withdrawn_tweets", gone)
    if len(statements):
        empty = statements.drop("line_number", "file_id", "stated_at").clear()
        merged, _ = merge_known(empty, statements)
        warehouse.load("steps/ingest/update_tweets", merged)
        owners = statements.sort("line_number").unique("tweet_id", keep="first", maintain_order=True)
        warehouse.load("steps/maintenance/update_owners", owners.select("tweet_id", "file_id", "stated_at"))
    count_kept = statements["tweet_id"].n_unique()
    read_again = warehouse.load("steps/maintenance/withdraw_files", accounts, count_kept=count_kept)
    return gone["tweet_id"], count_kept, read_again["path"].to_list()


def _count_learnt(home: Home, gone: pl.Series) -> dict[int, int]:
    """How many of the tweets each model version was fed, by its list of fed rows."""
    ids = gone.alias("tweet_id").to_frame()
    found = []
    for path in (home.mlflow / "artifacts").rglob(FED_ROWS):
        try:
            count = (
                pl.scan_parquet(path).select("tweet_id").join(ids.lazy(), on="tweet_id", how="semi").collect().height
            )
        except pl.exceptions.PolarsError as error:
            raise HomeError(
                f"The tweets were taken out. But {path} is damaged, so whether its version was trained on them cannot be said: "
                "restore it from a backup, or train again with sentiment retrain."
            ) from error
        if count:
            # <artifacts>/<run>/artifacts/<name>
            found.append((path.parents[1].name, count))
    if not found:
        return {}
    runs = pl.DataFrame(found, schema={"run_id": pl.String, "count_rows": pl.Int64}, orient="row")
    with writer(home) as warehouse:
        return dict(warehouse.load("steps/maintenance/select_versions_of_runs", runs).iter_rows())
