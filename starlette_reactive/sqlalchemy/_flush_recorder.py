"""Records the rows that a flush changes, and describes them with the application's functions.

A function is called with the old row before its UPDATE or DELETE, and with the new row at the end of the flush. By then
new rows have their keys, and everything that the function may read has been written.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import event, inspect
from sqlalchemy.engine import Connection
from sqlalchemy.orm import InstanceState, Mapper, Session, object_session

from .._core.errors import ReactiveError
from .._core.events import ChangeEvent
from ._row_changes import RowChange, RowView, as_flushed, row_change_of

__all__ = [
    "DescribeRow",
    "DescribedChange",
    "FlushRecorder",
    "PendingChanges",
    "function_for",
    "listen_to_rows",
    "running_flushes",
]

DescribedChange = ChangeEvent | tuple[str, Iterable[str]]
DescribeRow = Callable[[Any], DescribedChange | Iterable[DescribedChange | None] | None]
PendingChanges = dict[tuple[str, frozenset[str] | None, str | None], frozenset[str]]
"""The changed paths by scope, audience and origin."""

running_flushes: WeakKeyDictionary[Session, dict[object, FlushRecorder]] = WeakKeyDictionary()
"""The flushes in progress, by session and hook."""


class FlushRecorder:
    """Records one flush of one session for one hook: its changes, and the connections that it writes on.

    Args:
        functions: The function of each model.
    """

    def __init__(self, functions: Mapping[type[Any], DescribeRow]) -> None:
        self.changes: PendingChanges = {}
        self.connections: set[Connection] = set()
        self._functions = functions
        self._deleted: set[InstanceState[Any]] = set()
        self._inserted: list[Any] = []
        self._changed: list[tuple[Any, RowChange]] = []
        self._unchanged: list[tuple[Any, frozenset[str]]] = []

    def deleting(self, row: Any, connect: Callable[[], Connection]) -> None:
        """Describe a row before it is deleted. Idempotent. It is described as stored, without its pending changes."""
        state = inspect(row)
        if state not in self._deleted and self._watches(row):
            self._deleted.add(state)
            self._describe(row, RowView(row, row_change_of(row, connect).before))

    def updating(self, row: Any, connection: Connection) -> None:
        """Describe the old row, if the row changes."""
        if self._watches(row):
            change = row_change_of(row, lambda: connection)
            self._record_change(row, change)
            if not change.keys:
                self._unchanged.append((row, change.rewritten))

    def inserting(self, row: Any) -> None:
        """Record a row before it is inserted, or before it replaces a deleted one."""
        if self._watches(row):
            self._inserted.append(row)

    def recheck_unchanged(self) -> None:
        """Record rows that relationships have changed since their UPDATE, when they seemed unchanged."""
        for row, rewritten in self._unchanged:
            change = row_change_of(row)
            self._record_change(row, replace(change, keys=change.keys - rewritten))

    def describe_new_rows(self) -> None:
        """Describe the new rows. Inserted ones now have their primary keys."""
        for row, seen in self._new_rows():
            self._describe(row, seen)

    def describe_written_rows(self) -> None:
        """Describe the new rows of a flush that has failed. Skip those that cannot be described now."""
        for row, seen in self._new_rows():
            with suppress(ReactiveError):
                self._describe(row, seen)

    def _new_rows(self) -> Iterator[tuple[Any, Any]]:
        for row in self._inserted:
            yield row, row
        for row, change in self._changed:
            yield row, as_flushed(row, change.keys)

    def _record_change(self, row: Any, change: RowChange) -> None:
        if change.keys:
            self._changed.append((row, change))
            self._describe(row, RowView(row, change.before))

    def _watches(self, row: Any) -> bool:
        return function_for(self._functions, type(row)) is not None

    def _describe(self, row: Any, seen: Any) -> None:
        model, function = function_for(self._functions, type(row)) or (type(row), _nothing)
        try:
            for change in _each(function(seen)):
                described = change if isinstance(change, ChangeEvent) else _as_event(change)
                key = (described.scope, described.audience, described.origin)
                self.changes[key] = self.changes.get(key, frozenset()) | described.changed_paths
        except Exception as error:
            raise ReactiveError(
                f"the function passed to emit_on_commit for {model.__name__} failed, and so did the flush: "
                f"{type(error).__name__}: {error}; it takes the old or the new row, and returns (scope, {{path, …}}), "
                "a ChangeEvent, several of them, or None"
            ) from error


# Return values of the functions


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


# Listeners on rows


def function_for(functions: Mapping[type[Any], DescribeRow], model: type[Any]) -> tuple[type[Any], DescribeRow] | None:
    """Return the function for a model, with the class that it was given for. ``None`` if there is none."""
    return next(((each, functions[each]) for each in model.__mro__ if each in functions), None)


@functools.cache
def listen_to_rows() -> None:
    """Listen for the rows of all flushes, once for all hooks. Flushes of unwatched sessions are not recorded."""

    def updating(_mapper: Mapper[Any], connection: Connection, row: Any) -> None:
        for flush in _recorders_of(row):
            flush.connections.add(connection)
            flush.updating(row, connection)

    def inserting(_mapper: Mapper[Any], connection: Connection, row: Any) -> None:
        for flush in _recorders_of(row):
            flush.connections.add(connection)
            flush.inserting(row)

    def deleting(_mapper: Mapper[Any], connection: Connection, row: Any) -> None:
        for flush in _recorders_of(row):
            flush.connections.add(connection)
            flush.deleting(row, lambda: connection)

    event.listen(Mapper, "before_update", updating)
    event.listen(Mapper, "before_insert", inserting)
    event.listen(Mapper, "before_delete", deleting)


def _recorders_of(row: Any) -> Iterable[FlushRecorder]:
    session = object_session(row)
    return () if session is None else running_flushes.get(session, {}).values()
