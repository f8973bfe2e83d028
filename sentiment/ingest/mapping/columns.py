"""Which column is taken for what, and why: by its name where the file has names, and by what it holds in any case.

A name alone does not make a column: one that is called `text` and holds numbers is no text. Content alone decides
only where columns have no names, or where a text or words for labels leave no doubt. Two that could be the text, or
labels that disagree, are a question.
"""

from __future__ import annotations

from collections.abc import Callable

from sentiment.ingest.mapping import labels, names
from sentiment.ingest.mapping.choice import Choice, place_of, ranked
from sentiment.ingest.mapping.label_columns import LabelChooser
from sentiment.ingest.mapping.labels import Scheme, find_scheme
from sentiment.ingest.mapping.question import Question
from sentiment.ingest.mapping.survey import ColumnSurvey, Survey
from sentiment.ingest.readers.form import Form

_ENOUGH_TO_REPEAT, _MOSTLY_REPEATED = 50, 0.05
_LEAST_WORDS = 2.5
_SENTIMENT140 = ("label", "id", "date", "query", "user", "text")


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
        self.found = survey.named()
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
        LabelChooser(self.form, self.survey, self.choice, self.given, self.meaning, self.has_names).choose()
        self._choose_simple("id", self._is_id)
        self._choose_simple("user", self._is_user)
        self._choose_simple("query", self._is_short)
        self._choose_simple("language", lambda column: column.longest <= 20)
        self._choose_title()
        if not self.has_names and not self.choice.is_sentiment140:
            self._choose_by_content()
        self._choose_folders()
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
        if is_target and is_id and is_date:
            return True
        is_text = text.letters >= 0.5 or text.sampled < 5
        return is_text and ((is_target and (is_id or is_date)) or (is_number_label and is_date and is_id))

    # -- Roles by name and content

    def _choose_simple(self, role: str, fits: Callable[[ColumnSurvey], bool]) -> None:
        if role in self.given or role in self.choice.columns or not self.has_names:
            return
        for _, column in ranked(self.found, self.choice, role):
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
            [(rank, column) for rank, column in ranked(self.found, self.choice, "text") if self._is_text(column)]
            if self.has_names
            else []
        )
        rich = [column for column in self._unnamed() if self._is_text(column) and self._is_rich(column)]
        if rich:
            named = [(rank, column) for rank, column in named if not self._is_repeated(column)]
        tier = [column for rank, column in named if rank[0] == named[0][0][0]] if named else []
        if len(tier) > 1:
            tier = self._best_texts(tier)
        if len(tier) == 1:
            self.choice.take("text", tier[0].name, "by its name and what it holds")
            return
        rivals = tier or rich
        if not tier and not rivals:
            rivals = [column for column in self._unnamed() if self._is_text(column)]
        if not tier and len(rivals) > 1:
            longest = max(rivals, key=lambda column: column.words)
            if all(column.words * 4 < longest.words for column in rivals if column is not longest):
                rivals = [longest]
        if len(rivals) == 1 and (tier or self._may_be_texts(rivals[0])):
            self.choice.take("text", rivals[0].name, "the only column that holds texts")
            if len(self.found) == 1 and not self.has_names:
                sentence = (
                    "The file has one column and no header: each line may be a post, or a line of anything else. If a "
                    "character separates columns, name it with --delimiter."
                )
                self.choice.questions.append(Question("columns", sentence, (("text=1", "each line is a post"),)))
        else:
            self._ask_for_text(rivals)

    def _best_texts(self, tier: list[ColumnSurvey]) -> list[ColumnSurvey]:
        """Of columns that are all named as texts: without those that are mostly empty, repeated or shorter forms of another."""
        fullest = max(column.is_given for column in tier)
        tier = [column for column in tier if column.is_given >= 0.2 * fullest]
        if any(column.distinct > 0.6 for column in tier):
            tier = [column for column in tier if column.distinct > 0.3]
        by_name = {names.plain(column.name.rpartition(".")[2]): column for column in tier}
        for whole, cut in (
            ("fulltext", "text"),
            ("fulltext", "tweet"),
            ("originaltweet", "tweet"),
            ("text", "sentence"),
            ("textoriginal", "textdisplay"),
        ):
            if whole in by_name and cut in by_name:
                tier = [column for column in tier if column is not by_name[cut]]
        longest = max(column.words for column in tier)
        return [column for column in tier if column.words >= longest / 4]

    def _is_repeated(self, column: ColumnSurvey) -> bool:
        """Whether a column holds a few values, as one named `status` may."""
        return column.sampled >= _ENOUGH_TO_REPEAT and column.distinct < _MOSTLY_REPEATED

    def _is_rich(self, column: ColumnSurvey) -> bool:
        return column.words >= _LEAST_WORDS and (column.distinct > 0.4 or column.sampled < 10)

    def _may_be_texts(self, column: ColumnSurvey) -> bool:
        """Whether a column that is not named as one can only hold texts; one of names, or of single words, can hold others."""
        return column.words >= _LEAST_WORDS or len(self.found) == 1

    def _unnamed(self) -> list[ColumnSurvey]:
        """Columns that no role has by name; texts may be called what labels are called, such as a `bewertung`."""
        taken = set(self.choice.columns.values())
        return [
            column
            for name, column in self.found.items()
            if name not in taken and column.times is None and not (self.has_names and self._is_named_otherwise(column))
        ]

    def _is_named_otherwise(self, column: ColumnSurvey) -> bool:
        others = [role for role in names.ROLES if role != "text" and not (role == "label" and self._is_rich(column))]
        return any(names.rank(column.name, role) for role in others)

    def _ask_for_text(self, rivals: list[ColumnSurvey]) -> None:
        if len(rivals) == 1:
            (only,) = rivals
            sentence = f"No column looks like a text; {only.name} has {only.words:.1f} words a row, as names and keywords have."
            rivals = [only, *(column for column in self.found.values() if column is not only)]
        elif rivals:
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
                tuple(
                    (f"text={place_of(column.name, self.has_names)}", f"{column.name} is the text")
                    for column in choices[:8]
                ),
            )
        )

    def _choose_folders(self) -> None:
        """Names of folders, for roles that no column of the file has: they say of all rows what a column says of each."""
        for role in ("date", "user", "query", "language"):
            if role in self.given or role in self.choice.columns:
                continue
            found = {name: self.survey.columns[name] for name in self.survey.of_folders}
            for _, column in ranked(found, self.choice, role):
                if role != "date" or self._is_date(column):
                    self.choice.take(role, column.name, "by the name of its folder")
                    break

    # -- The rest

    def _choose_title(self) -> None:
        """A title belongs to the text where each post has its own; that of a product or film is shared by many."""
        if "title" in self.given or not self.has_names or "text" not in self.choice.columns:
            return
        for _, column in ranked(self.found, self.choice, "title"):
            if self._is_text(column) and column.distinct > 0.7 and column.is_given > 0.3 and column.sampled >= 2:
                self.choice.take("title", column.name, "each text has its own")
                return

    def _choose_by_content(self) -> None:
        """Columns without names: ids and times by what they hold."""
        left = [column for name, column in self.found.items() if name not in self.choice.columns.values()]
        ids = [
            c
            for c in left
            if c.is_id and c.words <= 1.2 and c.distinct > (0.95 if c.longest >= 5 else 0.999) and c.longest >= 3
        ]
        times = [c for c in left if c.times is not None and (c.letters > 0.5 or c.numbers < 0.5)]
        ids = [
            c
            for c in ids
            if c not in times and (c.numbers > 0.9 or ("text" in self.choice.columns and c.longest >= 12))
        ]
        epochs = [c for c in left if c.times is not None and c.numbers > 0.9 and c.times.is_plausible_epoch]
        # A second column of numbers can be ids or times; where the rows have longer ids already, it is times.
        has_ids = any(c not in epochs and c.longest >= 12 for c in ids) or "id" in self.given
        if len(epochs) == 1 and has_ids and "date" not in self.given and not times:
            times = epochs
            ids = [c for c in ids if c not in epochs]
        if epochs and "date" not in self.given and not times:
            place = place_of(epochs[0].name, self.has_names)
            sentence = f"{epochs[0].name} holds numbers that may be times since 1970, or ids."
            said = ((f"date={place}", "they are times"), (f"id={place},date=", "they are ids"))
            self.choice.questions.append(Question("columns", sentence, said))
            return
        if ids and "id" not in self.given:
            self.choice.take("id", ids[0].name, "different in every row")
        if len(times) == 1 and "date" not in self.given:
            self.choice.take("date", times[0].name, "the only column that holds times")
        elif len(times) > 1 and "date" not in self.given:
            choices = tuple(
                (f"date={place_of(c.name, self.has_names)}", f"{c.name} is when it was posted") for c in times[:4]
            )
            self.choice.questions.append(Question("columns", f"{len(times)} columns hold times.", choices))
        left = [c for c in left if c.name not in self.choice.columns.values() and c.sampled and not c.numbers > 0.5]
        is_semeval = [role for role in ("id", "label", "text") if role in self.choice.columns] and len(self.found) == 4
        if is_semeval and len(left) == 1 and self._is_short(left[0]) and "query" not in self.given:
            self.choice.take("query", left[0].name, "what the texts are about")
