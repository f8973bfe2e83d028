"""The commands that look at the data as a whole and carry it in and out: `profile`."""

from __future__ import annotations

from typing import Any

from flows.terminal import AsJson, notes, out, print_json


def profile(as_json: AsJson = False) -> None:
    """Look at all tweets: missing values, classes, lengths, copies, telling words, label noise; a page with pictures.

    Example: sentiment profile
    """
    from flows.cli import run_flow

    def start(orchestration: Any) -> Any:
        from flows.data_profile import profile as flow

        return orchestration.run(flow)

    summary = run_flow(start)
    if as_json:
        print_json(summary)
        return
    out.print(f"{summary.count_tweets:,} tweets. What stands out:", markup=False)
    for sentence in summary.findings:
        out.print(f"- {sentence}", markup=False)
    notes.print(f"\nThe page with pictures: {summary.page}", markup=False)
    notes.print("Every figure: sentiment sql \"from profile_figures where section = 'traits'\"", markup=False)
