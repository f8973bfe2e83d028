"""A profile as one self-contained HTML file, and in short for Prefect's pages.

The words of tweets are strangers' text: the template escapes everything but our own pictures, and the page forbids
scripts and every address from within.
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sentiment.model.atomic import atomic_write
from sentiment.monitoring.profile.charts import CHARTS, COLOURS, chart_svg
from sentiment.monitoring.profile.figures import Figures
from sentiment.monitoring.profile.findings import CLASSES, findings, percent


def write_page(path: Path, figures: Figures) -> Path:
    """Write the page, in place of the former one in one step."""
    environment = Environment(
        loader=PackageLoader("sentiment.monitoring.profile", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {"percent": percent, "whole": whole}
    # What chart_svg gives is our own SVG, with the words of tweets escaped by matplotlib.
    charts = {name: Markup(chart_svg(name, figures)) for name in CHARTS}  # noqa: S704
    page = environment.get_template("page.html").render(
        figures=figures, findings=findings(figures), charts=charts, classes=[*COLOURS], repeated=_repeated(figures)
    )
    with atomic_write(path) as draft:
        draft.write_text(page, encoding="utf-8")
    return path


def profile_markdown(figures: Figures, page: Path) -> str:
    """What stands out, and where the pictures are; for a Prefect artifact."""
    total, negative, positive = (int(figures.value("rows", item, "count_rows")) for item in ("tweets", *CLASSES))
    headline = f"**{total:,} tweets: {negative:,} negative, {positive:,} positive.**"
    said = "\n".join(f"- {_escaped(sentence)}" for sentence in findings(figures))
    return (
        f"{headline}\n\n{said}\n\nThe page with pictures is `{page}`; every figure is in SQL: "
        f"`sentiment sql \"from profile_figures where section = 'traits'\"`\n"
    )


def whole(value: float) -> str:
    """A count."""
    return f"{value:,.0f}"


def _escaped(text: str) -> str:
    return text.replace("_", r"\_")


def _repeated(figures: Figures) -> list[dict[str, object]]:
    """The texts that stand most often, with their counts by class."""
    rows: list[dict[str, object]] = []
    for item, label, value in figures.section("repeated_texts").select("item", "label", "value").iter_rows():
        if label is None:
            rows.append({"text": item, "tweets": value, "negative": 0.0, "positive": 0.0})
        else:
            rows[-1][label] = value
    return rows
