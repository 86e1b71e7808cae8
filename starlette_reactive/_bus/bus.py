"""ReactiveBus: the public face of the bus. The work is done by the :class:`Hub` behind it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal, Self

from .._core.events import ChangeEvent, ConnectionInfo, Health, UserId
from .._engines import Relay, relay_from_url
from .backlog import DropCallback
from .hub import Hub
from .notifier import Observer
from .subscription import DisconnectCallback, Subscriber, Subscription

__all__ = ["ReactiveBus", "hub_of"]


class ReactiveBus:
    """Notifies the subscriptions of a scope of its change events.

    Thread-safe. Any number of event loops may share a bus, on asyncio and on trio.

    Args:
        maxsize: The number of events that may wait for one subscriber, at least 1.
        overflow: What happens to an event when ``maxsize`` events wait. ``"coalesce"`` merges its paths into the
            newest waiting event, so no path is lost. ``"drop"`` drops it, counts it and calls ``on_drop``.
        on_drop: Called as ``on_drop(scope, event)`` for each dropped event, in the emitting thread. Exceptions are
            logged.
        relay: Exchanges changes with other processes; use :meth:`from_url`. A relay serves one bus. Defaults to a bus
            for this process alone.

    Raises:
        ValueError: ``maxsize`` is below 1, or ``overflow`` is neither value.
    """

    def __init__(
        self,
        maxsize: int = 256,
        *,
        overflow: Literal["coalesce", "drop"] = "coalesce",
        on_drop: DropCallback | None = None,
        relay: Relay | None = None,
    ) -> None:
        self._hub = Hub(maxsize, overflow, on_drop, relay)

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Return a bus on the engine at a URL.

        Args:
            url: ``redis://``, ``rediss://`` or ``unix://`` as redis-py takes them, ``postgresql://`` as libpq takes
                it or SQLAlchemy writes it (``postgresql+asyncpg://``), or ``memory://`` for a bus for this process
                alone.
            **options: Further arguments of :class:`ReactiveBus`.

        Raises:
            ValueError: No engine has such a URL, or it is invalid. The error shows nothing of it but its scheme.
            ReactiveError: The engine's extra is not installed.
        """
        return cls(relay=relay_from_url(url), **options)

    # Emitting and subscribing

    def emit_sync(self, event: ChangeEvent) -> None:
        """Notify the subscriptions of ``event.scope``. Thread-safe, and safe in a signal handler.

        Without an engine, and after :meth:`start`, it never blocks: with an engine, the event is kept until the engine
        has accepted it.

        With an engine and before :meth:`start`, as in a script or in a job of a task queue, it returns once the engine
        has accepted the event. It waits for 5 seconds at most, and in an event loop for one second. While the engine
        cannot be reached, only the first emit waits.

        Raises:
            TypeError: ``event`` is not a :class:`ChangeEvent`.
            EmitTimeoutError: The bus was not started, and the engine has not accepted the event in time. The event is
                kept, and sent when the engine is back.
            OutboxFullError: The engine is unreachable and the outbox is full.
        """
        self._hub.emitter.emit_sync(event)

    async def emit(self, event: ChangeEvent) -> None:
        """Notify the subscriptions of ``event.scope``, and return once the event is accepted, by the engine if any.

        Raises:
            TypeError: ``event`` is not a :class:`ChangeEvent`.
            EmitTimeoutError: The engine has not accepted the event in time. The event is kept, and sent when the
                engine is back.
            OutboxFullError: The engine is unreachable and the outbox is full.
        """
        await self._hub.emitter.emit(event)

    def subscribe(
        self,
        scope: str,
        *,
        connection: ConnectionInfo | None = None,
        origin: str | None = None,
        after: str | None = None,
        on_disconnect: DisconnectCallback | None = None,
    ) -> Subscription:
        """Subscribe to the events of a scope, from this call on.

        Events of the same ``origin``, and events whose audience does not contain the connection's ``user_id``, never
        reach the subscription.

        Args:
            scope: The scope to subscribe to.
            connection: Who subscribes, for audience and presence.
            origin: Skip events of this origin.
            after: A cursor. The subscription first yields one event with what changed since then, if anything did.
            on_disconnect: Called once as ``on_disconnect(scope, connection)`` when the subscription ends, for whatever
                reason, in the thread that ends it. It must be a plain function.

        Raises:
            TypeError: ``scope`` is not a string, or ``on_disconnect`` is a coroutine function.
            ValueError: ``scope`` is empty.
        """
        if inspect.iscoroutinefunction(on_disconnect):
            raise TypeError(
                "on_disconnect is a coroutine function, but a subscription may end where nothing can be awaited: "
                "pass a plain function here, or the coroutine function to reactive_stream"
            )
        return self._hub.subscribe(Subscriber(scope, connection, origin, on_disconnect), after)

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Call a function for each event delivered in this process, whether or not the scope has subscriptions.

        Args:
            observer: Called as ``observer(event)`` in the delivering thread. Exceptions are logged.

        Returns:
            A function that stops it.
        """
        return self._hub.observe(observer)

    def close(self, scope: str | None = None) -> None:
        """End all subscriptions and streams of a scope, or of every scope.

        A subscription yields its waiting events, then ends. The bus remains usable.
        """
        self._hub.close(scope)

    def close_user(self, user_id: UserId, *, scope: str | None = None) -> int:
        """End the subscriptions and streams of a user, in one scope or in every scope, and return their number.

        A connection that was made before this call ends too when it is registered within the next ten minutes, so none
        slips through between its permission check and its registration. With an engine, those of other processes are
        ended too but not counted.

        With an engine and before :meth:`start`, it waits for the engine as :meth:`emit_sync` does.

        Raises:
            TypeError: ``user_id`` is not an id.
            ValueError: ``user_id`` is empty.
            EmitTimeoutError: The bus was not started, and the engine has not accepted the request in time. The request
                is kept, and sent when the engine is back.
        """
        return self._hub.close_user(user_id, scope)

    # Cursors and presence

    def cursor(self, scope: str) -> str:
        """Return the current place in a scope's history: opaque ASCII, safe in a URL and in an SSE id.

        Take it before reading the data that a page shows. Then every later change reaches the page.
        """
        return self._hub.cursor(scope)

    async def cursor_now(self, scope: str) -> str:
        """Return :meth:`cursor` as the engine knows it now, or as this process knows it if the engine does not answer.

        Both are correct for a page that reads its data afterwards. With an engine, this one is newer: it spares the
        page updates for changes that its data already contains.
        """
        return await self._hub.cursor_now(scope)

    def presence(self, scope: str) -> frozenset[ConnectionInfo]:
        """Return the connections of a scope: those that were given a :class:`ConnectionInfo`.

        With an engine this includes other processes, as far as this process knows them. In a scope that nobody views
        here, it does not know others: use :meth:`presence_now`.
        """
        return self._hub.presence(scope)

    async def presence_now(self, scope: str) -> frozenset[ConnectionInfo]:
        """Return :meth:`presence` after asking the engine about a scope that this process does not know yet."""
        await self._hub.ready(scope)
        return self._hub.presence(scope)

    # The engine

    def start(self) -> None:
        """Start to connect to the engine, if there is one. A forked process must start its own bus.

        The lifespan of ``Reactive`` does so, and so does the first viewer. A program that only emits need not start a
        bus: then each emit waits until the engine has accepted it.
        """
        self._hub.start()

    def stop(self) -> None:
        """Send what waits for the engine, within 5 seconds, and disconnect. The next use connects again.

        An error is logged if something could not be sent: how many changes, of which scopes, and why. It is kept for
        the next use. A process that ends without this call does the same: see the guide on deployment.
        """
        self._hub.stop()

    async def ready(self, scope: str) -> bool:
        """Wait until this process has all that the engine has about a scope. It stays so for a while, viewed or not.

        Returns:
            ``False`` if the engine does not answer in time. ``True`` at once without an engine.
        """
        return await self._hub.ready(scope)

    def health(self) -> Health:
        """Return the state of the connection to the engine."""
        return self._hub.health()

    # Counters

    @property
    def waiting_update_count(self) -> int:
        """The number of updates of pages that wait until others have ended."""
        return self._hub.counts.waiting_updates

    @property
    def timed_out_update_count(self) -> int:
        """The number of updates of pages that timed out."""
        return self._hub.counts.timed_out_updates

    @property
    def differing_block_count(self) -> int:
        """How many shared blocks of pages were different for two viewers with an equal key."""
        return self._hub.counts.differing_blocks

    @property
    def dropped_toast_count(self) -> int:
        """How many toasts were dropped for a viewer that reads slowly."""
        return self._hub.counts.dropped_toasts

    @property
    def refused_stream_count(self) -> int:
        """The number of streams that were refused because there were too many."""
        return self._hub.counts.refused_streams

    @property
    def emitted_count(self) -> int:
        """The number of events emitted in this process, dropped ones included."""
        return self._hub.emitted_count

    @property
    def dropped_count(self) -> int:
        """How often an event was dropped for a subscriber."""
        return self._hub.dropped_count

    @property
    def coalesced_count(self) -> int:
        """How often an event was merged into one that waited for the same subscriber."""
        return self._hub.coalesced_count

    @property
    def subscriber_count(self) -> int:
        """The number of open subscriptions. Streams that share renders share one."""
        return self._hub.subscriber_count

    @property
    def viewer_count(self) -> int:
        """The number of viewers in this process: streams, and subscriptions made with :meth:`subscribe`."""
        return self._hub.viewer_count

    @property
    def scope_count(self) -> int:
        """The number of scopes viewed in this process."""
        return self._hub.scope_count


def hub_of(bus: ReactiveBus) -> Hub:
    """Return what the other rooms of the package use of a bus."""
    return bus._hub  # noqa: SLF001 - the facade's own module
