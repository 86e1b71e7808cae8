"""Calls around each COMMIT, because SQLAlchemy has an event before it and none after it.

A page that is read before the COMMIT has happened would show what was before, and nothing would make it current again.
So the dialect of an engine is given functions of its own for the COMMIT, which call those of its class.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import Enum, auto
from typing import Any

from sqlalchemy.engine import Connection, CursorResult, Dialect
from sqlalchemy.engine.cursor import CursorFetchStrategy, FullyBufferedCursorFetchStrategy
from sqlalchemy.pool import PoolProxiedConnection

__all__ = ["Around", "Phase", "fetch_rows", "watch_commits"]


class Phase(Enum):
    """What a COMMIT commits: the transaction that is open, the one that was prepared, or one of another connection."""

    ONLY = auto()
    PREPARED = auto()
    RECOVERED = auto()


Around = Callable[[Any, Phase], AbstractContextManager[None]]
"""Takes a connection of the pool, and what is committed on it. Wraps the COMMIT."""

_NAMES = ("do_commit", "do_commit_twophase")


def fetch_rows(result: CursorResult[Any]) -> None:
    """Fetch the rows of a statement, for the application to take them later: SQLite commits it with the last one."""
    strategy, cursor = result.cursor_strategy, result.cursor
    if type(strategy) is CursorFetchStrategy and cursor is not None:
        result.cursor_strategy = FullyBufferedCursorFetchStrategy(cursor, initial_buffer=deque(cursor.fetchall()))


def watch_commits(dialect: Dialect, around: Around) -> Callable[[], None]:
    """Wrap each COMMIT of a dialect's connections. Return a function that stops.

    Args:
        dialect: The dialect of one engine.
        around: What wraps it.
    """
    commit, commit_twophase = dialect.do_commit, dialect.do_commit_twophase
    is_watching = True

    def do_commit(dbapi_connection: PoolProxiedConnection) -> None:
        if not is_watching:
            return commit(dbapi_connection)
        with around(dbapi_connection, Phase.ONLY):
            return commit(dbapi_connection)

    def do_commit_twophase(connection: Connection, xid: Any, is_prepared: bool = True, recover: bool = False) -> None:
        if not is_watching or not is_prepared:  # what is not prepared goes through do_commit
            return commit_twophase(connection, xid, is_prepared=is_prepared, recover=recover)
        with around(connection.connection, Phase.RECOVERED if recover else Phase.PREPARED):
            return commit_twophase(connection, xid, is_prepared=is_prepared, recover=recover)

    own = {"do_commit": do_commit, "do_commit_twophase": do_commit_twophase}
    vars(dialect).update(own)

    def stop() -> None:
        nonlocal is_watching
        is_watching = False
        for name in _NAMES:
            if vars(dialect).get(name) is own[name]:  # somebody may have wrapped it since
                del vars(dialect)[name]

    return stop
