"""What a file is: its format, packing, encoding and dialect, and whether its first row names the columns.

The content decides, not the name. A file of another kind is refused with what it is instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import orjson

from sentiment.errors import InputError, NotReadyError
from sentiment.ingest.mapping.names import INDEX_NAMES, is_known, plain
from sentiment.ingest.readers import excel, parquet
from sentiment.ingest.readers.byte_stream import HEAD_BYTES, ZIP_MAGIC, Source, open_source
from sentiment.ingest.readers.dialect import Dialect, find_dialect, is_prose, one_column
from sentiment.ingest.readers.encoding import as_utf8, ends_lines_with_cr, find_encoding, known_encoding
from sentiment.ingest.readers.partitions import Partitions, partitions_of
from sentiment.ingest.readers.posts import PLAIN, find_layout
from sentiment.ingest.text import decode

Kind = Literal[
    "table", "labelled lines", "json lines", "json array", "json document", "parquet", "excel", "text and labels"
]

_FOREIGN_MAGIC = {
    b"%PDF": "a PDF document",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"SQLite format 3": "an SQLite database; read it with --source-url",
    b"\x28\xb5\x2f\xfd": "compressed twice; decompress it once",
    b"\x1f\x8b": "compressed twice; decompress it once",
    b"BZh": "compressed with bzip2; compress it with gzip or Zstandard instead",
    b"\xfd7zXZ": "compressed with xz; compress it with gzip or Zstandard instead",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it",
    b"Rar!": "a RAR archive; unpack it",
}
_WEB_PAGE = re.compile(rb"\A\s*(?:<\?xml|<!doctype html|<html)", re.I)
_OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"
EXPECTED = (
    "Expected is a table of posts as CSV or TSV of any kind, JSON, Parquet or Excel; text also packed as .gz, .zst or .zip. "
    "`sentiment inspect FILE` says what a file is taken for."
)
_NUMBER = re.compile(r"[-+]?[\d.,:/ TZ+-]+$")
_BY_COLUMN = re.compile(rb'\s*\{\s*(?:"[^"]*"\s*:\s*\{\s*"0"\s*:|"columns"\s*:\s*\[\s*")')
_MOSTLY = 0.9


@dataclass(frozen=True)
class Form:
    """How the bytes of a file become records with named columns."""

    kind: Kind
    compression: str | None = None
    encoding: str = "utf-8"
    has_mark: bool = False
    has_cr_ends: bool = False
    dialect: Dialect | None = None
    names: tuple[str, ...] = ()
    header_bytes: int = 0
    has_header: bool = False
    layout: str = PLAIN.name
    namespace: str | None = None
    class_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    left_sheets: tuple[str, ...] = ()
    partitions: Partitions = ()

    @property
    def can_grow(self) -> bool:
        """Whether what is appended can be read without what comes before."""
        is_lines = self.kind in ("table", "labelled lines") or (self.kind == "json lines" and self.layout == PLAIN.name)
        return is_lines and self.encoding == "utf-8" and not self.has_cr_ends

    @property
    def name(self) -> str:
        """For people."""
        kinds = {
            "table": "text table",
            "labelled lines": "fastText's lines, each a label and a text",
            "json lines": "JSON, one object a line",
            "json array": "JSON array",
            "json document": "JSON",
            "parquet": "Parquet",
            "excel": "Excel workbook",
            "text and labels": "texts and labels in two files, line by line",
        }
        parts = [kinds[self.kind]]
        if self.kind.startswith("json") and self.layout != PLAIN.name:
            parts = [self.layout]
        if self.dialect is not None and self.kind == "table":
            parts.append(self.dialect.name)
            parts.append("with a header" if self.has_header else "without a header")
        if self.compression:
            parts.append(f"packed with {self.compression}")
        if self.encoding != "utf-8":
            parts.append(f"in {self.encoding}")
        elif self.has_mark:
            parts.append("with a byte order mark")
        if self.has_cr_ends:
            parts.append("lines end with carriage returns")
        if self.partitions:
            parts.append(f"{' and '.join(name for name, _ in self.partitions)} from the names of its folders")
        return ", ".join(parts)


def find_form(path: Path, *, delimiter: str | None = None, encoding: str | None = None) -> Form:
    """Look at the beginning of a file, and at the names of its folders.

    Args:
        delimiter, encoding: given by the user.

    Raises:
        InputError: it is no file that can be read, or of an encoding that only a person can name.
        NotReadyError: it is empty or not complete.
    """
    return replace(_form_of(path, delimiter, encoding), partitions=partitions_of(path))


def _form_of(path: Path, delimiter: str | None, encoding: str | None) -> Form:
    with open_source(path, HEAD_BYTES) as source:
        head = source.head
        if head.startswith(parquet.MAGIC):
            parquet.check_end(path, source.file)
            return Form("parquet", class_names=parquet.class_names(path, source.file))
        if (head.startswith(ZIP_MAGIC) and source.compression is None) or head.startswith(_OLD_WORKBOOK):
            return _workbook(path)
        _refuse_foreign(source)
        found = known_encoding(encoding) if encoding else find_encoding(head)
        if found is None:
            raise InputError(
                f"{path} is text in an encoding that cannot be told: most of its letters are neither UTF-8 nor windows-1252. "
                "Name it, for example with --encoding cp1251 (Cyrillic), shift_jis, gb18030 or latin-2."
            )
        has_mark = head.startswith(b"\xef\xbb\xbf")
        has_cr_ends = ends_lines_with_cr(head, found)
        text = b"".join(as_utf8([head], found, has_cr_ends=has_cr_ends))
        common: dict[str, Any] = {
            "compression": source.compression,
            "encoding": found,
            "has_mark": has_mark,
            "has_cr_ends": has_cr_ends,
        }
    if not text.strip():
        raise NotReadyError(f"{path} is empty. It is read once it has content.")
    is_whole = len(head) < HEAD_BYTES
    if (kind := _json_kind(path, text, is_whole)) is not None:
        layout = find_layout(_sample_objects(text, kind), is_by_column=_BY_COLUMN.match(text) is not None)
        return Form(kind, layout=layout.name, namespace=layout.namespace, **common)
    if _labels_beside(path) is not None:
        return Form("text and labels", names=("text", "label"), class_names=_class_names_beside(path), **common)
    return _table(text, delimiter, common)


def _refuse_foreign(source: Source) -> None:
    for magic, kind in _FOREIGN_MAGIC.items():
        if source.head.startswith(magic):
            raise InputError(f"{source.path} is {kind}. {EXPECTED}")
    if _WEB_PAGE.match(source.head):
        raise InputError(f"{source.path} is a web page or XML, not a table. Download the file itself. {EXPECTED}")
    name = source.path.name
    if (
        name.endswith("labels.txt")
        and (texts := source.path.with_name(name.removesuffix("labels.txt") + "text.txt")).exists()
    ):
        raise InputError(f"{source.path} holds the labels of {texts}. Give that file; both are read together.")


# -- JSON


def _json_kind(path: Path, text: bytes, is_whole: bool) -> Kind | None:
    """Which kind of JSON a text is, by what most of its first lines are; None where it is no JSON."""
    lines = [line.strip() for line in text.split(b"\n")]
    if not is_whole and len(lines) > 1:
        lines.pop()
    lines = [line for line in lines if line][:1000]
    count_objects = sum(line.startswith(b"{") and _is_object(line.rstrip(b",")) for line in lines)
    start = text.lstrip()
    name = path.name.lower().removesuffix(".gz").removesuffix(".zst")
    is_named = name.endswith((".ndjson", ".jsonl"))
    if re.match(rb"(?:[\w.$]+\s*=\s*)?\[", start) and not _is_object(lines[0]):
        inner = [line for line in lines if line.strip(b"[], ;")]
        if count_objects > 1 and count_objects >= 0.5 * len(inner):
            return "json array"
        return "json document" if re.match(rb"(?:[\w.$]+\s*=\s*)?\[\s*(?:\{|$|\])", start) else None
    if count_objects and (is_named or count_objects >= 0.5 * len(lines)):
        return "json lines"
    if start.startswith(b"{") and (len(lines) == 1 or re.match(rb'\{\s*"', start)) and not count_objects:
        return "json lines" if is_named and len(lines) > 1 and not is_whole else "json document"
    return "json lines" if is_named else None


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(decode(line)), dict)
    except orjson.JSONDecodeError:
        return False


def _sample_objects(text: bytes, kind: Kind) -> list[dict[str, object]]:
    from sentiment.ingest.readers.json_records import sample_values

    found = []
    if kind == "json document":
        return [value for value in sample_values(text) if isinstance(value, dict)]
    for line in text.split(b"\n")[:200]:
        with suppress(orjson.JSONDecodeError):
            value = orjson.loads(decode(line.strip().removeprefix(b"[").removesuffix(b",")))
            if isinstance(value, dict):
                found.append(value)
    return found


# -- Tables


def _table(text: bytes, delimiter: str | None, common: dict[str, Any]) -> Form:
    lines = decode(text).replace("\r\n", "\n").split("\n")
    if len(lines) > 1:
        # The last one is cut off by the end of the sample, or perhaps torn.
        lines.pop()
    if not delimiter and sum(line.startswith("__label__") for line in lines) > _MOSTLY * sum(map(bool, lines)):
        return Form("labelled lines", names=("label", "text"), **common)
    dialect = find_dialect(lines, _known_delimiter(delimiter) if delimiter else None)
    first = dialect.split(lines[0])
    has_header = (
        first is not None
        and len(first) == dialect.count_columns
        and is_header(
            first, [fields for line in lines[1:200] if (fields := dialect.split(line)) and len(fields) == len(first)]
        )
    )
    if not has_header and not delimiter and is_prose(lines, dialect):
        dialect = one_column(lines)
    names = unique_names(first) if has_header and first else numbered(dialect.count_columns)
    header_bytes = text.find(b"\n") + 1 if has_header else 0
    if has_header and not header_bytes:
        header_bytes = len(text)
    return Form("table", dialect=dialect, names=names, header_bytes=header_bytes, has_header=has_header, **common)


def _known_delimiter(given: str) -> str:
    delimiter = {"\\t": "\t", "tab": "\t"}.get(given, given)
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
        raise InputError(f"--delimiter is {given!r}; expected is one character of ASCII, such as ; or |, or tab.")
    return delimiter


def numbered(count: int) -> tuple[str, ...]:
    """Names of columns that have none."""
    return tuple(f"column {number}" for number in range(1, count + 1))


def unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names as they are, without blanks around them; repeated ones with a number, empty ones by their place."""
    found: list[str] = []
    for number, given in enumerate(names, start=1):
        name = given.strip().lstrip("\ufeff") or f"column {number}"
        stem, copy = name, 1
        while name in found:
            name, copy = f"{stem}_{copy}", copy + 1
        found.append(name)
    return tuple(found)


def is_header(first: Sequence[str], body: Sequence[Sequence[str]]) -> bool:  # noqa: PLR0911 - one line a rule
    """Whether the first record names the columns: by known names, or by being unlike all that follows."""
    cells = [cell.strip() for cell in first]
    if any(len(cell) > 80 or "\n" in cell for cell in cells):
        return False
    if any(cell and _NUMBER.match(cell) and plain(cell) not in INDEX_NAMES for cell in cells):
        return False
    named = [cell for cell in cells if cell]
    if len(set(named)) < len(named) or not named:
        return False
    count_known = sum(is_known(cell) for cell in named)
    if count_known >= max(1, len(cells) / 3) and (len(cells) > 1 or len(cells[0].split()) <= 3):
        return True
    if len(cells) == 1 or any(len(cell.split()) > 4 for cell in cells) or len(named) < len(cells) - 1:
        return False
    columns = list(zip(*body, strict=True)) if body else []
    for cell, values in zip(cells, columns, strict=False):
        given = [value for value in values if value]
        if given and cell and sum(bool(_NUMBER.match(value)) for value in given) > 0.8 * len(given):
            return True
        if len(given) >= 10 and len(set(given)) <= 0.3 * len(given) and cell not in given and count_known:
            return True
    return False


def _workbook(path: Path) -> Form:
    sheet = excel.open_sheet(path)
    rows = [["" if cell is None else cell for cell in row] for row in sheet.cells.head(200).rows()]
    filled = next((number for number, row in enumerate(rows) if any(row)), 0)
    has_header = is_header(rows[filled], rows[filled + 1 :])
    width = sheet.cells.width
    names = unique_names(rows[filled]) if has_header else numbered(width)
    return Form(
        "excel", names=names, has_header=has_header, header_bytes=filled + has_header, left_sheets=sheet.other_sheets
    )


# -- Texts and labels in two files, as TweetEval has them


def _labels_beside(path: Path) -> Path | None:
    if not path.name.endswith("text.txt"):
        return None
    labels = path.with_name(path.name.removesuffix("text.txt") + "labels.txt")
    return labels if labels.is_file() else None


def labels_of(path: Path) -> Path:
    """The file of labels that belongs to a file of texts."""
    labels = _labels_beside(path)
    assert labels is not None
    return labels


def _class_names_beside(path: Path) -> dict[str, tuple[str, ...]]:
    mapping = path.with_name("mapping.txt")
    try:
        pairs = [line.split(None, 1) for line in mapping.read_text(encoding="utf-8").splitlines() if line.strip()]
        return {"label": tuple(name.strip() for _, name in sorted(pairs, key=lambda pair: int(pair[0])))}
    except (OSError, ValueError):
        return {}
