"""One flush, as one hook sees it: which rows it changes, and what the application's functions say of them.

A function is called before a row's UPDATE or DELETE for the row as it was, and at the end of the flush for the row
as it became: then new rows have their keys, and what the function reads is there to be read.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import event, inspect
from sqlalchemy.engine import Connection
from sqlalchemy.orm import InstanceState, Mapper, Session, object_session

from .._core.errors import ReactiveError
from .._core.events import ChangeEvent
from .rows import RowChange, RowView, as_flushed, change_of

__all__ = ["Change", "Changes", "Describe", "Flush", "flushes", "function_for", "listen_to_rows"]

Change = ChangeEvent | tuple[str, Iterable[str]]
Describe = Callable[[Any], Change | Iterable[Change | None] | None]
Changes = dict[tuple[str, frozenset[str] | None, str | None], frozenset[str]]
"""Paths by scope, audience and origin."""

flushes: WeakKeyDictionary[Session, dict[object, Flush]] = WeakKeyDictionary()
"""The flushes that run, by session and by hook."""


class Flush:
    """One flush of one session, as one hook sees it."""

    def __init__(self, functions: Mapping[type[Any], Describe]) -> None:
        self.changes: Changes = {}
        self._functions = functions
        self._deleted: set[InstanceState[Any]] = set()
        self._inserted: list[Any] = []
        self._changed: list[tuple[Any, RowChange]] = []
        self._unchanged: list[tuple[Any, frozenset[str]]] = []

    def deleting(self, row: Any, connect: Callable[[], Connection]) -> None:
        """Describe a row that is about to be deleted, once, and as it is stored: changes are deleted with it."""
        state = inspect(row)
        if state not in self._deleted and self._watches(row):
            self._deleted.add(state)
            self._describe(row, RowView(row, change_of(row, connect).before))

    def updating(self, row: Any, connection: Connection) -> None:
        """Describe a row as it was, if it is changed."""
        if self._watches(row):
            change = change_of(row, lambda: connection)
            self._note(row, change)
            if not change.keys:
                self._unchanged.append((row, change.rewritten))

    def inserting(self, row: Any) -> None:
        """Note a row that is about to be inserted, or to take the place of a deleted one."""
        if self._watches(row):
            self._inserted.append(row)

    def look_again(self) -> None:
        """Note rows that seemed unchanged before their UPDATE, and that relationships have changed since."""
        for row, rewritten in self._unchanged:
            change = change_of(row)
            self._note(row, replace(change, keys=change.keys - rewritten))

    def describe_new(self) -> None:
        """Describe the rows as they became; new ones have their primary keys."""
        for row in self._inserted:
            self._describe(row, row)
        for row, change in self._changed:
            self._describe(row, as_flushed(row, change.keys))

    def _note(self, row: Any, change: RowChange) -> None:
        if change.keys:
            self._changed.append((row, change))
            self._describe(row, RowView(row, change.before))

    def _watches(self, row: Any) -> bool:
        return function_for(self._functions, type(row)) is not None

    def _describe(self, row: Any, seen: Any) -> None:
        model, function = function_for(self._functions, type(row)) or (type(row), _nothing)
        try:
            for change in _each(function(seen)):
                told = change if isinstance(change, ChangeEvent) else _as_event(change)
                key = (told.scope, told.audience, told.origin)
                self.changes[key] = self.changes.get(key, frozenset()) | told.changed_paths
        except Exception as error:
            raise ReactiveError(
                f"the function that emit_on_commit has for {model.__name__} failed, and the flush with it: "
                f"{type(error).__name__}: {error}; it takes a row as it is, or as it was, and returns "
                "(scope, {path, …}), a ChangeEvent, several of them, or None"
            ) from error


# What the function returned


def _each(value: Any) -> Iterable[Any]:
    if value is None:
        return ()
    if isinstance(value, ChangeEvent) or (isinstance(value, tuple) and value and isinstance(value[0], str)):
        return (value,)
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(f"it returned {value!r}")
    return (each for each in value if each is not None)


def _as_event(change: Any) -> ChangeEvent:
    if not isinstance(change, tuple) or len(change) != 2:
        raise TypeError(f"it returned {change!r}")
    scope, paths = change
    return ChangeEvent(scope, paths)


def _nothing(_row: Any) -> None:
    return None


# Whose function, and when


def function_for(functions: Mapping[type[Any], Describe], model: type[Any]) -> tuple[type[Any], Describe] | None:
    return next(((each, functions[each]) for each in model.__mro__ if each in functions), None)


@functools.cache
def listen_to_rows() -> None:
    """Hear of rows in flushes, once for all hooks; the flushes of sessions that no hook watches are not noted."""

    def updating(_mapper: Mapper[Any], connection: Connection, row: Any) -> None:
        for flush in _flushes_of(row):
            flush.updating(row, connection)

    def inserting(_mapper: Mapper[Any], _connection: Connection, row: Any) -> None:
        for flush in _flushes_of(row):
            flush.inserting(row)

    def deleting(_mapper: Mapper[Any], connection: Connection, row: Any) -> None:
        for flush in _flushes_of(row):
            flush.deleting(row, lambda: connection)

    event.listen(Mapper, "before_update", updating)
    event.listen(Mapper, "before_insert", inserting)
    event.listen(Mapper, "before_delete", deleting)


def _flushes_of(row: Any) -> Iterable[Flush]:
    session = object_session(row)
    return () if session is None else flushes.get(session, {}).values()
