"""The gate's decision as Markdown, for Prefect and MLflow: the verdict, then a table, then what to do."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from sentiment.gate.comparison import HEADER, compare
from sentiment.gate.decision import Decision, Outcome
from sentiment.markdown import plain, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sentiment.gate.checks import Loss, Verdict
    from sentiment.training.learning_curve import Outlook


def decision_markdown(decision: Decision) -> str:
    """The gate's decision on a challenger."""
    verdict, model_version = decision.verdict, decision.model_version
    rows = [
        [
            f"✓ {row.check_name}" if row.passed else f"**✗ {row.check_name}**",
            row.measure,
            row.champion,
            row.challenger,
            row.difference,
            row.interval,
        ]
        for row in compare(verdict.checks)
    ]
    header, rows = _without_empty_columns(HEADER, rows)
    # Sentences go below the table: Prefect's page does not wrap cells.
    reasons = "\n".join(f"- **{check.check_name}**: {plain(check.reason)}" for check in verdict.checks)
    report = f"{_headline(decision)}\n\n{table(header, rows)}\n\n{reasons}\n"
    if decision.outcome in (Outcome.REFUSED, Outcome.REFUSED_BEFORE):
        report += f"\n**What to do next:** {next_step(model_version, verdict)}\n"
    # MLflow and Prefect keep reports, so a report names tweets by id: `sentiment forget` then has nothing to find in it.
    cases = [loss for loss in verdict.losses if loss.tweet_id is None and loss.text_key is None]
    if cases:
        report += f"\nCases that the champion passes and version {model_version} does not:\n\n{losses_table(cases)}\n"
    if len(cases) < len(verdict.losses):
        report += f"\nTweets that it gets wrong and the champion right: `sentiment decisions --model-version {model_version}`\n"
    return report


def _without_empty_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """A first decision has no champion, and so neither differences nor intervals."""
    kept = [index for index in range(len(header)) if any(row[index] for row in rows)]
    return [header[index] for index in kept], [[row[index] for index in kept] for row in rows]


def _headline(decision: Decision) -> str:
    version, champion = decision.model_version, decision.champion_version
    failed = ", ".join(check.check_name for check in decision.verdict.failed)
    stays = f"Version {champion} stays champion." if champion else "There is no champion yet."
    match decision.outcome:
        case Outcome.PROMOTED:
            before = f"It replaces version {champion}." if champion else "It is the first one."
            return f"**Version {version} is the new champion.** {before}"
        case Outcome.ALREADY_CHAMPION:
            return f"**Nothing new to learn: version {version} stays champion.** It was trained on these rows before."
        case Outcome.AWAITS_APPROVAL:
            promote = f"`sentiment promote {version} --reason WHY`"
            return f"**Version {version} passed the gate and waits for approval.** To make it champion: {promote}"
        case Outcome.REFUSED:
            return f"**Version {version} was refused by: {failed}.** {stays}"
        case Outcome.REFUSED_BEFORE:
            again = f"version {version}, trained on these rows before, was refused by: {failed}."
            return f"**Nothing new to learn: {again}** {stays}"


def losses_table(losses: Sequence[Loss]) -> str:
    """What the champion has right and the challenger wrong, with both probabilities of positive."""
    header = ["check", "in", "text", "right answer", "champion", "challenger"]
    rows = [
        [loss.check_name, plain(loss.found_in), plain(loss.text), loss.expected]
        + [f"{value:.2f}" for value in (loss.champion_probability, loss.challenger_probability)]
        for loss in losses
    ]
    return table(header, rows)


def next_step(model_version: int, verdict: Verdict) -> str:
    """What a person can do about a refusal. Of several failed checks, the most fundamental one decides."""
    failed = {check.check_name for check in verdict.failed}
    by_hand = f"`sentiment promote {model_version} --reason WHY`"
    for names, advice in _NEXT_STEPS:
        if names & failed:
            return advice.format(by_hand=by_hand)
    return f"Look at its checks; to make it champion all the same: {by_hand}"


_NEXT_STEPS: tuple[tuple[set[str], str], ...] = (
    ({"no_leak"}, "Train again with `sentiment retrain`; a model that was fed evaluation rows cannot be judged."),
    ({"loads", "speed"}, "Run `sentiment doctor`, and train again with less `--effort` if scoring is too slow."),
    (
        {"floor"},
        "More labelled tweets are the way on: ingest them and run `sentiment retrain`. If there are many already, the "
        "labels of the source may be wrong.",
    ),
    ({"rolled_back"}, "People went back from it. To make it champion again: {by_hand}"),
    (
        {"better"},
        "More labelled tweets are the way on: they teach more, and a larger hold-out shows smaller gains. Until then nothing "
        "needs to be done; more `--effort` may bring a gain.",
    ),
    (
        {"gold", "neutral", "slices", "behaviour"},
        "Read the texts that it gets wrong. If its gain is worth them: {by_hand}. If not, train with more rows or "
        "`--effort`, or ingest labelled tweets like them; `SENTIMENT_GATE__TRADEOFF` says how much a gain outweighs.",
    ),
)


def outlook_markdown(outlook: Outlook, picture: bytes) -> str:
    """What more data would bring. The picture (PNG) is embedded, since readers may have no access to the home."""
    image = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    return f"**What more data would bring:** {outlook.reason}\n\n![The learning curve]({image})\n"
