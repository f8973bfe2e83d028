"""The learning curve as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sentiment.markdown import percent
from sentiment.training.learning_curve import FEWEST_RUNGS, CurvePoint, _fit, forecast

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def curve_figure(points: Sequence[CurvePoint], rows: int, later: Sequence[CurvePoint] = ()) -> bytes:
    """Draw rungs, and from three on the fitted curve and the forecast up to `rows` rows, as PNG.

    Costs a second, matplotlib's import included.

    Args:
        points: the rungs that the curve is fitted to.
        later: what came since, drawn with the forecast and not fitted.

    Raises:
        TrainingError: there is no point at all.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    trained = sorted({point.rows for point in points})
    shown = sorted({*trained, *(point.rows for point in later), rows})
    figure = Figure(figsize=(8, 4.5), dpi=120, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    has_forecast = len(trained) >= FEWEST_RUNGS
    if has_forecast:
        _draw_curve(axes, points, np.geomspace(shown[0], shown[-1], 80))
    axes.scatter(
        [p.rows for p in points], [p.accuracy * 100 for p in points], color="#1d3557", zorder=3, label="Trained"
    )
    if later:
        axes.scatter(
            [point.rows for point in later],
            [point.accuracy * 100 for point in later],
            facecolor="white",
            edgecolor="#c1121f",
            linewidth=1.8,
            zorder=4,
            label="What came later",
        )
    if has_forecast and rows > trained[-1]:
        target = forecast(points, rows)
        axes.axvline(trained[-1], color="#999999", linewidth=0.8, linestyle=":")
        axes.annotate(
            f"Forecast for {rows:,} tweets:\n{percent(target.expected)} ({percent(target.lower)} to {percent(target.upper)})",
            (rows, target.expected * 100),
            xytext=(0.97, 0.06),
            textcoords="axes fraction",
            horizontalalignment="right",
            arrowprops={"arrowstyle": "-", "color": "#666666", "linewidth": 0.8},
        )
    _style(axes, shown)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _style(axes: Axes, shown: Sequence[int]) -> None:
    """Scales, labels and grid; ticks at these numbers of rows."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(_apart(shown))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    axes.set_xlabel("Tweets trained on (logarithmic)")
    axes.set_ylabel("Right answers on held-out tweets")
    axes.set_title("What more training data brings", loc="left", fontweight="bold")
    axes.grid(color="#e6e6e6", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", frameon=False)


def _draw_curve(axes: Axes, points: Sequence[CurvePoint], steps: NDArray[np.float64]) -> None:
    """The fitted curve with its band at each of `steps` rows, dashed where nothing was trained."""
    fitted = _fit(points)
    band = np.array([fitted.quantiles(fitted.accuracy(step) + fitted.noise) for step in steps]).T * 100
    axes.fill_between(
        steps, band[0], band[2], color="#3b6ea5", alpha=0.15, linewidth=0, label="90 % of outcomes expected"
    )
    axes.plot(steps, band[1], color="#3b6ea5", linestyle="--", linewidth=1.2)
    is_seen = steps <= fitted.largest
    axes.plot(steps[is_seen], band[1][is_seen], color="#3b6ea5", linewidth=1.8, label="Curve fitted, forecast dashed")


def _apart(values: Sequence[int]) -> list[int]:
    """Those, of ascending values, whose labels do not run into each other on a logarithmic axis; the last is kept."""
    least = (values[-1] / values[0]) ** 0.07
    kept = [values[-1]]
    for value in values[-2::-1]:
        if kept[-1] / value >= least:
            kept.append(value)
    return kept[::-1]


def _short(rows: float) -> str:
    return f"{rows / 1e6:.3g}M" if rows >= 1e6 else f"{rows / 1e3:.3g}k" if rows >= 1e3 else f"{rows:.0f}"
