"""The origins of what sessions write, and which session a connection works for."""

from __future__ import annotations

import functools
from typing import Final
from weakref import WeakKeyDictionary, ref

from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session, SessionTransaction

__all__ = ["ORIGIN", "listen_to_sessions", "session_of"]

ORIGIN: Final = "reactive_origin"
"""The key in ``session.info`` for the origin of the session's changes."""

_sessions: WeakKeyDictionary[Connection, ref[Session]] = WeakKeyDictionary()


@functools.cache
def listen_to_sessions() -> None:
    """Note from now on which session works on a connection. Idempotent."""

    def begin(session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
        _sessions[connection] = ref(session)

    event.listen(Session, "after_begin", begin)


def session_of(connection: Connection) -> Session | None:
    """Return the session that has a transaction on a connection."""
    found = _sessions.get(connection)
    session = None if found is None else found()
    return session if session is not None and session.in_transaction() else None
