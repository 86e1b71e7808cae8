"""What an event caused in each group of viewers, or why it caused nothing.

Everything here changes only under the recorder's lock.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from .._core.blocks import BlockRef
from .._core.events import ChangeEvent
from .._core.paths import overlap
from .._index.registry import Registry
from .._streams.trace import RenderedBlock, TracedChange, TracedReading

__all__ = [
    "MAX_EFFECTS",
    "BlockEffect",
    "BlockStatus",
    "EventRecord",
    "GroupEffect",
    "GroupStatus",
    "RenderRecord",
    "changes_of",
]

MAX_EFFECTS = 48
"""How many groups are kept for each event. Further ones are only counted."""


class BlockStatus(StrEnum):
    """What happened to a block."""

    WAITING = "waiting"
    """It is being rendered."""
    SENT = "sent"
    SAME = "same"
    """It was rendered, and its HTML did not change."""
    INSIDE = "inside"
    """It is part of a block that was rendered."""
    FAILED = "failed"


class GroupStatus(StrEnum):
    """How far a group has processed an event."""

    DELIVERED = "delivered"
    """The group has not read it yet."""
    UNSEEN = "unseen"
    """No block of the page shows its paths."""
    WITHHELD = "withheld"
    """None of the group's viewers is to receive it."""
    RENDERING = "rendering"
    RENDERED = "rendered"
    FAILED = "failed"
    ENDED = "ended"
    """The group ended before it rendered the event."""


@dataclass(slots=True, eq=False)
class BlockEffect:
    """A block that shows an event's paths.

    Args:
        ref: The block.
        status: What happened to it.
        detail: The name of the block around it, or the error.
        size: The size of its HTML in bytes.
    """

    ref: BlockRef
    status: BlockStatus = BlockStatus.WAITING
    detail: str = ""
    size: int = 0


_render_numbers = itertools.count(1)


@dataclass(slots=True, eq=False)
class RenderRecord:
    """One render, and its delivery to the viewers.

    Args:
        seconds: How long it took.
        number: Its unique number.
        viewers: The number of viewers that were sent something.
        size: The bytes that they were sent in total.
        sent_at: When the last of them was sent something, in seconds of :func:`time.monotonic`.
        events: The numbers of the events that it covers.
    """

    seconds: float
    number: int = field(default_factory=lambda: next(_render_numbers))
    viewers: int = 0
    size: int = 0
    sent_at: float | None = None
    events: list[int] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class GroupEffect:
    """What an event caused in a group.

    Args:
        event: The event.
        page: The template of the group's blocks.
        personal: Whether these are the personal blocks of one viewer, which another group counts.
        status: How far the group has processed it.
        viewers: The number of viewers in the group.
        own: How many of them made the change themselves, and are not sent it.
        outside: How many of them are outside its audience, or do not have its scope.
        later: How many of them made the change themselves, and are sent it a little later.
        blocks: The blocks that show its paths.
        render: The render that covers it.
        retry_at: When a failed render is retried, in seconds of :func:`time.time`.
        attempts: The number of renders so far.
        reason: Why the group has ended.
        differences: What was different for two viewers in these renders.
    """

    event: EventRecord
    page: str
    personal: bool = False
    status: GroupStatus = GroupStatus.DELIVERED
    viewers: int = 0
    own: int = 0
    outside: int = 0
    later: int = 0
    blocks: list[BlockEffect] = field(default_factory=list)
    render: RenderRecord | None = None
    retry_at: float | None = None
    attempts: int = 0
    reason: str = ""
    differences: list[str] = field(default_factory=list)

    def apply_reading(self, reading: TracedReading, registry: Registry) -> None:
        """Record what the group read in the change log."""
        self.viewers = reading.viewers
        mine = changes_of(self.event.event, reading.changes)
        self.own = max((each.own for each in mine), default=0)
        self.outside = max((each.outside for each in mine), default=0)
        self.later = max((each.later for each in mine), default=0)
        blocks = registry.affected(self.event.event.changed_paths)
        if not blocks:
            self.status = GroupStatus.UNSEEN
        elif reading.changes is not None and self.own + self.outside >= self.viewers:
            self.status = GroupStatus.WITHHELD
        else:
            self.status = GroupStatus.RENDERING
            self.blocks = [BlockEffect(ref) for ref in blocks]
            self.blocks += [
                BlockEffect(inner, BlockStatus.INSIDE, outer.block_name)
                for outer in blocks
                for inner in _affected_inside(registry, outer, self.event.event.changed_paths)
            ]

    def is_covered_by(self, rendered: Iterable[RenderedBlock]) -> bool:
        """Return whether a render is the one that the event waits for. Viewers who made it themselves get it later."""
        waits = self.own + self.outside + self.later >= self.viewers and self.later > 0
        shown = {block.ref for block in self.blocks}
        return not waits or any(each.ref in shown for each in rendered)

    def apply_render(self, rendered: Iterable[RenderedBlock], registry: Registry, render: RenderRecord) -> None:
        """Record the result of a render."""
        self.render = render
        self.attempts += 1
        self.event.runs += 1
        results = {each.ref: each for each in rendered}
        around = {inner: outer.block_name for outer in results for inner in registry.blocks_inside(outer)}
        for block in self.blocks:
            result = results.get(block.ref)
            if result is not None:
                block.size = result.size
                block.status = BlockStatus.SAME if result.repeated else BlockStatus.SENT
                block.detail = ""
                if result.error is not None:
                    block.status = BlockStatus.FAILED
                    block.detail = f"{type(result.error).__name__}: {result.error}"
            elif block.ref in around and block.status in (BlockStatus.WAITING, BlockStatus.FAILED):
                block.status, block.detail = BlockStatus.INSIDE, around[block.ref]
        failed = any(block.status is BlockStatus.FAILED for block in self.blocks)
        self.status = GroupStatus.FAILED if failed else GroupStatus.RENDERED


def _affected_inside(registry: Registry, outer: BlockRef, paths: Iterable[str]) -> list[BlockRef]:
    """Return the blocks inside another one that show one of the paths themselves."""
    changed = list(paths)
    return [
        ref
        for ref in registry.blocks_inside(outer)
        if any(overlap(path, read) for read in registry.dependencies(*ref.key) for path in changed)
    ]


def changes_of(event: ChangeEvent, changes: Iterable[TracedChange] | None) -> list[TracedChange]:
    """Return the changes that an event made."""
    return [
        each
        for each in changes or ()
        if each.change.scope == event.scope
        and each.change.audience == event.audience
        and each.change.path in event.changed_paths
        and each.change.origin == event.origin
    ]


@dataclass(slots=True, eq=False)
class EventRecord:
    """An event, as it was delivered.

    Args:
        number: The event's number, counted from 1.
        at: When it was delivered, in seconds of :func:`time.time`.
        delivered_at: The same, in seconds of :func:`time.monotonic`.
        event: The event.
        derived: The paths that are derived from its own.
        effects: What it caused in each group.
        more_groups: The number of further groups, whose effects are not kept.
        others: The number of connections in its scope, if the scope has no group.
        runs: How many times an endpoint or a context builder has run for it, in all groups.
    """

    number: int
    at: float
    delivered_at: float
    event: ChangeEvent
    derived: frozenset[str] = frozenset()
    effects: list[GroupEffect] = field(default_factory=list)
    more_groups: int = 0
    others: int = 0
    runs: int = 0
