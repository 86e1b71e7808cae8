"""What happens to an event that a subscriber has not read yet: it waits, is merged, or is dropped."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable

from .._core.events import ChangeEvent
from .inbox import Inbox
from .subscription import Subscriber, merge

__all__ = ["Backlog", "DropCallback"]

logger: logging.Logger = logging.getLogger("starlette_reactive.bus")

DropCallback = Callable[[str, ChangeEvent], object]

_LOG_INTERVAL = 10.0  # seconds between two log lines on dropped events of a scope


class Backlog:
    """Keeps the events that wait for subscribers. Requires the bus's lock.

    Args:
        inbox: Runs ``on_drop`` outside the lock.
        maxsize: The number of events that may wait for one subscriber, at least 1.
        overflow: ``"coalesce"`` or ``"drop"``.
        on_drop: Called as ``on_drop(scope, event)`` for each event dropped.

    Raises:
        ValueError: ``maxsize`` is below 1, or ``overflow`` is neither value.
    """

    def __init__(self, inbox: Inbox, maxsize: int, overflow: str, on_drop: DropCallback | None) -> None:
        if maxsize < 1:
            raise ValueError(f"maxsize is {maxsize}: a subscriber needs room for at least 1 event")
        if overflow not in ("coalesce", "drop"):
            raise ValueError(f"overflow is {overflow!r}: write 'coalesce' or 'drop'")
        self._inbox = inbox
        self._maxsize = maxsize
        self._drops = overflow == "drop"
        self._on_drop = on_drop
        self._logged_at: dict[str, float] = {}
        self.dropped_count: int = 0
        self.coalesced_count: int = 0

    def add(self, subscriber: Subscriber, event: ChangeEvent) -> None:
        """Add an event to those that wait for a subscriber."""
        waiting = subscriber.waiting
        if subscriber.watches and waiting:
            return  # one event is enough for a watcher, which reads the change log
        if len(waiting) < self._maxsize:
            waiting.append(event)
        elif self._drops:
            self.dropped_count += 1
            self._inbox.call_back(functools.partial(self._report, event))
        else:
            self.coalesced_count += 1
            waiting[-1] = merge(waiting[-1], event)

    def _report(self, event: ChangeEvent) -> None:
        now = time.monotonic()
        if now - self._logged_at.get(event.scope, -_LOG_INTERVAL) >= _LOG_INTERVAL:
            recent = {scope: at for scope, at in self._logged_at.items() if now - at < _LOG_INTERVAL}
            self._logged_at = {**recent, event.scope: now}
            logger.warning(
                "dropping an event for a slow subscriber of scope %r: %s (%d dropped in total)",
                event.scope,
                ", ".join(sorted(event.changed_paths)),
                self.dropped_count,
            )
        if self._on_drop is not None:
            self._on_drop(event.scope, event)
