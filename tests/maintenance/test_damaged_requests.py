"""Damage to what a request to forget reads: it is named, nobody else is forgotten, and the request is finished afterwards."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sentiment.errors import HomeError
from sentiment.maintenance import erasure, text_search
from sentiment.maintenance.erasure import finish_forgetting, forget
from sentiment.registry.names import FED_ROWS
from sentiment.settings import Home
from sentiment.warehouse.query import query
from sentiment.warehouse.snapshot import publish

TEXT = "a very private sentence about xylophones"
USER = "Forgettable"
COUNT = f"select count(*) from tweets where user_name = '{USER}'"


@pytest.fixture
def private(home: Home, tweet_line: Callable[..., bytes], ingest_lines: Callable[..., Any]) -> Home:
    """A home with a tweet of somebody who asks to be forgotten."""
    ingest_lines(home, tweet_line(1, TEXT, user=USER), tweet_line(2, "another one"))
    publish(home)
    assert query(home, COUNT).item() == 1
    return home


def die(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("bit", [40, 4_000])
def test_a_damaged_request_forgets_nobody_else_and_is_named(
    private: Home, monkeypatch: pytest.MonkeyPatch, bit: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(erasure, "publish_alone", die)
        with pytest.raises(KeyboardInterrupt):
            forget(private, users=[USER])
    content = bytearray(private.forgetting.read_bytes())
    content[bit // 8 % len(content)] ^= 1
    private.forgetting.write_bytes(content)
    with pytest.raises(HomeError, match=re.escape(f"rm {private.forgetting} && sentiment forget --user")):
        finish_forgetting(private)
    private.forgetting.unlink()
    forget(private, users=[USER])
    assert query(private, COUNT).item() == 0


def test_a_damaged_list_of_rows_is_named_and_forgetting_goes_on_without_it(private: Home) -> None:
    damaged = private.mlflow / "artifacts" / "run" / "artifacts" / FED_ROWS
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"PAR1 no longer")
    with pytest.raises(HomeError, match=re.escape(f"rm {damaged} && sentiment forget")):
        forget(private, users=[USER])
    damaged.unlink()
    forget(private)
    assert query(private, COUNT).item() == 0


def test_a_text_is_found_across_the_pieces_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_search, "_PIECE_BYTES", 7)
    (tmp_path / "log").write_bytes(b"before " + TEXT.encode() + b" and after")
    assert text_search.contains_file(tmp_path / "log", [TEXT.encode()])
    assert not text_search.contains_file(tmp_path / "log", [TEXT.upper().encode()])


def test_texts_are_found_in_small_large_and_packed_files_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_search, "_SMALL_BYTES", 200)
    monkeypatch.setattr(text_search, "_PIECE_BYTES", 300)
    needle, expected = TEXT.encode(), []
    for number in range(30):
        holds, filling = number % 3 == 0, b"x" * (number * 20)
        content = filling + (needle if holds else TEXT.upper().encode()) + filling
        path = tmp_path / (f"{number:02}.gz" if number % 2 else f"{number:02}.txt")
        path.write_bytes(gzip.compress(content) if number % 2 else content)
        if holds:
            expected.append(path)
    (tmp_path / "empty").touch()
    paths = [*tmp_path.iterdir(), tmp_path / "gone"]
    assert sorted(text_search.holding(paths, [needle])) == expected
