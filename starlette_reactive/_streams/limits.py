"""How many streams a process serves at once: in all, for one user, and for one address."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["RETRY_AFTER", "StreamLimits"]

RETRY_AFTER = 10
"""Seconds after which a client that was refused may try again."""


class StreamLimits:
    """Counts open streams. Thread-safe.

    Args:
        total: How many streams may be open at once. ``None`` means no limit.
        per_user: How many of one user.
        per_address: How many of one client address.

    Raises:
        ValueError: A limit is below 1.
    """

    def __init__(self, total: int | None, per_user: int | None, per_address: int | None) -> None:
        limits = {"max_streams": total, "max_streams_per_user": per_user, "max_streams_per_address": per_address}
        for name, limit in limits.items():
            if limit is not None and limit < 1:
                raise ValueError(f"{name} is {limit}: write a number of streams from 1, or None for no limit")
        self._limits = tuple(limits.values())
        self._lock = threading.Lock()
        self._open: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def count(self, user: str | None, address: str | None) -> Iterator[bool]:
        """Count a stream while the context lasts. Yields ``False``, and counts nothing, if there are too many.

        Args:
            user: The viewer's user id. ``None`` counts for no user.
            address: The client's address. ``None`` counts for no address.
        """
        named = (("", ""), ("user", user), ("address", address))
        counted = [
            ((kind, name), limit)
            for (kind, name), limit in zip(named, self._limits, strict=True)
            if name is not None and limit is not None
        ]
        with self._lock:
            admitted = all(self._open[key] < limit for key, limit in counted)
            if admitted:
                self._open.update(key for key, _ in counted)
        try:
            yield admitted
        finally:
            if admitted:
                self._remove([key for key, _ in counted])

    def _remove(self, keys: list[tuple[str, str]]) -> None:
        with self._lock:
            for key in keys:
                self._open[key] -= 1
                if not self._open[key]:
                    del self._open[key]
