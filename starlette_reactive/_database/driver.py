"""What SQLAlchemy does not say about a connection: whether it commits at once, and what an error at COMMIT means."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from typing import Any, Final

from sqlalchemy.engine import Connection, Dialect

__all__ = ["autocommits", "commits_at_once", "is_in_transaction", "is_refusal"]

_OPEN_STATES: Final = ("08", "40003", "57P")
"""Beginnings of SQLSTATEs that leave the outcome open: lost connections, unknown completion, and shutdowns."""

_SQLITE_REFUSALS: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CONSTRAINT}


def autocommits(connection: Connection) -> bool:
    """Return whether each statement on a connection is committed at once, as SQLAlchemy sees it."""
    return connection._is_autocommit_isolation()  # noqa: SLF001 - SQLAlchemy has no public way to ask


def commits_at_once(connection: Connection) -> bool:
    """Return whether what was written last on a connection is committed already."""
    in_transaction = is_in_transaction(connection.connection.driver_connection)
    return autocommits(connection) if in_transaction is None else not in_transaction


def is_in_transaction(driver_connection: Any) -> bool | None:
    """Return whether a connection of SQLite is in a transaction. ``None`` if it is closed, or its driver does not say.

    Python's driver begins a transaction before most statements that write, and not where SQLAlchemy does. A COMMIT that
    is refused leaves the transaction open. If nobody rolls it back, as when the session is only closed, the next COMMIT
    on the connection commits it.
    """
    with suppress(Exception):
        state = driver_connection.in_transaction
        return state if isinstance(state, bool) else None
    return None


def is_refusal(error: BaseException, dialect: Dialect, *, is_disconnect: bool) -> bool:
    """Return whether an error is the database's own answer that nothing was committed.

    Any other error leaves the outcome open: the answer was lost, the driver gave up waiting, or it was interrupted.

    Args:
        error: The error of the driver.
        dialect: The dialect of the connection.
        is_disconnect: Whether it says that the connection is lost.
    """
    if is_disconnect:
        return False
    if isinstance(error, dialect.loaded_dbapi.IntegrityError):
        return True
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if isinstance(state, str):
        return not state.startswith(_OPEN_STATES)
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(code, int) and code & 0xFF in _SQLITE_REFUSALS
