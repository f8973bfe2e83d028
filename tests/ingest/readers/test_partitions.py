"""Folders named like `day=2026-11-01`: columns of the files in them, after what a file says of each row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sentiment.ingest.inspection import inspect_file
from sentiment.ingest.load import ingest_file
from sentiment.ingest.readers.partitions import partitions_of
from sentiment.settings import Home


def test_folders_are_columns_where_the_file_has_none_for_a_role(home: Home, tmp_path: Path, rows_of: Callable) -> None:
    folder = tmp_path / "day=2026-11-05" / "lang=en"
    folder.mkdir(parents=True)
    (folder / "posts.csv").write_text("id,text\n1,a lovely morning in town\n2,an awful evening at home\n")
    found = inspect_file(folder / "posts.csv")
    assert dict(found.reading.columns) == {"text": "text", "id": "id", "date": "day", "language": "lang"}
    assert "day and lang from the names of its folders" in found.reading.sentence
    assert ingest_file(home, folder / "posts.csv").count_loaded == 2
    assert rows_of(home, "select distinct posted_at::varchar from tweets") == [("2026-11-05 00:00:00+00",)]


def test_what_a_file_says_of_each_row_counts_before_the_names_of_folders(
    home: Home, tmp_path: Path, rows_of: Callable
) -> None:
    folder = tmp_path / "date=2026-11-05"
    folder.mkdir()
    (folder / "posts.csv").write_text(
        "id,text,updated_at\n1,a lovely morning in town,2026-11-05 10:00\n2,an awful evening,2026-11-05 11:00\n"
    )
    assert inspect_file(folder / "posts.csv").reading.columns["date"] == "updated_at"


def test_a_file_that_has_the_column_itself_is_read_by_it(tmp_path: Path) -> None:
    folder = tmp_path / "day=2026-11-05"
    folder.mkdir()
    (folder / "posts.csv").write_text("id,text,day\n1,a lovely morning,2026-10-01\n2,an awful evening,2026-10-02\n")
    found = inspect_file(folder / "posts.csv")
    assert (found.reading.columns["date"], str(found.earliest)[:10]) == ("day", "2026-10-01")


def test_only_folders_directly_above_a_file_are_columns() -> None:
    path = Path("/data/run=3/files/day=2026-11-05/hour=07/topic=a%20b/x=__HIVE_DEFAULT_PARTITION__/posts.csv")
    assert partitions_of(path) == (("day", "2026-11-05"), ("hour", "07"), ("topic", "a b"), ("x", None))
    assert partitions_of(Path("/data/posts.csv")) == ()
