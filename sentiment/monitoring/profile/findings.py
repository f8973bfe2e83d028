"""What stands out in a profile, in sentences: those that a person would underline, most consequential first.

Pure functions of the figures. The thresholds are at the top; below them a trait is left to its chart.
"""

from __future__ import annotations

import polars as pl

from sentiment import markdown
from sentiment.monitoring.profile.figures import Figures

LEAST_SHARE_GAP = 0.05
"""Difference between classes from which a trait is a shortcut worth a sentence."""
SENTIMENT_ITSELF = ("negation", "glad emoticon", "sad emoticon")
"""Traits that carry sentiment and are no shortcut around it."""
ONE_CLASS = 0.99
FEW_TWEETS = 30
PLACEHOLDER_SHARE = 0.2
LEAST_MONTH_SWING = 0.05
CLASSES = ("negative", "positive")


def findings(figures: Figures) -> list[str]:
    """Sentences on what stands out; none for what does not."""
    parts = (_labels, _balance, _one_class_end, _shortcuts, _duplicates, _noise, _missing, _encoding)
    return [sentence for part in parts for sentence in part(figures)]


def percent(share: float) -> str:
    """A share as people read it; small ones with more digits."""
    return markdown.percent(share, 1 if share >= 0.001 or share == 0 else 2)


def _rows(figures: Figures, item: str) -> int:
    return int(figures.value("rows", item, "count_rows"))


def _labels(figures: Figures) -> list[str]:
    said = []
    total = _rows(figures, "tweets")
    negative, positive = (_rows(figures, name) for name in CLASSES)
    if not negative + positive:
        return [
            "No tweet has a label that a model could learn from. Label them by their emoticons: --label-by-emoticon."
        ]
    if unlabelled := _rows(figures, "unlabelled"):
        said.append(f"{unlabelled:,} of {total:,} tweets ({percent(unlabelled / total)}) have no label.")
    share = positive / (negative + positive)
    if not 0.4 <= share <= 0.6:
        said.append(f"The classes are uneven: {percent(share)} of the labelled tweets are positive.")
    if conflicting := _rows(figures, "conflicting"):
        said.append(
            f"{conflicting:,} tweet ids came in under both labels. They train nothing and are scored like the others."
        )
    return said


def _balance(figures: Figures) -> list[str]:
    months = _with_share(figures.by_label("months"))
    if len(months) < 2:
        return []
    months = months.sort("share")
    low, high = months.row(0, named=True), months.row(-1, named=True)
    if high["share"] - low["share"] < LEAST_MONTH_SWING:
        return []
    return [
        f"The share of positive labels moves from {percent(low['share'])} in {low['item']} to {percent(high['share'])} in "
        f"{high['item']}: how tweets were collected changed with time, not only what people felt."
    ]


def _with_share(counts: pl.DataFrame) -> pl.DataFrame:
    """Add `labelled` and `share` (of positive ones), for items with enough labelled tweets."""
    for name in CLASSES:
        if name not in counts.columns:
            counts = counts.with_columns(pl.lit(0.0).alias(name))
    counts = counts.with_columns(labelled=pl.col("negative") + pl.col("positive"))
    return counts.filter(pl.col("labelled") >= FEW_TWEETS).with_columns(share=pl.col("positive") / pl.col("labelled"))


def _one_class_end(figures: Figures) -> list[str]:
    """A run of last days on which one class is all but absent."""
    days = _with_share(figures.by_label("days"))
    if not len(days):
        return []
    last = "positive" if days["share"][-1] > 0.5 else "negative"
    purity = days["share"] if last == "positive" else 1 - days["share"]
    impure = (purity < ONE_CLASS).arg_true()
    first = int(impure[-1]) + 1 if len(impure) else 0
    tail = days[first:]
    if len(tail) < 2 or first == 0:
        return []
    return [
        f"From {tail['item'][0]} to the end, {int(tail['labelled'].sum()):,} of the labelled tweets are {last} and next to "
        f"none are not. A test set cut off by time would hold one class alone; the hold-out is drawn by text instead."
    ]


def _shortcuts(figures: Figures) -> list[str]:
    traits = figures.by_label("traits", "share_tweets")
    if not set(CLASSES) <= set(traits.columns):
        return []
    gaps = traits.with_columns(gap=pl.col("positive") - pl.col("negative")).sort(pl.col("gap").abs(), descending=True)
    gaps = gaps.filter((pl.col("gap").abs() >= LEAST_SHARE_GAP) & ~pl.col("item").is_in(SENTIMENT_ITSELF))
    shown = [
        f"{row['item']} ({percent(row['positive'])} of positive tweets, {percent(row['negative'])} of negative ones)"
        for row in gaps.iter_rows(named=True)
    ]
    if not shown:
        return []
    return [f"Shortcuts that a model can learn in place of sentiment: {'; '.join(shown)}."]


def _duplicates(figures: Figures) -> list[str]:
    said = []
    extra, texts, both, tweets = (
        int(figures.value("duplicates", "same normalised text", name))
        for name in (
            *("count_extra_tweets", "count_texts", "count_texts_under_both_labels"),
            "count_tweets_under_both_labels",
        )
    )
    if extra:
        share = percent(extra / _rows(figures, "tweets"))
        said.append(
            f"{texts:,} texts stand more than once when case, links, mentions and punctuation are left out: {extra:,} tweets "
            f"({share}) are copies. All copies of a text are on one side of the split."
        )
    if both:
        said.append(f"{both:,} of these texts carry both labels, on {tweets:,} tweets.")
    if gold := int(figures.value("duplicates", "same as a hand-labelled tweet", "count_tweets")):
        said.append(f"{gold:,} tweets have the text of a hand-labelled one. They never train.")
    return said


def _noise(figures: Figures) -> list[str]:
    said = []
    sure, all_of_it = (
        figures.value("label_noise", "champion", measure) for measure in ("share_wrong_labels", "share_disagreeing")
    )
    if figures.value("label_noise", "champion", "count_tweets"):
        said.append(
            f"Between {percent(sure)} and {percent(all_of_it)} of the labels may be wrong: the champion contradicts the first "
            f"share as surely as it is otherwise right, and the second at all, its own mistakes included."
        )
    if figures.value("label_noise", "copies", "count_texts") >= FEW_TWEETS:
        share = figures.value("label_noise", "copies", "share_wrong_labels")
        said.append(
            f"Copies of one text disagree as often as if {percent(share)} of their labels were wrong; repeated texts are "
            f"mostly greetings, and easier to label than others."
        )
    return said


def _missing(figures: Figures) -> list[str]:
    said = [
        f"{item} is missing on {percent(share)} of the tweets."
        for item, share in figures.section("columns", "share_missing").select("item", "value").iter_rows()
        if share and item != "label"
    ]
    tweets, busiest = (figures.value("users", "users", name) for name in ("count_tweets", "count_tweets_of_busiest"))
    if figures.value("users", "users", "count_users") > 1 and busiest / max(tweets, 1) > PLACEHOLDER_SHARE:
        said.append(
            f"One user name is on {percent(busiest / tweets)} of the tweets: a placeholder, not a person. What rests on "
            f"users says little."
        )
    if rejected := _rows(figures, "rejected lines"):
        said.append(f"{rejected:,} lines could not be loaded and are kept, with their reasons, in rejected_rows.")
    return said


def _encoding(figures: Figures) -> list[str]:
    counts = dict(figures.section("encoding", "count_tweets").select("item", "value").iter_rows())
    changed = counts.get("text differs from its bytes", 0)
    said = []
    if changed:
        entities = counts["HTML entities, resolved"]
        stray = counts["bytes that are not UTF-8, read as windows-1252"]
        said.append(
            f"{int(changed):,} texts were repaired at ingest: {int(entities):,} had HTML entities, {int(stray):,} bytes that "
            f"are not UTF-8. Their bytes are kept in raw_text."
        )
    if lost := counts.get("replacement characters: lost before they came", 0):
        said.append(
            f"{int(lost):,} texts hold a replacement character (U+FFFD): that letter was lost before the file was made."
        )
    return said
