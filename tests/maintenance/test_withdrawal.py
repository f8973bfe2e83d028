"""A file that is withdrawn leaves the tables as if it had never been there, and the right one counts."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from sentiment.errors import HomeError, InputError
from sentiment.ingest.load import IngestReport, Instructions, ingest_file
from sentiment.ingest.mapping.reading import ReadingOptions
from sentiment.maintenance import withdrawal
from sentiment.maintenance.withdrawal import withdraw
from sentiment.settings import Home
from sentiment.warehouse.query import query as ask
from sentiment.warehouse.snapshot import publish

FILES = {
    "a.csv": [
        "1,one word,positive,2024-01-03,ann",
        "2,two words,negative,2024-01-02,bob",
        "3,three words,,2024-01-01,",
    ],
    "b.csv": ["2,two words,positive,2024-01-01,al", "3,three words,negative,,", "4,four words,positive,,"],
    "c.csv": [
        "1,another text,negative,,",
        "2,two words,negative,2024-01-05,",
        "5,five words,neutral,,",
        "5,five words,positive,,",
    ],
}
STATE = (
    "select * exclude (ingested_at, change_number) from tweets order by all",
    "select file_id, line_number, reason from rejected_rows order by all",
    "select path, count_lines, count_loaded, count_duplicate, count_rejected from ingest_files order by all",
    "select * exclude (stated_at) from repeated_tweets order by all",
    "from gold_tweets",
)


@pytest.fixture
def load(tmp_path: Path) -> Callable[[Home, str], IngestReport]:
    said = Instructions(ReadingOptions(labels="negative=negative,neutral=neutral,positive=positive"), max_rejected=1)

    def load(home: Home, name: str) -> IngestReport:
        path = tmp_path / name
        path.write_text("\n".join(["id,text,label,date,user", *FILES[name]]) + "\n")
        return ingest_file(home, path, instructions=said)

    return load


@pytest.mark.parametrize("order", list(itertools.permutations(FILES)), ids="".join)
@pytest.mark.parametrize("wrong", list(FILES))
def test_the_tables_are_as_if_the_file_had_never_been_there(
    order: tuple[str, ...],
    wrong: str,
    load: Callable,
    new_home: Callable[[], Home],
    rows_of: Callable,
    checks_pass: Callable,
    tmp_path: Path,
) -> None:
    home, other = new_home(), new_home()
    for name in order:
        load(home, name)
        if name != wrong:
            load(other, name)
    report = withdraw(home, str(tmp_path / wrong))
    for path in report.read_again:
        load(home, Path(path).name)
    for query in STATE:
        assert rows_of(home, query) == rows_of(other, query), query
    checks_pass(home)
    assert rows_of(home, "select count(*) from withdrawn_files") == [(1,)]


def test_the_right_file_counts_after_the_wrong_reading_of_the_same(
    home: Home, tmp_path: Path, rows_of: Callable, checks_pass: Callable
) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text("review,stars\n" + "".join(f"some review {number},{number % 2 + 1}\n" for number in range(30)))
    ingest_file(home, path, instructions=Instructions(ReadingOptions(labels="1=positive,2=negative")))
    right = Instructions(ReadingOptions(labels="1=negative,2=positive"))
    assert "take it out first: sentiment withdraw" in ingest_file(home, path, instructions=right).note
    assert withdraw(home, str(path)).count_tweets == 30
    report = ingest_file(home, path, instructions=right)
    assert (report.outcome, report.count_loaded) == ("loaded", 30)
    assert rows_of(home, "select label, has_label_conflict from tweets where text = 'some review 0'") == [
        ("negative", False)
    ]
    checks_pass(home)


def test_a_grown_file_goes_as_a_whole(home: Home, tmp_path: Path, rows_of: Callable) -> None:
    path = tmp_path / "daily.csv"
    lines = [f"{number},text number {number},{'positive' if number % 2 else 'negative'}\n" for number in range(1, 9)]
    path.write_text("id,text,label\n" + "".join(lines[:4]))
    ingest_file(home, path)
    path.write_text("id,text,label\n" + "".join(lines))
    assert ingest_file(home, path).outcome == "grown"
    assert withdraw(home, str(path)).count_tweets == 8
    assert rows_of(home, "from tweets") == rows_of(home, "from ingest_files") == []


def test_hand_labelled_sets_can_be_withdrawn(
    home: Home, tweet_line: Callable, ingest_lines: Callable, rows_of: Callable
) -> None:
    ingest_lines(home, tweet_line(1, "good"), name="gold.csv", gold_set="manual")
    report = withdraw(home, str(home.inbox / "gold.csv"))
    assert (report.count_tweets, report.count_gold) == (0, 1)
    assert rows_of(home, "from gold_tweets") == []


def test_reviews_go_with_their_tweets_and_what_people_said_stays(
    home: Home, load: Callable, rows_of: Callable, tmp_path: Path
) -> None:
    load(home, "a.csv")
    load(home, "b.csv")
    rows_of(
        home,
        "insert into reviews select tweet_id, 'random', 'positive', 'ann', now() from tweets; "
        "insert into corrections select tweet_id, 'positive', 'ann', now() from tweets",
    )
    withdraw(home, str(tmp_path / "b.csv"))
    # Of 4 only b.csv speaks.
    assert rows_of(home, "select tweet_id from reviews order by 1") == [(1,), (2,), (3,)]
    assert rows_of(home, "select tweet_id from corrections order by 1") == [(1,), (2,), (3,), (4,)]


def test_a_file_that_was_not_loaded_is_said_to_be_so(home: Home, tweet_line: Callable, ingest_lines: Callable) -> None:
    ingest_lines(home, tweet_line(1, "good"))
    with pytest.raises(InputError, match=r"nothing\.csv was not loaded\. Loaded last were: .*tweets\.csv"):
        withdraw(home, "nothing.csv")


def test_what_an_earlier_version_merged_is_not_guessed(
    home: Home, tweet_line: Callable, ingest_lines: Callable, rows_of: Callable
) -> None:
    ingest_lines(home, tweet_line(1, "good"), tweet_line(1, "good"))
    rows_of(home, "update ingest_files set is_withdrawable = false")
    with pytest.raises(HomeError, match="did not keep what 1 duplicate lines said"):
        withdraw(home, str(home.inbox / "tweets.csv"))


def test_a_withdrawal_that_was_killed_before_readers_saw_it_is_shown_by_the_next(
    load: Callable, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(home, "a.csv")
    publish(home)

    def kill(_: Home) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(withdrawal, "publish", kill)
        with pytest.raises(KeyboardInterrupt):
            withdraw(home, str(tmp_path / "a.csv"))
    assert ask(home, "select count(*) from tweets").item() == 3
    with pytest.raises(InputError, match="was not loaded"):
        withdraw(home, str(tmp_path / "a.csv"))
    assert ask(home, "select count(*) from tweets").item() == 0
