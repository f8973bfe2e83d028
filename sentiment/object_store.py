"""What shards, files of a lake and published tables have in common: an address, and patience with a store that is away.

Addresses are those of pyarrow, such as `s3://bucket/prefix?region=eu-central-1`. Keys come from the environment
(`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`) or the machine's role, never from an address, which ends up in tables and logs.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from sentiment.model.errors import SentimentError

if TYPE_CHECKING:  # Commands that read no object need not wait for it.
    from pyarrow import fs

SECONDS_OF_PATIENCE = 120.0
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", flags=re.IGNORECASE)
_KEYS_IN_ADDRESS = re.compile(r"://[^/?]*@")
_REFUSALS = ("ACCESS_DENIED", "NO_SUCH_BUCKET", "INVALID_ACCESS_KEY", "SIGNATURE_DOES_NOT")
T = TypeVar("T")


class StoreError(SentimentError):
    """A folder or bucket cannot be used."""


def is_address(name: str) -> bool:
    """Whether a name is an address, such as `s3://bucket/prefix`, and not a path."""
    return _ADDRESS.match(name) is not None


def open_address(address: str) -> tuple[fs.FileSystem, str]:
    """The file system of an address, and the path in it; nothing is read or written yet.

    Raises:
        ValueError: the address cannot be understood, or holds a key.
    """
    if _KEYS_IN_ADDRESS.search(address):
        raise ValueError("it holds a key, which would end up in logs. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    import pyarrow as pa
    from pyarrow import fs

    try:
        filesystem, path = fs.FileSystem.from_uri(address)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ValueError(first_line(error)) from error
    return filesystem, path


def patiently(operation: Callable[[], T], seconds: float, refused: Callable[[Exception], SentimentError]) -> T:
    """The result of an operation, which is tried again while the store cannot be reached.

    Args:
        refused: makes the error to raise where the store refuses, or stays away for `seconds`.

    Raises:
        FileNotFoundError: there is no such file.
    """
    import pyarrow as pa

    deadline = time.monotonic() + seconds
    pause = 0.2
    while True:
        try:
            return operation()
        except FileNotFoundError:
            raise
        except (PermissionError, IsADirectoryError) as error:
            raise refused(error) from error
        except (OSError, pa.ArrowException) as error:
            if any(word in str(error) for word in _REFUSALS) or time.monotonic() + pause > deadline:
                raise refused(error) from error
            time.sleep(pause)
            pause = min(2 * pause, 5.0)


def first_line(error: Exception) -> str:
    """An error in one line, without the full stop."""
    return str(error).partition("\n")[0].rstrip(".")
