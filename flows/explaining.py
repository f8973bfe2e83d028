"""The command `explain`: which words of a text pushed the model which way. It needs no server."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from flows.terminal import AsJson, notes, print_json, print_table
from sentiment.errors import NoChampionError
from sentiment.settings import open_home

if TYPE_CHECKING:
    from sentiment.explanation import Explanation

_WIDEST_BAR = 12


def explain(
    text: Annotated[str, typer.Argument(help="The tweet.")],
    model_version: Annotated[
        int | None, typer.Option(min=1, help="Version to explain; the champion unless given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show which words of a text pushed the model which way.

    Example: sentiment explain "the food was not bad at all :)"
    """
    from sentiment.explanation import explain_in_full
    from sentiment.registry import Registry

    settings, home = open_home()
    registry = Registry(home, settings)
    if model_version is None:
        champion = registry.champion()
        if champion is None:
            raise NoChampionError("There is no champion to explain yet. Train one: sentiment retrain")
        model_version = champion.model_version
    found = explain_in_full(registry.load(model_version), text)
    if as_json:
        words = [{**word._asdict(), "total": word.total} for word in found.words]
        print_json({"model_version": model_version, "label": found.label, **asdict(found), "words": words})
    else:
        _show(found, model_version)


def _show(found: Explanation, model_version: int) -> None:
    largest = max((abs(word.total) for word in found.words), default=0.0)
    rows = [
        [word.token, _bar(word.total, largest), word.total, word.ngrams, word.lexicon, word.encoder]
        for word in found.words
    ]
    rest = [
        ("words together", found.together),
        ("any tweet", found.every_tweet),
        ("calibration", found.calibration),
        ("all of it", found.logit),
    ]
    rows += [[f"({name})", "", value, None, None, None] for name, value in rest]
    print_table(
        f"Version {model_version} says {found.label}: probability {found.probability_positive:.3f} of positive",
        ["word", "pushes", "logit", "n-grams", "lexicon", "encoder"],
        rows,
    )
    notes.print("Above zero is towards positive. The logit column adds up to its last line.", markup=False)


def _bar(value: float, largest: float) -> str:
    length = round(_WIDEST_BAR * abs(value) / largest) if largest else 0
    return ("+" if value > 0 else "-") * length
