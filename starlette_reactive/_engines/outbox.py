"""Events that wait until an engine accepts them, merged so that memory stays bounded while it is unreachable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .._core.events import ChangeEvent
from .._core.paths import ALL

__all__ = ["SCOPE_LIMIT", "Outbox", "WaitingEvent"]

SCOPE_LIMIT = 100_000
"""The number of scopes whose events may wait."""
_PATH_LIMIT = 256  # an event with more paths changes everything instead
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


class Outbox:
    """Waiting events, merged by scope, origin and audience. Not thread-safe, except for the length and ``is_full``."""

    def __init__(self) -> None:
        self._scopes: dict[str, dict[_Key, WaitingEvent]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

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

    def take(self, limit: int) -> list[WaitingEvent]:
        """Remove and return the oldest events, scope by scope, until there are at least ``limit`` of them."""
        taken: list[WaitingEvent] = []
        while self._scopes and len(taken) < limit:
            taken.extend(self._scopes.pop(next(iter(self._scopes))).values())
        self._count -= len(taken)
        return taken

    def put_back(self, unsent: list[WaitingEvent]) -> None:
        """Add events that could not be sent, before those that have been added since."""
        newer, self._scopes, self._count = self._scopes, {}, 0
        for waiting in unsent:
            self.put(waiting.event, waiting.accepted)
        for scope in newer.values():
            for waiting in scope.values():
                self.put(waiting.event, waiting.accepted)


def _for_everybody(scope: str, events: list[WaitingEvent]) -> WaitingEvent:
    accepted = [each for waiting in events for each in waiting.accepted]
    paths = frozenset().union(*(waiting.event.changed_paths for waiting in events))
    return WaitingEvent(ChangeEvent(scope, paths if len(paths) <= _PATH_LIMIT else (ALL,)), accepted)
