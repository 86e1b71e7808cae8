"""What open session transactions have changed, and what becomes of it.

Changes belong to the transaction or savepoint of their flush. A released savepoint passes them to the transaction
around it. When a transaction ends, they are

- **emitted** if the database has committed them,
- **dropped** if no COMMIT was sent, or the database has refused it,
- **in doubt** in any other case: the COMMIT was sent, and there is no answer.

A session may work on a connection whose transaction is committed by the application and not by the session. What it
leaves there belongs to the connection's transaction from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary, finalize, ref

from sqlalchemy.engine import Connection, RootTransaction, TwoPhaseTransaction
from sqlalchemy.orm import Session, SessionTransaction

from .._database.driver import commits_at_once, is_in_transaction
from .._database.in_doubt import Outcome, SentCommit
from .._database.origins import ORIGIN
from ._flush_recorder import PendingChanges

__all__ = ["OpenTransactions", "with_origin"]


@dataclass(eq=False, slots=True)
class _Work:
    """The changes of one session transaction or savepoint.

    Args:
        transaction: The session transaction or savepoint.
        info: The session's ``info``.
        changes: What it has changed.
        connections: The connections that it uses.
        written: Those among them that its changes were written on.
        survives_close: Whether closing the session leaves what it wrote in a transaction of the application.
        sent: The connections on which its COMMIT was sent and not refused.
        refused: The driver's connections on which it was refused.
        abandoned: Called when the transaction is garbage-collected after its COMMIT was sent.
    """

    transaction: ref[SessionTransaction]
    info: Mapping[Any, Any]
    changes: PendingChanges = field(default_factory=dict)
    connections: list[ref[Connection]] = field(default_factory=list)
    written: set[ref[Connection]] = field(default_factory=set)
    survives_close: bool = True
    sent: list[ref[Connection]] = field(default_factory=list)
    refused: list[Any] = field(default_factory=list)
    abandoned: finalize[..., SessionTransaction] | None = None

    def settle(self) -> None:
        """Drop the changes, because it is known what became of them."""
        self.changes = {}
        self.withdraw()

    def withdraw(self) -> None:
        """Forget that a COMMIT was sent."""
        self.sent.clear()
        if self.abandoned is not None:
            self.abandoned.detach()
            self.abandoned = None

    def open_transactions(self) -> Iterator[RootTransaction]:
        """Yield the transactions that its connections are in."""
        for connection in _existing(self.connections):
            transaction = connection.get_transaction()
            if transaction is not None and transaction.is_active:
                yield transaction


class OpenTransactions:
    """Keeps the changes of open transactions.

    Args:
        doubt: Called with changes whose COMMIT was sent and has no answer.
        follow: Called with changes whose COMMIT the application sends, before it is sent.
    """

    def __init__(
        self, doubt: Callable[[PendingChanges], None], follow: Callable[[PendingChanges, SentCommit], None]
    ) -> None:
        self._doubt = doubt
        self._follow = follow
        self._works: WeakKeyDictionary[SessionTransaction, _Work] = WeakKeyDictionary()
        self._on: WeakKeyDictionary[Connection, list[_Work]] = WeakKeyDictionary()
        self._left: WeakKeyDictionary[RootTransaction, PendingChanges] = WeakKeyDictionary()
        self._sent: WeakKeyDictionary[RootTransaction, SentCommit] = WeakKeyDictionary()

    def clear(self) -> None:
        """Forget everything."""
        for work in self._works.values():
            work.withdraw()
        for each in (self._works, self._on, self._left, self._sent):
            each.clear()

    # The session

    def begin(self, session: Session, transaction: SessionTransaction, connection: Connection) -> None:
        """Note that a transaction or savepoint uses a connection."""
        work = self._work_of(transaction)
        work.connections.append(ref(connection))
        mode = session.join_transaction_mode
        if mode != "rollback_only" and (mode != "conditional_savepoint" or connection.in_nested_transaction()):
            work.survives_close = False
        self._on.setdefault(connection, []).append(work)

    def keep(
        self, transaction: SessionTransaction, changes: PendingChanges, connections: Iterable[ref[Connection]]
    ) -> None:
        """Add changes to a transaction or savepoint.

        Args:
            transaction: The transaction or savepoint.
            changes: The changes.
            connections: Those that they were written on.
        """
        work = self._work_of(transaction)
        _merge(work.changes, changes)
        work.written.update(connections)

    def take_committed(self, transaction: SessionTransaction) -> PendingChanges:
        """Return the changes that are committed although their transaction or savepoint goes on.

        They are dropped, unless some of their connections do not commit by themselves.
        """
        work = self._work_of(transaction)
        are_committed = [commits_at_once(each) for each in _existing(work.written)]
        changes = work.changes if any(are_committed) else {}
        if changes and all(are_committed):
            work.changes = {}
        return changes

    def changes_of(self, transaction: SessionTransaction) -> PendingChanges:
        """Return the changes of a transaction, without those of its open savepoints."""
        return self._work_of(transaction).changes

    def drop(self, transaction: SessionTransaction) -> None:
        """Drop the changes of a transaction or savepoint that is rolled back before its COMMIT was sent."""
        work = self._work_of(transaction)
        if not work.sent and not work.refused:
            work.changes = {}

    def release(self, savepoint: SessionTransaction) -> None:
        """Pass the changes of a savepoint to the transaction or savepoint around it."""
        work = self._work_of(savepoint)
        self.keep(_surrounding(savepoint), work.changes, work.written)
        work.settle()

    def committed(self, transaction: SessionTransaction) -> None:
        """Note that a transaction was committed, and its changes emitted."""
        work = self._work_of(transaction)
        self._leave(work)
        work.settle()

    def end(self, transaction: SessionTransaction) -> None:
        """Note that a transaction or savepoint has ended."""
        work = self._works.get(transaction)
        if work is None:
            return
        if work.sent or (not transaction.nested and any(map(is_in_transaction, work.refused))):
            self._doubt(work.changes)
            work.withdraw()
        elif work.survives_close and transaction.parent is None:
            self._leave(work)
        for connection in _existing(work.connections):
            if work in self._on.get(connection, ()):
                self._on[connection].remove(work)
        self._works.pop(transaction, None)

    # The connection

    def commit_sent(self, connection: Connection, *, suppressed: bool) -> None:
        """Note that a connection is about to send its COMMIT."""
        transaction = connection.get_transaction()
        left = {} if transaction is None else self._left.pop(transaction, {})
        works = self._on.get(connection, [])
        for work in list(works):
            session_transaction = work.transaction()
            if suppressed:
                work.changes = {}
            elif session_transaction is None or session_transaction.is_active:
                _merge(left, with_origin(work.changes, work.info.get(ORIGIN)))  # the session does not commit
                if session_transaction is None:
                    works.remove(work)
            elif work.changes:
                self._note_sent(work, session_transaction, connection)
        if left and transaction is not None and not suppressed:
            commit = self._sent[transaction] = SentCommit(transaction)
            self._follow(left, commit)

    def release_sent(self, connection: Connection) -> None:
        """Note that a connection is about to release a savepoint, which may commit what it has written."""
        for work in self._on.get(connection, ()):
            savepoint = work.transaction()
            if work.changes and savepoint is not None and savepoint.nested and not savepoint.is_active:
                self._note_sent(work, savepoint, connection)

    def _note_sent(self, work: _Work, transaction: SessionTransaction, connection: Connection) -> None:
        work.sent.append(ref(connection))
        if work.abandoned is None:
            work.abandoned = finalize(transaction, self._doubt, work.changes)
            work.abandoned.atexit = False

    def failed(self, connection: Connection, refused: bool) -> None:
        """Note an error of a connection. It matters if a COMMIT was sent and its outcome is not known.

        Args:
            connection: The connection.
            refused: Whether the database has answered that nothing was committed.
        """
        transaction = connection.get_transaction()
        # A prepared transaction whose second phase is refused stays prepared. Somebody may commit it later.
        refused = refused and not isinstance(transaction, TwoPhaseTransaction)
        for work in self._on.get(connection, ()):
            if ref(connection) not in work.sent:
                continue
            if refused and len(work.sent) == 1:
                work.withdraw()
                work.refused.append(connection.connection.driver_connection)
            else:
                self._doubt(work.changes)
        commit = None if transaction is None else self._sent.get(transaction)
        if commit is not None and commit.failure is None:
            is_over = refused and not is_in_transaction(connection.connection.driver_connection)
            commit.failure = Outcome.REFUSED if is_over else Outcome.UNKNOWN

    def _work_of(self, transaction: SessionTransaction) -> _Work:
        work = self._works.get(transaction)
        if work is None:
            work = self._works[transaction] = _Work(ref(transaction), transaction.session.info)
        return work

    def _leave(self, work: _Work) -> None:
        """Leave the changes of a session to the transaction of the application that it has worked in, if any."""
        if work.changes:
            for transaction in work.open_transactions():
                _merge(self._left.setdefault(transaction, {}), with_origin(work.changes, work.info.get(ORIGIN)))


def _existing(connections: Iterable[ref[Connection]]) -> Iterator[Connection]:
    for each in connections:
        if (connection := each()) is not None:
            yield connection


def with_origin(changes: PendingChanges, origin: str | None) -> PendingChanges:
    """Return changes whose origin is ``origin`` unless they have one."""
    result: PendingChanges = {}
    for (scope, audience, own), paths in changes.items():
        _merge(result, {(scope, audience, own or origin): paths})
    return result


def _merge(changes: PendingChanges, more: PendingChanges) -> None:
    for key, paths in more.items():
        changes[key] = changes.get(key, frozenset()) | paths


def _surrounding(savepoint: SessionTransaction) -> SessionTransaction:
    transaction = savepoint
    while transaction.parent is not None:
        transaction = transaction.parent
        if transaction.nested:
            break
    return transaction
