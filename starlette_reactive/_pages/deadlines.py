"""Deadlines: timeouts that cost nothing while they do not expire, because all of them share the timer of the loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from .._streams.servers import Server
from .._streams.timer import timer

__all__ = ["Deadlines"]


class Deadlines:
    """The deadlines of one event loop. Not thread-safe. Their resolution is that of the timer."""

    def __init__(self) -> None:
        self._watched: dict[object, tuple[float, Callable[[], object]]] = {}
        self._ticks = False

    def watch(self, seconds: float, expire: Callable[[], object]) -> object:
        """Call a function after some seconds. Returns what :meth:`forget` takes."""
        if not self._ticks:
            self._ticks = True
            timer().add(self)
        key = object()
        self._watched[key] = (time.monotonic() + seconds, expire)
        return key

    def forget(self, key: object) -> None:
        """Do not call the function of a deadline any more."""
        self._watched.pop(key, None)

    def on_tick(self, now: float, stopping: Collection[Server]) -> None:  # noqa: ARG002 - the signature of what a timer drives
        """Call the functions that are due."""
        due = [(key, expire) for key, (at, expire) in self._watched.items() if now >= at]
        for key, expire in due:
            self.forget(key)
            expire()
        if not self._watched:  # only now, because most deadlines are forgotten soon and others follow
            self._ticks = False
            timer().remove(self)
