"""What runs tell people, as Markdown: verdict first, then a table, then what to do. Used in Prefect and in MLflow alike."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # A run that reports on files need not wait for what models and other databases import.
    from sentiment.databases import TargetReport
    from sentiment.housekeeping import HousekeepingReport
    from sentiment.ingest import IngestReport
    from sentiment.learning_curve import Outlook
    from sentiment.promotion import Check, Verdict
    from sentiment.scoring import ScoreReport


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; numbers to the right."""
    body = [[_cell(value) for value in row] for row in rows]
    lines = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def decision_markdown(
    model_version: int,
    champion_version: int | None,
    verdict: Verdict,
    *,
    awaits_approval: bool = False,
    was_champion: bool = False,
    was_decided: bool = False,
) -> str:
    """The gate's verdict on a challenger.

    Args:
        was_decided: whether an earlier run trained on the same rows and was judged already.
    """
    failed = ", ".join(check.check_name for check in verdict.failed)
    if was_champion:
        headline = (
            f"**Nothing new to learn: version {model_version} stays champion.** It was trained on these rows before."
        )
    elif awaits_approval:
        headline = (
            f"**Version {model_version} passed the gate and waits for approval.** "
            f"To make it champion: `sentiment promote {model_version} --reason WHY`"
        )
    elif verdict.passed:
        headline = f"**Version {model_version} is the new champion.**"
        headline += f" It replaces version {champion_version}." if champion_version else " It is the first one."
    elif was_decided and champion_version:
        headline = (
            f"**Nothing new to learn: version {model_version}, trained on these rows before, was refused by: {failed}.** "
            f"Version {champion_version} stays champion."
        )
    elif champion_version:
        headline = f"**Version {model_version} was refused by: {failed}.** Version {champion_version} stays champion."
    else:
        headline = f"**Version {model_version} was refused by: {failed}.** There is no champion yet."
    rows = [
        [
            check.check_name,
            "passed" if check.passed else "**failed**",
            _shown(check, check.champion_value),
            _shown(check, check.challenger_value),
            "" if check.lower is None else f"{_shown(check, check.lower, True)} to {_shown(check, check.upper, True)}",
        ]
        for check in verdict.checks
    ]
    # Sentences stand below: Prefect's page does not wrap the cells of a table.
    reasons = "\n".join(f"- **{check.check_name}**: {check.reason}" for check in verdict.checks)
    return f"{headline}\n\n{table(['check', 'result', 'champion', 'challenger', 'interval'], rows)}\n\n{reasons}\n"


def outlook_markdown(outlook: Outlook, picture: bytes) -> str:
    """What more data would bring; the picture (PNG) is in the text itself, since who reads it may not reach the home."""
    image = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    return f"**What more data would bring:** {outlook.reason}\n\n![The learning curve]({image})\n"


def ingest_markdown(reports: Sequence[IngestReport]) -> str:
    """What became of each file, and of its lines."""
    loaded, rejected = sum(r.count_loaded for r in reports), sum(r.count_rejected for r in reports)
    headline = f"**{loaded:,} new tweets** from {len(reports)} file(s)"
    headline += (
        f"; {rejected:,} lines were rejected and are kept in `rejected_rows`."
        if rejected
        else "; nothing was rejected."
    )
    rows = [
        [r.path, r.outcome, r.count_lines, r.count_loaded, r.count_duplicate, r.count_rejected, r.note] for r in reports
    ]
    parts = [headline, table(["file", "outcome", "lines", "loaded", "duplicate", "rejected", "note"], rows)]
    reasons = [[r.path, reason, count] for r in reports for reason, count in r.rejected_by_reason.items()]
    if reasons:
        parts.append(table(["file", "rejected because", "lines"], reasons))
    return "\n\n".join(parts) + "\n"


def score_markdown(report: ScoreReport) -> str:
    """What was scored and what people read now."""
    if report.count_scored:
        speed = report.count_scored / max(report.seconds, 1e-9)
        headline = (
            f"**{report.count_scored:,} tweets scored** with version {report.model_version} in {report.seconds:.1f} s, "
            f"{speed:,.0f} a second."
        )
    else:
        headline = (
            f"**Nothing to score:** version {report.model_version} has scored all {report.count_tweets:,} tweets."
        )
    if report.is_published:
        shown = f"`scored_tweets` shows version {report.model_version} for all {report.count_tweets:,} tweets."
    elif report.is_complete:
        shown = "`scored_tweets` goes on showing the champion; these predictions are in `predictions`."
    else:
        shown = "Not every tweet has a prediction of this version yet, so `scored_tweets` stays as it was."
    return f"{headline}\n\n{shown}\n"


def housekeeping_markdown(report: HousekeepingReport) -> str:
    """What housekeeping removed."""
    count_predictions = sum(report.predictions.values())
    headline = (
        f"**{count_predictions:,} predictions, {len(report.model_versions)} model version(s), {report.count_dead_runs} dead "
        f"MLflow run(s) and {report.count_files} file(s) removed**; the warehouse is {report.bytes_compacted >> 20:,} MiB "
        "smaller."
    )
    parts = [headline]
    if report.predictions:
        rows = [[str(version), count] for version, count in report.predictions.items()]
        parts.append(table(["predictions of version", "removed"], rows))
    if report.model_versions:
        parts.append(f"Refused versions that are gone: {', '.join(map(str, report.model_versions))}.")
    if not report.is_all_forgotten:
        parts.append(
            "What was to be forgotten is not gone everywhere yet: a run was going on. The next run goes on with it."
        )
    return "\n\n".join(parts) + "\n"


_SHARES, _DIFFERENCES = {"floor", "better", "behaviour"}, {"gold", "slices"}


def _shown(check: Check, value: float | None, is_of_interval: bool = False) -> str:
    """A value of a check in its unit. Where two models are compared, the interval is one of their difference."""
    if value is None:
        return ""
    is_difference = is_of_interval and check.check_name in {"better", "behaviour"}
    if check.check_name in _DIFFERENCES or is_difference:
        return f"{value * 100:+.2f} points"
    if check.check_name in _SHARES:
        return f"{value:.2%}"
    return f"{value:,.0f} s" if check.check_name == "speed" else f"{value:.3g}"


def target_markdown(report: TargetReport) -> str:
    """What was sent to another database."""
    if report.is_unchanged:
        return f"**Nothing to send:** {report.address} shows this state already.\n"
    headline = f"**{report.count_written:,} rows sent** to {report.address} in {report.seconds:.1f} s"
    gone = f", {report.count_removed:,} removed" if report.count_removed else ""
    replaced = (
        f"\n\nReplaced as a whole: {', '.join(f'`{name}`' for name in report.replaced)}." if report.replaced else ""
    )
    return f"{headline}{gone}.{replaced}\n"


def _cell(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value).replace("|", "\\|").replace("\n", " ")
