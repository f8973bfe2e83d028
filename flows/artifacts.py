"""Reports of the flows for Prefect's pages, as Markdown: the result, then a table, then what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flows.ports import desk_page, read_ports, version_page
from sentiment.settings import Home

if TYPE_CHECKING:  # A run that reports on files need not wait for what models and other databases import.
    from sentiment.ingest.load import IngestReport
    from sentiment.maintenance.retention import HousekeepingReport
    from sentiment.publish import TargetReport
    from sentiment.scoring.score import ScoreReport
from sentiment.markdown import plain, table


def headline(report: str) -> str:
    """The first line of a report, as plain text."""
    return report.partition("\n")[0].replace("*", "")


def links(home: Home, page: str, *, model_version: int | None = None) -> str:
    """Where to look further: a page of the desk, and a version in MLflow; nothing before the first `sentiment up`."""
    ports = read_ports(home)
    if not ports.keys() >= {"api", "mlflow"}:
        return ""
    found = [f"[This on the desk]({desk_page(ports['api'])}{page})"]
    if model_version is not None:
        address = version_page(ports["mlflow"], home.settings.model_name, model_version)
        found.append(f"[Version {model_version} in MLflow]({address})")
    return f"\n{' · '.join(found)}\n"


def ingest_markdown(reports: Sequence[IngestReport]) -> str:
    """The result of each file: its lines by outcome."""
    if not reports:
        return "**Nothing new:** there was no new file.\n"
    loaded, rejected = sum(r.count_loaded for r in reports), sum(r.count_rejected for r in reports)
    headline = f"**{loaded:,} new tweets** from {len(reports)} file(s)"
    headline += (
        f"; {rejected:,} lines were rejected and are kept in `rejected_rows`."
        if rejected
        else "; nothing was rejected."
    )
    rows = [
        [plain(r.path), r.outcome, r.count_lines, r.count_loaded, r.count_duplicate, r.count_rejected, plain(r.note)]
        for r in reports
    ]
    parts = [headline, table(["file", "outcome", "lines", "loaded", "duplicate", "rejected", "note"], rows)]
    reasons = [[plain(r.path), reason, count] for r in reports for reason, count in r.rejected_by_reason.items()]
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
        parts.append("A request to forget is not finished: another run was at work. The next run finishes it.")
    return "\n\n".join(parts) + "\n"


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
