"""Which columns of a table carry values, and how they are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Table

from ..values import Kind, kind_of
from .changes import VALUE_LIMIT, Values

__all__ = ["key_columns", "kinds_of", "values_of"]

_kinds: WeakKeyDictionary[Table, tuple[int, Mapping[str, Kind]]] = WeakKeyDictionary()


def kinds_of(table: Table) -> Mapping[str, Kind]:
    """Return the kinds of the columns that carry values, by the column's name."""
    size, kinds = _kinds.get(table, (-1, {}))
    if size != len(table.columns):  # columns may be added to a table
        kinds = {column.name: kind for column in table.columns if (kind := kind_of(column)) is not None}
        _kinds[table] = len(table.columns), kinds
    return kinds


def key_columns(table: Table) -> frozenset[str]:
    """Return the names of the columns in the primary key or in a foreign key."""
    return frozenset(column.name for column in table.columns if column.primary_key or column.foreign_keys)


def values_of(kind: Kind, values: Iterable[Any]) -> Values:
    """Return values as facts name them."""
    texts: set[str | None] = set()
    for value in values:
        text = None if value is None else kind.text(value)
        if text is None and value is not None:
            return None
        texts.add(text)
        if len(texts) > VALUE_LIMIT:
            return None
    return frozenset(texts)
