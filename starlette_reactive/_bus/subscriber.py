"""What the bus keeps of a subscription: what waits for it, and how its sleeping reader is woken.

All but :meth:`Subscriber.wait` happens under the bus's lock.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from .._core.events import ChangeEvent, ConnectionInfo
from .._core.loops import Mailbox, current_mailbox

__all__ = ["DisconnectCallback", "Subscriber", "merge"]

DisconnectCallback = Callable[[str, ConnectionInfo | None], object]


@dataclass(frozen=True, slots=True)
class _Bell:
    button: MemoryObjectSendStream[None]
    rings: MemoryObjectReceiveStream[None]


class Subscriber:
    """A subscription, as the bus sees it.

    Args:
        scope: The scope that it listens to.
        connection: Who listens.
        origin: The origin whose events are left out.
        on_disconnect: What to call when it has ended.
        watches: Whether it is told of every event, whoever caused it and whomever it is for.
    """

    __slots__ = (
        "_bell",
        "after",
        "closed",
        "connection",
        "handle",
        "mailbox",
        "on_disconnect",
        "origin",
        "scope",
        "user_id",
        "waiting",
        "watches",
    )

    def __init__(
        self,
        scope: str,
        connection: ConnectionInfo | None,
        origin: str | None,
        on_disconnect: DisconnectCallback | None,
        *,
        watches: bool = False,
    ) -> None:
        self.scope: str = scope
        self.watches: bool = watches
        self.connection: ConnectionInfo | None = connection
        self.user_id: str | None = None if connection is None else connection.user_id
        self.origin: str | None = origin
        self.on_disconnect: DisconnectCallback | None = on_disconnect
        self.waiting: deque[ChangeEvent] = deque()
        self.after: str | None = None  # the cursor to begin at, once the scope's history is known
        self.closed: bool = False
        # Until it is iterated the bus keeps the handle, so that a subscription nobody holds still counts. From then on
        # a reader holds it, and one who lets go of it has left.
        self.handle: object | None = None
        self._bell: _Bell | None = None  # hung up when a reader first has to wait
        self.mailbox: Mailbox | None = None  # of the loop in which a reader sleeps, or is about to

    def admits(self, event: ChangeEvent) -> bool:
        """Tell whether an event is for this subscription, and is not told by catching up."""
        if self.after is not None:
            return False
        if self.watches:
            return True
        if event.origin is not None and event.origin == self.origin:
            return False
        return event.audience is None or self.user_id in event.audience

    def take(self) -> ChangeEvent | None:
        """Take the oldest waiting event; without one, make ready for the reader to sleep in the running loop."""
        self.handle = None
        if self.waiting:
            return self.waiting.popleft()
        if not self.closed:
            self.mailbox = current_mailbox()
            self._bell = self._bell or _Bell(*anyio.create_memory_object_stream[None](1))
        return None

    async def wait(self) -> None:
        """Sleep until the subscription is rung or finished."""
        if self._bell is not None:
            with contextlib.suppress(anyio.EndOfStream, anyio.ClosedResourceError):
                await self._bell.rings.receive()

    def ring(self) -> Mailbox | None:
        """Have a sleeping reader woken at the next wake-up of its loop, and return that loop's mailbox."""
        mailbox, self.mailbox = self.mailbox, None
        if mailbox is not None:
            mailbox.post(self._push_doorbell)
        return mailbox

    def finish(self) -> None:
        """End the subscription and wake its reader."""
        self.closed = True
        self.handle = None
        mailbox, self.mailbox = self.mailbox, None
        if mailbox is None:
            self._shut()
        else:
            mailbox.post(self._shut)  # a reader sleeps, and only its own loop may wake it

    def _push_doorbell(self) -> None:
        if self._bell is not None:
            with contextlib.suppress(anyio.WouldBlock, anyio.ClosedResourceError, anyio.BrokenResourceError):
                self._bell.button.send_nowait(None)

    def _shut(self) -> None:
        if self._bell is not None:
            self._bell.button.close()
            self._bell.rings.close()


def merge(waiting: ChangeEvent, event: ChangeEvent) -> ChangeEvent:
    """Return one event for the paths of two; it claims no origin or audience that not both have."""
    audiences = (waiting.audience, event.audience)
    return ChangeEvent(
        waiting.scope,
        waiting.changed_paths | event.changed_paths,
        origin=waiting.origin if waiting.origin == event.origin else None,
        audience=None if None in audiences else frozenset().union(*filter(None, audiences)),
    )
