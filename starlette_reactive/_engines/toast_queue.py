"""Toasts that wait for a connection to the engine: for a few seconds, and not for long if there are many."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from .._core.toasts import Toast

__all__ = ["ToastQueue", "WaitingToast"]

_MOST = 1000  # that wait; the oldest are dropped


@dataclass(frozen=True, slots=True)
class WaitingToast:
    """A toast that must be sent.

    Args:
        toast: The toast.
        until: The monotonic time at which it is dropped.
        accepted: What to call once the engine has accepted it.
        process: The process that sends it. A forked child does not.
    """

    toast: Toast
    until: float
    accepted: Callable[[], None] | None
    process: int = field(default_factory=os.getpid)


class ToastQueue:
    """Toasts that wait for a connection to the engine. Not thread-safe."""

    def __init__(self) -> None:
        self._waiting: deque[WaitingToast] = deque(maxlen=_MOST)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, toast: WaitingToast) -> None:
        """Add a toast."""
        self._waiting.append(toast)

    def take(self) -> list[WaitingToast]:
        """Remove all, and return those that are not too late. A toast that is not sent then is never sent."""
        now, process = time.monotonic(), os.getpid()
        taken = [each for each in self._waiting if each.until > now and each.process == process]
        self._waiting.clear()
        return taken
