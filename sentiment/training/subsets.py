"""The hold-out, and the order in which training subsets grow.

Both go by hashes of `text_key`, so that near-duplicates stay on one side and stay together. A snapshot of all rows that may
train, in subset order, is exported to Parquet once for each state of the data: training reads that file and holds no lock.
The first n rows of it are the subset of n rows, so subsets nest; both labels are spread evenly over the order, so every
subset has the proportions of the whole. Exporting 1.5 million rows takes about 4 s.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from sentiment.errors import TrainingError
from sentiment.model.atomic import put_in_place
from sentiment.settings import Home
from sentiment.warehouse.seals import digest_of_file
from sentiment.warehouse.session import Warehouse

RUNGS = (25_000, 50_000, 100_000, 200_000, 400_000, 800_000)
SUBSET_RULE = (
    "first {rows} rows of the training split (gold texts, conflicting, neutral and unlabelled tweets left out), "
    "each label ordered by md5 of text_key and spread evenly"
)
KEEP_EXPORTS = 2
_FILES = ("train", "holdout", "gold", "neutral")
_DESCRIPTION = "export.json"


@dataclass(frozen=True)
class Export:
    """An immutable snapshot of what may train and what evaluates."""

    folder: Path
    count_train_rows: int
    data_digest: str
    holdout_digest: str
    gold_digest: str
    neutral_digest: str = ""

    @property
    def train(self) -> Path:
        """Parquet in subset order: `tweet_id`, `text_key`, `label` (0 negative, 1 positive), `label_source`, `text`."""
        return self.folder / "train.parquet"

    @property
    def holdout(self) -> Path:
        """Parquet, one row a `text_key`: `tweet_id`, `text_key`, `label`, `label_source`, `posted_at`, `text`."""
        return self.folder / "holdout.parquet"

    @property
    def gold(self) -> Path:
        """Parquet without neutral rows: `gold_set`, `text_key`, `label`, `text`."""
        return self.folder / "gold.parquet"

    @property
    def neutral(self) -> Path:
        """Parquet of hand-labelled tweets of all labels: `evaluation_set` (`fit` for those that the rule for neutral is fitted
        on, else `holdout` or a hand-labelled set), `text_key`, `label` (place in `model.neutral.LABELS`), `text`."""
        return self.folder / "neutral.parquet"

    def subset_digest(self, rows: int) -> str:
        """Digest of ids, text keys and labels of the first `rows` rows, in order."""
        return _digest(pl.scan_parquet(self.train).head(rows).select("tweet_id", "text_key", "label").collect())


def next_rung(largest_trained: int | None, count_train_rows: int) -> int:
    """Rows of the next growing subset: the first rung above what was trained on, all rows at the top."""
    above = [rung for rung in RUNGS if rung > (largest_trained or 0)]
    return min([*above, count_train_rows])


def export(warehouse: Warehouse, home: Home) -> Export:
    """Write the snapshot, unless one of the same data exists undamaged, and remove all but the newest ones.

    Raises:
        TrainingError: there are no labelled tweets of both kinds to train on, or none to hold out.
    """
    home.exports.mkdir(exist_ok=True)
    for leftover in home.exports.glob(".new-*"):
        # Of a run that was killed; the one who exports holds the warehouse alone.
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=home.exports, prefix=".new-") as temporary:
        folder = Path(temporary) / "export"
        folder.mkdir()
        for name in _FILES:
            warehouse.run(f"steps/training/export_{name}", path=str(folder / f"{name}.parquet"))
        made = _describe(folder)
        described = {key: value for key, value in vars(made).items() if key != "folder"}
        (folder / _DESCRIPTION).write_text(json.dumps({**described, "files": _digests(folder)}, indent=2))
        digests = (
            made.data_digest,
            made.holdout_digest,
            made.gold_digest,
            made.neutral_digest,
            _digest(_corrected(folder)),
        )
        identity = "".join(digests)
        target = home.exports / hashlib.sha256(identity.encode()).hexdigest()[:16]
        if _is_whole(target, described):
            target.touch()
        else:
            shutil.rmtree(target, ignore_errors=True)
            put_in_place(folder, target)
    for old in sorted(home.exports.glob("[0-9a-f]*"), key=lambda path: path.stat().st_mtime)[:-KEEP_EXPORTS]:
        shutil.rmtree(old, ignore_errors=True)
    return load_export(target)


def load_export(folder: Path) -> Export:
    """An export that was written earlier."""
    described = json.loads((folder / _DESCRIPTION).read_text())
    del described["files"]
    return Export(folder, **described)


def _is_whole(folder: Path, described: dict[str, Any]) -> bool:
    """Whether an export is there, with every byte that was written; 0.1 s for 200 MB."""
    try:
        return bool(json.loads((folder / _DESCRIPTION).read_text()) == {**described, "files": _digests(folder)})
    except (OSError, ValueError):
        return False


def _digests(folder: Path) -> dict[str, str]:
    return {f"{name}.parquet": digest_of_file(folder / f"{name}.parquet") for name in _FILES}


def _describe(folder: Path) -> Export:
    count = pq.read_metadata(folder / "train.parquet").num_rows
    train = pl.read_parquet(folder / "train.parquet", columns=["tweet_id", "text_key", "label"])
    holdout = pl.read_parquet(folder / "holdout.parquet", columns=["tweet_id", "text_key", "label"])
    gold = pl.read_parquet(folder / "gold.parquet", columns=["gold_set", "text_key", "label"])
    neutral = pl.read_parquet(folder / "neutral.parquet", columns=["evaluation_set", "text_key", "label"])
    for frame, split in ((train, "train on"), (holdout, "evaluate on")):
        if (kinds := frame["label"].n_unique()) < 2:
            raise TrainingError(
                f"Found {len(frame)} labelled tweets with {kinds} kind(s) of label to {split}, expected both negative and "
                "positive ones. Ingest labelled tweets first, or label daily ones with --label-by-emoticon."
            )
    return Export(folder, count, _digest(train), _digest(holdout), _digest(gold), _digest(neutral))


def _corrected(folder: Path) -> pl.DataFrame:
    """Whose label a person gave; a label that was merely confirmed changes no other digest."""
    files = [pl.scan_parquet(folder / f"{name}.parquet") for name in ("train", "holdout")]
    return pl.concat([file.filter(label_source="correction").select("tweet_id") for file in files]).collect()


def _digest(frame: pl.DataFrame) -> str:
    """SHA-256 of the rows, column by column, in their order."""
    digest = hashlib.sha256(str(len(frame)).encode())
    for column in frame.iter_columns():
        digest.update(column.name.encode())
        if column.dtype == pl.String:
            digest.update("\0".join(column).encode())
        else:
            digest.update(column.to_numpy().tobytes())
    return digest.hexdigest()
