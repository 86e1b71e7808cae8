"""Which names in FROM clauses are views, and what they stand for.

A view that is not declared is found in the database's catalog. The connection that executes the statement answers, when
a name is first seen: it is there, it works the same with synchronous and asynchronous drivers, and it sees what the
statement sees.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from sqlalchemy import Connection, inspect, text

from ..._core.reads import untracked

__all__ = ["Views"]


class Views:
    """The views of one database.

    Args:
        declared: The tables that each view reads, by its name.
    """

    def __init__(self, declared: Mapping[str, Iterable[str]]) -> None:
        self._tables = {view: frozenset(tables) for view, tables in declared.items()}
        self._is_view: dict[tuple[str | None, str], bool] = {}

    def tables(self, name: str) -> frozenset[str] | None:
        """Return the tables that a declared view reads. ``None`` if it is not declared."""
        return self._tables.get(name)

    def first_undeclared(self, names: Iterable[tuple[str | None, str]], connection: Connection) -> str | None:
        """Return the first of several names, with their schemas, that is a view and not declared."""
        asked = [each for each in names if each[1] not in self._tables]
        new = [each for each in asked if each not in self._is_view]
        for schema in {schema for schema, _ in new}:
            views = frozenset(_views(schema, connection))
            self._is_view.update({each: each[1] in views for each in new if each[0] == schema})
        return next((name for schema, name in asked if self._is_view[schema, name]), None)


def _views(schema: str | None, connection: Connection) -> Iterator[str]:
    with untracked():
        inspector = inspect(connection)
        for list_names in (inspector.get_view_names, inspector.get_materialized_view_names):
            with suppress(NotImplementedError):
                yield from list_names(schema)
        with suppress(NotImplementedError):
            yield from inspector.get_temp_view_names()
        if connection.dialect.name == "sqlite":  # a virtual table shows what it wants, such as a search of other tables
            virtual = text("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL%'")
            yield from connection.execute(virtual).scalars()
