"""The published training file, ingested whole, and a copy of it with lines broken in ten ways."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from sentiment.ingest.load import IngestReport, ingest_file
from sentiment.settings import Home

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
TRAINING = DATA / "training.1600000.processed.noemoticon.csv.zst"
MANUAL = DATA / "testdata.manual.2009.06.14.csv"
COUNT_LINES, COUNT_TWEETS, COUNT_TWICE = 1_600_000, 1_598_316, 1_684
COUNT_BROKEN = 200

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not TRAINING.exists(), reason=f"the real Sentiment140 files are not in {DATA}"),
    pytest.mark.timeout(300),
]

Break = Callable[[bytes], bytes]


def field(number: int, value: bytes) -> Break:
    """Puts a value in the place of one of the six fields."""

    def change(line: bytes) -> bytes:
        fields = line.split(b'","', 5)
        fields[number] = (b'"' if number == 0 else b"") + value + (b'"' if number == 5 else b"")
        return b'","'.join(fields)

    return change


BREAKS: list[tuple[str, Break]] = [
    ("wrong_column_count", lambda line: line[: line.rindex(b'","') + 1]),
    ("wrong_column_count", lambda line: line + b',"one more"'),
    ("unknown_target", field(0, b"3")),
    ("bad_id", field(1, b"14678x10369")),
    ("bad_id", field(1, b"99999999999999999999")),
    ("bad_date", field(2, b"Mon Apr 36 22:19:45 PDT 2009")),
    ("unterminated_quote", lambda line: line[:-1]),
    ("blank_text", field(5, b" \t ")),
    ("overlong_line", field(5, b"long " * 20_000)),
    ("nul_bytes", lambda line: line[:-20] + b"\0\0" + line[-20:]),
]


@pytest.fixture(scope="module")
def whole(new_home: Callable[[], Home]) -> tuple[Home, IngestReport]:
    home = new_home()
    return home, ingest_file(home, TRAINING)


def test_every_line_of_the_training_file_is_accounted_for(
    whole: tuple[Home, IngestReport], rows_of: Callable, checks_pass: Callable
) -> None:
    home, report = whole
    counts = (report.count_lines, report.count_loaded, report.count_duplicate, report.count_rejected)
    assert counts == (COUNT_LINES, COUNT_TWEETS, COUNT_TWICE, 0)
    assert rows_of(
        home,
        "select count(*), count(distinct tweet_id), count(*) filter (where has_label_conflict), "
        "count(*) filter (where has_label_conflict and label is not null), count(*) filter (where label is null) "
        "from tweets",
    ) == [(COUNT_TWEETS, COUNT_TWEETS, COUNT_TWICE, 0, COUNT_TWICE)]
    checks_pass(home)


def test_again_in_another_packing_changes_nothing(whole: tuple[Home, IngestReport], tmp_path: Path) -> None:
    home, first = whole
    modified = home.warehouse.stat().st_mtime_ns
    plain = tmp_path / "plain.csv"
    with TRAINING.open("rb") as source, plain.open("wb") as target:
        zstandard.ZstdDecompressor().copy_stream(source, target)
    for path in (TRAINING, plain):
        report = ingest_file(home, path)
        assert (report.outcome, report.file_id) == ("unchanged", first.file_id)
    assert home.warehouse.stat().st_mtime_ns == modified


def test_the_manual_file_becomes_a_gold_set(whole: tuple[Home, IngestReport], rows_of: Callable) -> None:
    home, _ = whole
    report = ingest_file(home, MANUAL, gold_set="manual")
    assert (report.count_lines, report.count_loaded, report.count_rejected) == (498, 498, 0)
    assert rows_of(home, "select label, count(*) from gold_tweets group by 1 order by 1") == [
        ("negative", 177),
        ("neutral", 139),
        ("positive", 182),
    ]
    assert rows_of(home, "select count(*) from tweets") == [(COUNT_TWEETS,)]


def test_two_hundred_broken_lines_are_kept_with_their_reasons_and_cost_no_good_row(
    whole: tuple[Home, IngestReport],
    new_home: Callable[[], Home],
    rows_of: Callable,
    checks_pass: Callable,
) -> None:
    home, _ = whole
    damaged = new_home()
    chance = random.Random(20090406)
    numbers = chance.sample(range(COUNT_LINES), COUNT_BROKEN)
    breaks = {number: BREAKS[place % len(BREAKS)] for place, number in enumerate(numbers)}
    path = damaged.inbox / "broken.csv"
    expected, lost_ids = [], []
    with TRAINING.open("rb") as source:
        lines = zstandard.ZstdDecompressor().stream_reader(source).read().splitlines(keepends=True)
    for number, (reason, change) in sorted(breaks.items()):
        line = lines[number].rstrip(b"\r\n")
        lines[number] = change(line) + b"\n"
        expected.append((number + 1, reason, change(line)))
        lost_ids.append(int(line.split(b'","', 2)[1]))
    with path.open("wb") as file:
        file.writelines(lines)
    del lines
    report = ingest_file(damaged, path)
    assert (report.count_lines, report.count_rejected) == (COUNT_LINES, COUNT_BROKEN)
    assert rows_of(damaged, "select line_number, reason, raw_line from rejected_rows order by 1") == expected
    checks_pass(damaged)
    # An id that stands twice is still there by its other line, then without a conflict.
    twice = rows_of(
        home, f"select count(*) from tweets where has_label_conflict and tweet_id in ({', '.join(map(str, lost_ids))})"
    )[0][0]
    assert report.count_loaded == COUNT_TWEETS - COUNT_BROKEN + twice
    assert report.count_duplicate == COUNT_TWICE - twice
    # One number for all good rows, column by column, in whatever order they lie.
    content = (
        "select count(*), sum(hash(tweet_id, posted_at, user_name, query, text, raw_text, label, has_label_conflict, "
        f"text_key, split)::hugeint) from tweets where tweet_id not in ({', '.join(map(str, lost_ids))})"
    )
    assert rows_of(damaged, content) == rows_of(home, content)
    assert rows_of(damaged, content)[0][0] == COUNT_TWEETS - COUNT_BROKEN
