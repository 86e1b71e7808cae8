"""How many streams a process serves at once: in all, for one user, and for one address."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["RETRY_AFTER", "StreamLimits", "StreamPlace"]

_Key = tuple[str, str]

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
        kinds = zip(("all", "user", "address"), limits.values(), strict=True)
        self._limits = {kind: limit for kind, limit in kinds if limit is not None}
        self._lock = threading.Lock()
        self._open: dict[_Key, int] = {}

    def place(self, user: str | None, address: str | None) -> StreamPlace:
        """Return the place of a stream, which is not taken yet.

        Args:
            user: The viewer's user id. ``None`` counts for no user.
            address: The client's address. ``None`` counts for no address.
        """
        named = (("all", ""), ("user", user), ("address", address))
        return StreamPlace(
            self, tuple((kind, name) for kind, name in named if name is not None and kind in self._limits)
        )

    def take(self, keys: Sequence[_Key]) -> bool:
        """Count a stream, unless there are too many. Return whether it was counted."""
        with self._lock:
            if any(self._open.get(key, 0) >= self._limits[key[0]] for key in keys):
                return False
            for key in keys:
                self._open[key] = self._open.get(key, 0) + 1
        return True

    def give_back(self, keys: Sequence[_Key]) -> None:
        """Count a stream no longer."""
        with self._lock:
            for key in keys:
                self._open[key] -= 1
                if not self._open[key]:
                    del self._open[key]


@dataclass(frozen=True, slots=True)
class StreamPlace:
    """The place of one stream within the limits."""

    limits: StreamLimits
    keys: tuple[_Key, ...]

    def take(self) -> bool:
        """Take the place. Return ``False`` if there are too many streams."""
        return self.limits.take(self.keys)

    def give_back(self) -> None:
        """Give the place back."""
        self.limits.give_back(self.keys)
