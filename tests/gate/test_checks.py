"""Each check of the gate passes and fails for the reason meant, and says so."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import ValidationError

from sentiment.evaluation.comparison import LOOKS_A_YEAR, PairedDifference, alpha_of_look, paired_difference
from sentiment.evaluation.metrics import Evaluation
from sentiment.evaluation.slices import SliceDifference
from sentiment.gate.checks import BehaviourEvidence, Check, Evidence, Loss, decide
from sentiment.gate.report import next_step
from sentiment.settings import CheckName, GateThresholds

GOOD = Evaluation(
    count_rows=1000,
    accuracy=0.82,
    lower=0.79,
    upper=0.84,
    log_loss=0.4,
    calibration_error=0.01,
    majority_share=0.5,
)
FIRST = Evidence(
    count_evaluation_rows=1359,
    count_leaked=0,
    load_difference=1e-7,
    load_error="",
    challenger=GOOD,
    calibration_error_lower=0.0,
    behaviour=BehaviourEvidence(400, 0.8),
    rescoring_seconds=10.0,
)


def compare(gained: int, lost: int, count: int = 1000, alpha: float = 0.05) -> PairedDifference:
    kinds = np.repeat([1, -1, 0], [gained, lost, count - gained - lost])
    return paired_difference(kinds <= 0, kinds >= 0, alpha)


def challenge(gained: int, lost: int, **changes: Any) -> Evidence:
    values = {"comparison": compare(gained, lost), "champion_accuracy": 0.8, "challenger_accuracy": 0.82}
    return dataclasses.replace(FIRST, **values | changes)


def checks(evidence: Evidence, **thresholds: Any) -> dict[str, Check]:
    return {check.check_name: check for check in decide(evidence, GateThresholds(**thresholds)).checks}


def test_a_first_model_faces_the_checks_that_need_no_champion() -> None:
    verdict = decide(FIRST, GateThresholds())
    assert verdict.passed
    assert [check.check_name for check in verdict.checks] == ["no_leak", "loads", "floor", "behaviour", "speed"]


def test_a_challenger_faces_the_champion_as_well_and_fails_by_one_check_alone() -> None:
    verdict = decide(challenge(60, 10, count_leaked=1), GateThresholds())
    assert tuple(check.check_name for check in verdict.checks) == get_args(CheckName)
    assert not verdict.passed
    assert [check.check_name for check in verdict.failed] == ["no_leak"]


@pytest.mark.parametrize(
    ("count_leaked", "passed", "reason"),
    [
        (0, True, "None of 1,359 evaluation rows, by id or text, is among the rows the challenger was fed."),
        (3, False, "3 of 1,359 evaluation rows are among the rows the challenger was fed"),
        (None, False, "The challenger's list of fed rows, fed_rows.parquet, is missing"),
    ],
)
def test_no_leak_fails_on_any_row_and_on_a_missing_list(count_leaked: int | None, passed: bool, reason: str) -> None:
    check = checks(dataclasses.replace(FIRST, count_leaked=count_leaked))["no_leak"]
    assert check.passed is passed
    assert check.reason.startswith(reason)


@pytest.mark.parametrize(
    ("difference", "error", "passed", "reason"),
    [
        (0.0, "", True, "differ from those in training by at most 0.0e+00; allowed are 1e-05"),
        (1e-5, "", True, "by at most 1.0e-05"),
        (2e-5, "", False, "by at most 2.0e-05; allowed are 1e-05"),
        (math.nan, "", False, "by at most nan"),
        (None, "ModuleNotFoundError: no torch", False, "in a fresh process, it fails: ModuleNotFoundError: no torch"),
    ],
)
def test_loads_compares_the_copy_with_what_was_trained(
    difference: float | None, error: str, passed: bool, reason: str
) -> None:
    check = checks(dataclasses.replace(FIRST, load_difference=difference, load_error=error))["loads"]
    assert check.passed is passed
    assert reason in check.reason


@pytest.mark.parametrize(
    ("changes", "passed", "reason"),
    [
        ({"accuracy": 0.70}, True, "above 70.00 %"),
        (
            {"accuracy": 0.69},
            False,
            "69.00 % of 1,000 hold-out rows are right (79.00 % to 84.00 %), expected above 70.00 %",
        ),
        ({"majority_share": 0.82}, False, "expected above 82.00 %"),
        ({"majority_share": 0.81}, True, "above 81.00 %"),
        ({"calibration_error_lower": 0.05}, True, "shown to be at least 5.00 %, allowed 5.00 %"),
        ({"calibration_error": 0.08, "calibration_error_lower": 0.04}, True, "calibration error 8.00 %"),
        ({"calibration_error": 0.08, "calibration_error_lower": 0.06}, False, "at least 6.00 %, allowed 5.00 %"),
        ({"accuracy": math.nan, "calibration_error_lower": math.nan, "count_rows": 0}, False, "of 0 hold-out rows"),
    ],
)
def test_floor_wants_accuracy_above_the_majority_and_calibration(
    changes: dict[str, Any], passed: bool, reason: str
) -> None:
    changes = dict(changes)
    shown = {"calibration_error_lower": changes.pop("calibration_error_lower", 0.0)}
    check = checks(dataclasses.replace(FIRST, challenger=dataclasses.replace(GOOD, **changes), **shown))["floor"]
    assert check.passed is passed
    assert reason in check.reason


@pytest.mark.parametrize(
    ("gained", "lost", "passed", "reason"),
    [
        (
            60,
            10,
            True,
            "The challenger is better: on the same 1,000 rows it is right 60 times where the champion is wrong",
        ),
        (10, 60, False, "The challenger is worse"),
        (31, 30, False, "No difference can be shown, and a tie keeps the champion"),
        (0, 0, False, "No difference can be shown, and a tie keeps the champion"),
    ],
)
def test_better_needs_an_interval_above_zero(gained: int, lost: int, passed: bool, reason: str) -> None:
    check = checks(challenge(gained, lost))["better"]
    assert check.passed is passed
    assert check.reason.startswith(reason)
    assert (check.champion_value, check.challenger_value, check.threshold) == (0.8, 0.82, 0)
    assert check.lower is not None
    assert (check.lower > 0) is passed


def test_better_states_power_looks_and_the_rows_left_out() -> None:
    reason = checks(challenge(60, 10, count_left_out=17, look=4))["better"].reason
    assert "look 4 at the hold-out" in reason
    assert f"show gains from {compare(60, 10).detectable * 100:.2f} points on in 4 of 5 cases" in reason
    assert "17 rows the champion was fed are left out" in reason
    missing = checks(challenge(60, 10, count_left_out=None))["better"].reason
    assert (
        "the champion's list of fed rows, fed_rows.parquet, is missing or damaged, so none could be left out" in missing
    )


def test_better_fails_without_a_row_to_compare_on() -> None:
    assert not checks(challenge(0, 0, comparison=compare(0, 0, count=0)))["better"].passed


def test_thresholds_can_be_moved_and_misspelt_ones_are_refused() -> None:
    strict = checks(FIRST, floor_accuracy=0.9)["floor"]
    assert (strict.passed, strict.threshold) == (False, 0.9)
    with pytest.raises(ValidationError):
        GateThresholds(floor_acuracy=0.9)  # type: ignore[call-arg]


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.01])
def test_all_looks_together_spend_no_more_than_the_budget(alpha: float) -> None:
    """Only the upper half of each two-sided alpha promotes."""
    spent = [alpha_of_look(look, alpha) / 2 for look in range(1, 501)]
    assert spent[0] == pytest.approx(alpha / 3)
    assert all(share > 0 for share in spent)
    assert all(later <= earlier for earlier, later in itertools.pairwise(spent))
    assert sum(spent) <= alpha
    assert sum(spent[:LOOKS_A_YEAR]) > 0.95 * alpha


def test_a_year_of_challengers_that_are_no_better_promotes_one_seldom() -> None:
    """The worst case: independent looks, and none taken back."""
    rng = np.random.default_rng(3)
    gains = rng.binomial(100, 0.5, size=(400, LOOKS_A_YEAR))
    alphas = [alpha_of_look(look, 0.05) for look in range(1, LOOKS_A_YEAR + 1)]
    fewest = {
        alpha: next(gained for gained in range(50, 101) if compare(gained, 100 - gained, alpha=alpha).lower > 0)
        for alpha in set(alphas)
    }
    limits = [fewest[alpha] for alpha in alphas]
    assert (gains >= np.array(limits)).any(axis=1).mean() <= 0.08


def slice_of(name: str, gained: int, lost: int, *, is_worse: bool) -> SliceDifference:
    found = compare(gained, lost)
    return SliceDifference(name, found.count_rows, found, found.p_value, is_worse)


@pytest.mark.parametrize(
    ("changes", "check_name", "reason"),
    [
        (
            {"gold": {"manual": compare(5, 160), "other": compare(9, 8)}},
            "gold",
            "It is worse on manual. manual: -15.50",
        ),
        (
            {"slices": [slice_of("mention", 9, 8, is_worse=False), slice_of("negation", 5, 160, is_worse=True)]},
            "slices",
            "worse in 1 of 2 slices: negation by 15.50 points on 1,000 rows",
        ),
        (
            {"behaviour": BehaviourEvidence(400, 0.69)},
            "behaviour",
            "69.0 % of 400 behaviour cases pass, expected at least 70 %",
        ),
        (
            {"behaviour": BehaviourEvidence(400, 0.73, 0.85, compare(5, 125))},
            "behaviour",
            "the champion passes 85.0 %, which is significantly more",
        ),
        (
            {"behaviour": BehaviourEvidence(400, 0.8, 0.81, compare(35, 40), {"negation": compare(1, 40, count=80)})},
            "behaviour",
            "of negation it passes 49 % fewer of 80 cases",
        ),
        ({"rescoring_seconds": 601.0}, "speed", "would take about 601 s; allowed are 600 s"),
        ({"rolled_back": "ann: sarcasm"}, "rolled_back", "People went back from it (ann: sarcasm)"),
    ],
)
def test_a_challenger_that_is_better_is_refused_by_the_one_check_that_is_meant_for_it(
    changes: dict[str, Any], check_name: str, reason: str
) -> None:
    verdict = decide(challenge(60, 10, **changes), GateThresholds())
    (refused,) = verdict.failed
    assert refused.check_name == check_name
    assert reason in refused.reason


def of_few_rows(gain: int, **changes: Any) -> Evidence:
    """A challenger that faces a champion of 2,000 rows, which passes more behaviour cases since it leans on the lexicon.

    Args:
        gain: hold-out rows, of 75,000, that the challenger gains; it loses as many as a tenth of them.
    """
    return dataclasses.replace(
        challenge(60, 10),
        comparison=compare(gain, gain // 10, count=75_000),
        behaviour=BehaviourEvidence(
            434, 0.816, 0.899, compare(10, 46, count=434), {"negation": compare(1, 15, count=104)}
        ),
        **changes,
    )


def test_a_champion_of_few_rows_does_not_lock_out_one_that_is_seven_points_better() -> None:
    evidence = of_few_rows(5_900)
    locked_out = decide(evidence, GateThresholds(tradeoff=0))
    assert [check.check_name for check in locked_out.failed] == ["behaviour"]
    verdict = decide(evidence, GateThresholds())
    assert verdict.passed
    reason = {check.check_name: check.reason for check in verdict.checks}["behaviour"]
    assert "the champion passes 89.9 %, which is significantly more" in reason
    assert "It gains 7.08" in reason
    assert "which outweigh a loss of up to 14.16" in reason


def test_a_small_gain_does_not_outweigh_a_large_loss() -> None:
    verdict = decide(of_few_rows(900), GateThresholds())
    assert [check.check_name for check in verdict.failed] == ["behaviour"]


def test_a_small_holdout_outweighs_as_much_as_a_large_one_once_it_shows_a_gain() -> None:
    """A loss of 1.1 points in behaviour; the gain is 1.1 points, of which a small hold-out is sure of 0.4."""
    behaviour = BehaviourEvidence(1551, 0.954, 0.965, compare(3, 20, count=1551), {})
    for gained, lost, passes in ((354, 246, True), (325, 275, False)):
        found = compare(gained, lost, count=9_686, alpha=0.001)
        verdict = decide(
            dataclasses.replace(challenge(60, 10), comparison=found, behaviour=behaviour), GateThresholds()
        )
        assert ("behaviour" not in [check.check_name for check in verdict.failed]) == passes


def test_no_gain_makes_up_for_what_falls_below_the_floor() -> None:
    below = of_few_rows(5_900)
    assert below.behaviour is not None
    below = dataclasses.replace(below, behaviour=dataclasses.replace(below.behaviour, challenger_rate=0.69))
    assert [check.check_name for check in decide(below, GateThresholds()).failed] == ["behaviour"]


@pytest.mark.parametrize(
    "changes",
    [{"gold": {"manual": compare(5, 40)}}, {"slices": [slice_of("negation", 5, 40, is_worse=True)]}],
)
def test_losses_in_sets_and_slices_are_weighed_in_the_same_way(changes: dict[str, Any]) -> None:
    """A loss of 3.5 points against a gain of 7.1 and of 1.1."""
    large, small = (dataclasses.replace(challenge(60, 10), comparison=compare(gain, gain // 10, 75_000), **changes)
                    for gain in (5_900, 900))  # fmt: skip
    assert decide(large, GateThresholds()).passed
    refused = decide(small, GateThresholds()).failed
    assert [check.check_name for check in refused] == list(changes)
    assert "outweigh a loss of up to" in refused[0].reason


def test_a_refusal_shows_the_losses_of_the_checks_that_failed() -> None:
    losses = [Loss(name, "here", "is negative", f"a text of {name}", 0.1, 0.9) for name in ("behaviour", "gold")]
    assert [loss.check_name for loss in decide(of_few_rows(900, losses=losses), GateThresholds()).losses] == [
        "behaviour"
    ]
    assert decide(of_few_rows(5_900, losses=losses), GateThresholds()).losses == ()


@pytest.mark.parametrize("check_name", ["gold", "slices", "behaviour", "speed"])
def test_a_check_that_is_switched_off_refuses_no_more_and_says_what_it_found(check_name: CheckName) -> None:
    bad = challenge(
        60,
        10,
        gold={"manual": compare(5, 160)},
        slices=[slice_of("negation", 5, 160, is_worse=True)],
        behaviour=BehaviourEvidence(400, 0.5),
        rescoring_seconds=601.0,
    )
    refused = {check.check_name for check in decide(bad, GateThresholds()).failed}
    assert refused == {"gold", "slices", "behaviour", "speed"}
    verdict = decide(bad, GateThresholds(switched_off=(check_name,)))
    assert {check.check_name for check in verdict.failed} == refused - {check_name}
    reasons = {check.check_name: check.reason for check in verdict.checks}
    assert reasons[check_name].startswith("Switched off by a setting. It found: ")


def test_nothing_to_compare_on_is_said_and_refuses_nothing() -> None:
    found = checks(challenge(60, 10))
    assert found["gold"].passed
    assert "no hand-labelled tweet to compare on" in found["gold"].reason
    assert "No slice has the 500 rows" in found["slices"].reason


def test_the_floor_never_shows_more_error_than_it_found() -> None:
    off = dataclasses.replace(GOOD, calibration_error=0.067)
    found = checks(dataclasses.replace(FIRST, challenger=off, calibration_error_lower=0.073))["floor"]
    assert not found.passed
    assert "calibration error 7.30 %, shown to be at least 7.30 %, allowed 5.00 %" in found.reason


def test_what_cannot_be_loaded_passes_neither_behaviour_nor_speed() -> None:
    found = checks(dataclasses.replace(FIRST, load_difference=None, behaviour=None, rescoring_seconds=None))
    assert not found["behaviour"].passed
    assert not found["speed"].passed


def test_the_behaviour_check_names_the_attribute_of_a_person_that_moves_probabilities_most() -> None:
    evidence = challenge(60, 10, behaviour=BehaviourEvidence(400, 0.8, biases={"gender": 0.001, "religion": -0.024}))
    reason = {check.check_name: check.reason for check in decide(evidence, GateThresholds()).checks}["behaviour"]
    assert reason.endswith("Of all attributes of a person, religion moves the mean probability most: by -2.4 points.")


def test_an_attribute_that_moves_nothing_is_not_named() -> None:
    evidence = challenge(60, 10, behaviour=BehaviourEvidence(400, 0.8, biases={"gender": 0.0002, "religion": -0.0004}))
    reason = {check.check_name: check.reason for check in decide(evidence, GateThresholds()).checks}["behaviour"]
    assert reason.endswith("No attribute of a person moves the mean probability.")


WORSE_BEHAVED = challenge(7, 9, behaviour=BehaviourEvidence(1551, 0.9, 0.95, compare(3, 80, count=1551), {}))


@pytest.mark.parametrize(
    "evidence",
    [
        dataclasses.replace(FIRST, challenger=dataclasses.replace(GOOD, accuracy=0.69)),
        challenge(gained=7, lost=9),
        WORSE_BEHAVED,
    ],
    ids=["below the floor", "not shown to be better", "and behaves worse"],
)
def test_a_model_of_few_tweets_is_refused_with_the_advice_to_load_more(evidence: Evidence) -> None:
    verdict = decide(evidence, GateThresholds())
    assert not verdict.passed
    assert next_step(1, verdict).startswith("More labelled tweets are the way on")
