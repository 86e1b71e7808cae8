"""What waits until an engine accepts it, merged so that memory stays bounded while the engine is unreachable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

    Not thread-safe, except for the length, which is the number of the events, ``is_full`` and :meth:`waiting`.
    """

    def __init__(self) -> None:
        self._scopes: dict[str, dict[_Key, WaitingEvent]] = {}
        self._count = 0
        self._ended_users: list[tuple[str, str | None]] = []

    def __len__(self) -> int:
        return self._count

    def __bool__(self) -> bool:
        return bool(self._scopes or self._ended_users)

    @property
    def is_full(self) -> bool:
        """Whether the events of no further scope are taken."""
        return len(self._scopes) >= SCOPE_LIMIT

    def put(self, event: ChangeEvent, accepted: list[Callable[[], None]]) -> None:
        """Add an event behind those that wait."""
        waiting = self._scopes.setdefault(event.scope, {})
        key = (event.origin, event.audience)
        same = waiting.get(key)
        if same is not None:
            paths = same.event.changed_paths | event.changed_paths
            same.event = ChangeEvent(event.scope, paths if len(paths) <= _PATH_LIMIT else (ALL,), *key)
            same.accepted += accepted
            return
        waiting[key] = WaitingEvent(event, list(accepted))
        self._count += 1
        if len(waiting) > _EVENT_LIMIT:
            self._scopes[event.scope] = {(None, None): _for_everybody(event.scope, list(waiting.values()))}
            self._count -= len(waiting) - 1

    def end_user(self, user_id: str, scope: str | None) -> None:
        """Add a user whose streams other processes are to end."""
        self._ended_users.append((user_id, scope))

    def add(self, batch: Batch) -> None:
        """Add everything in a batch behind what waits."""
        for waiting in batch.events:
            self.put(waiting.event, waiting.accepted)
        self._ended_users += batch.ended_users

    def take(self, limit: int | None = None) -> Batch:
        """Remove and return the ended users and the oldest events.

        Args:
            limit: The scopes are returned one after another until there are at least so many events. Defaults to all.
        """
        taken: list[WaitingEvent] = []
        while self._scopes and (limit is None or len(taken) < limit):
            taken.extend(self._scopes.pop(next(iter(self._scopes))).values())
        self._count -= len(taken)
        ended_users, self._ended_users = self._ended_users, []
        return Batch(taken, ended_users)

    def put_back(self, unsent: Batch) -> None:
        """Add what could not be sent, before what has been added since."""
        newer = self.take()
        self.add(unsent)
        self.add(newer)

    def waiting(self) -> Batch:
        """Return what waits, without removing it. Thread-safe."""
        scopes = list(self._scopes.values())
        return Batch([waiting for scope in scopes for waiting in list(scope.values())], list(self._ended_users))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _for_everybody(scope: str, events: list[WaitingEvent]) -> WaitingEvent:
    accepted = [each for waiting in events for each in waiting.accepted]
    paths = frozenset().union(*(waiting.event.changed_paths for waiting in events))
    return WaitingEvent(ChangeEvent(scope, paths if len(paths) <= _PATH_LIMIT else (ALL,)), accepted)
