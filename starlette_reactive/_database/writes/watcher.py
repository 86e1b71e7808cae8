"""Listens to an engine, and emits what its transactions have changed after their commit."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary, ref

from sqlalchemy import event
from sqlalchemy.engine import Connection, CursorResult, Dialect, Engine, ExceptionContext, ExecutionContext
from sqlalchemy.sql.elements import ReleaseSavepointClause, RollbackToSavepointClause, SavepointClause

from ..._core.emit_filters import as_emitted
from ..._core.events import ChangeEvent
from ..._core.failures import Failures
from ..._core.origins import without_default_origin
from ..driver import commits_at_once, is_in_transaction, is_refusal
from ..in_doubt import InDoubt
from ..origins import listen_to_sessions
from ..reads.views import Views
from ..suppression import is_suppressed
from .changes import Changes
from .commits import Phase, fetch_rows, watch_commits
from .effects import statement_of
from .work import work_of, work_on

__all__ = ["Emit", "watch_writes"]

logger: logging.Logger = logging.getLogger("starlette_reactive.database")

Emit = Callable[[ChangeEvent], None]


_watchers: WeakKeyDictionary[Dialect, ref[_Watcher]] = WeakKeyDictionary()
"""The watcher of each dialect. The functions that it gives to the dialect keep it alive."""

_lock = threading.Lock()


def watch_writes(engine: Engine, emit: Emit, views: Mapping[str, Iterable[str]] | None = None) -> Callable[[], None]:
    """Emit what the connections of an engine have changed, after each commit. Return a function that stops.

    An engine that is watched twice with one function calls it once, until both have stopped.

    Args:
        engine: The engine. That of an asynchronous one is its ``sync_engine``.
        emit: Emits an event, in the thread or task that commits.
        views: The tables of each view.
    """
    with _lock:
        known = _watchers.get(engine.dialect)
        watcher = None if known is None else known()
        if watcher is None:
            watcher = _Watcher(engine.dialect)
            _watchers[engine.dialect] = ref(watcher)
        watcher.add(engine, emit, views or {})

    def stop() -> None:
        nonlocal watcher
        with _lock:
            if watcher is not None and watcher.remove(emit):
                _watchers.pop(engine.dialect, None)
            watcher = None

    return stop


class _Watcher:
    """Watches the engines of one dialect: an engine, and those that are made from it with other options.

    Args:
        dialect: The dialect.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._emits: dict[Emit, int] = {}
        self._declared: dict[str, frozenset[str]] = {}
        self._views = Views({})
        self._engines: list[Engine] = []
        self._failures = Failures(logger)
        self._in_doubt = InDoubt(self._emit_one)
        self._stop_commits = watch_commits(dialect, self._committing)
        self._listeners: dict[str, Callable[..., Any]] = {
            "before_cursor_execute": self._before,
            "after_cursor_execute": self._after_text,
            "after_execute": self._after,
            "rollback": self._rollback,
            "rollback_twophase": self._rollback,
            "handle_error": self._failed,
        }
        listen_to_sessions()

    def add(self, engine: Engine, emit: Emit, views: Mapping[str, Iterable[str]]) -> None:
        """Emit with one more function. Listen to one more engine."""
        self._emits = {**self._emits, emit: self._emits.get(emit, 0) + 1}
        if views:
            self._declared.update({name: frozenset(tables) for name, tables in views.items()})
            self._views = Views(self._declared)
        if engine not in self._engines:
            self._engines.append(engine)
            for name, listener in self._listeners.items():
                event.listen(engine, name, listener)

    def remove(self, emit: Emit) -> bool:
        """Emit no more with a function. Return whether it was the last one."""
        count = self._emits[emit] - 1
        self._emits = {**self._emits, emit: count} if count else {k: n for k, n in self._emits.items() if k != emit}
        if self._emits:
            return False
        for engine in self._engines:
            for name, listener in self._listeners.items():
                event.remove(engine, name, listener)
        self._stop_commits()
        self._in_doubt.stop()
        return True

    # Statements

    def _before(
        self, connection: Connection, _cursor: Any, text: str, _values: Any, context: ExecutionContext, _many: bool
    ) -> None:
        statement = None if is_suppressed() else statement_of(connection, context, text, self._views)
        if statement is None or (work := work_of(connection)) is None:
            return
        if work.is_paused or (work.statement is not None and work.statement.context is context):
            return
        work.end()
        work.begin(statement, connection)

    def _after(
        self, connection: Connection, element: Any, _many: Any, _values: Any, _options: Any, result: Any
    ) -> None:
        """Note the end of what was executed otherwise than as text for the driver."""
        if isinstance(element, SavepointClause | RollbackToSavepointClause | ReleaseSavepointClause):
            self._note_savepoint(connection, element)
        self._ended(connection, getattr(result, "context", None), result)

    def _note_savepoint(self, connection: Connection, element: Any) -> None:
        if (work := work_of(connection)) is not None:
            match element:
                case SavepointClause():
                    work.begin_savepoint(element.ident)
                case RollbackToSavepointClause():
                    work.roll_back_to(element.ident)
                case _:
                    work.release(element.ident)

    def _after_text(
        self, connection: Connection, _cursor: Any, _text: str, _values: Any, context: ExecutionContext, _many: bool
    ) -> None:
        if context.compiled is None:
            self._ended(connection, context, None)

    def _ended(self, connection: Connection, context: Any, result: CursorResult[Any] | None) -> None:
        work = work_of(connection)
        if not work or work.is_paused:
            return
        commits = False
        if work.statement is not None:
            if work.statement.context is not context:
                return
            commits = work.statement.commits
            work.end(result)
        if work and (commits or commits_at_once(connection)):
            emit = self._emit
            if connection.dialect.name == "sqlite":
                if isinstance(result, CursorResult):
                    fetch_rows(result)
                elif context is not None and context.cursor.description is not None:
                    emit = self._doubt  # the driver's rows are the application's
            emit(work.take())

    def _failed(self, context: ExceptionContext) -> None:
        """Note an error of a statement. What it has written before stays, unless its transaction is rolled back."""
        connection = context.connection
        work = None if connection is None else work_of(connection)
        if connection is None or work is None or work.statement is None:
            return
        statement = work.statement
        if statement.context is not context.execution_context:
            return
        is_one = not context.execution_context.executemany
        error = context.original_exception
        is_refused = is_one and is_refusal(error, context.dialect, is_disconnect=context.is_disconnect)
        is_committed = commits_at_once(connection)
        if is_committed and is_refused:
            work.statement = None
        work.end()
        if is_committed or (statement.commits and not is_refused):
            self._doubt(work.take())

    # Transactions

    def _rollback(self, connection: Connection, *_two_phase: object) -> None:
        work = work_of(connection)
        if not work:
            return
        if is_in_transaction(connection.connection.driver_connection) is False:
            self._emit(work.take())  # somebody else has ended it, nobody knows how
        work.clear()

    @contextmanager
    def _committing(self, dbapi_connection: Any, phase: Phase) -> Iterator[None]:
        work = work_on(dbapi_connection)
        if work is None or (phase is Phase.ONLY and not work):
            yield
            return
        if is_suppressed():
            work.clear()
        elif phase is Phase.RECOVERED:
            work.add(Changes(is_unknown=True))
        try:
            with work.paused():
                yield
        except BaseException as error:
            if phase is not Phase.ONLY or not self._is_refused(error, dbapi_connection):
                self._doubt(work.take())
            if not is_in_transaction(dbapi_connection.driver_connection):
                work.clear()
            raise
        self._emit(work.take())
        work.clear()

    def _is_refused(self, error: BaseException, dbapi_connection: Any) -> bool:
        dialect = self._engines[0].dialect
        is_disconnect = isinstance(error, dialect.loaded_dbapi.Error) and dialect.is_disconnect(
            error, dbapi_connection, None
        )
        return is_refusal(error, dialect, is_disconnect=is_disconnect)

    # Emitting

    def _emit(self, changes: Mapping[str | None, Changes]) -> None:
        for origin, each in changes.items():
            for change in each.events(origin):
                self._emit_one(change)

    def _doubt(self, changes: Mapping[str | None, Changes]) -> None:
        """Emit changes of which nobody knows whether they are committed, now and again later."""
        for each in changes.values():
            for change in each.events(None):
                self._emit_one(change)
                if repeated := as_emitted(change):
                    self._in_doubt.add(repeated)

    def _emit_one(self, change: ChangeEvent) -> None:
        # The commit succeeded, and must not look as if it had failed.
        what = f"emitting a committed change of the scope {change.scope!r}"
        for emit in self._emits:
            with self._failures.logged(what, self), without_default_origin():
                emit(change)
