"""Saved sources, and the folders of the inbox that are read by them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sentiment.errors import HomeError, InputError
from sentiment.ingest.inbox import find_inbox_files, refuse_file, source_of
from sentiment.ingest.inspection import inspect_file
from sentiment.ingest.load import Instructions, ingest_file
from sentiment.ingest.mapping.reading import ReadingOptions
from sentiment.ingest.sources import load_source, save_source, with_source
from sentiment.settings import Home

LONG_AGO = (1_000_000_000, 1_000_000_000)


def reviews(path: Path, first: int = 0) -> Path:
    lines = [f"great stuff {n};{n % 5 + 1};{n % 28 + 1:02}.03.2024" for n in range(first, first + 30)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("body;stars;when posted\n" + "\n".join(lines) + "\n")
    os.utime(path, LONG_AGO)
    return path


def test_a_saved_source_reads_as_the_file_was_read_and_can_be_edited(home: Home, tmp_path: Path) -> None:
    path = reviews(tmp_path / "reviews.csv")
    options = ReadingOptions(columns="date=when posted")
    saved = save_source(home, "shop", inspect_file(path, options).reading, path)
    again = inspect_file(path, load_source(home, "shop")).reading
    first = inspect_file(path, options).reading
    assert again.reads_as(first)
    assert (again.namespace, again.times.order if again.times else None) == ("shop", "day first")
    saved.write_text(
        saved.read_text().replace('"3" = "neutral"', '"3" = "none"').replace('ids_of = "shop"', 'ids_of = ""')
    )
    edited = inspect_file(path, load_source(home, "shop")).reading
    assert edited.scheme is not None
    assert (edited.scheme.meaning["3"], edited.namespace) == (None, None)
    report = ingest_file(home, path, instructions=Instructions(with_source(home, ReadingOptions(source="shop"))))
    assert report.count_loaded == 30


@pytest.mark.parametrize("content", ["columns = 1", 'colours = "red"', "not toml ["])
def test_a_source_that_cannot_be_read_is_said_to_be_so(home: Home, content: str) -> None:
    folder = home.root / "sources"
    folder.mkdir()
    (folder / "shop.toml").write_text(content)
    with pytest.raises(InputError, match=r"shop\.toml"):
        load_source(home, "shop")
    with pytest.raises(InputError, match="has no name that a file can have"):
        load_source(home, "../secrets")


def test_a_damaged_source_is_told_from_an_edited_one(home: Home, tmp_path: Path) -> None:
    path = reviews(tmp_path / "reviews.csv")
    saved = save_source(home, "shop", inspect_file(path).reading, path)
    status, content = saved.stat(), saved.read_bytes()
    damaged = content.replace(b'"5" = "positive"', b'"7" = "positive"')
    assert damaged != content
    saved.write_bytes(damaged)
    load_source(home, "shop")
    os.utime(saved, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(HomeError, match=r"shop\.toml is damaged.*sentiment inspect FILE --save shop"):
        load_source(home, "shop")


def test_a_folder_of_the_inbox_is_a_source_and_what_is_no_file_is_not_followed(home: Home, tmp_path: Path) -> None:
    plain, daily = reviews(home.inbox / "plain.csv"), reviews(home.inbox / "shop" / "monday.csv")
    outside = reviews(tmp_path / "outside.csv")
    (home.inbox / "link.csv").symlink_to(outside)
    (home.inbox / "linked").symlink_to(tmp_path)
    os.mkfifo(home.inbox / "pipe.csv")
    assert find_inbox_files(home) == [plain, daily]
    assert [source_of(home, path) for path in (plain, daily, outside)] == [None, "shop", None]


def test_a_refused_file_is_tried_again_when_its_source_has_changed(home: Home, tmp_path: Path) -> None:
    path = reviews(home.inbox / "shop" / "monday.csv")
    refuse_file(home, path, "not sure")
    assert find_inbox_files(home) == []
    save_source(home, "shop", inspect_file(path).reading, path)
    os.utime(home.root / "sources" / "shop.toml", (4_000_000_000, 4_000_000_000))
    assert find_inbox_files(home) == [path]
