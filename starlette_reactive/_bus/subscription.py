"""A reader of the events of a scope: :class:`Subscription` for the reader, :class:`Subscriber` for the bus.

The bus decides under its lock which events wait for a subscriber. The signal of a subscriber carries no events: it only
wakes a sleeping reader. So a cancelled reader loses nothing.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Hashable
from typing import Self

from anyio.lowlevel import checkpoint

from .._core.events import ChangeEvent, ConnectionInfo
from .._core.loops import EventLoop, Mailbox, Signal, current_loop
from .inbox import Inbox

__all__ = ["DisconnectCallback", "Sleepers", "Subscriber", "Subscription", "merge"]

DisconnectCallback = Callable[[str, ConnectionInfo | None], object]


Sleepers = dict[Mailbox, list["Subscriber"]]
"""Subscribers whose wake-up is posted to a mailbox that has not been woken yet."""


class Subscriber:
    """The bus's side of a subscription. Everything except :meth:`wait` requires the bus's lock.

    Args:
        scope: The scope whose events it receives. A watcher may have others besides.
        connection: Who subscribed, for audience and presence.
        origin: Events of this origin are skipped.
        on_disconnect: Called when the subscription has ended.
        watches: Receive every event, whatever its origin and audience.
        turn: The viewer that it reads for. Watchers of one event loop are woken at its pace, in turns of these.
        together: What it has in common with other watchers of the same turn that are woken together with it.
    """

    __slots__ = (
        "_loop",
        "_signal",
        "after",
        "closed",
        "connection",
        "handle",
        "mailbox",
        "on_disconnect",
        "origin",
        "others",
        "scope",
        "together",
        "turn",
        "user_id",
        "waiting",
        "watches",
    )

    def __init__(
        self,
        scope: str,
        connection: ConnectionInfo | None = None,
        origin: str | None = None,
        on_disconnect: DisconnectCallback | None = None,
        *,
        watches: bool = False,
        turn: Hashable = None,
        together: Hashable = None,
    ) -> None:
        self.scope: str = scope
        self.others: set[str] = set()  # further scopes of a watcher
        self.turn: Hashable = turn
        self.together: Hashable = together
        self.watches: bool = watches
        self.connection: ConnectionInfo | None = connection
        self.user_id: str | None = None if connection is None else connection.user_id
        self.origin: str | None = origin
        self.on_disconnect: DisconnectCallback | None = on_disconnect
        self.waiting: deque[ChangeEvent] = deque()
        self.after: str | None = None  # the cursor to catch up from once the scope's history is loaded
        self.closed: bool = False
        # Keeps the subscription alive until it is first read, so that one nobody holds still counts. From then on the
        # reader holds it, and a reader that drops it has left.
        self.handle: Subscription | None = None
        self._loop: EventLoop | None = None  # in which a reader slept last
        self._signal: Signal | None = None
        self.mailbox: Mailbox | None = None  # of the loop in which a reader sleeps or is about to

    @property
    def scopes(self) -> tuple[str, ...]:
        """All scopes whose events it receives."""
        return (self.scope, *self.others)

    def admits(self, event: ChangeEvent) -> bool:
        """Return whether an event is for this subscriber and is not covered by catching up."""
        if self.after is not None:
            return False
        if self.watches:
            return True
        if event.origin is not None and event.origin == self.origin:
            return False
        return event.audience is None or self.user_id in event.audience

    def take(self) -> ChangeEvent | None:
        """Return the oldest waiting event, or prepare the reader to sleep in the running loop and return ``None``."""
        self.handle = None
        if self.waiting:
            return self.waiting.popleft()
        if not self.closed:
            if self._loop is None or not self.watches:
                self._be_in(current_loop())
            if self._signal is not None and self._loop is not None:
                self._signal.clear()
                self.mailbox = self._loop.mailbox
        return None

    def _be_in(self, loop: EventLoop) -> None:
        if loop is not self._loop:
            self._loop, self._signal = loop, Signal(loop)

    async def wait(self) -> None:
        """Sleep until the subscriber is woken or finished."""
        if self._signal is not None:
            await self._signal.wait()

    def ring(self, sleepers: Sleepers) -> None:
        """Post the wake-up of a sleeping reader to its loop, and add it to those whose loops must be woken."""
        mailbox, self.mailbox = self.mailbox, None
        if mailbox is not None:
            mailbox.post(self._wake_in_turn if self.watches else self.rouse)
            sleepers.setdefault(mailbox, []).append(self)

    def finish(self) -> None:
        """End the subscription and wake its reader."""
        self.closed = True
        self.handle = None
        mailbox, self.mailbox = self.mailbox, None
        if mailbox is not None:  # else no reader sleeps, or one is about to be woken
            mailbox.post(self.rouse)

    def rouse(self) -> None:
        """Wake a sleeping reader, in its event loop."""
        if self._signal is not None:
            self._signal.set()

    def _wake_in_turn(self) -> None:
        if self._loop is not None:
            self._loop.pace.begin(self.turn, self.rouse, together=self.together)


class Subscription:
    """An async iterator of the :class:`ChangeEvent` objects of one scope, and a context manager.

    Create one with :meth:`ReactiveBus.subscribe`. It has one reader at a time. Leaving the ``with`` block, or
    :meth:`close`, ends it at once and discards waiting events. Dropping the last reference to a subscription that has
    been iterated ends it too.
    """

    def __init__(
        self,
        inbox: Inbox,
        subscriber: Subscriber,
        close: Callable[[Subscriber], None],
        widen: Callable[[Subscriber, str], None],
        narrow: Callable[[Subscriber, str], None],
    ) -> None:
        self._inbox = inbox
        self._subscriber = subscriber
        self._close = close
        self._widen = widen
        self._narrow = narrow

    @property
    def scope(self) -> str:
        """The scope whose events it receives."""
        return self._subscriber.scope

    @property
    def connection(self) -> ConnectionInfo | None:
        """Who subscribed."""
        return self._subscriber.connection

    @property
    def closed(self) -> bool:
        """Whether it has ended. Events may still wait in it."""
        return self._subscriber.closed

    def receives(self, scope: str) -> bool:
        """Return whether it receives the events of a scope."""
        subscriber = self._subscriber
        return not subscriber.closed and (scope == subscriber.scope or scope in subscriber.others)

    def widen(self, scope: str) -> None:
        """Receive the events of a further scope from now on. For watchers only; idempotent."""
        with self._inbox:
            self._widen(self._subscriber, scope)

    def narrow(self, scope: str) -> None:
        """Receive the events of a further scope no longer. Idempotent."""
        with self._inbox:
            self._narrow(self._subscriber, scope)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChangeEvent:
        """Wait for the next event and return it. Stops when the bus or the subscription is closed."""
        await checkpoint()  # nothing is taken yet, so a cancellation here loses nothing
        while True:
            with self._inbox:
                event = self._subscriber.take()
            if event is not None:
                return event
            if self._subscriber.closed:
                raise StopAsyncIteration
            await self._subscriber.wait()

    async def wait(self) -> bool:
        """Wait for events or :meth:`rouse`, and discard the events. Return ``False`` if it has ended without any."""
        subscriber = self._subscriber
        with self._inbox:
            event = subscriber.take()
        if event is None and not subscriber.closed:
            await subscriber.wait()
            with self._inbox:
                event = subscriber.waiting[-1] if subscriber.waiting else None
                subscriber.waiting.clear()
        return event is not None or not subscriber.closed

    def rouse(self) -> None:
        """End a :meth:`wait` in the same event loop."""
        self._subscriber.rouse()

    def drain(self) -> list[ChangeEvent]:
        """Return and remove the waiting events, without blocking."""
        with self._inbox:
            events = list(self._subscriber.waiting)
            self._subscriber.waiting.clear()
        return events

    def close(self) -> None:
        """End the subscription. Thread-safe and idempotent."""
        self._inbox.do(functools.partial(self._close, self._subscriber))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not self._subscriber.closed:
            self.close()


def merge(waiting: ChangeEvent, event: ChangeEvent) -> ChangeEvent:
    """Return one event with the paths of both, for both audiences. It keeps an origin only if both share it."""
    audiences = (waiting.audience, event.audience)
    return ChangeEvent(
        waiting.scope,
        waiting.changed_paths | event.changed_paths,
        origin=waiting.origin if waiting.origin == event.origin else None,
        audience=None if None in audiences else frozenset().union(*filter(None, audiences)),
    )
