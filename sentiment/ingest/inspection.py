"""What a file is, before anything is loaded: `sentiment inspect`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentiment.ingest.mapping.question import Question
from sentiment.ingest.mapping.reading import Reading, ReadingOptions
from sentiment.ingest.mapping.survey import Survey
from sentiment.ingest.mapping.times import TimePlan, parse_times
from sentiment.ingest.plan import look_at
from sentiment.ingest.readers.files import read_batches
from sentiment.ingest.readers.records import RecordMaker

COUNT_ROWS = 5


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        rows: the first five as they would go in.
        labels: how often each value of the label column stands, as it is compared.
        rejected: reasons why rows of the beginning would be rejected, and how many.
    """

    path: str
    reading: Reading
    questions: list[Question]
    count_rows: int
    count_unreadable: int
    columns: list[dict[str, Any]]
    labels: dict[str, int]
    languages: dict[str, int]
    earliest: Any
    latest: Any
    rows: list[dict[str, Any]]
    rejected: dict[str, int]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        reading = self.reading
        return {
            "path": self.path,
            "form": reading.form.name,
            "count_rows": self.count_rows,
            "count_unreadable": self.count_unreadable,
            "columns": self.columns,
            "left_out": list(reading.left_out),
            "ids": reading.ids,
            "source": reading.namespace,
            "labels": {"meaning": reading.scheme.meaning if reading.scheme else None, "counts": self.labels},
            "times": {
                "read": reading.times.sentence if reading.times else None,
                "earliest": self.earliest,
                "latest": self.latest,
            },
            "languages": self.languages,
            "rows": self.rows,
            "rejected_at_the_beginning": self.rejected,
            "questions": [
                {"about": q.about, "sentence": q.sentence, "options": [q.option, *(v for v, _ in q.choices[1:])]}
                for q in self.questions
            ],
            "seconds": self.seconds,
        }


def inspect_file(path: Path, options: ReadingOptions = ReadingOptions()) -> Inspection:
    """Look at a whole file and say how it would be read; nothing is loaded.

    Raises:
        InputError: it cannot be read at all, or contradicts itself.
        NotReadyError: it is not complete.
    """
    began = time.perf_counter()
    path = path.expanduser().absolute()
    looked = look_at(path, options, whole=True)
    reading, survey = looked.reading, looked.survey
    first = next(read_batches(path, reading.form), None)
    rows: list[dict[str, Any]] = []
    rejected: dict[str, int] = {}
    if first is not None and "text" in reading.columns:
        chunk = RecordMaker(reading, gold=False).make(first)
        shown = chunk.records.head(COUNT_ROWS).drop("raw_text", "line_number")
        rows = list(shown.iter_rows(named=True))
        rejected = dict(chunk.rejects["reason"].value_counts(name="count").sort("count", descending=True).iter_rows())
    earliest, latest = _span(reading, survey)
    label = survey.columns.get(reading.columns.get("label", ""))
    language = survey.columns.get(reading.columns.get("language", ""))
    return Inspection(
        path=str(path),
        reading=reading,
        questions=looked.questions,
        count_rows=survey.count_rows,
        count_unreadable=survey.count_unreadable,
        columns=_columns(reading, survey),
        labels=dict(label.values.most_common()) if label is not None and label.values else {},
        languages=dict(language.languages.most_common(8)) if language is not None and language.languages else {},
        earliest=earliest,
        latest=latest,
        rows=rows,
        rejected=rejected,
        seconds=time.perf_counter() - began,
    )


def _columns(reading: Reading, survey: Survey) -> list[dict[str, Any]]:
    roles = {name: role for role, name in reading.columns.items()}
    sample = survey.sample()
    found = []
    for name, column in survey.columns.items():
        if name == "\0":
            continue
        given = sample[name].drop_nulls().to_list() if name in sample.columns else []
        example = next((value for value in given if value.strip()), "")
        role = roles.get(name)
        found.append(
            {
                "column": name,
                "taken_for": role,
                "because": reading.reasons.get(role, "") if role else "",
                "share_given": round(column.is_given, 4),
                "example": example[:80],
            }
        )
    return found


def _span(reading: Reading, survey: Survey) -> tuple[Any, Any]:
    """The earliest and the latest time of the rows that were looked at closely."""
    name = reading.columns.get("date")
    sample = survey.sample()
    if name is None or name not in sample.columns:
        return None, None
    times = parse_times(sample[name], reading.times or TimePlan()).drop_nulls()
    return (times.min(), times.max()) if len(times) else (None, None)
