"""What was read from a database, as facts that a change of a row meets or not.

A *fact* is a table, and conditions that hold for each row that matters. A commit emits, for each table that it changes,
an event of the scope :func:`table_scope`. Its paths are the values of the rows before and after the change: 7 in the
column ``board_id`` is ``board_id=7``, and ``board_id`` alone stands for any value. So a fact is met if one path of each
of its conditions has changed. The paths of one event may come from several rows, and a log merges events, so a fact may
be met without need; it is never missed.

Two more scopes have the events of all tables: :data:`COMMITS`, for readers of who knows what, and :data:`UNKNOWN`, for
writes to who knows what.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from typing import Final
from urllib.parse import quote
from uuid import UUID

from .paths import ALL

__all__ = [
    "COMMITS",
    "UNKNOWN",
    "UNNAMED",
    "Fact",
    "Facts",
    "bounded",
    "column_path",
    "condition",
    "conditioned_columns",
    "fact_by_hand",
    "note_condition",
    "table_path",
    "table_scope",
    "value_path",
]

COMMITS: Final = "db"
"""The scope of all commits. Its paths are the changed tables."""

UNKNOWN: Final = "db:*"
"""The scope of writes to tables that are not known. Its path is ``*``."""

UNNAMED: Final = "?"
"""The path that stands for any value of each column that is no key and that an event does not name."""


def table_scope(table: str) -> str:
    """Return the scope of the changes of a table's rows. Schemas are not distinguished."""
    return f"db:{table}"


def table_path(table: str) -> str:
    """Return the path that stands for a table in :data:`COMMITS`."""
    return _escaped(table)


def column_path(column: str) -> str:
    """Return the path that stands for any value of a column."""
    return _escaped(column)


def value_path(column: str, value: str | None) -> str:
    """Return the path that stands for a value of a column.

    Args:
        column: The column's name.
        value: The value as PostgreSQL writes it: digits, ``true`` or ``false``, a UUID with hyphens in lower case, the
            label of an enumeration, an ISO date. ``None`` is NULL.
    """
    text = "" if value is None else _escaped(value) or "%"
    return f"{_escaped(column)}={text}"


def _escaped(text: str) -> str:
    return quote(text, safe="").replace(".", "%2E")


def condition(column: str, values: Iterable[str | None], *, is_key: bool) -> frozenset[str]:
    """Return the paths of which one changes if a row changes that has one of several values in a column.

    Args:
        column: The column's name.
        values: The values; see :func:`value_path`.
        is_key: Whether the column is in the primary key or a foreign key, which each event of the table names.
    """
    paths = {column_path(column), *(value_path(column, each) for each in values)}
    return frozenset(paths if is_key else paths | {UNNAMED})


@dataclass(frozen=True, slots=True)
class Fact:
    """Rows of a table.

    Args:
        table: The table's name.
        conditions: What holds for each row, as :func:`condition` returns it. Without conditions, all rows matter.
    """

    table: str
    conditions: frozenset[frozenset[str]] = frozenset()

    def is_met_by(self, changed: Collection[str]) -> bool:
        """Return whether a change of the table's rows with these paths may matter."""
        return ALL in changed or all(not each.isdisjoint(changed) for each in self.conditions)


@dataclass(frozen=True, slots=True)
class Facts:
    """What was read.

    Args:
        facts: The facts.
        everything: Whether something was read that is not known, so that every commit matters.
    """

    facts: frozenset[Fact] = frozenset()
    everything: bool = False
    _by_scope: Mapping[str, Sequence[Fact]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_scope: dict[str, list[Fact]] = {}
        for fact in self.facts:
            by_scope.setdefault(table_scope(fact.table), []).append(fact)
        object.__setattr__(self, "_by_scope", by_scope)

    def __or__(self, other: Facts) -> Facts:
        return Facts(self.facts | other.facts, self.everything or other.everything)

    def __bool__(self) -> bool:
        return self.everything or bool(self.facts)

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes whose events may meet one of them."""
        if self.everything:
            return frozenset((COMMITS, UNKNOWN))
        return frozenset((UNKNOWN, *self._by_scope)) if self.facts else frozenset()

    def are_met_by(self, changed: Mapping[str, Collection[str]]) -> bool:
        """Return whether changes, as paths by scope, may matter."""
        if self.everything:
            return bool(changed.get(UNKNOWN) or changed.get(COMMITS))
        if self.facts and changed.get(UNKNOWN):
            return True
        return any(fact.is_met_by(paths) for scope, paths in changed.items() for fact in self._by_scope.get(scope, ()))


def bounded(facts: Iterable[Fact], most: int = 256) -> frozenset[Fact]:
    """Return facts that are met whenever one of many is, and are not too many.

    Args:
        facts: The facts.
        most: The largest number of facts of one table. If there are more, facts that have one condition on the same
            column become one; if these are too many as well, the table alone remains.
    """
    by_table: defaultdict[str, set[Fact]] = defaultdict(set)
    for each in facts:
        by_table[each.table].add(each)
    kept: set[Fact] = set()
    for table, found in by_table.items():
        united = found if len(found) <= most else _united(table, found)
        kept.update(united if len(united) <= most else {Fact(table)})
    return frozenset(kept)


def _united(table: str, facts: Iterable[Fact]) -> set[Fact]:
    """Unite the values of facts that have one condition on the same column."""
    paths: defaultdict[str, set[str]] = defaultdict(set)
    others: set[Fact] = set()
    for fact in facts:
        if len(fact.conditions) == 1:
            (only,) = fact.conditions
            paths[next(path for path in only if path != UNNAMED and "=" not in path)] |= only
        else:
            others.add(fact)
    return others | {Fact(table, frozenset((frozenset(each),))) for each in paths.values()}


_conditioned: dict[str, frozenset[str]] = {}


def note_condition(table: str, column: str) -> None:
    """Note that facts of a table have conditions on a column, so that each change of the table names the column."""
    known = _conditioned.get(table, frozenset())
    if column not in known:
        _conditioned[table] = known | {column}


def conditioned_columns(table: str) -> frozenset[str]:
    """Return the columns that facts of a table have had conditions on, in this process."""
    return _conditioned.get(table, frozenset())


def fact_by_hand(table: str, columns: Mapping[str, object]) -> Fact:
    """Return a fact that the application states.

    Args:
        table: The table's name.
        columns: The value of each column that all rows have which matter, or a list of values. The columns must be of
            integer, boolean, UUID, enumeration or date type.

    Raises:
        TypeError: A value is of a type that facts do not name.
    """
    conditions = frozenset(condition(column, _texts(column, value), is_key=False) for column, value in columns.items())
    for column in columns:
        note_condition(table, column)
    return Fact(table, conditions)


def _texts(column: str, value: object) -> Iterator[str | None]:
    if isinstance(value, (list, tuple, set, frozenset)):
        for each in value:
            yield from _texts(column, each)
    elif isinstance(value, bool):
        yield "true" if value else "false"
    elif isinstance(value, Enum):
        yield value.name
        if isinstance(value.value, str):  # the label, if the column stores values instead of names
            yield value.value
        elif isinstance(value.value, int):  # the column may be of integer type
            yield from _texts(column, value.value)
    elif isinstance(value, (int, UUID)):
        yield str(value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        yield value.isoformat()
    elif value is None:
        yield None
    else:
        allowed = "an int, bool, UUID, Enum, date or None, or a list of them"
        raise TypeError(f"{column}={value!r} cannot be watched: pass {allowed}, or leave the column out")
