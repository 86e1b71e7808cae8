"""Remembers which users and sessions were ended, so that a connection that was made before and registers later ends."""

from __future__ import annotations

import time

from .._core.events import ConnectionInfo

__all__ = ["KEPT_SECONDS", "EndedUsers"]

KEPT_SECONDS = 600.0
"""How long an end is remembered. No connection takes that long between its permission check and its registration."""


class EndedUsers:
    """When users and sessions were last ended. Requires the bus's lock."""

    def __init__(self) -> None:
        self._ended_at: dict[tuple[str, str | None], float] = {}  # in the order of time

    def add(self, user_id: str, scope: str | None) -> None:
        """Record that a user or session is ended now, in one scope or in every scope."""
        now = time.monotonic()
        while self._ended_at:
            oldest = next(iter(self._ended_at))
            if now - self._ended_at[oldest] < KEPT_SECONDS:
                break
            del self._ended_at[oldest]
        self._ended_at.pop((user_id, scope), None)
        self._ended_at[user_id, scope] = now

    def includes(self, scope: str, connection: ConnectionInfo | None, session: str | None) -> bool:
        """Return whether the user or session of a connection was ended after the connection was made."""
        if connection is None or not self._ended_at:
            return False
        names = [name for name in (connection.user_id, session) if name is not None]
        ends = (self._ended_at.get((name, where)) for name in names for where in (scope, None))
        return any(ended is not None and ended >= connection.connected_at for ended in ends)
