"""Reads what rows are before an UPDATE or DELETE that names them by their primary keys.

What a session has loaded may be out of date: another transaction may have changed the row since, and then the page that
shows it there would not be found. So the row is locked and read, as the statement itself would lock it a moment later.
Only columns that refer to other rows are worth it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

import sqlalchemy
from sqlalchemy import Column, Select, bindparam, select
from sqlalchemy.engine import Connection

from ..._core.reads import untracked
from ..driver import autocommits, is_in_transaction
from .cascades import referred_columns
from .changes import Image, Values, united
from .plans import Plan, Verb, values_in
from .tables import key_columns, kinds_of, values_of

__all__ = ["OldRows", "read_old_rows"]

_DIALECTS: Final = frozenset(("postgresql", "sqlite"))
_ROW_LIMIT: Final = 1_000
_CHUNK: Final = 500

_selects: WeakKeyDictionary[Plan, Select[Any]] = WeakKeyDictionary()
_locks: WeakKeyDictionary[Plan, str] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class OldRows:
    """What rows are before a statement.

    Args:
        image: Their values.
        found: How many of them there are.
        wanted: How many there are at most.
    """

    image: Image
    found: int
    wanted: int


def read_old_rows(
    connection: Connection, plan: Plan, parameters: Sequence[Mapping[str, Any]], options: Mapping[str, Any]
) -> OldRows | None:
    """Lock and read the rows that a statement will change.

    Args:
        connection: The connection that will execute it.
        plan: Its plan.
        parameters: Its parameters.
        options: Its execution options.

    Returns:
        What they are. ``None`` if the statement does not name them, or says enough about them itself.
    """
    if not _is_worth_it(plan) or connection.dialect.name not in _DIALECTS or autocommits(connection):
        return None
    try:
        keys = _keys(plan, parameters)
    except (KeyError, TypeError):
        return None
    if not keys or len(keys) > _ROW_LIMIT:
        return None
    translation = options.get("schema_translate_map")
    own: dict[str, Any] = {} if translation is None else {"schema_translate_map": translation}
    with untracked():
        if connection.dialect.name == "sqlite" and not _lock_database(connection, plan, own):
            return None
        return _read(connection, plan, keys, own)


def _is_worth_it(plan: Plan) -> bool:
    if plan.verb not in (Verb.UPDATE, Verb.DELETE):
        return False
    table = plan.table
    if not table.primary_key or not plan.matched.keys() >= {column.name for column in table.primary_key}:
        return False
    return not plan.matched.keys() >= (key_columns(table) | referred_columns(table)) & kinds_of(table).keys()


def _keys(plan: Plan, parameters: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Return the primary keys that a statement names."""
    columns = list(plan.table.primary_key)
    if len(columns) == 1:
        return list(dict.fromkeys(values_in(plan.matched[columns[0].name], parameters)))
    keys: dict[tuple[Any, ...], None] = {}
    for each in parameters:
        key = [list(values_in(plan.matched[column.name], (each,))) for column in columns]
        if any(len(values) != 1 for values in key):
            return []
        keys[tuple(values[0] for values in key)] = None
    return list(keys)


def _lock_database(connection: Connection, plan: Plan, options: Mapping[str, Any]) -> bool:
    """Begin to write, because SQLite refuses to in a transaction that has read what others have changed since."""
    nothing = sqlalchemy.delete(plan.table).where(sqlalchemy.false())
    if options:
        connection.execute(nothing, execution_options=options)
    else:
        text = _locks.get(plan)
        if text is None:
            text = _locks[plan] = str(nothing.compile(dialect=connection.dialect))
        connection.exec_driver_sql(text)
    return is_in_transaction(connection.connection.driver_connection) is True


def _read(connection: Connection, plan: Plan, keys: Sequence[Any], options: Mapping[str, Any]) -> OldRows | None:
    kinds = kinds_of(plan.table)
    columns = [column for column in plan.table.columns if column.name in kinds]
    statement = _select(plan, columns)
    image: dict[str, Values] = dict.fromkeys(kinds, frozenset())
    found = 0
    for start in range(0, len(keys), _CHUNK):
        chunk = keys[start : start + _CHUNK]
        try:
            rows = connection.execute(statement, {"reactive_keys": chunk}, execution_options=options).all()
        except (LookupError, ValueError):  # a stored value that the column's type cannot read
            return None
        found += len(rows)
        for position, column in enumerate(columns):
            values = values_of(kinds[column.name], (row[position] for row in rows))
            image[column.name] = united(image[column.name], values)
    return OldRows(image, found, len(keys))


def _select(plan: Plan, columns: Sequence[Column[Any]]) -> Select[Any]:
    statement = _selects.get(plan)
    if statement is None:
        keys = list(plan.table.primary_key)
        key: Any = keys[0] if len(keys) == 1 else sqlalchemy.tuple_(*keys)
        is_kept = plan.verb is Verb.UPDATE and plan.assigned.keys().isdisjoint(column.name for column in keys)
        statement = _selects[plan] = (
            select(*columns)
            .where(key.in_(bindparam("reactive_keys", expanding=True)))
            .order_by(*keys)
            .with_for_update(key_share=is_kept)
        )
    return statement
