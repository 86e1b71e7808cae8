"""ReactiveBus: who is told of a change, in this process.

An emit is noted in the change log and offered to each subscription of its scope. Rules that hold throughout:

- **Emitting never blocks and never fails half-way.** All work on the bus goes through an inbox. Whoever finds the bus
  free works the inbox off; whoever does not leaves the event there, and the one at work takes it along. So an emit is
  safe from any thread, from a signal handler that interrupts an emit, and from a callback of the bus itself.
- **What waits for a subscriber is decided at the emit**, under the bus's lock: counters are exact when ``emit_sync``
  returns, and a waiting event cannot be lost to a cancelled reader. The anyio memory stream of a subscription only
  tells a sleeping reader that something waits.
- **A loop is woken once per event**, however many of its tasks are told.
- **User callbacks run outside the lock**; what they raise is logged.
- **With a relay nothing is delivered but what the engine has accepted.** An emit goes to the relay, and comes back from
  it with the engine's stamp, here as in every other process. What is told to the relay is told under the lock, so that
  it is told in order; the relay only takes note.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self

import anyio
from anyio.lowlevel import checkpoint

from .._core.errors import EmitTimeoutError
from .._core.events import ChangeEvent, ConnectionInfo, Health
from .._core.loops import LoopClosedError, Mailbox, current_mailbox
from .._engines import Relay, relay_from_url
from .._log.changelog import ChangeLog, Reading
from .._log.replica import History, Replica
from .subscriber import DisconnectCallback, Subscriber, merge

__all__ = ["DisconnectCallback", "DropCallback", "Member", "Observer", "ReactiveBus", "Subscription", "hub_of"]

logger: logging.Logger = logging.getLogger("starlette_reactive.bus")

DropCallback = Callable[[str, ChangeEvent], object]
Observer = Callable[[ChangeEvent], object]

_DROP_LOG_INTERVAL = 10.0  # seconds between two log lines on dropped events of a scope


class ReactiveBus:
    """Delivers change events to the subscriptions of their scope.

    Any number of threads and event loops may emit and subscribe, on asyncio and on trio.

    Args:
        maxsize: How many events may wait for one subscriber, at least 1.
        overflow: What happens to an event for which there is no room. ``"coalesce"`` merges its paths into the newest
            waiting event, so that no path is lost; ``"drop"`` drops it, counts it and calls ``on_drop``.
        on_drop: Called as ``on_drop(scope, event)`` for each event dropped, in the delivering thread.
        relay: What brings changes to other processes and theirs here; ``None``: this process is alone. A relay serves
            one bus.

    Raises:
        ValueError: ``maxsize`` is below 1, or ``overflow`` is not one of the two.
    """

    def __init__(
        self,
        maxsize: int = 256,
        *,
        overflow: Literal["coalesce", "drop"] = "coalesce",
        on_drop: DropCallback | None = None,
        relay: Relay | None = None,
    ) -> None:
        if maxsize < 1:
            raise ValueError(f"maxsize is {maxsize}: a subscriber needs room for at least 1 event")
        if overflow not in ("coalesce", "drop"):
            raise ValueError(f"overflow is {overflow!r}: write 'coalesce' or 'drop'")
        self._maxsize = maxsize
        self._drops = overflow == "drop"
        self._on_drop = on_drop
        self._lock = threading.Lock()
        self._inbox: deque[Callable[[], None]] = deque()
        self._callbacks: deque[Callable[[], object]] = deque()
        self._relay = relay
        self._replica = None if relay is None else Replica()
        self._log: ChangeLog = ChangeLog() if self._replica is None else self._replica
        self._level_waiters: dict[str, list[Callable[[], None]]] = {}
        self._observers: list[Observer] = []
        self._scopes: dict[str, _Scope] = {}
        self._subscriber_count = 0
        self._emitted_count = 0
        self._dropped_count = 0
        self._coalesced_count = 0
        self._drop_logged: dict[str, float] = {}
        if relay is not None and self._replica is not None:
            relay.bind(_Local(self, self._replica))

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Return a bus on the engine at a URL.

        Args:
            url: ``redis://``, ``rediss://`` or ``unix://`` as redis-py takes them, ``postgresql://`` as libpq takes it,
                or ``memory://`` for a bus of this process alone.
            **options: Further arguments of :class:`ReactiveBus`.

        Raises:
            ValueError: There is no engine for such a URL.
            ReactiveError: The engine's extra is not installed.
        """
        return cls(relay=relay_from_url(url), **options)

    # Emitting

    def emit_sync(self, event: ChangeEvent) -> None:
        """Tell the subscriptions of ``event.scope``; from any thread, without blocking.

        With a relay the event is kept until the engine has accepted it.

        Raises:
            TypeError: ``event`` is not a :class:`ChangeEvent`.
            OutboxFullError: The engine is away, and more waits for it than is kept.
        """
        self._emit(event)

    async def emit(self, event: ChangeEvent) -> None:
        """Tell the subscriptions of ``event.scope``; the event is accepted when this returns, by the engine if any.

        Raises:
            TypeError: ``event`` is not a :class:`ChangeEvent`.
            EmitTimeoutError: The engine has not accepted it in time. It is kept, and sent when the engine is back.
            OutboxFullError: The engine is away, and more waits for it than is kept.
        """
        if self._relay is None:
            self._emit(event)
            await checkpoint()
            return
        accepted = anyio.Event()
        self._emit(event, _setter(accepted))
        with anyio.move_on_after(self._relay.patience):
            await accepted.wait()
            return
        raise EmitTimeoutError(
            f"{self._relay.name} has not accepted the change of {event.scope!r} within {self._relay.patience:g} s; it "
            "is kept and will be sent when the engine is back: see bus.health()"
        )

    def _emit(self, event: ChangeEvent, accepted: Callable[[], None] | None = None) -> None:
        if not isinstance(event, ChangeEvent):
            raise TypeError(f"emit takes a ChangeEvent, not {type(event).__name__}: {event!r}")
        if self._relay is None:
            self._do(functools.partial(self._accept, event))
        else:
            self._relay.publish(event, accepted)
            self._do(self._count_emitted)

    def _count_emitted(self) -> None:
        self._emitted_count += 1

    def _accept(self, event: ChangeEvent) -> None:
        self._count_emitted()
        self._log.note(event)
        self._deliver(event)

    def _deliver(self, event: ChangeEvent) -> None:
        self._callbacks.extend(functools.partial(observer, event) for observer in self._observers)
        scope = self._scopes.get(event.scope)
        if scope is None:
            return
        rung: dict[Mailbox, list[Subscriber]] = {}
        for subscriber in scope.subscribers:
            if subscriber.admits(event):
                self._offer(subscriber, event)
                if (mailbox := subscriber.ring()) is not None:
                    rung.setdefault(mailbox, []).append(subscriber)
        self._wake(rung)

    def _offer(self, subscriber: Subscriber, event: ChangeEvent) -> None:
        waiting = subscriber.waiting
        if subscriber.watches and waiting:
            return  # what happened stands in the change log; that something did is told already
        if len(waiting) < self._maxsize:
            waiting.append(event)
        elif self._drops:
            self._dropped_count += 1
            self._callbacks.append(functools.partial(self._report_drop, event))
        else:
            self._coalesced_count += 1
            waiting[-1] = merge(waiting[-1], event)

    def _wake(self, rung: dict[Mailbox, list[Subscriber]]) -> None:
        for mailbox, subscribers in rung.items():
            try:
                mailbox.wake()
            except LoopClosedError:
                for subscriber in subscribers:
                    self._remove(subscriber)

    def _report_drop(self, event: ChangeEvent) -> None:
        now = time.monotonic()
        if now - self._drop_logged.get(event.scope, -_DROP_LOG_INTERVAL) >= _DROP_LOG_INTERVAL:
            recent = {scope: at for scope, at in self._drop_logged.items() if now - at < _DROP_LOG_INTERVAL}
            self._drop_logged = {**recent, event.scope: now}
            logger.warning(
                "a subscriber of scope %r does not keep up: an event for %s was dropped (%d in all)",
                event.scope,
                ", ".join(sorted(event.changed_paths)),
                self._dropped_count,
            )
        if self._on_drop is not None:
            self._on_drop(event.scope, event)

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Have a function called for each event that is delivered in this process, whether anybody is told or not.

        Args:
            observer: Called as ``observer(event)`` in the delivering thread; what it raises is logged.

        Returns:
            A function that ends it.
        """
        with self._exclusive():
            self._observers = [*self._observers, observer]

        def end() -> None:
            with self._exclusive():
                self._observers = [each for each in self._observers if each is not observer]

        return end

    # Subscribing

    def subscribe(
        self,
        scope: str,
        *,
        connection: ConnectionInfo | None = None,
        origin: str | None = None,
        after: str | None = None,
        on_disconnect: DisconnectCallback | None = None,
    ) -> Subscription:
        """Register for the events of a scope, from this call on.

        Events of the same ``origin``, and events whose audience does not hold the connection's ``user_id``, never
        reach the subscription.

        Args:
            scope: The scope to listen to.
            connection: Who listens, for audience and presence.
            origin: The origin whose events are left out.
            after: A cursor; the subscription first yields one event with what changed since then, if anything did.
            on_disconnect: Called once as ``on_disconnect(scope, connection)`` when the subscription ends, whatever
                ends it, in the thread that ends it. It must be a plain function.

        Raises:
            TypeError: ``scope`` is not a string, or ``on_disconnect`` is a coroutine function.
            ValueError: ``scope`` is empty.
        """
        _check_scope(scope)
        if inspect.iscoroutinefunction(on_disconnect):
            raise TypeError(
                "on_disconnect is a coroutine function, but a subscription may end where nothing can be awaited: "
                "pass a plain function here, or the coroutine function to reactive_stream"
            )
        subscriber = Subscriber(scope, connection, origin, on_disconnect)
        with self._exclusive():
            subscription = self._register(subscriber)
            if after is not None and self._is_level(scope):
                self._catch_up(subscriber, after)
            else:
                subscriber.after = after
        return subscription

    def _catch_up(self, subscriber: Subscriber, after: str) -> None:
        position = self._log.parse(subscriber.scope, after)
        reading = self._log.read(subscriber.scope, position)
        paths = reading.paths_for(position or 0, subscriber.user_id, subscriber.origin)
        if paths:
            subscriber.waiting.append(ChangeEvent(subscriber.scope, paths))

    def _catch_all_up(self, scope: str) -> None:
        found = self._scopes.get(scope)
        rung: dict[Mailbox, list[Subscriber]] = {}
        for subscriber in [] if found is None else found.subscribers:
            if subscriber.after is not None:
                self._catch_up(subscriber, subscriber.after)
                subscriber.after = None
                if subscriber.waiting and (mailbox := subscriber.ring()) is not None:
                    rung.setdefault(mailbox, []).append(subscriber)
        self._wake(rung)

    def watch(self, scope: str) -> Subscription:
        """Register to be woken by the events of a scope, whoever caused them and whomever they are for.

        Of events that come while one waits nothing is kept: read the change log for what happened. This is for those
        who judge origin and audience themselves, as a group of viewers does.
        """
        _check_scope(scope)
        with self._exclusive():
            return self._register(Subscriber(scope, None, None, None, watches=True))

    def _register(self, subscriber: Subscriber) -> Subscription:
        subscription = subscriber.handle = Subscription(self, subscriber)
        self._scope(subscriber.scope).subscribers[subscriber] = None
        self._subscriber_count += 1
        self._tell_joined(subscriber, subscriber.scope, subscriber.connection)
        return subscription

    def join(self, scope: str, connection: ConnectionInfo | None, end: Callable[[], object]) -> Member:
        """Count a viewer in who is told of changes by other means than a subscription of their own.

        Args:
            scope: The scope that is viewed.
            connection: Who views it, for presence and :meth:`close_user`.
            end: Called when the bus ends the viewer's connection, in any thread; it must not raise or block.
        """
        _check_scope(scope)
        member = Member(self, scope, connection, end)
        with self._exclusive():
            self._scope(scope).members[member] = None
            self._tell_joined(member, scope, connection)
        return member

    def leave(self, member: Member) -> None:
        """Count a viewer out again; doing so twice changes nothing."""
        self._do(functools.partial(self._leave, member))

    def _leave(self, member: Member) -> None:
        scope = self._scopes.get(member.scope)
        if scope is not None and member in scope.members:
            del scope.members[member]
            self._tell_left(member, member.scope, member.connection)
            self._forget_if_empty(member.scope)

    def _tell_joined(self, key: object, scope: str, connection: ConnectionInfo | None) -> None:
        if self._relay is not None and connection is not None:
            self._relay.join(scope, id(key), connection)

    def _tell_left(self, key: object, scope: str, connection: ConnectionInfo | None) -> None:
        if self._relay is not None and connection is not None:
            self._relay.leave(scope, id(key))

    def _scope(self, name: str) -> _Scope:
        scope = self._scopes.get(name)
        if scope is None:
            scope = self._scopes[name] = _Scope({}, {})
            self._open(name)
        return scope

    def _open(self, scope: str) -> None:
        if self._relay is not None and self._replica is not None:
            self._replica.open(scope)
            self._relay.attach(scope)

    def _forget_if_empty(self, name: str) -> None:
        scope = self._scopes[name]
        if not scope.subscribers and not scope.members:
            del self._scopes[name]
            if self._relay is not None:
                self._relay.detach(name)

    # Ending

    def close(self, scope: str | None = None) -> None:
        """End all subscriptions and streams of a scope, or of every scope.

        A subscription yields what already waits for it, then ends. The bus can be used again afterwards.
        """
        self._do(functools.partial(self._close, scope))

    def _close(self, name: str | None) -> None:
        names = list(self._scopes) if name is None else [name] if name in self._scopes else []
        rung: dict[Mailbox, list[Subscriber]] = {}
        for scope in [self._scopes[each] for each in names]:
            for member in list(scope.members):
                self._callbacks.append(member.end)
                self._leave(member)
            for subscriber in list(scope.subscribers):
                self._finish(subscriber, rung)
        self._wake(rung)

    def close_user(self, user_id: str, *, scope: str | None = None) -> int:
        """End the subscriptions and streams of a user, in one scope or in every scope, and return how many.

        With a relay those of other processes are ended too; they are not counted.
        """
        ended = self._end_user(user_id, scope)
        if self._relay is not None:
            self._relay.end_user(user_id, scope)
        return ended

    def _end_user(self, user_id: str, scope: str | None) -> int:
        ended = 0
        rung: dict[Mailbox, list[Subscriber]] = {}
        with self._exclusive():
            scopes = self._scopes.values() if scope is None else filter(None, [self._scopes.get(scope)])
            for each in list(scopes):
                for member in [member for member in each.members if _is(member.connection, user_id)]:
                    self._callbacks.append(member.end)
                    self._leave(member)
                    ended += 1
                for subscriber in [one for one in each.subscribers if _is(one.connection, user_id)]:
                    self._finish(subscriber, rung)
                    ended += 1
            self._wake(rung)
        return ended

    def _finish(self, subscriber: Subscriber, rung: dict[Mailbox, list[Subscriber]]) -> None:
        mailbox = subscriber.mailbox
        self._remove(subscriber)
        if mailbox is not None:
            rung.setdefault(mailbox, []).append(subscriber)

    def _remove(self, subscriber: Subscriber) -> None:
        if subscriber.closed:
            return
        subscriber.finish()
        del self._scopes[subscriber.scope].subscribers[subscriber]
        self._tell_left(subscriber, subscriber.scope, subscriber.connection)
        self._subscriber_count -= 1
        self._forget_if_empty(subscriber.scope)
        if subscriber.on_disconnect is not None:
            self._callbacks.append(functools.partial(subscriber.on_disconnect, subscriber.scope, subscriber.connection))

    # Asking

    def cursor(self, scope: str) -> str:
        """Return the place in the scope's history as of now: opaque ASCII, safe in a URL and in an SSE id.

        Take it before reading the data that a page shows, and what changes from then on will reach the page.
        """
        with self._exclusive():
            return self._log.cursor(scope, self._log.position(scope))

    def latest(self) -> str:
        """Return a cursor that stands for now in every scope; for one who does not know the scope yet."""
        with self._exclusive():
            return self._log.latest_cursor()

    async def cursor_now(self, scope: str) -> str:
        """Return :meth:`cursor` as the engine has it; where it does not answer, as this process has it.

        Both are right for a page that reads its data afterwards; this one saves it updates that it does not need.
        """
        if self._relay is None:
            return self.cursor(scope)
        stamp = await self._asked(self._relay.ask_stamp)
        with self._exclusive():
            if stamp is None or self._replica is None:
                return self._log.cursor(scope, self._log.position(scope))
            return self._replica.cursor_of_stamp(stamp)

    def read(self, scope: str, after: int | None) -> Reading:
        """Return what the change log says happened in a scope after a position."""
        with self._exclusive():
            return self._log.read(scope, after)

    def position_of(self, scope: str, cursor: str) -> int | None:
        """Return the position in a scope that a cursor stands for; ``None`` if it is malformed or no longer known."""
        with self._exclusive():
            return self._log.parse(scope, cursor)

    def position(self, scope: str) -> int:
        """Return the position that :meth:`cursor` stands for."""
        with self._exclusive():
            return self._log.position(scope)

    def cursor_at(self, scope: str, position: int | None) -> str:
        """Return the cursor of a position in a scope; ``None`` stands for one that is not known."""
        with self._exclusive():
            return self._log.cursor(scope, position)

    def presence(self, scope: str) -> frozenset[ConnectionInfo]:
        """Return who is connected to a scope, of those that gave a :class:`ConnectionInfo`.

        With a relay that is in all processes, as far as is known here: of a scope that nobody views in this process
        only :meth:`presence_now` knows.
        """
        elsewhere = frozenset() if self._relay is None else self._relay.presence(scope)
        with self._exclusive():
            found = self._scopes.get(scope)
            if found is None:
                return elsewhere
            connections = [subscriber.connection for subscriber in found.subscribers]
            connections += [member.connection for member in found.members]
            return elsewhere.union(connection for connection in connections if connection is not None)

    async def presence_now(self, scope: str) -> frozenset[ConnectionInfo]:
        """Return :meth:`presence`, having asked the engine where this process does not know yet."""
        await self.ready(scope)
        return self.presence(scope)

    @property
    def emitted_count(self) -> int:
        """How many events were emitted, dropped ones included."""
        return self._emitted_count

    @property
    def dropped_count(self) -> int:
        """How often an event was dropped for a subscriber."""
        return self._dropped_count

    @property
    def coalesced_count(self) -> int:
        """How often an event was merged into one that waited for the same subscriber."""
        return self._coalesced_count

    @property
    def subscriber_count(self) -> int:
        """How many subscriptions are open; streams that share a render share one."""
        return self._subscriber_count

    @property
    def viewer_count(self) -> int:
        """How many viewers are connected to this process: streams, and subscriptions by hand."""
        with self._exclusive():
            readers = sum(not each.watches for scope in self._scopes.values() for each in scope.subscribers)
            return readers + sum(len(scope.members) for scope in self._scopes.values())

    @property
    def scope_count(self) -> int:
        """How many scopes are viewed in this process."""
        return len(self._scopes)

    # The engine

    def start(self) -> None:
        """Connect to the engine, if there is one; the first use does so too. After a fork, not before."""
        if self._relay is not None:
            self._relay.start()

    def stop(self) -> None:
        """Send the engine what waits for it, within a few seconds, and disconnect; the next use connects again."""
        if self._relay is not None:
            self._relay.stop()

    def health(self) -> Health:
        """Return how things stand with the engine."""
        return Health() if self._relay is None else self._relay.health()

    async def ready(self, scope: str) -> bool:
        """Wait until a scope has been brought level with the engine; it stays so for a while, viewed or not.

        Returns:
            Whether it has; false: the engine does not answer. Without an engine it is level at once.
        """
        if self._relay is None:
            return True
        level = anyio.Event()
        with self._exclusive():
            if self._is_level(scope):
                return True
            self._open(scope)
            if scope not in self._scopes:
                self._relay.detach(scope)
            wake = _setter(level)
            self._level_waiters.setdefault(scope, []).append(wake)
        try:
            with anyio.move_on_after(self._relay.patience):
                await level.wait()
        finally:
            with self._exclusive():
                self._wait_no_more(scope, wake)
        with self._exclusive():
            return self._is_level(scope)

    def _wait_no_more(self, scope: str, wake: Callable[[], None]) -> None:
        waiters = self._level_waiters.get(scope, [])
        if wake in waiters:
            waiters.remove(wake)
            if not waiters:
                del self._level_waiters[scope]

    def _is_level(self, scope: str) -> bool:
        return self._replica is None or self._replica.is_loaded(scope)

    async def _asked(self, ask: Callable[[Callable[[int | None], None]], None]) -> int | None:
        answers: list[int | None] = []
        answered = anyio.Event()
        wake = _setter(answered)

        def answer(value: int | None) -> None:
            answers.append(value)
            wake()

        ask(answer)
        with anyio.move_on_after(0 if self._relay is None else self._relay.patience):
            await answered.wait()
        return answers[0] if answers else None

    # The inbox

    def _do(self, work: Callable[[], None]) -> None:
        self._inbox.append(work)
        self._work_off()

    def _work_off(self) -> None:
        # After the release it is looked again: what came in between found the bus taken and relies on this.
        while self._inbox and self._lock.acquire(blocking=False):
            try:
                self._empty_inbox()
            finally:
                self._lock.release()
        self._call_back()

    def _empty_inbox(self) -> None:
        while self._inbox:
            self._inbox.popleft()()

    def _exclusive(self) -> _Exclusive:
        return _Exclusive(self)

    def _call_back(self) -> None:
        while self._callbacks:
            try:
                callback = self._callbacks.popleft()
            except IndexError:  # another thread took it
                return
            try:
                callback()
            except Exception:
                logger.exception("a callback of the bus raised")


class _Exclusive:
    """The bus for oneself: what was left in the inbox before goes first, and what is left meanwhile goes next."""

    __slots__ = ("_bus",)

    def __init__(self, bus: ReactiveBus) -> None:
        self._bus = bus

    def __enter__(self) -> None:
        self._bus._lock.acquire()  # noqa: SLF001 - a part of the bus
        try:
            self._bus._empty_inbox()  # noqa: SLF001 - as above
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *exc_info: object) -> None:
        self._bus._lock.release()  # noqa: SLF001 - as above
        self._bus._work_off()  # noqa: SLF001 - as above


class Subscription:
    """The events of one scope for one reader: an async iterator of :class:`ChangeEvent`, and a context manager.

    It is made by :meth:`ReactiveBus.subscribe`. Leaving the ``with`` block, or :meth:`close`, ends it at once and
    discards what waits; so does letting go of it after having iterated. It has one reader at a time.
    """

    def __init__(self, bus: ReactiveBus, subscriber: Subscriber) -> None:
        self._bus = bus
        self._subscriber = subscriber

    @property
    def scope(self) -> str:
        """The scope listened to."""
        return self._subscriber.scope

    @property
    def connection(self) -> ConnectionInfo | None:
        """Who listens."""
        return self._subscriber.connection

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChangeEvent:
        """Return the next event, waiting for it; ends when the bus or the subscription is closed."""
        await checkpoint()  # nothing is taken yet, so a cancellation here loses nothing
        while True:
            with self._bus._exclusive():  # noqa: SLF001 - the other half of one mechanism
                event = self._subscriber.take()
            if event is not None:
                return event
            if self._subscriber.closed:
                raise StopAsyncIteration
            await self._subscriber.wait()

    def drain(self) -> list[ChangeEvent]:
        """Take what waits, without waiting."""
        with self._bus._exclusive():  # noqa: SLF001 - as above
            events = list(self._subscriber.waiting)
            self._subscriber.waiting.clear()
        return events

    def close(self) -> None:
        """End the subscription; from any thread, and as often as one likes."""
        subscriber = self._subscriber
        self._bus._do(functools.partial(_close_subscriber, self._bus, subscriber))  # noqa: SLF001 - as above

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


def _close_subscriber(bus: ReactiveBus, subscriber: Subscriber) -> None:
    rung: dict[Mailbox, list[Subscriber]] = {}
    subscriber.waiting.clear()
    bus._finish(subscriber, rung)  # noqa: SLF001 - the other half of one mechanism
    bus._wake(rung)  # noqa: SLF001 - as above


class Member:
    """A viewer whom the bus counts and can send away, but does not deliver to."""

    __slots__ = ("_bus", "connection", "end", "scope")

    def __init__(
        self, bus: ReactiveBus, scope: str, connection: ConnectionInfo | None, end: Callable[[], object]
    ) -> None:
        self._bus = bus
        self.scope: str = scope
        self.connection: ConnectionInfo | None = connection
        self.end: Callable[[], object] = end

    def leave(self) -> None:
        """Be counted out; from any thread, and as often as one likes."""
        self._bus.leave(self)


@dataclass(frozen=True, slots=True)
class _Scope:
    subscribers: dict[Subscriber, None]
    members: dict[Member, None]


class _Local:
    """The bus, as its relay sees it. Everything may be called in any thread."""

    def __init__(self, bus: ReactiveBus, replica: Replica) -> None:
        self._bus = bus
        self._replica = replica
        self._exclusive = bus._exclusive  # noqa: SLF001 - the other half of one mechanism

    def begin(self, epoch: str) -> None:
        with self._exclusive():
            self._replica.begin(epoch)

    def heard(self, level: int) -> None:
        with self._exclusive():
            self._replica.heard(level)

    def level(self, scope: str) -> int | None:
        with self._exclusive():
            return self._replica.level(scope)

    def load(self, scope: str, history: History) -> None:
        bus, replica = self._bus, self._replica
        with self._exclusive():
            if not replica.is_open(scope):
                return
            for stamp, event in replica.load(scope, history):
                self._note(event, stamp, None)
            bus._catch_all_up(scope)  # noqa: SLF001 - as above
            for wake in bus._level_waiters.pop(scope, ()):  # noqa: SLF001 - as above
                wake()

    def forget(self, scope: str) -> None:
        with self._exclusive():
            self._replica.forget(scope)

    def deliver(self, event: ChangeEvent, stamp: int, level: int | None) -> None:
        with self._exclusive():
            self._note(event, stamp, level)

    def _note(self, event: ChangeEvent, stamp: int, level: int | None) -> None:
        self._replica.note_stamped(event, stamp, level)
        self._bus._deliver(event)  # noqa: SLF001 - as above

    def unload(self, scope: str) -> bool:
        with self._exclusive():
            if scope in self._bus._scopes:  # noqa: SLF001 - as above
                return False
            self._replica.unload(scope)
            return True

    def end_user(self, user_id: str, scope: str | None) -> None:
        self._bus._end_user(user_id, scope)  # noqa: SLF001 - as above


def _setter(event: anyio.Event) -> Callable[[], None]:
    """Return a function that sets an event of the running loop from any thread."""
    mailbox = current_mailbox()

    def set_soon() -> None:
        mailbox.post(event.set)
        with contextlib.suppress(LoopClosedError):
            mailbox.wake()

    return set_soon


def _is(connection: ConnectionInfo | None, user_id: str) -> bool:
    return connection is not None and connection.user_id == user_id


def _check_scope(scope: str) -> None:
    if not isinstance(scope, str):
        raise TypeError(f"scope is a string, not {type(scope).__name__}: {scope!r}")
    if not scope:
        raise ValueError("scope is empty: it must name something, such as 'board:42'")


def hub_of(bus: ReactiveBus) -> ReactiveBus:
    """Return the bus as inner rooms see it."""
    return bus
