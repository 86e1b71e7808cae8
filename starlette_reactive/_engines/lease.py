"""The lease by which other processes know that this one is alive."""

from __future__ import annotations

import time

from .._core.events import ChangeEvent
from .._core.paths import ALL
from .engine import LeaseLapsedError, Session
from .local_members import LocalMembers
from .outbox import Outbox

__all__ = ["Lease"]


class Lease:
    """The lease of this process, and the enrolment of its members. Everything runs in the relay's event loop.

    Args:
        seconds: How long the process counts as alive after each renewal.
        members: The members of this process.
        outbox: Takes the events that a late enrolment causes.
    """

    def __init__(self, seconds: float, members: LocalMembers, outbox: Outbox) -> None:
        self._seconds = seconds
        self._members = members
        self._outbox = outbox
        self._until = 0.0
        self._epoch: str | None = None  # of the last session; None before the first

    async def enroll(self, session: Session) -> None:
        """Enroll the members of this process when a session begins.

        If other processes may have taken this one for dead, they are notified of its members again, and everything
        that shows the scopes of those members is rendered.
        """
        self._members.drop_changes()
        members = self._members.all()
        now = time.monotonic()
        if self._epoch is not None and (now > self._until or session.epoch != self._epoch):
            await session.enroll(())
            for scope in {scope for scope, _, _ in members}:
                self._outbox.put(ChangeEvent(scope, (ALL,)))
        await session.enroll(members)
        self._until = now + self._seconds
        self._epoch = session.epoch

    async def renew(self, session: Session) -> None:
        """Renew the lease.

        Raises:
            LeaseLapsedError: It has lapsed.
        """
        now = time.monotonic()
        if now > self._until:
            raise LeaseLapsedError(f"the lease of this process was not renewed for {self._seconds:g} s")
        await session.renew_lease(self._seconds)
        self._until = now + self._seconds
