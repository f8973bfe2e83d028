"""Keeps out what was forgotten: a tweet or user that comes again in a file is rejected, and its bytes are not kept.

What must not come back has to be recognised, and must not be kept either. So the warehouse holds a digest of each forgotten
id and user name, keyed with a secret next to it in the home and is never published: ids are numbers that anybody
could try one after the other, so a digest without a key would be the id itself. Costs 1 µs a line, and only in a home that
has forgotten something.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace

import polars as pl

from sentiment.errors import HomeError
from sentiment.ingest.readers.records import REJECTS_SCHEMA, Chunk
from sentiment.ingest.readers.reject_reasons import FORGOTTEN
from sentiment.model.atomic import atomic_write
from sentiment.settings import Home
from sentiment.warehouse.session import Warehouse

# Where one field of a line ends and the next begins, in CSV and in JSON.
_BETWEEN_FIELDS = re.compile(rb'[",\t{}\[\]]+')

# The key, and its checksum unless an earlier version wrote it.
_KEY_FILE = re.compile(r"([0-9a-f]{64})(?:\n([0-9a-f]{16})\n)?")

# As in `user_key` of sql/steps/maintenance/create_user_key.sql.
_AROUND_NAME = re.compile(r"^[\s@]+|\s+$")


def user_key(name: str) -> str:
    """The form in which user names are compared: without `@` and blanks around it, in lower case, as Twitter does."""
    return _AROUND_NAME.sub("", name).lower()


def open_key(home: Home) -> bytes:
    """The home's secret, made when something is forgotten for the first time; with a checksum, since a damaged one would
    recognise nobody.

    Raises:
        HomeError: the file is damaged.
    """
    if not home.forget_key.exists():
        _write_key(home, secrets.token_hex(32))
    key, has_checksum = read_key(home)
    if not has_checksum:  # Of an earlier version.
        _write_key(home, key.hex())
    return key


def read_key(home: Home) -> tuple[bytes, bool]:
    """The secret as it is, and whether it has a checksum.

    Raises:
        HomeError: the file is damaged.
    """
    written = home.forget_key.read_bytes().decode("ascii", "replace")
    found = _KEY_FILE.fullmatch(written)
    if found is None or (found[2] or _checksum(found[1])) != _checksum(found[1]):
        raise HomeError(
            f"{home.forget_key} is damaged. Without it, tweets that were forgotten on request could be loaded again, so "
            f"nothing is loaded. Take it out of a backup of this home: tar --zstd -xf FILE {home.forget_key.name}"
        )
    return bytes.fromhex(found[1]), found[2] is not None


def _write_key(home: Home, key: str) -> None:
    with atomic_write(home.forget_key, mode=home.secret_mode) as draft:
        draft.write_text(f"{key}\n{_checksum(key)}\n")


def _checksum(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def digest_of(key: bytes, value: int | str) -> str:
    """Digest of a tweet's id, or of a user's name as `user_key` gives it: 32 hex digits."""
    kind = "user" if isinstance(value, str) else "tweet"
    return hashlib.blake2b(f"{kind}:{value}".encode(), key=key, digest_size=16).hexdigest()


@dataclass(frozen=True)
class Forgotten:
    """Digests of what must stay out, and the key to recognise it with."""

    key: bytes
    tweets: frozenset[str]
    users: frozenset[str]

    def leave_out(self, chunk: Chunk) -> Chunk:
        """The chunk with its forgotten lines among the rejected ones, and without their bytes."""
        if not self.tweets and not self.users:
            return chunk
        records, rejects = chunk.records, self._without_bytes(chunk.rejects)
        is_forgotten = self._is_forgotten(records)
        if is_forgotten.any():
            lines = [(number, FORGOTTEN, b"", 0) for number in records.filter(is_forgotten)["line_number"]]
            rejects = pl.concat([rejects, pl.DataFrame(lines, schema=REJECTS_SCHEMA, orient="row")])
            rejects = rejects.sort("line_number")
            records = records.filter(~is_forgotten)
        return replace(chunk, records=records, rejects=rejects)

    def is_forgotten_line(self, line: bytes) -> bool:
        """Whether a field of a line is a forgotten id or user name."""
        fields = [field.strip() for field in _BETWEEN_FIELDS.split(line)]
        fields += [field.strip() for outer in fields for field in outer.split(b":")]
        return any(
            (field.isdigit() and digest_of(self.key, int(field)) in self.tweets)
            or digest_of(self.key, user_key(field.decode("utf-8", "replace"))) in self.users
            for field in set(fields)
            if field and len(field) < 100
        )

    def _is_forgotten(self, records: pl.DataFrame) -> pl.Series:
        ids = records["tweet_id"]
        known = [value is not None and digest_of(self.key, value) in self.tweets for value in ids]
        names = records["user_name"].drop_nulls().unique()
        users = [name for name in names if digest_of(self.key, user_key(name)) in self.users]
        return pl.Series(known, dtype=pl.Boolean) | records["user_name"].is_in(users).fill_null(False)

    def _without_bytes(self, rejects: pl.DataFrame) -> pl.DataFrame:
        held = [self.is_forgotten_line(line) for line in rejects["raw_line"]]
        if not any(held):
            return rejects
        is_held = pl.Series(held, dtype=pl.Boolean)
        return rejects.with_columns(
            reason=pl.when(is_held).then(pl.lit(FORGOTTEN)).otherwise("reason"),
            raw_line=pl.when(is_held).then(pl.lit(b"")).otherwise("raw_line"),
            count_bytes=pl.when(is_held).then(0).otherwise("count_bytes"),
        )


def load_forgotten(home: Home, warehouse: Warehouse) -> Forgotten:
    """What this home has forgotten.

    Raises:
        HomeError: something was forgotten and the secret that recognises it is missing or damaged.
    """
    rows = warehouse.run("steps/ingest/select_forgotten").fetchall()
    if not rows:
        return Forgotten(b"", frozenset(), frozenset())
    if not home.forget_key.exists():
        raise HomeError(
            f"{home.forget_key} is missing. Without it, tweets that were forgotten on request could be loaded again, so "
            "nothing is loaded. Put it back from a backup of this home."
        )
    return Forgotten(open_key(home), _digests(rows, "tweet", "gold"), _digests(rows, "user"))


def _digests(rows: Iterable[tuple[str, str]], *kinds: str) -> frozenset[str]:
    return frozenset(digest for kind, digest in rows if kind in kinds)
