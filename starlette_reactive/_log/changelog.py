"""Answers which paths changed since a cursor, or that this is no longer known.

Blocks are rendered from current state, so no reader needs every event. The log keeps the position of the last change
of each path of a scope. A position is a number that grows with every event. A cursor is a position with the epoch of
its log, as opaque text: the position is permuted, because it counts the events of all scopes.

The log never forgets silently. It keeps a bounded number of scopes, and a bounded number of entries for each. Evicting
an entry raises a *floor*, and a reader below the floor learns that everything may have changed.

Audience and origin are judged per change, before anything is merged. Each (audience, path) has its own entry, which
holds the newest change and the newest change of another origin. A viewer has at most one origin, so these two suffice
to say exactly when the last change happened that was not the viewer's own.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .._core.events import ChangeEvent
from .._core.paths import ALL
from .permutation import Permutation

__all__ = ["PATHS_PER_SCOPE", "UNKNOWN", "Change", "ChangeLog", "Key", "Reading", "ScopeLog"]

PATHS_PER_SCOPE = 256
"""The number of (audience, path) entries that a scope keeps."""
UNKNOWN = "unknown"
"""Stands for the position in the cursor of an unknown position."""

Key = tuple[frozenset[str] | None, str]


@dataclass(frozen=True, slots=True)
class Change:
    """The last change of a path for an audience.

    Args:
        path: The path that changed.
        audience: The ids of the users that it is for. ``None`` means everyone.
        position: Its position in the log.
        origin: Its origin, if the event had one.
        other_position: The position of the newest change of another origin, or 0.
        scope: The scope that it belongs to.
    """

    path: str
    audience: frozenset[str] | None
    position: int
    origin: str | None
    other_position: int
    scope: str

    @property
    def for_all(self) -> bool:
        """Whether every viewer of the scope is entitled to it."""
        return self.audience is None and self.origin is None

    def of_others(self) -> Change:
        """Return the newest change of another origin. Its own origin is not known."""
        return Change(self.path, self.audience, self.other_position, None, 0, self.scope)

    def position_for(self, user_id: str | None, origin: str | None) -> int:
        """Return the position of the last change that a viewer is entitled to, or 0."""
        if self.audience is not None and user_id not in self.audience:
            return 0
        return self.position_of_others(origin)

    def position_of_others(self, origin: str | None) -> int:
        """Return the position of the last change that is not of an origin, or 0. ``None`` is the origin of none."""
        return self.position if self.origin is None or self.origin != origin else self.other_position


@dataclass(frozen=True, slots=True)
class Reading:
    """The changes of a scope, or of several, up to a position.

    Args:
        position: The position.
        cursor: Its cursor.
        changes: The changes. ``None`` if they are not known.
    """

    position: int
    cursor: str
    changes: tuple[Change, ...] | None

    def paths_for(
        self, after: int, user_id: str | None, origin: str | None, *, up_to: int | None = None
    ) -> frozenset[str]:
        """Return the paths that changed after a position and that a viewer is entitled to.

        Args:
            after: The position.
            user_id: The viewer's user id.
            origin: The viewer's own origin.
            up_to: Skip paths that changed again after this position, because the later change will report them.
        """
        if self.changes is None:
            return frozenset((ALL,))
        last = self.position if up_to is None else up_to
        return frozenset(change.path for change in self.changes if after < change.position_for(user_id, origin) <= last)

    def without(self, origin: str, after: int) -> Reading:
        """Return the reading without the changes of an origin.

        Args:
            origin: The origin.
            after: The position that was read after.
        """
        if self.changes is None or all(change.origin != origin for change in self.changes):
            return self
        kept = (change.of_others() if change.origin == origin else change for change in self.changes)
        return replace(self, changes=tuple(change for change in kept if change.position > after))


class ScopeLog:
    """The last change of each path of one scope.

    Args:
        floor: The position up to which no changes are known.
    """

    __slots__ = ("entries", "floor", "newest", "position")

    def __init__(self, floor: int) -> None:
        self.entries: dict[Key, Change] = {}  # in the order of their positions
        self.floor: int = floor
        self.position: int = floor
        self.newest: tuple[int, Reading] | None = None  # the last reading since the last event, and after what

    def note(self, event: ChangeEvent, position: int, limit: int) -> None:
        """Record an event at a position, and evict the oldest entries above the limit."""
        self.position = position
        self.newest = None
        for path in sorted(event.changed_paths):
            key = (event.audience, path)
            last = self.entries.pop(key, None)
            if last is None:
                other = 0
            elif last.origin == event.origin:
                other = last.other_position
            else:
                other = last.position
            self.entries[key] = Change(path, event.audience, position, event.origin, other, event.scope)
        while len(self.entries) > limit:
            oldest = next(iter(self.entries))
            self.floor = self.entries.pop(oldest).position

    def read(self, after: int) -> tuple[Change, ...] | None:
        """Return the changes after a position, in order, or ``None`` if they are not known."""
        if after < self.floor:
            return None
        newest_first = []
        for change in reversed(self.entries.values()):
            if change.position <= after:
                break
            newest_first.append(change)
        return tuple(reversed(newest_first))


class ChangeLog:
    """The last change of each path of each scope. Not thread-safe: the bus holds its lock.

    Args:
        paths_per_scope: The number of (audience, path) entries that a scope keeps.
        scopes: The number of scopes that are kept. The least recently used are evicted first.
    """

    def __init__(self, *, paths_per_scope: int = PATHS_PER_SCOPE, scopes: int = 10_000) -> None:
        self._paths_per_scope = paths_per_scope
        self._scope_limit = scopes
        self._scopes: OrderedDict[str, ScopeLog] = OrderedDict()
        self._epoch = secrets.token_hex(6)
        self._permutation = Permutation()
        self._position = 0
        self._floor = 0

    def note(self, event: ChangeEvent) -> int:
        """Record an event and return its position."""
        self._position += 1
        log = self._scopes.get(event.scope)
        if log is None:
            log = self._scopes[event.scope] = ScopeLog(self._floor)
        log.note(event, self._position, self._paths_per_scope)
        self._scopes.move_to_end(event.scope)
        while len(self._scopes) > self._scope_limit:
            _, evicted = self._scopes.popitem(last=False)
            self._floor = max(self._floor, evicted.position)
        return self._position

    def position(self, scope: str) -> int:
        """Return the position of a scope's last event, or a later one with no event of the scope in between."""
        log = self._scopes.get(scope)
        return self._floor if log is None else log.position

    def read(self, scope: str, after: int | None) -> Reading:
        """Return what changed in a scope after a position. ``None`` stands for an unknown position."""
        log = self._scopes.get(scope)
        if log is not None:
            self._scopes.move_to_end(scope)
            if log.newest is not None and log.newest[0] == after:
                return log.newest[1]  # the groups of a scope mostly read after the same position
        changes: tuple[Change, ...] | None
        if after is None or not 0 <= after <= self._position:
            changes = None
        elif log is None:
            changes = None if after < self._floor else ()
        else:
            changes = log.read(after)
        position = self.position(scope)
        reading = Reading(position, self.cursor(scope, position), changes)
        if log is not None and after is not None and changes is not None:
            log.newest = after, reading
        return reading

    def cursor(self, scope: str, position: int | None) -> str:  # noqa: ARG002 - used by Replica
        """Return the cursor of a position in a scope: opaque ASCII, safe in a URL and in an SSE id.

        ``None`` stands for an unknown position. Its cursor parses as unknown.
        """
        return f"{self._epoch}-{UNKNOWN if position is None else self._permutation.hide(position)}"

    def cursor_of(self, positions: Mapping[str, int]) -> str:
        """Return the cursor of a reader of several scopes, from its position in each of them."""
        return self.cursor("", min(positions.values()))

    def common_cursor(self, positions: Mapping[str, int]) -> str:
        """Return a cursor that is valid for a reader of any of these scopes, from the position in each of them."""
        return self.cursor_of(positions)

    def latest_cursor(self) -> str:
        """Return a cursor that stands for now in every scope."""
        return self.cursor("", self._position)

    def parse_for(self, scopes: Sequence[str], cursor: str) -> list[int] | None:
        """Return the position of a cursor in each of several scopes, or ``None`` if one is not known."""
        found = [self.parse(scope, cursor) for scope in scopes]
        known = [position for position in found if position is not None]
        return known if len(known) == len(found) else None

    def parse(self, scope: str, cursor: str) -> int | None:  # noqa: ARG002 - as above
        """Return the position of a cursor, or ``None`` if it is malformed or from another log."""
        hidden = self._in_epoch(cursor)
        position = None if hidden is None else self._permutation.reveal(hidden)
        return None if position is None or position > self._position else position

    def _in_epoch(self, cursor: str) -> str | None:
        """Return what a cursor holds beside the epoch, or ``None`` if it is of another one."""
        epoch, _, rest = cursor.partition("-")
        return rest if epoch == self._epoch else None
