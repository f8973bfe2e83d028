"""Small files as people have them: each goes in as a person expects who knows the file, or is asked about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sentiment.errors import RefusedFileError, UnsureError
from sentiment.ingest.load import Instructions, ingest_file
from sentiment.ingest.mapping.reading import ReadingOptions
from sentiment.ingest.plan import look_at, read_chunks
from sentiment.settings import Home

CASES = Path(__file__).with_name("cases")


def records(name: str, options: ReadingOptions = ReadingOptions()) -> pl.DataFrame:
    chunks = list(read_chunks(CASES / name, options))
    assert sum(len(chunk.rejects) for chunk in chunks) == 0
    return pl.concat([chunk.records for chunk in chunks])


def labels(name: str) -> dict[str | None, int]:
    return dict(Counter(records(name)["label"].to_list()))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("reordered_user_flag.csv", {"negative": 12, "positive": 8}),
        ("labels_0_1.csv", {"negative": 107, "positive": 93}),
        ("labels_0_1_2.parquet", {"negative": 5, "neutral": 10, "positive": 15}),
        ("labels_minus1_0_1.ndjson", {"negative": 5, "neutral": 10, "positive": 15}),
        ("labels_capital.csv", {"negative": 11, "positive": 9}),
        ("hf_sentiment140_layout.parquet", {"negative": 6, "positive": 4}),
        ("reviews_two_columns.csv", {"negative": 3, "positive": 2}),
        ("semeval.tsv", {"negative": 1, "positive": 4}),
        ("semicolon.csv", {"negative": 3, "positive": 7}),
        ("multiline_text.csv", {"negative": 6, "positive": 4}),
        ("cr_only.csv", {"negative": 6, "positive": 4}),
        ("epoch_ms.csv", {"negative": 1, "positive": 3}),
        ("pandas_to_json.ndjson", {"negative": 2, "positive": 8}),
        ("bluesky.jsonl", {None: 5}),
        ("twitter_v11.jsonl", {None: 5}),
        ("twitter_archive_tweets.js", {None: 5}),
        ("other_names.parquet", {"negative": 20, "positive": 20}),
    ],
)
def test_every_row_goes_in_with_its_label(name: str, expected: dict[str | None, int]) -> None:
    assert labels(name) == expected


def test_stars_are_read_as_such() -> None:
    looked = look_at(CASES / "stars_1_to_5.csv", ReadingOptions(), whole=True)
    assert looked.reading.scheme is not None
    assert looked.reading.scheme.sentence == "1, 2 = negative; 3 = neutral; 4, 5 = positive"
    assert labels("stars_1_to_5.csv") == {"negative": 22, "positive": 28}


def test_a_header_decides_whatever_the_order_of_columns() -> None:
    first = records("reordered_user_flag.csv").row(0, named=True)
    assert (first["user_name"], first["query"]) == ("user0", "NO_QUERY")


def test_columns_without_an_id_are_taken_as_they_are_named() -> None:
    first = records("hf_sentiment140_layout.parquet").row(0, named=True)
    assert first["text"].startswith("thanks for the quick help")
    assert (first["user_name"], first["query"], first["label"]) == ("user0", "NO_QUERY", "positive")
    assert first["posted_at"] == datetime(2024, 3, 1, tzinfo=UTC)
    assert first["tweet_id"] >= 2**62


def test_a_line_break_within_quotes_stays_in_the_text() -> None:
    assert records("multiline_text.csv")["text"][0] == "this film made me smile all night\nnumber 132467 tonight"


def test_times_in_milliseconds() -> None:
    assert records("epoch_ms.csv")["posted_at"][0] == datetime(2009, 4, 6, 17, 56, 42, 219000, tzinfo=UTC)
    assert records("pandas_to_json.ndjson")["posted_at"].unique().to_list() == [datetime(2024, 3, 1, tzinfo=UTC)]


def test_day_and_month_that_no_reading_fits_are_asked_about_and_either_answer_is_taken() -> None:
    path = CASES / "date_space_offset.csv"
    with pytest.raises(UnsureError, match="--date-format day-first or --date-format month-first"):
        list(read_chunks(path))
    for answer, rejected in (("day-first", 5), ("month-first", 4)):
        (chunk,) = read_chunks(path, ReadingOptions(date_format=answer))
        assert chunk.rejects.select("line_number", "reason").rows() == [(rejected, "bad_date")]
        assert chunk.records["posted_at"][:3].to_list() == [
            datetime(2015, 2, 24, 19, 35, 52, tzinfo=UTC),
            datetime(2015, 2, 24, 19, 35, 52, tzinfo=UTC),
            datetime(2015, 2, 24, 11, 35, 52, tzinfo=UTC),
        ]
        assert chunk.records["posted_at"][3] == datetime(2015, 2, 24, 11, 35, tzinfo=UTC)


def test_an_id_that_is_no_number_can_be_found_as_it_was() -> None:
    found = records("bluesky.jsonl")
    assert found["source"].unique().to_list() == ["bluesky"]
    assert found["source_id"][0] == "at://did:plc:abcdefgh3017000000/app.bsky.feed.post/3k3017000000"
    assert found["tweet_id"].n_unique() == 5


def test_tweets_keep_their_own_ids() -> None:
    first = records("twitter_v11.jsonl").row(0, named=True)
    assert (first["tweet_id"], first["user_name"], first["source_id"]) == (1000000003014000000, "user0", None)
    assert first["posted_at"] == datetime(2018, 10, 10, 20, 19, 24, tzinfo=UTC)
    assert records("twitter_archive_tweets.js")["tweet_id"][0] == 3016000000


def test_what_is_left_out_is_named() -> None:
    looked = look_at(CASES / "other_names.parquet", ReadingOptions(columns="user="), whole=True)
    assert looked.reading.left_out == ("user",)
    assert "left out: user" in looked.reading.sentence


# -- As a whole: what a file must not do


@pytest.fixture
def ingest(home: Home, tmp_path: Path) -> Callable[..., Any]:
    def run(content: str, name: str = "posts.csv", **options: Any) -> Any:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return ingest_file(home, path, **options)

    return run


def table(header: str, rows: list[str]) -> str:
    return "\n".join([header, *rows]) + "\n"


def test_a_scheme_that_the_words_contradict_is_refused_with_the_figures(
    ingest: Callable, rows_of: Callable, home: Home
) -> None:
    rows = [f"i love this great wonderful thing {number},0" for number in range(40)]
    rows += [f"i hate this awful terrible thing {number},1" for number in range(40)]
    with pytest.raises(
        RefusedFileError, match=r"Of 80 labelled texts .* 80 lean against their label \(100 %.*0=positive,1=negative"
    ):
        ingest(table("text,label", rows))
    assert rows_of(home, "from tweets") == []
    said = Instructions(ReadingOptions(labels="0=positive,1=negative"))
    assert ingest(table("text,label", rows), instructions=said).count_loaded == 80


def test_a_file_that_is_mostly_rejected_is_refused_and_leaves_nothing(
    ingest: Callable, rows_of: Callable, home: Home
) -> None:
    rows = [f"{number},text {number} of many,2024-01-01" for number in range(1, 5)] + [
        f"{number},  ,2024-01-01" for number in range(5, 11)
    ]
    with pytest.raises(RefusedFileError, match=r"6 of 10 records were rejected, 6 of them for blank_text"):
        ingest(table("id,text,date", rows))
    assert rows_of(home, "from tweets") == []
    assert rows_of(home, "from rejected_rows") == []
    report = ingest(table("id,text,date", rows), instructions=Instructions(max_rejected=0.6))
    assert (report.count_loaded, report.count_rejected) == (4, 6)


def test_a_file_without_one_class_is_refused_unless_a_person_says_how_labels_are_read(ingest: Callable) -> None:
    rows = [f"some text {number},positive" for number in range(30)]
    with pytest.raises(RefusedFileError, match="its labels are 30 positive, and none is negative"):
        ingest(table("text,label", rows))
    said = Instructions(ReadingOptions(labels="positive=positive,negative=negative"))
    assert ingest(table("text,label", rows), instructions=said).count_loaded == 30


def test_absurd_times_refuse_the_file(ingest: Callable) -> None:
    rows = [f"some text {number},1239-04-06" for number in range(5)]
    with pytest.raises(RefusedFileError, match="100 % of its times lie before 1990"):
        ingest(table("text,date", rows))


def test_ids_that_went_through_a_float_are_refused_not_rounded(ingest: Callable, tmp_path: Path, home: Home) -> None:
    with pytest.raises(RefusedFileError, match=r"holds 5\.70306E\+17: ids above 2\^53"):
        ingest(table("tweet_id,text", [f"5.7030{number}E+17,hello {number}" for number in range(6, 9)]))
    rounded = [f"5703061336777{number}0000,hello {number}" for number in range(10, 30)]
    with pytest.raises(RefusedFileError, match="that all end in 000"):
        ingest(table("tweet_id,text", rounded))
    path = tmp_path / "ids.parquet"
    pl.DataFrame({"tweet_id": [5.7e17, 5.8e17], "text": ["a b", "c d"]}).write_parquet(path)
    with pytest.raises(RefusedFileError, match=r"above 2\^53"):
        ingest_file(home, path)
    # Small ones are exact, as pandas writes them where some are missing.
    assert ingest(table("tweet_id,text", [f"{number}.0,hello {number}" for number in range(3)])).count_loaded == 3


@pytest.mark.parametrize(
    ("content", "question"),
    [
        (table("text,label", [f"some text {n},{n % 2 + 1}" for n in range(20)]), "--labels 1=negative,2=positive"),
        (table("text,date", [f"some text {n},0{n % 9 + 1}/04/2024" for n in range(20)]), "--date-format day-first"),
        (
            table("comment,review", [f"some words in a row {n},other words in a row {n}" for n in range(20)]),
            "--columns text=review or --columns text=comment",
        ),
        (table("text,sentiment", [f"some text {n},{'joy' if n % 2 else 'anger'}" for n in range(20)]), "joy"),
    ],
)
def test_what_a_file_does_not_say_is_asked(ingest: Callable, content: str, question: str) -> None:
    with pytest.raises(UnsureError, match=question) as caught:
        ingest(content)
    assert caught.value.questions
    assert caught.value.exit_status == 2


GOOD_WORDS, BAD_WORDS = "i love this great place", "i hate this awful place"


def test_words_tell_whether_two_is_positive_where_no_row_is_one(
    ingest: Callable, rows_of: Callable, home: Home
) -> None:
    ingest(table("text,label", [f"{GOOD_WORDS if n % 2 else BAD_WORDS} {n},{n % 2 * 2}" for n in range(60)]))
    assert dict(rows_of(home, "select label, count(*) from tweets group by 1")) == {"negative": 30, "positive": 30}
    # Neutral texts lean to the positive side in two of three.
    words = (BAD_WORDS, GOOD_WORDS, GOOD_WORDS)
    rows = [f"{words[n // 2 % 3] if n % 2 else BAD_WORDS} again {n},{n % 2 * 2}" for n in range(600)]
    with pytest.raises(UnsureError, match="0, 2, which can be read in more than one way"):
        ingest(table("text,label", rows), "neutral.csv")


def test_numbers_beside_longer_ids_are_times_and_alone_a_question(
    ingest: Callable, rows_of: Callable, home: Home
) -> None:
    rows = [f"some words in a row {n},{1_300_000_000_000_000_000 + n},{1_600_000_000 + n}" for n in range(20)]
    ingest("\n".join(rows) + "\n")
    assert rows_of(home, "select tweet_id, epoch(posted_at)::bigint from tweets order by 1 limit 1") == [
        (1_300_000_000_000_000_000, 1_600_000_000)
    ]
    with pytest.raises(UnsureError, match="may be times since 1970, or ids"):
        ingest("".join(f"other words in a row {n},{1_600_000_000 + n}\n" for n in range(20)), "alone.csv")


def test_ids_that_come_again_and_again_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "posts.csv"
    path.write_text("".join(f"some words in a row {n},{77_000 + n // 10}\n" for n in range(40)))
    (chunk,) = read_chunks(path, ReadingOptions(columns="text=1,id=2,label="))
    assert set(chunk.records["tweet_id"]) == {77_000, 77_001, 77_002, 77_003}
    assert chunk.records["source_id"].null_count() == 40


def test_later_rows_change_how_the_first_are_read(
    ingest: Callable, rows_of: Callable, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first block has {0, 1}, the last {0, 1, 2}: all of it is read by the whole set."""
    monkeypatch.setattr("sentiment.ingest.load.BLOCK_BYTES", 400)
    monkeypatch.setattr("sentiment.ingest.plan.PIECE_BYTES", 400)
    rows = [f"some text {n},{n % 2}" for n in range(100)] + [f"more text {n},2" for n in range(20)]
    ingest(table("text,label", rows))
    assert dict(rows_of(home, "select label, count(*) from tweets group by 1")) == {
        "negative": 50,
        "neutral": 50,
        "positive": 20,
    }


# -- Identity


def test_the_same_words_of_two_people_are_two_posts_and_the_same_file_twice_changes_nothing(
    ingest: Callable, rows_of: Callable, home: Home
) -> None:
    rows = ["great!,positive", "great!,positive", "awful,negative"]
    assert ingest(table("review,sentiment", rows)).count_loaded == 3
    assert ingest(table("review,sentiment", rows)).outcome == "unchanged"
    more = ingest(table("review,sentiment", ["new one,negative", *rows, "great!,positive"]), "more.csv")
    assert (more.count_loaded, more.count_duplicate) == (2, 3)
    assert rows_of(home, "select text, count(*) from tweets group by 1 order by 1") == [
        ("awful", 1),
        ("great!", 3),
        ("new one", 1),
    ]


def test_two_sources_may_use_the_same_number(ingest: Callable, rows_of: Callable, home: Home) -> None:
    ingest(table("id,text", ["1,from the shop"]))
    for name in ("a", "b"):
        ingest(
            table("id,text", [f"1,from {name}"]), f"{name}.csv", instructions=Instructions(ReadingOptions(source=name))
        )
    assert rows_of(home, "select source, source_id, text from tweets order by text") == [
        ("a", "1", "from a"),
        ("b", "1", "from b"),
        (None, None, "from the shop"),
    ]
    assert rows_of(home, "select tweet_id from tweets where source is null") == [(1,)]


def test_ids_of_another_source_that_meet_others_are_told_apart_by_name(ingest: Callable) -> None:
    ingest(table("id,text", [f"{n},one thing {n}" for n in range(5)]))
    with pytest.raises(RefusedFileError, match="give its source a name: --source NAME"):
        ingest(table("id,text", [f"{n},another {n}" for n in range(5)]), "other.csv")
