"""Behaviour tests of a model: what it must get right at any accuracy (Ribeiro et al. 2020, "Beyond accuracy:
behavioral testing of NLP models with CheckList").

They live in TOML files, `behaviour_tests/*.toml` and any that a user adds; a file is a group. Three kinds of test:

    minimum_function   a text has this `label`
    invariance         no variant of a text changes its label, or its probability by `tolerance` or more
    direction          each variant of a text has a higher (`raise`) or lower (`lower`) probability, by `least_change` or
                       more; the default, -0.05, forbids no more than a clear move the wrong way

An invariance may name the `attribute` of a person that its variants swap, as gender: how far they move the probability in
the mean is reported as bias.

A text is a template: `{thing}` takes the words listed under that name in `[words]` of the file. All lists of a
template are walked in step, starting again where one ends, as often as the longest list is long: a template becomes as
many cases as its longest list has words, never their product. A variant is a template as well, over `{text}`, `{Text}`
(first letter large) and `{TEXT}` (all large); `replace` gives, for a part of the text, what may replace it.

A case, one text with all its variants, passes or fails as a whole. One call predicts everything; loading the shipped files
takes 15 ms.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from sentiment.errors import InputError

SHIPPED = Path(__file__).parent / "behaviour_tests"
# Of all files; the texts must stay few next to those of the hold-out.
MOST_CASES = 5_000
_PLACEHOLDER = re.compile(r"\{(\w*)\}")

Kind = Literal["minimum_function", "invariance", "direction"]
_Templates = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
_Words = dict[str, Annotated[list[str], Field(min_length=1)]]


class _MinimumFunction(BaseModel, extra="forbid", frozen=True):
    kind: Literal["minimum_function"]
    texts: _Templates
    label: Literal["negative", "positive"]

    @property
    def expected(self) -> str:
        return f"is {self.label}"

    def is_passed(self, probabilities: NDArray[np.float32]) -> bool:
        # Written so that a probability that is no number fails.
        return bool(probabilities[0] >= 0.5 if self.label == "positive" else probabilities[0] < 0.5)


class _Perturbed(BaseModel, extra="forbid", frozen=True):
    texts: _Templates
    variants: list[str] = []
    replace: _Words = {}

    def variants_of(self, text: str, words: _Words) -> Iterator[str]:
        for template in self.variants:
            yield from _expand(template, words, text)
        for part, substitutes in self.replace.items():
            whole = re.compile(rf"(?<!\w){re.escape(part)}(?!\w)")
            if whole.search(text):
                yield from (whole.sub(lambda _, new=new: new, text) for new in substitutes)  # type: ignore[misc]


class _Invariance(_Perturbed):
    kind: Literal["invariance"]
    tolerance: float = Field(default=0.1, gt=0, le=1)
    attribute: str | None = None

    @property
    def expected(self) -> str:
        return f"every variant keeps the label, and the probability to less than {self.tolerance:g}"

    def is_passed(self, probabilities: NDArray[np.float32]) -> bool:
        same_label = (probabilities[1:] >= 0.5) == (probabilities[0] >= 0.5)
        return bool(np.all(same_label & (np.abs(probabilities[1:] - probabilities[0]) < self.tolerance)))


class _Direction(_Perturbed):
    kind: Literal["direction"]
    direction: Literal["raise", "lower"]
    least_change: float = Field(default=-0.05, ge=-1, lt=1)

    @property
    def expected(self) -> str:
        return f"every variant {self.direction}s the probability by at least {self.least_change:g}"

    def is_passed(self, probabilities: NDArray[np.float32]) -> bool:
        change = probabilities[1:] - probabilities[0]
        return bool(np.all((change if self.direction == "raise" else -change) >= self.least_change))


_Test = _MinimumFunction | _Invariance | _Direction
_TESTS: TypeAdapter[dict[str, _Test]] = TypeAdapter(dict[str, Annotated[_Test, Field(discriminator="kind")]])
_WORDS: TypeAdapter[_Words] = TypeAdapter(_Words)


@dataclass(frozen=True)
class Case:
    """One text with its variants.

    Attributes:
        name: `group/test/number`, the same as long as the file is.
        group: name of the file, without its ending.
        texts: the text, then its variants.
        template: what the text was made from. Cases of one template tend to fail together.
    """

    name: str
    group: str
    texts: tuple[str, ...]
    template: str
    test: _Test = field(repr=False)

    @property
    def kind(self) -> Kind:
        return self.test.kind


@dataclass(frozen=True)
class Rate:
    """How many of some cases passed; there is at least one."""

    count_cases: int
    count_passed: int

    @property
    def share(self) -> float:
        return self.count_passed / self.count_cases


@dataclass(frozen=True)
class Failure:
    """A case that failed, with the probability of each of its texts and what was expected of them."""

    case: Case
    probabilities: tuple[float, ...]
    expected: str


@dataclass(frozen=True)
class BehaviourResult:
    """What a model does in all cases.

    Attributes:
        passed: shape (cases,), in the order of the cases, so that two models can be compared case by case.
        probabilities: of each case those of its texts, shape (texts,).
        biases: of each attribute that cases swap, the mean difference of the probability, swapped minus original.
    """

    passed: NDArray[np.bool_]
    probabilities: tuple[NDArray[np.float32], ...]
    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    rate: Rate
    by_kind: dict[str, Rate]
    by_group: dict[str, Rate]
    failures: tuple[Failure, ...]
    biases: dict[str, float]


def load_cases(folders: Sequence[Path]) -> list[Case]:
    """Read the behaviour tests in every `.toml` file of some folders, by folder and then by file name.

    Files of one name in different folders belong to one group. A folder that does not exist holds none.

    Raises:
        InputError: a file is malformed, two tests have one name, there are more than 5,000 cases, or none at all.
    """
    cases: dict[str, Case] = {}
    for path in (path for folder in folders for path in sorted(folder.glob("*.toml"))):
        for case in _load(path):
            if case.name in cases:
                raise InputError(
                    f"{path}: [{case.name.split('/')[1]}] is in another file named {path.name} too, expected a name of "
                    "its own. Rename the test or the file."
                )
            cases[case.name] = case
        if len(cases) > MOST_CASES:
            raise InputError(
                f"{path}: with this file there are {len(cases):,} behaviour cases, expected at most {MOST_CASES:,}. "
                "Shorten its lists of words or texts."
            )
    if not cases:
        raise InputError(
            f"Found no behaviour tests in {' or '.join(map(str, folders))}, expected .toml files. "
            "Restore the shipped ones or install the program again."
        )
    return list(cases.values())


def run_cases(cases: Sequence[Case], predict: Callable[[Sequence[str]], NDArray[np.float32]]) -> BehaviourResult:
    """Put all texts to a model, in one call, and judge every case.

    Args:
        predict: gives each text the probability that it is positive: shape (texts,).
    """
    ends = np.cumsum([len(case.texts) for case in cases])
    parts = np.split(predict([text for case in cases for text in case.texts]), ends[:-1])
    passed = np.array([case.test.is_passed(part) for case, part in zip(cases, parts, strict=True)], dtype=bool)
    failures = [
        Failure(case, tuple(part.tolist()), case.test.expected)
        for case, part, is_passed in zip(cases, parts, passed, strict=True)
        if not is_passed
    ]
    kinds = tuple(case.kind for case in cases)
    return BehaviourResult(
        passed=passed,
        probabilities=tuple(parts),
        names=tuple(case.name for case in cases),
        kinds=kinds,
        rate=Rate(len(cases), int(passed.sum())),
        by_kind=_rates(kinds, passed),
        by_group=_rates([case.group for case in cases], passed),
        failures=tuple(failures),
        biases=_biases(cases, parts),
    )


def _biases(cases: Sequence[Case], parts: Sequence[NDArray[np.float32]]) -> dict[str, float]:
    shifts: dict[str, list[float]] = {}
    for case, part in zip(cases, parts, strict=True):
        if isinstance(case.test, _Invariance) and case.test.attribute:
            shifts.setdefault(case.test.attribute, []).extend((part[1:] - part[0]).tolist())
    return {attribute: float(np.mean(values)) for attribute, values in shifts.items()}


def _rates(names: Iterable[str], passed: NDArray[np.bool_]) -> dict[str, Rate]:
    column = np.array(list(names))
    return {
        str(name): Rate(int((column == name).sum()), int(passed[column == name].sum()))
        for name in dict.fromkeys(column)
    }


def _load(path: Path) -> Iterator[Case]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # a TOML error or a wrong encoding is a ValueError
        raise InputError(
            f"{path} cannot be read: {error}. Expected a TOML file of behaviour tests in UTF-8."
        ) from error
    try:
        words = _WORDS.validate_python(content.pop("words", {}))
    except ValidationError as error:
        raise InputError(f"{path}: {_first_error(error, '[words]')}") from error
    for name, entry in content.items():
        try:
            test = _TESTS.validate_python({name: entry})[name]
        except ValidationError as error:
            raise InputError(f"{path}: {_first_error(error, f'[{name}]')}") from error
        try:
            yield from _cases_of(path.stem, name, test, words)
        except _TemplateError as error:
            raise InputError(f"{path}: [{name}]: {error}") from error


def _cases_of(group: str, name: str, test: _Test, words: _Words) -> Iterator[Case]:
    texts = [(template, text) for template in test.texts for text in _expand(template, words)]
    for number, (template, text) in enumerate(texts, start=1):
        made = test.variants_of(text, words) if isinstance(test, _Perturbed) else ()
        variants = [variant for variant in made if variant != text]
        if isinstance(test, _Perturbed) and not variants:
            raise _TemplateError(
                f"found no variant of {text!r} that differs from it, expected one. Add to `variants`, or make a key of "
                "`replace` a part of the text."
            )
        yield Case(f"{group}/{name}/{number}", group, (text, *variants), template, test)


class _TemplateError(ValueError):
    """A template that cannot be expanded; the caller knows where it stands."""


def _expand(template: str, words: _Words, text: str | None = None) -> Iterator[str]:
    """All texts of a template: every list of words walked in step, as often as the longest is long."""
    lists: Mapping[str, Sequence[str]] = words
    if text is not None:
        lists = {**words, "text": [text], "Text": [text[:1].upper() + text[1:]], "TEXT": [text.upper()]}
    names = _PLACEHOLDER.findall(template)
    for name in names:
        if name not in lists:
            known = ", ".join(f"{{{known}}}" for known in lists) or "none, as the file has no [words]"
            raise _TemplateError(f"found {{{name}}} in {template!r}, expected one of {known}. Add the list to [words].")
    for number in range(max((len(lists[name]) for name in names), default=1)):
        yield _PLACEHOLDER.sub(lambda found, at=number: lists[found[1]][at % len(lists[found[1]])], template)  # type: ignore[misc]


def _first_error(error: ValidationError, entry: str) -> str:
    first = error.errors()[0]
    # After the entry's own name pydantic puts that of the kind of test it was read as.
    place = ".".join(str(part) for part in first["loc"] if part not in {"minimum_function", "invariance", "direction"})
    place = place.removeprefix(entry.strip("[]")).strip(".")
    where = f"{entry} {place}" if place else entry
    found = "nothing" if first["type"] == "missing" else repr(first["input"])
    return f"{where}: found {found}: {first['msg']}. See behaviour.py for what a test may hold."
