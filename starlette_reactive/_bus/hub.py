"""The bus as the other rooms of the package see it.

The hub puts the parts of the bus together: an event enters through the ``emitter``, which notes it in the change log
and has the notifier add it to the backlog of each subscriber in the roster. All of this runs in the inbox. Readers ask
the change log, under the same lock, for what happened.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from .._core.counts import Counts
from .._core.events import RESERVED, ConnectionInfo, Health, as_user_id
from .._core.failures import Failures
from .._core.toasts import Toast
from .._engines import Relay
from .._log.changelog import ChangeLog, Reading
from .._log.replica import Replica
from .._log.several import Starts, begin_in, positions_in, read_in
from .backlog import Backlog, DropCallback
from .emitter import Emitter
from .inbound import Inbound
from .inbox import Inbox
from .levels import Levels
from .link import Link
from .notifier import Notifier, Observer
from .roster import Member, Roster
from .subscription import Subscriber, Subscription
from .toasts import Toasts

__all__ = ["Hub", "Location"]

_SESSION = RESERVED  # before the name of a session, where engines and the roster expect a user id


@dataclass(frozen=True, slots=True)
class Location:
    """The position of a reader in the history of a scope, or of several.

    Args:
        position: The position of its cursor. ``None`` if the cursor is malformed or too old.
        latest: The position of the last event of its scopes, or a later one with no event of theirs in between.
        cursor: The cursor to send back for ``position``.
        starts: Its scopes, each with the position where it begins there. ``None`` if it has one scope.
    """

    position: int | None
    latest: int
    cursor: str
    starts: Starts | None = None


class Hub:
    """The parts of a bus. Thread-safe. The arguments are those of :class:`ReactiveBus`."""

    def __init__(self, maxsize: int, overflow: str, on_drop: DropCallback | None, relay: Relay | None) -> None:
        self._inbox = Inbox()
        self.counts: Counts = Counts()
        self.failures: Failures = Failures(logging.getLogger("starlette_reactive.streams"))  # of its streams
        self.link: Link | None = None if relay is None else Link(relay, Replica())
        self._log: ChangeLog = ChangeLog() if self.link is None else self.link.replica
        self._roster = Roster(self._inbox, self.link)
        self._backlog = Backlog(self._inbox, maxsize, overflow, on_drop)
        self._notifier = Notifier(self._inbox, self._roster, self._backlog)
        self._levels = Levels(self._inbox, self._roster, self._log, self.link)
        self.emitter: Emitter = Emitter(self._inbox, self._log, self._notifier, relay)
        self.toasts: Toasts = Toasts(self._inbox, self._roster, relay)
        if self.link is not None:
            replica = self.link.replica
            inbound = Inbound(self._inbox, replica, self._roster, self._notifier, self._levels, self.toasts)
            self.link.relay.bind(inbound)

    # Registering

    def subscribe(self, subscriber: Subscriber, after: str | None) -> Subscription:
        """Register a subscriber, which first receives what changed after a cursor if one is given."""
        _check_scope(subscriber.scope)
        with self._inbox:
            subscription = self._roster.add(subscriber)
            if after is not None:
                self._levels.begin(subscriber, after)
        return subscription

    def watch(self, scope: str, turn: Hashable = None, together: Hashable = None) -> Subscription:
        """Return a subscription that is woken by every event of a scope, whatever its origin and audience.

        At most one event waits: the watcher reads the change log for what happened, and judges origin and audience
        itself, as a group of viewers does. Watchers of one event loop are woken at its pace.

        Args:
            scope: The scope.
            turn: What the watcher takes turns with others for, such as its page.
            together: What it has in common with watchers of the same turn that are woken together with it.
        """
        return self.subscribe(Subscriber(scope, watches=True, turn=turn, together=together), None)

    def join(
        self,
        scope: str,
        connection: ConnectionInfo | None,
        end: Callable[[str], object],
        session: str | None = None,
        show: Callable[[Toast], object] | None = None,
        others: Sequence[str] = (),
    ) -> Member:
        """Count a connection that is notified by other means than a subscription.

        Args:
            scope: The scope that it views.
            connection: Who views it, for presence and ``close_user``.
            end: Called with the reason when the bus ends the connection, in any thread. It must not raise or block.
            session: The viewer's session, for :meth:`end_session`.
            show: Called with each toast for the viewer, in any thread. It must not block.
            others: Further scopes that it views. It is present in each, and ends with each.

        Returns:
            The member. It has ended already if its user or session was ended after the connection was made.
        """
        scopes = (scope, *others)
        for each in scopes:
            _check_scope(each)
        return self._roster.join(scopes, connection, end, None if session is None else _SESSION + session, show)

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Call a function for each event delivered in this process. Returns a function that stops it."""
        return self._notifier.observe(observer)

    def close(self, scope: str | None = None) -> None:
        """End all subscriptions and members of a scope, or of every scope."""
        self._roster.close(scope)

    def close_user(self, user_id: object, scope: str | None) -> int:
        """End the subscriptions and members of a user, here and in other processes; return the number ended here."""
        return self._end(as_user_id("user_id", user_id), scope)

    def end_session(self, session: str) -> int:
        """End the members of a session, here and in other processes; return the number ended here."""
        return self._end(_SESSION + session, None)

    def _end(self, user_id: str, scope: str | None) -> int:
        ended = self._roster.end_user(user_id, scope)
        if self.link is not None:
            self.link.relay.end_user(user_id, scope)
        return ended

    def presence(self, scope: str) -> frozenset[ConnectionInfo]:
        """Return the connections of a scope, with those of other processes that are known here."""
        remote = frozenset() if self.link is None else self.link.relay.presence(scope)
        with self._inbox:
            return remote | self._roster.connections(scope)

    def has_twin(self, scope: str, session_id: str | None) -> bool:
        """Return whether several connections of a scope have a session id, in any process."""
        return sum(connection.session_id == session_id for connection in self.presence(scope)) > 1

    # The change log

    def read(self, scope: str, after: int | None, starts: Starts | None = None, *, exact: bool = True) -> Reading:
        """Return what changed after a position. ``None`` stands for an unknown position.

        Args:
            scope: The reader's scope.
            after: The position.
            starts: All scopes of a reader of several.
            exact: Whether all who are given the cursor read exactly these scopes. Otherwise it is valid for any of
                them.
        """
        with self._inbox:
            if starts is None:
                return self._log.read(scope, after)
            return read_in(self._log, starts, after, exact=exact)

    def locate(self, scope: str, cursor: str | None, others: Sequence[str] = ()) -> Location:
        """Return the position of a cursor. Without a cursor, it is that of the last event.

        Args:
            scope: The reader's scope.
            cursor: The cursor.
            others: Its further scopes.
        """
        with self._inbox:
            if others:
                return self._locate_in((scope, *others), cursor)
            latest = self._log.position(scope)
            position = latest if cursor is None else self._log.parse(scope, cursor)
            return Location(position, latest, self._log.cursor(scope, position))

    def _locate_in(self, scopes: Sequence[str], cursor: str | None) -> Location:
        position, starts = begin_in(self._log, scopes, cursor)
        latest = max(map(self._log.position, scopes))
        known = self._log.cursor(scopes[0], None)
        if position is not None:
            known = self._log.cursor_of(positions_in(starts, position))
        return Location(position, latest, known, starts)

    def cursor(self, scope: str) -> str:
        """Return the cursor of a scope's last event."""
        with self._inbox:
            return self._log.cursor(scope, self._log.position(scope))

    def cursor_at(self, scope: str, position: int | None, starts: Starts | None = None, *, exact: bool = True) -> str:
        """Return the cursor of a position, with the arguments of a read. ``None`` is an unknown position."""
        with self._inbox:
            if position is None or starts is None:
                return self._log.cursor(scope, position)
            positions = positions_in(starts, position)
            return self._log.cursor_of(positions) if exact else self._log.common_cursor(positions)

    def latest_cursor(self) -> str:
        """Return a cursor that stands for now in every scope, for a caller that does not know its scope yet.

        In memory it takes no lock: an event that is being emitted meanwhile gets a later position. With an engine, the
        epoch and the level of the cursor must belong together.
        """
        if self.link is None:
            return self._log.latest_cursor()
        with self._inbox:
            return self._log.latest_cursor()

    async def cursor_now(self, scope: str) -> str:
        """Return the engine's cursor, or :meth:`cursor` if there is no engine or it does not answer in time."""
        if self.link is None:
            return self.cursor(scope)
        stamp = await self.link.stamp()
        if stamp is None:
            return self.cursor(scope)
        with self._inbox:
            return self.link.replica.cursor_of_stamp(stamp)

    # The engine

    def start(self) -> None:
        """Start to connect to the engine, if there is one."""
        if self.link is not None:
            self.link.relay.start()

    def stop(self) -> None:
        """Send what waits for the engine, and disconnect."""
        if self.link is not None:
            self.link.relay.stop()

    async def ready(self, *scopes: str) -> bool:
        """Wait until scopes are level with the engine. Returns ``False`` if the engine does not answer in time."""
        return self.link is None or await self._levels.ready(scopes)

    def health(self) -> Health:
        """Return the state of the connection to the engine."""
        return Health() if self.link is None else self.link.relay.health()

    # Counters

    @property
    def emitted_count(self) -> int:
        """The number of events emitted in this process."""
        return self.emitter.emitted_count

    @property
    def dropped_count(self) -> int:
        """How often an event was dropped for a subscriber."""
        return self._backlog.dropped_count

    @property
    def coalesced_count(self) -> int:
        """How often an event was merged into one that waited for the same subscriber."""
        return self._backlog.coalesced_count

    @property
    def subscriber_count(self) -> int:
        """The number of open subscriptions."""
        return self._roster.subscriber_count

    @property
    def viewer_count(self) -> int:
        """The number of viewers in this process."""
        return self._roster.viewer_count

    @property
    def scope_count(self) -> int:
        """The number of scopes viewed in this process."""
        return self._roster.scope_count


def _check_scope(scope: str) -> None:
    if not isinstance(scope, str):
        raise TypeError(f"scope is a string, not {type(scope).__name__}: {scope!r}")
    if not scope:
        raise ValueError("scope is empty: it must name something, such as 'board:42'")
