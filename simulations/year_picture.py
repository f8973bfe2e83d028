"""Draws a simulated year: planted changes, measurements and alerts, champions, disk space."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import DateFormatter, MonthLocator
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from simulations.year_source import CHANGES, INCIDENTS, START

INK, BLUE, RED, GREY, GREEN, SAND = "#222222", "#2f6690", "#c1121f", "#9a9a9a", "#3a7d44", "#e9e4da"
SHADES = ("#16425b", "#2f6690", "#6ea4c4", "#b9d3e3", "#d9a441", "#e9c46a", "#cfcfcf")
MEASURES = {
    "volume": "Tweets a day",
    "text_length": "Text lengths, distance to the weeks before",
    "vocabulary": "Words, distance to the weeks before",
    "score_distribution": "Scores, distance to the weeks before",
    "mean_probability": "Mean probability of positive",
}
STACK = ("warehouse.duckdb", "published", "exports", "mlflow", "prefect", "reports", "logs")
NAMES = {"warehouse.duckdb": "warehouse", "published": "published snapshots", "exports": "training exports"}


def draw(series: dict[str, pl.DataFrame], diary: dict[str, Any], result: dict[str, Any], path: Path) -> None:
    """Write the picture as PNG."""
    figure = Figure(figsize=(14, 19), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    heights = [2.1, 1.5, *[1.0] * len(MEASURES), 1.3, 0.5, 1.3]
    panels: Any = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    figure.subplots_adjust(left=0.06, right=0.8, top=0.935, bottom=0.03, hspace=0.42)
    days = [START + timedelta(days=row["day"] - 1) for row in diary["disk"]]
    _title(figure, result, len(days))
    _events(panels[0], days[-1])
    monitoring = series["monitoring"].filter(pl.col("day") >= START)
    _failures(panels[1], diary["failures"])
    for axes, (measure, title) in zip(panels[2:], MEASURES.items(), strict=False):
        _measure(axes, monitoring.filter(pl.col("measure") == measure), title, result, measure)
    _accuracy(panels[-3], monitoring, diary["accuracy"], result)
    _champions(panels[-2], series["champions"], diary["retrains"], days[-1])
    _disk(panels[-1], days, diary["disk"])
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8.5, colors=INK, length=3)
        for change in CHANGES:
            if _day(change.day) <= days[-1]:
                axes.axvline(_day(change.day), color=RED, linewidth=0.9, alpha=0.55, zorder=0)
        for number in INCIDENTS:
            if _day(number) <= days[-1]:
                axes.axvline(_day(number), color=GREY, linewidth=0.9, linestyle=(0, (2, 2)), zorder=0)
    panels[-1].set_xlim(days[0] - timedelta(days=1), days[-1] + timedelta(days=1))
    panels[-1].xaxis.set_major_locator(MonthLocator())
    panels[-1].xaxis.set_major_formatter(DateFormatter("%b"))
    figure.savefig(path)


def _title(figure: Figure, result: dict[str, Any], days: int) -> None:
    figure.text(
        0.06,
        0.982,
        f"{days} days, and {result['failures']['nights']} nights with a failure",
        fontsize=19,
        color=INK,
        weight="bold",
        va="center",
    )
    lines, alarms = result["lines"], result["alarms"]
    seen = sum(change["days"] is not None for change in result["changes"])
    texts = (
        f"{lines['files']} files of three sources with {lines['lines']:,} lines = {lines['loaded']:,} loaded + {lines['duplicate']:,} duplicate "
        f"+ {lines['rejected']:,} rejected. {lines['missing']:,} tweets are missing, {result['scored_twice']:,} scored twice.",
        f"{seen} of {len(result['changes'])} planted changes were seen within three days, with {alarms['false']} false "
        f"alarms. {result['retrains']} trainings, {result['failures']['restores']} restored backups, "
        f"{result['people']['corrections']:,} corrections, {result['people']['forgotten']} people forgotten.",
    )
    for text, height in zip(texts, (0.9645, 0.953), strict=True):
        figure.text(0.06, height, text, fontsize=10.5, color=INK, va="center")


def _events(axes: Axes, last: date) -> None:
    """What was planted, in words, each at its day."""
    rows = [(change.day, change.name, RED) for change in CHANGES] + [
        (day, name, GREY) for day, name in INCIDENTS.items()
    ]
    shown = sorted(row for row in rows if _day(row[0]) <= last)
    for place, (number, name, color) in enumerate(shown):
        level = len(shown) - place
        is_late = (last - _day(number)).days < 130
        axes.plot([_day(number)], [level], "o", color=color, markersize=6, zorder=3)
        axes.annotate(
            name,
            (_day(number), level),  # type: ignore[arg-type]
            xytext=(-8 if is_late else 8, 0),
            textcoords="offset points",
            ha="right" if is_late else "left",
            va="center",
            fontsize=9,
            color=INK,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            zorder=2,
        )
    axes.set_ylim(0.2, len(shown) + 0.8)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    _name(axes, "What was planted")
    _legend(
        axes,
        [
            Line2D([], [], color=RED, marker="o", linewidth=0.9, label="tweets change"),
            Line2D([], [], color=GREY, marker="o", linewidth=0.9, linestyle=(0, (2, 2)), label="something goes wrong"),
        ],
    )


def _failures(axes: Axes, failures: list[dict[str, Any]]) -> None:
    """One row a kind of failure, a mark a night; filled where somebody had to help in the morning."""
    kinds = sorted({failure["kind"] for failure in failures}, reverse=True)
    for failure in failures:
        fill = RED if failure["operator"] else "white"
        axes.plot([_day(failure["day"])], [kinds.index(failure["kind"])], "o", color=RED, markersize=5, mfc=fill)
    axes.set_ylim(-0.8, len(kinds) - 0.2)
    axes.set_yticks([])
    for row, kind in enumerate(kinds):
        axes.text(1.01, row, kind, transform=axes.get_yaxis_transform(), fontsize=8.5, color=INK, va="center")
    _name(axes, "Nights with a failure; filled: somebody did in the morning what a sentence of the night said")


def _measure(axes: Axes, rows: pl.DataFrame, title: str, result: dict[str, Any], measure: str) -> None:
    days, values = rows["day"].to_list(), rows["value"].to_list()
    limits = rows["threshold"].cast(pl.Float64).fill_null(float("nan")).to_list()
    axes.step(days, limits, where="mid", color=GREY, linewidth=1.1)
    axes.plot(days, values, color=BLUE, linewidth=1.2)
    standing = rows.filter("is_alarm")
    axes.scatter(standing["day"].to_list(), standing["value"].to_list(), color=RED, s=9, zorder=3, linewidth=0)
    value_of = dict(zip(days, values, strict=True))
    for alarm in result["all_alarms"]:
        when = date.fromisoformat(alarm["day"])
        if alarm["measure"] == measure and when in value_of:
            is_false = alarm["kind"] == "false"
            axes.scatter(
                [when],  # type: ignore[list-item]
                [value_of[when]],
                s=70,
                facecolor="none",
                edgecolor="#e07a00" if is_false else RED,
                linewidth=2.2 if is_false else 1.3,
                zorder=4,
            )
    axes.margins(y=0.12)
    _name(axes, title)
    if measure == "volume":
        _legend(
            axes,
            [
                Line2D([], [], color=BLUE, label="each day"),
                Line2D([], [], color=GREY, label="threshold"),
                Line2D([], [], color=RED, marker="o", markersize=3, linewidth=0, label="an alarm stands"),
                _ring(RED, 1.3, "an alert is sent"),
                _ring("#e07a00", 2.2, "told for nothing"),
            ],
        )


def _accuracy(axes: Axes, monitoring: pl.DataFrame, accuracy: list[dict[str, Any]], result: dict[str, Any]) -> None:
    _measure(
        axes, monitoring.filter(pl.col("measure") == "estimated_accuracy"), "Accuracy", result, "estimated_accuracy"
    )
    truth = pl.DataFrame(accuracy, schema_overrides={"right": pl.Float64})
    for column, line in (("right_of_two", "-"), ("right", ":")):
        if column in truth.columns:
            values = truth[column].rolling_mean(7, min_samples=1).to_list()
            axes.plot([_day(number) for number in truth["day"]], values, line, color=GREEN, linewidth=1.4)
    _legend(
        axes,
        [
            Line2D([], [], color=BLUE, label="promised by the probabilities"),
            Line2D([], [], color=GREEN, label="true, mean of a week"),
            Line2D([], [], color=GREEN, linestyle=":", label="true, of three labels"),
        ],
    )


def _champions(axes: Axes, champions: pl.DataFrame, retrains: list[dict[str, Any]], last: date) -> None:
    starts = [max(moment.date(), START) for moment in champions["changed_at"].to_list()]
    for number, (start, version) in enumerate(zip(starts, champions["model_version"], strict=True)):
        end = starts[number + 1] if number + 1 < len(starts) else last
        axes.barh(0, end - start, left=start, height=0.9, color=SHADES[number % 4], edgecolor="white")  # type: ignore[arg-type]
        if (end - start).days > 7:
            color = "white" if number % 4 < 2 else INK
            axes.text(start + timedelta(days=2), 0, f"version {version}", va="center", fontsize=8.5, color=color)  # type: ignore[arg-type]
    tried = [date.fromisoformat(row["day"]) for row in retrains if not row["is_promoted"]]
    axes.plot(tried, [0.75] * len(tried), "x", color=GREY, markersize=4.5)  # type: ignore[arg-type]
    axes.set_ylim(-0.6, 1.0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    _name(axes, "Champion")
    _legend(axes, [Line2D([], [], color=GREY, marker="x", linewidth=0, markersize=4.5, label="challenger refused")])


def _disk(axes: Axes, days: list[date], disk: list[dict[str, Any]]) -> None:
    layers = [[row[part] / 2**20 for row in disk] for part in STACK]
    axes.stackplot(days, *layers, colors=SHADES, labels=[NAMES.get(part, part) for part in STACK], linewidth=0)  # type: ignore[arg-type]
    _name(axes, "The home on disk, MiB (without the inbox; Prefect's history is not pruned in a simulated year)")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1.01, 1.05), fontsize=8.5, frameon=False)


def _ring(color: str, width: float, label: str) -> Line2D:
    return Line2D(
        [], [], marker="o", markersize=8, markerfacecolor="none", markeredgecolor=color, markeredgewidth=width,
        linewidth=0, label=label,
    )  # fmt: skip


def _legend(axes: Axes, handles: list[Line2D]) -> None:
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.05), fontsize=8.5, frameon=False)


def _name(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, color=INK)


def _day(number: int) -> Any:
    return datetime.combine(START + timedelta(days=number - 1), datetime.min.time()).date()
