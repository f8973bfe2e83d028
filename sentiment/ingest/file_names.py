"""Names of files as tables and Prefect can keep them: in UTF-8, which a file system does not ask for."""

from __future__ import annotations

import os
from pathlib import Path

from sentiment.errors import InputError


def in_utf8(path: Path) -> str:
    """The path as a string; bytes of a name in another encoding are written as `\\xfc`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def refuse_other_names(path: Path) -> None:
    """Make sure that tables can keep a path.

    Raises:
        InputError: its name is not in UTF-8.
    """
    if (name := in_utf8(path)) != str(path):
        raise InputError(f"The name of {name} is not in UTF-8, so nothing could refer to the file. Rename it.")
