"""How labels are read: the set of all values that a file has decides, never a value by itself.

0 is negative in {0, 1}, in {0, 1, 2} and in {0, 2, 4}, and neutral in {-1, 0, 1}; 2 is positive, neutral or bad, by
its company. So a set that fits one known scheme is read by it, one that fits several, such as {1, 2}, is a question,
and one that the words of the texts contradict is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import polars as pl

Label = Literal["negative", "neutral", "positive"]
LABELS: tuple[Label, ...] = ("negative", "neutral", "positive")
PLAIN_LABELS: dict[str, Label] = {
    **dict.fromkeys(("0", "0.0", "negative"), "negative"),
    **dict.fromkeys(("2", "2.0", "neutral"), "neutral"),
    **dict.fromkeys(("4", "4.0", "positive"), "positive"),
}
"""The words, and Sentiment140's numbers; pandas writes whole numbers with `.0` when some of the column are missing."""
NO_LABEL = "none"
"""What a user writes for a value that is no label, so that its rows go in unlabelled."""

_MISSING = frozenset(
    {"", "nan", "none", "null", "na", "n/a", "<na>", "nil", "not available", "unlabelled", "unlabeled"}
)
_DEGREE = (
    r"(?:extremely|very|strongly|highly|somewhat|slightly|weakly|mostly|moderately|most|really|quite|overall|rather) "
)
_KIND = r"(?: (?:emotion|sentiment|feeling|review|tweet|opinion|class|post|comment|polarity|emotions))?"
_WORDS: tuple[tuple[re.Pattern[str], Label | None], ...] = (
    (re.compile(rf"(?:{_DEGREE})?(?:negative|neg|negativ|negativo|négatif){_KIND}"), "negative"),
    (re.compile(rf"(?:{_DEGREE})?(?:positive|pos|positiv|positivo|positif){_KIND}"), "positive"),
    (re.compile(rf"(?:neutral|neu|neutre|objective|objective or neutral|neutral or objective){_KIND}"), "neutral"),
    (re.compile(r"no (?:emotion|sentiment)(?: toward.*)?"), "neutral"),
    (
        re.compile(r"(?:bad|very bad|terrible|awful|poor|negative experience|unhappy|dissatisfied|very dissatisfied)"),
        "negative",
    ),
    (re.compile(r"(?:good|very good|excellent|great|happy|satisfied|very satisfied)"), "positive"),
    (
        re.compile(
            r"(?:mixed|both|conflict|irrelevant|unrelated|not[ -]relevant|off topic|unclear|unknown|undefined|skip|unsure|"
            r"ambiguous|(?:i )?can'?t tell|not[ -]sure)"
        ),
        None,
    ),
)
_STARS = re.compile(r"([1-5])(?: ?stars?| ?/ ?5| out of 5)")
_NUMBERED = re.compile(r"(?:__)?label(?:__)?[ _]?(\d+)")
_MOST_STRAY = 0.01
_MOST_STRAY_OF_SENTIMENT140 = 0.2


@dataclass(frozen=True)
class Scheme:
    """How values are read: `meaning` maps each canonical value to its label, or to None for rows without one."""

    name: str
    meaning: dict[str, Label | None]
    strays: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """For people: which values are what."""
        by_label: dict[str, list[str]] = {}
        for value, label in self.meaning.items():
            by_label.setdefault(label or "no label", []).append(value)
        order = [*LABELS, "no label"]
        return "; ".join(f"{', '.join(by_label[label])} = {label}" for label in order if label in by_label)


@dataclass(frozen=True)
class Doubt:
    """A set of values that can be read in more than one way, or in none; `suggestion` is a value for `--labels`."""

    sentence: str
    suggestion: str


def canonical(values: pl.Series) -> pl.Series:
    """The form in which values are compared: lower case, `4.0` and `+4` as `4`, `__label__2` as `2`, null where missing."""
    distinct = values.unique()
    forms = pl.Series([None if value is None else canonical_value(value) for value in distinct], dtype=pl.String)
    return values.replace_strict(distinct, forms, return_dtype=pl.String)


def canonical_value(value: str) -> str | None:
    """One of `canonical`."""
    value = (
        re.sub(r"[\s_]+|(?<=\w)-(?=\w)", " ", value.strip().strip("\"'[]").lower())
        if "label" not in value
        else value.strip().lower()
    )
    if value in _MISSING:
        return None
    if found := _NUMBERED.fullmatch(value):
        return found[1]
    if re.fullmatch(r"[-+\u2212]?\d+(?:\.0+)?", value):
        return str(int(float(value.replace("\u2212", "-"))))
    if found := _STARS.fullmatch(value):
        return found[1]
    if re.fullmatch(r"[★]{1,5}[☆]*", value):
        return str(value.count("★"))
    return value


def _word(value: str) -> tuple[bool, Label | None]:
    for pattern, label in _WORDS:
        if pattern.fullmatch(value):
            return True, label
    return False, None


def find_scheme(
    counts: dict[str, int], *, is_sentiment140: bool = False, is_stars: bool = False, class_names: tuple[str, ...] = ()
) -> Scheme | Doubt | None:
    """How the values of a column are read.

    Args:
        counts: canonical values of the whole file and how often each stands.
        is_sentiment140: the file has the layout of Sentiment140, whose numbers are 0, 2 and 4.
        is_stars: the column is named as ratings are.
        class_names: what a dataset's description calls class 0, 1, …

    Returns:
        None where the values are no labels at all.
    """
    if not counts:
        return None
    if class_names and all(value.lstrip("-").isdigit() for value in counts):
        named = _by_class_names(counts, class_names)
        if named is not None:
            return named
    numbers = {value: count for value, count in counts.items() if re.fullmatch(r"-?\d+(?:\.\d+)?", value)}
    words = {value: count for value, count in counts.items() if value not in numbers}
    if words and sum(words.values()) >= sum(numbers.values()):
        return _word_scheme(words, numbers, is_sentiment140)
    no_labels: dict[str, Label | None] = dict.fromkeys(value for value in words if _word(value) == (True, None))
    words = {value: count for value, count in words.items() if value not in no_labels}
    found = _number_scheme(numbers, words, is_sentiment140, is_stars)
    if isinstance(found, Scheme):
        return replace(found, meaning=found.meaning | no_labels)
    if isinstance(found, Doubt):
        return replace(found, suggestion=",".join([found.suggestion, *(f"{value}={NO_LABEL}" for value in no_labels)]))
    return found


def _by_class_names(counts: dict[str, int], class_names: tuple[str, ...]) -> Scheme | None:
    meaning: dict[str, Label | None] = {}
    for value in counts:
        number = int(value)
        name = canonical_value(class_names[number]) if 0 <= number < len(class_names) else None
        known, label = _word(name) if name and not name.isdigit() else (number < 0, None)
        if not known:
            return None
        meaning[value] = label
    return Scheme("classes as the dataset names them", _sorted(meaning))


def _word_scheme(words: dict[str, int], numbers: dict[str, int], is_sentiment140: bool) -> Scheme | Doubt | None:
    if set(words) <= {"p", "n", "neu"} and {"p", "n"} <= set(words):
        return Scheme("letters", _sorted({"n": "negative", "neu": "neutral", "p": "positive"}, words))
    meaning: dict[str, Label | None] = {}
    unknown: dict[str, int] = dict(numbers)
    for value, count in words.items():
        known, label = _word(value)
        if known:
            meaning[value] = label
        else:
            unknown[value] = count
    if not any(meaning.values()):
        return None
    if set(numbers) <= {"0", "2", "4"} and (is_sentiment140 or not numbers):
        meaning |= {value: _SENTIMENT140[value] for value in numbers}
        unknown = {value: count for value, count in unknown.items() if value not in numbers}
    total = sum(words.values()) + sum(numbers.values())
    if sum(unknown.values()) > _MOST_STRAY * total:
        named = sorted(unknown, key=lambda value: -unknown[value])[:8]
        return Doubt(
            f"The labels {_list(meaning)} are known, {_list(named)} {'are' if len(named) > 1 else 'is'} not.",
            ",".join(f"{_quoted(value)}={NO_LABEL}" for value in named),
        )
    return Scheme("words", _sorted(meaning), tuple(sorted(unknown)))


_SENTIMENT140: dict[str, Label | None] = {"0": "negative", "2": "neutral", "4": "positive"}


def sentiment140_scheme(counts: dict[str, int]) -> Scheme:
    """Sentiment140's numbers; all other values are strays, whose rows are rejected."""
    return Scheme(
        "Sentiment140's numbers", _sorted(dict(_SENTIMENT140)), tuple(sorted(counts.keys() - _SENTIMENT140.keys()))
    )


def true_and_false() -> Scheme:
    """The values of a column that is named `is_positive`."""
    return Scheme("true and false", {"false": "negative", "true": "positive"})


def without_neutral() -> Scheme:
    """{0, 2} as what is left of {0, 1, 2} without its neutral rows; it could be {0, 2, 4} without the positive ones as well."""
    return Scheme("0, 1 and 2", {"0": "negative", "2": "positive"})


def _number_scheme(
    numbers: dict[str, int], words: dict[str, int], is_sentiment140: bool, is_stars: bool
) -> Scheme | Doubt | None:
    if any("." in value for value in numbers) or len(numbers) > 21:
        if not is_stars or len(numbers) > 21:
            return None
        return Doubt(f"The labels are {_list(numbers)}: which are negative, neutral and positive?", _suggest(numbers))
    total = sum(numbers.values()) + sum(words.values())
    known = {value: label for value, label in _SENTIMENT140.items() if value in numbers}
    outside = total - sum(numbers[value] for value in known)
    limit = _MOST_STRAY_OF_SENTIMENT140 * total if is_sentiment140 else 0
    is_like = is_sentiment140 or ("4" in known and not is_stars)
    if known and is_like and outside <= limit and frozenset(map(int, numbers)) not in _WHOLE:
        strays = tuple(sorted({*numbers, *words} - known.keys()))
        return Scheme("Sentiment140's numbers", _sorted(known), strays)
    if sum(words.values()) > _MOST_STRAY * total:
        return None
    found = _known_numbers(frozenset(map(int, numbers)), is_stars)
    if found is None:
        common = {value: count for value, count in numbers.items() if count > _MOST_STRAY * total}
        found = _known_numbers(frozenset(map(int, common)), is_stars) if len(common) > 1 else None
    if found is None:
        return Doubt(
            f"The labels are {_list(numbers)}, which can be read in more than one way. Which are negative, neutral, positive?",
            _suggest(numbers, middle=3 if is_stars and max(map(int, numbers)) in (4, 5) else None),
        )
    name, meaning = found
    strays = tuple(sorted({*numbers, *words} - meaning.keys()))
    return Scheme(name, _sorted(meaning), strays)


_WHOLE = {
    frozenset({0, 1}),
    frozenset({0, 1, 2}),
    frozenset({-1, 0, 1}),
    frozenset({-1, 1}),
    frozenset({1, 2, 3, 4, 5}),
    frozenset({0, 1, 2, 3, 4}),
}


def _known_numbers(  # noqa: PLR0911 - one line a scheme
    values: frozenset[int], is_stars: bool
) -> tuple[str, dict[str, Label | None]] | None:
    """The scheme that a set of whole numbers fits, if it fits one alone."""
    if values in (frozenset({0, 4}), frozenset({0, 2, 4})):
        return "Sentiment140's numbers", dict(_SENTIMENT140)
    if values == {0, 1}:
        return "0 and 1", {"0": "negative", "1": "positive"}
    if values == {0, 1, 2} and not is_stars:
        return "0, 1 and 2", {"0": "negative", "1": "neutral", "2": "positive"}
    if min(values, default=0) < 0 < max(values, default=0) and -min(values) == max(values):
        return "signs", {str(value): _by_sign(value) for value in values}
    if (is_stars and {1, 5} <= values <= {1, 2, 3, 4, 5}) or {1, 2, 4, 5} <= values <= {1, 2, 3, 4, 5}:
        return "stars from 1 to 5", {str(value): _by_sign(value - 3) for value in range(1, 6)}
    if values == {0, 1, 2, 3, 4}:
        return "five classes from 0 to 4", {str(value): _by_sign(value - 2) for value in values}
    if is_stars and 10 in values and 1 in values and values <= set(range(1, 11)) and len(values) >= 6:
        return "ratings from 1 to 10", {str(value): _by_sign((value > 6) - (value < 5)) for value in values}
    return None


def _by_sign(value: int) -> Label:
    return "negative" if value < 0 else "positive" if value > 0 else "neutral"


def _sorted(meaning: dict[str, Label | None], only: dict[str, int] | None = None) -> dict[str, Label | None]:
    def place(value: str) -> tuple[int, float, str]:
        label = meaning[value]
        number = float(value) if re.fullmatch(r"-?\d+(?:\.\d+)?", value) else 0.0
        return (LABELS.index(label) if label else 9, number, value)

    return {value: meaning[value] for value in sorted(meaning, key=place) if only is None or value in only}


def _list(values: object) -> str:
    found = sorted(map(str, values), key=lambda value: (len(value), value))  # type: ignore[call-overload]
    shown = ", ".join(repr(value) if " " in value else value for value in found[:12])
    return shown + (", …" if len(found) > 12 else "")


def _quoted(value: str) -> str:
    return value


def _suggest(numbers: dict[str, int], middle: float | None = None) -> str:
    """The likeliest meaning of numbers: those below the middle of the scale are negative."""
    ordered = sorted(numbers, key=float)
    middle = (float(ordered[0]) + float(ordered[-1])) / 2 if middle is None else middle
    return ",".join(
        f"{value}={'neutral' if float(value) == middle else 'negative' if float(value) < middle else 'positive'}"
        for value in ordered[:12]
    )


def parse_labels(pairs: Iterable[tuple[str, str, str]]) -> dict[str, Label | None]:
    """Read `--labels`: value, `=` and label of each part, with `none` for rows without a label.

    Raises:
        ValueError: a part is no `VALUE=LABEL`.
    """
    meaning: dict[str, Label | None] = {}
    for value, mark, name in pairs:
        label = name.strip().lower()
        form = canonical_value(value)
        if not mark or form is None or label not in (*LABELS, NO_LABEL):
            raise ValueError(f"{value}{mark}{name}".strip())
        meaning[form] = None if label == NO_LABEL else label  # type: ignore[assignment]
    return meaning
