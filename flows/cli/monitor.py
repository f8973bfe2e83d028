"""`sentiment monitor`: measures the newest days, and shows what is unusual."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from flows.cli.run import run_flow
from flows.cli.terminal import AsJson, notes, out, print_json, print_table


def monitor(
    days: Annotated[int, typer.Option(min=1, max=31, help="Days back from the newest tweet to look at again.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Compare the newest days with the weeks before: volume, words, lengths, scores, estimated accuracy.

    Example: sentiment monitor
    """

    def start(orchestration: Any) -> Any:
        from flows.monitor import MonitorOptions
        from flows.monitor import monitor as flow

        return orchestration.run(flow, MonitorOptions(days=days))

    report = run_flow(start)
    from sentiment.monitoring.report import alarm_sentence, days_sentence, newest_rows

    sentences = [alarm_sentence(alarm, report.words) for alarm in report.alarms]
    if as_json:
        measured = list(report.rows.iter_rows(named=True))
        print_json({"days": report.days, "measured": measured, "alarms": sentences, "words": report.words})
        return
    for sentence in sentences or ["Nothing new is unusual."]:
        out.print(sentence, markup=False)
    print_table(
        "",
        ["day", "measure", "value", "threshold", "alarm"],
        [[*row[:4], row[4].strip("*")] for row in newest_rows(report.shown)],
    )
    notes.print(
        f"{days_sentence(report)} The plots are in the home's reports; all days: table monitoring.", markup=False
    )
