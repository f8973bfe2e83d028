"""One flipped bit in the published snapshot: an error that names the file, and never another answer."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable

from sentiment.errors import HomeError
from sentiment.settings import Home
from sentiment.warehouse.query import query
from sentiment.warehouse.snapshot import publish

FLIPS = 120
EVERYTHING = "select * from tweets order by tweet_id"


def test_a_flipped_bit_never_changes_an_answer(home: Home, ingest_lines: Callable, tweet_line: Callable) -> None:
    ingest_lines(home, *(tweet_line(i, f"tweet {i} of a day {i * 7919 % 1000}", "04"[i % 2]) for i in range(1, 4000)))
    publish(home)
    expected = query(home, EVERYTHING)
    link, whole = home.published, home.published.read_bytes()
    link.unlink()
    chance = random.Random(5)
    errors: list[str] = []
    for number in range(FLIPS):
        damaged = bytearray(whole)
        position = chance.randrange(len(whole) * 8)
        damaged[position // 8] ^= 1 << position % 8
        link.unlink(missing_ok=True)
        # DuckDB keys open files by their path.
        copy = link.with_name(f"sentiment-damaged{number}.duckdb")
        copy.write_bytes(damaged)
        link.symlink_to(copy.name)
        try:
            assert query(home, EVERYTHING).equals(expected)
        except HomeError as error:
            errors.append(str(error))
        copy.unlink()
    assert errors
    for text in errors:
        assert "sentiment-damaged" in text
        assert "sentiment housekeeping" in text


def test_the_command_that_is_named_makes_another_snapshot(home: Home) -> None:
    publish(home)
    damaged = home.published.resolve()
    damaged.write_bytes(damaged.read_bytes()[:8192] + bytes(damaged.stat().st_size - 8192))
    try:
        query(home, EVERYTHING)
        raise AssertionError
    except HomeError as error:
        command = str(error).partition("Replace it: ")[2].partition(" && ")[0]
    assert shutil.which("rm")
    subprocess.run(["bash", "-c", command], check=True)
    assert not damaged.exists()
    publish(home)
    assert len(query(home, EVERYTHING)) == 0
