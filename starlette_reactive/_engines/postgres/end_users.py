"""Requests to end users' streams, each delivered once across the sessions of a process."""

from __future__ import annotations

import time

from ..messages import EndUser
from .codec import parse_end_user

__all__ = ["EndUserRows"]

_KEPT_SECONDS = 600.0  # rows are kept for so long
_COMMIT_SECONDS = 15.0  # allowed between the creation of a row and its commit


class EndUserRows:
    """Remembers which rows of ``reactive.ended`` a process has received."""

    def __init__(self) -> None:
        self._read_at = time.monotonic()
        self._has_read = False
        self._received: dict[tuple[int, str], float] = {}  # by id and time of creation, with when it was received

    def seconds_missed(self) -> float:
        """Return the greatest age of a row that may not have been read."""
        missed = time.monotonic() - self._read_at + (_COMMIT_SECONDS if self._has_read else 0)
        return min(missed, _KEPT_SECONDS)

    def note_reading(self) -> None:
        """Record that all rows have been read."""
        self._read_at = time.monotonic()
        self._has_read = True

    def receive(self, number: int, at: str, process: str, user_id: str, scope: str | None) -> list[EndUser]:
        """Return the message of a row, unless it has been received before.

        Raises:
            ValueError: A name is empty.
        """
        if (number, at) in self._received:
            return []
        now = time.monotonic()
        self._received = {row: when for row, when in self._received.items() if now - when < 2 * _KEPT_SECONDS}
        self._received[number, at] = now
        return [parse_end_user(process, user_id, scope)]
