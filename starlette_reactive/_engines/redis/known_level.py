"""Which stamps Redis may have given out by now."""

from __future__ import annotations

import time

__all__ = ["KnownLevel"]

_SLACK = 50_000  # microseconds that an answer may have been under way for longer than a message


class KnownLevel:
    """The last level that a script has returned, and its age.

    Stamps follow the server's clock in microseconds, so a later stamp is plausible if it is not further above that
    level than the time that has passed. A process that sees another one asks Redis.
    """

    def __init__(self) -> None:
        self._level = 0
        self._noted_at = time.monotonic()

    def note(self, level: int) -> None:
        """Record a level that a script has returned, unless a higher one is known."""
        if level >= self._level:
            self._level, self._noted_at = level, time.monotonic()

    def may_include(self, stamp: int) -> bool:
        """Return whether Redis may have given out a stamp, as far as this is known without asking it."""
        return stamp <= self._level + (time.monotonic() - self._noted_at) * 1_000_000 + _SLACK
