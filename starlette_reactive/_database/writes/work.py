"""What a connection has written in its open transaction, by savepoint and by origin.

It is kept with the connection of the driver, so that it goes with the transaction of the database: a connection of the
pool may be left in a transaction whose COMMIT was refused, and the next COMMIT on it commits that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import ref

from sqlalchemy.engine import Connection, CursorResult, ExecutionContext
from sqlalchemy.orm import Session
from sqlalchemy.pool import PoolProxiedConnection

from ..._core.events import delivered_origin
from ..._core.origins import default_origin
from ..origins import ORIGIN, session_of
from .changes import Changes

__all__ = ["Statement", "Work", "work_of", "work_on"]

_KEY: Final = "starlette_reactive.writes"

_ByOrigin = dict[str | None, Changes]


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that is being executed.

    Args:
        context: SQLAlchemy's context of the execution.
        changes: Returns what it changes, from its result, or from ``None`` if it may have failed.
        commits: Whether it ends the transaction.
    """

    context: ExecutionContext
    changes: Callable[[CursorResult[Any] | None], Changes]
    commits: bool = False


@dataclass(slots=True)
class _Frame:
    """A savepoint.

    Args:
        name: Its name.
        changes: What was written since, by origin.
    """

    name: str = ""
    changes: _ByOrigin = field(default_factory=dict)


class Work:
    """The changes of an open transaction."""

    __slots__ = ("_frames", "_origin", "_session", "is_paused", "statement")

    def __init__(self) -> None:
        self._frames = [_Frame()]
        self._session: ref[Session] | None = None
        self._origin: str | None = None
        self.statement: Statement | None = None
        self.is_paused = False

    def __bool__(self) -> bool:
        return self.statement is not None or any(frame.changes for frame in self._frames)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take no notice of the statements of a block."""
        self.is_paused, was_paused = True, self.is_paused
        try:
            yield
        finally:
            self.is_paused = was_paused

    def begin(self, statement: Statement, connection: Connection) -> None:
        """Note that a statement begins."""
        session = session_of(connection)
        self._session = None if session is None else ref(session)
        self._origin = self._session_origin() or default_origin()
        self.statement = statement

    def end(self, result: CursorResult[Any] | None = None) -> None:
        """Note that the statement has ended.

        Args:
            result: Its result. ``None`` if it may have failed.
        """
        statement, self.statement = self.statement, None
        if statement is not None:
            self.add(statement.changes(result))

    def add(self, changes: Changes) -> None:
        """Add what was written."""
        if changes:
            self._frames[-1].changes.setdefault(self._origin, Changes()).merge(changes)

    def begin_savepoint(self, name: str) -> None:
        """Note that a savepoint was made."""
        self._frames.append(_Frame(name))

    def roll_back_to(self, name: str) -> None:
        """Drop what was written since a savepoint."""
        if any(frame.name == name for frame in self._frames[1:]):
            while self._frames.pop().name != name:
                pass

    def release(self, name: str) -> None:
        """Leave what was written since a savepoint to the transaction or savepoint around it."""
        if any(frame.name == name for frame in self._frames[1:]):
            released = ""
            while released != name:
                frame = self._frames.pop()
                _merge(self._frames[-1].changes, frame.changes)
                released = frame.name

    def take(self) -> _ByOrigin:
        """Return all changes, and forget them."""
        self.end()
        changes: _ByOrigin = {}
        for frame in self._frames:
            _merge(changes, frame.changes)
            frame.changes = {}
        if None in changes and (origin := self._session_origin()):
            _merge(changes, {origin: changes.pop(None)})
        return changes

    def clear(self) -> None:
        """Forget all changes and savepoints."""
        self.statement = None
        self._frames = [_Frame()]

    def _session_origin(self) -> str | None:
        session = None if self._session is None else self._session()
        origin = None if session is None else session.info.get(ORIGIN)
        return delivered_origin(origin) if isinstance(origin, str) else None


def work_of(connection: Connection) -> Work | None:
    """Return the work of a connection. ``None`` if the connection is lost."""
    return None if connection.closed or connection.invalidated else _in(connection.info)


def work_on(dbapi_connection: Any) -> Work | None:
    """Return the work of a connection of the pool. ``None`` if it is lost."""
    is_usable = isinstance(dbapi_connection, PoolProxiedConnection) and dbapi_connection.is_valid
    return _in(dbapi_connection.info) if is_usable else None


def _in(info: dict[Any, Any]) -> Work:
    work = info.get(_KEY)
    if work is None:
        work = info[_KEY] = Work()
    return work


def _merge(changes: _ByOrigin, more: _ByOrigin) -> None:
    for origin, each in more.items():
        changes.setdefault(origin, Changes()).merge(each)
