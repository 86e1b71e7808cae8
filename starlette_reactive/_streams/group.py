"""One render for all viewers that share it: dirty paths → context → patches.

A group has one subscription, which only wakes it; what changed it reads from the change log, so that a burst is one
reading and nothing is lost to a full queue. It runs as a task of the event loop, from its first viewer to its last.

What failed stays owed: a context builder that raises, or a block that does not render, is tried again with the next
change and after a growing, jittered pause.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import logging
import random
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import anyio
from anyio.lowlevel import RunVar

from .._bus.bus import ReactiveBus, hub_of
from .._core.blocks import BlockRef, Patch
from .._core.errors import StreamEndedError
from .._core.loops import LoopClosedError, current_mailbox, spawn
from .._core.paths import ALL
from .._index.index import DependencyIndex
from .._log.changelog import Change, Reading
from .feed import CROSSING, Feed, Viewer
from .frames import error_markup
from .rendering import RenderBlocks, Rendered
from .timer import pulse
from .trace import GroupTrace, Outcome, noted, outcomes, traces_of

__all__ = ["Group", "Recipe", "Seat", "end_streams", "finish_renders", "group_for"]

logger: logging.Logger = logging.getLogger("starlette_reactive.streams")

MIN_INTERVAL = 0.02  # seconds between the starts of two renders, so that a stream of changes is gathered
CLOSING_GRACE = 10.0  # seconds that a render may go on after the last viewer has left
FIRST_RETRY, LAST_RETRY = 0.5, 60.0  # seconds after which a failure is tried again


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the viewers of a scope are served.

    Args:
        bus: Who tells of changes.
        scope: The scope.
        index: Which blocks show what.
        render: Renders blocks for changed paths.
        heartbeat_interval: Seconds between heartbeats; 0: none.
        send_timeout: Seconds after which a viewer that reads nothing is sent away; ``None``: never.
        debug: Whether a failing block shows its error in the page.
    """

    bus: ReactiveBus
    scope: str
    index: DependencyIndex
    render: RenderBlocks
    heartbeat_interval: float
    send_timeout: float | None
    debug: bool


class Seat:
    """A viewer in its group, as its stream sees it.

    Args:
        viewer: The viewer's place in the feed.
        abort: Called when the viewer reads nothing for too long.
    """

    __slots__ = ("abort", "beat", "end_reason", "sending_since", "viewer")

    def __init__(self, viewer: Viewer, abort: Callable[[], object]) -> None:
        self.viewer: Viewer = viewer
        self.abort: Callable[[], object] = abort
        self.beat: int = 0
        self.sending_since: float | None = None
        self.end_reason: str | None = None


class Group:
    """Renders for its viewers what changes in a scope."""

    def __init__(self, recipe: Recipe, key: Hashable) -> None:
        self._recipe = recipe
        self._key = key
        self._mailbox = current_mailbox()
        self.traces: tuple[GroupTrace, ...] = traces_of(recipe.bus, recipe.scope, recipe.index)
        self._subscription = hub_of(recipe.bus).watch(recipe.scope)  # before the feed reads its position
        self.feed: Feed = Feed(recipe.bus, recipe.scope, recipe.index, self._demand)
        self._seats: dict[Seat, None] = {}
        self._paths: set[str] = set()  # what the owed blocks show
        self._failures = 0
        self._retry_at = float("inf")
        self._pause = anyio.CancelScope()
        self._demanded = False
        self._running = anyio.CancelScope()
        self._renders = False
        self._closed = False
        self._next_beat = time.monotonic() + recipe.heartbeat_interval
        self.beat: int = 0
        self.ended: anyio.Event = anyio.Event()

    # Viewers

    def take_seat(self, seat: Seat) -> None:
        """Let a viewer in."""
        self._seats[seat] = None
        seat.beat = self.beat
        self.feed.join(seat.viewer)
        for trace in self.traces:
            trace.seated(len(self._seats))

    def leave(self, seat: Seat) -> None:
        """Let a viewer out; the last one ends the group."""
        self._seats.pop(seat, None)
        for trace in self.traces:
            trace.seated(len(self._seats))
        if not self._seats:
            self._close()

    def end(self, seat: Seat, reason: str) -> None:
        """Have a viewer's stream end."""
        seat.end_reason = seat.end_reason or reason
        self.feed.wake()

    def end_soon(self, seat: Seat) -> None:
        """Have a viewer's stream end; from any thread."""
        self._mailbox.post(functools.partial(self.end, seat, "closed"))
        with contextlib.suppress(LoopClosedError):
            self._mailbox.wake()

    @property
    def bus(self) -> ReactiveBus:
        """Who tells it of changes."""
        return self._recipe.bus

    def shut_down(self) -> None:
        """Have all streams end, for clients to come back when the server does, and begin no render any more."""
        self._end_all("shutdown")
        self._close()

    def _end_all(self, reason: str) -> None:
        for seat in self._seats:
            seat.end_reason = seat.end_reason or reason
        self.feed.wake()

    # Life

    def start(self, context: contextvars.Context) -> None:
        """Begin to serve; the context builder sees these context variables."""
        _started().add(self)
        spawn(self._run, name=f"starlette-reactive group {self._recipe.scope}", context=context)
        pulse().add(self)

    def _close(self) -> None:
        self._closed = True
        if self._renders:
            # Cancelling a builder amid its work would leave its database connection to nobody, so it may finish.
            self._running.deadline = anyio.current_time() + CLOSING_GRACE
        else:
            self._running.cancel()
        self._subscription.close()
        pulse().remove(self)
        groups = _groups.get(None)
        if groups is not None and groups.get(self._key) is self:
            del groups[self._key]
        self._trace_end(None)

    def _trace_end(self, reason: str | None) -> None:
        for trace in self.traces:
            trace.ended(reason)

    def on_pulse(self, now: float, *, stopping: bool) -> None:
        """Beat, look for viewers that read nothing, and end the streams when the server stops."""
        if stopping:
            self._end_all("shutdown")
            return
        interval, timeout = self._recipe.heartbeat_interval, self._recipe.send_timeout
        if interval > 0 and now >= self._next_beat:
            self.beat += 1
            self._next_beat = now + interval
            self.feed.wake()
        if [seat for seat in self._seats if self.feed.heal(seat.viewer, now)]:
            self.feed.wake()
        if timeout is not None:
            for seat in list(self._seats):
                if seat.sending_since is not None and now - seat.sending_since > timeout:
                    seat.abort()

    async def _run(self) -> None:
        try:
            await self._live()
        finally:
            _started().discard(self)
            self.ended.set()

    async def _live(self) -> None:
        with self._running:
            reason = "closed"
            try:
                await self._serve()
            except StreamEndedError as ended:
                logger.info("the streams of scope %r end: %s", self._recipe.scope, ended)
                self._trace_end(str(ended))
            except Exception:
                logger.exception("the streams of scope %r end because of a fault", self._recipe.scope)
                reason = "shutdown"  # the page is there still, so clients shall come back
                self._trace_end("a fault, which is in the log")
            self._end_all(reason)
            self._close()

    async def _serve(self) -> None:
        while True:
            self._subscription.drain()
            demanded, self._demanded = self._demanded, False
            started = time.monotonic()
            if self._note_changes() or (self.feed.owed and (demanded or self._is_due())):
                await self._render()
                if self._closed:
                    return
                await self.feed.changed.rung()  # else those woken last would be two batches behind
                await anyio.sleep(max(0.0, started + MIN_INTERVAL - time.monotonic()))
            if not await self._wait():
                return

    async def _wait(self) -> bool:
        """Sleep until something changes or is demanded, or a retry is due; false: the bus closed the scope."""
        pause = None if self._retry_at == float("inf") else max(0.0, self._retry_at - time.monotonic())
        with anyio.move_on_after(pause) as self._pause:
            if self._demanded:
                return True
            try:
                await anext(self._subscription)
            except StopAsyncIteration:
                return False
        return True

    def _is_due(self) -> bool:
        return self._failures == 0 or time.monotonic() >= self._retry_at

    def _demand(self, blocks: Iterable[BlockRef], paths: frozenset[str]) -> None:
        self.feed.demand(blocks)
        self._paths |= paths
        self._demanded = True
        self._pause.cancel()

    # Rendering

    def _note_changes(self) -> bool:
        """Read the change log; true: there is something new to render."""
        bus, scope, index = self._recipe.bus, self._recipe.scope, self._recipe.index
        before = self.feed.position
        reading = hub_of(bus).read(scope, before)
        if reading.position == before:
            return False
        if reading.changes is None:
            changed = entitled = frozenset((ALL,))
            origins: frozenset[str] = frozenset()
            whole = True
            for seat in self._seats:
                if seat.viewer.origin is not None:
                    self.feed.mistrust(seat.viewer)
        else:
            changed = frozenset(change.path for change in reading.changes)
            origins = frozenset(change.origin for change in reading.changes if change.origin is not None)
            self._note_own(reading.changes, before, origins)
            entitled = frozenset(
                change.path
                for change in reading.changes
                if change.for_all or any(seat.viewer.is_told(change, before) for seat in self._seats)
            )
            whole = all(change.audience is None for change in reading.changes)
        affected = index.affected_blocks(entitled) if entitled else []
        self.feed.invalidate(index.touched_blocks(changed), affected, reading.position, whole=whole, origins=origins)
        if affected:
            self._paths |= entitled
        self._trace_reading(reading, before, affected)
        return bool(affected)

    def _trace_reading(self, reading: Reading, before: int, affected: list[BlockRef]) -> None:
        if self.traces:
            facts = noted(reading, before, affected, [seat.viewer for seat in self._seats])
            for trace in self.traces:
                trace.noted(facts)

    def _note_own(self, changes: tuple[Change, ...], before: int, origins: frozenset[str]) -> None:
        """Take note of what viewers changed themselves."""
        touched = self._recipe.index.touched_blocks
        several = any(change.other_position > before for change in changes)
        by_somebody = {
            change: touched((change.path,))
            for change in changes
            if change.origin is not None or change.other_position > before
        }
        for seat in self._seats:
            viewer = seat.viewer
            if viewer.origin is not None and (several or viewer.origin in origins):
                since = (seat.sending_since or time.monotonic()) - CROSSING
                self.feed.note_own(viewer, by_somebody, before, since=since)

    async def _render(self) -> None:
        index = self._recipe.index
        paths = index.expand(self._paths)
        blocks = index.outermost(self.feed.owed)
        started = time.monotonic()
        self._renders = True
        try:
            rendered = await self._recipe.render(paths, blocks)
        except StreamEndedError:
            raise
        except Exception as error:
            logger.exception("the blocks of scope %r could not be rendered", self._recipe.scope)
            rendered = {ref.key: error for ref in blocks}
        finally:
            self._renders = False
        repeated = self._publish(blocks, rendered)
        self._trace_render(blocks, rendered, repeated, started)

    def _trace_render(
        self, blocks: list[BlockRef], rendered: Rendered, repeated: Sequence[Patch], started: float
    ) -> None:
        if self.traces:
            now = time.monotonic()
            retry_in = max(0.0, self._retry_at - now) if self._failures else None
            outcome = Outcome(outcomes(blocks, rendered, repeated), now - started, retry_in)
            for trace in self.traces:
                trace.rendered(outcome)

    def _publish(self, blocks: list[BlockRef], rendered: Rendered) -> Sequence[Patch]:
        placement = self._recipe.index.placement
        htmls = [(ref, rendered[ref.key]) for ref in blocks]
        patches = [Patch(ref, html, placement(ref)) for ref, html in htmls if isinstance(html, str)]
        failed = [
            Patch(ref, error_markup(ref.block_name, error), placement(ref))
            for ref, error in htmls
            if isinstance(error, Exception)
        ]
        shown = failed if self._recipe.debug else []
        repeated: Sequence[Patch] = ()
        if patches or shown:
            repeated = self.feed.publish(patches, shown)
            self._next_beat = time.monotonic() + self._recipe.heartbeat_interval
        if failed:
            self._fail()
        else:
            self._succeed()
        return repeated

    def _fail(self) -> None:
        if not self._is_due():
            return  # it was tried early, because of a change: the pause grows with time, not with changes
        pause = min(LAST_RETRY, FIRST_RETRY * 2**self._failures) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._failures = min(self._failures + 1, 16)
        self._retry_at = time.monotonic() + pause

    def _succeed(self) -> None:
        self._failures = 0
        self._retry_at = float("inf")
        if not self.feed.owed:
            self._paths.clear()


_groups: RunVar[dict[Hashable, Group]] = RunVar("starlette_reactive_groups")
_started_groups: RunVar[set[Group]] = RunVar("starlette_reactive_started_groups")


def _started() -> set[Group]:
    """Return the groups of the running event loop whose task has not ended, with those that have no viewer any more."""
    groups = _started_groups.get(None)
    if groups is None:
        groups = set()
        _started_groups.set(groups)
    return groups


def _started_on(bus: ReactiveBus) -> list[Group]:
    return [group for group in _started() if group.bus is bus]


def end_streams(bus: ReactiveBus) -> None:
    """End all streams of a bus in the running event loop, as a server that stops does."""
    for group in _started_on(bus):
        group.shut_down()


async def finish_renders(bus: ReactiveBus) -> None:
    """Wait for the renders of streams that have ended; one that takes too long is cancelled."""
    for group in _started_on(bus):
        await group.ended.wait()


def group_for(recipe: Recipe, share: Hashable | None) -> Group:
    """Return the group that a stream belongs to in the running event loop, started.

    Args:
        recipe: How its viewers are served.
        share: Streams of the same bus, index, scope and share key share a group; ``None``: a group of its own.
    """
    if share is None:
        group = Group(recipe, None)
        group.start(contextvars.copy_context())
        return group
    groups = _groups.get(None)
    if groups is None:
        groups = {}
        _groups.set(groups)
    key = (recipe.bus, recipe.index, recipe.scope, share)
    group_found = groups.get(key)
    if group_found is None:
        group_found = groups[key] = Group(recipe, key)
        # A shared render belongs to no viewer, so it sees no viewer's context variables.
        group_found.start(contextvars.Context())
    return group_found
