"""Notifies observers and subscribers of an event.

A loop is woken once per event, however many of its tasks are notified.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from .._core.events import RESERVED, ChangeEvent
from .backlog import Backlog
from .inbox import Inbox
from .roster import Roster
from .subscription import Sleepers

__all__ = ["Notifier", "Observer"]

Observer = Callable[[ChangeEvent], object]


class Notifier:
    """Passes events to the observers of the bus and to the subscribers of the event's scope.

    Args:
        inbox: The bus's lock.
        roster: The subscribers.
        backlog: Keeps the events until a subscriber reads them.
    """

    def __init__(self, inbox: Inbox, roster: Roster, backlog: Backlog) -> None:
        self._inbox = inbox
        self._roster = roster
        self._backlog = backlog
        self.observers: tuple[Observer, ...] = ()

    def notify(self, event: ChangeEvent) -> None:
        """Notify the observers, and the subscribers that admit the event. Requires the lock."""
        for observer in () if event.scope.startswith(RESERVED) else self.observers:
            self._inbox.call_back(functools.partial(observer, event))
        subscribers = self._roster.subscribers(event.scope)
        if not subscribers:
            return
        sleepers: Sleepers = {}
        add = self._backlog.add
        for subscriber in subscribers:
            if subscriber.admits(event):
                add(subscriber, event)
                if subscriber.mailbox is not None:
                    subscriber.ring(sleepers)
        self._roster.wake(sleepers)

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Call a function for each event of this process. Returns a function that stops it. Thread-safe."""
        with self._inbox:
            self.observers = (*self.observers, observer)

        def stop() -> None:
            with self._inbox:
                self.observers = tuple(each for each in self.observers if each is not observer)

        return stop
