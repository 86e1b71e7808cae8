"""LiveStream: the response that carries the updates of one viewer, and everything that concerns its connection."""

from __future__ import annotations

import functools
import inspect
import logging
import random
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import anyio
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from .._clients import Client
from .._clients.htmx import stream_client
from .._core.events import ConnectionInfo
from .._core.sse import HEARTBEAT, with_fields
from .event_ids import EventId, first_frame
from .group import Group, GroupOptions
from .groups import group_for
from .response import CLEANUP_TIMEOUT, FAREWELL_TIMEOUT, EventStream
from .viewer import Viewer

__all__ = ["ConnectionCallback", "LiveStream", "ViewerOptions"]

logger: logging.Logger = logging.getLogger("starlette_reactive.streams")

ConnectionCallback = Callable[[str, ConnectionInfo | None], object]
"""A function or coroutine function, called with a scope and the connection."""


@dataclass(frozen=True, slots=True)
class ViewerOptions:
    """How one connection is served.

    Args:
        share: Connections with an equal key share their renders. ``None`` shares nothing.
        after: The cursor to begin at if the request names none.
        origin: The mark whose own changes are not sent back.
        connection: Who is connected.
        on_connect: Called once the viewer is counted.
        on_disconnect: Called once the viewer is no longer counted.
        close_event: The event that ends the client when the bus closes the stream.
        sink: A CSS selector of the client's connected element, if the end of the stream removes it.
        retry: Milliseconds that clients wait before they reconnect, before jitter.
        client: Returns the client for the request's headers.
    """

    share: Hashable | None = None
    after: str | None = None
    origin: str | None = None
    connection: ConnectionInfo | None = None
    on_connect: ConnectionCallback | None = None
    on_disconnect: ConnectionCallback | None = None
    close_event: str | None = None
    sink: str | None = None
    retry: int = 3000
    client: Callable[[Mapping[str, str]], Client] = stream_client


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
        self._receive: Receive | None = None

    async def _serve(self, asgi_scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        hub, scope = self._group_options.hub, self._group_options.scope
        connected = False
        try:
            await hub.ready(scope)
            with self._viewer(asgi_scope) as (group, viewer, first):
                connected = True
                await _call(self._options.on_connect, scope, self._options.connection)
                async with anyio.create_task_group() as tasks:
                    self._ending = tasks.cancel_scope
                    tasks.start_soon(self._send_updates, group, viewer, first, send)
                    await self._wait_for_disconnect(receive)
                    tasks.cancel_scope.cancel()
        finally:
            if connected:
                with anyio.move_on_after(CLEANUP_TIMEOUT, shield=True):
                    await _call(self._options.on_disconnect, scope, self._options.connection)

    @contextmanager
    def _viewer(self, asgi_scope: Scope) -> Iterator[tuple[Group, Viewer, bytes]]:
        options, connection = self._options, self._options.connection
        hub, scope = self._group_options.hub, self._group_options.scope
        group = group_for(self._group_options, options.share)  # subscribes, so every later change is noticed
        headers = Headers(scope=asgi_scope)
        location = hub.locate(scope, EventId.requested(asgi_scope).cursor or options.after or None)
        viewer = Viewer(
            None if connection is None else connection.user_id,
            options.origin,
            options.client(headers),
            location.position,
            self._close_stalled,
            location.latest,
        )
        group.join(viewer)
        member = hub.join(scope, connection, functools.partial(group.end_viewer, viewer))
        try:
            yield group, viewer, first_frame(asgi_scope, group.feed.event_id(location.cursor))
        finally:
            member.leave()
            group.leave(viewer)

    async def _send_updates(self, group: Group, viewer: Viewer, first: bytes, send: Send) -> None:
        viewer.sending_since = time.monotonic()
        await self._send_start(send)
        await self._send_body(send, viewer, first)
        retry = self._retry
        while viewer.end_reason is None:
            frames = group.feed.take(viewer)
            if frames:
                if retry is not None:
                    frames, retry = with_fields([frames], retry=retry), None
                await self._send_body(send, viewer, frames)
                for trace in group.traces:
                    trace.sent(viewer, len(frames))
            elif viewer.heartbeat != group.heartbeat:
                await self._send_body(send, viewer, HEARTBEAT)
            else:
                await group.feed.changed.wait()  # nothing is awaited between `take` and this, so no change is missed
                continue
            viewer.heartbeat = group.heartbeat
        await self._end(viewer, send)

    async def _end(self, viewer: Viewer, send: Send) -> None:
        if viewer.end_reason == "shutdown" and not viewer.client.reconnects_after_end:
            self._abort()  # a clean end would be final
        with anyio.move_on_after(FAREWELL_TIMEOUT):
            if viewer.end_reason == "closed":
                closing = viewer.client.encode_close(self._close_event, self._options.sink)
                if closing:
                    await self._send_body(send, viewer, closing)
            await self._finish(send)
        if self._ending is not None:
            self._ending.cancel()

    async def _send_body(self, send: Send, viewer: Viewer, body: bytes) -> None:
        viewer.sending_since = time.monotonic()
        await send({"type": "http.response.body", "body": body, "more_body": True})
        viewer.sending_since = None

    def _close_stalled(self) -> None:
        logger.info("closing a stalled stream of scope %r", self._group_options.scope)
        self._abort()

    def _abort(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
        # uvicorn would wait to write the rest of a response that is cut short, which would delay its shutdown.
        transport = getattr(getattr(self._receive, "__self__", None), "transport", None)
        if callable(abort := getattr(transport, "abort", None)):
            abort()


async def _call(callback: ConnectionCallback | None, scope: str, connection: ConnectionInfo | None) -> None:
    if callback is None:
        return
    try:
        result = callback(scope, connection)
        if inspect.isawaitable(result):
            await result
    except Exception:
        logger.exception("a connection callback of scope %r raised", scope)
