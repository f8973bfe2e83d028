"""What the files of the three sources of a simulated year look like, and the ids that their tweets get.

- The source without a name sends Sentiment140's CSV, and NDJSON from a day on.
- `reviews` sends CSV with semicolons, German names and dates, and one to five stars.
- `forum` sends Parquet with times in milliseconds and moods as words.

The latter two count their posts from 1, so that the same number is another post in each.
"""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from sentiment.ingest.post_ids import id_of_string

if TYPE_CHECKING:
    from simulations.year_source import Tweet

NAMES = ("", "reviews", "forum")
SHARES = (0.5, 0.3, 0.2)
BROKEN = {"": 2, "reviews": 1, "forum": 1}
"""Lines of a day's file that cannot be read."""
COLUMNS = {
    "reviews": "text=bewertung,label=sterne,id=nr,date=datum,user=kunde",
    "forum": "text=body,label=mood,id=post,date=created,user=author",
}
"""What somebody who knows the files says of the named sources when they are saved."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MONTHS = {name: number for number, name in enumerate(_MONTHS, 1)}
_TARGETS = {"negative": b"0", "neutral": b"2", "positive": b"4"}
_STARS = {"negative": (1, 2), "neutral": (3, 3), "positive": (5, 4)}
_MOODS = {"negative": "bad", "neutral": "neutral", "positive": "good"}
FIRST_NDJSON_DAY = 115


class Line(NamedTuple):
    """A tweet with the id that its source gives it."""

    own_id: int | str
    tweet: Tweet
    has_label: bool


def known_ids(source: str, ids: list[int | str]) -> list[int]:
    """The ids under which the tables know the posts of a source."""
    if not source:
        return [int(own) for own in ids]
    return id_of_string(source, pl.Series([str(own) for own in ids], dtype=pl.String)).to_list()


def suffix_of(source: str, day: int) -> str:
    """How the names of a source's files end."""
    if source:
        return {"reviews": ".csv", "forum": ".parquet"}[source]
    return ".ndjson" if day >= FIRST_NDJSON_DAY else ".csv"


def file_of(source: str, day: int, lines: list[Line], *, broken: bool) -> bytes:
    """The file of a source, with its broken lines if they are wanted."""
    if source == "reviews":
        return _reviews(lines, broken)
    if source == "forum":
        return _forum(lines, broken)
    write = ndjson_line if suffix_of(source, day) == ".ndjson" else csv_line
    written = [write(line) for line in lines]
    if broken:
        first = written[0]
        written[10:10] = [
            first[: len(first) // 3].rstrip() + b"\n",
            first.replace(str(lines[0].own_id).encode(), b"no id"),
        ]
    return b"".join(written)


def csv_line(line: Line) -> bytes:
    """As Sentiment140 has it."""
    tweet = line.tweet
    target = _TARGETS[tweet.label] if line.has_label else b""
    fields = (target, str(line.own_id).encode(), tweet.posted, b"NO_QUERY", tweet.user, tweet.text)
    return b'"' + b'","'.join(fields) + b'"\n'


def ndjson_line(line: Line) -> bytes:
    """The same, as the source sends it later: other names of nothing, but a column more."""
    tweet = line.tweet
    record = {
        "tweet_id": line.own_id,
        "posted_at": f"{_time(tweet):%Y-%m-%dT%H:%M:%SZ}",
        "user_name": tweet.user.decode(),
        "text": _text(tweet),
        "lang": "en",
    }
    if line.has_label:
        record["label"] = tweet.label
    return json.dumps(record).encode() + b"\n"


def _reviews(lines: list[Line], broken: bool) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=";", lineterminator="\r\n")
    writer.writerow(["nr", "datum", "kunde", "bewertung", "sterne"])
    rows = []
    for number, line in enumerate(lines):
        stars = str(_STARS[line.tweet.label][number % 2]) if line.has_label else ""
        rows.append(
            [line.own_id, f"{_time(line.tweet):%d.%m.%Y %H:%M}", line.tweet.user.decode(), _text(line.tweet), stars]
        )
    if broken:
        rows.insert(5, [f"leer-{rows[0][0]}", rows[0][1], rows[0][2], "", ""])
    writer.writerows(rows)
    return file.getvalue().encode()


def _forum(lines: list[Line], broken: bool) -> bytes:
    frame = pl.DataFrame(
        {
            "post": [int(line.own_id) for line in lines],
            "created": pl.Series([_time(line.tweet) for line in lines], dtype=pl.Datetime("ms", "UTC")),
            "author": [line.tweet.user.decode() for line in lines],
            "body": [_text(line.tweet) for line in lines],
            "mood": pl.Series(
                [_MOODS[line.tweet.label] if line.has_label else None for line in lines], dtype=pl.String
            ),
        }
    )
    if broken:
        empty = frame.head(1).with_columns(post=-pl.col("post"), body=pl.lit(None, pl.String))
        frame = pl.concat([frame, empty])
    file = io.BytesIO()
    frame.write_parquet(file)
    return file.getvalue()


def _time(tweet: Tweet) -> datetime:
    """Of a time such as `Sat Jan 01 12:00:00 UTC 2011`."""
    _, month, day, clock, _, year = tweet.posted.decode().split()
    hour, minute, second = map(int, clock.split(":"))
    return datetime(int(year), MONTHS[month], int(day), hour, minute, second, tzinfo=UTC)


def _text(tweet: Tweet) -> str:
    return tweet.text.decode("utf-8", errors="replace")
