"""One timer for all streams of an event loop: heartbeats, send time-outs, and the word that the server stops.

ASGI tells an application of a shutdown only after its responses have ended, so endless ones must find out by
themselves. uvicorn's server object says so in its ``should_exit``; it is reached through the handler that uvicorn
installs for SIGTERM, and through sse-starlette's ``AppStatus``, which notes the same.
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

from .._core.loops import spawn

__all__ = ["INTERVAL", "Pulsed", "pulse"]

logger: logging.Logger = logging.getLogger("starlette_reactive.streams")

INTERVAL = 0.25
"""Seconds between two beats."""


class Pulsed(Protocol):
    """What a pulse drives."""

    def on_pulse(self, now: float, *, stopping: bool) -> None:
        """Do what is due.

        Args:
            now: The time, in seconds of :func:`time.monotonic`.
            stopping: Whether the server has been told to stop.
        """


class Pulse:
    """Calls what is registered, every :data:`INTERVAL`, while something is."""

    def __init__(self) -> None:
        self._pulsed: dict[Pulsed, None] = {}
        self._running: anyio.CancelScope | None = None

    def add(self, pulsed: Pulsed) -> None:
        """Call ``pulsed`` from now on."""
        self._pulsed[pulsed] = None
        if self._running is None:
            self._running = anyio.CancelScope()
            scope = self._running
            spawn(lambda: self._run(scope), name="starlette-reactive pulse", context=Context())

    def remove(self, pulsed: Pulsed) -> None:
        """Call it no more."""
        self._pulsed.pop(pulsed, None)
        if not self._pulsed and self._running is not None:
            self._running.cancel()
            self._running = None

    async def _run(self, scope: anyio.CancelScope) -> None:
        with scope:
            while True:
                self._beat()
                await anyio.sleep(INTERVAL)

    def _beat(self) -> None:
        now, stopping = time.monotonic(), _server_stops()
        for pulsed in list(self._pulsed):
            try:
                pulsed.on_pulse(now, stopping=stopping)
            except Exception:
                logger.exception("a stream failed to do what was due")


def _server_stops() -> bool:
    if AppStatus.should_exit:
        return True
    if not AppStatus.enable_automatic_graceful_drain:
        return False
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return getattr(server, "should_exit", False) is True


_pulse: RunVar[Pulse] = RunVar("starlette_reactive_pulse")


def pulse() -> Pulse:
    """Return the pulse of the running event loop."""
    found = _pulse.get(None)
    if found is None:
        found = Pulse()
        _pulse.set(found)
    return found
