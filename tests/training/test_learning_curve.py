"""The learning curve: what it forecasts, when it says stop, and what it says when it knows too little."""

from __future__ import annotations

import io
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from sentiment.errors import TrainingError
from sentiment.training.learning_curve import CurvePoint, Gain, forecast, gain, is_flat, noise_of_rung
from sentiment.training.learning_curve_plot import curve_figure

RUNGS = (25_000, 50_000, 100_000, 200_000, 400_000)
NOISE = noise_of_rung(80_000)


def gain_of_doubling(points: list[CurvePoint]) -> Gain:
    return gain(points, 2 * max((point.rows for point in points), default=0))


def law(rows: float, limit: float = 0.85, factor: float = 1.5, exponent: float = 0.28) -> float:
    return limit - factor * rows**-exponent


def curve(
    accuracies: Iterable[float] | None = None, rungs: Iterable[int] = RUNGS, noise: float = NOISE
) -> list[CurvePoint]:
    """Points on a power law, or with these accuracies; 3 s each and 20,000 rows a second."""
    rungs = list(rungs)
    values = [law(rows) for rows in rungs] if accuracies is None else accuracies
    return [CurvePoint(rows, value, noise, 3 + rows / 20_000) for rows, value in zip(rungs, values, strict=True)]


def test_a_forecast_meets_a_curve_that_follows_the_law() -> None:
    found = forecast(curve(noise=1e-4), 1_500_000)
    assert found.expected == pytest.approx(law(1_500_000), abs=5e-4)
    assert found.lower < law(1_500_000) < found.upper
    assert found.upper - found.lower < 3e-3


def test_with_real_noise_the_interval_is_less_than_a_point_wide_and_grows_with_distance() -> None:
    widths = [found.upper - found.lower for found in (forecast(curve(), rows) for rows in (800_000, 1_500_000, 10**7))]
    assert widths == sorted(widths)
    assert widths[0] > 2 * NOISE
    assert widths[1] < 0.01


def test_nine_of_ten_intervals_hold_what_comes() -> None:
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(150):
        exponent = rng.uniform(0.1, 0.7)
        factor = 0.04 / (25_000**-exponent - 400_000**-exponent)
        truth = {n: 0.9 - factor * n**-exponent + NOISE * rng.standard_normal() for n in (*RUNGS, 1_500_000)}
        found = forecast(curve([truth[n] for n in RUNGS]), 1_500_000)
        held += found.lower <= truth[1_500_000] <= found.upper
    assert 0.83 <= held / 150 <= 0.98


def test_what_moves_all_rungs_of_a_hold_out_together_does_not_change_a_gain() -> None:
    low, high = (gain_of_doubling(curve([law(n) + shift for n in RUNGS])) for shift in (0.0, 0.02))
    assert (low.expected, low.lower, low.upper) == pytest.approx((high.expected, high.lower, high.upper), abs=1e-9)


def test_a_gain_says_what_twice_the_data_brings_and_costs() -> None:
    found = gain_of_doubling(curve())
    assert (found.from_rows, found.rows) == (400_000, 800_000)
    assert found.lower < law(800_000) - law(400_000) < found.upper
    assert found.seconds == pytest.approx(43)
    assert found.sentence == (
        f"Twice the data (800,000 rows) should bring +{found.expected * 100:.1f} points "
        f"({found.lower * 100:.1f} to {found.upper * 100:.1f}) for 43 s."
    )
    assert gain(curve(), 1_000_000).sentence.startswith("2.5 times the data (1,000,000 rows)")


def test_seconds_are_never_negative_and_one_rung_costs_in_proportion() -> None:
    slow_start = [CurvePoint(1000, 0.7, NOISE, 9.0), CurvePoint(100_000, 0.8, NOISE, 2.0)]
    assert forecast(slow_start, 10).seconds >= 0
    assert forecast([CurvePoint(1000, 0.7, NOISE, 2.0)], 4000).seconds == pytest.approx(8)


def test_it_stops_where_the_hold_out_could_not_show_the_next_gain_and_says_so() -> None:
    steep = is_flat(curve(), 800_000, detectable=0.003)
    assert not steep.is_flat
    assert steep.reason.endswith("It goes on: this hold-out shows gains from 0.30 points on.")
    level = is_flat(curve([0.800, 0.812, 0.816, 0.8175, 0.818]), 800_000, detectable=0.003)
    assert level.is_flat
    assert level.gain is not None
    assert level.gain.expected < 0.003
    assert level.reason.startswith("Twice the data (800,000 rows) should bring")
    assert "It stops here: this hold-out shows gains from 0.30 points on, so it could not be seen." in level.reason


def test_all_rows_trained_on_leave_nothing_to_learn() -> None:
    found = is_flat(curve(), 400_000, detectable=0.003)
    assert (found.is_flat, found.gain) == (True, None)
    assert "nothing new to learn" in found.reason


@pytest.mark.parametrize(
    ("count", "missing"),
    [
        (1, "1 subset says where the curve stands, not how it rises: train 2 more to know."),
        (2, "2 subsets say how the curve rises, not how it bends: train 1 more to know."),
        (3, ""),
    ],
)
def test_few_rungs_give_a_wide_answer_say_what_is_missing_and_never_stop(count: int, missing: str) -> None:
    points = curve(rungs=RUNGS[:count])
    found = forecast(points, 400_000)
    assert found.missing.strip() == missing
    assert found.lower < law(400_000) < found.upper
    assert found.upper - found.lower > 0.01
    if missing:
        outlook = is_flat(points, 100_000, detectable=0.9)
        assert not outlook.is_flat
        assert missing in outlook.reason


def test_no_rung_at_all_is_an_error_that_says_what_to_do() -> None:
    for ask in (forecast, gain):
        with pytest.raises(TrainingError, match="at least one trained subset"):
            ask([], 1000)
    with pytest.raises(TrainingError):
        gain_of_doubling([])


def test_rungs_off_the_curve_by_more_than_their_noise_widen_the_interval() -> None:
    smooth, rough = (
        forecast(curve([law(n) + wiggle * sign for n, sign in zip(RUNGS, (1, -1, 1, -1, 1), strict=True)]), 1_500_000)
        for wiggle in (0.0, 0.006)
    )
    assert rough.upper - rough.lower > 2 * (smooth.upper - smooth.lower)


def test_a_curve_that_falls_promises_little_and_one_that_is_level_next_to_nothing() -> None:
    falling = gain_of_doubling(curve([0.82, 0.815, 0.81, 0.805, 0.80]))
    assert 0 <= falling.lower <= falling.expected < 0.005
    level = gain_of_doubling(curve([0.8] * 5))
    assert 0 <= level.lower <= level.expected < 0.001


def test_order_does_not_matter_and_the_answer_is_the_same_every_time() -> None:
    assert forecast(curve(), 10**6) == forecast(curve(), 10**6)
    turned = forecast(curve()[::-1], 10**6)
    assert (turned.expected, turned.lower) == pytest.approx(
        (forecast(curve(), 10**6).expected, forecast(curve(), 10**6).lower)
    )


@hypothesis(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 10**8), st.floats(0, 1), st.floats(1e-5, 0.2), st.floats(0, 1e5)),
        min_size=1,
        max_size=9,
    ),
    st.integers(1, 10**9),
)
def test_any_points_give_a_forecast_in_order(points: list[tuple[int, float, float, float]], rows: int) -> None:
    found = forecast([CurvePoint(*point) for point in points], rows)
    assert found.lower <= found.expected <= found.upper <= 1
    assert np.isfinite([found.lower, found.seconds]).all()
    more = gain([CurvePoint(*point) for point in points], 2 * max(point[0] for point in points))
    assert 0 <= more.lower <= more.expected <= more.upper


def test_the_noise_between_rungs_is_that_of_the_rows_they_disagree_on() -> None:
    """Two trainings that disagree on a tenth of the rows by chance: their difference has twice the variance of one."""
    rng = np.random.default_rng(2)
    gained = rng.binomial(80_000, 0.05, 4000)
    lost = rng.binomial(80_000, 0.05, 4000)
    assert np.std((gained - lost) / 80_000) == pytest.approx(np.sqrt(2) * noise_of_rung(80_000, 0.1), rel=0.05)


@pytest.mark.parametrize("count", [1, 5])
def test_the_picture_is_a_png_on_white_and_shows_what_came_later(count: int) -> None:
    from matplotlib.image import imread

    came = [CurvePoint(1_500_000, law(1_500_000), NOISE, 80)]
    without, together = (
        imread(io.BytesIO(curve_figure(curve(rungs=RUNGS[:count]), 1_500_000, later)), format="png")
        for later in ([], came)
    )
    assert without.shape == together.shape == (540, 960, 4)
    assert (without[0, 0] == 1).all()
    assert (without != together).any()
