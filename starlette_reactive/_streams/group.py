"""One render for all viewers that share it: changed paths → context → patches.

A group has one subscription, which only wakes it. It reads what changed from the change log, so a burst is one read
and no full queue can lose a path. It runs as a task of the event loop, from its first viewer to its last.

What fails stays owed: a context builder that raises, or a block that does not render, is tried again with the next
change, and after a growing, jittered pause.
"""

from __future__ import annotations

import contextlib
import functools
import math
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextvars import Context

import anyio

from .._core.blocks import Patch
from .._core.emit_filters import UPDATE_MARK, caused_by_update
from .._core.errors import StreamEndedError, StreamRestartError
from .._core.loops import LoopClosedError, current_mailbox, spawn
from .._core.paths import ALL
from .._index.tables import IndexedBlock
from .alarm import Alarm
from .backoff import Backoff
from .concerned import note_own, owed_paths, part_twins, wake_own_groups
from .feed import Feed
from .group_options import GroupOptions
from .group_scopes import GroupScopes
from .past import Past
from .render_log import RenderLog
from .rendering import Rendered, patches_of
from .servers import Server
from .timer import timer
from .trace import GroupTraces
from .viewer import Viewer

__all__ = ["Group"]

MIN_INTERVAL = 0.02
"""Seconds between the starts of two renders, so that a burst of changes is one render."""
CLOSING_GRACE = 10.0
"""Seconds that a render may go on after the last viewer has left."""


class Group:
    """Renders what changes in the scopes of its viewers, for them.

    Args:
        options: How they are served.
        on_close: Called when the group accepts no more viewers.
        on_end: Called when its task has ended.
    """

    def __init__(
        self,
        options: GroupOptions,
        on_close: Callable[[Group], object] = lambda _: None,
        on_end: Callable[[Group], object] = lambda _: None,
    ) -> None:
        self._options = options
        self._on_close = on_close
        self._on_end = on_end
        self._mailbox = current_mailbox()
        self.traces: GroupTraces = GroupTraces(options.hub, options.scope, options.registry, follows=options.follows)
        self._alarm = Alarm(options.hub, options.scope, options.own_origin, options.browser)  # before the feed reads
        self.scopes: GroupScopes = GroupScopes(options, self._alarm, self.traces, self._look_later)
        self.feed: Feed = Feed(self.scopes, options.registry, self._demand, options.renewal, options.key)
        self._past = Past(self.feed.position)
        self._is_outdated = False
        self.on_outdate: Callable[[float | None], object] | None = None  # called first when they are outdated
        self._authorised = not options.authorises
        self._only_by_updates: bool | None = None  # whether all changes since the last render were made in updates
        self._viewers: dict[Viewer, None] = {}
        self._paths: set[str] = set()  # what the owed blocks show
        self._backoff = Backoff()
        self._log = RenderLog(options.hub.failures, options.scope, options.own_origin)
        self._demanded = options.authorises
        self._running = anyio.CancelScope()
        self._is_rendering = False
        self._closed = False
        self._next_heartbeat = time.monotonic() + options.heartbeat_interval
        self.heartbeat: int = 0
        self.ended: anyio.Event = anyio.Event()

    @property
    def options(self) -> GroupOptions:
        """How its viewers are served."""
        return self._options

    # Viewers

    def join(self, viewer: Viewer) -> None:
        """Add a viewer. If it has further scopes, the group already expects them."""
        self._viewers[viewer] = None
        viewer.heartbeat = self.heartbeat
        self.scopes.join(viewer, self.feed.position)
        self.feed.join(viewer)
        if self.scopes.have_news_for(viewer, self.feed.position):
            self._look_later()
        if not self._authorised:
            self.feed.demand_for(viewer)  # the render that shows whether the viewer is admitted
            self._demanded = True
        self.traces.viewers_changed(len(self._viewers))

    async def admit(self, viewer: Viewer) -> bool:
        """Wait until the application admits the viewers of the group. Return ``False`` if the viewer's stream ends."""
        while not self._authorised and viewer.end_reason is None:
            await self.feed.changed.wait()
        if not self.scopes.are_open_for(viewer):
            viewer.end("closed")
        return viewer.end_reason is None

    def leave(self, viewer: Viewer) -> None:
        """Remove a viewer. The last one closes the group."""
        if viewer in self._viewers:
            del self._viewers[viewer]
            self.scopes.leave(viewer)
        self.traces.viewers_changed(len(self._viewers))
        if not self._viewers:
            self._close()

    def follow(self, leader: Group) -> None:
        """Be woken by another group of the scope from now on, with :meth:`wake`, and no longer by the bus."""
        self._alarm.follow()
        self.wake(leader.feed.position)

    def look(self) -> None:
        """Read the change log at once, unless that follows a render anyway."""
        if not self._is_rendering and self._authorised and self._read_changes():
            self._look_later()

    def _look_later(self) -> None:
        self._demanded = True
        self._alarm.ring()

    def wake(self, position: int) -> None:
        """Read the change log up to a position or further, because another group has found something there."""
        if self.feed.position < position:
            self._demanded = True
            self._alarm.ring_in_turn()

    def retry(self) -> None:
        """Render at once what could not be rendered."""
        if self.feed.is_owed:
            self._look_later()

    def is_behind(self, viewer: Viewer) -> bool:
        """Return whether a viewer is owed something, or may be."""
        return self._demanded or self.feed.is_owed or self.feed.has_news(viewer)

    def end_viewer(self, viewer: Viewer, reason: str) -> None:
        """End a viewer's stream for good. Thread-safe."""
        self._post(functools.partial(self._end, (viewer,), reason))

    def restart_viewer(self, viewer: Viewer, since: float | None) -> None:
        """Restart a viewer's stream, because the browser has other cookies now. Thread-safe.

        What was read since a monotonic time is rendered again. ``None`` means that the time is not known. Infinity
        means that the viewer may wait for the next change.
        """
        self._post(functools.partial(self._restart_viewer, viewer, since))

    def _restart_viewer(self, viewer: Viewer, since: float | None) -> None:
        if since == math.inf:
            viewer.is_outdated = True
        else:
            self._restart((viewer,), since)

    def outdate_viewer(self, viewer: Viewer, since: float | None) -> None:
        """Restart a viewer's stream before it is sent anything else; see :meth:`outdate`."""
        if since is None or self._past.moved_at >= since:
            self._restart((viewer,), since)
        viewer.is_outdated = True

    def _post(self, function: Callable[[], object]) -> None:
        self._mailbox.post(function)
        with contextlib.suppress(LoopClosedError):
            self._mailbox.wake()

    def outdate(self, since: float | None) -> None:
        """Restart the streams before the next render, because the browser has other cookies now. Thread-safe.

        What was read since a monotonic time is rendered again. ``None`` means that the time is not known.
        """
        self._post(functools.partial(self._outdate, since))

    def _outdate(self, since: float | None) -> None:
        self._is_outdated = True
        if self.on_outdate is not None:
            self.on_outdate(since)
        if since is None or self._past.moved_at >= since:
            self._restart(self._viewers, since)

    def outdated(self) -> StreamRestartError | None:
        """Return why the streams restart before the next render. ``None`` if they do not."""
        return StreamRestartError("its browser has other cookies now") if self._is_outdated else None

    def _restart(self, viewers: Iterable[Viewer], since: float | None) -> None:
        if since is None:
            self._end(viewers, "shutdown")
            return
        for viewer in viewers:
            viewer.rewind(self._past.position_at(since))
        self._end(viewers, "restart")

    def shut_down(self) -> None:
        """End all streams so that clients reconnect when the server is back, and start no further render."""
        self._end(self._viewers, "shutdown")
        self._close()

    def _end(self, viewers: Iterable[Viewer], reason: str) -> None:
        for viewer in viewers:
            viewer.end(reason)
        self.feed.wake()

    # Life

    def start(self, context: Context) -> None:
        """Start the group's task; the context builder sees these context variables."""
        spawn(self._run, name=f"starlette-reactive group {self._options.scope}", context=context)
        timer().add(self)

    def _close(self) -> None:
        self._closed = True
        if self._is_rendering:
            # A builder that is cancelled amid a query would leave its database connection open, so it may finish.
            self._running.deadline = anyio.current_time() + CLOSING_GRACE
        else:
            self._running.cancel()
        self._alarm.close()
        if not self._viewers:
            timer().remove(self)  # until then a viewer may stall
        self._on_close(self)
        self.traces.ended(None)

    def on_tick(self, now: float, stopping: Collection[Server]) -> None:
        """Send heartbeats, repeat crossed changes, close stalled streams, and end the streams of servers that stop."""
        if stopping:
            self._end([viewer for viewer in self._viewers if viewer.server in stopping], "shutdown")
        interval, timeout = self._options.heartbeat_interval, self._options.send_timeout
        if interval > 0 and now >= self._next_heartbeat:
            self.heartbeat += 1
            self._next_heartbeat = now + interval
            self.feed.wake()
        for viewer in [viewer for viewer in self._viewers if now >= viewer.repeat_at]:
            self.feed.repeat_crossed(viewer, now)
        for viewer in [viewer for viewer in self._viewers if viewer.is_stalled(now, timeout)]:
            viewer.abort()
        if self._alarm.follows and not any(viewer.crossed_paths for viewer in self._viewers):
            timer().remove(self)

    async def _run(self) -> None:
        try:
            with self._running:
                await self._serve_until_end()
        finally:
            self._log.end()
            self._on_end(self)
            self.ended.set()

    async def _serve_until_end(self) -> None:
        reason = "closed"
        try:
            await self._serve()
        except StreamEndedError as ended:
            self._log.ended(f"closing the streams of scope {self._options.scope!r}: {ended}")
            reason = "refused"
            self.traces.ended(str(ended))
        except StreamRestartError as restart:
            self._log.ended(f"restarting a stream of scope {self._options.scope!r}: {restart}")
            reason = "restart" if restart.soon else "return"
            if restart.whole:
                for viewer in self._viewers:
                    viewer.rewind(None)
            self.traces.ended(str(restart))
        except Exception as error:  # noqa: BLE001 - logged
            self._log.broke(error)
            reason = "shutdown"  # the page still exists, so clients reconnect
            self.traces.ended("an internal error, which is in the log")
        self._end(self._viewers, reason)
        self._close()

    async def _serve(self) -> None:
        next_start = 0.0
        while await self._wait():
            if (pause := next_start - time.monotonic()) > 0:
                await anyio.sleep(pause)
            demanded, self._demanded = self._demanded, False
            started = time.monotonic()
            waits = self.feed.is_owed or not self._authorised
            if self._read_changes() or (waits and (demanded or self._backoff.is_due)):
                await self._render()
                if self._closed:
                    return
                await self.feed.changed.rung()  # else those woken last would be two batches behind
                next_start = started + MIN_INTERVAL

    async def _wait(self) -> bool:
        """Sleep until a change, a demand or a retry is due. Return False when the bus closes the scope."""
        return self._demanded or await self._alarm.wait(self._backoff.pause)

    def _demand(self, blocks: Iterable[IndexedBlock], paths: frozenset[str]) -> None:
        self.feed.owe(blocks)
        self._paths |= paths
        self._look_later()

    # Rendering

    def _read_changes(self) -> bool:
        """Read the change log. Return whether there is something new to render."""
        before = self.feed.position
        reading = self.scopes.read(before)
        if reading.position <= before:
            return False
        self._past.note(before)
        if reading.changes is None:
            changed = shown = frozenset((ALL,))
            origins: frozenset[str] = frozenset()
            whole = True
            self._only_by_updates = False
            for viewer in self._viewers:
                if viewer.origin is not None:
                    viewer.reset()
        else:
            changed = frozenset(change.path for change in reading.changes)
            origins = frozenset(change.origin for change in reading.changes if change.origin is not None)
            if reading.changes:
                by_updates = all((change.origin or "").startswith(UPDATE_MARK) for change in reading.changes)
                self._only_by_updates = by_updates and self._only_by_updates is not False
            part_twins(self._viewers, origins, self._options.hub, self._options.scope)
            if note_own(self.feed, self._options.registry, self._viewers, reading.changes, before, origins):
                timer().add(self)  # for what they are sent later
            shown = owed_paths(reading.changes, before, self._viewers, self.scopes)
            everybody = self.scopes.are_of_all(reading.changes, len(self._viewers))
            whole = everybody and all(change.audience is None for change in reading.changes)
        plan = self._options.registry.plan(changed, shown)
        wake_own_groups(self._viewers, self._options.personal, reading, changed)
        self.feed.invalidate(plan, reading, whole=whole, origins=origins)
        if plan.affected:
            self._paths |= plan.paths
            if outdated := [viewer for viewer in self._viewers if viewer.is_outdated]:
                self._end(outdated, "restart")
        self.traces.read(reading, before, plan.affected, self._viewers)
        return bool(plan.affected) or self.scopes.are_in_doubt

    async def _render(self) -> None:
        blocks = self.feed.owed_blocks()
        started = time.monotonic()
        if (outdated := self.outdated()) is not None:
            raise outdated
        reads, render = self.scopes.reads, self._options.render
        if reads is not None:
            render = functools.partial(reads.render, self._viewers, self.feed.position)
        self._is_rendering = True
        caused_by_update.set(self._only_by_updates is True)
        self._only_by_updates = None
        try:
            rendered = await render(frozenset(self._paths), [block.ref for block in blocks])
        except (StreamEndedError, StreamRestartError):
            raise
        except Exception as error:  # noqa: BLE001 - logged
            self._log.failed(error)
            rendered = {block.ref.key: error for block in blocks}
        else:
            self._log.rendered(rendered)
            self._authorise()
        finally:
            self._is_rendering = False
        repeated = self._publish(blocks, rendered)
        self.traces.rendered(blocks, rendered, repeated, started, self._backoff.pause)

    def _authorise(self) -> None:
        if not self._authorised:
            self._authorised = True
            self.feed.wake()

    def _publish(self, blocks: Sequence[IndexedBlock], rendered: Rendered) -> Sequence[Patch]:
        patches, failed = patches_of(blocks, rendered, self._options.uncompressed)
        shown = failed if self._options.debug else []
        repeated: Sequence[Patch] = ()
        if patches or shown:
            repeated = self.feed.publish(patches, shown)
            self._next_heartbeat = time.monotonic() + self._options.heartbeat_interval
        if failed or not self._authorised:
            self._backoff.fail()
        else:
            self._backoff.succeed()
            if not self.feed.is_owed:
                self._paths.clear()
        return repeated
