"""What groups report about their work to those who trace a bus, such as the inspector.

Groups look up the tracers once, when they start. Without tracers they compute and report nothing.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol
from weakref import ReferenceType, WeakKeyDictionary, ref

from .._bus.hub import Hub
from .._core.blocks import BlockRef, Patch
from .._core.reads import Read
from .._index.registry import Registry
from .._index.tables import IndexedBlock
from .._log.changelog import Change, Reading
from .rendering import Rendered
from .viewer import Viewer

__all__ = [
    "GroupTrace",
    "GroupTraces",
    "RenderTrace",
    "RenderedBlock",
    "TracedChange",
    "TracedReading",
    "Tracer",
    "add_tracer",
]


@dataclass(frozen=True, slots=True)
class TracedChange:
    """A change, as the viewers of a group are notified of it.

    Args:
        change: The entry of the change log.
        own: How many viewers made it themselves, and so are not notified.
        outside: How many viewers are outside its audience, or do not have its scope.
        later: How many viewers made it themselves, and are notified a little later.
    """

    change: Change
    own: int
    outside: int
    later: int = 0


@dataclass(frozen=True, slots=True)
class TracedReading:
    """What a group found in the change log.

    Args:
        changes: The changes. ``None`` if the log no longer knows them, so that everything may have changed.
        affected: The blocks to render.
        viewers: How many viewers the group has.
    """

    changes: Sequence[TracedChange] | None
    affected: Sequence[BlockRef]
    viewers: int


@dataclass(frozen=True, slots=True)
class RenderedBlock:
    """The result of rendering a block.

    Args:
        ref: The block.
        size: The size of its HTML in bytes.
        repeated: Whether it is the HTML that the viewers were offered last.
        error: Why there is none.
    """

    ref: BlockRef
    size: int
    repeated: bool
    error: Exception | None


@dataclass(frozen=True, slots=True)
class RenderTrace:
    """One run of the context builder, and what was rendered from it.

    Args:
        blocks: The result of each block.
        seconds: How long it took.
        retry_in: Seconds until what failed is tried again.
    """

    blocks: Sequence[RenderedBlock]
    seconds: float
    retry_in: float | None


class GroupTrace(Protocol):
    """What one group reports to. It is called in the group's event loop, and must not raise or wait."""

    def viewers_changed(self, viewers: int) -> None:
        """A viewer has joined or left. The group now has this many."""

    def viewers_in(self, scope: str, viewers: int) -> None:
        """A viewer with a further scope has joined or left. In this scope, the group now has this many."""

    def read(self, reading: TracedReading) -> None:
        """The change log was read."""

    def rendered(self, render: RenderTrace) -> None:
        """Blocks were rendered, and are offered to the viewers."""

    def sent(self, viewer: object, size: int) -> None:
        """A viewer was sent this many bytes of the newest blocks."""

    def differed(self, ref: BlockRef, message: str) -> None:
        """A block that the viewers share was different for two of them."""

    def reads(self, entries: Sequence[Read]) -> None:
        """The group's runs have read this from databases."""

    def ended(self, reason: str | None) -> None:
        """The group ends. Without a reason, its last viewer has left. It may be called twice."""


class Tracer(Protocol):
    """Traces the groups of a bus."""

    def group(self, scope: str, registry: Registry, *, follows: bool = False) -> GroupTrace:
        """A group starts.

        Args:
            scope: The scope that all of its viewers have.
            registry: Its blocks.
            follows: Whether its viewers belong to another group too, which counts them. Then these are the personal
                blocks of one viewer, and the group may read only the changes that concern them.
        """


_tracers: WeakKeyDictionary[Hub, tuple[ReferenceType[Tracer], ...]] = WeakKeyDictionary()


def add_tracer(hub: Hub, tracer: Tracer) -> None:
    """Trace the groups of a bus that start from now on, for as long as the tracer is referenced."""
    _tracers[hub] = (*(each for each in _tracers.get(hub, ()) if each() is not None), ref(tracer))


class GroupTraces:
    """Reports what a group does to each tracer of its bus, as :class:`GroupTrace` describes.

    Args:
        hub: The bus.
        scope: The group's scope.
        registry: Which blocks show what.
        follows: Whether its viewers belong to another group too, which counts them.
    """

    __slots__ = ("_traces",)

    def __init__(self, hub: Hub, scope: str, registry: Registry, *, follows: bool = False) -> None:
        tracers = [each() for each in _tracers.get(hub, ())]
        self._traces = tuple(tracer.group(scope, registry, follows=follows) for tracer in tracers if tracer is not None)

    def viewers_changed(self, viewers: int) -> None:
        """Report how many viewers there are now."""
        for trace in self._traces:
            trace.viewers_changed(viewers)

    def viewers_in(self, scope: str, viewers: int) -> None:
        """Report how many viewers have a further scope now."""
        for trace in self._traces:
            trace.viewers_in(scope, viewers)

    def read(
        self, reading: Reading, before: int, affected: Sequence[IndexedBlock], viewers: Collection[Viewer]
    ) -> None:
        """Report a reading after a position, and which blocks it affects."""
        if self._traces:
            refs = [block.ref for block in affected]
            changes = None if reading.changes is None else [_traced(each, before, viewers) for each in reading.changes]
            for trace in self._traces:
                trace.read(TracedReading(changes, refs, len(viewers)))

    def rendered(
        self,
        blocks: Sequence[IndexedBlock],
        rendered: Rendered,
        repeated: Sequence[Patch],
        since: float,
        pause: float | None,
    ) -> None:
        """Report the render of blocks, unless it only admitted a viewer.

        Args:
            blocks: The blocks.
            rendered: The result of each.
            repeated: Those that are the same as before.
            since: The monotonic time at which it began.
            pause: Seconds until what failed is tried again. ``None`` if nothing did.
        """
        if self._traces and blocks:
            results = _rendered_blocks([block.ref for block in blocks], rendered, repeated)
            for trace in self._traces:
                trace.rendered(RenderTrace(results, time.monotonic() - since, pause))

    def sent(self, viewer: Viewer, size: int) -> None:
        """Report how many bytes a viewer was sent."""
        for trace in self._traces:
            trace.sent(viewer, size)

    def differed(self, ref: BlockRef, message: str) -> None:
        """Report that a block that the viewers share was different for two of them.

        Args:
            ref: The block.
            message: Where the block is, which viewers it was different for, and what to do, without a full stop.
        """
        for trace in self._traces:
            trace.differed(ref, message)

    def reads(self, entries: Sequence[Read]) -> None:
        """Report what the group's runs have read from databases."""
        for trace in self._traces:
            trace.reads(entries)

    def ended(self, reason: str | None) -> None:
        """Report the end of the group."""
        for trace in self._traces:
            trace.ended(reason)


def _traced(change: Change, before: int, viewers: Collection[Viewer]) -> TracedChange:
    not_owed = [viewer for viewer in viewers if not viewer.is_owed(change, before)]
    inside = [viewer for viewer in not_owed if viewer.is_in_audience(change)]
    later = sum(change.path in viewer.crossed_paths for viewer in inside)
    return TracedChange(change, len(inside) - later, len(not_owed) - len(inside), later)


def _rendered_blocks(blocks: Sequence[BlockRef], rendered: Rendered, repeated: Sequence[Patch]) -> list[RenderedBlock]:
    """Return the result of each block."""
    same = {patch.ref for patch in repeated}
    found = []
    for block in blocks:
        html = rendered[block.key]
        error = html if isinstance(html, Exception) else None
        found.append(RenderedBlock(block, len(html.encode()) if isinstance(html, str) else 0, block in same, error))
    return found
