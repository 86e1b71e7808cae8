"""A group's newest patches, numbered; a viewer is a position among them, not a queue.

The feed keeps one entry for each block: its newest HTML and the *version* at which that came. Viewers hold no
patches. One that is exactly a batch behind takes that batch, encoded once for all. Any other asks the change log what
concerns it since its own position, and takes the newest entry of each block that shows it: so a slow viewer gets the
newest of each block and then is up to date, and audience and origin are judged per change.

Two rules keep this exact:

- **A cursor is sent only when everything up to it has been sent** to this viewer. While a block that the viewer is
  owed waits to be rendered, its position stays.
- **Identical HTML is left out only where the viewer got it from this very feed**, and no update of a block inside or
  around has been rendered since, nor has a change of the viewer's own put something else there. That a page was
  rendered with it is never assumed.

A viewer's own change is not sent back to it, for the answer to its request shows it. But an update that was rendered
before that change may reach the page after that answer, and would stay. So two kinds of own changes are told all the
same: those of blocks that the viewer was sent within the last :data:`CROSSING` seconds, :data:`HEALING` seconds later
and unless an update in between has shown them, and those that are in the log when it connects.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from .._bus.bus import ReactiveBus, hub_of
from .._core.blocks import BlockRef, Patch
from .._core.loops import Bell
from .._index.index import DependencyIndex
from .._log.changelog import Change
from .frames import Dialect, encode_patch, with_fields

__all__ = ["CROSSING", "HEALING", "Feed", "Viewer"]

CROSSING = 10.0
"""Seconds within which an update on its way to a page may be overtaken by the answer to a request of that page."""
HEALING = 2.0
"""Seconds after which a viewer is told of its own change, where an update may have crossed it."""


class Viewer:
    """One stream's place in a feed.

    Args:
        user_id: Whom audiences are judged by.
        origin: Whose own changes are left out.
        dialect: How patches are encoded for it.
        position: Up to where in the change log its page is known to be current; ``None``: that is not known.
    """

    __slots__ = (
        "caught_up",
        "connected_at",
        "crossed",
        "dialect",
        "heal_at",
        "held",
        "joined",
        "origin",
        "position",
        "retold",
        "sent_at",
        "sequence",
        "user_id",
    )

    def __init__(self, user_id: str | None, origin: str | None, dialect: Dialect, position: int | None) -> None:
        self.user_id: str | None = user_id
        self.origin: str | None = origin
        self.dialect: Dialect = dialect
        self.position: int | None = position
        self.caught_up: bool = False
        self.sequence: int = 0  # the newest batch that it was served
        self.joined: int = 0  # batches after this one and up to `sequence` were taken whole
        self.held: dict[BlockRef, int] = {}  # versions it was sent otherwise
        self.connected_at: int = 0  # the position in the change log up to which its own changes are told as well
        self.crossed: frozenset[str] = frozenset()  # paths of its own changes that an update may have crossed
        self.heal_at: float = float("inf")  # when it is to be told of them
        self.retold: frozenset[str] = frozenset()  # paths of its own changes that it is to be told of
        self.sent_at: dict[BlockRef, float] = {}  # for viewers with an origin

    def is_told(self, change: Change, after: int) -> bool:
        """Return whether a change of a path after a position is for this viewer."""
        if change.position_for(self.user_id, self.origin) > after:
            return True
        if change.position <= after or not self.may_know(change):
            return False
        return change.position <= self.connected_at or change.path in self.retold

    def may_know(self, change: Change) -> bool:
        """Return whether a change is for this viewer's user, whoever made it."""
        return change.audience is None or self.user_id in change.audience

    def was_sent(self, blocks: Iterable[BlockRef], since: float) -> bool:
        """Return whether one of the blocks was sent to it since a time."""
        return any(self.sent_at.get(ref, 0.0) > since for ref in blocks)

    def note_sent(self, entries: Iterable[_Entry]) -> None:
        """Note when blocks were sent to it."""
        if self.origin is not None:
            now = time.monotonic()
            for entry in entries:
                self.sent_at[entry.patch.ref] = now


@dataclass(slots=True)
class _Entry:
    patch: Patch
    version: int
    current: bool = True
    frames: dict[Dialect, bytes] = field(default_factory=dict)

    def frame(self, dialect: Dialect) -> bytes:
        frame = self.frames.get(dialect)
        if frame is None:
            frame = self.frames[dialect] = encode_patch(self.patch, dialect)
        return frame

    def held_by(self, viewer: Viewer) -> bool:
        if viewer.held.get(self.patch.ref) == self.version:
            return True
        return viewer.joined < self.version <= viewer.sequence  # else it would not have taken those batches whole


@dataclass(slots=True)
class _Batch:
    start: int  # the position up to which nothing was owed before it
    end: int  # the position after it
    whole: bool  # it is for every viewer but those of its origins, and nothing is owed after it
    origins: frozenset[str]  # whose viewers made some of the changes
    entries: list[_Entry]
    oldest_repeated: int  # the lowest version among the blocks that came out the same
    encoded: dict[Dialect, bytes] = field(default_factory=dict)


class Feed:
    """The newest patch of each block of a scope, for a group of viewers.

    Args:
        bus: Where the change log is read.
        scope: The scope.
        index: Which blocks show what.
        request: Called with blocks and paths that a viewer is owed and the feed does not hold.
    """

    def __init__(
        self,
        bus: ReactiveBus,
        scope: str,
        index: DependencyIndex,
        request: Callable[[Iterable[BlockRef], frozenset[str]], None],
    ) -> None:
        self._hub = hub_of(bus)
        self._scope = scope
        self._index = index
        self._request = request
        self._entries: dict[BlockRef, _Entry] = {}
        self._batch: _Batch | None = None
        self._sequence = 0
        self.position: int = self._hub.position(scope)
        self._settled = self.position
        self._whole = True
        self._origins: frozenset[str] = frozenset()
        self.owed: set[BlockRef] = set()
        self.changed: Bell = Bell()

    def wake(self) -> None:
        """Wake everyone who waits for :attr:`changed`."""
        self.changed.ring()

    # Written by the group

    def invalidate(
        self,
        touched: Iterable[BlockRef],
        affected: Iterable[BlockRef],
        position: int,
        *,
        whole: bool,
        origins: frozenset[str],
    ) -> None:
        """Take note of changes: ``affected`` blocks are to be rendered, all ``touched`` ones are no longer current.

        Args:
            touched: Every block whose HTML may differ now.
            affected: Those to render again.
            position: Up to where in the change log this goes.
            whole: Whether every viewer is to be told of all these changes, but those of the same origin.
            origins: Who caused them.
        """
        rendered_again = set(affected)
        for ref in touched:
            if ref in rendered_again and ref in self._entries:
                self._entries[ref].current = False
            else:
                self._entries.pop(ref, None)
        self.owed |= rendered_again
        self.position = position
        self._whole = self._whole and whole
        self._origins |= origins
        if not self.owed:
            self._settle_all()

    def demand(self, blocks: Iterable[BlockRef]) -> None:
        """Have blocks rendered that only some viewers are owed."""
        self.owed.update(blocks)
        self._whole = False

    def publish(self, patches: Iterable[Patch], failed: Iterable[Patch] = ()) -> list[Patch]:
        """Offer freshly rendered blocks to the viewers.

        Args:
            patches: The blocks, in template order, none inside another.
            failed: What to show for blocks that failed; they are still owed.

        Returns:
            Those that are the same as what was offered last.
        """
        start = self._settled
        repeated: list[_Entry] = []
        fresh: list[_Entry] = []
        version = self._sequence + 1
        for patch in (*patches, *failed):
            last = self._entries.get(patch.ref)
            if last is not None and last.patch == patch:
                last.current = True
                repeated.append(last)
            else:
                entry = self._entries[patch.ref] = _Entry(patch, version)
                fresh.append(entry)
        for patch in patches:
            self._settle(patch.ref)
        whole = self._whole and not self.owed
        origins = self._origins
        if not self.owed:
            self._settle_all()
        oldest_repeated = min((entry.version for entry in repeated), default=version)
        self._sequence = version
        self._batch = _Batch(start, self.position, whole, origins, fresh, oldest_repeated)
        self.wake()
        return [entry.patch for entry in repeated]

    def _settle_all(self) -> None:
        self._settled = self.position
        self._whole = True
        self._origins = frozenset()

    def _settle(self, ref: BlockRef) -> None:
        # What stands inside the block was rendered along with it, perhaps from newer state than its own entry.
        self.owed.discard(ref)
        for inner in self._index.blocks_inside(ref):
            self.owed.discard(inner)
            self._entries.pop(inner, None)

    # Read by the viewers

    def join(self, viewer: Viewer) -> None:
        """Let a viewer begin: what comes from now on is for it, and what changed since its position."""
        viewer.sequence = viewer.joined = self._sequence
        viewer.caught_up = viewer.position is not None and viewer.position >= self.position
        viewer.connected_at = self._hub.position(self._scope)

    def note_own(self, viewer: Viewer, changes: Mapping[Change, list[BlockRef]], after: int, *, since: float) -> None:
        """Take note that a viewer has changed paths itself, and so has been shown them by other means.

        Args:
            viewer: The viewer; it has an origin.
            changes: What changed, each with the blocks that it touches. Of several changes of a path only the last
                one's origin is known.
            after: The position after which this concerns.
            since: Of a change of what the viewer was sent since this time it is told nonetheless.
        """
        shown: set[BlockRef] = set()
        for change, touched in changes.items():
            is_own = change.origin == viewer.origin
            if is_own or change.other_position > after:
                shown.update(touched)
            if is_own and viewer.may_know(change) and viewer.was_sent(touched, since):
                viewer.crossed |= {change.path}
                viewer.heal_at = min(viewer.heal_at, time.monotonic() + HEALING)
                viewer.caught_up = False
        self._note_as_held(viewer, ())
        viewer.joined = viewer.sequence
        for ref in shown:
            viewer.held.pop(ref, None)

    def mistrust(self, viewer: Viewer) -> None:
        """Bring a viewer all blocks anew: what it changed itself is no longer known."""
        viewer.held.clear()
        viewer.joined = viewer.sequence
        viewer.position = None
        viewer.caught_up = False

    def heal(self, viewer: Viewer, now: float) -> bool:
        """Let a viewer be told of its crossed changes if it is time; true: it is."""
        if now < viewer.heal_at:
            return False
        viewer.retold |= viewer.crossed
        viewer.crossed = frozenset()
        viewer.heal_at = float("inf")
        return True

    def take(self, viewer: Viewer) -> bytes:
        """Return the frames that bring a viewer up to date as far as the feed can; empty: there is nothing to send."""
        if viewer.caught_up and viewer.sequence == self._sequence:
            return b""
        batch = self._batch
        if batch is not None and viewer.caught_up and viewer.sequence == self._sequence - 1:
            whole = batch.whole and viewer.origin not in batch.origins and (viewer.position or 0) <= batch.end
            if whole and viewer.joined < batch.oldest_repeated:
                viewer.sequence = self._sequence
                viewer.position = batch.end
                viewer.note_sent(batch.entries)
                return self._encoded(batch, viewer.dialect)
            viewer.position = max(batch.start, viewer.position or 0)
        return self._catch_up(viewer)

    def _encoded(self, batch: _Batch, dialect: Dialect) -> bytes:
        encoded = batch.encoded.get(dialect)
        if encoded is None:
            encoded = batch.encoded[dialect] = self._join(batch.entries, dialect, batch.end)
        return encoded

    def _join(self, entries: list[_Entry], dialect: Dialect, position: int | None) -> bytes:
        if not entries:
            return b""
        cursor = None if position is None else self._hub.cursor_at(self._scope, position)
        return with_fields([entry.frame(dialect) for entry in entries], cursor=cursor)

    def _catch_up(self, viewer: Viewer) -> bytes:
        paths = self._paths_for(viewer)
        owed = self._index.affected_blocks(paths) if paths else []
        missing = [ref for ref in owed if ref not in self._entries and ref not in self.owed]
        ready = [entry for ref in owed if (entry := self._entries.get(ref)) is not None and entry.current]
        to_send = [entry for entry in ready if not entry.held_by(viewer)]
        self._note_as_held(viewer, ready)
        viewer.sequence = viewer.joined = self._sequence
        viewer.caught_up = not missing and not viewer.crossed and self.owed.isdisjoint(owed)
        if missing:
            self._request(missing, paths)
        viewer.note_sent(to_send)
        if not viewer.caught_up:
            return self._join(to_send, viewer.dialect, None)
        viewer.position = max(self.position, viewer.position or 0)
        viewer.retold = frozenset()
        return self._join(to_send, viewer.dialect, viewer.position)

    def _paths_for(self, viewer: Viewer) -> frozenset[str]:
        """Return the paths of all noted changes that a viewer is to be told of."""
        reading, after = self._hub.read(self._scope, viewer.position), viewer.position or 0
        paths = reading.paths_for(after, viewer.user_id, viewer.origin, up_to=self.position) | viewer.retold
        if viewer.origin is not None and after < viewer.connected_at:
            paths |= reading.paths_for(after, viewer.user_id, None, up_to=min(self.position, viewer.connected_at))
        return paths

    def _note_as_held(self, viewer: Viewer, sent: Iterable[_Entry]) -> None:
        held = {ref: entry.version for ref, entry in self._entries.items() if entry.held_by(viewer)}
        held.update((entry.patch.ref, entry.version) for entry in sent)
        viewer.held = held
