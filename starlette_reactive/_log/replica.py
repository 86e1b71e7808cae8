"""A process's copy of the change log of an engine that many processes share.

The engine gives each change a *stamp*. A cursor is a stamp with the engine's epoch, so it means the same in every
process. Positions are local: they number the changes in their order of arrival, and readers in this process need
nothing else. The replica translates between the two:

- A cursor with the stamp ``s`` promises that its reader has seen all changes stamped up to ``s``. The cursor of a
  position has the *level* as its stamp, up to which every change has arrived here, unless a change that arrived after
  the position has a lower stamp.
- An incoming cursor stands for the position before the first change here with a higher stamp.

A reader of several scopes has a cursor with the stamp of each, unless they are the same.

Both err on the side of reporting a change twice. The stamps of a scope may arrive out of order: those of PostgreSQL
are transaction numbers, and transactions commit in any order.

A scope is *opened* by its first subscription and *loaded* once the engine has sent its history. The changes of the
history get positions below all those given out since the scope was opened, in a gap of numbers reserved for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .._core.events import ChangeEvent
from .._core.paths import ALL
from .changelog import PATHS_PER_SCOPE, UNKNOWN, Change, ChangeLog, Key, Reading, ScopeLog

__all__ = ["History", "Record", "Replica"]

_HISTORY_POSITIONS = 2 * PATHS_PER_SCOPE  # reserved for a history: each record has two stamps
_BETWEEN_STAMPS = "."  # in the cursor of a reader of several scopes


@dataclass(frozen=True, slots=True)
class Record:
    """The last change of a path for an audience, as an engine keeps it.

    Args:
        path: The path that changed.
        audience: The ids of the users that it is for. ``None`` means everyone.
        stamp: Its stamp.
        origin: Its origin, if the event had one.
        other_stamp: The stamp of the newest change of another origin, or 0.
    """

    path: str
    audience: frozenset[str] | None
    stamp: int
    origin: str | None = None
    other_stamp: int = 0

    def events(self, scope: str, after: int) -> list[tuple[int, ChangeEvent]]:
        """Return the changes after a stamp as events with their stamps, the older first.

        The origin of the older change is no longer known, so its event has none and reaches every tab.
        """
        found = [(self.other_stamp, None), (self.stamp, self.origin)]
        return [
            (stamp, ChangeEvent(scope, (self.path,), origin, self.audience)) for stamp, origin in found if stamp > after
        ]


@dataclass(frozen=True, slots=True)
class History:
    """What an engine has about a scope.

    Args:
        level: The stamp up to which it is complete. Within an epoch, never below a level reported earlier.
        floor: The stamp up to which no changes are known.
        records: The last change of each path, in any order.
    """

    level: int
    floor: int
    records: Sequence[Record] = field(default=())

    def covers(self, stamp: int) -> bool:
        """Return whether it contains every change after a stamp."""
        return self.floor <= stamp <= self.level and len(self.records) <= PATHS_PER_SCOPE

    def events(self, scope: str, after: int) -> list[tuple[int, ChangeEvent]]:
        """Return the changes after a stamp as events with their stamps, in the order of the stamps."""
        found = [each for record in self.records for each in record.events(scope, after)]
        return sorted(found, key=lambda pair: pair[0])


class _ScopeReplica(ScopeLog):
    __slots__ = ("level", "loaded", "since", "stamp_floor", "stamps")

    def __init__(self, position: int, since: int | None) -> None:
        super().__init__(position)
        self.since = since  # every change up to this stamp precedes the opening; None if not known
        self.loaded = False
        self.level = 0
        self.stamp_floor = 0
        self.stamps: dict[Key, tuple[int, int]] = {}  # of each entry's newest and other change

    def note_stamped(self, event: ChangeEvent, position: int, stamp: int) -> None:
        before = {path: self.entries.get((event.audience, path)) for path in event.changed_paths}
        self.note(event, position, PATHS_PER_SCOPE)
        for path, last in before.items():
            key = (event.audience, path)
            newest, other = self.stamps.get(key, (0, 0))
            if last is not None and last.origin != event.origin:
                other = newest
            self.stamps[key] = (max(newest, stamp), other)
        if len(self.stamps) > len(self.entries):
            for key in [key for key in self.stamps if key not in self.entries]:
                self.stamp_floor = max(self.stamp_floor, *self.stamps.pop(key))

    def begin_at(self, level: int, *, floor: int) -> None:
        """Become loaded, complete for stamps above ``floor`` and up to ``level``."""
        self.level, self.stamp_floor = level, floor
        self.loaded = True

    def add_history(self, scope: str, history: History, since: int) -> None:
        """Add the history of a scope up to a stamp, at positions below all those given out so far."""
        stamps = {stamp for record in history.records for stamp in (record.stamp, record.other_stamp)}
        first = self.floor - _HISTORY_POSITIONS
        positions = {stamp: first + number for number, stamp in enumerate(sorted(stamps)) if 0 < stamp <= since}
        changes = {
            change: stamps for record in history.records for change, stamps in _changes_at(record, scope, positions)
        }
        for change in sorted(changes, key=lambda each: each.position):
            key = (change.audience, change.path)
            self.entries[key] = change
            self.stamps[key] = changes[change]
        self.floor = first - 1

    def forget(self) -> None:
        """Drop all history."""
        self.entries.clear()
        self.stamps.clear()
        self.floor = self.position
        self.loaded = False

    def stamp_at(self, position: int, level: int | None) -> int | None:
        """Return the stamp up to which every change had arrived at a position, if that is known."""
        if level is None or position < self.floor:
            return None
        later = [level + 1]
        for key, change in self.entries.items():
            newest, other = self.stamps[key]
            if change.position > position:
                later.append(newest)
            if change.other_position > position:
                later.append(other)
        return min(later) - 1

    def position_before(self, stamp: int) -> int:
        """Return the position before the first change with a higher stamp."""
        first = self.position + 1
        for key, change in self.entries.items():
            newest, other = self.stamps[key]
            if newest > stamp:
                first = min(first, change.position)
            if other > stamp and change.other_position:
                first = min(first, change.other_position)
        return first - 1


class Replica(ChangeLog):
    """The change log of the scopes that are viewed in this process. Not thread-safe: the bus holds its lock."""

    def __init__(self) -> None:
        super().__init__()
        self._replicas: dict[str, _ScopeReplica] = {}
        self._epoch = "0"
        self._level: int | None = None

    # Input from the engine

    def begin(self, epoch: str) -> None:
        """Set the engine's epoch. Cursors of another epoch become invalid."""
        token = hashlib.sha256(epoch.encode()).hexdigest()[:12]
        if token != self._epoch:
            self._epoch = token
            self._level = None
            for scope in self._replicas:
                self.forget(scope)

    def reach_level(self, level: int) -> None:
        """Record that every change of loaded scopes up to a stamp has arrived."""
        self._level = max(level, self._level or 0)

    def note_stamped(self, event: ChangeEvent, stamp: int, level: int | None) -> None:
        """Record an event.

        Args:
            event: The event.
            stamp: Its stamp.
            level: The stamp up to which every change of its scope has arrived with it, if that is known.
        """
        replica = self._replicas.get(event.scope)
        if replica is not None:
            self._position += 1
            replica.note_stamped(event, self._position, stamp)
            replica.level = max(replica.level, level or 0)

    # Scopes

    def open(self, scope: str) -> None:
        """Open a scope. Idempotent."""
        if scope not in self._replicas:
            self._position += _HISTORY_POSITIONS + 1
            self._replicas[scope] = _ScopeReplica(self._position, self._level)

    def is_open(self, scope: str) -> bool:
        """Return whether a scope is open."""
        return scope in self._replicas

    def is_loaded(self, scope: str) -> bool:
        """Return whether the engine has sent the history of a scope."""
        replica = self._replicas.get(scope)
        return replica is not None and replica.loaded

    def load(self, scope: str, history: History) -> list[tuple[int, ChangeEvent]]:
        """Add the history of a scope, and return the events to record now, with their stamps.

        These are the changes since the last history, or since the scope was opened. If they are not known, the event
        is one for every path.
        """
        replica = self._replicas[scope]
        since = self.level(scope) if replica.loaded else replica.since
        if since is None or not history.covers(since):
            replica.forget()
            replica.begin_at(history.level, floor=history.level)
            return [(history.level, ChangeEvent(scope, (ALL,)))]
        if not replica.loaded:
            replica.add_history(scope, history, since)
            replica.begin_at(history.level, floor=history.floor)
        replica.level = max(replica.level, history.level)
        return history.events(scope, since)

    def level(self, scope: str) -> int | None:
        """Return the stamp up to which every change of a scope has arrived, or ``None`` if it is not loaded."""
        replica = self._replicas.get(scope)
        return max(replica.level, self._level or 0) if replica is not None and replica.loaded else None

    def forget(self, scope: str) -> None:
        """Drop the history of a scope until it is loaded again."""
        if (replica := self._replicas.get(scope)) is not None:
            replica.forget()
            replica.since = None

    def unload(self, scope: str) -> None:
        """Close a scope and drop its history."""
        self._replicas.pop(scope, None)

    # Questions of readers in this process

    def position(self, scope: str) -> int:
        """Return the position of the last event of a scope."""
        replica = self._replicas.get(scope)
        return self._position if replica is None else replica.position

    def read(self, scope: str, after: int | None) -> Reading:
        """Return what changed in a scope after a position. ``None`` stands for an unknown position."""
        replica = self._replicas.get(scope)
        known = replica is not None and after is not None and after <= self._position
        position = self.position(scope)
        changes = replica.read(after) if replica and known and after is not None else None
        return Reading(position, self.cursor(scope, position), changes)

    def cursor(self, scope: str, position: int | None) -> str:
        """Return the cursor of a position in a scope: every change up to its stamp had arrived at the position."""
        return self._cursor_of_stamps([None if position is None else self._stamp_at(scope, position)])

    def cursor_of(self, positions: Mapping[str, int]) -> str:
        """Return the cursor of a reader of several scopes: one stamp, or the stamps in the order of the scopes."""
        stamps = [self._stamp_at(scope, position) for scope, position in positions.items()]
        return self._cursor_of_stamps(stamps[:1] if len({*stamps}) == 1 else stamps)

    def common_cursor(self, positions: Mapping[str, int]) -> str:
        """Return a cursor that is valid for a reader of any of these scopes: the lowest of their stamps."""
        stamps = [self._stamp_at(scope, position) for scope, position in positions.items()]
        known = [stamp for stamp in stamps if stamp is not None]
        return self._cursor_of_stamps([min(known) if len(known) == len(stamps) else None])

    def _cursor_of_stamps(self, stamps: Sequence[int | None]) -> str:
        return f"{self._epoch}-{UNKNOWN if None in stamps else _BETWEEN_STAMPS.join(map(str, stamps))}"

    def _stamp_at(self, scope: str, position: int) -> int | None:
        """Return the stamp up to which every change of a scope had arrived at a position, if that is known."""
        level = self.level(scope)
        stamp = self._level if level is None else level
        replica = self._replicas.get(scope)
        return stamp if replica is None or position >= replica.position else replica.stamp_at(position, stamp)

    def cursor_of_stamp(self, stamp: int) -> str:
        """Return the cursor of a stamp."""
        return f"{self._epoch}-{stamp}"

    def parse(self, scope: str, cursor: str) -> int | None:
        """Return the position of a cursor, or ``None`` if it is malformed, too old, or from another epoch."""
        return self._position_of(scope, self._in_epoch(cursor))

    def parse_for(self, scopes: Sequence[str], cursor: str) -> list[int] | None:
        """Return the position of a cursor in each of several scopes, or ``None`` if one is not known."""
        stamps = (self._in_epoch(cursor) or "").split(_BETWEEN_STAMPS)
        if len(stamps) == 1:
            stamps *= len(scopes)
        if len(stamps) != len(scopes):
            return None
        found = [self._position_of(scope, stamp) for scope, stamp in zip(scopes, stamps, strict=True)]
        known = [position for position in found if position is not None]
        return known if len(known) == len(found) else None

    def _position_of(self, scope: str, digits: str | None) -> int | None:
        stamp = _stamp_of(digits)
        replica = self._replicas.get(scope)
        if stamp is None or replica is None or not replica.loaded or stamp < replica.stamp_floor:
            return None
        return replica.position_before(stamp)


def _stamp_of(digits: str | None) -> int | None:
    if digits is None or not (digits.isascii() and digits.isdigit()) or len(digits) > 20:
        return None
    return int(digits)


def _changes_at(record: Record, scope: str, positions: dict[int, int]) -> list[tuple[Change, tuple[int, int]]]:
    """Return the change of a record that has a position, with its stamps; empty if none has."""
    newest, other = positions.get(record.stamp, 0), positions.get(record.other_stamp, 0)
    if newest:
        return [
            (
                Change(record.path, record.audience, newest, record.origin, other, scope),
                (record.stamp, record.other_stamp),
            )
        ]
    if other:
        return [(Change(record.path, record.audience, other, None, 0, scope), (record.other_stamp, 0))]
    return []
