"""What runs tell people, as Markdown: verdict first, then a table, then what to do. Used in Prefect and in MLflow alike."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from sentiment.markdown import table

if TYPE_CHECKING:  # A run that reports on files need not wait for what models and other databases import.
    from sentiment.gate.checks import Check, Verdict
    from sentiment.training.learning_curve import Outlook


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
