"""Files as they are found in public, each with the trap that it is known for."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sentiment.errors import UnsureError
from sentiment.ingest.mapping.reading import ReadingOptions
from sentiment.ingest.plan import read_chunks

POSITIVE = ("I love this so much, great day", "Best coffee ever, so happy", "What a lovely surprise", "brilliant work")
NEGATIVE = ("I hate this, worst day", "Terrible service, so sad", "broken, useless garbage", "a horrible experience")
CLASSES = ("positive", "negative", "neutral")


def text_of(number: int) -> str:
    """A text of the class `CLASSES[number % 3]`."""
    words = {0: POSITIVE[number % 4], 1: NEGATIVE[number % 4], 2: "The meeting, on Tuesday, is at noon"}[number % 3]
    return f"{words} {number}"


def records(path: Path, **options: Any) -> list[dict[str, Any]]:
    return [row for chunk in read_chunks(path, ReadingOptions(**options)) for row in chunk.records.to_dicts()]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows as a table, or an object as JSON."""

    def write(name: str, rows: Any, header: str | None = None, delimiter: str = ",") -> Path:
        path = tmp_path / name
        if isinstance(rows, dict):
            path.write_text(json.dumps(rows))
        else:
            target = io.StringIO()
            table = csv.writer(target, delimiter=delimiter, lineterminator="\n")
            table.writerows([header.split(delimiter), *rows] if header else rows)
            path.write_text(target.getvalue())
        return path

    return write


def test_ids_of_hexadecimal_digits_are_no_rounded_numbers(write: Callable) -> None:
    rows = [[f"{n:05x}e{n:04}"[-10:], text_of(n), CLASSES[n % 3]] for n in range(90)]
    rows[3][0] = "424e287273"
    found = records(write("train.csv", rows, "textID,text,sentiment"))
    assert len(found) == 90
    assert found[3]["source_id"] == "424e287273"


@pytest.mark.parametrize("is_word", [True, False])
def test_fasttexts_lines_have_a_label_and_a_whole_text(is_word: bool, tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    names = CLASSES if is_word else ("2", "1", "2")
    path.write_text("".join(f"__label__{names[n % 3]} {text_of(n)}\n" for n in range(30)) + "no label here\n")
    if is_word:
        (chunk,) = read_chunks(path)
        assert chunk.records["text"].to_list() == [text_of(n) for n in range(30)]
        assert chunk.records["label"].to_list() == [CLASSES[n % 3] for n in range(30)]
        assert chunk.rejects.select("line_number", "reason").rows() == [(31, "wrong_column_count")]
    else:
        with pytest.raises(UnsureError, match="1, 2, which can be read in more than one way"):
            records(path)
        assert records(path, labels="1=negative,2=positive")[1]["label"] == "negative"


def test_lines_of_prose_are_no_table_of_their_commas(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"{text_of(n)}{', really' * (n % 2)}\n" for n in range(60)))
    with pytest.raises(UnsureError, match="one column and no header"):
        records(path)
    assert records(path, columns="text=1")[2]["text"] == text_of(2)


@pytest.mark.parametrize("name", ["target", "class", "label"])
def test_classes_of_something_else_are_asked_about(name: str, write: Callable) -> None:
    path = write("disaster.csv", [[text_of(n), n // 3 % 2] for n in range(90)], f"text,{name}")
    with pytest.raises(UnsureError, match=f"The column {name} holds 0, 1, and the words of the texts do not tell"):
        records(path)
    assert Counter(row["label"] for row in records(path, labels="0=none,1=none")) == {None: 90}
    moods = write("moods.csv", [[text_of(n), 1 - n % 3] for n in range(90) if n % 3 < 2], f"text,{name}")
    assert Counter(row["label"] for row in records(moods)) == {"negative": 30, "positive": 30}


def test_numbers_beside_words_for_no_label_are_labels(write: Callable) -> None:
    rows = [[("5", "1", "3", "not_relevant")[n % 4], text_of(n)] for n in range(60)]
    path = write("apple.csv", rows, "sentiment,text")
    with pytest.raises(UnsureError, match=r"labels are 1, 3, 5.*1=negative,3=neutral,5=positive,not relevant=none"):
        records(path)


def test_a_list_of_one_label_is_that_label(tmp_path: Path) -> None:
    path = tmp_path / "doccano.jsonl"
    path.write_text(
        "".join(json.dumps({"id": n, "text": text_of(n), "label": [CLASSES[n % 3]]}) + "\n" for n in range(9))
    )
    assert [row["label"] for row in records(path)][:3] == list(CLASSES)


def test_true_and_false_of_a_column_that_says_positive(write: Callable) -> None:
    found = records(
        write("recommend.csv", [[text_of(n), n % 3 == 0] for n in range(20) if n % 3 < 2], "text,is_positive")
    )
    assert [row["label"] for row in found][:2] == ["positive", "negative"]


def test_bytes_as_python_writes_them_are_decoded(write: Callable) -> None:
    texts = ["so happy 😀", 'it\'s "fine"', "a café"]
    found = records(
        write("tweepy.csv", [["2017-05-01 10:00:00", repr(text.encode())] for text in texts], "created_at,text")
    )
    assert [row["text"] for row in found] == texts
    assert found[2]["raw_text"] == b"b'a caf\\xc3\\xa9'"


def test_what_pandas_writes_for_a_missing_text_is_none(write: Callable) -> None:
    rows = [["App", "nan", "nan"] if n % 5 == 0 else ["App", text_of(n), CLASSES[n % 3]] for n in range(30)]
    (chunk,) = read_chunks(write("reviews.csv", rows, "App,Translated_Review,Sentiment"))
    assert len(chunk.records) == 24
    assert chunk.rejects["reason"].to_list() == ["text_removed"] * 6


def test_line_breaks_of_web_pages_are_line_breaks(write: Callable) -> None:
    rows = [[f"{text_of(n)}<br /><br />and more", CLASSES[n % 3]] for n in range(12)]
    found = records(write("IMDB Dataset.csv", rows, "review,sentiment"))
    assert found[0]["text"] == f"{text_of(0)}\nand more"


def test_the_posts_within_a_page(write: Callable) -> None:
    telegram = {
        "name": "Channel",
        "type": "public_channel",
        "id": 1,
        "messages": [
            {"id": 1, "type": "service", "date": "2021-01-01T10:00:00", "from": "Ann", "text": ""},
            {"id": 2, "type": "message", "date": "2021-01-01T10:00:00", "from": "Ann", "text": "hello there"},
            {
                "id": 3,
                "type": "message",
                "date": "2021-01-01T10:00:01",
                "from": "Bob",
                "text": ["see ", {"type": "link", "text": "http://x.y"}, " now"],
            },
        ],
    }
    found = records(write("result.json", telegram))
    assert [(row["tweet_id"], row["user_name"], row["text"]) for row in found] == [
        (2, "Ann", "hello there"),
        (3, "Bob", "see http://x.y now"),
    ]
    assert found[0]["posted_at"] == datetime(2021, 1, 1, 10, tzinfo=UTC)
    search = {
        "took": 3,
        "hits": {"total": 2, "hits": [{"_id": "a", "_source": {"text": text_of(n)}} for n in range(2)]},
    }
    assert [row["text"] for row in records(write("search.json", search))] == [text_of(0), text_of(1)]
    post = {"text": "one post with pictures", "images": [{"url": "http://x"}]}
    assert [row["text"] for row in records(write("post.json", post))] == ["one post with pictures"]


def test_a_screen_name_is_the_user_where_a_display_name_is_there_too(write: Callable) -> None:
    rows = [["El Sol", "elsol", text_of(n)] for n in range(5)]
    (first, *_) = records(write("election.csv", rows, "user_name,user_screen_name,tweet"))
    assert first["user_name"] == "elsol"


@pytest.mark.parametrize("count", [6, 5_000])
def test_pages_longer_than_what_is_looked_at_first(count: int, write: Callable) -> None:
    posts = [{"id": n, "type": "message", "text": text_of(n), "label": CLASSES[n % 3]} for n in range(count)]
    texts, classes = [post["text"] for post in posts], [post["label"] for post in posts]
    rows = [[text, label] for text, label in zip(texts, classes, strict=True)]
    pages: dict[str, Any] = {
        "page": {"name": "c", "type": "channel", "id": 1, "messages": posts},
        "parts": {"train": posts[: count // 2], "test": posts[count // 2 :]},
        "columns": {"text": dict(enumerate(texts)), "label": dict(enumerate(classes))},
        "split": {"columns": ["text", "label"], "index": list(range(count)), "data": rows},
    }
    for name, page in pages.items():
        found = records(write(f"{name}.json", page))
        assert [(row["text"], row["label"]) for row in found] == list(zip(texts, classes, strict=True)), name


def test_comments_of_youtube_lie_deep_in_a_page(write: Callable) -> None:
    snippet = {"textDisplay": "a &amp; b", "textOriginal": "a & b", "authorDisplayName": "ann"}
    thread = {"id": "Ug1", "snippet": {"videoId": "v", "topLevelComment": {"id": "Ug1", "snippet": snippet}}}
    (found,) = records(write("threads.json", {"kind": "list", "items": [thread]}))
    assert (found["text"], found["user_name"], found["source_id"]) == ("a & b", "ann", "Ug1")


def test_a_column_of_one_value_is_no_text_whatever_its_name(write: Callable) -> None:
    rows = [["2021-01-01 10:00:00", "IP Address", f"R_{n}", text_of(n)] for n in range(60)]
    found = records(write("survey.csv", rows, "StartDate,Status,ResponseId,Q2"))
    assert found[0]["text"] == text_of(0)


def test_short_years_behind_names_of_months(write: Callable) -> None:
    rows = [["5", "31-Jul-18", text_of(0)], ["1", "1-Aug-18", text_of(1)]]
    found = records(write("alexa.tsv", rows, "rating\tdate\tverified_reviews", "\t"))
    assert [row["posted_at"] for row in found] == [datetime(2018, 7, 31, tzinfo=UTC), datetime(2018, 8, 1, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("stars", "suggested"), [((2, 3, 5), "2=negative,3=neutral,5=positive"), ((1, 2), "1=negative,2=positive")]
)
def test_stars_without_a_one_are_suggested_by_the_middle_of_their_scale(
    stars: tuple[int, ...], suggested: str, write: Callable
) -> None:
    with pytest.raises(UnsureError, match=f"--labels {suggested}"):
        records(write("reviews.csv", [[text_of(n), stars[n % len(stars)]] for n in range(30)], "review,stars"))
