"""Layouts known by sight, each with the traps it is known for; and the account of lines that are broken in ten ways."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sentiment.errors import InputError, UnsureError
from sentiment.ingest.load import Instructions, ingest_file
from sentiment.ingest.mapping.reading import ReadingOptions
from sentiment.ingest.plan import look_at, read_chunks
from sentiment.settings import Home
from tests.ingest.random_tables import write_workbook

OCTOBER = "Wed Oct 10 20:19:24 +0000 2018"


def records(path: Path, **options: Any) -> list[dict[str, Any]]:
    return pl.concat([chunk.records for chunk in read_chunks(path, ReadingOptions(**options))]).to_dicts()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(content: object, name: str = "posts.json") -> Path:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return write


class TestX:
    def test_a_retweet_and_an_extended_text_are_whole(self, write: Callable) -> None:
        tweet = {"created_at": OCTOBER, "id_str": "1050118621198921728", "user": {"screen_name": "ann"}}
        whole = "a long text that goes on &amp; on"
        rows = [
            {**tweet, "text": "a long…", "truncated": True, "extended_tweet": {"full_text": whole}},
            {
                **tweet,
                "id_str": "1050118621198921729",
                "full_text": "RT @bob: a long…",
                "retweeted_status": {"full_text": whole, "user": {"screen_name": "bob"}},
            },
        ]
        found = records(write("".join(json.dumps(row) + "\n" for row in rows), "stream.jsonl"))
        assert [row["text"] for row in found] == [
            "a long text that goes on & on",
            "RT @bob: a long text that goes on & on",
        ]
        assert found[0]["user_name"] == "ann"
        assert found[0]["tweet_id"] == 1050118621198921728

    def test_includes_of_v2_give_user_names_and_whole_retweets(self, write: Callable) -> None:
        page = {
            "data": [
                {"id": "1", "text": "hello there", "author_id": "7", "created_at": "2021-01-01T00:00:00.000Z"},
                {
                    "id": "2",
                    "text": "RT @bob: cut…",
                    "author_id": "7",
                    "referenced_tweets": [{"type": "retweeted", "id": "9"}],
                },
            ],
            "includes": {
                "users": [{"id": "7", "username": "ann"}, {"id": "8", "username": "bob"}],
                "tweets": [{"id": "9", "text": "cut no more", "author_id": "8"}],
            },
            "meta": {"result_count": 2},
        }
        for content, name in ((page, "page.json"), (json.dumps(page) + "\n" + json.dumps(page) + "\n", "pages.jsonl")):
            found = records(write(content, name))
            assert [(row["tweet_id"], row["user_name"], row["text"]) for row in found][:2] == [
                (1, "ann", "hello there"),
                (2, "ann", "RT @bob: cut no more"),
            ]
        assert len(found) == 4

    def test_a_page_on_one_long_line_is_a_page(self, write: Callable) -> None:
        posts = [{"id": str(n), "text": f"post number {n} " + "x" * 200, "author_id": "7"} for n in range(8_000)]
        path = write(
            json.dumps({"data": posts, "includes": {"users": [{"id": "7", "username": "ann"}]}}) + "\n", "p.jsonl"
        )
        assert path.stat().st_size > 1 << 21
        assert len(records(path)) == 8_000


class TestOtherNetworks:
    def test_bluesky_feeds_and_events(self, write: Callable) -> None:
        record = {
            "$type": "app.bsky.feed.post",
            "text": "hello sky",
            "createdAt": "2024-01-02T03:04:05.678Z",
            "langs": ["en"],
        }
        uri = "at://did:plc:abc/app.bsky.feed.post/3k"
        feed = {"feed": [{"post": {"uri": uri, "author": {"handle": "ann.bsky.social"}, "record": record}}]}
        event = {
            "did": "did:plc:abc",
            "kind": "commit",
            "commit": {"operation": "create", "collection": "app.bsky.feed.post", "rkey": "3k", "record": record},
        }
        first, second = records(write(feed))[0], records(write(json.dumps(event) + "\n", "jetstream.jsonl"))[0]
        assert (first["source"], first["source_id"], first["user_name"]) == ("bluesky", uri, "ann.bsky.social")
        assert first["posted_at"] == datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
        assert second["tweet_id"] == first["tweet_id"]

    def test_html_of_mastodon_becomes_text(self, write: Callable) -> None:
        status = {
            "id": "103270115826048975",
            "created_at": "2019-12-08T03:48:33.901Z",
            "account": {"acct": "ann@example.social"},
            "content": '<p>Hello <a href="https://example.com/x"><span class="invisible">https://</span><span>example.com/x</span></a>'
            "<br/>&lt;3</p><p>bye</p>",
            "language": "en",
            "spoiler_text": "",
            "reblog": None,
        }
        (found,) = records(write([status]))
        assert found["text"] == "Hello https://example.com/x\n<3\n\nbye"
        assert (found["source"], found["source_id"]) == ("mastodon", "103270115826048975")

    def test_removed_posts_of_reddit_are_no_texts(self, write: Callable) -> None:
        base = {"subreddit": "pics", "created_utc": 1546300800, "author": "ann"}
        rows = [
            {**base, "id": "a1", "title": "look at this", "selftext": "a body"},
            {**base, "id": "a2", "title": "gone inside", "selftext": "[removed]"},
            {**base, "id": "c1", "body": "[deleted]", "author": "[deleted]"},
        ]
        (chunk,) = read_chunks(write("".join(json.dumps(row) + "\n" for row in rows), "dump.ndjson"))
        assert chunk.records["text"].to_list() == ["look at this\n\na body", "gone inside"]
        assert chunk.records["query"].to_list() == ["pics", "pics"]
        assert chunk.records["posted_at"][0] == datetime(2019, 1, 1, tzinfo=UTC)
        assert chunk.rejects["reason"].to_list() == ["text_removed"]


class TestTables:
    def test_airline_tweets(self, write: Callable) -> None:
        lines = [
            "tweet_id,airline_sentiment,negativereason,airline,name,text,tweet_created",
            '570306133677760513,neutral,,Delta,cairdin,"@delta What @dhepburn said.",2015-02-24 11:35:52 -0800',
            '570301130888122368,positive,,Delta,jnardino,"@delta plus you\'ve added",2015-02-24 11:15:59 -0800',
            '570301083672813571,negative,,Delta,yvonnalynn,"@delta I didn\'t today...\nMust",2015-02-24 11:15:48 -0800',
        ]
        found = records(write("\n".join(lines) + "\n", "Tweets.csv"))
        assert [(row["tweet_id"], row["label"], row["user_name"]) for row in found] == [
            (570306133677760513, "neutral", "cairdin"),
            (570301130888122368, "positive", "jnardino"),
            (570301083672813571, "negative", "yvonnalynn"),
        ]
        assert found[0]["posted_at"] == datetime(2015, 2, 24, 19, 35, 52, tzinfo=UTC)
        assert found[2]["text"].endswith("today...\nMust")

    def test_corona_tweets_in_latin_1(self, write: Callable) -> None:
        lines = ["UserName,ScreenName,Location,TweetAt,OriginalTweet,Sentiment"]
        lines += [
            f'{n},{n + 9},Zürich,{16 + n % 9}-03-2020,"food shop é number {n}",Extremely Negative' for n in range(6)
        ]
        lines += [f"{n},{n + 9},,{16 + n % 9}-03-2020,thank you number {n},Positive" for n in range(6, 12)]
        found = records(write("\n".join(lines).encode("latin-1"), "Corona_NLP_train.csv"))
        assert [row["label"] for row in found] == ["negative"] * 6 + ["positive"] * 6
        assert found[0]["text"] == "food shop é number 0"
        assert found[0]["posted_at"] == datetime(2020, 3, 16, tzinfo=UTC)

    def test_semeval_with_four_columns_quotes_and_tweets_that_are_gone(self, write: Callable) -> None:
        lines = [
            '264183816548130816\t15140428\tpositive\t"Gas by my house hit $3.39!!!!" is what he said, nice',
            "263405084770172928\t591166521\tnegative\tTheo Walcott is still bad",
            "262163168678248449\t35266263\tneutral\tNot Available",
            "264249301910310912\t18516728\tneutral\tIranian general says Israel's Iron Dome can't deal",
        ]
        (chunk,) = read_chunks(write("\n".join(lines) + "\n", "semeval.tsv"))
        assert chunk.records["text"][0] == '"Gas by my house hit $3.39!!!!" is what he said, nice'
        assert chunk.records["label"].to_list() == ["positive", "negative", "neutral"]
        assert chunk.rejects["reason"].to_list() == ["text_removed"]

    def test_texts_and_labels_in_two_files(self, write: Callable) -> None:
        write("0\n2\n1\n", "train_labels.txt")
        write("0\tnegative\n1\tneutral\n2\tpositive\n", "mapping.txt")
        path = write("so bad\nso good\nso so\n", "train_text.txt")
        assert [row["label"] for row in records(path)] == ["negative", "positive", "neutral"]
        with pytest.raises(InputError, match=r"holds the labels of .*train_text\.txt"):
            look_at(path.with_name("train_labels.txt"), ReadingOptions(), whole=True)
        write("0\n2\n", "train_labels.txt")
        with pytest.raises(InputError, match=r"has 3 lines and .* has 2"):
            records(path)

    def test_reviews_have_a_title_of_their_own_and_products_do_not(self, write: Callable) -> None:
        own = "rating,title,text\n" + "".join(f"{n % 5 + 1},Title {n},body of review {n}\n" for n in range(20))
        product = "rating,title,text\n" + "".join(f"{n % 5 + 1},Kettle,body of review {n}\n" for n in range(20))
        assert records(write(own, "own.csv"))[3]["text"] == "Title 3\n\nbody of review 3"
        assert records(write(product, "product.csv"))[3]["text"] == "body of review 3"

    def test_a_zip_with_one_file_is_that_file(self, write: Callable, tmp_path: Path) -> None:
        path = tmp_path / "reviews.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("reviews.csv", "review,sentiment\nso good,positive\nso bad,negative\n")
            archive.writestr("__MACOSX/._reviews.csv", b"\0\0")
        assert len(records(path)) == 2
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("more.csv", "x")
        with pytest.raises(InputError, match="zip archive with 2 files"):
            records(path)

    def test_names_of_classes_that_hugging_face_keeps_are_known(self, tmp_path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        features = {"label": {"names": ["pos", "neg"], "_type": "ClassLabel"}}
        table = pa.table({"text": ["so good", "so bad"], "label": [0, 1]})
        path = tmp_path / "hf.parquet"
        pq.write_table(
            table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})}), path
        )
        assert [row["label"] for row in records(path)] == ["positive", "negative"]

    def test_another_encoding_has_to_be_named(self, write: Callable) -> None:
        text = "text,label\n" + "".join(f"очень хороший фильм номер {n},{n % 2}\n" for n in range(30))
        path = write(text.encode("cp1251"), "russian.csv")
        with pytest.raises(InputError, match="--encoding cp1251"):
            records(path)
        assert records(path, encoding="cp1251")[0]["text"] == "очень хороший фильм номер 0"

    def test_a_delimiter_of_several_characters_is_refused(self, write: Callable) -> None:
        with pytest.raises(InputError, match=r"--delimiter is '\|\|'; expected is one character"):
            records(write("text||label\nso good||1\n", "odd.csv"), delimiter="||")


# -- Broken in ten ways, and every one accounted for

GOOD = [{"id": str(100 + n), "text": f"text number {n}", "label": ("negative", "positive")[n % 2]} for n in range(200)]


def broken_lines(form: str) -> list[str]:
    """200 lines, every fourth of them broken in one of ten ways."""

    def line(row: dict[str, str]) -> str:
        if form in ("ndjson", "array"):
            return json.dumps(row)
        target = io.StringIO()
        csv.writer(target, delimiter="\t" if form == "tsv" else ",", lineterminator="").writerow(row.values())
        return target.getvalue()

    lines = []
    for number, row in enumerate(GOOD):
        good = line(row)
        ways = [
            good[: len(good) // 2],
            good + "\0",
            "",
            line({**row, "id": "x"}),
            line({**row, "label": "so what"}),
            line({**row, "text": " "}),
            good.replace('"', "", 1) if '"' in good else good + ',"',
            '"' + good,
            "just words of somebody",
            line({**row, "id": ""}),
        ]
        lines.append(ways[number // 4 % 10] if number % 4 == 3 else good)
    return lines


def broken_cells(before: list[str]) -> list[list[str]]:
    """Ten ways in which a row of a sheet is broken, or repeats the one before."""
    return [
        ["x", "a b", "positive"],
        ["1", " ", "positive"],
        ["2", "c d", "so what"],
        ["", "e f", ""],
        ["-5", "a b", "positive"],
        ["9" * 30, "a b", "positive"],
        ["#N/A", "#REF!", "#VALUE!"],
        [before[0], "another text", before[2]],
        before,
        ["3.5", "", "positive"],
    ]


@pytest.mark.parametrize("form", ["tsv", "multiline", "ndjson", "array", "excel"])
def test_lines_are_loaded_plus_duplicate_plus_rejected(
    form: str, home: Home, tmp_path: Path, rows_of: Callable, checks_pass: Callable
) -> None:
    path = (
        tmp_path
        / {"tsv": "a.tsv", "multiline": "a.csv", "ndjson": "a.ndjson", "array": "a.json", "excel": "a.xlsx"}[form]
    )
    lines = broken_lines(form)
    if form == "excel":
        rows = [[row["id"], row["text"], row["label"]] for row in GOOD]
        for number in range(3, 200, 4):
            rows[number] = broken_cells(rows[number - 1])[number // 4 % 10]
        write_workbook(path, [["id", "text", "label"], *rows])
        count = 200
    elif form == "array":
        path.write_text("[\n" + ",\n".join(lines) + "\n]\n")
        count = sum(bool(line.strip()) for line in lines)
    elif form == "ndjson":
        path.write_text("\n".join(lines) + "\n")
        count = 200
    else:
        header = "id\ttext\tlabel" if form == "tsv" else "id,text,label"
        if form == "multiline":
            lines = [
                f'{line.split(",")[0]},"text of\nnumber {n}",positive' if n % 10 == 0 else line
                for n, line in enumerate(lines)
            ]
        path.write_text("\n".join([header, *lines]) + "\n")
        count = 200
    said = Instructions(ReadingOptions(labels="negative=negative,positive=positive"))
    report = ingest_file(home, path, instructions=said)
    assert report.count_lines == count == report.count_loaded + report.count_duplicate + report.count_rejected
    good = {
        row["text"]
        for number, row in enumerate(GOOD)
        if number % 4 != 3 and not (form == "multiline" and number % 10 == 0)
    }
    assert good <= {text for (text,) in rows_of(home, "select text from tweets")}
    checks_pass(home)


REVIEWS = """nr;datum;kunde;bewertung;sterne
1;01.03.2011 10:00;anna_b;Das Essen war wirklich sehr gut, gerne wieder;5
2;02.03.2011 10:00;karl77;Leider kalt und viel zu teuer, nie wieder;1
3;02.03.2011 11:00;mia;Ganz ordentlich aber nichts besonderes;3
4;02.03.2011 12:00;otto;Tolle Bedienung und leckerer Kuchen;4
"""


def test_a_text_may_be_called_what_labels_are_called(write: Callable) -> None:
    found = records(write(REVIEWS, "reviews.csv"))
    assert [(row["user_name"], row["label"]) for row in found] == [
        ("anna_b", "positive"),
        ("karl77", "negative"),
        ("mia", "neutral"),
        ("otto", "positive"),
    ]
    assert found[1]["text"] == "Leider kalt und viel zu teuer, nie wieder"


@pytest.mark.parametrize("name", ["kunde", "konto"])
def test_names_of_users_are_never_taken_for_texts(write: Callable, name: str) -> None:
    rows = [line.split(";") for line in REVIEWS.replace("kunde", name).splitlines()]
    path = write("".join(";".join([*row[:3], row[4]]) + "\n" for row in rows), "reviews.csv")
    with pytest.raises(UnsureError, match="No column looks like a text"):
        records(path)
