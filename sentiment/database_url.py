"""Checks addresses of other databases, and turns their errors into sentences.

Addresses appear in flow parameters, logs and error messages, so one with a password is refused. PostgreSQL's own library reads
passwords from `~/.pgpass` or PGPASSWORD.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from sentiment.errors import DatabaseError, InputError

EXAMPLE = "postgresql+psycopg://user@host:5432/database"
_DEFAULT_DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}


def check_address(address: str) -> URL:
    """The address, once it is known to be one and to hold no password.

    Raises:
        InputError: it is not an SQLAlchemy URL, or holds a password; the message does not repeat it.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:
        raise InputError(
            f"The database address cannot be read. Expected an SQLAlchemy URL such as {EXAMPLE}"
        ) from error
    if url.password is not None or any("pass" in name.lower() for name in url.query):
        shown = url.set(password=None, query={}).render_as_string()
        raise InputError(
            f"The database address holds a password, which would appear in logs and run parameters. Leave it out ({shown}) and "
            f"put it into ~/.pgpass, or into the environment variable PGPASSWORD."
        )
    return url.set(drivername=_DEFAULT_DRIVERS.get(url.drivername, url.drivername))


@contextmanager
def open_database(address: str) -> Iterator[Engine]:
    """Connections to another database; errors within the context become sentences.

    Raises:
        InputError: as `check_address`, or there is no driver for it.
        DatabaseError: it cannot be reached, or refuses what is asked.
    """
    url = check_address(address)
    try:
        engine = create_engine(url, poolclass=NullPool)
    except NoSuchModuleError as error:
        raise InputError(
            f"{url} names no database that SQLAlchemy knows. Expected an address such as {EXAMPLE}"
        ) from error
    except ModuleNotFoundError as error:
        advice = "pip install 'psycopg[binary]'" if error.name == "psycopg" else f"pip install {error.name}"
        raise InputError(
            f"The driver for {url} is not installed ({error.name} is missing). Install it: {advice}"
        ) from error
    try:
        yield engine
    except DBAPIError as error:
        raise DatabaseError(f"{url} could not do what was asked: {_first_line(error.orig or error)}") from error
    except SQLAlchemyError as error:
        raise DatabaseError(f"{url} could not do what was asked: {_first_line(error)}") from error
    finally:
        engine.dispose()


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return f"{text.splitlines()[0] if text else type(error).__name__}. Nothing was changed there."
