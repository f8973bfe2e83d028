"""Every error that a user can cause or fix. The command line prints its sentence; it catches nothing else.

    SentimentError
    ├── InputError          a file, tweet, query or option is not what was asked for           exit status 2
    │   ├── NotReadyError   the file is still being written or its last line is torn           exit status 1
    │   ├── UnsureError     the file can be read in more than one way; names the options       exit status 2
    │   └── RefusedFileError  what the file holds cannot be right: nothing of it was loaded    exit status 1
    ├── HomeError           the home cannot be used: read-only, disk full, damaged, too new    exit status 1
    │   └── BusyError       another process holds the warehouse for longer than we wait        exit status 1
    ├── DatabaseError       another database cannot be reached, or refuses what is asked       exit status 1
    ├── DownloadError       a file could not be fetched                                         exit status 1
    ├── ModelError          a model folder or version cannot be used                           exit status 1
    ├── NoChampionError     there is no champion to score with yet                             exit status 1
    └── TrainingError       there is nothing, or not enough, to train or decide on             exit status 1

Each message says what was found, what was expected and what to do.
"""

from __future__ import annotations

from typing import Any

from sentiment.model.errors import ModelError, SentimentError

__all__ = [
    "BusyError",
    "DatabaseError",
    "DownloadError",
    "HomeError",
    "InputError",
    "ModelError",
    "NoChampionError",
    "NotReadyError",
    "RefusedFileError",
    "SentimentError",
    "TrainingError",
    "UnsureError",
]


class InputError(SentimentError):
    """What the user gave is not what was expected; nothing was changed."""

    exit_status = 2


class NotReadyError(InputError):
    """The file is not complete yet; the next run takes it up."""

    exit_status = 1


class RefusedFileError(InputError):
    """A file is mostly rejected, lacks a class, or contradicts itself; says why and what to do."""

    exit_status = 1


class UnsureError(InputError):
    """A file can be read in more than one way.

    Attributes:
        questions: `sentiment.ingest.mapping.question.Question`, each with the options that answer it.
    """

    def __init__(self, message: str, questions: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.questions = questions


class HomeError(SentimentError):
    """The home folder or the warehouse in it cannot be used."""


class BusyError(HomeError):
    """Another process is writing; waited as long as allowed."""


class DatabaseError(SentimentError):
    """Another database, to publish to or to read from, cannot be reached or refuses what is asked."""


class DownloadError(SentimentError):
    """A file could not be fetched; says how to get it by hand."""


class NoChampionError(SentimentError):
    """There is no champion to score with yet."""


class TrainingError(SentimentError):
    """There is nothing, or not enough, to train or decide on."""
