"""Who views what in other processes, as far as they have told."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection

from .._core.events import ConnectionInfo
from .engine import Presence, Roster, Seen

__all__ = ["Elsewhere"]


class Elsewhere:
    """The viewers in other processes, of the scopes that are viewed here. Any thread may ask who they are."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scopes: dict[str, dict[str, dict[str, ConnectionInfo]]] = {}  # by scope, process and key

    def viewers(self, scope: str) -> frozenset[ConnectionInfo]:
        """Return who views a scope."""
        with self._lock:
            processes = self._scopes.get(scope, {}).values()
            return frozenset(each for members in processes for each in members.values())

    def processes(self) -> set[str]:
        """Return the processes that have viewers."""
        return {process for processes in self._scopes.values() for process, members in processes.items() if members}

    def load(self, scope: str, roster: Roster, *, but: str) -> bool:
        """Take in who views a scope, in all processes but one; those known stay the same to the bit.

        Returns:
            Whether a process that had viewers has none any more, perhaps because it has died.
        """
        known = self._scopes.get(scope, {})
        loaded = {
            process: {key: _connection(seen, known.get(process, {}).get(key)) for key, seen in members.items()}
            for process, members in roster.items()
            if process != but
        }
        with self._lock:
            self._scopes[scope] = loaded
        return any(members and not loaded.get(process) for process, members in known.items())

    def note(self, presence: Presence) -> None:
        """Take note of a viewer who came or left."""
        with self._lock:
            members = self._scopes.setdefault(presence.scope, {}).setdefault(presence.process, {})
            if presence.seen is None:
                members.pop(presence.key, None)
            else:
                members[presence.key] = _connection(presence.seen, members.get(presence.key))

    def bury(self, dead: Collection[str]) -> list[str]:
        """Forget the viewers of processes that have died, and return the scopes that they viewed."""
        viewed = []
        with self._lock:
            for scope, processes in self._scopes.items():
                buried = [processes.pop(process, None) for process in dead]
                if any(buried):
                    viewed.append(scope)
        return viewed

    def forget(self, scope: str) -> None:
        """Forget a scope."""
        with self._lock:
            self._scopes.pop(scope, None)


def _connection(seen: Seen, known: ConnectionInfo | None) -> ConnectionInfo:
    """Return a viewer; the one that is known already if it is the same."""
    if known is not None and (known.session_id, known.user_id) == (seen.session_id, seen.user_id):
        return known
    return ConnectionInfo(seen.session_id, seen.user_id, time.monotonic() - (time.time() - seen.since))
