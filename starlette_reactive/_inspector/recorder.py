"""What the inspector knows: the last events with what each caused, the open groups, and what they did in all.

Events come from any thread, also from a signal handler that interrupts another event, so they are only put into a
queue there; no lock is taken. Groups tell of their work in their loops. They, and whoever reads the journal, first
enter the queued events, under the lock. So events and work are entered in the order in which they were told.

All of it is bounded: :data:`KEPT` events, and for each a bounded number of groups.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

from .._core.events import ChangeEvent
from .._index.registry import Registry
from .._streams.trace import Noted, Outcome
from .records import MAX_EFFECTS, Batch, Effect, EventRecord, Stage

__all__ = ["CHUNK", "KEPT", "GroupRecord", "Journal", "Totals"]

logger: logging.Logger = logging.getLogger("starlette_reactive.inspector")

KEPT = 200
"""How many events are kept."""
CHUNK = 20
"""Events are shown in two parts, so that an update need not hold all: between one and two chunks, and the rest."""

_CROSSING = 1.0  # seconds within which a group may tell of an event before the event itself is entered


@dataclass(frozen=True, slots=True)
class _Arrival:
    number: int
    at: float
    delivered_at: float
    event: ChangeEvent
    groups: tuple[GroupRecord, ...]


@dataclass(frozen=True, slots=True)
class Totals:
    """What all groups have done together.

    Args:
        groups: How many there are.
        viewers: How many viewers these have.
        renders: How often blocks were rendered.
        size: How many bytes were sent.
    """

    groups: int
    viewers: int
    renders: int
    size: int


class GroupRecord:
    """One group, as it tells of itself.

    Args:
        journal: Where it is entered.
        scope: Its scope.
        index: Which of its blocks show what.
    """

    def __init__(self, journal: Journal, scope: str, index: Registry) -> None:
        self._journal = journal
        self.scope = scope
        self.index = index
        self.page: str = ", ".join(
            dict.fromkeys(ref.template_name for ref in index.blocks())
        )  # the templates of its blocks
        self.viewers: int = 0
        self.renders: int = 0
        self.size: int = 0
        self.waiting: deque[Effect] = deque(maxlen=KEPT)  # delivered, and not yet noted
        self._open: deque[Effect] = deque(maxlen=KEPT)  # noted, and not yet rendered
        self._batch: tuple[Batch, list[Effect]] | None = None
        self._told: set[int] = set()  # whom the newest batch was sent to
        self._unclaimed: deque[_Unclaimed] = deque(maxlen=4)

    def seated(self, viewers: int) -> None:
        """Take over how many viewers there are."""
        with self._journal.telling():
            self.viewers = viewers
            self._journal.touch("presence", "counters")

    def noted(self, noted: Noted) -> None:
        """Find the events that the group has noted."""
        with self._journal.telling():
            unclaimed = _Unclaimed(time.monotonic(), noted)
            waiting = list(self.waiting)
            self.waiting.clear()
            for effect in waiting:
                if noted.changes is None or unclaimed.holds(effect.event.event, everything=True):
                    self._note(effect, noted)
                    unclaimed.claim(effect.event.event)
                else:
                    self.waiting.append(effect)
            self._unclaimed.append(unclaimed)

    def deliver(self, effect: Effect) -> None:
        """Await what the group makes of an event, or find that it was quicker than the event's entry."""
        recently = effect.event.delivered_at - _CROSSING
        for unclaimed in self._unclaimed:
            if unclaimed.at >= recently and unclaimed.holds(effect.event.event):
                self._note(effect, unclaimed.noted)
                unclaimed.claim(effect.event.event)
                return
        self.waiting.append(effect)

    def _note(self, effect: Effect, noted: Noted) -> None:
        effect.take_note(noted, self.index)
        self._journal.touch_event(effect.event)
        if effect.stage is Stage.RENDERING:
            self._open.append(effect)

    def rendered(self, outcome: Outcome) -> None:
        """Take over what was rendered."""
        with self._journal.telling():
            self.renders += 1
            batch = Batch(outcome.seconds)
            effects = list(self._open)
            self._told.clear()
            self._batch = batch, effects
            for effect in effects:
                effect.take_render(outcome.blocks, self.index, batch)
                batch.events.append(effect.event.number)
                retries = effect.stage is Stage.FAILED and outcome.retry_in is not None
                effect.retry_at = time.time() + (outcome.retry_in or 0.0) if retries else None
                self._journal.touch_event(effect.event)
            self._open = deque((each for each in effects if each.stage is Stage.FAILED), maxlen=KEPT)
            self._journal.touch("counters")

    def sent(self, viewer: object, size: int) -> None:
        """Count what a viewer was sent."""
        with self._journal.telling():
            self.size += size
            self._journal.touch("counters")
            if self._batch is None:
                return
            batch, effects = self._batch
            batch.viewers += id(viewer) not in self._told
            batch.size += size
            batch.sent_at = time.monotonic()
            self._told.add(id(viewer))
            for effect in effects:
                self._journal.touch_event(effect.event)

    def ended(self, reason: str | None) -> None:
        """Take the group out."""
        with self._journal.telling():
            for effect in (*self.waiting, *self._open):
                effect.stage = Stage.ENDED
                effect.reason = reason or "its last viewer has left"
                self._journal.touch_event(effect.event)
            self.waiting.clear()
            self._open.clear()
            self._told.clear()
            self._batch = None
            self._journal.remove(self)


class _Unclaimed:
    """What a group has noted, and which of the changes belong to no event that was entered."""

    def __init__(self, at: float, noted: Noted) -> None:
        self.at = at
        self.noted = noted
        self._all = {(told.change.audience, told.change.path) for told in noted.changes or ()}
        self._left = set(self._all)

    def holds(self, event: ChangeEvent, *, everything: bool = False) -> bool:
        """Tell whether an event is among what was noted, and nobody has claimed it unless ``everything`` counts."""
        return {(event.audience, path) for path in event.changed_paths} <= (self._all if everything else self._left)

    def claim(self, event: ChangeEvent) -> None:
        """Note that these changes are an event's."""
        self._left.difference_update((event.audience, path) for path in event.changed_paths)


class Journal:
    """The last events, and the groups that are open.

    Args:
        expand: Adds to changed paths those that are derived from them.
        count: Tells how many connections a scope has.
    """

    def __init__(self, expand: Callable[[frozenset[str]], frozenset[str]], count: Callable[[str], int]) -> None:
        self._expand = expand
        self._count = count
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._arrived: deque[_Arrival] = deque(maxlen=KEPT)
        self._records: deque[EventRecord] = deque(maxlen=KEPT)
        self._groups: dict[str, tuple[GroupRecord, ...]] = {}
        self._ended = Totals(0, 0, 0, 0)
        self._touched: set[str] = set()
        self._boundary = 0
        self.indexes: WeakValueDictionary[int, Registry] = WeakValueDictionary()

    # Told by the bus and its groups

    def observe(self, event: ChangeEvent) -> None:
        """Note an event; from any thread, also from one that is interrupted here."""
        groups = self._groups.get(event.scope, ())
        self._arrived.append(_Arrival(next(self._numbers), time.time(), time.monotonic(), event, groups))

    def group(self, scope: str, index: Registry) -> GroupRecord:
        """Enter a group."""
        with self.entering():
            record = GroupRecord(self, scope, index)
            self._groups[scope] = (*self._groups.get(scope, ()), record)
            self.touch("presence", "counters")
            if id(index) not in self.indexes:
                self.indexes[id(index)] = index
                self.touch("picture")
            return record

    def remove(self, record: GroupRecord) -> None:
        """Take a group out; what it did still counts."""
        known = self._groups.get(record.scope, ())
        if record not in known:
            return
        self._groups[record.scope] = tuple(each for each in known if each is not record)
        if not self._groups[record.scope]:
            del self._groups[record.scope]
        ended = self._ended
        self._ended = Totals(0, 0, ended.renders + record.renders, ended.size + record.size)
        self.touch("presence", "counters")

    @contextmanager
    def entering(self) -> Iterator[None]:
        """Hold the journal, with all events entered."""
        with self._lock:
            while self._arrived:
                self._enter(self._arrived.popleft())
            yield

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Do as :meth:`entering`; a fault in here is logged, for it shall not end what is looked at."""
        try:
            with self.entering():
                yield
        except Exception:
            logger.exception("the inspector failed to take note")

    def _enter(self, arrival: _Arrival) -> None:
        event = arrival.event
        derived = self._expand(event.changed_paths) - event.changed_paths
        record = EventRecord(arrival.number, arrival.at, arrival.delivered_at, event, derived)
        self._records.append(record)
        boundary = max(0, (record.number // CHUNK - 1) * CHUNK)
        if boundary != self._boundary:
            self._boundary = boundary
            self.touch("older")
        self.touch("newest", "counters")
        record.others = 0 if arrival.groups else self._count(event.scope)
        record.more_groups = max(0, len(arrival.groups) - MAX_EFFECTS)
        for group in arrival.groups[:MAX_EFFECTS]:
            effect = Effect(record, group.page, viewers=group.viewers)
            record.effects.append(effect)
            group.deliver(effect)

    def touch(self, *parts: str) -> None:
        """Note that parts of the page have something new to show."""
        self._touched.update(parts)

    def touch_event(self, record: EventRecord) -> None:
        """Note that an event has something new to show."""
        self._touched.add("newest" if record.number > self._boundary else "older")

    # Asked by the page

    def take_touched(self) -> set[str]:
        """Return which parts of the page have had something new to show since this was last asked."""
        with self.entering():
            touched, self._touched = self._touched, set()
        return touched

    def newest(self) -> list[EventRecord]:
        """Return the newest events, the last one first; to be read while :meth:`entering`."""
        return [record for record in reversed(self._records) if record.number > self._boundary]

    def older(self) -> list[EventRecord]:
        """Return the events before :meth:`newest`; to be read while :meth:`entering`."""
        found = [record for record in reversed(self._records) if record.number <= self._boundary]
        return found[: KEPT - 2 * CHUNK]

    def scopes(self) -> dict[str, tuple[GroupRecord, ...]]:
        """Return the open groups of each scope, and none for scopes that only have events."""
        with self.entering():
            return {**{record.event.scope: () for record in self._records}, **self._groups}

    def totals(self) -> Totals:
        """Return what all groups, those that have ended as well, have done."""
        with self.entering():
            groups = [group for each in self._groups.values() for group in each]
            return Totals(
                len(groups),
                sum(group.viewers for group in groups),
                self._ended.renders + sum(group.renders for group in groups),
                self._ended.size + sum(group.size for group in groups),
            )
