"""The published training file, read whole: the figures that are known of it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from sentiment.ingest.plan import read_chunks

DATA = Path(__file__).parents[4] / "shared" / "data"
TRAINING = DATA / "training.1600000.processed.noemoticon.csv.zst"
MANUAL = DATA / "testdata.manual.2009.06.14.csv"

pytestmark = pytest.mark.skipif(not TRAINING.exists(), reason=f"the real Sentiment140 files are not in {DATA}")


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_training_file_is_read_whole_with_its_encodings_and_entities() -> None:
    count_lines = count_rejects = count_hearts = count_utf8 = count_damaged = count_changed = count_undated = 0
    for chunk in read_chunks(TRAINING):
        count_lines += chunk.count_lines
        count_rejects += len(chunk.rejects)
        texts, originals = chunk.records["text"], chunk.records["raw_text"]
        count_hearts += int(texts.str.contains("<3", literal=True).sum())
        count_changed += len(originals) - originals.null_count()
        count_undated += chunk.records["posted_at"].null_count()
        raw = chunk.records.select(pl.coalesce("raw_text", pl.col("text").cast(pl.Binary))).to_series()
        beyond_ascii = [
            data for data in raw.filter(texts.str.len_bytes() != texts.str.len_chars()) if not data.isascii()
        ]
        count_valid = sum(map(is_utf8, beyond_ascii))
        count_utf8 += count_valid
        count_damaged += len(beyond_ascii) - count_valid
    assert (count_lines, count_rejects, count_undated) == (1_600_000, 0, 0)
    assert (count_utf8, count_damaged) == (13_251, 1_287)
    assert count_hearts == 13_254
    assert count_changed == 95_623


def test_the_manual_file_is_read_with_its_labels() -> None:
    (chunk,) = read_chunks(MANUAL, gold=True)
    assert dict(chunk.records["label"].value_counts().iter_rows()) == {"negative": 177, "positive": 182, "neutral": 139}
    assert chunk.rejects.is_empty()


def test_hand_labelled_tables_are_read_without_ids() -> None:
    for path in sorted((DATA / "other_domains").glob("*.parquet")):
        records = pl.concat([chunk.records for chunk in read_chunks(path, gold=True)])
        assert records["label"].is_in(["negative", "positive"]).all()
        assert records["tweet_id"].null_count() == len(records) > 1_000
