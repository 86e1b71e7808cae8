"""A change log whose truth lies in an engine that many processes share.

The engine gives each change a *stamp*, and a cursor is a stamp with the engine's epoch: so it means the same in every
process. Positions stay this process's own, in the order in which changes arrive here; readers in this process need
nothing else. The two are translated where a cursor goes out or comes in:

- A cursor with the stamp ``s`` promises that all changes stamped up to ``s`` have been told. For a position it is the
  *level*, up to which everything has arrived here, unless something that came after the position has a lower stamp.
- A cursor that comes in stands for the position before the first change here that is stamped above it.

Both err on the side of telling twice. Stamps of a scope need not arrive in their order: those of PostgreSQL are
transaction numbers, and transactions commit in any order.

A scope is *opened* with its first subscription and *loaded* once the engine has told its history. What the history
holds lies below the positions that were given out since it was opened, in a gap of numbers left for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from .._core.events import ChangeEvent
from .._core.paths import ALL
from .changelog import PATHS_PER_SCOPE, UNKNOWN, Change, ChangeLog, Key, Reading, ScopeLog

__all__ = ["History", "Record", "Replica"]

_ROOM = 2 * PATHS_PER_SCOPE  # positions left for a history: each record has two stamps


@dataclass(frozen=True, slots=True)
class Record:
    """The last change of a path for an audience, as an engine keeps it.

    Args:
        path: The path that changed.
        audience: The users whom it was for; ``None``: everybody.
        stamp: Where in the engine's history it stands.
        origin: Who caused it, if that was said.
        other_stamp: Where the newest change of another origin stands; 0: there was none.
    """

    path: str
    audience: frozenset[str] | None
    stamp: int
    origin: str | None = None
    other_stamp: int = 0

    def events(self, scope: str, after: int) -> list[tuple[int, ChangeEvent]]:
        """Return what happened after a stamp, as events with their stamps, the older first.

        Whose change the older one was is not known any more, so everybody is told of it.
        """
        found = [(self.other_stamp, None), (self.stamp, self.origin)]
        return [
            (stamp, ChangeEvent(scope, (self.path,), origin, self.audience)) for stamp, origin in found if stamp > after
        ]


@dataclass(frozen=True, slots=True)
class History:
    """What an engine knows of a scope.

    Args:
        level: The stamp up to which it tells everything; never below what was heard before in the same epoch.
        floor: The stamp up to which it knows nothing.
        records: The last change of each path, in any order.
    """

    level: int
    floor: int
    records: Sequence[Record] = field(default=())

    def tells_since(self, stamp: int) -> bool:
        """Return whether it tells everything that happened after a stamp."""
        return self.floor <= stamp <= self.level and len(self.records) <= PATHS_PER_SCOPE

    def events(self, scope: str, after: int) -> list[tuple[int, ChangeEvent]]:
        """Return what happened after a stamp, in the order of the stamps."""
        found = [each for record in self.records for each in record.events(scope, after)]
        return sorted(found, key=lambda pair: pair[0])


class _ScopeReplica(ScopeLog):
    __slots__ = ("level", "loaded", "since", "stamp_floor", "stamps")

    def __init__(self, position: int, since: int | None) -> None:
        super().__init__(position)
        self.since = since  # the stamp up to which everything had happened before it was opened, if that is known
        self.loaded = False
        self.level = 0
        self.stamp_floor = 0
        self.stamps: dict[Key, tuple[int, int]] = {}  # of an entry's newest change, and of the other one

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
        """Be loaded, with everything told that is stamped above ``floor`` and up to ``level``."""
        self.level, self.stamp_floor = level, floor
        self.loaded = True

    def take_in(self, history: History, since: int) -> None:
        """Fill in a history up to a stamp, below the positions given out so far."""
        stamps = {stamp for record in history.records for stamp in (record.stamp, record.other_stamp)}
        first = self.floor - _ROOM
        positions = {stamp: first + number for number, stamp in enumerate(sorted(stamps)) if 0 < stamp <= since}
        changes = {change: stamps for record in history.records for change, stamps in _placed(record, positions)}
        for change in sorted(changes, key=lambda each: each.position):
            key = (change.audience, change.path)
            self.entries[key] = change
            self.stamps[key] = changes[change]
        self.floor = first - 1

    def forget(self) -> None:
        """Know nothing of what happened up to now."""
        self.entries.clear()
        self.stamps.clear()
        self.floor = self.position
        self.loaded = False

    def stamp_at(self, position: int, level: int | None) -> int | None:
        """Return the stamp up to which everything had been noted at a position, if that is known."""
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
        """Return the position before the first change that is stamped higher."""
        first = self.position + 1
        for key, change in self.entries.items():
            newest, other = self.stamps[key]
            if newest > stamp:
                first = min(first, change.position)
            if other > stamp and change.other_position:
                first = min(first, change.other_position)
        return first - 1


class Replica(ChangeLog):
    """The change log of the scopes that are viewed in this process. Not safe for threads: the bus guards it."""

    def __init__(self) -> None:
        super().__init__()
        self._replicas: dict[str, _ScopeReplica] = {}
        self._epoch = "0"
        self._level: int | None = None

    # What the engine tells

    def begin(self, epoch: str) -> None:
        """Take note of the engine's epoch; cursors of another one mean nothing from here on."""
        token = hashlib.sha256(epoch.encode()).hexdigest()[:12]
        if token != self._epoch:
            self._epoch = token
            self._level = None
            for scope in self._replicas:
                self.forget(scope)

    def heard(self, level: int) -> None:
        """Take note that all changes stamped up to here, of loaded scopes, have been noted."""
        self._level = max(level, self._level or 0)

    def note_stamped(self, event: ChangeEvent, stamp: int, level: int | None) -> None:
        """Note an event.

        Args:
            event: What happened.
            stamp: Its stamp.
            level: The stamp up to which everything of its scope has been noted with it; ``None``: that is not known.
        """
        replica = self._replicas.get(event.scope)
        if replica is not None:
            self._position += 1
            replica.note_stamped(event, self._position, stamp)
            replica.level = max(replica.level, level or 0)

    # Scopes

    def open(self, scope: str) -> None:
        """Make room for a scope, if it is not there already."""
        if scope not in self._replicas:
            self._position += _ROOM + 1
            self._replicas[scope] = _ScopeReplica(self._position, self._level)

    def is_open(self, scope: str) -> bool:
        """Tell whether there is room for a scope."""
        return scope in self._replicas

    def is_loaded(self, scope: str) -> bool:
        """Tell whether the engine has told a scope's history."""
        replica = self._replicas.get(scope)
        return replica is not None and replica.loaded

    def load(self, scope: str, history: History) -> list[tuple[int, ChangeEvent]]:
        """Take in a scope's history, and return what is to be noted now, with its stamps.

        That is what happened since the last history, or since the scope was opened; if that is not known, everything.
        """
        replica = self._replicas[scope]
        since = self.level(scope) if replica.loaded else replica.since
        if since is None or not history.tells_since(since):
            replica.forget()
            replica.begin_at(history.level, floor=history.level)
            return [(history.level, ChangeEvent(scope, (ALL,)))]
        if not replica.loaded:
            replica.take_in(history, since)
            replica.begin_at(history.level, floor=history.floor)
        replica.level = max(replica.level, history.level)
        return history.events(scope, since)

    def level(self, scope: str) -> int | None:
        """Return the stamp up to which everything of a scope has been noted; ``None``: nothing is known of it."""
        replica = self._replicas.get(scope)
        return max(replica.level, self._level or 0) if replica is not None and replica.loaded else None

    def forget(self, scope: str) -> None:
        """Know nothing of a scope until it is loaded again."""
        if (replica := self._replicas.get(scope)) is not None:
            replica.forget()
            replica.since = None

    def unload(self, scope: str) -> None:
        """Forget a scope."""
        self._replicas.pop(scope, None)

    # What readers in this process ask

    def position(self, scope: str) -> int:
        """Return the position of the last event of a scope."""
        replica = self._replicas.get(scope)
        return self._position if replica is None else replica.position

    def read(self, scope: str, after: int | None) -> Reading:
        """Return what changed in a scope after a position; ``None`` stands for a position that is not known."""
        replica = self._replicas.get(scope)
        known = replica is not None and after is not None and after <= self._position
        return Reading(self.position(scope), replica.read(after) if replica and known and after is not None else None)

    def cursor(self, scope: str, position: int | None) -> str:
        """Return a cursor up to which everything had been noted at a position."""
        level = self.level(scope)
        stamp = self._level if level is None else level
        replica = self._replicas.get(scope)
        if replica is not None and position is not None and position < replica.position:
            stamp = replica.stamp_at(position, stamp)
        return f"{self._epoch}-{UNKNOWN if stamp is None or position is None else stamp}"

    def cursor_of_stamp(self, stamp: int) -> str:
        """Return the cursor of a stamp."""
        return f"{self._epoch}-{stamp}"

    def parse(self, scope: str, cursor: str) -> int | None:
        """Return the position that a cursor stands for; ``None`` if it is of another epoch, or too old."""
        stamp = self._number(cursor)
        replica = self._replicas.get(scope)
        if stamp is None or replica is None or not replica.loaded or stamp < replica.stamp_floor:
            return None
        return replica.position_before(stamp)


def _placed(record: Record, positions: dict[int, int]) -> list[tuple[Change, tuple[int, int]]]:
    """Return what of a record has a position, as a change with its stamps."""
    newest, other = positions.get(record.stamp, 0), positions.get(record.other_stamp, 0)
    if newest:
        return [
            (Change(record.path, record.audience, newest, record.origin, other), (record.stamp, record.other_stamp))
        ]
    if other:
        return [(Change(record.path, record.audience, other, None, 0), (record.other_stamp, 0))]
    return []
