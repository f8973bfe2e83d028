"""What the monitor tells people: a sentence for each alarm, Markdown for the run's page, and an HTML file with plots.

The file is self-contained: its picture is in it, and it opens without a server. What comes from tweets is escaped. A report
takes a second, most of it matplotlib's import, and 150 KB.
"""

from __future__ import annotations

import base64
import io
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from sentiment.markdown import percent, table
from sentiment.model.atomic import atomic_write
from sentiment.monitoring.daily import GAP_DAYS, MOST_DAYS_AT_ONCE, REFERENCE_DAYS, Alarm, MonitorReport
from sentiment.settings import Home

TEMPLATE = Path(__file__).with_name("report.html")
PANELS = {
    "volume": "Tweets a day",
    "text_length": "Text lengths: distance to the reference",
    "vocabulary": "Vocabulary: distance to the reference",
    "score_distribution": "Scores: distance to the reference",
    "mean_probability": "Mean probability of positive",
    "estimated_accuracy": "Accuracy that the probabilities promise",
    "accuracy_on_corrections": "Accuracy on corrected tweets",
    "delay_days": "Days without tweets up to the run",
}
# Readable on white and on black: the page has both.
_BLUE, _RED, _GREY, _TEXT = "#3d85d0", "#d8383f", "#8c8c8c", "#7c7c7c"


def alarm_sentence(alarm: Alarm, words: list[str]) -> str:
    """What happened, against what, and what to do."""
    day, value, threshold = alarm.day, alarm.value, alarm.threshold
    if alarm.measure == "delay_days":
        return (
            f"Up to {day} there are no tweets of the last {value:,.0f} days; {threshold:.0f} is usual. "
            "See whether files still arrive in the inbox, and whether `ingest` runs."
        )
    if alarm.measure == "volume":
        side = "fewer than" if value < threshold else "more than"
        return (
            f"{day} has {value:,.0f} tweets, {side} the {threshold:,.0f} that chance explains, on the second day running. "
            "See whether a source stopped, doubled or changed."
        )
    if alarm.measure == "estimated_accuracy":
        return (
            f"The probabilities of {day} promise an accuracy of {percent(value)}, below the usual {percent(threshold)}, on the "
            "second day running. A retrain is asked for; corrections of tweets on which the model is unsure help most."
        )
    if alarm.measure == "mean_probability":
        return (
            f"{day} is {'less' if value < threshold else 'more'} positive than chance explains, on the second day running: "
            f"mean probability {percent(value)}, threshold {percent(threshold)}. A retrain is asked for."
        )
    what = {
        "text_length": "The lengths of texts",
        "vocabulary": "The words",
        "score_distribution": "The scores",
    }[alarm.measure]
    moved = f" What moved most: {', '.join(words)}." if words else ""
    return (
        f"{what} of {day} are further from the weeks before than chance explains, on the second day running: distance "
        f"{value:.3f}, threshold {threshold:.3f}.{moved} A retrain is asked for."
    )


def monitor_markdown(report: MonitorReport, page: Path) -> str:
    """For the run's page: verdict first, then the newest day's measures, then where the pictures are."""
    if report.alarms:
        headline = f"**{len(report.alarms)} new alarm(s).**\n\n"
        headline += "\n".join(f"- {alarm_sentence(alarm, report.words)}" for alarm in report.alarms)
    elif still := _standing(report):
        headline = f"**Nothing new.** Still an alarm: {', '.join(still)}."
    else:
        headline = "**Nothing unusual.**"
    measured = days_sentence(report)
    rows = table(["day", "measure", "value", "threshold", "alarm"], newest_rows(report.shown))
    return f"{headline}\n\n{measured}\n\n{rows}\n\nPlots: `{page}`\n"


def days_sentence(report: MonitorReport) -> str:
    """How many days were measured, and up to which tweets."""
    newest: Any = report.shown.filter(measure="volume")["day"].max()
    count = len(report.days)
    text = f"{count} day{'' if count == 1 else 's'} {'was' if count == 1 else 'were'} measured"
    return f"{text}; the newest tweets are of {newest}." if newest else f"{text}: there are no tweets with a date."


def write_html(home: Home, report: MonitorReport, day: date) -> Path:
    """Write the page of a day into the home's reports."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(TEMPLATE.parent), autoescape=True)
    page = home.reports / f"monitor-{day}.html"
    content = environment.get_template(TEMPLATE.name).render(
        day=day,
        version=report.model_version,
        days=days_sentence(report),
        alarms=[alarm_sentence(alarm, report.words) for alarm in report.alarms],
        standing=_standing(report),
        words=report.words,
        rows=newest_rows(report.shown),
        picture=base64.b64encode(monitor_figure(report.shown)).decode(),
        reference_days=REFERENCE_DAYS,
        gap_days=GAP_DAYS,
    )
    with atomic_write(page) as draft:
        draft.write_text(content)
    return page


def monitor_figure(shown: pl.DataFrame) -> bytes:
    """One panel a measure: values, intervals, thresholds, alarms; PNG. What is measured of today stays out where the newest
    tweets are older than that by more than the days a run measures at most: old tweets would shrink to a point."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    newest: Any = shown.filter(pl.col("measure") == "volume")["day"].max()
    if newest is not None:
        shown = shown.filter(pl.col("day") <= newest + timedelta(days=MOST_DAYS_AT_ONCE))
    measures = [name for name in PANELS if name in set(shown["measure"])]
    height = 1.7 * max(1, len(measures))
    figure = Figure(figsize=(9, height), dpi=110, facecolor="none")
    FigureCanvasAgg(figure)
    panels: Any = figure.subplots(max(1, len(measures)), 1, sharex=True, squeeze=False)
    # Margins in inches, and titles at a given height: to find them out, all would be drawn three times.
    figure.subplots_adjust(left=0.08, right=0.98, top=1 - 0.3 / height, bottom=0.4 / height, hspace=0.42)
    for axes, measure in zip(panels[:, 0], measures, strict=False):
        rows = shown.filter(pl.col("measure") == measure).sort("day")
        days, values = rows["day"].to_list(), rows["value"].to_list()
        axes.set_title(PANELS[measure], loc="left", fontsize=9, y=1.02, color=_TEXT)
        axes.plot(days, values, color=_BLUE, linewidth=1.2, marker="o", markersize=3)
        if rows["lower"].is_not_null().any():
            lower, upper = (
                rows[name].cast(pl.Float64).fill_null(float("nan")).to_list() for name in ("lower", "upper")
            )
            axes.fill_between(days, lower, upper, color=_BLUE, alpha=0.15, linewidth=0)
        limits = rows["threshold"].cast(pl.Float64).fill_null(float("nan")).to_list()
        axes.step(days, limits, where="mid", color=_GREY, linewidth=0.9, linestyle="--")
        alarms = rows.filter("is_alarm")
        axes.scatter(alarms["day"].to_list(), alarms["value"].to_list(), color=_RED, zorder=3, s=22)
        axes.tick_params(labelsize=8, colors=_TEXT)
        axes.set_facecolor("none")
        axes.spines[:].set_color(_TEXT)
        axes.spines[["top", "right"]].set_visible(False)
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    panels[-1, 0].xaxis.set_major_locator(locator)
    panels[-1, 0].xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def newest_rows(shown: pl.DataFrame) -> list[list[str]]:
    """The newest value of each measure."""
    newest = shown.sort("day").group_by("measure", maintain_order=True).last()
    rows = {row["measure"]: row for row in newest.iter_rows(named=True)}
    return [
        [
            str(rows[name]["day"]),
            name,
            _number(rows[name]["value"]),
            _number(rows[name]["threshold"]),
            "**yes**" if rows[name]["is_alarm"] else "no",
        ]
        for name in PANELS
        if name in rows
    ]


def _standing(report: MonitorReport) -> list[str]:
    new = {alarm.measure for alarm in report.alarms}
    newest = report.shown.sort("day").group_by("measure", maintain_order=True).last()
    return [name for name in newest.filter("is_alarm")["measure"] if name not in new]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"
