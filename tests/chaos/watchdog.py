"""What the live script does if its stream is silent: it connects anew, as the path to the server may be frozen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

BEAT = 0.5
"""Seconds between the heartbeats of the server under test."""
BEATS = 2.5
"""After so many heartbeats of silence the script gives a stream up."""
_FIRST_PATIENCE = 1.0  # seconds that the first connection has after that; each one after it has twice as long


class Watchdog:
    """Ends the streams of a tab that are silent.

    Args:
        beat: Seconds between heartbeats. ``None`` for clients that wait for ever.
    """

    def __init__(self, beat: float | None = None) -> None:
        self._silence = None if beat is None else BEATS * beat
        self._patience = self._silence
        self._timeout = asyncio.timeout(None)

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch a connection.

        Raises:
            TimeoutError: It was silent for too long.
        """
        try:
            async with asyncio.timeout(self._patience) as self._timeout:
                yield
        except TimeoutError:
            if self._silence is not None and self._patience is not None:
                is_first = self._patience >= self._silence
                self._patience = _FIRST_PATIENCE if is_first else min(2 * self._patience, self._silence)
            raise

    def hear(self) -> None:
        """Note that the server has said something."""
        self._patience = self._silence
        if self._silence is not None:
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._silence)

    def rest(self) -> None:
        """Do not watch until something is heard again: the tab itself stands still."""
        self._timeout.reschedule(None)
