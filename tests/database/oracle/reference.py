"""What a commit has written, found by comparing all tables before and after it: a second opinion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Table

from starlette_reactive._core.events import ChangeEvent
from starlette_reactive._core.facts import COMMITS, Fact, condition, table_path, table_scope, value_path
from starlette_reactive._database.values import kind_of

from .models import Base

__all__ = ["Rows", "exact_events", "facts_of_changed_rows", "rows_of_all_tables"]

Rows = dict[Table, set[tuple[Any, ...]]]


def rows_of_all_tables(connection: Connection) -> Rows:
    """Return the rows of all tables."""
    tables = Base.metadata.sorted_tables
    return {table: {tuple(row) for row in connection.execute(table.select())} for table in tables}


def facts_of_changed_rows(before: Rows, after: Rows) -> Iterator[Fact]:
    """Yield the narrowest fact of each row that was changed, as it was before or is after."""
    for table, rows in before.items():
        for row in rows ^ after[table]:
            yield Fact(table.name, frozenset(_conditions(table, row)))


def exact_events(before: Rows, after: Rows) -> Iterator[ChangeEvent]:
    """Yield the events of the rows that were changed, which name nothing but their values before and after."""
    for table, rows in before.items():
        for row in rows ^ after[table]:
            yield ChangeEvent(table_scope(table.name), {*_paths(table, row)})
            yield ChangeEvent(COMMITS, {table_path(table.name)})


def _paths(table: Table, row: tuple[Any, ...]) -> Iterator[str]:
    for column, value in zip(table.columns, row, strict=True):
        kind = kind_of(column)
        if kind is not None:
            yield value_path(column.name, None if value is None else kind.text(value))


def _conditions(table: Table, row: tuple[Any, ...]) -> Iterator[frozenset[str]]:
    for column, value in zip(table.columns, row, strict=True):
        kind = kind_of(column)
        if kind is not None:
            text = None if value is None else kind.text(value)
            assert (text is None) == (value is None)
            yield condition(column.name, [text], is_key=column.primary_key or bool(column.foreign_keys))
