"""Saved sources: how the files of one origin are read, in a short file of the home that anybody can edit.

`sentiment inspect FILE --save NAME` writes `sources/NAME.toml`. `--source NAME` and files in `inbox/NAME/` are read
by it; options on the command line count before it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sentiment.errors import InputError
from sentiment.ingest.mapping.labels import NO_LABEL
from sentiment.ingest.mapping.reading import Reading, ReadingOptions
from sentiment.ingest.mapping.times import FORMATS
from sentiment.model.atomic import atomic_write
from sentiment.settings import Home
from sentiment.warehouse.seals import refuse_damage, seal

NAME = re.compile(r"[\w][\w.-]{0,63}")
_KEYS = ("columns", "labels", "date_format", "time_zone", "delimiter", "encoding", "ids_of", "address")


def source_file(home: Home, name: str) -> Path:
    """Where a source of this name is kept.

    Raises:
        InputError: the name is none.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"The source {name!r} has no name that a file can have. Expected are letters, digits, `_`, `-` and dots."
        )
    return home.root / "sources" / f"{name}.toml"


def load_source(home: Home, name: str) -> ReadingOptions:
    """The options that are saved for a source; the name alone where none are.

    Raises:
        InputError: the file is no TOML, or holds what no source has.
        HomeError: it is damaged.
    """
    written = _read(source_file(home, name), name)
    written.pop("address", None)
    return ReadingOptions(source=name, **written)


def watched_addresses(home: Home) -> dict[str, str]:
    """Addresses of objects that `ingest` reads next to the inbox, by the name of their source.

    Raises:
        InputError, HomeError: as `load_source`.
    """
    files = sorted((home.root / "sources").glob("*.toml"))
    found = {path.stem: _read(path, path.stem).get("address") for path in files if NAME.fullmatch(path.stem)}
    return {name: address for name, address in found.items() if address}


def source_changed_at(home: Home, name: str | None) -> datetime:
    """When the file of a source was changed: what was refused before is tried again then."""
    saved = source_file(home, name) if name is not None else None
    return datetime.fromtimestamp(saved.stat().st_mtime if saved is not None and saved.exists() else 0, UTC)


def _read(path: Path, name: str) -> dict[str, Any]:
    if not path.exists():
        return {}
    refuse_damage(path, f"Make it again: sentiment inspect FILE --save {name}")
    try:
        written: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} is no TOML ({error}). Correct it, or make it again with `sentiment inspect FILE --save {name}`."
        ) from error
    for key, value in written.items():
        wanted = Mapping if key in ("columns", "labels") else str
        if key not in _KEYS or not isinstance(value, wanted):
            raise InputError(
                f"{path} has {key} = {value!r}; expected are {', '.join(_KEYS)}: the first two tables, the others strings."
            )
    return written


def with_source(home: Home, options: ReadingOptions) -> ReadingOptions:
    """The options, and those of the source that they name where they say nothing themselves."""
    return options if options.source is None else options.over(load_source(home, options.source))


def save_source(home: Home, name: str, reading: Reading, example: Path, address: str | None = None) -> Path:
    """Write how a file is read as a source, and give the path; one that is there is replaced.

    Args:
        address: of objects that `ingest` is to read next to the inbox.
    """
    path = source_file(home, name)
    path.parent.mkdir(exist_ok=True, mode=home.folder_mode)
    with atomic_write(path) as draft:
        draft.write_text(_as_toml(name, reading, example, address), encoding="utf-8")
    seal(path)
    return path


def _as_toml(name: str, reading: Reading, example: Path, address: str | None) -> str:
    lines = [
        f"# How files of the source {name} are read, as found in {example.name}. Edit it if you like.",
        f"# Files in inbox/{name}/ are read by it, and so is `sentiment ingest FILE --source {name}`.",
        "",
        f"# Columns by role; a role that is missing stays empty. Left out: {', '.join(reading.left_out) or 'nothing'}.",
        "[columns]",
        *(f"{role} = {_quoted(column)}" for role, column in reading.columns.items()),
    ]
    if "id" not in reading.columns:
        lines.append('id = ""  # none: posts are known by their content')
    top = []
    form, times, scheme = reading.form, reading.times, reading.scheme
    if times is not None:
        words = {"day first": "day-first", "month first": "month-first"}
        said = times.pattern or (
            words.get(times.order, "") if times.order else f"epoch-{times.unit}" if times.unit else ""
        )
        if said:
            top += [f"# {', '.join(FORMATS)}, or a pattern such as %d.%m.%Y %H:%M.", f"date_format = {_quoted(said)}"]
        top += ["# Of times that say none.", f"time_zone = {_quoted(times.zone or 'UTC')}"]
    if form.kind == "table" and form.dialect is not None and form.dialect.count_columns > 1:
        top.append(f"delimiter = {_quoted(form.dialect.delimiter)}")
    if form.encoding != "utf-8":
        top.append(f"encoding = {_quoted(form.encoding)}")
    top += [
        '# Whose ids these are; "" for tweets\' own, which are one and the same in every source.',
        f"ids_of = {_quoted(name)}",
    ]
    if address is not None:
        top += [
            "# Objects that are read next to the inbox, each once and again when it changes.",
            f"address = {_quoted(address)}",
        ]
    if scheme is not None:
        lines += [
            "",
            f"# What each value means: negative, neutral, positive, or {NO_LABEL} for rows without a label.",
            "[labels]",
        ]
        lines += [f"{_quoted(value)} = {_quoted(label or NO_LABEL)}" for value, label in scheme.meaning.items()]
    return "\n".join([*lines[:3], *top, "", *lines[3:], ""])


def _quoted(value: str) -> str:
    """A TOML string; JSON's escapes are among TOML's."""
    return json.dumps(value, ensure_ascii=False)
