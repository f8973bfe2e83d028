"""The errors of the package that travels, which can import nothing of the project; the whole tree is in `sentiment.errors`."""

from __future__ import annotations


class SentimentError(Exception):
    """Base of all errors with a sentence for the user."""

    exit_status = 1


class ModelError(SentimentError):
    """A saved model, or a registered version, cannot be used."""
