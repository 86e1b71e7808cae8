"""Calls around each COMMIT, because SQLAlchemy has an event before it and none after it.

A page that is read before the COMMIT has happened would show what was before, and nothing would make it current again.
So the dialect of an engine is given functions of its own for the COMMIT, which call those of its class.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.pool import PoolProxiedConnection

__all__ = ["Around", "watch_commits"]

Around = Callable[[Any, bool], AbstractContextManager[None]]
"""Takes a connection of the pool, and whether a transaction is committed that was prepared before. Wraps the COMMIT."""

_NAMES = ("do_commit", "do_commit_twophase")


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
        with around(dbapi_connection, False):
            return commit(dbapi_connection)

    def do_commit_twophase(connection: Connection, xid: Any, is_prepared: bool = True, recover: bool = False) -> None:
        if not is_watching or not is_prepared:  # what is not prepared goes through do_commit
            return commit_twophase(connection, xid, is_prepared=is_prepared, recover=recover)
        with around(connection.connection, True):
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
