"""Streams of viewers who share the renders of some blocks, and have others rendered for themselves.

Such a viewer has a place in two groups. A group of its own admits it, and renders its personal blocks. A group of all
viewers with an equal key renders what they share. Both read the same change log, each from its own position, so two
rules keep the page exact:

- **An id is sent only when both groups have sent everything up to it.**
- **What replaces a block that the other group has sent may be older.** A personal block contains the shared blocks
  nested in it, as its own run has read them. Those that have changed since that run began are sent again after it.

The group of its own is woken by the shared one, only for changes that its blocks show. If the page is tracked, each run
decides by itself what matters to it, so the bus wakes both groups.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

import anyio
from starlette.types import Send

from .._core.blocks import BlockRef
from .._core.errors import StreamRestartError
from .._core.loops import Nudge
from .._core.sse import with_fields
from .event_ids import EventId, retry_field
from .group import Group
from .group_options import GroupOptions
from .groups import group_for
from .live_response import Beginning, LiveStream, ViewerOptions
from .viewer import Viewer

__all__ = ["Joint", "JointStream", "Sharing"]


class Sharing(Protocol):
    """What a viewer shares, and with which others. It is asked once the application has admitted the viewer."""

    @property
    def has_personal(self) -> bool:
        """Whether there are personal blocks."""

    @property
    def nested(self) -> Mapping[BlockRef, tuple[BlockRef, ...]]:
        """The shared blocks that are nested in each personal block, as far as there are any."""

    def group(self) -> tuple[GroupOptions, Hashable]:
        """Return how the viewers that share with it are served, and what identifies their group."""

    def joined(self, joint: Joint) -> Callable[[], object]:
        """Take note that the viewer has joined. Return what to call when it leaves."""

    def has_key(self, requested: EventId) -> bool:
        """Return whether the viewer had its present key when it received an id, or its page without one."""

    def check(self) -> StreamRestartError | Awaitable[StreamRestartError | None] | None:
        """Return why the viewer may not be sent anything as it is, or ``None`` if it may."""


class Joint:
    """A viewer's two places.

    Args:
        own: The group of its own.
        own_viewer: Its place there.
        shared: The group that it shares.
        viewer: Its place there.
        sharing: What it shares.
        nudge: What wakes its stream.
    """

    __slots__ = (
        "_has_personal",
        "_is_behind",
        "_is_tracked",
        "_nested",
        "_nudge",
        "_owes_id",
        "own",
        "own_viewer",
        "shared",
        "viewer",
    )

    def __init__(
        self,
        own: Group,
        own_viewer: Viewer,
        shared: Group,
        viewer: Viewer,
        sharing: Sharing,
        nudge: Nudge,
    ) -> None:
        self.own = own
        self.own_viewer = own_viewer
        self.shared = shared
        self.viewer = viewer
        self._has_personal = sharing.has_personal
        self._nested = sharing.nested
        self._nudge = nudge
        self._is_behind = sharing.has_personal  # whether the personal blocks may be behind the shared ones
        self._owes_id = False  # whether something was sent without an id
        self._is_tracked = sharing.has_personal and own.scopes.reads is not None  # its own runs read something else

    def connect(self) -> None:
        """Let either place know from now on what concerns the stream in the other one."""
        own, viewer = self.own, self.viewer
        viewer.is_outdated = own.outdated() is not None
        viewer.wake_own = self._wake_own if self._has_personal and not self._is_tracked else None
        own.on_outdate = self._outdate
        own.feed.on_wake = self._own_woke

    def disconnect(self) -> None:
        """Undo :meth:`connect`."""
        self.viewer.wake_own = self.own.on_outdate = self.own.feed.on_wake = None

    def _fall_behind(self) -> None:
        """Ask the group of its own from now on whether it has something to send."""
        if self._has_personal and not self._is_behind:
            self._advance()
            self._is_behind = True

    def _wake_own(self, position: int) -> None:
        self._fall_behind()
        self.own.wake(position)

    def _outdate(self, since: float | None) -> None:
        self._fall_behind()
        self.shared.outdate_viewer(self.viewer, since)

    def _own_woke(self) -> None:
        self._fall_behind()
        if self.own_viewer.end_reason is not None:
            self.viewer.end(self.own_viewer.end_reason)
        self._nudge.wake()

    def restart(self, restart: StreamRestartError) -> None:
        """Restart the stream."""
        if restart.whole:
            self.viewer.rewind(None)
        self.viewer.end("restart" if restart.soon else "return")
        self._nudge.wake()

    def has_personal_news(self) -> bool:
        """Return whether there may be personal blocks to send."""
        return self._is_behind and self.own.feed.has_news(self.own_viewer)

    def take(self) -> tuple[bytes, bytes]:
        """Return the frames that bring the viewer up to date: personal ones, and after them those that it shares.

        Empty if there is nothing to send yet.
        """
        if self._is_tracked:
            self.own.look()  # the bus may not have woken it yet
        if self._is_behind and self.own.is_behind(self.own_viewer):
            return self._take_both()
        self._is_behind = self._is_tracked
        frames = self.shared.feed.take(self.viewer)
        if frames:
            self._owes_id = False
            self.shared.traces.sent(self.viewer, len(frames))
            if self._nested:
                self.own.feed.note_altered(self.own_viewer)
        return b"", frames

    def _take_both(self) -> tuple[bytes, bytes]:
        taken, owes_id = self._take_own(), self._owes_id
        is_behind = self.own.is_behind(self.own_viewer)
        frames = self.shared.feed.take(self.viewer, with_id=not is_behind)
        if frames:
            self.shared.traces.sent(self.viewer, len(frames))
            if self._nested:
                self.own.feed.note_altered(self.own_viewer)
        self._is_behind = is_behind or self._is_tracked
        self._owes_id = is_behind and (self._owes_id or bool(frames))
        if not taken:
            return self._owed_id(owes_id and not (is_behind or frames)), frames
        event_id = None if frames or is_behind else self._event_id()
        personal = with_fields(taken, event_id=event_id)
        self.own.traces.sent(self.own_viewer, len(personal))
        return personal, frames

    def _owed_id(self, is_due: bool) -> bytes:
        """Return a frame with the id of what was sent without one, if it is due and the page is tracked.

        Most runs of its own then show the same as before, so no frame of theirs would bring the id.
        """
        event_id = self._event_id() if is_due and self._is_tracked else None
        return b"" if event_id is None else f"id: {event_id}\n\n".encode()

    def _advance(self) -> None:
        """Record that the personal blocks are as current as the shared ones, as they are until they fall behind."""
        own, position = self.own_viewer, self.viewer.position
        if own.position is not None and position is not None and own.position < position:
            own.position = position

    def _take_own(self) -> list[bytes]:
        """Return the frames of personal blocks."""
        taken = self.own.feed.take_apart(self.own_viewer)
        if taken is None:
            return []
        nested = {ref for block in taken.blocks for ref in self._nested.get(block, ())}
        if nested:
            self.shared.feed.replaced(self.viewer, nested, taken.since)
        return taken.frames

    def _event_id(self) -> str | None:
        """Return the id that stands for all that has been sent. ``None`` if shared blocks are still owed."""
        feed, viewer = self.shared.feed, self.viewer
        if not feed.is_current(viewer) or viewer.position is None:
            return None
        viewer.position = max(viewer.position, feed.position)
        return feed.event_id(self.shared.scopes.cursor_at(viewer.position, viewer))

    def end(self) -> None:
        """Let the place in the shared group stand for both, for the end of the stream."""
        own, viewer = self.own_viewer, self.viewer
        if not self._is_behind:
            return
        if own.position is None or own.repeated_paths:
            viewer.position = None
        elif viewer.position is not None:
            viewer.position = min(viewer.position, own.position)


class JointStream(LiveStream):
    """The stream of a viewer who shares the renders of some blocks.

    Args:
        group_options: How the group of its own is served.
        options: How this viewer is served.
        sharing: What it shares.
    """

    def __init__(self, group_options: GroupOptions, options: ViewerOptions, sharing: Sharing) -> None:
        super().__init__(group_options, options)
        self._sharing = sharing

    async def _send_updates(self, group: Group, viewer: Viewer, beginning: Beginning, send: Send) -> None:
        if not await self._is_admitted(group, viewer, send):
            await self._end(group, viewer, send)
            return
        with self._joined(group, viewer, beginning) as (joint, first):
            await self._send_first(joint.shared, joint.viewer, first, send)
            del beginning, first  # they last for the whole stream
            shared, viewer, feed = joint.shared, joint.viewer, joint.shared.feed
            check, retry = self._sharing.check, retry_field(self._retry)
            while viewer.end_reason is None:
                own = frames = toasts = b""
                if feed.has_news(viewer) or joint.has_personal_news() or self._toasts:
                    found = (viewer.is_outdated and joint.own.outdated()) or check()
                    if found is not None:
                        await self._restart_for(joint, found)
                        if viewer.end_reason is not None:
                            break
                    own, frames = joint.take()
                    toasts = self._toasts.take(viewer.client)
                if own or frames or toasts:
                    await self._send_body(send, viewer, self._encoder.encode(retry + own, frames, toasts))
                    retry = b""
                elif viewer.heartbeat != shared.heartbeat:
                    await self._send_body(send, viewer, self._encoder.encode_heartbeat(viewer.client.heartbeat))
                else:
                    await feed.changed.wait(self._toasts.nudge)  # nothing is awaited between `take` and this
                    continue
                viewer.heartbeat = shared.heartbeat
            joint.end()
            await self._end(shared, viewer, send)

    async def _restart_for(
        self, joint: Joint, found: StreamRestartError | Awaitable[StreamRestartError | None]
    ) -> None:
        """Restart the stream if it has to. If the stream ends while this is found out, nothing is sent either."""
        refusal = None
        if isinstance(found, StreamRestartError):
            refusal = found
        else:
            with anyio.CancelScope() as checking:
                joint.viewer.on_end = checking.cancel
                refusal = await found
            joint.viewer.on_end = None
        if refusal is not None:
            joint.restart(refusal)

    @contextmanager
    def _joined(self, own: Group, own_viewer: Viewer, beginning: Beginning) -> Iterator[tuple[Joint, Beginning]]:
        """Join the group that the viewer shares."""
        location = beginning.location
        if not self._sharing.has_key(EventId.requested(beginning.asgi_scope)):
            hub, scope = own.options.hub, own.options.scope
            location = replace(location, position=None, cursor=hub.cursor_at(scope, None))
            own_viewer.reset()
        shared, cursor = group_for(*self._sharing.group()), own_viewer.cursor
        shared.scopes.expect(own_viewer.others)
        if shared.scopes.reads is not None and own.scopes.reads is not None:
            shared.scopes.reads.adopt(own.scopes.reads)
            found = shared.scopes.locate(cursor, own_viewer.others)
            location = replace(found, position=None) if location.position is None else found
        viewer = Viewer(
            own_viewer.user_id,
            own_viewer.origin,
            own_viewer.client,
            location.position,
            self._close_stalled,
            location.latest,
            own_viewer.session_id,
            own_viewer.server,
            tells_own=own_viewer.tells_own,
            scopes=own_viewer.scopes,
            starts=location.starts,
            cursor=cursor,
            owed_paths=self._options.owed_paths,
        )
        shared.join(viewer)
        self._encode_for(shared)
        joint = Joint(own, own_viewer, shared, viewer, self._sharing, self._toasts.nudge)
        joint.connect()
        on_leave = self._sharing.joined(joint)
        if not self._sharing.has_personal:
            own.leave(own_viewer)
        elif own.scopes.reads is None:
            own.follow(shared)
        try:
            yield joint, replace(beginning, location=location)
        finally:
            joint.disconnect()
            shared.leave(viewer)
            on_leave()
