"""The command ``triggers``: the tables of an application, and whether a database has their triggers."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import MetaData, Table, create_engine, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from .._core.errors import ReactiveError
from .._database.triggers import drop_sql, missing_triggers, triggers_sql
from .discovery import globals_of

__all__ = ["drop_sql", "faults_of", "find_tables", "triggers_sql"]


def faults_of(url: str, tables: Iterable[Table]) -> list[str]:
    """Return a line for each table of a PostgreSQL database whose triggers the migration would create or change.

    Args:
        url: The URL of the database. It is read with psycopg, whatever driver the URL names.
        tables: The tables.

    Raises:
        ReactiveError: The URL names no PostgreSQL database, or the database cannot be read.
    """
    try:
        address = make_url(url)
        if address.get_backend_name() != "postgresql":
            raise ReactiveError(f"{address.get_backend_name()} has no such triggers: name a database of PostgreSQL")
        engine = create_engine(address.set(drivername="postgresql+psycopg"), poolclass=NullPool)
        with engine.connect() as connection:
            return [f"{each.table} {each.reason}" for each in missing_triggers(connection, tables)]
    except SQLAlchemyError as error:
        raise ReactiveError(f"the database cannot be read: {error}") from error


def find_tables(value: Any, target: str, names: Collection[str] = ()) -> Sequence[Table]:
    """Return tables in the order of their names.

    Args:
        value: ``MetaData``, a class that has it, or an application whose modules have such classes, tables or metadata
            in global variables.
        target: The name that the user wrote, for error messages.
        names: The names of the tables, with their schema if they have one. Empty means all.

    Raises:
        ReactiveError: There are no tables, or one of the names is not among them.
    """
    found = _metadata_of(value)
    metadata = [found] if found is not None else [each for each in map(_metadata_of, globals_of(value, target)) if each]
    tables = {table.fullname: table for each in metadata for table in each.tables.values()}
    if not tables:
        raise ReactiveError(f"no tables were found for {target!r}: name their metadata, such as module:Base.metadata")
    unknown = sorted(set(names) - tables.keys())
    if unknown:
        raise ReactiveError(f"{', '.join(map(repr, unknown))} not found: the tables are {_listed(tables)}")
    return [tables[name] for name in sorted(names or tables)]


def _metadata_of(value: Any) -> MetaData | None:
    if isinstance(value, MetaData):
        return value
    found = getattr(value, "metadata", None) if inspect.isclass(value) or isinstance(value, Table) else None
    return found if isinstance(found, MetaData) else None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
