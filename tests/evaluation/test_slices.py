"""Slices of a hold-out: which tweets are in them, and when a model is worse in one."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom
from statsmodels.stats.multitest import multipletests

from sentiment.evaluation.comparison import paired_difference
from sentiment.evaluation.slices import slice_differences, slice_masks

MAY = datetime(2009, 5, 3, tzinfo=UTC)


def frame(*texts: str | None, source: str = "file", posted_at: datetime | None = MAY) -> pl.DataFrame:
    return pl.DataFrame(
        {"text": texts, "label_source": [source] * len(texts), "posted_at": [posted_at] * len(texts)},
        schema={"text": pl.String, "label_source": pl.String, "posted_at": pl.Datetime("us", "UTC")},
    )


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("mention", ["@bo hi", "hi (@bo)"], ["me @ home", "hi"]),
        ("link", ["see http://a.b", "HTTPS://A.B", "www.a.b"], ["the www", "http"]),
        (
            "negation",
            ["not good", "I don't", "I DON’T", "dont go", "No!", "cannot"],
            ["nothin", "notable", "want", "knot"],
        ),
        ("short", ["", "one", "1 2 3 4 5 6"], ["1 2 3 4 5 6 7", " ".join("x" * 30)]),
        ("long", [" ".join("x" * 20)], [" ".join("x" * 19), "x" * 200]),
        ("non_ascii", ["café", "♥"], ["cafe", "~"]),
    ],
)
def test_a_slice_holds_the_tweets_it_is_named_for(name: str, inside: list[str], outside: list[str]) -> None:
    assert slice_masks(frame(*inside, *outside))[name].tolist() == [True] * len(inside) + [False] * len(outside)


def test_there_is_a_slice_for_each_label_source_and_each_of_the_last_six_months_with_rows() -> None:
    months = [(2008, 11), (2009, 1), (2009, 2), (2009, 3), (2009, 4), (2009, 6), (2009, 7)]
    rows = [frame("a", posted_at=datetime(year, month, 1, tzinfo=UTC)) for year, month in months]
    masks = slice_masks(pl.concat([*rows, frame("b", source="correction", posted_at=None)]))
    names = [name for name in masks if ":" in name]
    assert names == [
        "label_source:correction",
        "label_source:file",
        *(f"month:{year}-{month:02}" for year, month in months[1:]),
    ]
    assert masks["month:2009-07"].tolist() == [False] * 6 + [True, False]
    assert masks["label_source:correction"].tolist() == [False] * 7 + [True]


def test_a_month_goes_by_utc_whatever_the_column_shows() -> None:
    last_minute = frame("a", posted_at=datetime(2009, 4, 30, 23, 59, tzinfo=UTC))
    elsewhere = last_minute.with_columns(pl.col("posted_at").dt.convert_time_zone("Asia/Tokyo"))
    assert "month:2009-04" in slice_masks(elsewhere)
    assert "month:2009-05" not in slice_masks(elsewhere)


def test_nulls_and_empty_frames_belong_to_no_slice() -> None:
    masks = slice_masks(frame(None, posted_at=None))
    assert not any(mask.any() for name, mask in masks.items() if name != "label_source:file")
    assert all(mask.shape == (0,) and mask.dtype == bool for mask in slice_masks(frame()).values())


def test_a_loss_in_one_slice_is_found_though_the_average_gains() -> None:
    rng = np.random.default_rng(3)
    negated = np.arange(20_000) % 5 == 0
    champion = rng.random(20_000) < 0.8
    challenger = np.where(negated, champion & (rng.random(20_000) < 0.93), champion | (rng.random(20_000) < 0.15))
    found = slice_differences({"negation": negated, "other": ~negated}, champion, challenger)
    assert [(slice_.name, slice_.count_rows, slice_.is_worse) for slice_ in found] == [
        ("negation", 4000, True),
        ("other", 16_000, False),
    ]
    assert found[0].difference.upper < 0 < found[1].difference.lower
    assert challenger.mean() > champion.mean()


def test_a_gain_is_never_worse_and_the_same_answers_differ_nowhere() -> None:
    right = np.arange(2000) % 2 == 0
    (gain,) = slice_differences({"all": np.ones(2000, bool)}, right & (np.arange(2000) % 10 != 0), right)
    (same,) = slice_differences({"all": np.ones(2000, bool)}, right, right)
    assert (gain.is_worse, same.is_worse) == (False, False)
    assert gain.p_value == pytest.approx(1)


def test_small_slices_are_left_out() -> None:
    right = np.ones(600, dtype=bool)
    masks = {"large": np.arange(600) < 500, "small": np.arange(600) < 499}
    assert [found.name for found in slice_differences(masks, right, right)] == ["large"]
    assert slice_differences({"small": masks["small"]}, right, right) == []


def test_p_values_are_one_sided_mid_p_and_corrected_by_holm() -> None:
    rng = np.random.default_rng(5)
    champion, challenger = rng.random(4000) < 0.8, rng.random(4000) < 0.78
    masks = {str(part): np.arange(4000) % 4 == part for part in range(4)}
    raw = []
    for mask in masks.values():
        found = paired_difference(champion[mask], challenger[mask])
        gained, discordant = found.count_gained, found.count_gained + found.count_lost
        raw.append(binom.cdf(gained, discordant, 0.5) - binom.pmf(gained, discordant, 0.5) / 2)
    expected = multipletests(raw, method="holm")[1]
    assert [found.p_value for found in slice_differences(masks, champion, challenger)] == pytest.approx(list(expected))


def test_equally_good_models_raise_an_alarm_in_at_most_one_of_twenty_decisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Overlapping slices of 6,000 rows, 600 decisions; three standard errors above 5 % are 7.7 %."""
    # Only the p-value decides; the rest of the report would take minutes here.
    for name, value in (("_paired_bootstrap", (0, 0)), ("_mid_p_interval", (0, 1)), ("detectable_difference", 0)):
        monkeypatch.setattr(f"sentiment.evaluation.comparison.{name}", lambda *_, value=value: value)
    monkeypatch.setattr("gc.collect", lambda: 0)  # statsmodels calls it for every correction
    rng = np.random.default_rng(11)
    masks = {str(number): rng.random(6000) < share for number, share in enumerate(np.linspace(0.1, 0.9, 10))}
    alarms = 0
    for _ in range(600):
        discordant, is_gain = rng.random(6000) < 0.06, rng.random(6000) < 0.5
        found = slice_differences(masks, discordant & ~is_gain, discordant & is_gain)
        alarms += any(slice_.is_worse for slice_ in found)
    assert 0.01 < alarms / 600 < 0.077
