"""Generated tweets: exact format, counts that hold, and nothing of it by chance."""

from __future__ import annotations

import gzip
import re
import tracemalloc
from collections import Counter
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import zstandard
from sklearn.feature_extraction.text import CountVectorizer  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from sentiment.errors import InputError
from sentiment.sample import REJECT_REASONS, SampleSummary, Span, write_gold_sample, write_sample

DAY = (
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?:(?:Jan|Mar|May|Jul|Aug|Oct|Dec) (?:0[1-9]|[12]\d|3[01])"
    rb"|(?:Apr|Jun|Sep|Nov) (?:0[1-9]|[12]\d|30)|Feb (?:0[1-9]|1\d|2[0-8]))"
)
LINE = re.compile(
    rb'"(?P<target>[024]?)","(?P<id>[1-9]\d{8,18})","(?P<date>'
    + DAY
    + rb' [012]\d:[0-5]\d:[0-5]\d (?:PDT|UTC) \d{4})",'
    rb'"(?P<query>NO_QUERY|[a-z]+)","(?P<user>generated_\d{6})","(?P<text>[^"\n\0]*[^"\n\0\s][^"\n\0]*)"'
)
ROWS = 6_000


def lines_of(path: Path) -> list[bytes]:
    content = path.read_bytes()
    assert content.endswith(b"\n")
    return content.split(b"\n")[:-1]


def posted_at(row: dict[str, bytes]) -> datetime:
    text = row["date"].decode()
    moment = datetime.strptime(text[:20] + text[-4:], "%a %b %d %H:%M:%S %Y")
    # strptime reads the weekday and does not check it.
    assert f"{moment:%a}" == text[:3]
    return moment


def rows_of(path: Path) -> list[dict[str, bytes]]:
    return [match.groupdict() for match in map(LINE.fullmatch, lines_of(path)) if match]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleSummary:
    return write_sample(tmp_path_factory.mktemp("sample") / "tweets.csv", ROWS, seed=7)


@pytest.mark.parametrize("rows", [1, 2, 3, 10, 1_999, 2_000, 70_001])
@pytest.mark.parametrize("labelled", [True, False])
def test_the_file_has_exactly_the_lines_asked_for(tmp_path: Path, rows: int, labelled: bool) -> None:
    summary = write_sample(tmp_path / "tweets.csv", rows, labelled=labelled)
    lines = lines_of(tmp_path / "tweets.csv")
    assert len(lines) == summary.rows == rows
    assert sum(LINE.fullmatch(line) is None for line in lines) == sum(summary.rejected.values())


@pytest.mark.parametrize("seed", range(5))
def test_without_dirt_every_line_parses(tmp_path: Path, seed: int) -> None:
    summary = write_sample(tmp_path / "tweets.csv", 2_500, seed=seed, dirty=False)
    assert len(rows_of(tmp_path / "tweets.csv")) == 2_500
    assert summary.rejected == {}


def test_negatives_come_first_and_only_they_reach_the_end(sample: SampleSummary) -> None:
    rows = rows_of(sample.path)
    targets = [row["target"] for row in rows]
    assert targets == sorted(targets)
    assert set(targets) == {b"0", b"4"}
    assert Counter(targets) == {b"0": sample.labels["negative"], b"4": sample.labels["positive"]}
    last = {row["target"]: posted_at(row) for row in rows}
    assert last[b"4"] < datetime(2009, 6, 18) < datetime(2009, 6, 24) < last[b"0"] < datetime(2009, 6, 25)


def test_ids_and_times_rise_within_each_class(sample: SampleSummary) -> None:
    for target in (b"0", b"4"):
        rows = [row for row in rows_of(sample.path) if row["target"] == target]
        times, ids = [posted_at(row) for row in rows], [int(row["id"]) for row in rows]
        assert times == sorted(times)
        assert all(before < after for before, after in pairwise(ids))


def test_ids_rise_also_where_tweets_are_dense(tmp_path: Path) -> None:
    write_sample(
        tmp_path / "tweets.csv", 300_000, span=Span(start=date(2009, 12, 31), days=1), labelled=False, dirty=False
    )
    ids = np.array([int(line.split(b'"', 4)[3]) for line in lines_of(tmp_path / "tweets.csv")])
    assert (np.diff(ids) > 0).all()


def test_daily_files_follow_each_other(tmp_path: Path) -> None:
    ids: list[int] = []
    for day in (date(2009, 12, 31), date(2010, 1, 1)):
        write_sample(tmp_path / "day.csv", 500, span=Span(start=day, days=1), labelled=False, dirty=False)
        rows = rows_of(tmp_path / "day.csv")
        assert {posted_at(row).date() for row in rows} == {day}
        assert {row["target"] for row in rows} == {b""}
        ids += [int(row["id"]) for row in rows]
    assert ids == sorted(set(ids))


def test_a_daily_file_shares_no_id_with_a_labelled_one_of_the_same_dates(tmp_path: Path) -> None:
    ids = []
    for labelled in (True, False):
        write_sample(tmp_path / "tweets.csv", 50_000, span=Span(days=1), labelled=labelled, dirty=False)
        ids.append({row["id"] for row in rows_of(tmp_path / "tweets.csv")})
    assert not ids[0] & ids[1]


def test_ids_start_where_asked(tmp_path: Path) -> None:
    write_sample(tmp_path / "tweets.csv", 100, span=Span(days=1, first_id=5_000_000_000), labelled=False)
    assert 5_000_000_000 <= int(rows_of(tmp_path / "tweets.csv")[0]["id"]) < 5_000_200_000


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    for path, seed in zip(paths, (1, 1, 2), strict=True):
        write_sample(path, 3_000, seed=seed)
    first, again, other = (path.read_bytes() for path in paths)
    assert first == again
    assert first != other


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_compressed_files_hold_the_same_bytes_and_repeat(tmp_path: Path, suffix: str) -> None:
    plain, packed, again = tmp_path / "a.csv", tmp_path / f"a.csv{suffix}", tmp_path / f"b.csv{suffix}"
    for path in (plain, packed, again):
        write_sample(path, 2_000)
    with gzip.open(packed) if suffix == ".gz" else zstandard.open(packed) as stream:
        assert stream.read() == plain.read_bytes()
    assert packed.read_bytes() == again.read_bytes()
    assert packed.stat().st_size < plain.stat().st_size / 2


def is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_counts_of_traits_are_those_of_the_file(sample: SampleSummary) -> None:
    texts = [row["text"] for row in rows_of(sample.path)]
    patterns = {
        "amp": rb"&amp;",
        "quot": rb"&quot;",
        "lt": rb"&lt;",
        "heart": rb"&lt;3",
        "gt": rb"&gt;",
        "escaped_twice": rb"&amp;(amp|quot|lt|gt);",
        "non_ascii": rb"[\x80-\xff]",
        "c1": rb"[\x80-\x9f]",
        "del": rb"\x7f",
        "tab": rb"\t",
        "nbsp": rb"\xc2\xa0",
        "mention": rb"@",
        "link": rb"http://",
        "hashtag": rb"#\w",
    }
    found = {name: sum(bool(re.search(pattern, text)) for text in texts) for name, pattern in patterns.items()}
    found["damaged_utf8"] = sum(not is_utf8(text) for text in texts)
    assert found == sample.traits
    assert min(found.values()) >= 1


def test_damaged_texts_keep_intact_sequences_beside_the_damage(tmp_path: Path) -> None:
    write_sample(tmp_path / "tweets.csv", 100_000)
    damaged = [row["text"] for row in rows_of(tmp_path / "tweets.csv") if not is_utf8(row["text"])]
    intact = [text for text in damaged if re.search(rb"[\xc3-\xe9][\x80-\xbf]+", text)]
    assert len(intact) > 0.7 * len(damaged) > 0


def test_every_flaw_stands_in_a_file_of_two_thousand_rows(tmp_path: Path) -> None:
    summary = write_sample(tmp_path / "tweets.csv", 2_000)
    assert min(summary.planted.values()) >= 1
    assert min(summary.traits.values()) >= 1
    assert set(summary.rejected) == set(REJECT_REASONS)
    assert min(summary.rejected.values()) >= 1


@pytest.mark.parametrize(("kind", "real_rows"), [("amp", 42_927), ("heart", 13_254), ("damaged", 1_287), ("tab", 180)])
def test_flaws_come_at_the_rates_of_the_real_file(tmp_path: Path, kind: str, real_rows: int) -> None:
    summary = write_sample(tmp_path / "tweets.csv", 80_000)
    assert summary.planted[kind] == round(real_rows / 20)


def test_ids_under_both_labels_have_one_text(sample: SampleSummary) -> None:
    by_id: dict[bytes, list[dict[str, bytes]]] = {}
    for row in rows_of(sample.path):
        by_id.setdefault(row["id"], []).append(row)
    twice = [rows for rows in by_id.values() if len(rows) > 1]
    assert len(twice) == sample.planted["ids_under_both_labels"] == round(ROWS * 1_684 / 1.6e6)
    for first, second in twice:
        assert (first.pop("target"), second.pop("target")) == (b"0", b"4")
        assert first == second


def test_texts_repeat_and_one_far_more_often_and_some_carry_both_labels(tmp_path: Path) -> None:
    summary = write_sample(tmp_path / "tweets.csv", 200_000)
    rows = rows_of(tmp_path / "tweets.csv")
    count = Counter(row["text"] for row in rows)
    assert count[b"good morning twitter"] == summary.planted["most_common_text"] == round(200_000 * 210 / 1.6e6)
    repeated = {text for text, number in count.items() if number > 1}
    labels = {(row["text"], row["target"]) for row in rows if row["text"] in repeated}
    both = len(labels) - len(repeated)
    assert both > 20
    extra = sum(count.values()) - len(count)
    assert summary.planted["double_posts"] < extra < 0.03 * len(rows)


def test_the_longest_text_has_the_length_of_the_real_one(sample: SampleSummary) -> None:
    assert 369 <= max(len(row["text"]) for row in rows_of(sample.path)) <= 374


def reason_of(line: bytes) -> str:
    """What is wrong with a line, told from the line alone."""
    if b"\0" in line:
        return "nul_bytes"
    if not line.endswith(b'"'):
        return "unterminated_quote"
    columns = line[1:-1].split(b'","')
    if len(columns) != 6:
        return "wrong_column_count"
    target, tweet_id, _, _, _, text = columns
    if target not in (b"", b"0", b"4"):
        return "unknown_target"
    if not tweet_id.isdigit():
        return "bad_id"
    if not text.strip():
        return "blank_text"
    return "bad_date"


def test_broken_lines_are_broken_in_the_ways_the_summary_says(tmp_path: Path) -> None:
    summary = write_sample(tmp_path / "tweets.csv", 250_000)
    lines = lines_of(tmp_path / "tweets.csv")
    assert Counter(reason_of(line) for line in lines if not LINE.fullmatch(line)) == summary.rejected
    assert sum(summary.rejected.values()) == pytest.approx(0.0002 * 250_000, rel=0.1)


def test_the_summary_says_that_it_is_generated_and_how_far_a_model_can_get(sample: SampleSummary) -> None:
    assert "generated" in str(sample)
    assert sample.best_accuracy == pytest.approx(0.83, abs=0.015)
    assert f"{100 * sample.best_accuracy:.1f} %" in str(sample)


def test_mentions_are_commoner_in_positives_as_in_the_real_file(tmp_path: Path) -> None:
    write_sample(tmp_path / "tweets.csv", 60_000)
    rows = rows_of(tmp_path / "tweets.csv")
    for target, share in ((b"0", 0.376), (b"4", 0.547)):
        texts = [row["text"] for row in rows if row["target"] == target]
        assert np.mean([b"@" in text for text in texts]) == pytest.approx(share, abs=0.012)


def test_training_text_has_no_emoticons_and_daily_text_keeps_them(tmp_path: Path) -> None:
    shares = []
    for labelled in (True, False):
        write_sample(tmp_path / "tweets.csv", 5_000, labelled=labelled)
        shares.append(np.mean([bool(re.search(rb":-?[)(]", row["text"])) for row in rows_of(tmp_path / "tweets.csv")]))
    assert shares[0] < 0.005
    assert shares[1] > 0.1


def test_subjects_drift_with_the_date(tmp_path: Path) -> None:
    share = {}
    for month in (4, 6):
        write_sample(tmp_path / "tweets.csv", 20_000, span=Span(start=date(2009, month, 10), days=7), labelled=False)
        texts = [row["text"].lower() for row in rows_of(tmp_path / "tweets.csv")]
        share[month] = {
            word: np.mean([word in text for text in texts]) for word in (b"election", b"swine flu", b"phone")
        }
    assert share[4][b"election"] == share[4][b"swine flu"] == 0
    assert share[6][b"election"] > 0.005
    assert share[6][b"swine flu"] > 0.001
    assert share[6][b"phone"] > 1.3 * share[4][b"phone"]


def test_gold_has_true_labels_some_neutral_and_no_flaws(tmp_path: Path) -> None:
    summary = write_gold_sample(tmp_path / "gold.csv", 3_000, seed=1)
    rows = rows_of(tmp_path / "gold.csv")
    assert len(rows) == 3_000
    assert summary.wrong_labels == 0
    assert summary.rejected == {}
    assert summary.traits["damaged_utf8"] == 0
    targets = Counter(row["target"] for row in rows)
    assert 0.2 < targets[b"2"] / 3_000 < 0.35
    assert targets[b"0"] > 900 < targets[b"4"]
    assert [posted_at(row) for row in rows] == sorted(map(posted_at, rows))
    assert all(b" UTC " in row["date"] for row in rows)
    assert len({row["query"] for row in rows}) > 5


def test_gold_shares_next_to_no_text_with_the_sample(tmp_path: Path) -> None:
    write_sample(tmp_path / "tweets.csv", 20_000, seed=1)
    write_gold_sample(tmp_path / "gold.csv", 1_000, seed=1)
    known = {row["text"].strip() for row in rows_of(tmp_path / "tweets.csv")}
    assert np.mean([row["text"].strip() in known for row in rows_of(tmp_path / "gold.csv")]) < 0.02


def test_there_is_more_to_learn_from_more_rows_and_from_pairs_of_words(tmp_path: Path) -> None:
    write_sample(tmp_path / "tweets.csv", 32_000, dirty=False)
    rows = rows_of(tmp_path / "tweets.csv")
    order = np.random.default_rng(0).permutation(len(rows))
    texts = np.array([row["text"].decode("latin-1").lower() for row in rows], dtype=object)[order]
    labels = np.array([row["target"] == b"4" for row in rows])[order]

    def accuracy(count: int, longest: int) -> float:
        vectorizer = CountVectorizer(ngram_range=(1, longest), binary=True, token_pattern=r"[\w']+", min_df=2)
        model = LogisticRegression(C=0.03, max_iter=200)
        model.fit(vectorizer.fit_transform(texts[8_000 : 8_000 + count]), labels[8_000 : 8_000 + count])
        return float(model.score(vectorizer.transform(texts[:8_000]), labels[:8_000]))

    few, many = accuracy(2_000, 2), accuracy(24_000, 2)
    assert 0.55 < few < many - 0.04
    assert accuracy(24_000, 1) < many < 0.84


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    write_sample(tmp_path / "warm.csv", 10)

    def peak(rows: int) -> int:
        tracemalloc.start()
        write_sample(tmp_path / "tweets.csv", rows)
        reached = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return reached

    # Both are made of chunks of the same size.
    assert peak(6 * 65_536) < 1.1 * peak(2 * 65_536)


@pytest.mark.parametrize(
    "arguments", [{"rows": 0}, {"rows": 5, "span": Span(days=0)}, {"rows": 5, "span": Span(first_id=12)}]
)
def test_impossible_requests_are_refused_in_words(tmp_path: Path, arguments: dict[str, object]) -> None:
    with pytest.raises(InputError, match="at least"):
        write_sample(tmp_path / "tweets.csv", **arguments)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_sample(tmp_path / "missing" / "tweets.csv", 5)


def test_a_file_being_written_is_not_seen_and_a_failure_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "tweets.csv"
    target.mkdir()
    with pytest.raises(InputError):
        write_sample(target, 5)
    assert list(tmp_path.iterdir()) == [target]
