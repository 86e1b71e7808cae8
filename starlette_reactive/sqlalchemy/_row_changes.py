"""What a flush changes in a row, and the row with its old values.

Both are determined before the row's UPDATE. Afterwards the database no longer has the old values, and a value that was
set to an SQL expression leaves no trace in the attribute's history.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy.engine import Connection
from sqlalchemy.orm import (
    Mapper,
    PassiveFlag,
    RelationshipDirection,
    RelationshipProperty,
    object_mapper,
    object_session,
)
from sqlalchemy.orm.attributes import History, get_history
from sqlalchemy.sql import ClauseElement

__all__ = ["RowChange", "RowView", "as_flushed", "row_change_of"]

_WITHOUT_LOADING = PassiveFlag.PASSIVE_NO_INITIALIZE | PassiveFlag.INCLUDE_PENDING_MUTATIONS


@dataclass(frozen=True, slots=True)
class RowChange:
    """The mapped attributes of a row that change, and their old values, as far as these are known.

    Args:
        keys: The attributes that change.
        before: Their old values.
        rewritten: The attributes that were set to their old value without being loaded.
    """

    keys: frozenset[str]
    before: Mapping[str, Any]
    rewritten: frozenset[str]


def row_change_of(row: Any, connect: Callable[[], Connection] | None = None) -> RowChange:
    """Return the pending changes of a row. An equal value is not a change.

    Args:
        row: The row's object. It is persistent.
        connect: Returns a connection that reads the old values of attributes that were written without being loaded.
            This locks the row, as the UPDATE does afterwards. With ``None`` these values stay unknown.
    """
    mapper = object_mapper(row)
    histories = _changed(row, mapper)
    before = {key: next(iter(history.deleted)) for key, history in histories.items() if _is_known(mapper, key, history)}
    unknown = [key for key in histories if key in mapper.column_attrs and key not in before]
    rewritten: frozenset[str] = frozenset()
    if unknown and connect is not None:
        stored = _stored(row, mapper, unknown, connect())
        before.update(stored)
        rewritten = frozenset(key for key, value in stored.items() if _is_equal(mapper, key, value, histories[key]))
    keys = frozenset(histories) - rewritten
    same = {
        key for key in keys - before.keys() if _refers_to_same_row(RowView(row, before), mapper, key, histories[key])
    }
    return RowChange(keys - same, before, rewritten)


def _changed(row: Any, mapper: Mapper[Any]) -> dict[str, History]:
    keys = [
        *mapper.column_attrs.keys(),
        *(each.key for each in mapper.relationships if not each.viewonly),
    ]
    histories = {key: get_history(row, key, _WITHOUT_LOADING) for key in keys}
    return {key: history for key, history in histories.items() if history.has_changes()}


def _is_known(mapper: Mapper[Any], key: str, history: History) -> bool:
    relationship = mapper.relationships.get(key)
    return bool(history.deleted) and (relationship is None or not relationship.uselist)


def _stored(row: Any, mapper: Mapper[Any], keys: list[str], connection: Connection) -> dict[str, Any]:
    """Read stored attributes of a row without the session, whose object has the new values."""
    attributes = mapper.class_
    identity = sqlalchemy.inspect(row).identity or ()
    query = sqlalchemy.select(*(getattr(attributes, key) for key in keys)).where(
        *(
            getattr(attributes, mapper.get_property_by_column(column).key) == value
            for column, value in zip(mapper.primary_key, identity, strict=True)
        )
    )
    # The lock of an UPDATE that keeps the key, so that nobody moves the row between this and the UPDATE.
    values = connection.execute(query.with_for_update(key_share=True)).first()
    return {} if values is None else dict(zip(keys, values, strict=True))


def _is_equal(mapper: Mapper[Any], key: str, value: Any, history: History) -> bool:
    new = history.added[0] if history.added else None
    if isinstance(new, ClauseElement) or hasattr(new, "__clause_element__"):
        return False
    return bool(mapper.column_attrs[key].columns[0].type.compare_values(value, new))


def _refers_to_same_row(before: Any, mapper: Mapper[Any], key: str, history: History) -> bool:
    """Return whether a reference that was written without being loaded still refers to the same row."""
    relationship = mapper.relationships.get(key)
    if relationship is None or not _foreign_keys(mapper, relationship):
        return False
    target = next(iter(history.added), None)
    if target is None:
        return all(getattr(before, each) is None for each in _foreign_keys(mapper, relationship))
    target_mapper = object_mapper(target)
    return all(
        getattr(before, mapper.get_property_by_column(local).key)
        == getattr(target, target_mapper.get_property_by_column(remote).key)
        is not None
        for local, remote in relationship.local_remote_pairs or ()
    )


def as_flushed(row: Any, changed: Collection[str]) -> Any:
    """Return a row as the database has it after a flush: the object itself, or a view.

    It is a view if a foreign key was written and the object still holds the row that the old key referred to.
    """
    mapper = object_mapper(row)
    state = sqlalchemy.inspect(row)
    stale = any(
        relationship.key not in changed
        and relationship.key not in state.unloaded
        and not _foreign_keys(mapper, relationship).isdisjoint(changed)
        for relationship in mapper.relationships
    )
    return RowView(row, {key: getattr(row, key) for key in changed if key in mapper.column_attrs}) if stale else row


def _foreign_keys(mapper: Mapper[Any], relationship: RelationshipProperty[Any]) -> frozenset[str]:
    """Return the attributes that a reference to one other row depends on. Empty if these are not all mapped."""
    locals_ = [local for local, _ in relationship.local_remote_pairs or ()]
    if relationship.direction is not RelationshipDirection.MANYTOONE or not all(map(mapper.c.contains_column, locals_)):
        return frozenset()
    return frozenset(mapper.get_property_by_column(local).key for local in locals_)


class RowView:
    """A row with different values for some attributes. It is read-only, and an ``isinstance`` of the row's class.

    All other attributes are the row's. Methods and properties of the class run on the view, so they see its values. A
    reference whose foreign key is among the values is loaded again.

    Args:
        row: The row's object.
        values: The attributes that differ, with their values.
    """

    __slots__ = ("__row", "__values")

    def __init__(self, row: Any, values: Mapping[str, Any]) -> None:
        object.__setattr__(self, "_RowView__row", row)
        object.__setattr__(self, "_RowView__values", values)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self.__row)

    def __getattr__(self, name: str) -> Any:
        row, values = self.__row, self.__values
        if name in values:
            return values[name]
        if name == "__dict__":
            return {**vars(row), **values}
        mapper = object_mapper(row)
        if name in mapper.attrs:
            return self.__mapped(mapper, name)
        member = inspect.getattr_static(type(row), name, None)
        if isinstance(member, functools.cached_property):
            return member.func(self)
        bind = getattr(type(member), "__get__", None)
        return getattr(row, name) if bind is None else bind(member, self, type(row))

    def __mapped(self, mapper: Mapper[Any], name: str) -> Any:
        if name in mapper.synonyms:
            return getattr(self, mapper.synonyms[name].name)
        if name in mapper.composites:
            composite = mapper.composites[name]
            if any(each.key in self.__values for each in composite.props):
                return composite.composite_class(*(getattr(self, each.key) for each in composite.props))
        if name in mapper.relationships:
            relationship = mapper.relationships[name]
            if not _foreign_keys(mapper, relationship).isdisjoint(self.__values):
                return self.__referenced(mapper, relationship)
        return getattr(self.__row, name)

    def __referenced(self, mapper: Mapper[Any], relationship: RelationshipProperty[Any]) -> Any:
        wanted = {
            remote: getattr(self, mapper.get_property_by_column(local).key)
            for local, remote in relationship.local_remote_pairs or ()
        }
        session = object_session(self.__row)
        if session is None or None in wanted.values():
            return None
        target = relationship.mapper
        if wanted.keys() == set(target.primary_key):
            return session.get(target.class_, tuple(wanted[column] for column in target.primary_key))
        return session.scalars(sqlalchemy.select(target.class_).where(*_equalities(target, wanted))).unique().first()

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name!r} cannot be set on an old row: a function of emit_on_commit only reads")

    def __str__(self) -> str:
        model: Any = type(self.__row)
        return str(model.__str__(self))

    def __repr__(self) -> str:
        model: Any = type(self.__row)
        return str(model.__repr__(self))


def _equalities(mapper: Mapper[Any], wanted: Mapping[Any, Any]) -> Iterable[Any]:
    for column, value in wanted.items():
        yield getattr(mapper.class_, mapper.get_property_by_column(column).key) == value
