"""The members of this process that other processes are shown."""

from __future__ import annotations

import time

from .._core.events import ConnectionInfo
from .messages import MemberUpdate, RemoteMember

__all__ = ["LocalMembers"]


class LocalMembers:
    """The members of this process, and which of them are still to be announced. Not thread-safe."""

    def __init__(self) -> None:
        self._members: dict[tuple[str, str], RemoteMember] = {}  # by scope and key
        self._changed: dict[tuple[str, str], RemoteMember | None] = {}

    @property
    def has_changes(self) -> bool:
        """Whether any member must be announced."""
        return bool(self._changed)

    def add(self, scope: str, key: str, connection: ConnectionInfo) -> None:
        """Add a member."""
        since = time.time() - (time.monotonic() - connection.connected_at)
        member = RemoteMember(connection.session_id, connection.user_id, since)
        self._members[scope, key] = self._changed[scope, key] = member

    def remove(self, scope: str, key: str) -> None:
        """Remove a member."""
        self._members.pop((scope, key), None)
        self._changed[scope, key] = None

    def all(self) -> list[tuple[str, str, RemoteMember]]:
        """Return all members, as ``(scope, key, member)``."""
        return [(scope, key, member) for (scope, key), member in self._members.items()]

    def take_changes(self) -> list[MemberUpdate]:
        """Return the members to announce, and count them as announced."""
        changed, self._changed = self._changed, {}
        return [(scope, key, member) for (scope, key), member in changed.items()]

    def drop_changes(self) -> None:
        """Announce none of the changes up to now: all members are about to be enrolled."""
        self._changed.clear()

    def clear(self) -> None:
        """Remove all members without announcing it: a new process has none."""
        self._members.clear()
