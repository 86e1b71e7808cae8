"""What is kept of an event: what it caused in each group of viewers, and why it caused nothing where it did not.

All of it is changed under the journal's lock only.
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
from .._streams.trace import Noted, RenderedBlock, ToldChange

__all__ = ["MAX_EFFECTS", "Batch", "BlockRecord", "Effect", "EventRecord", "Fate", "Stage", "tell_of"]

MAX_EFFECTS = 48
"""For how many groups it is kept what an event caused there; of the others only how many they are."""


class Fate(StrEnum):
    """What came of a block."""

    WAITING = "waiting"
    SENT = "sent"
    SAME = "same"
    INSIDE = "inside"
    FAILED = "failed"


class Stage(StrEnum):
    """How far an event has come in a group."""

    DELIVERED = "delivered"
    """The group has not looked yet."""
    UNSEEN = "unseen"
    """No block of the page shows it."""
    WITHHELD = "withheld"
    """Nobody there is to be told of it."""
    RENDERING = "rendering"
    """Its blocks are being rendered."""
    RENDERED = "rendered"
    FAILED = "failed"
    ENDED = "ended"
    """The group has ended before it was rendered."""


@dataclass(slots=True, eq=False)
class BlockRecord:
    """A block that an event concerns.

    Args:
        ref: The block.
        fate: What came of it.
        detail: The name of the block around it, or what went wrong.
        size: Bytes of its HTML.
    """

    ref: BlockRef
    fate: Fate = Fate.WAITING
    detail: str = ""
    size: int = 0


_batches = itertools.count(1)


@dataclass(slots=True, eq=False)
class Batch:
    """One render, and its way to the viewers.

    Args:
        seconds: How long it took.
        number: Tells it from the others.
        viewers: How many were sent something.
        size: How many bytes they were sent in all.
        sent_at: When the last of them was, in seconds of :func:`time.monotonic`.
        events: The numbers of the events that it shows.
    """

    seconds: float
    number: int = field(default_factory=lambda: next(_batches))
    viewers: int = 0
    size: int = 0
    sent_at: float | None = None
    events: list[int] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Effect:
    """What an event caused in a group.

    Args:
        event: The event.
        page: The template of the group's blocks.
        stage: How far it has come.
        viewers: How many viewers the group had.
        own: How many of them made the change themselves.
        outside: How many of them it is not for.
        blocks: What concerns the event, by template and block.
        batch: The render.
        retry_at: When what failed is tried again, in seconds of :func:`time.time`.
        attempts: How often it was tried.
        reason: Why the group has ended.
    """

    event: EventRecord
    page: str
    stage: Stage = Stage.DELIVERED
    viewers: int = 0
    own: int = 0
    outside: int = 0
    blocks: list[BlockRecord] = field(default_factory=list)
    batch: Batch | None = None
    retry_at: float | None = None
    attempts: int = 0
    reason: str = ""

    def take_note(self, noted: Noted, index: Registry) -> None:
        """Take over what the group found in the change log."""
        self.viewers = noted.viewers
        mine = tell_of(self.event.event, noted.changes)
        self.own = max((told.own for told in mine), default=0)
        self.outside = max((told.outside for told in mine), default=0)
        blocks = index.affected(self.event.event.changed_paths)
        if not blocks:
            self.stage = Stage.UNSEEN
        elif noted.changes is not None and self.own + self.outside >= self.viewers:
            self.stage = Stage.WITHHELD
        else:
            self.stage = Stage.RENDERING
            self.blocks = [BlockRecord(ref) for ref in blocks]
            self.blocks += [
                BlockRecord(inner, Fate.INSIDE, outer.block_name)
                for outer in blocks
                for inner in _shown_inside(index, outer, self.event.event.changed_paths)
            ]

    def take_render(self, rendered: Iterable[RenderedBlock], index: Registry, batch: Batch) -> None:
        """Take over what came of the blocks."""
        self.batch = batch
        self.attempts += 1
        outcome = {each.ref: each for each in rendered}
        around = {inner: outer.block_name for outer in outcome for inner in index.blocks_inside(outer)}
        for block in self.blocks:
            result = outcome.get(block.ref)
            if result is not None:
                block.size = result.size
                block.fate = Fate.SAME if result.repeated else Fate.SENT
                block.detail = ""
                if result.error is not None:
                    block.fate = Fate.FAILED
                    block.detail = f"{type(result.error).__name__}: {result.error}"
            elif block.ref in around and block.fate in (Fate.WAITING, Fate.FAILED):
                block.fate, block.detail = Fate.INSIDE, around[block.ref]
        failed = any(block.fate is Fate.FAILED for block in self.blocks)
        self.stage = Stage.FAILED if failed else Stage.RENDERED


def _shown_inside(index: Registry, outer: BlockRef, paths: Iterable[str]) -> list[BlockRef]:
    """Return the blocks inside another one that show one of the paths themselves."""
    changed = list(paths)
    return [
        ref
        for ref in index.blocks_inside(outer)
        if any(overlap(path, read) for read in index.dependencies(*ref.key) for path in changed)
    ]


def tell_of(event: ChangeEvent, changes: Iterable[ToldChange] | None) -> list[ToldChange]:
    """Return those of the changes that are an event's."""
    return [
        told
        for told in changes or ()
        if told.change.audience == event.audience
        and told.change.path in event.changed_paths
        and told.change.origin == event.origin
    ]


@dataclass(slots=True, eq=False)
class EventRecord:
    """An event, as it was delivered.

    Args:
        number: How many events had been delivered with it.
        at: When, in seconds of :func:`time.time`.
        delivered_at: The same, in seconds of :func:`time.monotonic`.
        event: The event.
        derived: The paths that follow from its own.
        effects: What it caused, for each group.
        more_groups: For how many groups that is not kept.
        others: How many connections its scope had, where it had no group.
    """

    number: int
    at: float
    delivered_at: float
    event: ChangeEvent
    derived: frozenset[str] = frozenset()
    effects: list[Effect] = field(default_factory=list)
    more_groups: int = 0
    others: int = 0
