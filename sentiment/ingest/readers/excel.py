"""Excel workbooks: the first sheet that has rows, every cell as the string that it shows; row numbers are the sheet's own."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import polars as pl

from sentiment.errors import InputError
from sentiment.ingest.readers.batch import Batch
from sentiment.ingest.readers.lines import LONGEST_KEPT

_BATCH_ROWS = 50_000
_MOST_UNPACKED = 1 << 30


@dataclass(frozen=True)
class Sheet:
    """The cells of a sheet as strings, and the names of the sheets that are not read."""

    name: str
    cells: pl.DataFrame
    other_sheets: tuple[str, ...]


def open_sheet(path: Path) -> Sheet:
    """Read the first sheet that has rows.

    Raises:
        InputError: the workbook is damaged or locked by a password, or has no rows.
    """
    import fastexcel

    _refuse_huge(path)
    try:
        workbook = fastexcel.read_excel(str(path))
        for name in workbook.sheet_names:
            sheet = workbook.load_sheet(name, header_row=None, dtypes="string")
            cells = sheet.to_polars()
            if cells.height:
                others = tuple(other for other in workbook.sheet_names if other != name)
                return Sheet(name, cells, others)
    except fastexcel.FastExcelError as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path} cannot be read as an Excel workbook ({reason}). Save the sheet again, or as CSV."
        ) from error
    raise InputError(f"{path} is an Excel workbook without any row. Give the file whose sheet holds the posts.")


def _refuse_huge(path: Path) -> None:
    """A workbook is unpacked in memory as a whole."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile:
        return  # Of Excel before 2007, which is not packed; or damaged, which fastexcel says better.
    if size > _MOST_UNPACKED:
        raise InputError(
            f"{path} is an Excel workbook of {size >> 20:,} MiB when it is unpacked; at most {_MOST_UNPACKED >> 20:,} are "
            "read. Save its sheet as CSV."
        )


def read_sheet(sheet: Sheet, names: Sequence[str], first_row: int) -> Iterator[Batch]:
    """The rows of a sheet from `first_row` (from 0) on, under `names`; empty rows are left out, as Excel shows them."""
    cells = sheet.cells.slice(first_row)
    cells = cells.rename(dict(zip(cells.columns, names, strict=True)), strict=True)
    for start in range(0, cells.height, _BATCH_ROWS):
        frame = cells.slice(start, _BATCH_ROWS)
        first_line = start + first_row + 1
        has_value = frame.select(pl.any_horizontal(pl.all().fill_null("") != "")).to_series()

        def raw_line(line_number: int, frame: pl.DataFrame = frame, first_line: int = first_line) -> tuple[bytes, int]:
            line = orjson.dumps(frame.row(line_number - first_line, named=True))
            return line[:LONGEST_KEPT], len(line)

        numbers = np.flatnonzero(has_value.to_numpy()) + first_line
        if len(numbers):
            yield Batch(numbers.astype(np.int64), frame.filter(has_value), [], raw_line)
