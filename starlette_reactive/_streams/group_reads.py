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

import logging
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
from .net import Net
from .rendering import Rendered
from .trace import GroupTraces
from .viewer import Viewer

__all__ = ["GroupReads"]

logger: logging.Logger = logging.getLogger("starlette_reactive.streams")

_MAX_READS = 4096  # that runs of some blocks may add up to
_reported: set[tuple[str, str]] = set()  # pages, each with a statement


class GroupReads:
    """The reads of one group.

    Args:
        options: How the group is served.
        alarm: Rings for the events of its scopes.
        traces: Report what is read.
        look_later: Called when something may have changed in scopes that are new.
    """

    __slots__ = (
        "_alarm",
        "_facts",
        "_hub",
        "_is_pending",
        "_look_later",
        "_net",
        "_newest",
        "_options",
        "_scope",
        "_traces",
        "are_known",
        "entries",
        "since",
        "starts",
    )

    def __init__(
        self, options: GroupOptions, alarm: Alarm, traces: GroupTraces, look_later: Callable[[], object]
    ) -> None:
        self._traces = traces
        self._options = options
        self._hub = options.hub
        self._scope = options.scope
        self._alarm = alarm
        self._look_later = look_later
        self._facts = Facts()
        self._is_pending = False  # whether changes have met the facts since the last run of all blocks
        sent = frozenset(options.registry.blocks())  # those of others, such as shared ones, are only rendered at first
        own = [ref for ref in options.tracked or () if ref in sent]
        self._net = Net(options.render, own, is_debug=options.debug)
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
        if not owed and self.is_in_doubt:
            await self._net.compare(self.entries, lambda: self._have_changed(position))
            return {}
        self.since, reads = self._hub.latest_cursor(), Reads()
        self._net.forget()
        blocks = owed if self.are_known else list(dict.fromkeys((*(self._options.tracked or ()), *owed)))
        try:
            with reading(reads):
                rendered = await self._options.render(paths, blocks)
        except (StreamEndedError, StreamRestartError):
            raise
        except Exception:
            await self._add(reads.entries)
            raise
        self._net.keep(rendered)
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

    @property
    def is_in_doubt(self) -> bool:
        """Whether all blocks are rendered again to find out whether changes were rightly ignored."""
        return self._net.is_due

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
        self._traces.reads(self.entries)
        if self._options.debug:
            _report_unknown(self._options, self.entries)

    # Viewers

    def _place(self, viewers: Iterable[Viewer], position: int) -> None:
        """Let viewers begin in the scopes of the first run, who have joined before it has ended."""
        is_quiet = self._options.alone or not self._have_changed(0)  # the page of its only viewer is older than the run
        for viewer in viewers:
            located = self._hub.locate(self._scope, viewer.cursor, (*viewer.others, *self.starts))
            viewer.begin_at(located.position if is_quiet else None, located.latest, located.starts, position)
            self.begin_where(viewer)

    def begin_where(self, viewer: Viewer) -> None:
        """Begin where a viewer begins, who has the scopes of what was read."""
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

    def judged(self, found: Reading, after: int) -> Reading:
        """Return a reading with one change in place of those that meet the facts, and without those that do not.

        Args:
            found: The reading.
            after: The position that was read after.
        """
        if found.changes is None:
            return found
        return self._with(found, self._met(self._tracked(found), after))

    def judged_for_group(self, found: Reading, after: int) -> Reading:
        """Return the reading of the group, which renders what it finds. Each viewer before that is owed all blocks."""
        if found.changes is None:
            self._note(Change(ALL, None, found.position, None, 0, self._scope))
            return found
        tracked = self._tracked(found)
        met = self._met(tracked, after)
        if met is not None:
            self._note(met)
        elif not self._is_pending:
            self._net.rule_out(change.scope for change in tracked)
        return self._with(found, met)

    def judged_for_viewer(self, found: Reading, after: int, up_to: int) -> Reading:
        """Return the reading of a viewer, with what the group has found since its position.

        Args:
            found: The reading.
            after: The position of the viewer.
            up_to: The position of the feed. What the group finds later is left to it.
        """
        if found.changes is None:
            return found
        tracked, known = self._tracked(found), self._newest
        met = self._met(tracked, after)
        if met is not None and met.position > up_to:
            later = [change for change in tracked if change.position > up_to]
            if self._met(later, up_to) is None:  # it takes an earlier change, too, so the group does not find it
                met = replace(met, position=up_to, other_position=min(met.other_position, up_to))
        if known is not None and known.position > after:
            met = known if met is None else _merged(known, met)
        return self._with(found, met)

    def _tracked(self, found: Reading) -> list[Change]:
        return [change for change in found.changes or () if change.scope in self.starts]

    def _with(self, found: Reading, met: Change | None) -> Reading:
        changes = [change for change in found.changes or () if change.scope not in self.starts]
        if met is not None:
            changes = sorted((*changes, met), key=lambda change: change.position)
        return replace(found, changes=tuple(changes))

    def _note(self, met: Change) -> None:
        self._is_pending = True
        self._net.forget()
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


def _report_unknown(options: GroupOptions, entries: Iterable[Read]) -> None:
    """Log once for each page which statements read who knows what."""
    page = next((ref.template_name for ref in options.tracked or ()), options.scope)
    for read in entries:
        if read.facts.everything and (page, read.statement) not in _reported and len(_reported) < _MAX_READS:
            _reported.add((page, read.statement))
            logger.warning(
                "the page of %s runs again after each commit, because %s %s: select from tables with expressions of "
                "SQLAlchemy, declare views with reactive.track(…, views=…), or name what is read with reactive.reads() "
                "and select it in reactive.untracked()",
                page,
                read.statement,
                read.unknown or "may read anything",
            )


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
