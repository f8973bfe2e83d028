"""Random tables as people might write them, by a generator that knows what is in them.

Every choice is drawn: format, dialect, encoding, columns and their order and names, label scheme, form of dates, ids.
`write_table` gives the file and the truth: what each row must be when it is loaded.
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import polars as pl

POSITIVE = (
    "i love this so much",
    "what a wonderful day",
    "great service and kind people",
    "thanks, this is awesome",
    "so happy with the new phone",
    "best film in years",
    "brilliant, simply brilliant",
    "lovely weather and good friends",
)
NEGATIVE = (
    "i hate waiting for this",
    "what a terrible day",
    "awful service and rude people",
    "this is broken again, so annoying",
    "so sad about the news",
    "worst film in years",
    "the battery died, useless",
    "horrible food and bad coffee",
)
NEUTRAL = ("the meeting is at noon", "the train leaves from platform two", "the report has ten pages", "it is a table")
FILLERS = (
    "today",
    "again",
    "at the station",
    "with my sister",
    "— no joke",
    'he said "well"',
    "café au lait",
    "ok; fine",
    "a | b",
)

SCHEMES: dict[str, dict[str, str]] = {
    "0 1": {"negative": "0", "positive": "1"},
    "0 1 2": {"negative": "0", "neutral": "1", "positive": "2"},
    "-1 0 1": {"negative": "-1", "neutral": "0", "positive": "1"},
    "0 4": {"negative": "0", "positive": "4"},
    "0 2 4": {"negative": "0", "neutral": "2", "positive": "4"},
    "words": {"negative": "negative", "neutral": "neutral", "positive": "positive"},
    "Words": {"negative": "Negative", "neutral": "Neutral", "positive": "Positive"},
    "two words": {"negative": "NEG", "positive": "POS"},
    "1 2": {"negative": "1", "positive": "2"},
}
STARS = {"negative": ("1", "2"), "neutral": ("3",), "positive": ("4", "5")}
DEGREES = {
    "negative": ("Extremely Negative", "Negative"),
    "neutral": ("Neutral",),
    "positive": ("Positive", "Extremely Positive"),
}
DATES: dict[str, Callable[[datetime], str]] = {
    "iso": lambda at: at.isoformat(),
    "iso space": lambda at: at.strftime("%Y-%m-%d %H:%M:%S"),
    "iso offset": lambda at: at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S +0000"),
    "iso z": lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "twitter": lambda at: at.strftime("%a %b %d %H:%M:%S +0000 %Y"),
    "rfc": lambda at: at.strftime("%a, %d %b %Y %H:%M:%S +0000"),
    "day first": lambda at: at.strftime("%d/%m/%Y %H:%M:%S"),
    "month first": lambda at: at.strftime("%m/%d/%Y %H:%M:%S"),
    "month first 12": lambda at: at.strftime("%m/%d/%Y %I:%M:%S %p"),
    "dots": lambda at: at.strftime("%d.%m.%Y %H:%M:%S"),
    "named": lambda at: at.strftime("%B %d, %Y %H:%M:%S"),
    "seconds": lambda at: str(int(at.timestamp())),
    "milliseconds": lambda at: str(int(at.timestamp() * 1000)),
}
NAMES = {
    "text": ("text", "tweet", "Tweet Text", "content", "review", "body", "comment", "OriginalTweet", "message"),
    "label": ("label", "sentiment", "target", "Sentiment", "polarity", "airline_sentiment"),
    "stars": ("stars", "rating", "Score", "label"),
    "id": ("id", "tweet_id", "ids", "ID", "post_id"),
    "date": ("date", "created_at", "timestamp", "Date", "posted_at"),
    "user": ("user", "username", "author", "screen_name", "user_name"),
    "other": ("retweets", "likes", "verified", "source_app", "country", "product"),
}


@dataclass(frozen=True)
class Truth:
    """A file, and what is in it.

    `rows` have text, label, posted_at, user and id as they must be loaded; `recipe` says how it was made; `must_ask` that
    nobody could know from the file.
    """

    path: Path
    rows: list[dict[str, Any]]
    recipe: dict[str, Any]
    must_ask: bool


def write_table(folder: Path, seed: int) -> Truth:
    """Write one random table."""
    draw = random.Random(seed)
    recipe = _recipe(draw)
    rows = _rows(draw, recipe)
    path = folder / f"table-{seed}{recipe['suffix']}"
    written = [_written(row, recipe, draw) for row in rows]
    _write(path, written, recipe)
    truth = [{name: row[name] for name in ("text", "label", "posted_at", "user", "id")} for row in rows]
    for row in truth:
        for role in ("label", "posted_at", "user", "id"):
            column = "date" if role == "posted_at" else role
            if column not in recipe["columns"]:
                row[role] = None
    return Truth(path, truth, recipe, _must_ask(recipe, rows))


def _recipe(draw: random.Random) -> dict[str, Any]:
    kind = draw.choice(
        ["csv", "csv", "csv", "tsv", "semicolon", "pipe", "ndjson", "array", "pretty", "parquet", "excel"]
    )
    has_header = kind not in ("csv", "tsv", "semicolon", "pipe") or draw.random() < 0.85
    columns = ["text"]
    columns += [
        name for name, chance in (("label", 0.85), ("id", 0.6), ("date", 0.6), ("user", 0.5)) if draw.random() < chance
    ]
    if not has_header:
        columns = [name for name in columns if name != "user"]
    others = draw.sample(NAMES["other"], draw.choice([0, 0, 1, 2])) if has_header else []
    scheme = draw.choice([*SCHEMES, "stars", "degrees"])
    if not has_header and len(columns) == 1:
        columns.append("label")
    names = {name: draw.choice(NAMES["stars" if name == "label" and scheme == "stars" else name]) for name in columns}
    order = [*columns, *others]
    draw.shuffle(order)
    return {
        "kind": kind,
        "suffix": {
            "ndjson": ".ndjson",
            "array": ".json",
            "pretty": ".json",
            "parquet": ".parquet",
            "excel": ".xlsx",
        }.get(kind, ".csv"),
        "has_header": has_header,
        "columns": columns,
        "order": order,
        "names": {**names, **{name: name for name in others}},
        "scheme": scheme,
        "dates": draw.choice(list(DATES)),
        "span_days": draw.choice([3, 40, 400, 4000]),
        "quoting": draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
        "line_end": draw.choice(["\n", "\n", "\r\n", "\r"]),
        "encoding": draw.choice(["utf-8", "utf-8", "utf-8", "utf-8-sig", "cp1252", "utf-16"]),
        "has_line_breaks": draw.random() < 0.25,
        "count": draw.choice([12, 40, 150]),
        "is_neutral": draw.random() < 0.7,
        "id_kind": draw.choice(["snowflake", "uri", "small"]),
        "missing": draw.choice([0.0, 0.0, 0.1]),
        "ends": draw.random() < 0.8,
    }


def _rows(draw: random.Random, recipe: dict[str, Any]) -> list[dict[str, Any]]:
    start = datetime(2021, draw.randint(1, 12), draw.randint(1, 28), tzinfo=UTC)
    kinds = ["negative", "positive", *(["neutral"] if recipe["is_neutral"] and _has_neutral(recipe) else [])]
    rows = []
    for number in range(recipe["count"]):
        label = kinds[number % len(kinds)] if number < 6 else draw.choice(kinds)
        base = {"negative": NEGATIVE, "positive": POSITIVE, "neutral": NEUTRAL}[label]
        parts = [draw.choice(base), draw.choice(FILLERS), f"number {number}"]
        if recipe["has_line_breaks"] and draw.random() < 0.3 and _can_break(recipe):
            parts.insert(1, "\nand then")
        if recipe["encoding"] == "cp1252":
            parts = [part.replace("—", "-") for part in parts]
        text = " ".join(parts)
        if recipe["kind"] == "tsv" or recipe["line_end"] == "\r":
            text = text.replace("\n", " ")
        posted_at = start + timedelta(seconds=draw.randrange(recipe["span_days"] * 86400))
        tweet_id = {
            "snowflake": str(1_300_000_000_000_000_000 + number * 7_919_000_003),
            "uri": f"at://did:plc:{draw.randrange(10**12)}/app.bsky.feed.post/{number}",
            "small": str(1000 + number * 3),
        }[recipe["id_kind"]]
        is_unlabelled = draw.random() < recipe["missing"] and number > 6
        rows.append(
            {
                "text": text,
                "label": None if is_unlabelled else label,
                "posted_at": posted_at,
                "user": f"user_{draw.randrange(40)}",
                "id": tweet_id,
            }
        )
    return rows


def _has_neutral(recipe: dict[str, Any]) -> bool:
    return recipe["scheme"] in ("stars", "degrees") or "neutral" in SCHEMES[recipe["scheme"]]


def _can_break(recipe: dict[str, Any]) -> bool:
    return recipe["kind"] != "tsv" and recipe["line_end"] != "\r"


def _written(row: dict[str, Any], recipe: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    label = row["label"]
    if label is None:
        value = ""
    elif recipe["scheme"] == "stars":
        value = draw.choice(STARS[label])
    elif recipe["scheme"] == "degrees":
        value = draw.choice(DEGREES[label])
    else:
        value = SCHEMES[recipe["scheme"]][label]
    cells = {
        "text": row["text"],
        "label": value,
        "date": DATES[recipe["dates"]](row["posted_at"]),
        "user": row["user"],
        "id": row["id"],
    }
    others = {
        "retweets": str(draw.randrange(50)),
        "likes": str(draw.randrange(2000)),
        "verified": draw.choice(["true", "false"]),
        "source_app": draw.choice(["web", "android", "iphone"]),
        "country": draw.choice(["DE", "FR", "US"]),
        "product": draw.choice(["phone", "laptop"]),
    }
    return {recipe["names"][name]: cells.get(name, others.get(name)) for name in recipe["order"]}


def _write(path: Path, rows: list[dict[str, Any]], recipe: dict[str, Any]) -> None:
    kind = recipe["kind"]
    if kind == "parquet":
        pl.DataFrame(rows).write_parquet(path)
    elif kind == "excel":
        write_workbook(path, [list(rows[0]), *(list(row.values()) for row in rows)])
    elif kind in ("ndjson", "array", "pretty"):
        objects = [{name: _json_value(value, recipe) for name, value in row.items()} for row in rows]
        text = (
            "".join(json.dumps(row) + "\n" for row in objects)
            if kind == "ndjson"
            else json.dumps(objects, indent=2 if kind == "pretty" else None)
        )
        path.write_text(text, encoding="utf-8")
    else:
        target = io.StringIO()
        delimiter = {"csv": ",", "tsv": "\t", "semicolon": ";", "pipe": "|"}[kind]
        quoting = {"quoting": recipe["quoting"]}
        writer = csv.writer(target, delimiter=delimiter, lineterminator=recipe["line_end"], **quoting)
        if recipe["has_header"]:
            writer.writerow(list(rows[0]))
        for row in rows:
            writer.writerow(list(row.values()))
        text = target.getvalue()
        if not recipe["ends"]:
            text = text.removesuffix(recipe["line_end"])
        path.write_bytes(text.encode(recipe["encoding"]))


def write_workbook(path: Path, rows: list[list[str]]) -> None:
    """A workbook with one sheet: cells of whole numbers as numbers, all others as text."""

    def cell(value: str) -> str:
        if re.fullmatch(r"-?\d{1,15}", value):
            return f"<c><v>{value}</v></c>"
        return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>' if value else "<c/>"

    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    lines = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType="application/'
        f'vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.'
        f'main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{relations}"><sheets><sheet name="Posts" sheetId="1" '
        'r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{relations}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>',
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>{content}')


def _json_value(value: str, recipe: dict[str, Any]) -> Any:
    if value == "":
        return None
    return int(value) if value.lstrip("-").isdigit() and len(value) < 19 else value


def _must_ask(recipe: dict[str, Any], rows: list[dict[str, Any]]) -> bool:
    """Whether the file does not say what a person would have to know."""
    if "label" in recipe["columns"] and recipe["scheme"] == "1 2":
        return True
    if "date" in recipe["columns"] and recipe["dates"] in ("day first", "month first", "month first 12"):
        return all(row["posted_at"].day <= 12 for row in rows)
    return False
