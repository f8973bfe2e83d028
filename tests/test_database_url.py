"""Addresses of other databases: no password in them, and a sentence for every error."""

from __future__ import annotations

import pytest

from sentiment.database_url import check_address, open_database
from sentiment.errors import DatabaseError, InputError


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ann:secret@db/tweets",
        "postgresql+psycopg://db/tweets?user=ann&password=secret",
        "mysql://u:secret@h/d",
    ],
)
def test_an_address_with_a_password_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(InputError) as error:
        check_address(address)
    assert "secret" not in str(error.value)
    assert "~/.pgpass" in str(error.value)


def test_postgresql_is_reached_by_psycopg_3() -> None:
    assert check_address("postgresql://ann@db/tweets").drivername == "postgresql+psycopg"
    assert check_address("postgresql+asyncpg://ann@db/tweets").drivername == "postgresql+asyncpg"


@pytest.mark.parametrize("address", ["", "nonsense", "nonsense://x/y"])
def test_what_is_no_address_is_told_with_an_example(address: str) -> None:
    with pytest.raises(InputError, match=r"postgresql\+psycopg://user@host"), open_database(address):
        pass


def test_a_missing_driver_is_named_with_how_to_install_it() -> None:
    with pytest.raises(InputError, match="pip install"), open_database("mysql+pymysql://ann@db/tweets"):
        pass


def test_a_database_that_is_not_there_is_a_sentence() -> None:
    with (
        pytest.raises(DatabaseError, match="could not do what was asked"),
        open_database("sqlite:////nowhere/at/all.db") as engine,
    ):
        engine.connect()
