"""One timer for all streams of an event loop: heartbeats, send time-outs, and noticing that the server stops.

ASGI informs an application of a shutdown only after its responses have ended, so endless responses must find out by
themselves. uvicorn's server object has ``should_exit``. It is reached through the handler that uvicorn installs for
SIGTERM, and through sse-starlette's ``AppStatus``, which records the same.
"""

from __future__ import annotations

import logging
import signal
import time
from contextvars import Context
from typing import Protocol

import anyio
from anyio.lowlevel import RunVar
from sse_starlette.sse import AppStatus

from .._core.failures import Failures
from .._core.loops import spawn

__all__ = ["INTERVAL", "Ticking", "Timer", "timer", "uvicorn_server"]

INTERVAL = 0.25
"""Seconds between two ticks."""
_WHAT = "a stream's timer callback"


class Ticking(Protocol):
    """What a timer drives."""

    def __hash__(self) -> int:
        """Return its hash."""

    def on_tick(self, now: float, *, stopping: bool) -> None:
        """Do what is due.

        Args:
            now: The time, in seconds of :func:`time.monotonic`.
            stopping: Whether the server was asked to stop.
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
                self._tick()
                await anyio.sleep(INTERVAL)

    def _tick(self) -> None:
        now, stopping = time.monotonic(), _server_stops()
        for ticking in list(self._driven):
            try:
                ticking.on_tick(now, stopping=stopping)
            except Exception as error:  # noqa: BLE001 - logged
                self._failures.log(_WHAT, error, ticking)
            else:
                self._failures.recover(_WHAT, ticking)


def _server_stops() -> bool:
    if AppStatus.should_exit:
        return True
    if not AppStatus.enable_automatic_graceful_drain:
        return False
    return getattr(uvicorn_server(), "should_exit", False) is True


def uvicorn_server() -> object | None:
    """Return the server object of uvicorn that runs this process, if there is one."""
    return getattr(signal.getsignal(signal.SIGTERM), "__self__", None)


_timer: RunVar[Timer] = RunVar("starlette_reactive_timer")


def timer() -> Timer:
    """Return the timer of the running event loop."""
    found = _timer.get(None)
    if found is None:
        found = Timer()
        _timer.set(found)
    return found
