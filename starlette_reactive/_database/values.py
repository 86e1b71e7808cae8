"""Columns that carry values in facts, and how these values are written.

Reads and writes use the same rules: a read must not name a value that a write would not name. A column carries values
if equal values are written equally on every database: integers, booleans, UUIDs, labels of enumerations, and dates.
Types that an application defines are left out, because what they send to the database is not known.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import Column
from sqlalchemy import types as sql_types
from sqlalchemy.dialects import sqlite
from sqlalchemy.types import TypeEngine

__all__ = ["Kind", "kind_of", "kind_of_type"]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a column's values are, and how each of them is written. Values of equal kinds can be compared.

    Args:
        name: The name, such as ``integer``.
        labels: The labels of an enumeration.
        text: Returns a value that is not ``None`` as facts name it. ``None`` if the value is of another kind.
    """

    name: str
    labels: frozenset[str] = frozenset()
    text: Callable[[object], str | None] = field(default=str, compare=False)


def _integer(value: object) -> str | None:
    return str(int(value)) if isinstance(value, int) else None


def _boolean(value: object) -> str | None:
    if not isinstance(value, int) or value not in (0, 1):
        return None
    return "true" if value else "false"


def _uuid(value: object) -> str | None:
    if isinstance(value, uuid.UUID):
        return str(value)
    try:
        return str(uuid.UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _date(value: object) -> str | None:
    return value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else None


_KINDS: Final = (
    (sql_types.Integer, Kind("integer", text=_integer)),
    (sql_types.Boolean, Kind("boolean", text=_boolean)),
    (sql_types.Uuid, Kind("uuid", text=_uuid)),
    (sql_types.Date, Kind("date", text=_date)),
)
_kinds: WeakKeyDictionary[TypeEngine[Any], Kind | None] = WeakKeyDictionary()


def kind_of(column: Column[Any]) -> Kind | None:
    """Return the kind of a column's values. ``None`` if facts do not name them."""
    return kind_of_type(column.type)


def kind_of_type(type_: TypeEngine[Any]) -> Kind | None:
    """Return the kind of a type's values. ``None`` if facts do not name them."""
    try:
        return _kinds[type_]
    except KeyError:
        kind = _kinds[type_] = _kind_with_variants(type_)
        return kind


def _kind_with_variants(type_: TypeEngine[Any]) -> Kind | None:
    kind = _kind(type_)
    variants = getattr(type_, "_variant_mapping", {}).values()
    return kind if all(_kind(each) == kind for each in variants) else None


def _kind(type_: TypeEngine[Any]) -> Kind | None:
    if not type(type_).__module__.startswith("sqlalchemy.") or isinstance(type_, sqlite.DATE):
        return None
    if isinstance(type_, sql_types.Enum):
        return _enumeration(type_)
    return next((kind for each, kind in _KINDS if isinstance(type_, each)), None)


def _enumeration(type_: sql_types.Enum) -> Kind | None:
    """Return the kind of an enumeration, unless a collation may confuse its labels."""
    labels = [str(each) for each in type_.enums]
    members: list[Any] = labels if type_.enum_class is None else list(type_.enum_class)
    if len({each.casefold() for each in labels}) < len(members) or len(labels) != len(members):
        return None
    # A member that is a string wins over the label that equals it, as in SQLAlchemy.
    label_of = {**{each: each for each in labels}, **dict(zip(members, labels, strict=True))}
    return Kind(
        "enum", frozenset(labels), lambda value: label_of.get(value) if isinstance(value, (str, Enum)) else None
    )
