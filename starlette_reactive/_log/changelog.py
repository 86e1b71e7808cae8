"""Which paths changed since a cursor, or that this is no longer known.

Blocks are rendered from current state, so nobody needs every event: it is enough to know, for each path of a scope,
the position of its last change. A position is a number that grows with every event; a cursor is a position together
with the epoch of the log that gave it, as opaque text.

The log never forgets silently. Each scope keeps a bounded number of entries and the log a bounded number of scopes;
what is evicted raises a *floor*, and a reader below the floor is told that everything may have changed.

Audience and origin are judged per change, before anything is merged: an entry is kept for each (audience, path), and
remembers both the newest change and the newest one of another origin. A viewer has one origin at most, so these two
answer exactly when the last change happened that was not the viewer's own.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass

from .._core.events import ChangeEvent
from .._core.paths import ALL

__all__ = ["PATHS_PER_SCOPE", "UNKNOWN", "Change", "ChangeLog", "Key", "Reading", "ScopeLog"]

PATHS_PER_SCOPE = 256
"""How many (audience, path) entries a scope keeps."""
UNKNOWN = "unknown"
"""What a cursor says of a position that is not known."""

Key = tuple[frozenset[str] | None, str]


@dataclass(frozen=True, slots=True)
class Change:
    """The last change of a path for an audience.

    Args:
        path: The path that changed.
        audience: The users whom it was for; ``None``: everybody.
        position: Where in the log it stands.
        origin: Who caused it, if that was said.
        other_position: Where the newest change of another origin stands; 0: there was none.
    """

    path: str
    audience: frozenset[str] | None
    position: int
    origin: str | None
    other_position: int

    @property
    def for_all(self) -> bool:
        """Whether every viewer of the scope is to be told, whoever they are."""
        return self.audience is None and self.origin is None

    def position_for(self, user_id: str | None, origin: str | None) -> int:
        """Return the position of the last change that this viewer is to be told of; 0: none."""
        if self.audience is not None and user_id not in self.audience:
            return 0
        if self.origin is None or self.origin != origin:
            return self.position
        return self.other_position


@dataclass(frozen=True, slots=True)
class Reading:
    """What the log says of a scope: all changes up to ``position``; ``changes`` is ``None`` if that is not known."""

    position: int
    changes: tuple[Change, ...] | None

    def paths_for(
        self, after: int, user_id: str | None, origin: str | None, *, up_to: int | None = None
    ) -> frozenset[str]:
        """Return the paths that changed after a position, of those that a viewer is to be told of.

        Args:
            after: The position.
            user_id: Who the viewer is.
            origin: Whose changes the viewer made itself.
            up_to: Leave out a path that changed again after this position; that later change will tell of it.
        """
        if self.changes is None:
            return frozenset((ALL,))
        last = self.position if up_to is None else up_to
        return frozenset(change.path for change in self.changes if after < change.position_for(user_id, origin) <= last)


class ScopeLog:
    """The last change of each path of one scope.

    Args:
        floor: The position up to which it knows nothing.
    """

    __slots__ = ("entries", "floor", "position")

    def __init__(self, floor: int) -> None:
        self.entries: dict[Key, Change] = {}  # in the order of their positions
        self.floor: int = floor
        self.position: int = floor

    def note(self, event: ChangeEvent, position: int, limit: int) -> None:
        """Note an event at a position; what no longer has room raises the floor."""
        self.position = position
        for path in sorted(event.changed_paths):
            key = (event.audience, path)
            last = self.entries.pop(key, None)
            if last is None:
                other = 0
            elif last.origin == event.origin:
                other = last.other_position
            else:
                other = last.position
            self.entries[key] = Change(path, event.audience, position, event.origin, other)
        while len(self.entries) > limit:
            oldest = next(iter(self.entries))
            self.floor = self.entries.pop(oldest).position

    def read(self, after: int) -> tuple[Change, ...] | None:
        """Return what changed after a position, in order; ``None``: that is not known."""
        if after < self.floor:
            return None
        newest_first = []
        for change in reversed(self.entries.values()):
            if change.position <= after:
                break
            newest_first.append(change)
        return tuple(reversed(newest_first))


class ChangeLog:
    """The last change of each path of each scope. Not safe for threads: the bus guards it.

    Args:
        paths_per_scope: How many (audience, path) entries a scope keeps.
        scopes: How many scopes are kept; the least recently used go first.
    """

    def __init__(self, *, paths_per_scope: int = PATHS_PER_SCOPE, scopes: int = 10_000) -> None:
        self._paths_per_scope = paths_per_scope
        self._scope_limit = scopes
        self._scopes: OrderedDict[str, ScopeLog] = OrderedDict()
        self._epoch = secrets.token_hex(6)
        self._position = 0
        self._floor = 0

    def note(self, event: ChangeEvent) -> int:
        """Note an event and return its position."""
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

    @property
    def latest(self) -> int:
        """The position of the last event of any scope."""
        return self._position

    def position(self, scope: str) -> int:
        """Return the position of the last event of a scope, or a later one at which nothing happened in it."""
        log = self._scopes.get(scope)
        return self._floor if log is None else log.position

    def read(self, scope: str, after: int | None) -> Reading:
        """Return what changed in a scope after a position; ``None`` stands for a position that is not known."""
        log = self._scopes.get(scope)
        if log is not None:
            self._scopes.move_to_end(scope)
        changes: tuple[Change, ...] | None
        if after is None or not 0 <= after <= self._position:
            changes = None
        elif log is None:
            changes = None if after < self._floor else ()
        else:
            changes = log.read(after)
        return Reading(self.position(scope), changes)

    def cursor(self, scope: str, position: int | None) -> str:  # noqa: ARG002 - an engine's cursors depend on it
        """Return a position in a scope as opaque ASCII text that is safe in a URL and in an SSE id.

        ``None`` stands for a position that is not known; its cursor says so when it comes back.
        """
        return f"{self._epoch}-{UNKNOWN if position is None else position}"

    def latest_cursor(self) -> str:
        """Return a cursor that stands for now in every scope."""
        return self.cursor("", self._position)

    def parse(self, scope: str, cursor: str) -> int | None:  # noqa: ARG002 - as above
        """Return the position that a cursor stands for; ``None`` if it is malformed, or another log's."""
        return self._number(cursor)

    def _number(self, cursor: str) -> int | None:
        epoch, _, digits = cursor.partition("-")
        if epoch != self._epoch or not (digits.isascii() and digits.isdigit()) or len(digits) > 20:
            return None
        return int(digits)
