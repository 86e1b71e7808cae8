"""What was written: for each table the values that its rows have had before or after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..._core.events import ChangeEvent
from ..._core.facts import COMMITS, UNKNOWN, column_path, conditioned_columns, table_path, table_scope, value_path
from ..._core.paths import ALL

__all__ = ["VALUE_LIMIT", "Changes", "Image", "Values", "united"]

VALUE_LIMIT: Final = 200
"""How many values of a column an event names. Beyond that, it names the column alone."""

Values = frozenset[str | None] | None
"""Values of a column as facts name them. ``None`` in it is NULL, and ``None`` instead of it is any value."""

Image = Mapping[str, Values]
"""The values of rows by column. It has each column of the table that carries values."""


def united(one: Values, other: Values) -> Values:
    """Return the values of both. Too many of them become any value."""
    if one is None or other is None:
        return None
    both = one | other
    return both if len(both) <= VALUE_LIMIT else None


@dataclass(slots=True)
class Changes:
    """Changed rows.

    Args:
        tables: The values by table and column. ``None`` is any row of the table.
        is_unknown: Whether rows of any table may have changed.
    """

    tables: dict[str, dict[str, Values] | None] = field(default_factory=dict)
    is_unknown: bool = False

    def __bool__(self) -> bool:
        return self.is_unknown or bool(self.tables)

    def add(self, table: str, image: Image) -> None:
        """Add rows of a table."""
        known = self.tables.get(table, {})
        if known is not None:
            self.tables[table] = {
                **known,
                **{name: united(known.get(name, frozenset()), values) for name, values in image.items()},
            }

    def add_all(self, table: str) -> None:
        """Add whatever rows of a table."""
        self.tables[table] = None

    def merge(self, other: Changes) -> None:
        """Add the changes of another."""
        self.is_unknown = self.is_unknown or other.is_unknown
        for table, image in other.tables.items():
            if image is None:
                self.add_all(table)
            else:
                self.add(table, image)

    def events(self, origin: str | None) -> Iterator[ChangeEvent]:
        """Yield the events of a commit.

        Args:
            origin: Their origin.
        """
        for table, image in self.tables.items():
            yield ChangeEvent(table_scope(table), _paths(table, image) or {ALL}, origin)
        if self.tables:
            yield ChangeEvent(COMMITS, map(table_path, self.tables), origin)
        if self.is_unknown:
            yield ChangeEvent(UNKNOWN, {ALL}, origin)


def _paths(table: str, image: Image | None) -> set[str]:
    if image is None:
        return set()
    # Somebody may have read the table as another object with other columns.
    paths = {column_path(column) for column in conditioned_columns(table) - image.keys()}
    for column, values in image.items():
        if values is None:
            paths.add(column_path(column))
        else:
            paths.update(value_path(column, value) for value in values)
    return paths
