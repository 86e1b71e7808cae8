"""What a statement of SQLAlchemy writes, found once for each compiled statement.

A plan says where the values come from: from which parameters, or from constants. What is not sure is left out, and may
be any value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import Column, Table
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import Delete, Insert, Update, UpdateBase
from sqlalchemy.sql.elements import (
    BinaryExpression,
    BindParameter,
    BooleanClauseList,
    ColumnElement,
    False_,
    Grouping,
    Null,
    True_,
)

__all__ = ["Plan", "Source", "Verb", "plan_of", "values_in"]


class Verb(Enum):
    """What a statement does with its rows."""

    INSERT = auto()
    UPSERT = auto()
    REPLACE = auto()
    UPDATE = auto()
    DELETE = auto()


@dataclass(frozen=True, slots=True)
class Source:
    """Where a column's value comes from.

    Args:
        names: The parameters that have a value of it.
        lists: The parameters that have a list of its values.
        constants: Values in the statement itself.
    """

    names: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    constants: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Plan:
    """What a statement writes.

    Args:
        verb: What it does.
        table: The table that it writes.
        assigned: The columns that it sets, with the source of the new value. ``None`` is any value.
        matched: The columns whose value is the same in all rows that it changes, or one of several.
        returns_keys: Whether the primary keys of new rows are known from the result.
        others: Other tables that it writes, nobody knows how.
    """

    verb: Verb
    table: Table
    assigned: Mapping[str, Source | None] = field(default_factory=dict)
    matched: Mapping[str, Source] = field(default_factory=dict)
    returns_keys: bool = False
    others: tuple[Table, ...] = ()


_MISSING: Final = object()
_plans: WeakKeyDictionary[SQLCompiler, Plan | None] = WeakKeyDictionary()


def plan_of(compiled: SQLCompiler) -> Plan | None:
    """Return the plan of a statement that inserts, updates or deletes rows. ``None`` if it is not understood."""
    plan: Any = _plans.get(compiled, _MISSING)
    if plan is _MISSING:
        plan = _plans[compiled] = _make_plan(compiled)
    return plan  # type: ignore[no-any-return]


def values_in(source: Source, parameters: Iterable[Mapping[str, Any]]) -> Iterator[Any]:
    """Yield a column's values in several sets of parameters.

    Raises:
        KeyError: A parameter is missing.
    """
    yield from source.constants
    for each in parameters:
        for name in source.names:
            yield each[name]
        for name in source.lists:
            yield from each[name]


def _make_plan(compiled: SQLCompiler) -> Plan | None:
    state: Any = compiled.compile_state
    statement = getattr(state, "statement", None)
    table = getattr(statement, "table", None)
    if not isinstance(statement, UpdateBase) or not isinstance(table, Table):
        return None
    if isinstance(statement, Insert):
        return _insert(compiled, state, statement, table)
    if isinstance(statement, Update):
        return _update(compiled, state, statement, table)
    if isinstance(statement, Delete):
        return Plan(Verb.DELETE, table, matched=_matched(compiled, statement.whereclause, table))
    return None


# INSERT


def _insert(compiled: SQLCompiler, state: Any, statement: Insert, table: Table) -> Plan | None:
    extras = _prefixes(statement)
    conflict = statement._post_values_clause  # noqa: SLF001 - there is no public way to ask, here and below
    if statement.select is not None or "REPLACE" in extras or _replaces(table):
        return Plan(Verb.REPLACE if "REPLACE" in extras or _replaces(table) else Verb.UPSERT, table)
    multiple = state._multi_parameters  # noqa: SLF001
    assigned = _assigned_by_rows(compiled, multiple, table) if multiple else _assigned(compiled, state, table)
    if conflict is None:
        return Plan(Verb.INSERT, table, assigned, returns_keys=not extras and not multiple)
    clauses = _conflict_clauses(conflict)
    if clauses is None:
        return Plan(Verb.REPLACE, table)
    if not clauses:
        return Plan(Verb.INSERT, table, assigned)
    return _upsert(table, assigned, clauses)


def _prefixes(statement: Insert) -> str:
    prefixes: Iterable[Any] = statement._prefixes  # noqa: SLF001
    return " ".join(str(each[0] if isinstance(each, tuple) else each) for each in prefixes).upper()


def _replaces(table: Table) -> bool:
    """Return whether the table's own constraints delete rows that conflict with new ones, as SQLite's can."""
    items: list[Any] = [*table.constraints, *table.columns]
    return any(
        str(value).upper() == "REPLACE"
        for item in items
        for name, value in item.dialect_options["sqlite"].items()
        if name.startswith("on_conflict")
    )


def _conflict_clauses(conflict: Any) -> Sequence[Any] | None:
    """Return the clauses that update rows. ``None`` if there are others."""
    clauses = list(getattr(conflict, "clauses", None) or [conflict])
    names = {type(each).__name__ for each in clauses}
    if not names <= {"OnConflictDoNothing", "OnConflictDoUpdate"}:
        return None
    return [each for each in clauses if type(each).__name__ == "OnConflictDoUpdate"]


def _upsert(table: Table, assigned: Mapping[str, Source | None], clauses: Sequence[Any]) -> Plan:
    """Return the plan of an upsert: only the columns of the conflict have the inserted value in the old row too."""
    same: set[str | None] | None = None
    for clause in clauses:
        targets: set[str | None] = {
            each if isinstance(each, str) else _name(each) for each in clause.inferred_target_elements or ()
        }
        targets -= {_name(each) for each in dict(clause.update_values_to_set)}
        same = targets if same is None else same & targets
    kept = {name: source for name, source in assigned.items() if name in (same or ())}
    return Plan(Verb.UPSERT, table, kept)


def _name(column: Any) -> str | None:
    return column if isinstance(column, str) else getattr(column, "name", None)


def _assigned_by_rows(compiled: SQLCompiler, rows: Sequence[Mapping[Any, Any]], table: Table) -> dict[str, Source]:
    """Return the sources of an INSERT with several rows in its VALUES."""
    keys = {_key(key) for row in rows for key in row}
    result = {}
    for column in table.columns:
        names = tuple(f"{column.key}_m{number}" for number in range(len(rows)))
        if column.key in keys and all(name in compiled.binds for name in names):
            result[column.name] = Source(names)
    return result


# UPDATE


def _update(compiled: SQLCompiler, state: Any, statement: Update, table: Table) -> Plan:
    assigned = _assigned(compiled, state, table)
    for column in table.columns:
        changes_itself = column.onupdate or column.server_onupdate or column.computed
        if changes_itself and column.name not in assigned:
            assigned[column.name] = None
    others = {
        key.table.key: key.table
        for key in state._dict_parameters or ()  # noqa: SLF001
        if isinstance(key, Column) and isinstance(key.table, Table) and key.table.key != table.key
    }
    matched = _matched(compiled, statement.whereclause, table)
    return Plan(Verb.REPLACE if _replaces(table) else Verb.UPDATE, table, assigned, matched, others=(*others.values(),))


def _assigned(compiled: SQLCompiler, state: Any, table: Table) -> dict[str, Source | None]:
    """Return the columns that one set of parameters sets."""
    expressions = {_key(key): value for key, value in (state._dict_parameters or {}).items() if _is_of(key, table)}  # noqa: SLF001
    given = {*(compiled.column_keys or ()), *(each.key for each in _prefetched(compiled))}
    result: dict[str, Source | None] = {}
    for column in table.columns:
        if column.key in expressions:
            result[column.name] = _assigned_source(compiled, column.key, expressions[column.key])
        elif column.key in given:
            result[column.name] = Source((column.key,)) if column.key in compiled.binds else None
        elif column in (compiled.postfetch or ()):
            result[column.name] = None
    return result


def _prefetched(compiled: SQLCompiler) -> Iterable[Column[Any]]:
    return (*(compiled.insert_prefetch or ()), *(compiled.update_prefetch or ()))


def _assigned_source(compiled: SQLCompiler, key: str, value: Any) -> Source | None:
    if isinstance(value, BindParameter):
        name = key if value.unique else value.key
        return Source((name,)) if name in compiled.binds else None
    return _constant(value)


def _constant(value: Any) -> Source | None:
    for class_, constant in ((Null, None), (True_, True), (False_, False)):
        if isinstance(value, class_):
            return Source(constants=(constant,))
    return None


def _key(column: Any) -> str:
    return column if isinstance(column, str) else str(column.key)


def _is_of(column: Any, table: Table) -> bool:
    """Return whether a column, or the name of one, is of this table and of no alias."""
    if isinstance(column, str):
        return True
    other = getattr(column, "table", None)
    return isinstance(other, Table) and other.key == table.key


# WHERE


def _matched(compiled: SQLCompiler, where: ColumnElement[Any] | None, table: Table) -> dict[str, Source]:
    """Return the columns that a condition compares with values, so that each row has one of these."""
    result: dict[str, Source] = {}
    for each in _conjunction(where):
        if isinstance(each, BinaryExpression):
            for column, value in ((each.left, each.right), (each.right, each.left)):
                if isinstance(column, Column) and _is_of(column, table) and column.name not in result:
                    source = _compared(compiled, each, value)
                    if source is not None:
                        result[column.name] = source
    return result


def _conjunction(where: Any) -> Iterator[Any]:
    if isinstance(where, Grouping):
        yield from _conjunction(where.element)
    elif isinstance(where, BooleanClauseList) and where.operator is operators.and_:
        for each in where.clauses:
            yield from _conjunction(each)
    elif where is not None:
        yield where


def _compared(compiled: SQLCompiler, comparison: BinaryExpression[Any], value: Any) -> Source | None:
    operator = comparison.operator
    if operator in (operators.eq, operators.is_):
        if isinstance(value, BindParameter) and not value.expanding:
            name = compiled.bind_names.get(value)
            return None if name is None else Source((name,))
        return _constant(value)
    if operator is operators.in_op and value is comparison.right:
        element = value.element if isinstance(value, Grouping) else value
        if isinstance(element, BindParameter) and element.expanding:
            name = compiled.bind_names.get(element)
            return None if name is None else Source(lists=(name,))
    return None
