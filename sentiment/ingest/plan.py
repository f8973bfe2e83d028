"""What is to be done with a file before anything is written: what it is, how it is read, whether it is known or has grown.

The first batch decides how a file is read, if it can; whether the rest agrees shows while it is loaded (`Watched`),
so that no file is read twice for it. Where the first batch leaves a doubt, the whole file is looked at before
anything is asked.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentiment.errors import InputError, RefusedFileError
from sentiment.ingest.mapping.question import Question
from sentiment.ingest.mapping.reading import Reading, ReadingOptions, ask, decide
from sentiment.ingest.mapping.survey import Survey
from sentiment.ingest.read_ahead import read_ahead
from sentiment.ingest.readers import reject_reasons
from sentiment.ingest.readers.batch import Batch
from sentiment.ingest.readers.byte_stream import PIECE_BYTES, Fingerprint
from sentiment.ingest.readers.files import read_batches
from sentiment.ingest.readers.form import EXPECTED, Form, find_form
from sentiment.ingest.readers.records import Chunk, RecordMaker
from sentiment.ingest.text import decode


@dataclass(frozen=True)
class Looked:
    """A file that was looked at as a whole, or as far as one batch goes."""

    form: Form
    survey: Survey
    reading: Reading
    questions: list[Question]
    is_whole: bool


class ReadingChanged(Exception):
    """What came later in a file changes how all of it is read."""

    def __init__(self, reading: Reading) -> None:
        super().__init__()
        self.reading = reading


def look_at(path: Path, options: ReadingOptions, *, whole: bool) -> Looked:
    """Find out how a file is read.

    Args:
        whole: look at all of it; otherwise at the first batch, and at the rest only if that leaves a question.

    Raises:
        InputError: the file cannot be read, or none of its records can.
        RefusedFileError: it contradicts itself.
    """
    form = find_form(path, delimiter=options.delimiter, encoding=options.encoding)
    survey = Survey()
    # Few blocks cost less, and a small first one answers sooner.
    batches = read_batches(path, form, block_bytes=PIECE_BYTES // (1 if whole else 4))
    if whole:
        batches = read_ahead(batches)
    first = next(batches, None)
    if first is None:
        # A header and nothing else, as a day without posts has it.
        return Looked(form, survey, Reading(form, {}), [], is_whole=True)
    survey.add(first)
    rest = next(batches, None)
    if rest is None or not whole:
        if rest is not None and not survey.count_rows:
            return _look_at_rest(path, form, survey, rest, batches, options)
        looked = _decided(path, form, survey, first, options, is_whole=rest is None)
        if rest is None or not looked.questions:
            return looked
    assert rest is not None
    return _look_at_rest(path, form, survey, rest, batches, options)


def _look_at_rest(
    path: Path, form: Form, survey: Survey, second: Batch, batches: Iterator[Batch], options: ReadingOptions
) -> Looked:
    for batch in itertools.chain((second,), batches):
        survey.add(batch)
    return _decided(path, form, survey, second, options, is_whole=True)


def _decided(
    path: Path, form: Form, survey: Survey, batch: Batch, options: ReadingOptions, *, is_whole: bool
) -> Looked:
    if not survey.count_rows:
        raise InputError(_hopeless(path, form, batch))
    try:
        reading, questions = decide(form, survey, options)
    except InputError as error:
        raise type(error)(f"{path}: {error}") from error
    return Looked(form, survey, reading, questions, is_whole)


def _hopeless(path: Path, form: Form, batch: Batch) -> str:
    number, reason = batch.unreadable[0]
    line = decode(batch.raw_line(number)[0][:200])
    return (
        f"{path} is not a file of posts that can be read: it was taken for {form.name}, and none of its "
        "records can be taken, the first "
        f"for {reason}. {reject_reasons.SENTENCES[reason]} It begins with {line!r}. {EXPECTED}"
    )


def read_chunks(
    path: Path, options: ReadingOptions = ReadingOptions(), *, gold: bool = False, block_bytes: int = PIECE_BYTES
) -> Iterator[Chunk]:
    """The typed records of a file, chunk by chunk, once the whole of it has been looked at.

    Raises:
        InputError, UnsureError, RefusedFileError, NotReadyError: as `look_at`, and where there is a question.
    """
    looked = look_at(path, options, whole=True)
    ask(path, looked.questions)
    maker = RecordMaker(looked.reading, gold=gold)
    yield from map(maker.make, read_batches(path, looked.reading.form, block_bytes=block_bytes))


@dataclass
class Watched:
    """Batches of a file on their way, looked at as they pass."""

    path: Path
    options: ReadingOptions
    reading: Reading
    survey: Survey
    is_final: bool

    def watch(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Hand on the batches; at the end, make sure that all of them agree with the reading.

        Raises:
            ReadingChanged: the whole file is read otherwise than its beginning.
            UnsureError: the whole file leaves a question.
        """
        for batch in batches:
            if not self.is_final:
                self.survey.add(batch)
            yield batch
        if not self.is_final:
            final, questions = decide(self.reading.form, self.survey, self.options)
            ask(self.path, questions)
            if not self.reading.reads_as(final):
                raise ReadingChanged(final)


# -- What is written down of a reading


def details_of(reading: Reading) -> str:
    """A reading as JSON, for the account of a file."""
    scheme, times = reading.scheme, reading.times
    return json.dumps(
        {
            "form": reading.form.name,
            "columns": dict(reading.columns),
            "labels": scheme.meaning if scheme is not None else None,
            "date_format": times.pattern or times.order or times.unit if times is not None else None,
            "time_zone": times.zone if times is not None else None,
            "ids": reading.ids,
            "source": reading.namespace,
            "left_out": list(reading.left_out),
        },
        ensure_ascii=False,
    )


def check_growth(path: Path, details: str | None, reading: Reading) -> None:
    """Make sure that a file which has grown is read as its beginning was.

    Raises:
        RefusedFileError: its new rows change how the old ones have to be read.
    """
    if details is None:
        return
    before: dict[str, Any] = json.loads(details)
    now: dict[str, Any] = json.loads(details_of(reading))
    labels_before, labels_now = before["labels"] or {}, now["labels"] or {}
    changed = [
        name for name in ("columns", "date_format", "ids") if before[name] != now[name] and before[name] is not None
    ]
    if any(labels_now.get(value, label) != label for value, label in labels_before.items()):
        changed.append("labels")
    if changed:
        raise RefusedFileError(
            f"{path} has grown, and with its new rows its {' and '.join(changed)} would be read otherwise than "
            "before. Take out what was "
            f"loaded with `sentiment withdraw {path}` and ingest it again, or say how it is to be read."
        )


def can_continue(content: Fingerprint, earlier: dict[str, Any], reading: Reading) -> bool:
    """Whether only the rest of a grown file has to be read: never where identity needs the whole file."""
    is_same = content.prefixes.get(earlier["count_bytes"]) == earlier["file_id"]
    return is_same and reading.form.can_grow and reading.ids != "content"
