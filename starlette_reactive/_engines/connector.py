"""Keeping a session with an engine open: when it fails, a new one is opened after a growing pause."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack

from .alarms import Alarms
from .engine import Engine, Session
from .send_queue import SendQueue

__all__ = ["Connector", "SessionTask"]

logger: logging.Logger = logging.getLogger("starlette_reactive.engines")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 5.0  # seconds between two attempts to connect
_ATTEMPT_SECONDS = 1.0  # a session that fails within this time is a failed attempt
_CLOSE_SECONDS = 1.0  # how long closing the connections of a session may take

SessionTask = Callable[[Session], Coroutine[None, None, None]]
"""What runs during a session. The session ends when any of its tasks returns or raises."""


class Connector:
    """Keeps a session open until the relay stops. Everything runs in the relay's event loop.

    Args:
        engine: The engine.
        patience: How long to wait for an answer of the engine, in seconds.
        alarms: Know whether the relay is stopping.
        queue: Answers requests for a stamp with ``None`` while there is no session.
        begin: Called with each new session before its tasks start.
        tasks: What runs during a session.

    Attributes:
        connected: Whether there is a session.
        connections: How many sessions there have been.
        last_error: What ended the last session, or prevented one.
    """

    def __init__(
        self,
        engine: Engine,
        patience: float,
        alarms: Alarms,
        queue: SendQueue,
        begin: Callable[[Session], Awaitable[None]],
        tasks: Sequence[SessionTask],
    ) -> None:
        self._engine = engine
        self._patience = patience
        self._alarms = alarms
        self._queue = queue
        self._begin = begin
        self._tasks = tasks
        self._pause_alarm = alarms.add(lambda: queue.has_stamp_requests)
        self._connected_at: float | None = None
        self.connected: bool = False
        self.connections: int = 0
        self.last_error: str | None = None

    async def run(self, process: str) -> None:
        """Keep a session of a process open until the relay stops."""
        failures = 0
        while not self._alarms.stopping:
            self._connected_at = None
            try:
                await self._connect(process)
            except Exception as error:  # noqa: BLE001 - whatever ends a session, the next one begins
                self._note_failure(error)
            finally:
                self.connected = False
            failures = 0 if self._has_lasted() else failures + 1
            await self._pause(min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(failures, 16)))

    def _has_lasted(self) -> bool:
        """Return whether the last session was more than an attempt."""
        return self._connected_at is not None and time.monotonic() - self._connected_at > _ATTEMPT_SECONDS

    async def _connect(self, process: str) -> None:
        connection = AsyncExitStack()
        try:
            async with asyncio.timeout(self._patience):
                session = await connection.enter_async_context(self._engine.connect(process))
            await self._hold(session)
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await connection.aclose()

    async def _hold(self, session: Session) -> None:
        await self._begin(session)
        tasks = [asyncio.create_task(run(session)) for run in self._tasks]
        self._connected_at = time.monotonic()
        self.connections += 1
        self.connected = True
        logger.info("connected to %s", self._engine.name)
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pause(self, longest: float) -> None:
        until = time.monotonic() + longest * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
        while not self._alarms.stopping and (left := until - time.monotonic()) > 0:
            self._queue.answer_stamp_requests(None)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._pause_alarm.wait(), left)

    def _note_failure(self, error: Exception) -> None:
        if self._alarms.stopping:
            return
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        text = f"{type(error).__name__}: {error}" if str(error) else "no answer in time"
        is_ending = not threading.main_thread().is_alive()  # then a host name cannot be resolved any more
        if not is_ending and (self.connected or text != self.last_error):
            logger.warning("connection to %s failed, retrying: %s", self._engine.name, text)
        self.last_error = text
