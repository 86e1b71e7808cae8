"""What a relay does at each heartbeat, to notice what raises no exception.

- It renews the lease of this process. This also sends a message through the engine, so that silence is a failure.
- It removes the members of processes whose leases have lapsed.
- It compares the positions of some scopes with the engine's, so that a lost event is noticed even if no other follows.
- It detaches the scopes that have had no viewer for a while.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

from .engine import Session
from .lease import Lease
from .remote_members import RemoteMembers
from .scopes import ScopeFollower

__all__ = ["Heartbeat"]

_LINGER = 30.0  # seconds for which a scope without viewers stays attached
_CHECK_INTERVAL = 30.0  # seconds within which the positions of all scopes are checked


class Heartbeat:
    """The periodic work of a relay. Everything runs in its event loop.

    Args:
        interval: Seconds between two heartbeats.
        patience: How long to wait for an answer of the engine, in seconds.
        lease: The lease of this process.
        members: The members in other processes.
        scopes: The scopes that are followed.
    """

    def __init__(
        self, interval: float, patience: float, lease: Lease, members: RemoteMembers, scopes: ScopeFollower
    ) -> None:
        self._interval = interval
        self._patience = patience
        self._lease = lease
        self._members = members
        self._scopes = scopes

    async def run(self, session: Session) -> None:
        """Do the work at each heartbeat."""
        unchecked: deque[str] = deque()
        while True:
            async with asyncio.timeout(self._patience):
                await self._lease.renew(session)
                await self._remove_dead_members(session)
                loaded = self._scopes.loaded_scopes()
                unchecked = unchecked or deque(loaded)
                number = min(len(unchecked), self._checks_at_once(len(loaded)))
                await self._scopes.check_positions(session, [unchecked.popleft() for _ in range(number)])
            self._scopes.detach_unviewed(time.monotonic() - _LINGER)
            await asyncio.sleep(self._interval)

    async def _remove_dead_members(self, session: Session) -> None:
        if processes := self._members.processes():
            dead = processes - await session.alive(sorted(processes))
            self._scopes.render_all(self._members.remove_processes(dead))

    def _checks_at_once(self, scopes: int) -> int:
        """Return how many of some scopes to check now, so that all are checked within the interval."""
        return max(1, round(scopes * self._interval / _CHECK_INTERVAL))
