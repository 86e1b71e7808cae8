"""Listens to engines for COMMITs that are sent, and for errors that follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod, WeakSet

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine, ExceptionContext

from .._database.driver import is_refusal

__all__ = ["CommitEvents"]


class CommitEvents:
    """The events of all engines that sessions of a hook use.

    Only weak references to the methods are kept.

    Args:
        sent: A method, called with the connection before each COMMIT.
        released: A method, called with the connection before a savepoint is released by what may be a COMMIT.
        failed: A method, called with the connection for each error, and whether the database has refused a COMMIT.
    """

    def __init__(
        self,
        sent: Callable[[Connection], None],
        released: Callable[[Connection], None],
        failed: Callable[[Connection, bool], None],
    ) -> None:
        self._engines: WeakSet[Engine] = WeakSet()
        weak_sent, weak_released, weak_failed = WeakMethod(sent), WeakMethod(released), WeakMethod(failed)

        def note_commit(connection: Connection, *_two_phase: object) -> None:
            if call := weak_sent():
                call(connection)

        def note_release(connection: Connection, _name: str, _context: object) -> None:
            # Python's driver begins no transaction before a savepoint, so that releasing the savepoint commits.
            if connection.dialect.name == "sqlite" and (call := weak_released()):
                call(connection)

        def note_error(context: ExceptionContext) -> None:
            if context.connection is not None and (call := weak_failed()):
                error = context.original_exception
                call(context.connection, is_refusal(error, context.dialect, is_disconnect=context.is_disconnect))

        self._listeners: dict[str, Callable[..., Any]] = {
            "commit": note_commit,
            "commit_twophase": note_commit,
            "release_savepoint": note_release,
            "handle_error": note_error,
        }

    def listen_to(self, engine: Engine) -> None:
        """Listen to an engine. Idempotent."""
        if engine not in self._engines:
            self._engines.add(engine)
            for name, listener in self._listeners.items():
                event.listen(engine, name, listener)

    def stop(self) -> None:
        """Stop listening."""
        for engine in self._engines:
            for name, listener in self._listeners.items():
                event.remove(engine, name, listener)
        self._engines.clear()
