"""One timer for all streams of an event loop: heartbeats, send timeouts, and noticing that the server stops."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from contextvars import Context
from typing import Protocol

import anyio
from anyio.lowlevel import RunVar, checkpoint

from .._core.failures import Failures
from .._core.loops import spawn
from .servers import Server, stopping_servers

__all__ = ["INTERVAL", "Ticking", "Timer", "timer"]

INTERVAL = 0.25
"""Seconds between two ticks."""
SLICE = 32
"""How many of what a timer drives are called in one iteration of the loop, so that requests do not wait for all."""
_WHAT = "a stream's timer callback"


class Ticking(Protocol):
    """What a timer drives."""

    def __hash__(self) -> int:
        """Return its hash."""

    def on_tick(self, now: float, stopping: Collection[Server]) -> None:
        """Do what is due.

        Args:
            now: The time, in seconds of :func:`time.monotonic`.
            stopping: The servers of the event loop that stop.
        """


class Timer:
    """Calls what is registered every :data:`INTERVAL`, while something is."""

    def __init__(self) -> None:
        self._driven: dict[Ticking, None] = {}
        self._failures = Failures(logging.getLogger("starlette_reactive.streams"))
        self._running: anyio.CancelScope | None = None

    def add(self, ticking: Ticking) -> None:
        """Call ``ticking`` from now on."""
        self._driven[ticking] = None
        if self._running is None:
            cancel_scope = self._running = anyio.CancelScope()
            spawn(lambda: self._run(cancel_scope), name="starlette-reactive timer", context=Context())

    def remove(self, ticking: Ticking) -> None:
        """Stop calling it."""
        self._driven.pop(ticking, None)
        self._failures.forget(ticking)
        if not self._driven and self._running is not None:
            self._running.cancel()
            self._running = None

    async def _run(self, cancel_scope: anyio.CancelScope) -> None:
        with cancel_scope:
            while True:
                await self._tick()
                await anyio.sleep(INTERVAL)

    async def _tick(self) -> None:
        now, stopping = time.monotonic(), stopping_servers()
        for number, ticking in enumerate(list(self._driven)):
            if number and not number % SLICE:
                await checkpoint()
            if ticking not in self._driven:
                continue
            try:
                ticking.on_tick(now, stopping)
            except Exception as error:  # noqa: BLE001 - logged
                self._failures.log(_WHAT, error, ticking)
            else:
                self._failures.recover(_WHAT, ticking)


_timer: RunVar[Timer] = RunVar("starlette_reactive_timer")


def timer() -> Timer:
    """Return the timer of the running event loop."""
    found = _timer.get(None)
    if found is None:
        found = Timer()
        _timer.set(found)
    return found
