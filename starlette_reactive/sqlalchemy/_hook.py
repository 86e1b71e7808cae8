"""The hook: collect changes at flush, keep them per transaction, emit them after the outermost commit.

- **At flush** the application's function is called for each changed row of a watched model, with the old and the new
  row. It may run queries, because the transaction is open. Its return value is validated at once, so that a mistake
  fails the flush and not the emit.
- **Between flush and commit** the changes belong to the transaction or savepoint of the flush (``_transactions``).
- **After the commit** the changes are emitted. No row, attribute or function of the application is used any more.
- **If nobody learns whether the commit succeeded**, the changes are emitted at once, without an origin, and repeatedly
  later (``_in_doubt``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from weakref import ref

from sqlalchemy import event, inspect
from sqlalchemy.engine import Connection
from sqlalchemy.orm import (
    ORMExecuteState,
    Session,
    SessionTransaction,
    object_mapper,
    scoped_session,
    sessionmaker,
)

from .._bus.bus import ReactiveBus
from .._core.emit_filters import as_emitted
from .._core.events import ChangeEvent
from .._core.failures import Failures
from .._core.origins import default_origin, without_default_origin
from .._database.driver import autocommits
from .._database.factories import session_class_of
from .._database.in_doubt import InDoubt, SentCommit
from .._database.origins import ORIGIN
from .._database.suppression import is_suppressed, suppressed
from .._engines import Publisher
from ..app import Reactive
from ._commit_events import CommitEvents
from ._flush_recorder import DescribeRow, FlushRecorder, PendingChanges, function_for, listen_to_rows, running_flushes
from ._transactions import OpenTransactions, with_origin

__all__ = ["ORIGIN", "CommitHook", "emit_on_commit", "suppressed"]

logger: logging.Logger = logging.getLogger("starlette_reactive.sqlalchemy")


def emit_on_commit(
    session_factory: Any, reactive_or_bus: Reactive | ReactiveBus | Publisher, models: Mapping[type[Any], DescribeRow]
) -> CommitHook:
    """Emit the changes of a factory's sessions after their commit.

    Call it once at start-up, after the models are mapped and before sessions are made. At flush, the function of a
    model is called with each inserted or deleted row, and twice for an updated row: with the old and the new row. It
    returns the scope and the paths of the change, such as ``("board:1", {"board.tasks"})``, a ``ChangeEvent`` if the
    change has an audience, several of them, or ``None``.

    After the outermost commit, one event per scope and audience is emitted with all its paths. A rollback emits
    nothing. The origin of the changes is ``session.info["reactive_origin"]``. Without it, what an endpoint under
    ``@reactive.html`` flushes while it runs has the page that sent the request as its origin.

    If a ``COMMIT`` was sent and its outcome never became known, because the task was cancelled or the connection lost,
    its changes are emitted too, without an origin. They are emitted again after pauses that double, for a day, because
    the database may still be working on it.

    Args:
        session_factory: A ``sessionmaker``, an ``async_sessionmaker``, a scoped session of one, or a session class.
        reactive_or_bus: Emits the changes. A publisher blocks, so it takes the changes of synchronous sessions only.
        models: The function of each model. A subclass without its own function uses that of its nearest base.

    Returns:
        The hook. Its ``remove()`` stops watching the sessions.

    Raises:
        TypeError: An argument has the wrong type, or a key of ``models`` is not mapped.
    """
    emit = _emit_of(reactive_or_bus)
    for model, function in models.items():
        _check_model(model, function)
    session_class = session_class_of(session_factory, "emit_on_commit")
    if isinstance(reactive_or_bus, Publisher) and not isinstance(session_factory, (sessionmaker, scoped_session, type)):
        raise TypeError("a Publisher blocks, so it cannot emit for asynchronous sessions: pass a ReactiveBus")
    return CommitHook(session_class, emit, dict(models))


class CommitHook:
    """Watches the sessions of a factory. Returned by ``emit_on_commit``.

    Args:
        session_class: The class that only these sessions have.
        emit: Emits a change.
        functions: The function of each model.
    """

    def __init__(
        self,
        session_class: type[Session],
        emit: Callable[[ChangeEvent], None],
        functions: Mapping[type[Any], DescribeRow],
    ) -> None:
        self._class_name = session_class.__name__
        self._emit_event = emit
        self._failures = Failures(logger)
        self._functions = functions
        self._warned: set[tuple[type[Any], str]] = set()
        self._transactions = OpenTransactions(self._doubt, self._follow)
        self._in_doubt = InDoubt(self._emit_one)
        self._commit_events = CommitEvents(
            self._commit_sent, self._transactions.release_sent, self._transactions.failed
        )
        listen_to_rows()
        self._stop = _listen(
            session_class,
            {
                "before_flush": self._before_flush,
                "after_flush": self._after_flush,
                "after_flush_postexec": self._after_flush_postexec,
                "after_begin": self._after_begin,
                "after_commit": self._after_commit,
                "after_rollback": self._after_rollback,
                "after_transaction_end": self._after_transaction_end,
                "do_orm_execute": self._warn_about_statement,
            },
        )

    def remove(self) -> None:
        """Stop watching, and drop what is not emitted yet. Call it while no session is in use, as in tests."""
        self._stop()
        self._commit_events.stop()
        self._transactions.clear()
        self._in_doubt.stop()

    def __repr__(self) -> str:
        models = ", ".join(sorted(model.__name__ for model in self._functions))
        return f"<CommitHook on {self._class_name}: {models}>"

    # At flush

    def _before_flush(self, session: Session, _context: object, _instances: object) -> None:
        """Start recording, and describe the rows to delete while they exist."""
        running = running_flushes.setdefault(session, {})
        running.pop(self, None)
        if not is_suppressed():
            running[self] = flush = FlushRecorder(self._functions)
            for row in session.deleted:
                flush.deleting(row, partial(session.connection, {"mapper": object_mapper(row)}))

    def _after_flush(self, session: Session, _context: object) -> None:
        """Record what the flush itself wrote into rows after their UPDATE."""
        if flush := running_flushes.get(session, {}).get(self):
            flush.recheck_unchanged()

    def _after_flush_postexec(self, session: Session, _context: object) -> None:
        """Describe the new rows, and keep all changes for the transaction."""
        if flush := running_flushes.get(session, {}).pop(self, None):
            flush.describe_new_rows()
            # Validate the origin now, so that a wrong one fails the flush and not the emit.
            for (scope, audience, _), paths in flush.changes.items():
                ChangeEvent(scope, paths, session.info.get(ORIGIN), audience)
            transaction = _innermost(session)
            if transaction is None:
                return
            changes = flush.changes if session.info.get(ORIGIN) else with_origin(flush.changes, default_origin())
            self._transactions.keep(transaction, changes, map(ref, flush.connections))
            self._emit(self._transactions.take_committed(transaction), session.info.get(ORIGIN))

    # The session's transactions

    def _after_begin(self, session: Session, transaction: SessionTransaction, connection: Connection) -> None:
        self._transactions.begin(session, transaction, connection)
        self._commit_events.listen_to(connection.engine)

    def _after_commit(self, session: Session) -> None:
        """Emit, or pass the changes of a released savepoint to the transaction around it."""
        transaction = _innermost(session)
        if transaction is None:
            return
        transactions, is_nested = self._transactions, transaction.nested
        changes = transactions.take_committed(transaction) if is_nested else transactions.changes_of(transaction)
        if not is_suppressed():
            self._emit(changes, session.info.get(ORIGIN))
        (transactions.release if is_nested else transactions.committed)(transaction)

    def _after_rollback(self, session: Session) -> None:
        transaction = _innermost(session)
        flush = running_flushes.get(session, {}).pop(self, None)
        if transaction is None:
            return
        if flush and any(map(autocommits, flush.connections)):
            flush.describe_written_rows()
            self._doubt(flush.changes)
        self._transactions.drop(transaction)

    def _after_transaction_end(self, _session: Session, transaction: SessionTransaction) -> None:
        self._transactions.end(transaction)

    def _commit_sent(self, connection: Connection) -> None:
        self._transactions.commit_sent(connection, suppressed=is_suppressed())

    # Emitting

    def _emit(self, changes: PendingChanges, session_origin: str | None) -> None:
        for (scope, audience, origin), paths in with_origin(changes, session_origin).items():
            self._emit_one(ChangeEvent(scope, paths, origin, audience))

    def _doubt(self, changes: PendingChanges) -> None:
        """Emit the changes of a commit in doubt now and again later, to their author too, who has got no answer."""
        for (scope, audience, _), paths in changes.items():
            change = ChangeEvent(scope, paths, None, audience)
            self._emit_one(change)
            if repeated := as_emitted(change):
                self._in_doubt.add(repeated)

    def _follow(self, changes: PendingChanges, commit: SentCommit) -> None:
        """Emit changes after a COMMIT that the application sends itself."""
        for (scope, audience, origin), paths in changes.items():
            if followed := as_emitted(ChangeEvent(scope, paths, origin, audience)):
                self._in_doubt.add(followed, commit)

    def _emit_one(self, change: ChangeEvent) -> None:
        # The commit succeeded, and must not look as if it had failed.
        what = f"emitting a committed change of the scope {change.scope!r}"
        with self._failures.logged(what, self), without_default_origin():
            self._emit_event(change)

    # Statements that no flush sees

    def _warn_about_statement(self, state: ORMExecuteState) -> None:
        """Warn about a statement that changes rows of a watched model without a flush."""
        if not (state.is_update or state.is_delete or state.is_insert) or state.bind_mapper is None:
            return
        model = state.bind_mapper.class_
        verb = "update" if state.is_update else "delete" if state.is_delete else "insert"
        if (model, verb) in self._warned or is_suppressed() or function_for(self._functions, model) is None:
            return
        self._warned.add((model, verb))
        logger.warning(
            "%s(%s) changes rows without a flush, so emit_on_commit emits nothing for it: emit the change yourself "
            "after the commit, and execute the statement within suppressed() to silence this warning",
            verb,
            model.__name__,
        )


# Arguments


def _emit_of(reactive_or_bus: object) -> Callable[[ChangeEvent], None]:
    match reactive_or_bus:
        case Reactive(bus=bus) | (ReactiveBus() as bus):
            return bus.emit_sync
        case Publisher() as publisher:
            return lambda event: publisher.emit(
                event.scope, *event.changed_paths, origin=event.origin, audience=event.audience
            )
    raise TypeError(
        f"emit_on_commit takes a Reactive, a ReactiveBus or a Publisher, not {type(reactive_or_bus).__name__}: "
        f"{reactive_or_bus!r}"
    )


def _check_model(model: object, function: object) -> None:
    if not callable(function):
        raise TypeError(f"the value for {model!r} is not a function: pass one that takes a row, not {function!r}")
    if not isinstance(model, type) or not _is_mapped(model):
        raise TypeError(
            f"{model!r} is neither a mapped class nor the base of one: pass the model's class, and call emit_on_commit "
            "after the models are imported"
        )


def _is_mapped(model: type[Any]) -> bool:
    return inspect(model, raiseerr=False) is not None or any(_is_mapped(each) for each in type.__subclasses__(model))


# Transactions and contexts


def _innermost(session: Session) -> SessionTransaction | None:
    return session.get_nested_transaction() or session.get_transaction()


# Listeners


def _listen(session_class: type[Session], listeners: Mapping[str, Callable[..., None]]) -> Callable[[], None]:
    """Listen to the sessions of exactly this class. Return a function that stops."""
    watched = ref(session_class)  # SQLAlchemy keeps the listeners as long as the class exists

    def only(listener: Callable[..., None]) -> Callable[..., None]:
        def listen(target: Session | ORMExecuteState, *arguments: Any) -> None:
            session = target.session if isinstance(target, ORMExecuteState) else target
            if type(session) is watched():
                listener(target, *arguments)

        return listen

    listening = {name: only(listener) for name, listener in listeners.items()}
    for name, listener in listening.items():
        # First after a commit, so that the changes are emitted even if another listener raises.
        event.listen(session_class, name, listener, insert=name == "after_commit")

    def stop() -> None:
        if target := watched():
            for name, listener in listening.items():
                event.remove(target, name, listener)
        listening.clear()

    return stop
