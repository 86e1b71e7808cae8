"""The hook: gather at flush, keep per transaction, emit after the outermost commit.

- **At flush** the application's function is called for each changed row of a watched model: as it was and as it
  became. It may read whatever it likes, for the transaction is open. What it returns is checked there and then, so
  that a mistake fails the flush and not the telling.
- **Between flush and commit** what is to be told belongs to the transaction, or to the savepoint, that the flush ran
  in. A savepoint that is released hands it to what surrounds it; a transaction that ends in any other way takes it
  along.
- **After the commit** nothing is left to do but to emit: no row, no attribute and no function of the application is
  touched any more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary, ref

from sqlalchemy import event, inspect
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction, object_mapper

from .._bus.bus import ReactiveBus
from .._core.events import ChangeEvent
from ..app import Reactive
from .factories import watched_class
from .flushes import Changes, Describe, Flush, flushes, function_for, listen_to_rows

__all__ = ["ORIGIN", "CommitHook", "emit_on_commit", "suppressed"]

logger: logging.Logger = logging.getLogger("starlette_reactive.sqlalchemy")

ORIGIN: Final = "reactive_origin"
"""The key of ``session.info`` under which a request leaves the origin of what the session commits."""

_suppressed: ContextVar[bool] = ContextVar("starlette_reactive.sqlalchemy.suppressed", default=False)


def emit_on_commit(
    session_factory: Any, reactive_or_bus: Reactive | ReactiveBus, models: Mapping[type[Any], Describe]
) -> CommitHook:
    """Emit what the sessions of a factory change, after their commit.

    Call it once at start-up, when the models are mapped and before sessions are made. A function is called at flush
    with each row of its model that is inserted, changed or deleted; for a changed row twice, with the row as it was
    and as it became. It returns the scope and the paths of the change, such as ``("board:1", {"board.tasks"})``, a
    ``ChangeEvent`` where the change has an audience, several of them, or ``None``.

    After the outermost commit each scope is told once, of all its paths; with a rollback nobody is. The origin of the
    changes is what ``session.info["reactive_origin"]`` holds.

    Args:
        session_factory: A ``sessionmaker``, an ``async_sessionmaker``, a scoped session of one, or a session class.
        reactive_or_bus: Who tells the viewers.
        models: The function of each model. A subclass without a function of its own is served by its nearest base.

    Returns:
        The hook, whose ``remove()`` ends the watch.

    Raises:
        TypeError: An argument is of the wrong type, or a key of ``models`` is not mapped.
    """
    bus = reactive_or_bus.bus if isinstance(reactive_or_bus, Reactive) else reactive_or_bus
    if not isinstance(bus, ReactiveBus):
        raise TypeError(f"emit_on_commit takes a Reactive or a ReactiveBus, not {type(bus).__name__}: {bus!r}")
    for model, function in models.items():
        _check_model(model, function)
    return CommitHook(watched_class(session_factory), bus, dict(models))


@contextmanager
def suppressed() -> Iterator[None]:
    """Tell nobody of what this thread or task flushes or commits inside.

    Tasks that are started inside, and threads to which the context is handed, are silent too.
    """
    token = _suppressed.set(True)
    try:
        yield
    finally:
        _suppressed.reset(token)


class CommitHook:
    """The watch over a factory's sessions, as ``emit_on_commit`` returns it.

    Args:
        session_class: The class of the sessions, and of no others.
        bus: Who tells the viewers.
        functions: The function of each model.
    """

    def __init__(self, session_class: type[Session], bus: ReactiveBus, functions: Mapping[type[Any], Describe]) -> None:
        self._class_name = session_class.__name__
        self._bus = bus
        self._functions = functions
        self._kept: WeakKeyDictionary[SessionTransaction, Changes] = WeakKeyDictionary()
        self._warned: set[tuple[type[Any], str]] = set()
        listen_to_rows()
        self._stop = _listen(
            session_class,
            {
                "before_flush": self._before_flush,
                "after_flush": self._after_flush,
                "after_flush_postexec": self._after_flush_postexec,
                "after_commit": self._after_commit,
                "do_orm_execute": self._warn_of,
            },
        )

    def remove(self) -> None:
        """Watch no more: what is not committed yet is not told. Meant for when no session is in use, as in tests."""
        self._stop()
        self._kept.clear()

    def __repr__(self) -> str:
        models = ", ".join(sorted(model.__name__ for model in self._functions))
        return f"<CommitHook on {self._class_name}: {models}>"

    # At flush

    def _before_flush(self, session: Session, _context: object, _instances: object) -> None:
        """Begin to gather; rows that are to be deleted are described while they are there."""
        running = flushes.setdefault(session, {})
        running.pop(self, None)
        if not _suppressed.get():
            running[self] = flush = Flush(self._functions)
            for row in session.deleted:
                flush.deleting(row, partial(session.connection, {"mapper": object_mapper(row)}))

    def _after_flush(self, session: Session, _context: object) -> None:
        """Look again for what the flush itself wrote into rows after their UPDATE."""
        if flush := flushes.get(session, {}).get(self):
            flush.look_again()

    def _after_flush_postexec(self, session: Session, _context: object) -> None:
        """Describe the rows as they became, and keep all of it for the transaction."""
        if flush := flushes.get(session, {}).pop(self, None):
            flush.describe_new()
            # A wrong origin, as a wrong scope, is to fail the flush and not the telling.
            for (scope, audience, _), paths in flush.changes.items():
                ChangeEvent(scope, paths, session.info.get(ORIGIN), audience)
            transaction = session.get_nested_transaction() or session.get_transaction()
            if transaction is not None:
                self._keep(transaction, flush.changes)

    def _keep(self, transaction: SessionTransaction, changes: Changes) -> None:
        kept = self._kept.setdefault(transaction, {})
        for key, paths in changes.items():
            kept[key] = kept.get(key, frozenset()) | paths

    # After the commit

    def _after_commit(self, session: Session) -> None:
        """Emit, or hand over what a released savepoint holds."""
        savepoint = session.get_nested_transaction()
        transaction = savepoint or session.get_transaction()
        changes = None if transaction is None else self._kept.pop(transaction, None)
        if changes is None:
            return
        if savepoint is not None:
            self._keep(_surrounding(savepoint), changes)
        elif not _suppressed.get():
            self._emit(changes, session.info.get(ORIGIN))

    def _emit(self, changes: Changes, session_origin: str | None) -> None:
        for (scope, audience, origin), paths in changes.items():
            try:
                self._bus.emit_sync(ChangeEvent(scope, paths, origin or session_origin, audience))
            except Exception:  # the commit has happened, and must not look as if it had not
                logger.exception("what was committed could not be told to the viewers of scope %r", scope)

    # Statements that no flush sees

    def _warn_of(self, state: ORMExecuteState) -> None:
        """Warn of a statement that changes rows of a watched model past the flush."""
        if not (state.is_update or state.is_delete or state.is_insert) or state.bind_mapper is None:
            return
        model = state.bind_mapper.class_
        verb = "update" if state.is_update else "delete" if state.is_delete else "insert"
        if (model, verb) in self._warned or _suppressed.get() or function_for(self._functions, model) is None:
            return
        self._warned.add((model, verb))
        logger.warning(
            "%s(%s) was executed, which changes rows without a flush, so emit_on_commit does not tell of it: emit "
            "yourself after the commit, and execute it within suppressed() to have this said no more",
            verb,
            model.__name__,
        )


# Arguments


def _check_model(model: object, function: object) -> None:
    if not callable(function):
        raise TypeError(f"the value for {model!r} is no function: write one that takes a row, not {function!r}")
    if not isinstance(model, type) or not _is_mapped(model):
        raise TypeError(
            f"{model!r} is no mapped class, nor the base of one: write the model, and call emit_on_commit when the "
            "models have been imported"
        )


def _is_mapped(model: type[Any]) -> bool:
    return inspect(model, raiseerr=False) is not None or any(_is_mapped(each) for each in type.__subclasses__(model))


def _surrounding(savepoint: SessionTransaction) -> SessionTransaction:
    transaction = savepoint
    while transaction.parent is not None:
        transaction = transaction.parent
        if transaction.nested:
            break
    return transaction


# Listeners


def _listen(session_class: type[Session], listeners: Mapping[str, Callable[..., None]]) -> Callable[[], None]:
    """Let listeners hear of the sessions of exactly this class, and return what ends that."""
    watched = ref(session_class)  # SQLAlchemy keeps the listeners for as long as the class is there

    def only(listener: Callable[..., None]) -> Callable[..., None]:
        def listen(subject: Session | ORMExecuteState, *arguments: Any) -> None:
            session = subject.session if isinstance(subject, ORMExecuteState) else subject
            if type(session) is watched():
                listener(subject, *arguments)

        return listen

    listening = {name: only(listener) for name, listener in listeners.items()}
    for name, listener in listening.items():
        # First after a commit: what another listener raises must not keep the viewers from being told.
        event.listen(session_class, name, listener, insert=name == "after_commit")

    def stop() -> None:
        if target := watched():
            for name, listener in listening.items():
                event.remove(target, name, listener)
        listening.clear()

    return stop
