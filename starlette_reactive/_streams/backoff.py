"""When a failed render is tried again."""

from __future__ import annotations

import random
import time

__all__ = ["FIRST_RETRY", "LAST_RETRY", "Backoff"]

FIRST_RETRY, LAST_RETRY = 0.5, 60.0
"""Seconds before the first retry, and at most."""
_MAX_DOUBLINGS = 16


class Backoff:
    """Exponential back-off with jitter. Retries that come early, because of a change, do not lengthen the pause."""

    def __init__(self) -> None:
        self._failures = 0
        self._retry_at = float("inf")

    @property
    def is_due(self) -> bool:
        """Whether nothing has failed, or the pause is over."""
        return self._failures == 0 or time.monotonic() >= self._retry_at

    @property
    def pause(self) -> float | None:
        """Seconds until the next retry. ``None`` if nothing has failed."""
        return max(0.0, self._retry_at - time.monotonic()) if self._failures else None

    def fail(self) -> None:
        """Record a failure."""
        if self.is_due:
            pause = min(LAST_RETRY, FIRST_RETRY * 2**self._failures) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
            self._failures = min(self._failures + 1, _MAX_DOUBLINGS)
            self._retry_at = time.monotonic() + pause

    def succeed(self) -> None:
        """Reset."""
        self._failures = 0
        self._retry_at = float("inf")
