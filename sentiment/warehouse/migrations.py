"""Migrates a warehouse of an earlier version to the tables of this one."""

from __future__ import annotations

import hashlib

from sentiment.errors import HomeError
from sentiment.warehouse.session import SQL_FOLDER, Warehouse, read_sql


def remove_unfinished_file(warehouse: Warehouse) -> None:
    """Remove the rows of a file whose run was killed while loading it; no reader has seen them."""
    if warehouse.value("steps/warehouse/count_unfinished_files"):
        with warehouse.transaction():
            warehouse.run("steps/warehouse/remove_unfinished_rows")


def migrate(warehouse: Warehouse) -> None:
    """Apply the numbered migrations of `sql/tables/` that are new, in order, and the views when any file of them changed.

    Raises:
        HomeError: the file was made by a newer version of this program.
    """
    run = warehouse.run
    run("steps/warehouse/create_schema_migrations")
    applied = {number for (number,) in run("steps/warehouse/select_schema_migrations").fetchall()}
    migrations = _migrations()
    if unknown := sorted(applied - migrations.keys()):
        raise HomeError(
            f"The warehouse was written by a newer version (it has schema migration {unknown[-1]}, this version knows "
            f"{max(migrations)}). Take that version of the checkout, or set SENTIMENT_HOME to another folder."
        )
    for number, stem in migrations.items():
        if number not in applied:
            with warehouse.transaction():
                run(f"tables/{stem}")
                run("steps/warehouse/insert_schema_migration", number=number, name=stem)
    views = [path.stem for path in sorted((SQL_FOLDER / "views").glob("*.sql"))]
    digest = hashlib.sha256("".join(read_sql(f"views/{view}") for view in views).encode()).hexdigest()
    if warehouse.value("steps/warehouse/select_view_digest") != digest:
        with warehouse.transaction():
            for view in views:
                run(f"views/{view}")
            run("steps/warehouse/update_view_digest", digest=digest)


def known_migration() -> int:
    """The newest schema migration of this version of the program."""
    return max(_migrations())


def missing_migrations(warehouse: Warehouse) -> list[int]:
    """Schema migrations of this version of the program that a warehouse or snapshot does not have."""
    applied = {number for (number,) in warehouse.run("steps/warehouse/select_schema_migrations").fetchall()}
    return sorted(_migrations().keys() - applied)


def _migrations() -> dict[int, str]:
    return {int(path.stem[:4]): path.stem for path in sorted((SQL_FOLDER / "tables").glob("[0-9]*.sql"))}
