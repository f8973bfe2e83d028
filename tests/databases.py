"""Databases to publish to and to read from: SQLite, and a real PostgreSQL that is skipped where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from tests.postgresql_server import PASSWORD, NoServerError, postgresql_server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of an empty PostgreSQL database, whose password is in PGPASSWORD."""
    pytest.importorskip("psycopg", reason="psycopg 3 is not installed")
    try:
        with postgresql_server(["max_wal_size=1GB", "fsync=off"]) as address, pytest.MonkeyPatch.context() as patch:
            patch.setenv("PGPASSWORD", PASSWORD)
            yield address
    except NoServerError as error:
        pytest.skip(str(error))


class Target:
    """A database to publish to, and its content."""

    def __init__(self, address: str, schema: str | None) -> None:
        self.address = address
        self.schema = schema
        self.engine = sqlalchemy.create_engine(address, poolclass=sqlalchemy.pool.NullPool)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds; `{}` is the schema with its dot."""
        with self.engine.connect() as connection:
            found = connection.execute(sqlalchemy.text(query.format(f"{self.schema}." if self.schema else "")))
            return [tuple(row) for row in found]

    def do(self, statement: str) -> None:
        """Change something there, as somebody else would."""
        with self.engine.begin() as connection:
            connection.execute(sqlalchemy.text(statement.format(f"{self.schema}." if self.schema else "")))


_numbers = count()


@pytest.fixture
def postgresql_target(postgresql: str) -> Target:
    """A schema of its own in PostgreSQL."""
    return Target(postgresql, f"schema_{next(_numbers)}")


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """An empty database of each kind."""
    if request.param == "postgresql":
        found: Target = request.getfixturevalue("postgresql_target")
        return found
    return Target(f"sqlite:///{tmp_path}/target.db", None)


@pytest.fixture
def predict(rows_of: Callable) -> Callable[..., None]:
    """Writes predictions of a version for all tweets without one, and shows them to readers."""

    def predict(home: Any, version: int = 1, probability: float = 0.75) -> None:
        label = "positive" if probability >= 0.5 else "negative"
        rows_of(
            home,
            f"insert into predictions select tweet_id, {version}, {probability}, '{label}', now(), 'run', null from tweets "
            f"where tweet_id not in (select tweet_id from predictions where model_version = {version})",
        )
        rows_of(home, "delete from published_model")
        rows_of(home, f"insert into published_model values ({version}, now())")

    return predict
