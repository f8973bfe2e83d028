"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sentiment.training.config import Device

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
        help="Your own torch.nn.Module, or a Hugging Face model (folder or name) to fine-tune, in the place of the encoders.",
    ),
]


TrainingDevice = Annotated[
    Device, typer.Option("--device", help="Where to train; auto takes a GPU where there is one.")
]


Seed = Annotated[int, typer.Option(min=0, help="Seed of the training run.")]


Gold = Annotated[str | None, typer.Option(metavar="NAME", help="Load into this hand-labelled set; it never trains.")]


Emoticons = Annotated[
    bool, typer.Option("--label-by-emoticon", help="Label tweets without a label by their emoticons.")
]
