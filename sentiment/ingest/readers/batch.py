"""What every reader gives: some consecutive records of a file as named columns of strings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl


@dataclass(frozen=True)
class Batch:
    """Consecutive records.

    Attributes:
        line_numbers: int64, shape (records,), ascending: the line (in tables without lines, the row) at which each begins.
        columns: one row a record: strings, null where the format has a null; times of Parquet as Datetime in UTC.
        unreadable: line number and reason of each record that has no columns.
        raw_line: gives the bytes to keep of any record of the batch by its line number, and their true length.
        not_text: for columns that hold them, which rows are neither string nor number nor null, such as lists.
        not_string: for columns that hold them, which rows are neither string nor null.
        of_folders: columns that say what the names of the file's folders say.
        has_nul: whether a field may hold NUL bytes.
        raw_field: the original bytes of a field by line number and column, where decoding changed them; else None.
    """

    line_numbers: np.ndarray
    columns: pl.DataFrame
    unreadable: Sequence[tuple[int, str]]
    raw_line: Callable[[int], tuple[bytes, int]]
    not_text: dict[str, pl.Series] = field(default_factory=dict)
    not_string: dict[str, pl.Series] = field(default_factory=dict)
    raw_field: Callable[[str], dict[int, bytes]] | None = None
    has_nul: bool = True
    of_folders: frozenset[str] = frozenset()

    def __len__(self) -> int:
        """Records, readable or not."""
        return len(self.line_numbers) + len(self.unreadable)
