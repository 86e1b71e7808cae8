"""What a relay sends to the engine: members, ended users, events, toasts and requests for a stamp.

What the engine has not accepted is sent again by the next session, merged with what has been added since. So delivery
is at least once. There are two exceptions: each session begins by enrolling all members, and no toast is sent twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .alarms import Alarms
from .engine import Session
from .local_members import LocalMembers
from .outbox import Outbox
from .toast_queue import ToastQueue, WaitingToast

__all__ = ["SendQueue", "StampCallback"]

_EVENTS_AT_ONCE = 500

StampCallback = Callable[[int | None], None]
"""Receives a stamp, or ``None`` if the engine does not answer."""


class SendQueue:
    """Collects what must be sent, and sends it. Everything runs in the relay's event loop.

    Args:
        outbox: The events and the ended users to send.
        members: The members of this process.
        alarms: Wakes the sending task.
        patience: How long to wait for an answer of the engine, in seconds.
    """

    def __init__(self, outbox: Outbox, members: LocalMembers, alarms: Alarms, patience: float) -> None:
        self._outbox = outbox
        self._members = members
        self._alarms = alarms
        self._alarm = alarms.add(self._has_work)
        self._patience = patience
        self._stamp_requests: list[StampCallback] = []
        self._toasts = ToastQueue()

    def send_toast(self, toast: WaitingToast) -> None:
        """Send a toast, at most once."""
        self._toasts.add(toast)

    def request_stamp(self, callback: StampCallback) -> None:
        """Ask the engine for a stamp."""
        self._stamp_requests.append(callback)

    @property
    def has_stamp_requests(self) -> bool:
        """Whether anybody waits for a stamp."""
        return bool(self._stamp_requests)

    def answer_stamp_requests(self, stamp: int | None) -> None:
        """Answer everybody who waits for a stamp."""
        requests, self._stamp_requests = self._stamp_requests, []
        for answer in requests:
            answer(stamp)

    async def run(self, session: Session) -> None:
        """Send whatever is added. When the relay stops, send the rest, remove all members and return."""
        while True:
            await self._alarm.wait()
            while self._has_work():
                await self._send_some(session)
            if self._alarms.stopping:
                await session.enroll(())
                return

    def _has_work(self) -> bool:
        return bool(self._members.has_changes or self._outbox or self._stamp_requests or self._toasts)

    async def _send_some(self, session: Session) -> None:
        members = self._members.take_changes()
        batch = self._outbox.take(_EVENTS_AT_ONCE)
        toasts = self._toasts.take()
        requests, self._stamp_requests = self._stamp_requests, []
        try:
            async with asyncio.timeout(self._patience):
                if members or batch or toasts:
                    await session.send(batch.outgoing(members, [waiting.toast for waiting in toasts]))
                stamp = await session.current_stamp() if requests else None
        except BaseException:
            self._outbox.put_back()
            self._stamp_requests = requests + self._stamp_requests
            raise
        self._outbox.accept()
        for accepted in (waiting.accepted for waiting in toasts):
            if accepted is not None:
                accepted()
        for answer in requests:
            answer(stamp)
