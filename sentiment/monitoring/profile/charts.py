"""The pictures of a profile: matplotlib draws them as SVG, and their colours become the page's own.

matplotlib knows no dark mode, so it draws in a placeholder colour for each role, which becomes a CSS variable in the SVG.
Text stays text: it takes the page's font and can be searched. Charts are small, since a phone shows them one by one.

The first chart costs a second, matplotlib's import included; each further one 0.1 s.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import date
from typing import Any

import polars as pl

from sentiment.monitoring.profile.figures import Figures

INK, MUTED, GRID, ON_BAR = "#010101", "#020202", "#030303", "#090909"
COLOURS = {
    "negative": "#040404",
    "positive": "#050505",
    "neutral": "#060606",
    "unlabelled": "#070707",
    "conflicting": "#080808",
}
ROLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    ON_BAR: "on-bar",
    **{colour: label for label, colour in COLOURS.items()},
}
WIDTH, HEIGHT = 4.6, 2.7
CLASSES = ("negative", "positive")
COUNT_BARS = 15

Draw = Callable[[Any, Figures], None]


def chart_svg(name: str, figures: Figures) -> str:
    """Draw one chart as an inline SVG element; an empty string where there is nothing to show."""
    draw, description, height = CHARTS[name]
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        # A dollar sign in a tweet starts no formula.
        "text.parse_math": False,
        "font.size": 9,
        "text.color": INK,
        "axes.labelcolor": MUTED,
        "axes.edgecolor": GRID,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "legend.frameon": False,
        "legend.labelcolor": INK,
    }
    with rc_context(style):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        draw(axes, figures)
        if not axes.has_data():
            return ""
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"([^>]*?) width="[^"]*"', r"\1\2", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"([^>]*?) height="[^"]*"', r"\1\2", svg, count=1)
    for colour, role in ROLES.items():
        svg = svg.replace(colour, f"var(--{role})")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{description}" ', 1)


def _thousands(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(4))
    axis.set_major_formatter(
        FuncFormatter(
            lambda value, _: (
                f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k" if value >= 1e3 else f"{value:g}"
            )
        )
    )


def _percent(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(4))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g} %"))


def _labels(counts: pl.DataFrame) -> list[str]:
    return [label for label in COLOURS if label in counts.columns]


def _legend(axes: Any, count: int) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=count, handlelength=1, columnspacing=1.2, borderpad=0)


def draw_days(axes: Any, figures: Figures) -> None:
    """Tweets a day, a line a label; days without tweets are zero."""
    counts = figures.by_label("days")
    if counts.is_empty():
        return
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    days = counts.with_columns(day=pl.col("item").str.to_date()).sort("day").upsample("day", every="1d").fill_null(0.0)
    shown = [label for label in _labels(counts) if label != "conflicting"]
    for label in shown:
        axes.plot(days["day"].to_list(), days[label].to_list(), color=COLOURS[label], linewidth=1.6, label=label)
    locator: Any = AutoDateLocator(maxticks=6)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.set_ylim(bottom=0)
    axes.grid(visible=False, axis="x")
    _thousands(axes.yaxis)
    _legend(axes, len(shown))


def draw_months(axes: Any, figures: Figures) -> None:
    """Share of each label a month; the newest twelve."""
    counts = figures.by_label("months")
    if counts.is_empty():
        return
    counts = counts.sort("item").tail(12)
    labels = [label for label in _labels(counts) if label != "conflicting"]
    total = counts.select(pl.sum_horizontal(labels)).to_series()
    names = [f"{date.fromisoformat(f'{item}-01'):%b %Y}" for item in counts["item"]]
    left = [0.0] * len(counts)
    for label in labels:
        shares = (100 * counts[label] / total).to_list()
        axes.barh(names, shares, left=left, color=COLOURS[label], label=label, height=0.7)
        for row, (start, share) in enumerate(zip(left, shares, strict=True)):
            if share > 12:
                axes.text(start + share / 2, row, f"{share:.0f} %", ha="center", va="center", color=ON_BAR)
        left = [start + share for start, share in zip(left, shares, strict=True)]
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.grid(visible=False)
    _percent(axes.xaxis)
    _legend(axes, len(labels))


def draw_hours(axes: Any, figures: Figures) -> None:
    """Tweets by hour of the day."""
    counts = figures.by_label("hours")
    if counts.is_empty():
        return
    counts = (
        pl.DataFrame({"item": [f"{hour:02}" for hour in range(24)]}).join(counts, on="item", how="left").fill_null(0.0)
    )
    shown = [label for label in _labels(counts) if label != "conflicting"]
    for label in shown:
        axes.plot(range(24), counts[label].to_list(), color=COLOURS[label], linewidth=1.6, label=label)
    axes.set_xticks(range(0, 24, 3), [f"{hour:02}:00" for hour in range(0, 24, 3)])
    axes.set_xlim(0, 23)
    axes.set_ylim(bottom=0)
    axes.grid(visible=False, axis="x")
    _thousands(axes.yaxis)
    _legend(axes, len(shown))


def draw_weekdays(axes: Any, figures: Figures) -> None:
    """Tweets by day of the week."""
    counts = figures.by_label("weekdays")
    if counts.is_empty():
        return
    shown = [label for label in _labels(counts) if label != "conflicting"]
    width = 0.8 / max(len(shown), 1)
    for number, label in enumerate(shown):
        places = [row + (number - (len(shown) - 1) / 2) * width for row in range(len(counts))]
        axes.bar(places, counts[label].to_list(), width=width, color=COLOURS[label], label=label)
    axes.set_xticks(range(len(counts)), [item[:3] for item in counts["item"]])
    axes.grid(visible=False, axis="x")
    _thousands(axes.yaxis)
    _legend(axes, len(shown))


def _draw_distribution(axes: Any, counts: pl.DataFrame, step: int, last: str) -> None:
    """Share of the tweets of each class in each bucket, as outlines."""
    shown = [label for label in _labels(counts) if label != "conflicting" and counts[label].sum() > 0]
    starts = [int(item) for item in counts["item"]]
    for label in shown:
        shares = dict(zip(starts, (100 * counts[label] / counts[label].sum()).to_list(), strict=True))
        places = list(range(min(starts), max(starts) + 1, step))
        edges = [*places, places[-1] + step]
        heights = [shares.get(place, 0.0) for place in places]
        axes.stairs(heights, edges, color=COLOURS[label], linewidth=1.6, label=label)
    axes.set_ylim(bottom=0)
    axes.grid(visible=False, axis="x")
    axes.set_xlabel(last)
    _percent(axes.yaxis)
    _legend(axes, len(shown))


def draw_words_per_tweet(axes: Any, figures: Figures) -> None:
    """Words a tweet, by class."""
    _draw_distribution(axes, figures.by_label("words_per_tweet"), 1, "words (40: 40 and more)")


def draw_characters_per_tweet(axes: Any, figures: Figures) -> None:
    """Characters a tweet, by class."""
    _draw_distribution(axes, figures.by_label("characters_per_tweet"), 10, "characters (200: 200 and more)")


def draw_traits(axes: Any, figures: Figures) -> None:
    """Share of each class with a trait: two dots and the gap between them, widest first."""
    shares = figures.by_label("traits", "share_tweets")
    shown = [label for label in CLASSES if label in shares.columns]
    if not shown:
        return
    shares = shares.with_columns(gap=(pl.max_horizontal(shown) - pl.min_horizontal(shown))).sort("gap")
    rows = range(len(shares))
    if len(shown) == 2:
        axes.hlines(rows, 100 * shares["negative"], 100 * shares["positive"], color=GRID, linewidth=4, zorder=1)
    for label in shown:
        axes.scatter((100 * shares[label]).to_list(), rows, color=COLOURS[label], s=26, zorder=2, label=label)
    axes.set_yticks(rows, shares["item"].to_list())
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_xlim(left=-1)
    axes.set_xlabel("share of the class's tweets")
    axes.grid(visible=False, axis="y")
    _percent(axes.xaxis)
    _legend(axes, len(shown))


def draw_telling_words(axes: Any, figures: Figures, label: str) -> None:
    """The words that tell one class from the other, most telling on top."""
    words = figures.section("telling_words", "z").filter(pl.col("label") == label).head(COUNT_BARS).reverse()
    if words.is_empty():
        return
    names = words["item"].to_list()
    axes.barh(range(len(names)), words["value"].abs().to_list(), color=COLOURS[label], height=0.7)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_xlabel("standard errors from telling nothing")
    axes.grid(visible=False, axis="y")


CHARTS: dict[str, tuple[Draw, str, float]] = {
    "days": (draw_days, "Tweets by day and label", HEIGHT),
    "months": (draw_months, "Share of each label by month", HEIGHT),
    "hours": (draw_hours, "Tweets by hour of the day and label", HEIGHT),
    "weekdays": (draw_weekdays, "Tweets by day of the week and label", HEIGHT),
    "words_per_tweet": (draw_words_per_tweet, "Distribution of words in a tweet by label", HEIGHT),
    "characters_per_tweet": (draw_characters_per_tweet, "Distribution of characters in a tweet by label", HEIGHT),
    "traits": (draw_traits, "Share of tweets with each trait, by label", 3.9),
    "telling_negative": (
        lambda axes, figures: draw_telling_words(axes, figures, "negative"),
        "Words that tell negative tweets",
        3.9,
    ),
    "telling_positive": (
        lambda axes, figures: draw_telling_words(axes, figures, "positive"),
        "Words that tell positive tweets",
        3.9,
    ),
}
