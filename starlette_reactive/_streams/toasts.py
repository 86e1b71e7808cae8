"""The toasts that wait to be sent to one viewer. One that reads too slowly misses the oldest."""

from __future__ import annotations

import contextlib
import functools
from collections import deque

from .._clients import Client
from .._core.counts import Counts
from .._core.loops import LoopClosedError, Mailbox, Nudge
from .._core.toasts import Toast

__all__ = ["MOST_WAITING", "ToastTray"]

MOST_WAITING = 16
"""How many toasts wait for one viewer at most."""


class ToastTray:
    """The toasts that wait for one viewer. Everything except :meth:`put` belongs to the viewer's event loop."""

    __slots__ = ("_waiting", "nudge")

    def __init__(self) -> None:
        self.nudge: Nudge = Nudge()
        """Wakes the viewer's stream."""
        self._waiting: deque[Toast] | None = None  # most viewers never get one

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, mailbox: Mailbox, counts: Counts, toast: Toast) -> None:
        """Add a toast, and wake the stream. Thread-safe.

        Args:
            mailbox: That of the viewer's event loop.
            counts: Where toasts are counted that are dropped.
            toast: The toast.
        """
        mailbox.post(functools.partial(self._put, counts, toast))
        with contextlib.suppress(LoopClosedError):
            mailbox.wake()

    def _put(self, counts: Counts, toast: Toast) -> None:
        if self._waiting is None:
            self._waiting = deque()
        if len(self._waiting) == MOST_WAITING:
            self._waiting.popleft()
            counts.drop_toast()
        self._waiting.append(toast)
        self.nudge.wake()

    def take(self, client: Client) -> bytes:
        """Remove all, and return them as frames without an id."""
        waiting, self._waiting = self._waiting, None
        return b"".join(_encoded(client, toast) for toast in waiting) if waiting else b""


@functools.lru_cache(maxsize=16)
def _encoded(client: Client, toast: Toast) -> bytes:
    return client.encode_append(toast.target, toast.html)
