"""The members of scopes in other processes."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection

from .._core.events import ConnectionInfo
from .messages import MemberChange, RemoteMember, RemoteRoster

__all__ = ["RemoteMembers"]


class RemoteMembers:
    """The members in other processes, of the scopes that are viewed here. :meth:`connections` is thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scopes: dict[str, dict[str, dict[str, ConnectionInfo]]] = {}  # by scope, process and key

    def connections(self, scope: str) -> frozenset[ConnectionInfo]:
        """Return the connections of a scope's members."""
        with self._lock:
            processes = self._scopes.get(scope, {}).values()
            return frozenset(each for members in processes for each in members.values())

    def processes(self) -> set[str]:
        """Return the processes that have members."""
        return {process for processes in self._scopes.values() for process, members in processes.items() if members}

    def load(self, scope: str, roster: RemoteRoster, *, own_process: str) -> bool:
        """Replace the members of a scope. A member that is known already keeps its ``ConnectionInfo``.

        Args:
            scope: The scope.
            roster: Its members in all processes.
            own_process: The process whose members are left out.

        Returns:
            Whether a process that had members has none now, perhaps because it has died.
        """
        known = self._scopes.get(scope, {})
        loaded = {
            process: {key: _connection(member, known.get(process, {}).get(key)) for key, member in members.items()}
            for process, members in roster.items()
            if process != own_process
        }
        with self._lock:
            self._scopes[scope] = loaded
        return any(members and not loaded.get(process) for process, members in known.items())

    def apply(self, change: MemberChange) -> None:
        """Add or remove a member."""
        with self._lock:
            members = self._scopes.setdefault(change.scope, {}).setdefault(change.process, {})
            if change.member is None:
                members.pop(change.key, None)
            else:
                members[change.key] = _connection(change.member, members.get(change.key))

    def remove_processes(self, dead: Collection[str]) -> list[str]:
        """Remove the members of processes that have died, and return the scopes that had any."""
        changed = []
        with self._lock:
            for scope, processes in self._scopes.items():
                removed = [processes.pop(process, None) for process in dead]
                if any(removed):
                    changed.append(scope)
        return changed

    def forget(self, scope: str) -> None:
        """Remove all members of a scope."""
        with self._lock:
            self._scopes.pop(scope, None)


def _connection(member: RemoteMember, known: ConnectionInfo | None) -> ConnectionInfo:
    """Return a member's connection, which is the known one if it belongs to the same session and user."""
    if known is not None and (known.session_id, known.user_id) == (member.session_id, member.user_id):
        return known
    return ConnectionInfo(member.session_id, member.user_id, time.monotonic() - (time.time() - member.since))
