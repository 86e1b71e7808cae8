"""What the runs of a group read from a database, and which changes there matter to the group because of it.

A page that is tracked is live because of what it reads. Its group has the scopes of the tables that its runs have read,
besides those that it declares. Changes in these scopes are not paths of the template: they meet the facts that were
read, or not. If they do, that counts as one change of everything, so the page runs again and renders all of its blocks.
If they do not, the group only moves on.

Three rules keep this exact:

- **The facts are those of every run whose HTML is still shown.** The first run renders all live blocks, because
  templates read too. A run that renders all blocks of the group replaces the facts. One that fails, or that renders
  some blocks, adds to them.
- **A scope begins where the run began that has read it**, so what changes during the run is read again.
- **A viewer whose page may be newer than the facts gets all blocks.** What it has read instead is not known here. The
  facts hold for any page that is older than the run they are from: the first thing that both have read and that differs
  has changed since, and the facts include it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from .._core.blocks import BlockRef
from .._core.errors import StreamEndedError, StreamRestartError
from .._core.facts import Facts
from .._core.paths import ALL
from .._core.reads import Read, Reads, reading
from .._log.changelog import Change, Reading
from .alarm import Alarm
from .group_options import GroupOptions
from .rendering import Rendered
from .viewer import Viewer

__all__ = ["GroupReads"]

_MAX_READS = 4096  # that runs of some blocks may add up to


class GroupReads:
    """The reads of one group.

    Args:
        options: How the group is served.
        alarm: Rings for the events of its scopes.
        look_later: Called when something may have changed in scopes that are new.
    """

    __slots__ = (
        "_alarm",
        "_facts",
        "_hub",
        "_is_pending",
        "_look_later",
        "_newest",
        "_options",
        "_scope",
        "are_known",
        "entries",
        "since",
        "starts",
    )

    def __init__(self, options: GroupOptions, alarm: Alarm, look_later: Callable[[], object]) -> None:
        self._options = options
        self._hub = options.hub
        self._scope = options.scope
        self._alarm = alarm
        self._look_later = look_later
        self._facts = Facts()
        self._is_pending = False  # whether changes have met the facts since the last run of all blocks
        self._newest: Change | None = None  # the newest change that has met them, whatever the facts are now
        self.entries: tuple[Read, ...] = ()
        """What was read."""
        self.are_known: bool = False
        """Whether a run has succeeded."""
        self.since: str = ""
        """The cursor of the moment before the last run."""
        self.starts: dict[str, int] = {}
        """The scopes of what was read, each with the position where the group begins in it."""

    # Runs

    async def render(
        self, viewers: Iterable[Viewer], position: int, paths: frozenset[str], owed: list[BlockRef]
    ) -> Rendered:
        """Render blocks, and take note of what is read.

        Args:
            viewers: The viewers of the group.
            position: The position of its feed.
            paths: What the blocks show.
            owed: The blocks.
        """
        self.since, reads = self._hub.latest_cursor(), Reads()
        blocks = owed if self.are_known else list(dict.fromkeys((*(self._options.tracked or ()), *owed)))
        try:
            with reading(reads):
                rendered = await self._options.render(paths, blocks)
        except (StreamEndedError, StreamRestartError):
            raise
        except Exception:
            await self._add(reads.entries)
            raise
        failed = [ref for ref in blocks if isinstance(rendered[ref.key], Exception)]
        if not self.are_known:
            await self._replace((*reads.entries, *map(_read_of_failed, failed)))
            self._place(viewers, position)
        elif failed or not self._are_all(owed):
            await self._add(reads.entries)
            return rendered
        else:
            await self._replace(reads.entries)
        self.are_known, self._is_pending = True, False
        return {ref.key: rendered[ref.key] for ref in owed}

    def _are_all(self, blocks: Iterable[BlockRef]) -> bool:
        return {block.ref for block in self._options.registry.plan(frozenset((ALL,))).affected} <= {*blocks}

    async def _add(self, entries: Sequence[Read]) -> None:
        both = tuple(dict.fromkeys((*self.entries, *entries)))
        await self._replace(both if len(both) <= _MAX_READS else (_TOO_MANY,))

    async def _replace(self, entries: Sequence[Read]) -> None:
        facts = _facts_of(entries)
        new = facts.scopes - self.starts.keys()
        for scope in new:
            self._alarm.widen(scope)
        if new:
            await self._hub.ready(*new)
            self._look_later()  # at what has changed during the run
        self._follow(facts, entries, self.since)

    def adopt(self, other: GroupReads) -> None:
        """Begin with what another group of the page has read, which is still open, unless something is known."""
        if self.are_known:
            return
        self.since, facts = other.since, _facts_of(other.entries)
        for scope in facts.scopes:
            self._alarm.widen(scope)
        self._follow(facts, other.entries, other.since)
        self.are_known = True
        self._look_later()

    def _follow(self, facts: Facts, entries: Sequence[Read], since: str) -> None:
        scopes = facts.scopes
        for scope in self.starts.keys() - scopes:
            self._alarm.narrow(scope)
            del self.starts[scope]
        for scope in scopes - self.starts.keys():
            self.starts[scope] = self._hub.locate(scope, since).position or 0
        self._facts, self.entries = facts, tuple(entries)

    # Viewers

    def _place(self, viewers: Iterable[Viewer], position: int) -> None:
        """Let viewers begin in the scopes of the first run, who have joined before it has ended."""
        is_quiet = self._options.alone or not self._have_changed(0)  # the page of its only viewer is older than the run
        for viewer in viewers:
            located = self._hub.locate(self._scope, viewer.cursor, (*viewer.others, *self.starts))
            viewer.begin_at(located.position if is_quiet else None, located.latest, located.starts, position)
            for scope in self.starts:
                self.starts[scope] = min(self.starts[scope], viewer.start_in(scope))

    def may_be_older_than(self, position: int) -> bool:
        """Return whether the page of a viewer that joins may have read something else, at the position of the feed."""
        return self.are_known and (self._is_pending or self._have_changed(position))

    def _have_changed(self, position: int) -> bool:
        """Return whether something that was read has changed since."""
        if not self.starts:
            return False
        found = self._hub.read(self._scope, position, self.starts, exact=False)
        if self._options.own_origin is not None:
            found = found.without(self._options.own_origin, position)
        return found.changes is None or self._met(found.changes, position) is not None

    # Changes

    def judged(self, found: Reading, after: int, *, notes: bool = False) -> Reading:
        """Return a reading with one change in place of those that meet the facts, and without those that do not.

        Args:
            found: The reading.
            after: The position that was read after.
            notes: Whether the group renders what it finds, so that each viewer before it is owed all blocks.
        """
        if found.changes is None:
            if notes:
                self._note(Change(ALL, None, found.position, None, 0, self._scope))
            return found
        met, known = self._met([change for change in found.changes if change.scope in self.starts], after), self._newest
        if notes and met is not None:
            self._note(met)
        elif known is not None and known.position > after:
            met = known if met is None else _merged(known, met)
        changes = [change for change in found.changes if change.scope not in self.starts]
        if met is not None:
            changes = sorted((*changes, met), key=lambda change: change.position)
        return replace(found, changes=tuple(changes))

    def _note(self, met: Change) -> None:
        self._is_pending = True
        self._newest = met if self._newest is None else _merged(self._newest, met)

    def _met(self, changes: Sequence[Change], after: int) -> Change | None:
        """Return the change that stands for those of tables that meet the facts, if any do."""
        relevant = [change for change in changes if change.scope in self._met_scopes(changes)]
        if not relevant:
            return None
        newest = max(relevant, key=lambda change: change.position)
        others = [change for change in relevant if _position_of_others(change, newest.origin) > after]
        other = max(_position_of_others(change, newest.origin) for change in others) if self._met_scopes(others) else 0
        return Change(ALL, None, newest.position, newest.origin, other, self._scope)

    def _met_scopes(self, changes: Iterable[Change]) -> set[str]:
        paths: dict[str, set[str]] = {}
        for change in changes:
            paths.setdefault(change.scope, set()).add(change.path)
        return {scope for scope, changed in paths.items() if self._facts.are_met_by({scope: changed})}


_TOO_MANY = Read(Facts(everything=True), "many different statements", "are more than are kept")


def _read_of_failed(ref: BlockRef) -> Read:
    what = f"the block {ref.block_name!r} of {ref.template_name!r}"
    return Read(Facts(everything=True), what, "failed, so what it would have read is not known")


def _position_of_others(change: Change, origin: str | None) -> int:
    """Return the position of the newest change that has another origin, or 0."""
    return change.other_position if change.origin == origin else change.position


def _merged(one: Change, other: Change) -> Change:
    """Return the newer of two changes, with the newest one of another origin."""
    older, newer = sorted((one, other), key=lambda change: change.position)
    return replace(newer, other_position=max(newer.other_position, _position_of_others(older, newer.origin)))


def _facts_of(entries: Iterable[Read]) -> Facts:
    reads = Reads()
    for each in entries:
        reads.add(each)
    return reads.facts
