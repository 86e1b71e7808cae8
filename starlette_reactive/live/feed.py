"""A group's newest patches, numbered; a viewer is a position among them, not a queue.

The feed keeps one entry for each block: its newest HTML and the *version* at which that came. Viewers hold no
patches. One that is exactly a batch behind takes that batch, encoded once for all. Any other asks the change log what
concerns it since its own position, and takes the newest entry of each block that shows it: so a slow viewer gets the
newest of each block and then is up to date, and audience and origin are judged per change.

Two rules keep this exact:

- **A cursor is sent only when everything up to it has been sent** to this viewer. While a block that the viewer is
  owed waits to be rendered, its position stays.
- **Identical HTML is left out only where the viewer got it from this very feed**, and no update of a block inside or
  around has been rendered since. That a page was rendered with it is never assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ..blocks import BlockRef, Patch
from ..bus import ReactiveBus
from ..index import DependencyIndex
from ..loops import Bell
from .wire import Dialect, encode_patch, with_fields

__all__ = ["Feed", "Viewer"]


class Viewer:
    """One stream's place in a feed.

    Args:
        user_id: Whom audiences are judged by.
        origin: Whose own changes are left out.
        dialect: How patches are encoded for it.
        position: Up to where in the change log its page is known to be current; ``None``: that is not known.
    """

    __slots__ = ("caught_up", "dialect", "held", "joined", "origin", "position", "sequence", "user_id")

    def __init__(self, user_id: str | None, origin: str | None, dialect: Dialect, position: int | None) -> None:
        self.user_id = user_id
        self.origin = origin
        self.dialect = dialect
        self.position = position
        self.caught_up = False
        self.sequence = 0  # the newest batch that it was served
        self.joined = 0  # batches after this one and up to `sequence` were taken whole
        self.held: dict[BlockRef, int] = {}  # versions it was sent otherwise


@dataclass(slots=True)
class _Entry:
    patch: Patch
    version: int
    whole: bool = False  # the batch of this version was complete, and for every viewer but those of its origins
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
        return self.whole and viewer.joined < self.version <= viewer.sequence


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
        self._bus = bus
        self._scope = scope
        self._index = index
        self._request = request
        self._entries: dict[BlockRef, _Entry] = {}
        self._batch: _Batch | None = None
        self._sequence = 0
        self._settled = self.position = bus.position(scope)
        self._whole = True
        self._origins: frozenset[str] = frozenset()
        self.owed: set[BlockRef] = set()
        self.changed = Bell()

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

    def publish(self, patches: Iterable[Patch], failed: Iterable[Patch] = ()) -> None:
        """Offer freshly rendered blocks to the viewers.

        Args:
            patches: The blocks, in template order, none inside another.
            failed: What to show for blocks that failed; they are still owed.
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
        for entry in fresh:
            entry.whole = whole
        origins = self._origins
        if not self.owed:
            self._settle_all()
        oldest_repeated = min((entry.version if entry.whole else 0 for entry in repeated), default=version)
        self._sequence = version
        self._batch = _Batch(start, self.position, whole, origins, fresh, oldest_repeated)
        self.wake()

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

    def take(self, viewer: Viewer) -> bytes:
        """Return the frames that bring a viewer up to date as far as the feed can; empty: there is nothing to send."""
        if viewer.caught_up and viewer.sequence == self._sequence:
            return b""
        batch = self._batch
        if batch is not None and viewer.caught_up and viewer.sequence == self._sequence - 1:
            whole = batch.whole and viewer.origin not in batch.origins
            if whole and viewer.joined < batch.oldest_repeated:
                viewer.sequence = self._sequence
                viewer.position = batch.end
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
        cursor = None if position is None else self._bus.cursor_at(position)
        return with_fields([entry.frame(dialect) for entry in entries], cursor=cursor)

    def _catch_up(self, viewer: Viewer) -> bytes:
        paths = self._bus.read(self._scope, viewer.position).paths_for(
            viewer.position or 0, viewer.user_id, viewer.origin, up_to=self.position
        )
        owed = self._index.affected_blocks(paths) if paths else []
        missing = [ref for ref in owed if ref not in self._entries and ref not in self.owed]
        ready = [entry for ref in owed if (entry := self._entries.get(ref)) is not None and entry.current]
        to_send = [entry for entry in ready if not entry.held_by(viewer)]
        self._note_as_held(viewer, ready)
        viewer.sequence = viewer.joined = self._sequence
        viewer.caught_up = not missing and self.owed.isdisjoint(owed)
        if missing:
            self._request(missing, paths)
        if not viewer.caught_up:
            return self._join(to_send, viewer.dialect, None)
        viewer.position = max(self.position, viewer.position or 0)
        return self._join(to_send, viewer.dialect, viewer.position)

    def _note_as_held(self, viewer: Viewer, sent: list[_Entry]) -> None:
        held = {ref: entry.version for ref, entry in self._entries.items() if entry.held_by(viewer)}
        held.update((entry.patch.ref, entry.version) for entry in sent)
        viewer.held = held
