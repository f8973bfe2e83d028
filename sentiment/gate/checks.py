"""The gate: whether a challenger may become champion. Pure: values in, a verdict with reasons out.

Each check is a row in `decisions` with both values, the interval, the threshold and a sentence. A tie keeps the champion,
and what cannot be shown fails. The first model faces all checks but those that need a champion.

A loss in one respect is weighed against the gain in accuracy. A champion of few rows leans on the lexicon, so it may do better
than any larger model in some slice, hand-labelled set or group of behaviour cases, and would stay forever if each such loss
refused. So `gold`, `neutral`, `slices` and `behaviour` forgive a loss of up to `tradeoff` points for each point of hold-out
accuracy that the challenger gains, once `better` has shown a gain. No gain outweighs a floor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sentiment.evaluation.comparison import PairedDifference
from sentiment.evaluation.metrics import Evaluation
from sentiment.evaluation.slices import SliceDifference
from sentiment.markdown import percent
from sentiment.settings import GateThresholds


@dataclass(frozen=True)
class BehaviourEvidence:
    """How many behaviour cases each model passes; `comparison` is paired, case by case; `groups` has the same for each group;
    `biases` is how far swapping an attribute of a person moves the challenger's probability in the mean."""

    count_tests: int
    challenger_rate: float
    champion_rate: float | None = None
    comparison: PairedDifference | None = None
    groups: Mapping[str, PairedDifference] = field(default_factory=dict)
    biases: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Loss:
    """A text that the champion has right and the challenger wrong, with both probabilities of positive, or of neutral.

    Attributes:
        check_name: the check that it fails: gold, neutral, slices or behaviour.
        found_in: the hand-labelled set, the slice or the behaviour case.
        expected: what is right, in words.
        tweet_id, text_key: what a tweet of the hold-out, or a hand-labelled one, is known by; None elsewhere.
    """

    check_name: str
    found_in: str
    expected: str
    text: str
    champion_probability: float
    challenger_probability: float
    tweet_id: int | None = None
    text_key: int | None = None


@dataclass(frozen=True)
class Evidence:
    """The input of the gate. Accuracies are shares, 0 to 1.

    Attributes:
        count_evaluation_rows: rows of hold-out and gold sets that were looked for among the fed ones.
        count_leaked: how many of them, by id or text key, the challenger was fed; None when its list is missing.
        load_difference: largest difference of a probability after loading in a fresh process; None when it did not load.
        load_error: the error message, when it did not load.
        challenger: the challenger on the whole hold-out.
        calibration_error_lower: what its calibration error is shown to reach there.
        comparison: both on the rows that the champion was not fed; None for the first model.
        champion_error: why the champion could not be loaded, and so counts as wrong everywhere; empty if it could.
        champion_accuracy, challenger_accuracy: both on the compared rows.
        count_left_out: hold-out rows that the champion was fed; None when its list is missing.
        gold: challenger against champion on each hand-labelled set, at a level shared by the sets.
        count_gold_left_out: hand-labelled rows that the champion was fed before they were loaded.
        neutral: the same on hand-labelled tweets of three labels, of which enough are neutral; None with too few, or with
            two labels.
        slices: the same on each slice of the compared rows that is large enough.
        behaviour: behaviour tests passed.
        rescoring_seconds: how long scoring every tweet with the challenger would take; None when it cannot be loaded.
        look: which comparison of the last year this is, from 1.
        rolled_back: the reason for an earlier rollback from the challenger, if there was one.
        losses: for each check, up to ten texts that the champion has right and the challenger wrong.
    """

    count_evaluation_rows: int
    count_leaked: int | None
    load_difference: float | None
    load_error: str
    challenger: Evaluation
    calibration_error_lower: float
    comparison: PairedDifference | None = None
    champion_error: str = ""
    champion_accuracy: float | None = None
    challenger_accuracy: float | None = None
    count_left_out: int | None = 0
    gold: Mapping[str, PairedDifference] = field(default_factory=dict)
    count_gold_left_out: int = 0
    neutral: PairedDifference | None = None
    slices: Sequence[SliceDifference] = ()
    behaviour: BehaviourEvidence | None = None
    rescoring_seconds: float | None = None
    look: int = 1
    rolled_back: str | None = None
    losses: Sequence[Loss] = ()


@dataclass(frozen=True)
class Check:
    """One check of the gate."""

    check_name: str
    passed: bool
    reason: str
    champion_value: float | None = None
    challenger_value: float | None = None
    lower: float | None = None
    upper: float | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Verdict:
    """All checks of one decision, and texts that show what those which failed are about."""

    checks: tuple[Check, ...]
    losses: tuple[Loss, ...] = ()

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.passed)


def decide(evidence: Evidence, thresholds: GateThresholds) -> Verdict:
    """Judge a challenger by every check that applies."""
    checks = [_no_leak(evidence), _loads(evidence, thresholds), _floor(evidence, thresholds)]
    if evidence.comparison is not None:
        checks += [_better(evidence, evidence.comparison), _gold(evidence, thresholds)]
        checks += [_neutral(evidence, thresholds), _slices(evidence, thresholds)]
    checks += [_behaviour(evidence, thresholds), _speed(evidence, thresholds)]
    checks = [_switched_off(check) if check.check_name in thresholds.switched_off else check for check in checks]
    if evidence.rolled_back is not None:
        reason = f"People went back from it ({evidence.rolled_back}); only `sentiment promote` makes it champion again."
        checks.append(Check("rolled_back", False, reason))
    failed = {check.check_name for check in checks if not check.passed}
    return Verdict(tuple(checks), tuple(loss for loss in evidence.losses if loss.check_name in failed))


@dataclass(frozen=True)
class _Allowance:
    """How much a challenger may lose in one respect, given its gain in accuracy; both are shares."""

    gain: float
    tradeoff: float

    @classmethod
    def of(cls, evidence: Evidence, thresholds: GateThresholds) -> _Allowance:
        found = evidence.comparison
        return cls(found.difference if found and found.lower > 0 else 0.0, thresholds.tradeoff)

    def forgives(self, found: PairedDifference) -> bool:
        return -found.difference <= self.gain * self.tradeoff

    @property
    def sentence(self) -> str:
        """Say which losses are forgiven and why; appended to a list of losses."""
        if self.gain == 0:
            return ""
        return (
            f" It gains {self.gain * 100:.2f} points on the hold-out, which outweigh a loss of up to "
            f"{self.gain * self.tradeoff * 100:.2f} points elsewhere."
        )


def _no_leak(evidence: Evidence) -> Check:
    rows = f"{evidence.count_evaluation_rows:,} evaluation rows"
    if evidence.count_leaked is None:
        return Check(
            "no_leak",
            False,
            f"The challenger's list of fed rows, fed_rows.parquet, is missing or damaged, so none of {rows} is proven unseen.",
        )
    passed = evidence.count_leaked == 0
    reason = (
        f"None of {rows}, by id or text, is among the rows the challenger was fed."
        if passed
        else f"{evidence.count_leaked:,} of {rows} are among the rows the challenger was fed: its accuracy cannot be trusted."
    )
    return Check("no_leak", passed, reason, challenger_value=float(evidence.count_leaked), threshold=0.0)


def _loads(evidence: Evidence, thresholds: GateThresholds) -> Check:
    threshold = thresholds.load_tolerance
    if evidence.load_difference is None:
        reason = f"Loaded back from the registry in a fresh process, it fails: {evidence.load_error}"
        return Check("loads", False, reason, threshold=threshold)
    passed = evidence.load_difference <= threshold
    reason = (
        f"Loaded back from the registry in a fresh process, its probabilities differ from those in training by at most "
        f"{evidence.load_difference:.1e}; allowed are {threshold:.0e}."
    )
    return Check("loads", passed, reason, challenger_value=evidence.load_difference, threshold=threshold)


def _floor(evidence: Evidence, thresholds: GateThresholds) -> Check:
    found = evidence.challenger
    threshold = max(thresholds.floor_accuracy, found.majority_share)
    is_accurate = found.accuracy >= thresholds.floor_accuracy and found.accuracy > found.majority_share
    allowed, shown = thresholds.floor_calibration_error, evidence.calibration_error_lower
    error = max(found.calibration_error, shown)  # the first takes off too much where a model is off
    reason = (
        f"{percent(found.accuracy, 2)} of {found.count_rows:,} hold-out rows are right ({percent(found.lower, 2)} to "
        f"{percent(found.upper, 2)}), {'above' if is_accurate else 'expected above'} {percent(threshold, 2)}; calibration "
        f"error {percent(error, 2)}, shown to be at least {percent(shown, 2)}, allowed {percent(allowed, 2)}."
    )
    return Check(
        "floor",
        is_accurate and shown <= allowed,
        reason,
        challenger_value=found.accuracy,
        lower=found.lower,
        upper=found.upper,
        threshold=threshold,
    )


def _better(evidence: Evidence, found: PairedDifference) -> Check:
    passed = found.lower > 0
    if evidence.champion_error:
        reason = (
            f"The champion cannot be loaded any more and so scores nothing: {evidence.champion_error} The challenger is "
            f"right on {percent(evidence.challenger_accuracy, 2)} of {found.count_rows:,} rows."
        )
        return Check("better", passed, reason, challenger_value=evidence.challenger_accuracy, threshold=0.0)
    verdict = (
        "The challenger is better"
        if passed
        else "The challenger is worse"
        if found.upper < 0
        else "No difference can be shown, and a tie keeps the champion"
    )
    left_out = (
        "the champion's list of fed rows, fed_rows.parquet, is missing or damaged, so none could be left out"
        if evidence.count_left_out is None
        else f"{evidence.count_left_out:,} rows the champion was fed are left out"
        if evidence.count_left_out
        else "the champion was fed none of these rows"
    )
    reason = (
        f"{verdict}: on the same {found.count_rows:,} rows it is right {found.count_gained:,} times where the champion is "
        f"wrong, and wrong {found.count_lost:,} times where the champion is right, a difference of "
        f"{found.difference * 100:+.2f} points. With chance taken into account it lies between {found.lower * 100:+.2f} and "
        f"{found.upper * 100:+.2f} points ({percent(1 - found.alpha, 2)} interval; p = {found.p_value:.2g}; bootstrap "
        f"{found.bootstrap_lower * 100:+.2f} to {found.bootstrap_upper * 100:+.2f}). This is look {evidence.look} at the "
        f"hold-out within a year; it would show gains from {found.detectable * 100:.2f} points on in 4 of 5 cases; {left_out}."
    )
    return Check(
        "better",
        passed,
        reason,
        champion_value=evidence.champion_accuracy,
        challenger_value=evidence.challenger_accuracy,
        lower=found.lower,
        upper=found.upper,
        threshold=0.0,
    )


def _gold(evidence: Evidence, thresholds: GateThresholds) -> Check:
    left_out = f" {evidence.count_gold_left_out:,} rows the champion was fed before they were loaded are left out."
    left_out = left_out if evidence.count_gold_left_out else ""
    if not evidence.gold:
        reason = f"There is no hand-labelled tweet to compare on, so there is none to be worse on.{left_out}"
        return Check("gold", True, reason)
    allowance = _Allowance.of(evidence, thresholds)
    worse = [name for name, found in evidence.gold.items() if found.upper < 0]
    refusing = [name for name in worse if not allowance.forgives(evidence.gold[name])]
    lowest = min(evidence.gold.values(), key=lambda found: found.upper)
    sets = "; ".join(
        f"{name}: {found.difference * 100:+.2f} points on {found.count_rows:,} rows, which show losses from "
        f"{found.detectable * 100:.1f} points on"
        for name, found in evidence.gold.items()
    )
    verdict = f"It is worse on {', '.join(worse)}" if worse else "It is shown to be worse on no hand-labelled set"
    return Check(
        "gold",
        not refusing,
        f"{verdict}. {sets}.{allowance.sentence if worse else ''}{left_out}",
        challenger_value=lowest.difference,
        lower=lowest.lower,
        upper=lowest.upper,
        threshold=0.0,
    )


def _neutral(evidence: Evidence, thresholds: GateThresholds) -> Check:
    found = evidence.neutral
    if found is None:
        return Check("neutral", True, "There are too few hand-labelled neutral tweets, or labels are two.")
    allowance = _Allowance.of(evidence, thresholds)
    is_worse = found.upper < 0
    verdict = "It is worse" if is_worse else "It is not shown to be worse"
    reason = (
        f"{verdict} at telling negative, neutral and positive apart: {found.difference * 100:+.2f} points on "
        f"{found.count_rows:,} hand-labelled tweets, which show losses from {found.detectable * 100:.1f} points on."
    )
    return Check(
        "neutral",
        not is_worse or allowance.forgives(found),
        reason + (allowance.sentence if is_worse else ""),
        challenger_value=found.difference,
        lower=found.lower,
        upper=found.upper,
        threshold=0.0,
    )


def _slices(evidence: Evidence, thresholds: GateThresholds) -> Check:
    if not evidence.slices:
        return Check("slices", True, f"No slice has the {thresholds.slice_rows:,} rows that a comparison needs.")
    allowance = _Allowance.of(evidence, thresholds)
    worse = [found for found in evidence.slices if found.is_worse]
    refusing = [found for found in worse if not allowance.forgives(found.difference)]
    lowest = min(evidence.slices, key=lambda found: found.p_value)
    if worse:
        listed = "; ".join(
            f"{found.name} by {-found.difference.difference * 100:.2f} points on {found.count_rows:,} rows"
            for found in worse
        )
        reason = f"It is worse in {len(worse)} of {len(evidence.slices)} slices: {listed}.{allowance.sentence}"
    else:
        reason = (
            f"It is shown to be worse in none of {len(evidence.slices)} slices; lowest is {lowest.name}, "
            f"{lowest.difference.difference * 100:+.2f} points on {lowest.count_rows:,} rows "
            f"(p = {lowest.p_value:.2g}, corrected for their number)."
        )
    return Check(
        "slices",
        not refusing,
        reason,
        challenger_value=lowest.difference.difference,
        lower=lowest.difference.lower,
        upper=lowest.difference.upper,
        threshold=0.0,
    )


def _behaviour(evidence: Evidence, thresholds: GateThresholds) -> Check:
    found, least = evidence.behaviour, thresholds.behaviour_rate
    if found is None:
        return Check("behaviour", False, "It cannot be loaded, so no behaviour test passes.", threshold=least)
    allowance = _Allowance.of(evidence, thresholds)
    compared = {"": found.comparison, **found.groups} if found.comparison else found.groups
    worse = {name: test for name, test in compared.items() if test.upper < 0}
    is_refused = any(not allowance.forgives(test) for test in worse.values())
    reason = (
        f"{percent(found.challenger_rate)} of {found.count_tests:,} behaviour cases pass, expected at least "
        f"{percent(least, 0)}"
    )
    if found.champion_rate is not None:
        reason += f"; the champion passes {percent(found.champion_rate)}" + (
            ", which is significantly more" if "" in worse else ""
        )
    for name, test in worse.items():
        if name:
            reason += f"; of {name} it passes {percent(-test.difference, 0)} fewer of {test.count_rows:,} cases"
    return Check(
        "behaviour",
        found.challenger_rate >= least and not is_refused,
        f"{reason}.{allowance.sentence if worse else ''}{_largest_bias(found.biases)}",
        champion_value=found.champion_rate,
        challenger_value=found.challenger_rate,
        lower=found.comparison.lower if found.comparison else None,
        upper=found.comparison.upper if found.comparison else None,
        threshold=least,
    )


def _largest_bias(biases: Mapping[str, float]) -> str:
    if not biases:
        return ""
    attribute, shift = max(biases.items(), key=lambda bias: abs(bias[1]))
    if f"{100 * shift:.1f}" in ("0.0", "-0.0"):
        return " No attribute of a person moves the mean probability."
    return f" Of all attributes of a person, {attribute} moves the mean probability most: by {100 * shift:+.1f} points."


def _speed(evidence: Evidence, thresholds: GateThresholds) -> Check:
    seconds, budget = evidence.rescoring_seconds, thresholds.rescoring_seconds
    if seconds is None:
        return Check("speed", False, "It cannot be loaded, so it scores nothing.", threshold=budget)
    reason = f"Scoring every tweet again would take about {seconds:,.0f} s; allowed are {budget:,.0f} s."
    return Check("speed", seconds <= budget, reason, challenger_value=seconds, threshold=budget)


def _switched_off(check: Check) -> Check:
    return replace(check, passed=True, reason=f"Switched off by a setting. It found: {check.reason}")
