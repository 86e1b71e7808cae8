"""A group's newest patches, numbered. A viewer is a position among them, not a queue.

The feed keeps one entry for each block: its newest HTML and the *version* in which that came. A viewer that is exactly
one batch behind takes that batch, encoded once for all. Any other viewer asks the change log what concerns it since its
own position, and takes the newest entry of each block that shows it. So a slow viewer gets the newest of each block and
then is up to date, and audience and origin are checked for each change.

Three rules keep this exact:

- **A cursor is sent only when everything up to it has been sent** to this viewer. While a block that it is owed waits
  to be rendered, its position stays.
- **Only the rows that differ of a list are sent where the client has the text before**, as this very feed has sent it,
  and no block inside or around has been rendered since. What the client has done with it does not matter.
- **Identical HTML is skipped only where the viewer got it from this very feed**, and no update of a block inside or
  around has been rendered since, nor has a change of the viewer's own put something else there. The feed never assumes
  that a page was rendered with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from .._clients import Client
from .._core.blocks import BlockRef, Patch
from .._core.loops import Bell
from .._core.paths import ALL
from .._core.sse import with_fields
from .._index.registry import Registry
from .._index.tables import IndexedBlock, RenderPlan
from .._log.changelog import Change, Reading
from .entries import Batch, CatchUp, Entry, Taken
from .event_ids import EventId
from .group_scopes import GroupScopes
from .viewer import Viewer

__all__ = ["Feed"]


class Feed:
    """The newest patch of each block, for a group of viewers.

    Args:
        scopes: The scopes of the viewers, and what changes in them.
        registry: Which blocks show what.
        demand: Called with blocks that a viewer is owed and the feed does not hold, and with the paths they show.
        renewal: Returns what an id adds to its cursor. ``None`` adds nothing.
        key: The digest of the viewers' key, which ids carry.
    """

    def __init__(
        self,
        scopes: GroupScopes,
        registry: Registry,
        demand: Callable[[Iterable[IndexedBlock], frozenset[str]], None],
        renewal: Callable[[], str] | None = None,
        key: str = "",
    ) -> None:
        self._scopes = scopes
        self._registry = registry
        self._demand = demand
        self._renewal = renewal
        self._key = key
        self._entries: dict[BlockRef, Entry] = {}
        self._batch: Batch | None = None
        self._sequence = 0
        start = scopes.begin()
        self.position: int = start.position
        self._cursor = start.cursor
        self._settled = self.position
        self._whole = True
        self._origins: frozenset[str] = frozenset()
        self._owed: dict[BlockRef, IndexedBlock] = {}
        self.changed: Bell = Bell()
        self.on_wake: Callable[[], object] | None = None  # called once they have been woken

    def wake(self) -> None:
        """Wake everyone who waits for :attr:`changed`."""
        self.changed.ring()
        if self.on_wake is not None:
            self.on_wake()

    # Written by the group

    def invalidate(self, plan: RenderPlan, reading: Reading, *, whole: bool, origins: frozenset[str]) -> None:
        """Record changes: affected blocks must be rendered, and no touched block is current.

        Args:
            plan: What the changes mean for the blocks.
            reading: What was read of the change log, up to its position.
            whole: Whether every viewer is owed all of these changes, except those of the same origin.
            origins: Who caused them.
        """
        affected = {block.ref: block for block in plan.affected}
        for ref in plan.touched:
            if ref in affected and ref in self._entries:
                self._entries[ref].current = False
            else:
                self._entries.pop(ref, None)
        self._owed.update(affected)
        self.position = reading.position
        self._cursor = reading.cursor
        self._whole = self._whole and whole
        self._origins |= origins
        if not self._owed:
            self._settle_all()

    def owe(self, blocks: Iterable[IndexedBlock]) -> None:
        """Add blocks to render that only some viewers are owed."""
        self._owed.update((block.ref, block) for block in blocks)
        self._whole = False

    @property
    def is_owed(self) -> bool:
        """Whether blocks wait to be rendered."""
        return bool(self._owed)

    def owed_blocks(self) -> list[IndexedBlock]:
        """Return the blocks to render, in template order, none inside another."""
        owed = self._owed
        blocks = [block for block in owed.values() if not block.around or block.around.isdisjoint(owed)]
        return sorted(blocks, key=lambda block: block.order) if len(blocks) > 1 else blocks

    def publish(self, rendered: Iterable[tuple[IndexedBlock, Patch]], failed: Iterable[Patch] = ()) -> list[Patch]:
        """Offer freshly rendered blocks to the viewers.

        Args:
            rendered: The blocks, in template order, none inside another.
            failed: What to show for blocks that failed. They are still owed.

        Returns:
            Those that are the same as what was offered last.
        """
        done = list(rendered)
        start = self._settled
        version = self._sequence + 1
        fresh: list[Entry] = []
        repeated: list[Entry] = []
        for patch in (*(patch for _, patch in done), *failed):
            last = self._entries.get(patch.ref)
            if last is not None and last.patch == patch:
                last.current, last.position, last.offered = True, self.position, version
                repeated.append(last)
            else:
                entry = self._entries[patch.ref] = Entry(patch, version, self.position, version)
                entry.follow(last)
                fresh.append(entry)
        for block, _ in done:
            self._settle(block)
        whole = self._whole and not self._owed
        origins = self._origins
        if not self._owed:
            self._settle_all()
        oldest_repeated = min((entry.version for entry in repeated), default=version)
        self._sequence = version
        self._batch = Batch(start, self.position, whole, origins, fresh, oldest_repeated)
        self.wake()
        return [entry.patch for entry in repeated]

    def _settle_all(self) -> None:
        self._settled = self.position
        self._whole = True
        self._origins = frozenset()

    def _settle(self, block: IndexedBlock) -> None:
        # What is nested in the block was rendered along with it, perhaps from newer state than its own entry.
        self._owed.pop(block.ref, None)
        for inner in block.inside:
            self._owed.pop(inner, None)
            self._entries.pop(inner, None)

    # Read by the viewers

    def join(self, viewer: Viewer) -> None:
        """Add a viewer. It is owed what comes from now on, and what changed since its position."""
        viewer.sequence = viewer.whole_since = self._sequence
        is_current = viewer.position is not None and viewer.position >= self.position
        viewer.caught_up = is_current and not viewer.repeated_paths
        for scope in viewer.others if self._entries else ():
            self._drop_older(self._scopes.read_further(scope, viewer))

    def _drop_older(self, reading: Reading) -> None:
        """Drop what was rendered before changes of a scope that the group may not have had then."""
        changes = reading.changes
        last = {ALL: reading.position} if changes is None else {change.path: change.position for change in changes}
        for path, position in last.items():
            for ref in self._registry.plan(frozenset((path,))).touched:
                if ref in self._entries and self._entries[ref].position < position:
                    del self._entries[ref]

    def demand_for(self, viewer: Viewer) -> None:
        """Demand what a viewer is owed, before it may be served."""
        if not viewer.caught_up:
            self._catch_up(viewer)

    def note_own(self, viewer: Viewer, changes: Mapping[Change, frozenset[BlockRef]], after: int) -> None:
        """Record that a viewer made changes itself, and so may have been shown them by other means.

        Args:
            viewer: The viewer, which has an origin.
            changes: What changed, each with the blocks that it touches. Of several changes of a path only the
                origin of the last one is known.
            after: The position after which this applies.
        """
        shown: set[BlockRef] = set()
        for change, touched in changes.items():
            is_own = change.origin == viewer.origin
            if is_own or change.other_position > after:
                shown.update(touched)
            if is_own and viewer.skipped_origin is not None:
                viewer.note_crossed(change, touched)
        self._forget_held(viewer, shown)

    def repeat_crossed(self, viewer: Viewer, now: float) -> None:
        """Owe a viewer its own changes that are due by now, even if it was sent them: a late answer may be older."""
        self._forget_held(viewer, self._registry.plan(viewer.repeat_crossed(now)).touched)
        self.wake()

    def _forget_held(self, viewer: Viewer, blocks: Iterable[BlockRef]) -> None:
        """Record that a viewer may not show any more what it was sent of some blocks."""
        self._note_held(viewer, ())
        viewer.whole_since = viewer.sequence
        for ref in blocks:
            viewer.held_versions.pop(ref, None)
            viewer.sent_own.pop(ref, None)

    def has_news(self, viewer: Viewer) -> bool:
        """Return whether there may be something to send to a viewer."""
        return not viewer.caught_up or viewer.sequence != self._sequence

    def is_current(self, viewer: Viewer) -> bool:
        """Return whether a viewer has been sent all that the feed has read."""
        return not self._owed and not self.has_news(viewer)

    def take(self, viewer: Viewer, *, with_id: bool = True) -> bytes:
        """Return the frames that bring a viewer up to date. Empty if there is nothing to send yet.

        Args:
            viewer: The viewer.
            with_id: Whether the last frame carries an id, which says that everything up to it has been sent.
        """
        if viewer.caught_up and viewer.sequence == self._sequence:
            return b""
        batch = self._batch
        if batch is not None and viewer.caught_up and viewer.sequence == self._sequence - 1:
            whole = batch.whole and viewer.origin not in batch.origins and (viewer.position or 0) <= batch.end
            if whole and viewer.whole_since < batch.oldest_repeated:
                rows = viewer.client.takes_rows and batch.follows_for(viewer)
                viewer.sequence = self._sequence
                viewer.position = batch.end
                if viewer.origin is not None and not viewer.tells_own:
                    viewer.note_sent(entry.patch.ref for entry in batch.entries)
                return self._encoded(batch, viewer.client, rows=rows, with_id=with_id)
            viewer.position = max(batch.start, viewer.position or 0)
        frames = self._catch_up(viewer).frames(viewer.client)
        return self._join(frames, viewer.position if with_id and viewer.caught_up else None, viewer)

    def take_apart(self, viewer: Viewer) -> Taken | None:
        """Return what brings a viewer up to date. ``None`` if there is nothing to send yet."""
        caught_up = self._catch_up(viewer) if self.has_news(viewer) else None
        if caught_up is None or not caught_up.entries:
            return None
        blocks = [entry.patch.ref for entry in caught_up.entries]
        since = min(entry.position for entry in caught_up.entries)
        return Taken(caught_up.frames(viewer.client), blocks, since)

    def note_altered(self, viewer: Viewer) -> None:
        """Record that something else may have altered what a viewer was sent: it is owed what is rendered from now on.

        What it was sent is not sent again for that alone, because what has altered it is newer.
        """
        self._note_held(viewer, ())
        viewer.whole_since = viewer.sequence
        viewer.altered_at = dict.fromkeys(viewer.held_versions, self._sequence)

    def replaced(self, viewer: Viewer, blocks: Iterable[BlockRef], since: int) -> None:
        """Record that what a viewer was sent of some blocks has been replaced.

        Args:
            viewer: The viewer.
            blocks: The blocks.
            since: A position in the change log. What changed after it may be missing in what they show now.
        """
        replaced = list(blocks)
        self._forget_held(viewer, replaced)
        for ref in replaced:
            viewer.texts.pop(ref, None)
        viewer.own_after = max(viewer.own_after, self.position)
        if since < self.position:
            reading = self._scopes.read_for(viewer, since, self.position)
            viewer.repeated_paths |= reading.paths_for(since, viewer.user_id, None, up_to=self.position)
            viewer.position = None if viewer.position is None else min(since, viewer.position)
            viewer.plan = None
            viewer.caught_up = False

    def _encoded(self, batch: Batch, client: Client, *, rows: bool, with_id: bool) -> bytes:
        known = batch.encoded if with_id else batch.encoded_without_id
        encoded = known.get((client, rows))
        if encoded is None:
            frames = [entry.frame(client, rows=rows) for entry in batch.entries]
            encoded = known[client, rows] = self._join(frames, batch.end if with_id else None)
        return encoded

    def _join(self, frames: list[bytes], position: int | None, viewer: Viewer | None = None) -> bytes:
        if not frames:
            return b""
        event_id = None
        if position is not None:
            at_feed = position == self.position
            event_id = self.event_id(self._cursor if at_feed else self._scopes.cursor_at(position, viewer))
        return with_fields(frames, event_id=event_id)

    def event_id(self, cursor: str) -> str:
        """Return the id to send for a cursor."""
        return str(EventId(cursor, "" if self._renewal is None else self._renewal(), self._key))

    def _catch_up(self, viewer: Viewer) -> CatchUp:
        plan = viewer.plan if viewer.plan is not None and viewer.planned_at == self.position else self._plan_for(viewer)
        owed = plan.affected
        missing = [block for block in owed if block.ref not in self._entries and block.ref not in self._owed]
        ready = [entry for block in owed if (entry := self._entries.get(block.ref)) is not None and entry.current]
        to_send = [entry for entry in ready if not entry.is_held_by(viewer)]
        own = self._own_of(viewer, plan) if to_send else frozenset()
        if own:
            to_send = [entry for entry in to_send if entry.patch.ref not in own or not entry.was_sent_as_own(viewer)]
            ready = [entry for entry in ready if entry.patch.ref not in own]  # its client may have dropped them
            viewer.sent_own.update((entry.patch.ref, entry.version) for entry in to_send if entry.patch.ref in own)
        known = frozenset(entry.patch.ref for entry in to_send if entry.follows_for(viewer))
        if viewer.client.takes_rows:
            viewer.texts.update((entry.patch.ref, entry.version) for entry in to_send if entry.is_list)
        self._note_held(viewer, ready)
        viewer.sequence = viewer.whole_since = self._sequence
        waits = bool(missing) or any(block.ref in self._owed for block in owed)
        viewer.caught_up = not waits and not viewer.crossed_paths
        if missing:
            self._demand(missing, plan.paths)
        viewer.note_sent(entry.patch.ref for entry in to_send)
        if not viewer.caught_up:
            viewer.plan, viewer.planned_at = plan, self.position
            return CatchUp(to_send, own, known)
        viewer.position = max(self.position, viewer.position or 0)
        viewer.repeated_paths = frozenset()
        viewer.sent_own.clear()
        viewer.plan = None
        return CatchUp(to_send, own, known)

    def _own_of(self, viewer: Viewer, plan: RenderPlan) -> frozenset[BlockRef]:
        """Return the blocks of a plan that only changes of the viewer's own have altered since it was last served."""
        origin, position = viewer.origin, viewer.position
        if viewer.client.own is None or origin is None or position is None or position < viewer.own_after:
            return frozenset()
        if viewer.repeated_paths:  # these blocks are sent again for another reason
            return frozenset()
        changes = self._scopes.read_for(viewer, position, self.position).changes
        if changes is None:
            return frozenset()
        others = self._registry.plan(
            frozenset(change.path for change in changes if change.position_of_others(origin) > position)
        )
        around = {block.ref for block in others.affected}
        return frozenset(
            block.ref for block in plan.affected if block.ref not in others.touched and block.around.isdisjoint(around)
        )

    def _plan_for(self, viewer: Viewer) -> RenderPlan:
        """Return the plan of all recorded changes that a viewer is owed."""
        reading, after = self._scopes.read_for(viewer, viewer.position, self.position), viewer.position or 0
        origin = viewer.skipped_origin
        paths = reading.paths_for(after, viewer.user_id, origin, up_to=self.position) | viewer.repeated_paths
        if origin is not None and after < viewer.connected_at:
            paths |= reading.paths_for(after, viewer.user_id, None, up_to=min(self.position, viewer.connected_at))
        return self._registry.plan(paths)

    def _note_held(self, viewer: Viewer, sent: Iterable[Entry]) -> None:
        held = {ref: entry.version for ref, entry in self._entries.items() if entry.is_held_by(viewer)}
        for entry in sent:
            held[entry.patch.ref] = entry.version
            if not entry.is_held_by(viewer):
                viewer.altered_at.pop(entry.patch.ref, None)
        viewer.held_versions = held
