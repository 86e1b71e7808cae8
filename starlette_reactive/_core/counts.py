"""Counters of what happens to streams and updates, for metrics."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Counts"]


class Counts:
    """How many updates wait or timed out, streams were refused, blocks differed, toasts were dropped. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.waiting_updates: int = 0
        self.timed_out_updates: int = 0
        self.refused_streams: int = 0
        self.differing_blocks: int = 0
        self.dropped_toasts: int = 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count an update that waits for a place, while the context lasts."""
        with self._lock:
            self.waiting_updates += 1
        try:
            yield
        finally:
            with self._lock:
                self.waiting_updates -= 1

    def time_out(self) -> None:
        """Count an update that timed out."""
        with self._lock:
            self.timed_out_updates += 1

    def differ(self) -> None:
        """Count a shared block that was different for two viewers with an equal key."""
        with self._lock:
            self.differing_blocks += 1

    def drop_toast(self) -> None:
        """Count a toast that was dropped for a slow viewer."""
        with self._lock:
            self.dropped_toasts += 1

    def refuse(self) -> None:
        """Count a stream that was refused because there are too many."""
        with self._lock:
            self.refused_streams += 1
