"""Who is registered in each scope: subscribers, which the bus notifies, and members, which it counts.

With a relay, the first registration in a scope attaches the scope to the engine and the last one to leave detaches it.
Connections are shown to other processes. The relay is called under the lock, so that it sees changes in order; it
only queues them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from .._core.events import RESERVED, ConnectionInfo
from .._core.loops import LoopClosedError
from .._core.toasts import Toast
from .ended import EndedUsers
from .inbox import Inbox
from .link import Link
from .subscription import Sleepers, Subscriber, Subscription

__all__ = ["Member", "Roster"]


class Member:
    """A connection that the bus counts for presence, shows toasts and can end, but does not notify.

    Args:
        scopes: The scopes that it views.
        connection: Who views them.
        end: Called with the reason when the bus ends the connection, in any thread. It must not raise or block.
        leave: Removes the member from the bus.
        session: Its session, as :meth:`Roster.end_user` names it.
        show: Called with each toast for it, in any thread. It must not block. ``None`` if it is shown none.
    """

    __slots__ = ("_leave", "connection", "end", "has_ended", "scopes", "session", "show")

    def __init__(
        self,
        scopes: tuple[str, ...],
        connection: ConnectionInfo | None,
        end: Callable[[str], object],
        leave: Callable[[Member], None],
        session: str | None = None,
        show: Callable[[Toast], object] | None = None,
    ) -> None:
        self.show: Callable[[Toast], object] | None = show
        self.has_ended: bool = False
        self.session: str | None = session
        self.scopes: tuple[str, ...] = scopes
        self.connection: ConnectionInfo | None = connection
        self.end: Callable[[str], object] = end
        self._leave = leave

    @property
    def user_id(self) -> str | None:
        """The user. ``None`` means anonymous."""
        return None if self.connection is None else self.connection.user_id

    def leave(self) -> None:
        """Remove the member from the bus. Thread-safe and idempotent."""
        self._leave(self)


@dataclass(frozen=True, slots=True)
class _ScopeRoster:
    subscribers: dict[Subscriber, None]
    members: dict[Member, None]

    def connections(self) -> Iterator[ConnectionInfo]:
        for subscriber in self.subscribers:
            if subscriber.connection is not None:
                yield subscriber.connection
        for member in self.members:
            if member.connection is not None:
                yield member.connection


class Roster:
    """The subscribers and members of each scope.

    Thread-safe: :meth:`subscribe`, :meth:`join`, :meth:`close`, :meth:`end_user` and the counts. Everything else
    requires the lock.

    Args:
        inbox: The bus's lock.
        link: The engine, if there is one.
    """

    def __init__(self, inbox: Inbox, link: Link | None) -> None:
        self._inbox = inbox
        self._link = link
        self._scopes: dict[str, _ScopeRoster] = {}
        self._ended = EndedUsers()
        self.subscriber_count: int = 0

    def __contains__(self, scope: str) -> bool:
        return scope in self._scopes

    # Registering

    def add(self, subscriber: Subscriber) -> Subscription:
        """Register a subscriber and return its subscription."""
        subscription = subscriber.handle = Subscription(
            self._inbox, subscriber, self._close_subscriber, self._widen, self._narrow
        )
        if self._ended.includes(subscriber.scope, subscriber.connection, None):
            subscriber.finish()
            self._report_end(subscriber)
            return subscription
        self._scope(subscriber.scope).subscribers[subscriber] = None
        self.subscriber_count += 1
        self._show(subscriber)
        return subscription

    def join(
        self,
        scopes: tuple[str, ...],
        connection: ConnectionInfo | None,
        end: Callable[[str], object],
        session: str | None,
        show: Callable[[Toast], object] | None,
    ) -> Member:
        """Register a member and return it. One whose user or session has been ended since it connected has ended."""
        member = Member(scopes, connection, end, self._leave_soon, session, show)
        with self._inbox:
            if any(self._ended.includes(scope, connection, session) for scope in scopes):
                member.has_ended = True
                return member
            for scope in scopes:
                self._scope(scope).members[member] = None
            self._show(member)
        return member

    def _scope(self, name: str) -> _ScopeRoster:
        scope = self._scopes.get(name)
        if scope is None:
            scope = self._scopes[name] = _ScopeRoster({}, {})
            if self._link is not None:
                self._link.relay.start()
                self._link.open(name)
        return scope

    def _show(self, registered: Subscriber | Member) -> None:
        if self._link is not None and registered.connection is not None:
            for scope in registered.scopes:
                self._link.relay.join(scope, id(registered), registered.connection)

    def _hide(self, registered: Subscriber | Member) -> None:
        if self._link is not None and registered.connection is not None:
            for scope in registered.scopes:
                self._link.relay.leave(scope, id(registered))

    # Reading

    def subscribers(self, scope: str) -> Collection[Subscriber]:
        """Return the subscribers of a scope."""
        found = self._scopes.get(scope)
        return () if found is None else found.subscribers

    def members(self, scope: str) -> Collection[Member]:
        """Return the members of a scope."""
        found = self._scopes.get(scope)
        return () if found is None else found.members

    def connections(self, scope: str) -> frozenset[ConnectionInfo]:
        """Return the connections of a scope in this process."""
        found = self._scopes.get(scope)
        return frozenset() if found is None else frozenset(found.connections())

    @property
    def viewer_count(self) -> int:
        """The number of members, and of subscribers that do not merely watch."""
        with self._inbox:
            scopes = self._scopes.items()
            own = [scope for name, scope in scopes if not name.startswith(RESERVED)]  # the package reads its own scopes
            readers = sum(not each.watches for scope in own for each in scope.subscribers)
            return readers + sum(each.scopes[0] == name for name, scope in scopes for each in scope.members)

    @property
    def scope_count(self) -> int:
        """The number of scopes with a subscriber or a member."""
        return len(self._scopes)

    # Waking

    def wake(self, sleepers: Sleepers) -> None:
        """Wake each loop once, and remove the subscribers of loops that have ended."""
        for mailbox, subscribers in sleepers.items():
            try:
                mailbox.wake()
            except LoopClosedError:
                for subscriber in subscribers:
                    self._remove(subscriber)

    # Ending

    def close(self, scope: str | None) -> None:
        """End the subscribers and members of a scope, or of every scope. Subscribers keep their waiting events."""
        self._inbox.do(functools.partial(self._close, scope))

    def _close(self, name: str | None) -> None:
        sleepers: Sleepers = {}
        for scope in self._selected(name):
            for member in list(scope.members):
                self._end_member(member, "closed")
            for subscriber in list(scope.subscribers):
                if name is None or subscriber.scope == name:
                    self._finish(subscriber, sleepers)
                else:  # it watches for others, too
                    self._narrow(subscriber, name)
        self.wake(sleepers)

    def end_user(self, user_id: str, scope: str | None) -> int:
        """End the subscribers and members of a user, in one scope or in every scope, and return their number.

        Those that connected before and are registered within the next minutes have ended, too.
        """
        ended = 0
        sleepers: Sleepers = {}
        with self._inbox:
            self._ended.add(user_id, scope)
            for each in self._selected(scope):
                for member in [member for member in each.members if _belongs_to(member, user_id)]:
                    self._end_member(member, "signed-out")
                    ended += 1
                for subscriber in [one for one in each.subscribers if _belongs_to(one, user_id)]:
                    self._finish(subscriber, sleepers)
                    ended += 1
            self.wake(sleepers)
        return ended

    def _selected(self, name: str | None) -> list[_ScopeRoster]:
        if name is None:
            return list(self._scopes.values())
        return [self._scopes[name]] if name in self._scopes else []

    def _end_member(self, member: Member, reason: str) -> None:
        member.has_ended = True
        self._inbox.call_back(functools.partial(member.end, reason))
        self._leave(member)

    def _leave_soon(self, member: Member) -> None:
        self._inbox.do(functools.partial(self._leave, member))

    def _leave(self, member: Member) -> None:
        scope = self._scopes.get(member.scopes[0])
        if scope is None or member not in scope.members:
            return
        self._hide(member)
        for name in member.scopes:
            del self._scopes[name].members[member]
            self._forget_if_empty(name)

    def _close_subscriber(self, subscriber: Subscriber) -> None:
        sleepers: Sleepers = {}
        subscriber.waiting.clear()
        self._finish(subscriber, sleepers)
        self.wake(sleepers)

    def _finish(self, subscriber: Subscriber, sleepers: Sleepers) -> None:
        mailbox = subscriber.mailbox
        self._remove(subscriber)
        if mailbox is not None:
            sleepers.setdefault(mailbox, []).append(subscriber)

    def _remove(self, subscriber: Subscriber) -> None:
        if subscriber.closed:
            return
        subscriber.finish()
        self.subscriber_count -= 1
        self._hide(subscriber)
        for scope in subscriber.scopes:
            del self._scopes[scope].subscribers[subscriber]
            self._forget_if_empty(scope)
        self._report_end(subscriber)

    def _widen(self, subscriber: Subscriber, scope: str) -> None:
        if not subscriber.closed and scope != subscriber.scope:
            subscriber.others.add(scope)
            self._scope(scope).subscribers[subscriber] = None

    def _narrow(self, subscriber: Subscriber, scope: str) -> None:
        if not subscriber.closed and scope in subscriber.others:
            subscriber.others.remove(scope)
            del self._scopes[scope].subscribers[subscriber]
            self._forget_if_empty(scope)

    def _report_end(self, subscriber: Subscriber) -> None:
        if subscriber.on_disconnect is not None:
            self._inbox.call_back(functools.partial(subscriber.on_disconnect, subscriber.scope, subscriber.connection))

    def _forget_if_empty(self, name: str) -> None:
        scope = self._scopes[name]
        if not scope.subscribers and not scope.members:
            del self._scopes[name]
            if self._link is not None:
                self._link.relay.detach(name)


def _belongs_to(registered: Subscriber | Member, user_id: str) -> bool:
    if isinstance(registered, Member) and registered.session == user_id:
        return True
    return registered.connection is not None and registered.connection.user_id == user_id
