"""Which column holds the labels, and how they are read."""

from __future__ import annotations

import polars as pl

from sentiment.ingest.mapping import labels, names
from sentiment.ingest.mapping.choice import Choice, place_of, ranked
from sentiment.ingest.mapping.labels import (
    Doubt,
    Scheme,
    find_scheme,
    sentiment140_scheme,
    true_and_false,
    without_neutral,
)
from sentiment.ingest.mapping.question import Question
from sentiment.ingest.mapping.survey import ColumnSurvey, Survey
from sentiment.ingest.mapping.words import Agreement, agreement, are_positive
from sentiment.ingest.readers.form import Form

# As `names.plain` gives them.
_FEW_DAMAGED = 0.01
_SENTIMENT_NAMES = frozenset(
    (
        *("sentiment", "label", "polarity", "airlinesentiment", "sentimentlabel", "labeltext", "tweetsentiment"),
        *("sentiments", "sentimentclass", "reviewsentiment"),
    )
)


_POSITIVE_NAMES = frozenset(("ispositive", "positive"))
_GENERAL_NAMES = frozenset(
    (
        *("label", "labels", "target", "class", "category", "annotation", "gold", "goldlabel", "golden", "y"),
        *("groundtruth", "groundlabel", "manuallabel", "humanlabel", "truelabel", "textlabel"),
    )
)
"""Of columns that hold classes of anything: the words of the texts have to tell that these are moods."""
_GENERAL_SCHEMES = frozenset(("0 and 1", "0, 1 and 2", "signs", "five classes from 0 to 4"))
_ENOUGH_TO_CONFIRM = 30


class LabelChooser:
    """Chooses the column of the labels of one file, once its text is known.

    Args:
        given: columns that the user named by role.
        meaning: how the user says that labels are read, None where the file decides.
        has_names: whether the file names its columns.
    """

    def __init__(
        self,
        form: Form,
        survey: Survey,
        choice: Choice,
        given: dict[str, str],
        meaning: dict[str, labels.Label | None] | None,
        has_names: bool,
    ) -> None:
        self.form = form
        self.choice = choice
        self.given = given
        self.meaning = meaning
        self.has_names = has_names
        self.sample = survey.sample()
        self.found = survey.named()

    def scheme_of(self, column: ColumnSurvey) -> Scheme | Doubt | None:
        """How the values of a column would be read as labels."""
        if self.meaning is not None:
            return Scheme("as you said", dict(self.meaning))
        if column.values is None or column.is_instant:
            return None
        rank = names.rank(column.name, "label")
        is_stars = rank is not None and rank[0] == 1
        if names.plain(column.name) in _POSITIVE_NAMES and set(column.values) == {"true", "false"}:
            return true_and_false()
        is_sentiment140 = self.choice.is_sentiment140 and (not self.has_names or rank is not None)
        if is_sentiment140 and sum(column.values.values()) <= _FEW_DAMAGED * column.count:
            # Daily tweets have no labels; what a damaged line holds there is none either.
            return sentiment140_scheme(dict(column.values))
        found = find_scheme(
            dict(column.values),
            is_sentiment140=is_sentiment140,
            is_stars=is_stars,
            class_names=self.form.class_names.get(column.name, ()),
        )
        if isinstance(found, Doubt) and set(column.values) == {"0", "2"} and self._is_two_positive(column):
            return without_neutral()
        return found

    def _is_two_positive(self, column: ColumnSurvey) -> bool:
        """Whether the words of the rows with a 2 are those of positive texts."""
        text = self.choice.columns.get("text")
        if text is None:
            return False
        forms = labels.canonical(self.sample[column.name])
        return are_positive(self.sample[text].filter((forms == "2").fill_null(False)))

    def choose(self) -> None:
        """Take a column for the labels, if there is one, and its scheme; or ask."""
        if "label" in self.given and not self.given["label"]:
            return
        if "label" in self.choice.columns:
            name = self.choice.columns["label"]
            self._set_scheme(self.found[name], self.scheme_of(self.found[name]))
            return
        named = (
            [(rank, column, self.scheme_of(column)) for rank, column in ranked(self.found, self.choice, "label")]
            if self.has_names
            else []
        )
        readable = [(rank, column, scheme) for rank, column, scheme in named if scheme is not None]
        if self.meaning is not None and readable:
            readable = readable[:1]
        best = [entry for entry in readable if entry[0][0] == readable[0][0][0]] if readable else []
        if len(best) > 1:
            best = self._agreeing(best)
        if best:
            _, column, scheme = best[0]
            self.choice.take("label", column.name, "by its name and what it holds")
            self._set_scheme(column, scheme)
            self._ask_whether_moods(column)
            return
        if any(self._ask_unknown(column) for _, column, scheme in named if scheme is None):
            return
        self._choose_label_by_content()

    def _ask_whether_moods(self, column: ColumnSurvey) -> None:
        """Ask where numbers in a column of classes could be of anything, and the words of the texts do not tell."""
        scheme, name = self.choice.scheme, names.plain(column.name)
        if scheme is None or self.meaning is not None or column.name in self.form.class_names:
            return
        if name not in _GENERAL_NAMES or scheme.name not in _GENERAL_SCHEMES:
            return
        found = self._agreement(column, scheme)
        if found.count < _ENOUGH_TO_CONFIRM or found.is_hint or found.is_contradiction:
            return
        as_read = ",".join(f"{value}={label or labels.NO_LABEL}" for value, label in scheme.meaning.items())
        none = ",".join(f"{value}={labels.NO_LABEL}" for value in scheme.meaning)
        self.choice.questions.append(
            Question(
                "labels",
                f"The column {column.name} holds {', '.join(scheme.meaning)}, and the words of the texts do not tell "
                f"that these are moods. {found.sentence}",
                ((as_read, f"as read: {scheme.sentence}"), (none, "they are classes of something else")),
            )
        )

    def _agreeing(self, rivals: list) -> list:  # type: ignore[type-arg]
        """Of several columns of labels, one if they agree, words before numbers; otherwise a question, and the first."""
        sure = [entry for entry in rivals if isinstance(entry[2], Scheme)] or rivals
        sure.sort(key=lambda entry: (entry[2].name != "words" if isinstance(entry[2], Scheme) else True, entry[0]))
        first = sure[0]
        for other in sure[1:]:
            if isinstance(first[2], Scheme) and isinstance(other[2], Scheme) and not self._agree(first, other):
                names_of = [entry[1].name for entry in sure]
                self.choice.questions.append(
                    Question(
                        "columns",
                        f"The columns {' and '.join(names_of[:3])} could both be the label, and they disagree.",
                        tuple((f"label={name}", f"{name} is the label") for name in names_of[:4]),
                    )
                )
                break
        return [first]

    def _agree(self, first, other) -> bool:  # type: ignore[no-untyped-def]
        rows = self.sample.select(a=pl.col(first[1].name), b=pl.col(other[1].name))
        found = pl.DataFrame(
            {"a": read_labels(rows["a"], first[2]), "b": read_labels(rows["b"], other[2])}
        ).drop_nulls()
        return found.is_empty() or float((found["a"] == found["b"]).mean()) > 0.98  # type: ignore[arg-type]

    def _ask_unknown(self, column: ColumnSurvey) -> bool:
        """Ask about a column that is named as labels of sentiment and holds a few words that nobody knows."""
        if (
            names.plain(column.name) not in _SENTIMENT_NAMES
            or column.values is None
            or not 1 < len(column.values) <= 30
        ):
            return False
        if column.numbers > 0.5:
            return False
        values = [value for value, _ in column.values.most_common(8)]
        suggestion = ",".join(f"{value}={labels.NO_LABEL}" for value in values)
        self.choice.questions.append(
            Question(
                "labels",
                f"The column {column.name} holds {', '.join(values)}: which are negative, neutral or positive?",
                ((suggestion, "none of them is a label: put negative, neutral or positive where it is"),),
            )
        )
        return True

    def _choose_label_by_content(self) -> None:
        if self.meaning is not None:
            self._take_by_meaning()
            return
        taken = set(self.choice.columns.values())
        rivals, doubtful, unconfirmed = [], [], []
        for name, column in self.found.items():
            if name in taken or (self.has_names and names.is_known(name)) or column.values is None:
                continue
            scheme = self.scheme_of(column)
            if isinstance(scheme, Scheme) and len({label for label in scheme.meaning.values() if label}) > 1:
                found = self._agreement(column, scheme)
                is_likely = self._has_few_values(column) and found.is_likely
                if scheme.name == "words" or found.is_confirmation or is_likely:
                    rivals.append(((0, 0), column, scheme))
                elif self._has_few_values(column):
                    unconfirmed.append(column)
            elif isinstance(scheme, Doubt) and self._has_few_values(column):
                doubtful.append((column, scheme))
        best = self._agreeing(rivals) if len(rivals) > 1 else rivals
        if best:
            self.choice.take("label", best[0][1].name, "it holds labels")
            self._set_scheme(best[0][1], best[0][2])
        elif unconfirmed:
            self._ask_whether_label(unconfirmed[0])
        elif len(doubtful) == 1:
            self.choice.take("label", doubtful[0][0].name, "the only column with few values")
            self._set_scheme(*doubtful[0])

    def _has_few_values(self, column: ColumnSurvey) -> bool:
        """Whether a column without a name could be labels: in a small table, a few values that come again and again."""
        is_small = not self.has_names and len(self.found) <= 4
        return is_small and column.values is not None and len(column.values) <= 12 and column.distinct < 0.5

    def _take_by_meaning(self) -> None:
        assert self.meaning is not None
        fitting = [c for c in self.found.values() if c.values and set(c.values) <= set(self.meaning)]
        if len(fitting) == 1:
            self.choice.take("label", fitting[0].name, "it holds the labels that you named")
            self._set_scheme(fitting[0], self.scheme_of(fitting[0]))

    def _agreement(self, column: ColumnSurvey, scheme: Scheme) -> Agreement:
        text = self.choice.columns.get("text")
        if text is None:
            return Agreement(0, 0)
        return agreement(self.sample[text], read_labels(self.sample[column.name], scheme))

    def _ask_whether_label(self, column: ColumnSurvey) -> None:
        place = place_of(column.name, self.has_names)
        values = ", ".join(sorted(column.values or ()))
        self.choice.questions.append(
            Question(
                "columns",
                f"{column.name} holds {values}, which may be the label.",
                ((f"label={place}", f"{column.name} is the label"), ("label=", "the file has no labels")),
            )
        )

    def _set_scheme(self, column: ColumnSurvey, scheme: Scheme | Doubt | None) -> None:
        if isinstance(scheme, Scheme):
            self.choice.scheme = scheme
            return
        if isinstance(scheme, Doubt):
            self.choice.questions.append(
                Question(
                    "labels", f"Column {column.name}: {scheme.sentence}", ((scheme.suggestion, "as it may be meant"),)
                )
            )
            return
        if column.values:
            values = ", ".join(value for value, _ in column.values.most_common(6))
            sentence = f"The labels in {column.name} are {values}: which are negative, neutral, positive?"
            suggestion = ",".join(f"{value}={labels.NO_LABEL}" for value, _ in column.values.most_common(6))
            self.choice.questions.append(Question("labels", sentence, ((suggestion, "none is a label"),)))


def read_labels(values: pl.Series, scheme: Scheme) -> pl.Series:
    """The labels that a scheme gives to raw values: strings, null where there is none."""
    distinct = values.unique()
    forms = [None if value is None else labels.canonical_value(value) for value in distinct]
    meant = pl.Series([None if form is None else scheme.meaning.get(form) for form in forms], dtype=pl.String)
    return values.replace_strict(distinct, meant, return_dtype=pl.String)
