"""Changing rows and waking those that read them.

All transactions that notify are committed one after the other, so changes in quick succession share a wake-up.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import psycopg

from . import queries
from .connection import PostgresConnection

__all__ = ["Waker"]

_DEBOUNCE = 0.001  # seconds between two wake-ups


class Waker:
    """Runs changes on a connection, and wakes the sessions that read the log.

    Args:
        connection: The connection.
    """

    def __init__(self, connection: PostgresConnection) -> None:
        self._connection = connection
        self._woken_at = 0.0
        self._is_late = False  # whether something was committed without a wake-up
        self._tasks: set[asyncio.Task[None]] = set()

    async def change(self, call: str, parameters: dict[str, Any], *, hint: str | None = None) -> None:
        """Call an SQL function in a transaction.

        Args:
            call: The call.
            parameters: Its parameters.
            hint: The events that it writes, as :func:`hint_json` returns them, for the wake-up to contain.
        """
        if time.monotonic() - self._woken_at < _DEBOUNCE:
            await self._connection.fetch(f"select {call}", parameters)
            self._wake_later()
            return
        hint = None if self._is_late else hint  # only a reading finds what was committed without a wake-up
        await self._connection.fetch(f"select {call}, {queries.WAKE}", {**parameters, "hint": hint})
        self._woken_at = time.monotonic()

    def _wake_later(self) -> None:
        if self._is_late:
            return
        self._is_late = True
        task = asyncio.create_task(self._wake())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wake(self) -> None:
        await asyncio.sleep(_DEBOUNCE)
        self._woken_at = time.monotonic()
        self._is_late = False  # a commit from here on may come after this wake-up
        with contextlib.suppress(psycopg.Error):  # a failed connection raises for its next user
            await self._connection.fetch(f"select {queries.WAKE}", {"hint": None})

    async def close(self) -> None:
        """Send the last wake-up."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_DEBOUNCE * 100)
        for task in self._tasks:
            task.cancel()
