"""Options that several commands share."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from sentiment.settings import Device


class Form(StrEnum):
    """Formats of an answer."""

    TABLE = "table"
    CSV = "csv"
    PARQUET = "parquet"
    JSON = "json"


Rows = Annotated[int | None, typer.Option(min=100, help="Rows to train on.")]


Effort = Annotated[int | None, typer.Option(min=1, max=4, help="How much work training does for each row.")]


UntilFlat = Annotated[
    bool, typer.Option("--until-flat", help="Climb until the next subset should bring nothing; gate only the last.")
]


WordVectors = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="Pretrained word vectors to start from: GloVe's or fastText's text format."),
]


Model = Annotated[
    str | None,
    typer.Option(
        metavar="MODULE:FACTORY|hf:MODEL",
        help="Your own torch.nn.Module, or a Hugging Face model (folder or name) to fine-tune, besides n-grams and lexicon.",
    ),
]


ModelRows = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Rows that your own model trains on, spread evenly over both passes. All unless given; a slow one needs fewer.",
    ),
]


TrainingDevice = Annotated[
    Device | None,
    typer.Option(
        "--device",
        help="Where to train; auto takes a GPU where there is one for a model of your own. SENTIMENT_DEVICE unless given.",
        show_default=False,
    ),
]


Seed = Annotated[int, typer.Option(min=0, help="Seed of the training run.")]


Gold = Annotated[str | None, typer.Option(metavar="NAME", help="Load into this hand-labelled set; it never trains.")]


Emoticons = Annotated[
    bool, typer.Option("--label-by-emoticon", help="Label tweets without a label by their emoticons.")
]


_READING: dict[str, Any] = {
    "columns": typer.Option(
        metavar="ROLE=COLUMN,…", help="Which column is text, title, label, id, date, user, query, language."
    ),
    "labels": typer.Option(metavar="VALUE=LABEL,…", help="What values mean: negative, neutral, positive, or none."),
    "id": typer.Option("--id", metavar="COLUMN", help="Column of the ids; none: known by content."),
    "date_format": typer.Option(
        metavar="FORMAT", help="day-first, month-first, epoch-ms, …, or a pattern: %d.%m.%Y %H:%M."
    ),
    "time_zone": typer.Option(metavar="NAME", help="Of times that say none: Europe/Berlin; UTC unless given."),
    "delimiter": typer.Option(metavar="CHARACTER", help="What separates columns; tab for tabs."),
    "encoding": typer.Option(metavar="NAME", help="Of text files, such as cp1251."),
    "source": typer.Option(metavar="NAME", help="Read as this saved source; ids are its own."),
}


def takes_reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say how a file is read, in place of its first parameter, a `ReadingOptions`."""
    # Its type takes long to import, and only for the reader.
    names = {**vars(sys.modules[command.__module__]), "ReadingOptions": Any}
    signature = inspect.signature(command, globals=names, eval_str=True)
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, option])
        for name, option in _READING.items()
    ]

    @functools.wraps(command)
    def with_options(**given: Any) -> None:
        from sentiment.ingest.mapping.reading import ReadingOptions

        command(ReadingOptions(**{name: given.pop(name) for name in _READING}), **given)

    others = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in list(signature.parameters.values())[1:]
    ]
    parameters = [*others[:1], *options, *others[1:]]
    with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options
