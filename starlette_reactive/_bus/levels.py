"""Waiting until a scope is level with the engine, and catching up from a cursor.

A scope is *level* once the engine has sent its history. Without an engine every scope is level from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio

from .._core.events import ChangeEvent
from .._log.changelog import ChangeLog
from .inbox import Inbox
from .link import Link, setter
from .roster import Roster
from .subscription import Sleepers, Subscriber

__all__ = ["Levels"]


class Levels:
    """Tracks which scopes are level with the engine.

    Args:
        inbox: The bus's lock.
        roster: The subscribers.
        log: The change log to catch up from.
        link: The engine, if there is one.
    """

    def __init__(self, inbox: Inbox, roster: Roster, log: ChangeLog, link: Link | None) -> None:
        self._inbox = inbox
        self._roster = roster
        self._log = log
        self._link = link
        self._waiters: dict[str, list[Callable[[], None]]] = {}

    def begin(self, subscriber: Subscriber, after: str) -> None:
        """Catch a subscriber up from a cursor, now or when its scope is level. Requires the lock."""
        if self._is_level(subscriber.scope):
            self._catch_up(subscriber, after)
        else:
            subscriber.after = after

    def reached(self, scope: str) -> None:
        """Catch up the subscribers of a scope that is level now, and wake who waits for it. Requires the lock."""
        sleepers: Sleepers = {}
        for subscriber in self._roster.subscribers(scope):
            if subscriber.after is not None:
                self._catch_up(subscriber, subscriber.after)
                subscriber.after = None
                if subscriber.waiting:
                    subscriber.ring(sleepers)
        self._roster.wake(sleepers)
        for wake in self._waiters.pop(scope, ()):
            wake()

    async def ready(self, scopes: Sequence[str]) -> bool:
        """Wait until scopes are level with the engine. Returns ``False`` if the engine does not answer in time."""
        if self._link is None:
            return True
        waits: list[tuple[str, anyio.Event, Callable[[], None]]] = []
        with self._inbox:
            for scope in scopes:
                if not self._is_level(scope):
                    level = anyio.Event()
                    waits.append((scope, level, self._wake_when_level(self._link, scope, level)))
        if not waits:
            return True
        try:
            with anyio.move_on_after(self._link.relay.patience):
                for _, level, _ in waits:
                    await level.wait()
        finally:
            with self._inbox:
                for scope, _, wake in waits:
                    self._wait_no_more(scope, wake)
        with self._inbox:
            return all(map(self._is_level, scopes))

    def _wake_when_level(self, link: Link, scope: str, level: anyio.Event) -> Callable[[], None]:
        link.open(scope)
        if scope not in self._roster:
            link.relay.detach(scope)
        wake = setter(level)
        self._waiters.setdefault(scope, []).append(wake)
        return wake

    def _wait_no_more(self, scope: str, wake: Callable[[], None]) -> None:
        waiters = self._waiters.get(scope, [])
        if wake in waiters:
            waiters.remove(wake)
            if not waiters:
                del self._waiters[scope]

    def _is_level(self, scope: str) -> bool:
        return self._link is None or self._link.replica.is_loaded(scope)

    def _catch_up(self, subscriber: Subscriber, after: str) -> None:
        position = self._log.parse(subscriber.scope, after)
        reading = self._log.read(subscriber.scope, position)
        paths = reading.paths_for(position or 0, subscriber.user_id, subscriber.origin)
        if paths:
            subscriber.waiting.append(ChangeEvent(subscriber.scope, paths))
