"""Removes a user or a tweet physically from everything in the home, and names the models that were trained on it.

The request is first written to a journal, which is deleted last. The next `forget`, flow run or housekeeping finishes a request
that was killed or found a training run at work. In order:

1. the warehouse: delete rows, empty the bytes of rejected lines, and rewrite the file, since DuckDB keeps freed blocks;
2. the published snapshots: publish a new one, remove the old ones;
3. once no training or scoring run is at work: delete exports, checkpoints, work files and reports, which can all be rebuilt;
   delete the rows from lists of fed rows; then search every other file for what is left.

The gate's leak check stays valid. The list of fed rows loses the forgotten ids and text keys, since an id names the tweet and a
text key confirms its text. The check asks whether an evaluation row is in the challenger's list. A forgotten id cannot be an
evaluation row: it is in no table and is kept out. A row with the same text key by another person stays on the training side,
because the key alone decides the side. Only a hand-labelled row that is loaded later could share a forgotten key. But a
challenger is trained on the export that the gate judges it on, which leaves out texts of hand-labelled rows; and a version that
was fed forgotten rows is never reused as a challenger, because its training key is a digest over ids that are gone. A champion
that was fed such a text keeps the advantage on that one row, which errs on the side of no change. `model_versions` keeps the
number of rows that a version was fed, `learnt_from_forgotten` the number of those that were forgotten.

Weights stay as they are: what a model learned from one tweet cannot be removed. Costs a rewrite of the warehouse and a search
through every file of the home, seconds for 1.6 million tweets.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from sentiment import clock
from sentiment.errors import BusyError, HomeError, InputError
from sentiment.ingest.blocklist import Forgotten, digest_of, open_key, user_key
from sentiment.maintenance import text_search
from sentiment.model.atomic import atomic_write
from sentiment.registry.names import FED_ROWS
from sentiment.registry.store import rewritten_run_file
from sentiment.scoring.score import clear_store, open_store
from sentiment.settings import Home
from sentiment.warehouse.connection import rewrite, translated_errors, writer
from sentiment.warehouse.locks import operation_lock
from sentiment.warehouse.session import Warehouse
from sentiment.warehouse.snapshot import publish_alone

_SHORTEST_TEXT = 12  # Shorter ones occur in many lines by chance.


@dataclass(frozen=True)
class ForgetReport:
    """What was removed, and what remains that this program must not touch."""

    count_tweets: int = 0
    count_gold: int = 0
    count_rejected: int = 0
    rows_learnt: dict[int, int] = field(default_factory=dict)
    count_same_text: int = 0
    count_mentions: int = 0
    users_files: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def found_nothing(self) -> bool:
        """Whether nothing was found."""
        return self.count_tweets + self.count_gold + self.count_rejected == 0


@dataclass(frozen=True)
class Request:
    """What to forget. `texts`, and in `learnt` the number of rows that each training run was fed, are known only before the
    deletion, so they are written down first."""

    tweet_ids: tuple[int, ...] = ()
    users: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    learnt: tuple[tuple[str, int], ...] = ()
    asked_at: str = ""

    def joined(self, other: Request) -> Request:
        """Both requests as one, with the time of the first."""
        names = ("tweet_ids", "users", "texts", "learnt")
        parts: dict[str, Any] = {
            name: tuple(dict.fromkeys((*getattr(self, name), *getattr(other, name)))) for name in names
        }
        return Request(**parts, asked_at=self.asked_at or other.asked_at)


def forget(
    home: Home,
    *,
    tweet_ids: Iterable[int] = (),
    users: Iterable[str] = (),
) -> ForgetReport:
    """Forget tweets and users, and finish earlier requests.

    Args:
        users: names, with or without `@`; case and surrounding blanks are ignored.

    Raises:
        InputError: a name is empty, or an id is no tweet's id.
        BusyError: a training or scoring run takes longer than `settings.writer_wait_seconds`. Tables and snapshots are
            clean then; the rest follows when it has ended.
        HomeError: as `warehouse.writer`.
    """
    request = Request(tuple(tweet_ids), tuple(map(user_key, users)), asked_at=clock.now().isoformat())
    if "" in request.users or any(not 0 <= tweet_id < 2**63 for tweet_id in request.tweet_ids):
        raise InputError("Expected the name of a user, or a tweet's id: a whole number from 0 to 9223372036854775807.")
    with operation_lock(home, "upkeep"):
        if request.tweet_ids or request.users:
            _write_journal(home, _read_journal(home).joined(request))
        return _finish(home)


def finish_forgetting(home: Home) -> bool:
    """Finish a killed request, unless a run at work prevents it.

    Returns:
        whether nothing is left to do.
    """
    if not home.forgetting.exists():
        return True
    try:
        forget(home.with_patience(0))
    except BusyError:
        return False
    return True


def _finish(home: Home) -> ForgetReport:
    request = _read_journal(home)
    if not request.tweet_ids and not request.users:
        return ForgetReport()
    report = ForgetReport()

    def change(warehouse: Warehouse) -> None:
        nonlocal request, report
        request, report = _delete(warehouse, home, request)

    rewrite(home, change)
    publish_alone(home)
    # Built from the previous snapshot, texts included; the desk builds a new one.
    shutil.rmtree(home.search_index, ignore_errors=True)
    try:
        with (
            operation_lock(home, "retrain"),
            operation_lock(home, "score"),
        ):
            request = _forget_files(home, request)
            learnt = pl.DataFrame(request.learnt, schema={"run_id": pl.String, "count_rows": pl.Int64}, orient="row")
            learnt = learnt.group_by("run_id").agg(pl.col("count_rows").sum())
            with writer(home) as warehouse, warehouse.transaction():
                rows = warehouse.load(
                    "steps/maintenance/insert_learnt_from_forgotten", learnt, asked_at=request.asked_at
                ).rows()
    except BusyError as error:
        raise BusyError(
            "The tables and what is published are clean. A training or scoring run is going on, whose files still hold what "
            "is to be forgotten: they go when the next run begins, or with `sentiment forget` once it has ended."
        ) from error
    publish_alone(home)
    needles = _needles(request)
    left = [str(path) for path in text_search.find(home, needles)]
    report = replace(
        report,
        rows_learnt=dict(rows),
        left=left,
        users_files=[str(path) for path in text_search.find_inbox(home, needles)],
    )
    # What was removed and emptied must not be there again after a power cut, when the request is gone.
    os.sync()
    home.forgetting.unlink()
    return report


def _delete(warehouse: Warehouse, home: Home, request: Request) -> tuple[Request, ForgetReport]:
    """Delete from all tables, within the caller's transaction; the journal holds the texts by then."""
    asked = pl.DataFrame(
        {
            "tweet_id": pl.Series([*request.tweet_ids, *([None] * len(request.users))], dtype=pl.Int64),
            "user_name": pl.Series([*([None] * len(request.tweet_ids)), *request.users], dtype=pl.String),
        }
    )
    warehouse.run("steps/maintenance/create_user_key")
    found = warehouse.load("steps/maintenance/select_rows_to_forget", asked)
    request = request.joined(Request(tuple(found["tweet_id"].drop_nulls()), texts=_texts(found)))
    _write_journal(home, request)
    found = found.filter(pl.col("kind") != "statement")
    key = open_key(home)
    asked_ids = pl.Series(request.tweet_ids, dtype=pl.Int64)
    gone = pl.concat(
        [
            found.select("kind", "tweet_id", "user_name", "text", "file_id"),
            pl.DataFrame(
                {"kind": "tweet", "tweet_id": asked_ids.filter(~asked_ids.is_in(found["tweet_id"].implode()))}
            ),
            pl.DataFrame({"kind": "user", "user_name": pl.Series(request.users, dtype=pl.String)}),
        ],
        how="diagonal",
    )
    digests = [
        digest_of(key, row["user_name"])
        if row["kind"] == "user"
        else None
        if row["tweet_id"] is None
        else digest_of(key, row["tweet_id"])
        for row in gone.iter_rows(named=True)
    ]
    warehouse.load("steps/maintenance/insert_forgotten", gone.with_columns(digest=pl.Series(digests, dtype=pl.String)))
    warehouse.load("steps/maintenance/forget_rows", gone)
    count_rejected = _empty_rejected_lines(warehouse, key, request)
    others = warehouse.load(
        "steps/maintenance/count_others_alike",
        pl.concat([gone.select("text"), gone.filter(kind="user").select("user_name")], how="diagonal"),
    ).row(0)
    kinds = found["kind"]
    return request, ForgetReport(
        int((kinds == "tweet").sum()), int((kinds == "gold").sum()), count_rejected, {}, others[0], others[1]
    )


def _empty_rejected_lines(warehouse: Warehouse, key: bytes, request: Request) -> int:
    """Empty the bytes of rejected lines that hold a forgotten id, user or text."""
    lines = warehouse.frame("steps/maintenance/select_rejected_lines")
    forgotten = Forgotten(
        key,
        frozenset(digest_of(key, tweet_id) for tweet_id in request.tweet_ids),
        frozenset(digest_of(key, user) for user in request.users),
    )
    holds_text = text_search.contains([bytes(line) for line in lines["raw_line"]], _needles(request))
    is_held = [
        has_text or forgotten.is_forgotten_line(line)
        for has_text, line in zip(holds_text, lines["raw_line"], strict=True)
    ]
    held = lines.filter(pl.Series(is_held, dtype=pl.Boolean)).select("file_id", "line_number")
    if len(held):
        warehouse.load("steps/maintenance/forget_rejected_lines", held)
    return len(held)


def _forget_files(home: Home, request: Request) -> Request:
    """Remove what can be rebuilt, and rows from the lists that stay; return the request with the runs that were fed them."""
    if request.texts:
        # No other process may be spilling to the work folder.
        with operation_lock(home, "warehouse"):
            for folder in (home.exports, home.checkpoints, home.work, home.reports):
                empty_folder(folder)
        clear_store(open_store(home))
    needles = _needles(request)
    lists = [path for path in text_search.files(home) if path.suffix == ".parquet"]
    # <artifacts>/<run>/artifacts/<name>: only lists of fed rows say what a model was trained on.
    counts = ((path.parents[1].name, len(_split_rows(path, request)[1])) for path in lists if path.name == FED_ROWS)
    request = request.joined(Request(learnt=tuple((run, count) for run, count in counts if count)))
    _write_journal(home, request)
    for path in lists:
        kept, forgotten = _split_rows(path, request)
        if len(forgotten):
            with rewritten_run_file(home, path), atomic_write(path) as draft:
                kept.write_parquet(draft, compression="zstd")
    artifacts = home.mlflow / "artifacts"
    searched = [path for path in text_search.files(home) if {home.logs, artifacts} & set(path.parents)]
    for path in text_search.holding(searched, needles):
        if path.is_relative_to(artifacts):
            path.unlink()
        else:
            os.truncate(path, 0)  # A server may have it open, and appends at its end.
    text_search.blank_stores(home, needles)
    return request


def empty_folder(folder: Path) -> None:
    """Remove everything in a folder."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _split_rows(path: Path, request: Request) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of a Parquet file that stay, and those that are forgotten."""
    try:
        frame = pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise HomeError(
            f"{path} is damaged, so what is to be forgotten cannot be taken out of it. Remove it, or restore it from a backup, "
            f"and go on: rm {shlex.quote(str(path))} && sentiment forget"
        ) from error
    is_forgotten = pl.lit(False)
    if "tweet_id" in frame.columns:
        is_forgotten |= pl.col("tweet_id").is_in(list(request.tweet_ids)).fill_null(False)
    if "text" in frame.columns:
        is_forgotten |= pl.col("text").is_in(list(request.texts)).fill_null(False)
    return frame.filter(~is_forgotten), frame.filter(is_forgotten)


def _texts(found: pl.DataFrame) -> tuple[str, ...]:
    """Forgotten texts, as they are and as their sources had them."""
    raw = [bytes(value).decode("latin-1") for value in found["raw_text"].drop_nulls()]
    return tuple(dict.fromkeys([*found["text"], *raw]))


def _needles(request: Request) -> list[bytes]:
    """What to search for: the texts, as they are written in plain files, in HTML and in JSON."""
    return text_search.forms([text for text in request.texts if len(re.sub(r"\W", "", text)) >= _SHORTEST_TEXT])


def _read_journal(home: Home) -> Request:
    try:
        written = json.loads(home.forgetting.read_bytes())
        # Those of earlier versions have none.
        if written.pop("sha256", None) not in (None, _digest(written)):
            raise ValueError("other bytes were written")
        written["learnt"] = map(tuple, written["learnt"])
        parts: dict[str, Any] = {
            name: value if isinstance(value, str) else tuple(value) for name, value in written.items()
        }
        return Request(**parts)
    except FileNotFoundError:
        return Request()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise HomeError(
            f"{home.forgetting}, which names who is still to be forgotten, is damaged. Remove it and ask once more: "
            f"rm {shlex.quote(str(home.forgetting))} && sentiment forget --user NAME"
        ) from error


def _write_journal(home: Home, request: Request) -> None:
    with translated_errors(home), atomic_write(home.forgetting, mode=home.secret_mode) as draft:
        written = json.loads(json.dumps(asdict(request)))
        draft.write_text(json.dumps({"sha256": _digest(written), **written}))


def _digest(written: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(written).encode()).hexdigest()
