"""LiveStream: the response that carries the updates of one viewer, and everything that concerns its connection."""

from __future__ import annotations

import functools
import inspect
import logging
import random
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import anyio
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from .._bus.hub import Location
from .._bus.roster import Member
from .._clients import Client
from .._clients.htmx import stream_client
from .._core.callables import name_of
from .._core.emit_filters import filtering
from .._core.encodings import accepts_gzip
from .._core.events import ConnectionInfo
from .._core.loops import current_mailbox
from .compression import Encoder, GzipEncoder, Segments
from .event_ids import RESTART_PAUSE, EventId, first_frame, restart_frame, retry_field
from .group import Group
from .group_options import GroupOptions
from .groups import group_for
from .limits import RETRY_AFTER, StreamPlace
from .presence import gatherer_for
from .response import CLEANUP_TIMEOUT, EventStream
from .toasts import ToastTray
from .viewer import FINAL_REASONS, Viewer

__all__ = ["Beginning", "ConnectionCallback", "LiveStream", "ViewerOptions"]

logger: logging.Logger = logging.getLogger("starlette_reactive.streams")

ConnectionCallback = Callable[[str, ConnectionInfo | None], object]
"""A function or coroutine function, called with a scope and the connection."""


@dataclass(frozen=True, slots=True)
class ViewerOptions:
    """How one connection is served.

    Args:
        share: Connections with an equal key share their renders. ``None`` shares nothing.
        others: The scopes that concern the viewer besides that of the group.
        after: The cursor to begin at if the request names none.
        origin: The mark of the viewer's own changes.
        connection: Who is connected.
        session: The viewer's session, by which its streams can be ended.
        place: Its place within the limits. ``None`` means that there are none.
        user_id: Returns the viewer's user id once the application has admitted it, if only then it is known.
        owed_paths: Paths that the viewer is owed besides what changes, unless it comes back.
        on_join: Called when the viewer joins. It returns what to call when the viewer leaves.
        on_connect: Called once the viewer is counted.
        on_disconnect: Called once the viewer is no longer counted.
        close_event: The event that ends the client when the bus closes the stream.
        sink: A CSS selector of the client's connected element, if the end of the stream removes it.
        retry: Milliseconds that clients wait before they reconnect, before jitter.
        client: Returns the client for the ASGI scope of the request.
        tells_own: Whether it receives its own changes, too, as pages are.
    """

    share: Hashable | None = None
    others: tuple[str, ...] = ()
    after: str | None = None
    origin: str | None = None
    connection: ConnectionInfo | None = None
    session: str | None = None
    place: StreamPlace | None = None
    owed_paths: frozenset[str] = frozenset()
    user_id: Callable[[], str | None] | None = None
    on_join: Callable[[Group, Viewer], Callable[[], object]] | None = None
    on_connect: ConnectionCallback | None = None
    on_disconnect: ConnectionCallback | None = None
    close_event: str | None = None
    sink: str | None = None
    retry: int = 3000
    client: Callable[[Scope], Client] = stream_client
    tells_own: bool = False


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a stream begins.

    Args:
        asgi_scope: The ASGI scope of its request.
        location: The position in the change log that the request names.
    """

    asgi_scope: Scope
    location: Location


class LiveStream(EventStream):
    """The stream of one viewer of a scope.

    Args:
        group_options: How the viewers of the scope are served.
        options: How this viewer is served.
    """

    def __init__(self, group_options: GroupOptions, options: ViewerOptions) -> None:
        super().__init__(
            (),
            heartbeat_interval=group_options.heartbeat_interval,
            retry=round(options.retry * random.uniform(0.75, 1.25)),  # noqa: S311 - jitter
            close_event=options.close_event,
            debug=group_options.debug,
        )
        self._group_options = group_options
        self._options = options
        self._member: Member | None = None  # since the viewer is counted
        self._toasts = ToastTray()
        self._encoder = Encoder()
        self._segments: Segments | None = None  # since it is known that the stream is compressed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, until the client, the application or the server ends it."""
        if self._group_options.segments is not None:
            self.headers.add_vary_header("Accept-Encoding")
            if accepts_gzip(Headers(scope=scope).get("accept-encoding", "")):
                self.headers["Content-Encoding"] = "gzip"
                self._segments = self._group_options.segments
        await super().__call__(scope, receive, send)

    def belong_to(self, session: str, on_join: Callable[[Group, Viewer], Callable[[], object]]) -> None:
        """End with a session of the viewer, by its name in the roster, and call a function when the viewer joins."""
        self._options = replace(self._options, session=session, on_join=on_join)

    async def _serve(self, asgi_scope: Scope, receive: Receive, send: Send) -> None:
        hub, scope, place = self._group_options.hub, self._group_options.scope, self._options.place
        if place is not None and not place.take():
            hub.counts.refuse()
            await _too_many_streams()(asgi_scope, receive, send)
            return
        try:
            await hub.ready(scope, *self._options.others)
            with self._viewer(asgi_scope) as (group, viewer, beginning):
                async with anyio.create_task_group() as tasks:
                    self._ending = tasks.cancel_scope
                    tasks.start_soon(self._send_updates, group, viewer, beginning, send)
                    await self._wait_for_disconnect(receive)
                    tasks.cancel_scope.cancel()
        finally:
            if place is not None:
                place.give_back()
            if self._member is not None:
                with anyio.move_on_after(CLEANUP_TIMEOUT, shield=True):
                    await self._call(self._options.on_disconnect)

    @contextmanager
    def _viewer(self, asgi_scope: Scope) -> Iterator[tuple[Group, Viewer, Beginning]]:
        options, connection = self._options, self._options.connection
        scope = self._group_options.scope
        group = group_for(self._group_options, options.share)  # subscribes, so every later change is noticed
        self._group_options = group.options  # its own are needed no more if others have made the group
        group.scopes.expect(options.others)
        requested = EventId.requested(asgi_scope).cursor
        if requested:  # an id is sent only after what was owed
            self._options = options = replace(options, owed_paths=frozenset())
        cursor = requested or options.after or None
        location = group.scopes.locate(cursor, options.others)
        viewer = Viewer(
            None if connection is None else connection.user_id,
            options.origin,
            options.client(asgi_scope),
            location.position,
            self._close_stalled,
            location.latest,
            None if connection is None else connection.session_id,
            self._connection.server,
            tells_own=options.tells_own,
            scopes=(scope, *options.others),
            starts=location.starts,
            cursor=cursor,
            owed_paths=options.owed_paths,
        )
        group.join(viewer)
        on_leave = None if options.on_join is None else options.on_join(group, viewer)
        try:
            yield group, viewer, Beginning(asgi_scope, location)
        finally:
            if self._member is not None:
                self._member.leave()
            group.leave(viewer)
            if on_leave is not None:
                on_leave()

    async def _is_admitted(self, group: Group, viewer: Viewer, send: Send) -> bool:
        """Begin the answer, and wait until the viewer is admitted and counted. Return ``False`` if its stream ends."""
        self._encode_for(group)
        viewer.sending_since = time.monotonic()
        await self._send_start(send)
        viewer.sending_since = None
        return await group.admit(viewer) and self._is_counted(group, viewer)

    def _encode_for(self, group: Group) -> None:
        """Begin to send what a group shares."""
        if self._segments is not None:
            self._encoder = GzipEncoder(group.options.segments or self._segments)

    async def _send_first(self, group: Group, viewer: Viewer, beginning: Beginning, send: Send) -> None:
        await self._call(self._options.on_connect)
        tracked = group.scopes.reads is not None  # it has scopes now that it had not when it began
        cursor = group.scopes.cursor_at(viewer.position, viewer) if tracked else beginning.location.cursor
        event_id = None if self._options.owed_paths else group.feed.event_id(cursor)
        await self._send_own(send, viewer, first_frame(event_id, self._retry))

    async def _send_updates(self, group: Group, viewer: Viewer, beginning: Beginning, send: Send) -> None:
        if await self._is_admitted(group, viewer, send):
            await self._send_first(group, viewer, beginning, send)
        del beginning  # it lasts for the whole stream
        own = retry_field(self._retry)
        while viewer.end_reason is None:
            frames, toasts = group.feed.take(viewer), self._toasts.take(viewer.client)
            if frames or toasts:
                await self._send_body(send, viewer, self._encoder.encode(own, frames, toasts))
                if frames:
                    group.traces.sent(viewer, len(own) + len(frames))
                own = b""
            elif viewer.heartbeat != group.heartbeat:
                await self._send_body(send, viewer, self._encoder.encode_heartbeat(viewer.client.heartbeat))
            else:
                # nothing is awaited between `take` and this, so nothing is missed
                await group.feed.changed.wait(self._toasts.nudge)
                continue
            viewer.heartbeat = group.heartbeat
        await self._end(group, viewer, send)

    def _ending_of(self, group: Group, viewer: Viewer) -> Callable[[str], object]:
        """Return what the bus calls to end the stream, in any thread."""
        return functools.partial(group.end_viewer, viewer)

    def _is_counted(self, group: Group, viewer: Viewer) -> bool:
        """Count the viewer that the application admits. Return ``False`` if the viewer has been ended meanwhile."""
        connection = self._options.connection
        if connection is not None and self._options.user_id is not None:
            user_id = self._options.user_id()
            if user_id != viewer.user_id:
                connection = replace(connection, user_id=user_id)
                self._options = replace(self._options, connection=connection)
                viewer.become(user_id)
        hub, scope = self._group_options.hub, self._group_options.scope
        show = functools.partial(self._toasts.put, current_mailbox(), hub.counts)
        end, session = self._ending_of(group, viewer), self._options.session
        member = hub.join(scope, connection, end, session, show, viewer.others)
        if member.has_ended:
            viewer.end("signed-out")
            return False
        self._member = member
        return True

    async def _end(self, group: Group, viewer: Viewer, send: Send) -> None:
        if viewer.end_reason in ("restart", "return"):  # at once, or after the usual pause
            pause = RESTART_PAUSE if viewer.end_reason == "restart" else self._options.retry / 1000
            if viewer.repeated_paths & self._options.owed_paths:
                viewer.rewind(None)
            cursor = group.scopes.cursor_at(viewer.position, viewer)
            await self._send_own(send, viewer, restart_frame(pause, group.feed.event_id(cursor)))
        final = viewer.end_reason if viewer.end_reason in FINAL_REASONS else None
        if final is None and not viewer.client.reconnects_after_end:
            self._abort()  # a clean end would be final
            return
        with self._connection.farewell():
            viewer.sending_since = time.monotonic()
            if final is not None:
                closing = viewer.client.encode_close(self._close_event, self._options.sink, final)
                if closing:
                    await self._send_own(send, viewer, closing)
            await self._finish(send)
        if self._ending is not None:
            self._ending.cancel()

    async def _send_own(self, send: Send, viewer: Viewer, frames: bytes) -> None:
        """Send what is for this viewer alone."""
        await self._send_body(send, viewer, self._encoder.encode(frames))

    async def _send_body(self, send: Send, viewer: Viewer, body: bytes) -> None:
        viewer.sending_since = time.monotonic()
        await send({"type": "http.response.body", "body": body, "more_body": True})
        viewer.sending_since = None

    async def _call(self, callback: ConnectionCallback | None) -> None:
        if callback is None:
            return
        hub = self._group_options.hub
        for scope in (self._group_options.scope, *self._options.others):
            what = f"a connection callback of scope {scope!r}"
            with hub.failures.logged(what, (name_of(callback), scope)), filtering(gatherer_for(hub)):
                result = callback(scope, self._options.connection)
                if inspect.isawaitable(result):
                    await result

    def _close_stalled(self) -> None:
        logger.info("closing a stalled stream of scope %r", self._group_options.scope)
        self._abort()

    def _abort(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
        self._connection.abort()


def _too_many_streams() -> Response:
    return PlainTextResponse(
        "There are too many live streams. Try again later.", status_code=503, headers={"Retry-After": str(RETRY_AFTER)}
    )
