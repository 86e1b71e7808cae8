"""How an event enters the bus.

Emitting never fails half-way, and blocks only if there is a relay that was not started. Without a relay, an event is
noted in the change log and its subscribers are notified. With a relay, an event goes to the engine and comes back with
the engine's stamp, here as in every other process: only what the engine has accepted is delivered.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import anyio
from anyio.lowlevel import checkpoint

from .._core.emit_filters import emit_filter
from .._core.errors import EmitTimeoutError
from .._core.events import ChangeEvent
from .._core.origins import with_default_origin
from .._engines import Relay
from .._log.changelog import ChangeLog
from .inbox import Inbox
from .link import setter
from .notifier import Notifier

__all__ = ["Emitter"]


class Emitter:
    """Emits events. Thread-safe.

    Args:
        inbox: The bus's lock.
        log: The change log of this process.
        notifier: Notifies the subscribers.
        relay: Takes the events to an engine, if there is one.
    """

    def __init__(self, inbox: Inbox, log: ChangeLog, notifier: Notifier, relay: Relay | None) -> None:
        self._inbox = inbox
        self._log = log
        self._notifier = notifier
        self._relay = relay
        self.emitted_count: int = 0

    def emit_sync(self, event: ChangeEvent, accepted: Callable[[], None] | None = None) -> None:
        """Emit an event. Every emit goes through here.

        Args:
            event: The event.
            accepted: With a relay: called in any thread once the engine has accepted the event.

        Raises:
            TypeError: ``event`` is not a :class:`ChangeEvent`.
            EmitTimeoutError: The relay was not started, and the engine has not accepted the event in time.
            OutboxFullError: The engine is unreachable and the outbox is full.
        """
        if not isinstance(event, ChangeEvent):
            raise TypeError(f"emit takes a ChangeEvent, not {type(event).__name__}: {event!r}")
        event = with_default_origin(event)
        allowed = emit_filter.get()
        filtered = event if allowed is None else allowed(event)
        if filtered is not None:
            self._emit(filtered, accepted)
        elif accepted is not None:
            accepted()

    def _emit(self, event: ChangeEvent, accepted: Callable[[], None] | None) -> None:
        if self._relay is None:
            self._inbox.do(functools.partial(self._accept, event))
        else:
            try:
                self._relay.publish(event, accepted)
            except EmitTimeoutError:  # the event is kept
                self._inbox.do(self._count)
                raise
            self._inbox.do(self._count)

    async def emit(self, event: ChangeEvent) -> None:
        """Emit an event and wait until it is accepted, by the engine if there is one.

        Raises:
            TypeError: ``event`` is not a :class:`ChangeEvent`.
            EmitTimeoutError: The engine has not accepted the event in time.
            OutboxFullError: The engine is unreachable and the outbox is full.
        """
        if self._relay is None:
            self.emit_sync(event)
            await checkpoint()
            return
        accepted = anyio.Event()
        self.emit_sync(event, setter(accepted))
        with anyio.move_on_after(self._relay.patience):
            await accepted.wait()
            return
        raise EmitTimeoutError(
            f"{self._relay.name} has not accepted the change of {event.scope!r} within {self._relay.patience:g} s; it "
            "is kept and will be sent when the engine is back: see bus.health()"
        )

    def _accept(self, event: ChangeEvent) -> None:
        self.emitted_count += 1
        self._log.note(event)
        self._notifier.notify(event)

    def _count(self) -> None:
        self.emitted_count += 1
