"""Which column is taken for what, and why: by its name where the file has names, and by what it holds in any case.

A name alone does not make a column: one that is called `text` and holds numbers is no text. Content alone decides
only where columns have no names, or where a text or words for labels leave no doubt. Two that could be the text, or
labels that disagree, are a question.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from sentiment.ingest.mapping import labels, names
from sentiment.ingest.mapping.labels import Doubt, Scheme, find_scheme
from sentiment.ingest.mapping.question import Question
from sentiment.ingest.mapping.survey import ColumnSurvey, Survey
from sentiment.ingest.mapping.words import agreement
from sentiment.ingest.readers.form import Form

_SENTIMENT140 = ("label", "id", "date", "query", "user", "text")
# As `names.plain` gives them.
_SENTIMENT_NAMES = frozenset(
    (
        *("sentiment", "label", "polarity", "airlinesentiment", "sentimentlabel", "labeltext", "tweetsentiment"),
        *("sentiments", "sentimentclass", "reviewsentiment"),
    )
)


@dataclass
class Choice:
    """The columns by role, why each was taken, how labels are read, and what is not sure."""

    columns: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    scheme: Scheme | None = None
    is_sentiment140: bool = False
    questions: list[Question] = field(default_factory=list)

    def take(self, role: str, name: str, reason: str) -> None:
        """Take a column for a role."""
        self.columns[role], self.reasons[role] = name, reason


class ColumnChooser:
    """Chooses the columns of one file.

    Args:
        given: columns that the user named by role; an empty name leaves the role out.
        meaning: how the user says that labels are read, None where the file decides.
    """

    def __init__(
        self, form: Form, survey: Survey, given: dict[str, str], meaning: dict[str, labels.Label | None] | None
    ) -> None:
        self.form = form
        self.survey = survey
        self.given = given
        self.meaning = meaning
        self.sample = survey.sample()
        self.found = {name: column for name, column in survey.columns.items() if column.name != "\0"}
        self.has_names = form.has_header or form.kind not in ("table", "excel")
        self.choice = Choice()

    def choose(self) -> Choice:
        """Decide on all roles."""
        self.choice.is_sentiment140 = self._is_sentiment140()
        if self.choice.is_sentiment140 and not self.has_names:
            for role, name in zip(_SENTIMENT140, self.form.names, strict=True):
                if role not in self.given:
                    self.choice.take(role, name, "Sentiment140's layout")
        for role, name in self.given.items():
            self.choice.columns.pop(role, None)
            if name:
                self.choice.take(role, name, "you said so")
        self._choose_simple("date", self._is_date)
        self._choose_text()
        self._choose_label()
        self._choose_simple("id", self._is_id)
        self._choose_simple("user", self._is_user)
        self._choose_simple("query", self._is_short)
        self._choose_simple("language", lambda column: column.longest <= 20)
        self._choose_title()
        if not self.has_names and not self.choice.is_sentiment140:
            self._choose_by_content()
        return self.choice

    def _is_sentiment140(self) -> bool:
        columns = list(self.found.values())
        if len(columns) != 6:
            return False
        if self.has_names:
            wanted = ({"target", "polarity"}, {"id", "ids"}, {"date"}, {"flag", "query"}, {"user"}, {"text"})
            given = {names.plain(column.name) for column in columns}
            return all(options & given for options in wanted)
        label, tweet_id, date, _, _, text = columns
        counts = label.values
        is_target = counts is not None and sum(counts[value] for value in ("0", "2", "4")) >= 0.5 * sum(counts.values())
        is_number_label = counts is not None and all(value.lstrip("-").isdigit() for value in counts)
        is_id = tweet_id.count_digits >= 0.5 * tweet_id.count_given
        is_date = date.times is not None or date.sampled == 0
        return (is_target or (is_number_label and is_date)) and is_id and (text.letters >= 0.5 or text.sampled < 5)

    # -- Roles by name and content

    def _ranked(self, role: str) -> list[tuple[tuple[int, int], ColumnSurvey]]:
        taken = set(self.choice.columns.values())
        ranked = [
            (rank, column)
            for name, column in self.found.items()
            if name not in taken and (rank := names.rank(name, role)) is not None and column.sampled + column.is_instant
        ]
        return sorted(ranked, key=lambda pair: pair[0])

    def _choose_simple(self, role: str, fits: Callable[[ColumnSurvey], bool]) -> None:
        if role in self.given or role in self.choice.columns or not self.has_names:
            return
        for _, column in self._ranked(role):
            if fits(column):
                self.choice.take(role, column.name, "by its name and what it holds")
                return

    def _is_date(self, column: ColumnSurvey) -> bool:
        return column.times is not None or column.is_instant

    def _is_id(self, column: ColumnSurvey) -> bool:
        if column.is_instant or column.words > 1.2:
            return False
        is_many = column.distinct > 0.5 or column.sampled < 10
        return is_many and column.count_not_text == 0 and (names.rank(column.name, "id") or (9, 9))[0] == 0

    def _is_user(self, column: ColumnSurvey) -> bool:
        is_plain = column.count_not_text <= 0.5 * column.count_given
        return not column.is_instant and column.words <= 4 and column.longest <= 100 and is_plain

    def _is_short(self, column: ColumnSurvey) -> bool:
        is_plain = column.count_not_text <= 0.5 * column.count_given
        return not column.is_instant and column.words <= 6 and column.longest <= 200 and is_plain

    def _is_text(self, column: ColumnSurvey) -> bool:
        """Whether a column can hold texts at all."""
        if (
            column.is_instant
            or column.count_not_text > 0.5 * column.count_given
            or column.count_not_string > 0.5 * column.count_given
        ):
            return False
        is_named = self.has_names and names.rank(column.name, "text") is not None
        values = dict(column.values or {})
        is_label = 1 < len(values) <= column.count_given / 10 and isinstance(find_scheme(dict(values)), Scheme)
        return (is_named or column.letters > 0.5) and column.numbers < 0.5 and not is_label

    def _choose_text(self) -> None:
        if "text" in self.choice.columns or "text" in self.given:
            return
        named = (
            [(rank, column) for rank, column in self._ranked("text") if self._is_text(column)] if self.has_names else []
        )
        tier = [column for rank, column in named if rank[0] == named[0][0][0]] if named else []
        if len(tier) > 1:
            tier = self._best_texts(tier)
        if len(tier) == 1:
            self.choice.take("text", tier[0].name, "by its name and what it holds")
            return
        rivals = tier or [column for column in self._unnamed() if self._is_text(column) and self._is_rich(column)]
        if not tier and not rivals:
            rivals = [column for column in self._unnamed() if self._is_text(column)]
        if not tier and len(rivals) > 1:
            longest = max(rivals, key=lambda column: column.words)
            if all(column.words * 4 < longest.words for column in rivals if column is not longest):
                rivals = [longest]
        if len(rivals) == 1:
            self.choice.take("text", rivals[0].name, "the only column that holds texts")
            if len(self.found) == 1 and not self.has_names:
                sentence = "The file has one column and no header: each line may be a post, or a line of anything else."
                self.choice.questions.append(Question("columns", sentence, (("text=1", "each line is a post"),)))
        else:
            self._ask_for_text(rivals)

    def _best_texts(self, tier: list[ColumnSurvey]) -> list[ColumnSurvey]:
        """Of columns that are all named as texts: without those that are mostly empty, repeated or shorter forms of another."""
        fullest = max(column.is_given for column in tier)
        tier = [column for column in tier if column.is_given >= 0.2 * fullest]
        if any(column.distinct > 0.6 for column in tier):
            tier = [column for column in tier if column.distinct > 0.3]
        by_name = {names.plain(column.name): column for column in tier}
        for whole, cut in (
            ("fulltext", "text"),
            ("fulltext", "tweet"),
            ("originaltweet", "tweet"),
            ("text", "sentence"),
        ):
            if whole in by_name and cut in by_name:
                tier = [column for column in tier if column is not by_name[cut]]
        longest = max(column.words for column in tier)
        return [column for column in tier if column.words >= longest / 4]

    def _is_rich(self, column: ColumnSurvey) -> bool:
        return column.words >= 2.5 and (column.distinct > 0.4 or column.sampled < 10)

    def _unnamed(self) -> list[ColumnSurvey]:
        """Columns that no role has by name."""
        taken = set(self.choice.columns.values())
        return [
            column
            for name, column in self.found.items()
            if name not in taken
            and column.times is None
            and (not self.has_names or not any(names.rank(name, role) for role in names.ROLES if role != "text"))
        ]

    def _ask_for_text(self, rivals: list[ColumnSurvey]) -> None:
        if rivals:
            listed = ", ".join(f"{column.name} ({column.words:.0f} words a row)" for column in rivals[:6])
            sentence = f"{len(rivals)} columns could be the text: {listed}."
        else:
            listed = ", ".join(self.found) or "none"
            sentence = f"No column looks like a text; the file has {listed}."
        choices = rivals or list(self.found.values())
        self.choice.questions.append(
            Question(
                "columns",
                sentence,
                tuple((f"text={self._place(column.name)}", f"{column.name} is the text") for column in choices[:8]),
            )
        )

    def _place(self, name: str) -> str:
        return name.removeprefix("column ") if not self.has_names else name

    # -- Labels

    def scheme_of(self, column: ColumnSurvey) -> Scheme | Doubt | None:
        """How the values of a column would be read as labels."""
        if self.meaning is not None:
            return Scheme("as you said", dict(self.meaning))
        if column.values is None or column.is_instant:
            return None
        rank = names.rank(column.name, "label")
        is_stars = rank is not None and rank[0] == 1
        is_sentiment140 = self.choice.is_sentiment140 and (not self.has_names or rank is not None)
        return find_scheme(
            dict(column.values),
            is_sentiment140=is_sentiment140,
            is_stars=is_stars,
            class_names=self.form.class_names.get(column.name, ()),
        )

    def _choose_label(self) -> None:
        if "label" in self.given and not self.given["label"]:
            return
        if "label" in self.choice.columns:
            name = self.choice.columns["label"]
            self._set_scheme(self.found[name], self.scheme_of(self.found[name]))
            return
        named = (
            [(rank, column, self.scheme_of(column)) for rank, column in self._ranked("label")] if self.has_names else []
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
            return
        if any(self._ask_unknown(column) for _, column, scheme in named if scheme is None):
            return
        self._choose_label_by_content()

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
                if scheme.name == "words" or self._is_confirmed(column, scheme):
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

    def _is_confirmed(self, column: ColumnSurvey, scheme: Scheme) -> bool:
        text = self.choice.columns.get("text")
        if text is None:
            return False
        found = agreement(self.sample[text], read_labels(self.sample[column.name], scheme))
        return found.is_confirmation

    def _ask_whether_label(self, column: ColumnSurvey) -> None:
        place = self._place(column.name)
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

    # -- The rest

    def _choose_title(self) -> None:
        """A title belongs to the text where each post has its own; that of a product or film stands above many."""
        if "title" in self.given or not self.has_names or "text" not in self.choice.columns:
            return
        for _, column in self._ranked("title"):
            if self._is_text(column) and column.distinct > 0.7 and column.is_given > 0.3 and column.sampled >= 2:
                self.choice.take("title", column.name, "each text has its own")
                return

    def _choose_by_content(self) -> None:
        """Columns without names: ids and times by what they hold."""
        left = [column for name, column in self.found.items() if name not in self.choice.columns.values()]
        ids = [
            c
            for c in left
            if c.is_id and c.words <= 1.2 and c.distinct > 0.95 and c.longest >= 5 and c.letters + c.numbers > 0.9
        ]
        times = [c for c in left if c.times is not None and (c.letters > 0.5 or c.numbers < 0.5)]
        ids = [
            c
            for c in ids
            if c not in times and (c.numbers > 0.9 or ("text" in self.choice.columns and c.longest >= 12))
        ]
        if ids and "id" not in self.given:
            self.choice.take("id", ids[0].name, "different in every row")
        if len(times) == 1 and "date" not in self.given:
            self.choice.take("date", times[0].name, "the only column that holds times")
        elif len(times) > 1 and "date" not in self.given:
            choices = tuple((f"date={self._place(c.name)}", f"{c.name} is when it was posted") for c in times[:4])
            self.choice.questions.append(Question("columns", f"{len(times)} columns hold times.", choices))
        left = [c for c in left if c.name not in self.choice.columns.values() and c.sampled and not c.numbers > 0.5]
        is_semeval = [role for role in ("id", "label", "text") if role in self.choice.columns] and len(self.found) == 4
        if is_semeval and len(left) == 1 and self._is_short(left[0]) and "query" not in self.given:
            self.choice.take("query", left[0].name, "what the texts are about")


def read_labels(values: pl.Series, scheme: Scheme) -> pl.Series:
    """The labels that a scheme gives to raw values: strings, null where there is none."""
    forms = labels.canonical(values)
    return forms.replace_strict(
        pl.Series(list(scheme.meaning), dtype=pl.String),
        pl.Series(list(scheme.meaning.values()), dtype=pl.String),
        default=None,
        return_dtype=pl.String,
    )
