"""How one file is read, as a whole.

Its form, its columns by role, its labels, its times, its ids. Decided once, written down, applied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal
from zoneinfo import available_timezones

import polars as pl

from sentiment.errors import InputError, RefusedFileError, UnsureError
from sentiment.ingest.mapping import labels
from sentiment.ingest.mapping.choice import Choice
from sentiment.ingest.mapping.columns import ColumnChooser
from sentiment.ingest.mapping.label_columns import read_labels
from sentiment.ingest.mapping.labels import Scheme
from sentiment.ingest.mapping.names import ROLES
from sentiment.ingest.mapping.question import Question
from sentiment.ingest.mapping.survey import ColumnSurvey, Survey
from sentiment.ingest.mapping.text_forms import SENTENCES as TEXT_FORMS
from sentiment.ingest.mapping.text_forms import TextForm, find_text_form
from sentiment.ingest.mapping.times import FORMATS, TimePlan
from sentiment.ingest.mapping.words import agreement
from sentiment.ingest.readers.form import Form

Ids = Literal["numbers", "strings", "content"]
NO_COLUMN = "none"
_LEAST_RELIABLE_FLOAT = 2**53
_FEW_DAMAGED = 0.01


@dataclass(frozen=True)
class ReadingOptions:
    """What a user says of a file; everything that is empty is decided by the file.

    Attributes: columns: `text=OriginalTweet,label=Sentiment`: a column for each role, by name or by its number
    from 1; `label=` for none. labels: `Extremely Negative=negative,…`; `none` for values that are no label. id:
    the column of the ids, or `none`: posts are known by their content. date_format: `day-first`, `month-first`,
    `epoch-s`, `epoch-ms`, `epoch-us`, or a pattern such as `%d.%m.%Y %H:%M`. time_zone: of times that say none,
    such as `Europe/Berlin`. delimiter, encoding: of text tables. source: name of the source whose ids these are;
    a saved source of that name says all the rest. ids_of: whose ids these are, where it is not the source's name;
    empty for tweets' own.
    """

    columns: str | Mapping[str, str] | None = None
    labels: str | Mapping[str, str] | None = None
    id: str | None = None
    date_format: str | None = None
    time_zone: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    source: str | None = None
    ids_of: str | None = None

    @property
    def namespace(self) -> str | None:
        """Whose ids the file's are; null for tweets' own."""
        return self.source if self.ids_of is None else self.ids_of or None

    def over(self, other: ReadingOptions) -> ReadingOptions:
        """These options, and those of `other` where these say nothing."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return replace(other, **given)


@dataclass(frozen=True)
class Reading:
    """How a file is read; `columns` maps roles to names of columns."""

    form: Form
    columns: Mapping[str, str]
    scheme: Scheme | None = None
    times: TimePlan | None = None
    ids: Ids = "numbers"
    namespace: str | None = None
    left_out: tuple[str, ...] = ()
    text_form: TextForm = "plain"
    reasons: Mapping[str, str] = field(default_factory=dict)
    is_said: bool = False
    """Whether a person said how labels are read, so that nothing has to confirm it."""

    def reads_as(self, other: Reading) -> bool:
        """Whether both give the same rows, as far as `other` has seen the file."""
        mine = (self.columns, self.times, self.ids, self.text_form)
        same = mine == (other.columns, other.times, other.ids, other.text_form)
        if (self.scheme is None) != (other.scheme is None):
            return False
        if self.scheme is None or other.scheme is None:
            return same
        meaning = self.scheme.meaning
        return same and all(
            value in meaning and meaning[value] == label for value, label in other.scheme.meaning.items()
        )

    @property
    def sentence(self) -> str:
        """In one line: what was taken for what."""
        taken = ", ".join(f"{role} = {name}" for role, name in self.columns.items())
        parts = [f"{self.form.name}: {taken}"]
        if self.scheme is not None:
            parts.append(f"labels: {self.scheme.sentence}")
        if self.times is not None and (self.times.order or self.times.unit or self.times.pattern):
            parts.append(f"times: {self.times.sentence}")
        if self.text_form != "plain":
            parts.append(TEXT_FORMS[self.text_form])
        if self.ids == "content":
            parts.append("no ids: posts are known by their content")
        if self.scheme is not None and self.scheme.strays:
            parts.append(f"no labels: {', '.join(self.scheme.strays[:5])}")
        if self.left_out:
            more = f" and {len(self.left_out) - 12} more" if len(self.left_out) > 12 else ""
            parts.append(f"left out: {', '.join(self.left_out[:12])}{more}")
        if self.form.left_sheets:
            parts.append(f"sheets left out: {', '.join(self.form.left_sheets)}")
        return "; ".join(parts)


def decide(form: Form, survey: Survey, options: ReadingOptions) -> tuple[Reading, list[Question]]:
    """How a file is read, and what is not sure about it.

    Raises:
        InputError: an option names a column that is not there, or has no meaning.
        RefusedFileError: ids were rounded, or the words of the texts contradict the labels.
    """
    given = _given_columns(options, form, survey)
    meaning = _given_labels(options)
    choice = ColumnChooser(form, survey, given, meaning).choose()
    times = _time_plan(choice, survey, options)
    ids = _id_kind(choice, survey)
    taken = set(choice.columns.values())
    left_out = tuple(
        name for name, column in survey.columns.items() if name not in taken and name != "\0" and column.count_given
    )
    scheme = choice.scheme
    if scheme is not None and choice.is_sentiment140 and scheme.name == "Sentiment140's numbers":
        scheme = replace(scheme, meaning={"0": "negative", "2": "neutral", "4": "positive"})
    reading = Reading(
        form=form,
        columns={role: choice.columns[role] for role in ROLES if role in choice.columns},
        scheme=scheme,
        times=times,
        ids=ids,
        namespace=options.namespace
        if options.ids_of is not None
        else options.source or _namespace(form, survey, choice),
        left_out=left_out,
        text_form=_text_form(choice, survey),
        reasons=choice.reasons,
        is_said=meaning is not None,
    )
    if meaning is None and not choice.questions:
        _refuse_contradiction(reading, survey)
    return reading, choice.questions


def _text_form(choice: Choice, survey: Survey) -> TextForm:
    sample, name = survey.sample(), choice.columns.get("text")
    return find_text_form(sample[name]) if name in sample.columns else "plain"


def ask(path: object, questions: list[Question]) -> None:
    """Raise what is not sure as one error.

    Raises:
        UnsureError: if there is any question.
    """
    if questions:
        listed = " ".join(str(question) for question in questions)
        raise UnsureError(f"{path} can be read in more than one way, so nothing was loaded. {listed}", tuple(questions))


# -- What the user says


def _given_columns(options: ReadingOptions, form: Form, survey: Survey) -> dict[str, str]:
    known = list(survey.columns) or list(form.names)
    given: dict[str, str] = {}
    if isinstance(options.columns, Mapping):
        pairs = [(role, "=", name) for role, name in options.columns.items()]
    else:
        pairs = [part.partition("=") for part in (options.columns or "").split(",") if part.strip()]
    for role, mark, name in pairs:
        if not mark or role.strip().lower() not in ROLES:
            raise InputError(
                f"--columns has {role + mark + name!r}; expected is ROLE=COLUMN with a role of {', '.join(ROLES)}, such as "
                "text=OriginalTweet,label=Sentiment"
            )
        given[role.strip().lower()] = _column_named(name.strip(), known)
    if options.id is not None:
        given["id"] = "" if options.id.strip().lower() in ("", NO_COLUMN) else _column_named(options.id.strip(), known)
    return given


def _column_named(name: str, known: list[str]) -> str:
    if name in known or not name or name.lower() == NO_COLUMN:
        return name if name in known else ""
    if name.isdigit() and 1 <= int(name) <= len(known):
        return known[int(name) - 1]
    alike = [other for other in known if other.lower() == name.lower()]
    if len(alike) == 1:
        return alike[0]
    raise InputError(f"The file has no column {name!r}. It has {', '.join(known[:30]) or 'none'}.")


def _given_labels(options: ReadingOptions) -> dict[str, labels.Label | None] | None:
    if options.labels is None:
        return None
    pairs: list[tuple[str, str, str]] = (
        [(value, "=", label) for value, label in options.labels.items()]
        if isinstance(options.labels, Mapping)
        else [part.rpartition("=") for part in options.labels.split(",")]
    )
    try:
        return labels.parse_labels(pairs)
    except ValueError as error:
        raise InputError(
            f"--labels has {error.args[0]!r}; expected is VALUE=LABEL with negative, neutral, positive or none, such as "
            "0=negative,1=positive"
        ) from None


def _time_plan(choice: Choice, survey: Survey, options: ReadingOptions) -> TimePlan | None:
    if options.time_zone is not None and options.time_zone not in available_timezones():
        raise InputError(
            f"The time zone {options.time_zone!r} is unknown. Expected is a name such as Europe/Berlin or UTC."
        )
    if "date" not in choice.columns:
        return None
    said = options.date_format
    if said is not None and said not in FORMATS and "%" not in said:
        raise InputError(
            f'--date-format is {said!r}; expected is {", ".join(FORMATS)} or a pattern such as %d.%m.%Y or "%Y-%m-%d %H:%M".'
        )
    plan = replace(
        FORMATS[said] if said in FORMATS else TimePlan(pattern=said),
        zone=None if options.time_zone == "UTC" else options.time_zone,
    )
    found = survey.columns[choice.columns["date"]].times
    if found is None or plan.pattern is not None:
        return plan
    if found.count_numeric and plan.order is None:
        if found.order is None:
            choice.questions.append(_ask_order(found.most_first, found.most_second, found.example))
        plan = replace(plan, order=found.order)
    if found.units and plan.unit is None:
        if found.unit is None:
            units = ", ".join(f"{count:,} as {unit}" for unit, count in found.units.items())
            choices = tuple((f"epoch-{unit}", f"numbers are {unit} since 1970") for unit in found.units)
            choice.questions.append(
                Question("date_format", f"The numbers of the date have different sizes ({units}).", choices)
            )
        plan = replace(plan, unit=found.unit)
    return plan


def _ask_order(most_first: int, most_second: int, example: str) -> Question:
    both = most_first > 12 and most_second > 12
    sentence = (
        f"Dates such as {example} have numbers above 12 in both places: some begin with the day and some with the month."
        if both
        else f"Dates such as {example} can begin with the day or with the month; no date of the file tells which."
    )
    return Question("date_format", sentence, (("day-first", "the day first"), ("month-first", "the month first")))


# -- Ids


def _id_kind(choice: Choice, survey: Survey) -> Ids:
    name = choice.columns.get("id")
    if name is None:
        return "content"
    column = survey.columns[name]
    _refuse_rounded(column)
    return "numbers" if column.count_digits >= 0.5 * max(1, column.count_given) else "strings"


def _refuse_rounded(column: ColumnSurvey) -> None:
    whole = column.count_whole_ids
    is_rounded = whole >= 10 and whole == column.count_given
    # A few of them among whole numbers are damaged lines, which are rejected one by one; a spreadsheet rounds many.
    # Ids of letters and digits, such as 424e287273, are no numbers.
    are_numbers = column.count_floats + column.count_digits > 0.5 * column.count_given
    are_floats = are_numbers and column.count_floats > _FEW_DAMAGED * column.count_given
    if are_floats and column.largest_float and float(column.largest_float) > _LEAST_RELIABLE_FLOAT:
        found = f"holds {column.largest_float}: ids above 2^53 went through a floating-point number and were rounded"
    elif is_rounded:
        found = f"holds {whole:,} ids of 17 digits and more that all end in 000, as a spreadsheet writes them: rounded"
    else:
        return
    raise RefusedFileError(
        f"The column {column.name} {found}, so they are no longer the ids of these posts. Write the file again with ids "
        f"as text, or give --id {NO_COLUMN}: posts are then known by their content."
    )


def _namespace(form: Form, survey: Survey, choice: Choice) -> str | None:
    name = choice.columns.get("id")
    if name is not None and survey.samples and name in survey.samples[0].columns:
        values = survey.samples[0][name].cast(pl.String).drop_nulls()
        if len(values) and values.str.starts_with("at://").mean() > 0.5:  # type: ignore[operator]
            return "bluesky"
    return form.namespace


_OPPOSITE = {"negative": "positive", "positive": "negative"}


def _refuse_contradiction(reading: Reading, survey: Survey) -> None:
    if reading.scheme is None or "text" not in reading.columns or "label" not in reading.columns:
        return
    sample = survey.sample()
    name = reading.columns["label"]
    found = agreement(sample[reading.columns["text"]], read_labels(sample[name], reading.scheme))
    if found.is_contradiction:
        meant = {value: label or labels.NO_LABEL for value, label in reading.scheme.meaning.items()}
        as_read = ",".join(f"{value}={label}" for value, label in meant.items())
        flipped = ",".join(f"{value}={_OPPOSITE.get(label, label)}" for value, label in meant.items())
        raise RefusedFileError(
            f"The words of the texts contradict the labels in {name}, read as {reading.scheme.sentence}. {found.sentence} "
            f'If the labels mean the opposite, say --labels "{flipped}"; if they are right as they are, say so with '
            f'--labels "{as_read}".'
        )
