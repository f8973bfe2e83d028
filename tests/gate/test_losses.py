"""What a refusal shows: the surest losses first, tweets known by their id alone."""

from __future__ import annotations

import numpy as np
import polars as pl

from sentiment.evaluation.behaviour import Case, run_cases
from sentiment.gate.checks import Check, Loss, Verdict
from sentiment.gate.history import find_losses, record_decision
from sentiment.gate.losses import MOST_LOSSES, behaviour_losses, gold_losses, slice_losses
from sentiment.settings import Home
from sentiment.warehouse.connection import writer

ROWS = pl.DataFrame(
    {
        "tweet_id": range(20),
        "text": [f"tweet {number}" for number in range(20)],
        "label": [0] * 20,
        "champion": [0.1] * 20,
        "challenger": [0.4] * 5 + [0.5 + number / 40 for number in range(15)],
    }
)


def test_the_losses_of_a_slice_are_its_rows_that_only_the_champion_has_right() -> None:
    mask = np.arange(20) % 2 == 0
    found = slice_losses(ROWS, {"mention": mask})
    assert [loss.tweet_id for loss in found] == [18, 16, 14, 12, 10, 8, 6]
    assert {(loss.check_name, loss.found_in, loss.expected) for loss in found} == {("slices", "mention", "is negative")}
    assert len(slice_losses(ROWS, {"all": mask | True})) == MOST_LOSSES
    assert slice_losses(ROWS, {}) == []


def test_the_losses_of_a_hand_labelled_set_carry_its_name() -> None:
    rows = ROWS.drop("tweet_id").with_columns(gold_set=pl.lit("manual"), text_key=pl.Series(range(100, 120)))
    found = gold_losses([rows])
    assert (found[0].found_in, found[0].text_key, found[0].tweet_id) == ("manual", 119, None)
    assert gold_losses([]) == []


def test_the_loss_of_a_behaviour_case_shows_the_variant_that_moves_most() -> None:
    from pydantic import TypeAdapter

    from sentiment.evaluation.behaviour import _Test

    test = TypeAdapter(_Test).validate_python({"kind": "invariance", "texts": ["a"], "variants": ["b"]})
    case = Case("link/added/1", "link", ("good", "good 1", "good 2"), "good", test)
    before, after = (
        run_cases([case], lambda _, moved=moved: np.array([0.9, 0.9, moved], dtype=np.float32)) for moved in (0.9, 0.2)
    )
    (loss,) = behaviour_losses([case], before, after)
    assert (loss.found_in, loss.text) == ("link/added/1", "good → good 2")
    assert round(loss.challenger_probability, 2) == 0.2
    assert behaviour_losses([case], after, before) == []


def test_a_decision_keeps_no_text_of_a_tweet_and_shows_none_that_was_forgotten(world: Home) -> None:
    with writer(world) as warehouse:
        verdict = Verdict(
            (Check("slices", False, "worse"),),
            (
                Loss("slices", "mention", "is negative", "never stored", 0.1, 0.9, tweet_id=4),
                Loss("behaviour", "negation/praise/1", "is negative", "not good", 0.2, 0.8),
            ),
        )
        record_decision(warehouse, verdict, decision_key="k", model_version=9, champion_version=1)
        assert [loss.text for loss in find_losses(warehouse, "k")] == ["sad2 4", "not good"]
        schema = {"kind": pl.String, "tweet_id": pl.Int64, "text": pl.String, "user_name": pl.String}
        gone = pl.DataFrame([["tweet", 4, None, None]], schema=schema, orient="row")
        warehouse.run("steps/maintenance/create_user_key")
        warehouse.load("steps/maintenance/forget_rows", gone)
        assert [loss.text for loss in find_losses(warehouse, "k")] == ["not good"]
