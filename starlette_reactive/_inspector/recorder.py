"""Records the last events with their effects, the open groups, and totals.

Events arrive from any thread, even from a signal handler that interrupts another event. So :meth:`Recorder.observe`
only appends to a queue and takes no lock. Groups report their work from their event loops. They and every reader hold
the lock and first move queued events into the records, so that events and work are recorded in the order they happened.

Memory is bounded: :data:`MAX_EVENTS` events, each with a bounded number of groups.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

from .._core.blocks import BlockRef
from .._core.events import ChangeEvent
from .._core.failures import Failures
from .._core.reads import Read
from .._index.registry import Registry
from .._streams.trace import RenderTrace, TracedReading
from .effects import MAX_EFFECTS, EventRecord, GroupEffect, GroupStatus, RenderRecord
from .readings import RecordedReading

__all__ = ["CHUNK", "MAX_DIFFERENCES", "MAX_EVENTS", "Difference", "GroupRecorder", "Recorder", "Totals"]


MAX_EVENTS = 200
"""How many events are kept."""
CHUNK = 20
"""The page shows events in two parts, so that most updates do not send all of them: one to two chunks, and the rest."""

MAX_DIFFERENCES = 20
"""How many differences between viewers are kept."""

_MAX_LEAD = 1.0  # seconds by which a group may report an event before the event itself is recorded


@dataclass(frozen=True, slots=True)
class _QueuedEvent:
    number: int
    at: float
    delivered_at: float
    event: ChangeEvent
    groups: tuple[GroupRecorder, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A block that viewers share and that was different for two of them.

    Args:
        scope: The scope of the viewers.
        ref: The block.
        message: Where the block is, which viewers it was different for, and what to do.
        at: When it was last found, in seconds of :func:`time.time`.
        times: How often it was found.
    """

    scope: str
    ref: BlockRef
    message: str
    at: float
    times: int


@dataclass(frozen=True, slots=True)
class Totals:
    """The totals of all groups.

    Args:
        groups: The number of open groups that count their viewers.
        viewers: The number of their viewers.
        renders: The number of renders since the start.
        size: The bytes sent since the start.
    """

    groups: int
    viewers: int
    renders: int
    size: int


class GroupRecorder:
    """Records what one group reports.

    Args:
        recorder: The recorder that it belongs to.
        scope: The scope that all viewers of the group have.
        registry: The group's blocks.
        follows: Whether its viewers belong to another group too, which counts them.
    """

    def __init__(self, recorder: Recorder, scope: str, registry: Registry, *, follows: bool) -> None:
        self._recorder = recorder
        self.follows = follows
        self.scope = scope
        self.registry = registry
        self.page: str = ", ".join(dict.fromkeys(ref.template_name for ref in registry.blocks()))
        self.viewers: int = 0
        self.others: dict[str, int] = {}  # the number of viewers in each further scope
        self.entries: tuple[Read, ...] = ()  # what its runs have read from databases
        self.renders: int = 0
        self.size: int = 0
        self.waiting: deque[GroupEffect] = deque(maxlen=MAX_EVENTS)  # delivered, and not read yet
        self._unrendered: deque[GroupEffect] = deque(maxlen=MAX_EVENTS)  # read, and not rendered yet
        self._newest: tuple[RenderRecord, list[GroupEffect]] | None = None
        self._reached: set[int] = set()  # the viewers that were sent the newest render
        self._readings: deque[RecordedReading] = deque(maxlen=4)

    def viewers_changed(self, viewers: int) -> None:
        """Record the number of viewers."""
        with self._recorder.recording():
            self.viewers = viewers
            self._recorder.mark_changed("presence", "counters")

    def viewers_in(self, scope: str, viewers: int) -> None:
        """Record the number of viewers in a further scope."""
        with self._recorder.recording():
            if scope not in self.others:
                self._recorder.add_to(scope, self)
            self.others[scope] = viewers
            if not viewers:
                self._recorder.remove_from(scope, self)
                del self.others[scope]
            self._recorder.mark_changed("presence")

    def count_in(self, scope: str) -> int:
        """Return the number of viewers in a scope."""
        return self.viewers if scope == self.scope else self.others.get(scope, 0)

    def read(self, reading: TracedReading) -> None:
        """Match what the group read in the change log to the delivered events."""
        with self._recorder.recording():
            recorded = RecordedReading(time.monotonic(), reading)
            waiting = list(self.waiting)
            self.waiting.clear()
            for effect in waiting:
                if reading.changes is None or recorded.contains(effect.event.event):
                    self._apply(recorded, effect)
                else:
                    self.waiting.append(effect)
            self._readings.append(recorded)

    def is_notified_of(self, event: ChangeEvent) -> bool:
        """Return whether the group reads an event. One that follows another group reads what its own blocks show."""
        return not self.follows or bool(self.registry.affected(event.changed_paths))

    def deliver(self, effect: GroupEffect) -> None:
        """Wait for the group to read an event, unless it did so before the event was recorded."""
        earliest = effect.event.delivered_at - _MAX_LEAD
        for reading in self._readings:
            if reading.at >= earliest and reading.contains_unclaimed(effect.event.event):
                self._apply(reading, effect)
                return
        self.waiting.append(effect)

    def _apply(self, reading: RecordedReading, effect: GroupEffect) -> None:
        effect.apply_reading(reading.traced, self.registry)
        reading.claim(effect.event.event)
        self._recorder.mark_event_changed(effect.event)
        if effect.status is GroupStatus.RENDERING:
            self._unrendered.append(effect)

    def rendered(self, trace: RenderTrace) -> None:
        """Record a render."""
        with self._recorder.recording():
            self.renders += 1
            render = RenderRecord(trace.seconds)
            effects = [each for each in self._unrendered if each.is_covered_by(trace.blocks)]
            waiting = [each for each in self._unrendered if each not in effects]
            self._reached.clear()
            self._newest = render, effects
            for effect in effects:
                effect.apply_render(trace.blocks, self.registry, render)
                render.events.append(effect.event.number)
                retries = effect.status is GroupStatus.FAILED and trace.retry_in is not None
                effect.retry_at = time.time() + (trace.retry_in or 0.0) if retries else None
                self._recorder.mark_event_changed(effect.event)
            failed = (each for each in effects if each.status is GroupStatus.FAILED)
            self._unrendered = deque((*waiting, *failed), maxlen=MAX_EVENTS)
            self._recorder.mark_changed("counters")

    def sent(self, viewer: object, size: int) -> None:
        """Record the bytes sent to a viewer."""
        with self._recorder.recording():
            self.size += size
            self._recorder.mark_changed("counters")
            if self._newest is None:
                return
            render, effects = self._newest
            render.viewers += id(viewer) not in self._reached
            render.size += size
            render.sent_at = time.monotonic()
            self._reached.add(id(viewer))
            for effect in effects:
                self._recorder.mark_event_changed(effect.event)

    def differed(self, ref: BlockRef, message: str) -> None:
        """Record a block that was different for two viewers."""
        with self._recorder.recording():
            self._recorder.add_difference(self.scope, ref, message)
            for effect in () if self._newest is None else self._newest[1]:
                if message not in effect.differences:
                    effect.differences.append(message)
                    self._recorder.mark_event_changed(effect.event)

    def reads(self, entries: Sequence[Read]) -> None:
        """Record what the group's runs have read from databases."""
        with self._recorder.recording():
            self.entries = tuple(entries)
            self._recorder.mark_changed("reads")

    def ended(self, reason: str | None) -> None:
        """Record the end of the group. Idempotent."""
        with self._recorder.recording():
            unread = () if self.follows else self.waiting  # it may not have been woken for these
            for effect in (*unread, *self._unrendered):
                effect.status = GroupStatus.ENDED
                effect.reason = reason or "its last viewer left"
                self._recorder.mark_event_changed(effect.event)
            self.waiting.clear()
            self._unrendered.clear()
            self._reached.clear()
            self._newest = None
            self._recorder.remove(self)


class Recorder:
    """The last events, and the open groups.

    Args:
        expand: Adds derived paths to changed paths.
        count: Returns the number of connections in a scope.
    """

    def __init__(self, expand: Callable[[frozenset[str]], frozenset[str]], count: Callable[[str], int]) -> None:
        self._expand = expand
        self._count = count
        self._lock = threading.RLock()
        self._failures = Failures(logging.getLogger("starlette_reactive.inspector"))
        self._numbers = itertools.count(1)
        self._queue: deque[_QueuedEvent] = deque(maxlen=MAX_EVENTS)
        self._records: deque[EventRecord] = deque(maxlen=MAX_EVENTS)
        self._groups: dict[str, tuple[GroupRecorder, ...]] = {}
        self._ended = Totals(0, 0, 0, 0)
        self._changed_parts: set[str] = set()
        self._boundary = 0
        self._differences: dict[tuple[str, str], Difference] = {}  # by scope and message, the last one at the end
        self.registries: WeakValueDictionary[int, Registry] = WeakValueDictionary()

    # Called by the bus and its groups

    def observe(self, event: ChangeEvent) -> None:
        """Queue an event. Thread-safe, lock-free and reentrant."""
        groups = self._groups.get(event.scope, ())
        self._queue.append(_QueuedEvent(next(self._numbers), time.time(), time.monotonic(), event, groups))

    def group(self, scope: str, registry: Registry, *, follows: bool = False) -> GroupRecorder:
        """Add a group."""
        with self.locked():
            group = GroupRecorder(self, scope, registry, follows=follows)
            self.add_to(scope, group)
            self.mark_changed("presence", "counters")
            if id(registry) not in self.registries:
                self.registries[id(registry)] = registry
                self.mark_changed("graph")
            return group

    def remove(self, group: GroupRecorder) -> None:
        """Remove a group. Its work stays in the totals."""
        if group not in self._groups.get(group.scope, ()):
            return
        for scope in (group.scope, *group.others):
            self.remove_from(scope, group)
        self._ended = Totals(0, 0, self._ended.renders + group.renders, self._ended.size + group.size)
        self.mark_changed("presence", "counters", "reads")

    def add_to(self, scope: str, group: GroupRecorder) -> None:
        """Add a group to those of a scope. Call it while :meth:`locked`."""
        self._groups[scope] = (*self._groups.get(scope, ()), group)

    def remove_from(self, scope: str, group: GroupRecorder) -> None:
        """Remove a group from those of a scope. Call it while :meth:`locked`."""
        self._groups[scope] = tuple(each for each in self._groups.get(scope, ()) if each is not group)
        if not self._groups[scope]:
            del self._groups[scope]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock, after recording all queued events."""
        with self._lock:
            while self._queue:
                self._record(self._queue.popleft())
            yield

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Hold the lock as :meth:`locked` does. Errors are logged, because they must not end the group."""
        with self._failures.logged("recording a group's work for the inspector"), self.locked():
            yield

    def _record(self, queued: _QueuedEvent) -> None:
        event = queued.event
        derived = self._expand(event.changed_paths) - event.changed_paths
        record = EventRecord(queued.number, queued.at, queued.delivered_at, event, derived)
        self._records.append(record)
        boundary = max(0, (record.number // CHUNK - 1) * CHUNK)
        if boundary != self._boundary:
            self._boundary = boundary
            self.mark_changed("older")
        self.mark_changed("newest", "counters")
        record.others = 0 if queued.groups else self._count(event.scope)
        groups = [group for group in queued.groups if group.is_notified_of(event)]
        record.more_groups = max(0, len(groups) - MAX_EFFECTS)
        for group in sorted(groups, key=lambda group: group.follows):
            effect = GroupEffect(record, group.page, group.follows, viewers=group.viewers)
            if len(record.effects) < MAX_EFFECTS:
                record.effects.append(effect)
            group.deliver(effect)  # also those that are not kept, for the number of runs

    def add_difference(self, scope: str, ref: BlockRef, message: str) -> None:
        """Record that a block was different for two viewers of a scope."""
        known = self._differences.pop((scope, message), None)
        times = 1 if known is None else known.times + 1
        self._differences[scope, message] = Difference(scope, ref, message, time.time(), times)
        if len(self._differences) > MAX_DIFFERENCES:
            del self._differences[next(iter(self._differences))]
        self.mark_changed("differences")

    def mark_changed(self, *parts: str) -> None:
        """Mark parts of the page as changed."""
        self._changed_parts.update(parts)

    def mark_event_changed(self, record: EventRecord) -> None:
        """Mark the part of the page that shows an event as changed."""
        self._changed_parts.add("newest" if record.number > self._boundary else "older")

    # Read by the page

    def take_changed_parts(self) -> set[str]:
        """Return the parts of the page that changed since the last call."""
        with self.locked():
            changed, self._changed_parts = self._changed_parts, set()
        return changed

    def newest(self) -> list[EventRecord]:
        """Return the newest events, the last one first. Call it while :meth:`locked`."""
        return [record for record in reversed(self._records) if record.number > self._boundary]

    def older(self) -> list[EventRecord]:
        """Return the events before :meth:`newest`. Call it while :meth:`locked`."""
        found = [record for record in reversed(self._records) if record.number <= self._boundary]
        return found[: MAX_EVENTS - 2 * CHUNK]

    def scopes(self) -> dict[str, tuple[GroupRecorder, ...]]:
        """Return the open groups of each scope. Scopes that only have events have none."""
        with self.locked():
            return {**{record.event.scope: () for record in self._records}, **self._groups}

    def differences(self) -> list[Difference]:
        """Return the blocks that were different for two viewers, the last one first."""
        with self.locked():
            return list(reversed(self._differences.values()))

    def totals(self) -> Totals:
        """Return the totals of all groups, including those that have ended."""
        with self.locked():
            groups = [group for scope, each in self._groups.items() for group in each if group.scope == scope]
            counting = [group for group in groups if not group.follows]
            return Totals(
                len(counting),
                sum(group.viewers for group in counting),
                self._ended.renders + sum(group.renders for group in groups),
                self._ended.size + sum(group.size for group in groups),
            )
