"""What groups tell of their work to those who trace a bus, as the inspector does.

Groups ask once, when they begin, whether somebody does. Where nobody does they compute and tell nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from weakref import ReferenceType, WeakKeyDictionary, ref

from .._bus.hub import Hub
from .._core.blocks import BlockRef, Patch
from .._index.registry import Registry
from .._log.changelog import Change, Reading
from .rendering import Rendered
from .viewer import Viewer

__all__ = [
    "GroupTrace",
    "Noted",
    "Outcome",
    "RenderedBlock",
    "ToldChange",
    "Tracer",
    "add_tracer",
    "noted",
    "outcomes",
    "traces_of",
]


@dataclass(frozen=True, slots=True)
class ToldChange:
    """A change as a group's viewers are told of it.

    Args:
        change: What the change log holds.
        own: How many viewers made it themselves, and so are not told.
        outside: How many viewers it is not for.
    """

    change: Change
    own: int
    outside: int


@dataclass(frozen=True, slots=True)
class Noted:
    """What a group found in the change log.

    Args:
        changes: The changes; ``None``: the log no longer knows, so everything may have changed.
        affected: The blocks to render.
        viewers: How many viewers the group has.
    """

    changes: Sequence[ToldChange] | None
    affected: Sequence[BlockRef]
    viewers: int


@dataclass(frozen=True, slots=True)
class RenderedBlock:
    """What came of a block.

    Args:
        ref: The block.
        size: Bytes of its HTML.
        repeated: Whether it is the HTML that the viewers were offered last.
        error: Why there is none.
    """

    ref: BlockRef
    size: int
    repeated: bool
    error: Exception | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of the context builder, and what was rendered from it.

    Args:
        blocks: What came of each block.
        seconds: How long it took.
        retry_in: Seconds until what failed is tried again.
    """

    blocks: Sequence[RenderedBlock]
    seconds: float
    retry_in: float | None


class GroupTrace(Protocol):
    """What one group tells. It is called in the group's event loop; it must not raise, and not wait."""

    def seated(self, viewers: int) -> None:
        """A viewer has come or left; so many are there now."""

    def noted(self, noted: Noted) -> None:
        """The change log was read."""

    def rendered(self, outcome: Outcome) -> None:
        """Blocks were rendered, and are offered to the viewers."""

    def sent(self, viewer: object, size: int) -> None:
        """A viewer was sent so many bytes of the newest blocks."""

    def ended(self, reason: str | None) -> None:
        """The group ends; without a reason its last viewer has left. It may be told twice."""


class Tracer(Protocol):
    """Who wants to be told of the groups of a bus."""

    def group(self, scope: str, registry: Registry) -> GroupTrace:
        """A group begins."""


_tracers: WeakKeyDictionary[Hub, tuple[ReferenceType[Tracer], ...]] = WeakKeyDictionary()


def add_tracer(hub: Hub, tracer: Tracer) -> None:
    """Tell a tracer of the groups of a bus that begin from now on, for as long as somebody holds the tracer."""
    _tracers[hub] = (*(each for each in _tracers.get(hub, ()) if each() is not None), ref(tracer))


def traces_of(hub: Hub, scope: str, registry: Registry) -> tuple[GroupTrace, ...]:
    """Return whom a group that begins is to tell."""
    tracers = [each() for each in _tracers.get(hub, ())]
    return tuple(tracer.group(scope, registry) for tracer in tracers if tracer is not None)


def noted(reading: Reading, before: int, affected: Sequence[BlockRef], viewers: Sequence[Viewer]) -> Noted:
    """Return what a reading after a position means to viewers."""
    if reading.changes is None:
        return Noted(None, affected, len(viewers))
    return Noted([_told(change, before, viewers) for change in reading.changes], affected, len(viewers))


def _told(change: Change, before: int, viewers: Sequence[Viewer]) -> ToldChange:
    untold = [viewer for viewer in viewers if not viewer.is_owed(change, before)]
    own = sum(viewer.is_in_audience(change) for viewer in untold)
    return ToldChange(change, own, len(untold) - own)


def outcomes(blocks: Sequence[BlockRef], rendered: Rendered, repeated: Sequence[Patch]) -> list[RenderedBlock]:
    """Return what came of each block."""
    same = {patch.ref for patch in repeated}
    found = []
    for block in blocks:
        html = rendered[block.key]
        error = html if isinstance(html, Exception) else None
        found.append(RenderedBlock(block, len(html.encode()) if isinstance(html, str) else 0, block in same, error))
    return found
