"""What waits until an engine accepts it, merged so that memory stays bounded while the engine is unreachable."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from .._core.events import ChangeEvent
from .._core.paths import ALL
from .._core.toasts import Toast
from .messages import MemberUpdate, Outgoing

__all__ = ["SCOPE_LIMIT", "Batch", "Outbox", "WaitingEvent"]

SCOPE_LIMIT = 100_000
"""The number of scopes whose events may wait."""
_PATH_LIMIT = 256  # an event with more paths changes everything instead
_NAMED_SCOPES = 10  # in the description of a batch
_EVENT_LIMIT = 64  # more waiting events of a scope become one event for everybody

_Key = tuple[str | None, frozenset[str] | None]
"""Origin and audience."""


@dataclass(slots=True)
class WaitingEvent:
    """Merged events of one scope, origin and audience.

    Args:
        event: The event to send.
        accepted: What to call once the engine has accepted it.
    """

    event: ChangeEvent
    accepted: list[Callable[[], None]] = field(default_factory=list)


_Scopes = dict[str, dict[_Key, WaitingEvent]]


@dataclass(frozen=True, slots=True)
class Batch:
    """What is sent at once.

    Args:
        events: The events.
        ended_users: Users whose streams other processes are to end, as ``(user_id, scope or None)``.
    """

    events: list[WaitingEvent] = field(default_factory=list)
    ended_users: list[tuple[str, str | None]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.events or self.ended_users)

    def __str__(self) -> str:
        """Return a description, such as ``2 changes in 'board:1', 'board:2'``."""
        scopes = list(dict.fromkeys(waiting.event.scope for waiting in self.events))
        named = ", ".join(map(repr, scopes[:_NAMED_SCOPES]))
        more = f" and {len(scopes) - _NAMED_SCOPES} other scopes" if len(scopes) > _NAMED_SCOPES else ""
        parts = []
        if self.events:
            parts.append(f"{_counted(len(self.events), 'change')} in {named}{more}")
        if self.ended_users:
            parts.append(f"{_counted(len(self.ended_users), 'request')} to end a user's streams")
        return " and ".join(parts)

    def outgoing(self, members: Sequence[MemberUpdate] = (), toasts: Sequence[Toast] = ()) -> Outgoing:
        """Return what to send, with members that joined or left, and toasts."""
        return Outgoing(members, self.ended_users, [waiting.event for waiting in self.events], toasts)

    def accept(self) -> None:
        """Tell everybody who waits for it that the engine has accepted it."""
        for waiting in self.events:
            for accepted in waiting.accepted:
                accepted()


class Outbox:
    """Waiting events, merged by scope, origin and audience, and users whose streams other processes are to end.

    Any thread may call :meth:`post`, :meth:`waiting`, ``is_full``, ``has_posted`` and the length, which is the number
    of the events. Only one thread at a time may call the rest. An event counts until the engine has accepted it, also
    while it is posted, merged or sent: with a length of 0, everything has been accepted.
    """

    def __init__(self) -> None:
        self._posted: deque[Batch] = deque()
        self._scopes: _Scopes = {}
        self._ended_users: list[tuple[str, str | None]] = []
        self._in_transit = Batch()
        self._count = 0  # of all events but those posted

    def begin_in_child(self) -> None:
        """Begin in a new process. What is being sent, the parent sends."""
        self._in_transit = Batch()
        self._count = len(_events_of(self._scopes))

    def __len__(self) -> int:
        return sum(len(batch.events) for batch in list(self._posted)) + self._count

    def __bool__(self) -> bool:
        return bool(self._scopes or self._ended_users)

    @property
    def has_posted(self) -> bool:
        """Whether something was posted that :meth:`collect` has not added yet."""
        return bool(self._posted)

    @property
    def is_full(self) -> bool:
        """Whether the events of no further scope are taken."""
        missing = SCOPE_LIMIT - len(self._scopes)
        if len(self._posted) < missing:
            return False
        posted = {waiting.event.scope for batch in list(self._posted) for waiting in batch.events}
        return len(posted.difference(self._scopes)) >= missing

    def post(self, batch: Batch) -> None:
        """Have everything in a batch added by the next :meth:`collect`."""
        self._posted.append(batch)

    def collect(self) -> None:
        """Add what was posted. A signal handler may interrupt it, and call it too."""
        while self._posted:
            self._count += 1  # for what is neither posted nor added
            try:
                with contextlib.suppress(IndexError):
                    self._add(self._posted.popleft())
            finally:
                self._count -= 1

    def put(self, event: ChangeEvent, accepted: Iterable[Callable[[], None]] = ()) -> None:
        """Add an event behind those that wait."""
        self._count += _merge(self._scopes, WaitingEvent(event, list(accepted)))

    def _add(self, batch: Batch) -> None:
        for waiting in batch.events:
            self.put(waiting.event, waiting.accepted)
        self._ended_users += batch.ended_users

    def add_first(self, batch: Batch) -> None:
        """Add everything in a batch before what waits."""
        newer = _events_of(self._scopes)
        merged: _Scopes = {}
        count = sum(_merge(merged, waiting) for waiting in (*batch.events, *newer))
        self._count += count - len(newer)
        self._scopes = merged
        self._ended_users = batch.ended_users + self._ended_users

    def hand_over(self, receive: Callable[[Batch], None]) -> None:
        """Pass everything that waits to a function, and forget it."""
        self.collect()
        batch = Batch(_events_of(self._scopes), self._ended_users)
        receive(batch)
        self._scopes, self._ended_users = {}, []
        self._count -= len(batch.events)

    def take(self, limit: int) -> Batch:
        """Return the ended users and the oldest events, to be sent: :meth:`accept` or :meth:`put_back` comes next.

        Args:
            limit: The scopes are returned one after another until there are at least so many events.
        """
        taken: list[WaitingEvent] = []
        while self._scopes and len(taken) < limit:
            taken.extend(self._scopes.pop(next(iter(self._scopes))).values())
        ended_users, self._ended_users = self._ended_users, []
        self._in_transit = Batch(taken, ended_users)
        return self._in_transit

    def accept(self) -> None:
        """Note that the engine has accepted what was taken."""
        batch, self._in_transit = self._in_transit, Batch()
        self._count -= len(batch.events)
        batch.accept()

    def put_back(self) -> None:
        """Add what was taken and could not be sent, before what has been added since."""
        unsent = self._in_transit
        self.add_first(unsent)
        self._in_transit = Batch()
        self._count -= len(unsent.events)

    def waiting(self) -> Batch:
        """Return everything that the engine has not accepted, without removing it."""
        unsent = self._in_transit
        merged = Batch(_events_of(self._scopes), list(self._ended_users))
        batches = [unsent, merged, *list(self._posted)]
        return Batch(
            [waiting for batch in batches for waiting in batch.events],
            [user for batch in batches for user in batch.ended_users],
        )


def _events_of(scopes: _Scopes) -> list[WaitingEvent]:
    return [waiting for scope in list(scopes.values()) for waiting in list(scope.values())]


def _merge(scopes: _Scopes, newest: WaitingEvent) -> int:
    """Add an event behind those of scopes. Return how many more events there are now."""
    event = newest.event
    waiting = scopes.setdefault(event.scope, {})
    key = (event.origin, event.audience)
    same = waiting.get(key)
    if same is not None:
        paths = same.event.changed_paths | event.changed_paths
        same.event = ChangeEvent(event.scope, paths if len(paths) <= _PATH_LIMIT else (ALL,), *key)
        same.accepted += newest.accepted
        return 0
    waiting[key] = WaitingEvent(event, list(newest.accepted))
    if len(waiting) <= _EVENT_LIMIT:
        return 1
    scopes[event.scope] = {(None, None): _for_everybody(event.scope, list(waiting.values()))}
    return 2 - len(waiting)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _for_everybody(scope: str, events: list[WaitingEvent]) -> WaitingEvent:
    accepted = [each for waiting in events for each in waiting.accepted]
    paths = frozenset().union(*(waiting.event.changed_paths for waiting in events))
    return WaitingEvent(ChangeEvent(scope, paths if len(paths) <= _PATH_LIMIT else (ALL,)), accepted)
