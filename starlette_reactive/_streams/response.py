"""EventStream and reactive_stream: the responses that carry updates, and all that concerns one connection.

Both are an ``sse_starlette.EventSourceResponse``, with its headers, its answer to HEAD, its send deadline and its
disconnect handler, but a ``__call__`` of their own:

- The stock response runs four tasks a connection and wakes one for each message. Here the host task hears the
  disconnect, one child sends, and one timer for the whole event loop does the rest (see ``pulse``).
- The stock response learns of a shutdown on asyncio only. The timer works on trio as well.
- Whatever a connection holds (its place in a group, its presence) is taken and given back in ``__call__``, so nothing
  waits for a generator's finaliser.
"""

from __future__ import annotations

import functools
import inspect
import logging
import random
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import anyio
from pydantic_core import to_json
from sse_starlette import EventSourceResponse
from starlette.concurrency import iterate_in_threadpool
from starlette.datastructures import Headers, QueryParams
from starlette.types import Receive, Scope, Send

from .._bus.bus import ReactiveBus, hub_of
from .._core.blocks import Fragment
from .._core.errors import ReactiveError
from .._core.events import ConnectionInfo
from .._index.index import DependencyIndex
from .._templates import compile_block
from .._templates.environments import Templates, environment_of
from .feed import Viewer
from .frames import HEARTBEAT, Dialect, SSEEvent, dialect_of, encode_close, encode_event, error_markup, with_fields
from .group import Group, Recipe, Seat, group_for
from .rendering import ContextBuilder, block_renderer
from .timer import pulse

__all__ = ["ConnectionCallback", "EventStream", "LiveStream", "StreamItem", "Visit", "reactive_stream"]

logger: logging.Logger = logging.getLogger("starlette_reactive.streams")

StreamItem = str | bytes | Mapping[str, Any] | Fragment | SSEEvent
"""What a generator may yield to an :class:`EventStream`."""

ConnectionCallback = Callable[[str, ConnectionInfo | None], object]
"""A function or coroutine function of a scope and who is connected to it."""

_OPENING = b":\n\n"  # a comment: proxies and clients see the stream begin
_FAREWELL_TIMEOUT = 1.0  # seconds for the last bytes of a stream that the server ends
_CLEANUP_TIMEOUT = 10.0  # seconds for what a disconnect does not cancel: on_disconnect, a generator's clean-up


class EventStream(EventSourceResponse):
    """A response that sends what a generator yields as Server-Sent Events.

    | yielded | sent as |
    |---|---|
    | ``str`` | an event named ``event_type`` |
    | ``dict`` | the same, as JSON; Pydantic models, dates and the like may be in it |
    | :class:`Fragment` | the block's HTML, as an event named after the fragment's target, or unnamed without one |
    | :class:`SSEEvent` | itself |
    | ``bytes`` | as they are: a ready frame |

    A value that cannot be rendered is skipped and logged; in debug mode the error is sent in a fragment's place. The
    headers and a comment leave at once. What the generator itself raises ends the stream and reaches the server.

    Args:
        generator: An asynchronous or plain iterable; a plain one is iterated in a worker thread.
        templates: Where fragments come from.
        event_type: The event name of strings and dicts; ``None``: unnamed.
        heartbeat_interval: Seconds of silence after which a comment is sent, which keeps proxies from cutting the
            connection; 0: never.
        retry: How long clients shall wait before they connect again, in milliseconds.
        close_event: Sent, with the data ``close``, when the generator ends; htmx's ``sse-close`` listens to it.
        debug: Whether a failing fragment shows its error.
        headers: Further response headers.
        send_timeout: Seconds that a send may take before the client is given up; ``None``: no limit.

    Raises:
        TypeError: ``generator`` is no iterable, or ``templates`` no environment.
        ValueError: ``retry`` or ``heartbeat_interval`` is negative, or a name has a line break in it.
    """

    def __init__(
        self,
        generator: AsyncIterable[StreamItem] | Iterable[StreamItem],
        *,
        templates: Templates | None = None,
        event_type: str | None = None,
        heartbeat_interval: float = 15.0,
        retry: int | None = None,
        close_event: str | None = None,
        debug: bool = False,
        headers: Mapping[str, str] | None = None,
        send_timeout: float | None = None,
    ) -> None:
        SSEEvent("", event=event_type, retry=retry)
        SSEEvent("", event=close_event)
        if isinstance(generator, str | bytes) or not isinstance(generator, AsyncIterable | Iterable):
            raise TypeError(
                f"generator is an iterable of what to send, not {type(generator).__name__}: call the generator function"
            )
        self._items = _each(generator)
        super().__init__(
            self._items,
            headers=headers,
            ping=heartbeat_interval,
            sep="\n",
            send_timeout=send_timeout,
        )
        self._env = None if templates is None else environment_of(templates)
        self._event_type = event_type
        self._retry = retry
        self._close_event = close_event
        self._debug = debug
        self._last_sent = 0.0
        self._ending: anyio.CancelScope | None = None
        self._stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, for as long as the client, the generator and the server last."""
        if scope["type"] != "http" or scope["method"] == "HEAD":
            await super().__call__(scope, receive, send)
            return
        with _single_exceptions():
            await self._serve(scope, receive, send)
        if self.background is not None:
            await self.background()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        timer = pulse()
        try:
            async with anyio.create_task_group() as tasks:
                self._ending = tasks.cancel_scope
                timer.add(self)
                tasks.start_soon(self._send_all, scope, send)
                if self.ping_interval > 0:
                    tasks.start_soon(self._send_heartbeats, send)
                await self._listen_for_disconnect(receive)
                tasks.cancel_scope.cancel()
        finally:
            timer.remove(self)
            if self._stopping:
                await self._say_farewell(send)

    def on_pulse(self, now: float, *, stopping: bool) -> None:  # noqa: ARG002 - one signature for all that is driven
        """End the stream when the server stops."""
        if stopping and self._ending is not None:
            self._stopping = True
            self._ending.cancel()

    async def _send_all(self, scope: Scope, send: Send) -> None:  # noqa: ARG002 - what a live stream begins with
        await self._send_start(send)
        await self._send_frame(send, _OPENING if self._retry is None else b"retry: %d\n\n" % self._retry)
        await self._send_items(send)
        if self._close_event is not None:
            await self._send_frame(send, encode_event(SSEEvent("close", event=self._close_event)))
        await self._finish(send)

    async def _send_items(self, send: Send) -> None:
        retry = self._retry
        try:
            async for item in self._items:
                frame = await self._frame(item)
                if frame is not None:
                    await self._send_frame(send, with_fields([frame], retry=retry))
                    retry = None
        finally:
            # A cancelled send leaves the generator suspended at its yield: its own clean-up is to run here and now.
            with anyio.move_on_after(_CLEANUP_TIMEOUT, shield=True):
                await self._items.aclose()

    async def _finish(self, send: Send) -> None:
        async with self._send_lock:
            self.active = False
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        if self._ending is not None:
            self._ending.cancel()

    async def _say_farewell(self, send: Send) -> None:
        if self.active:
            self.active: bool = False
            with anyio.move_on_after(_FAREWELL_TIMEOUT, shield=True):
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_start(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

    async def _send_frame(self, send: Send, frame: bytes) -> None:
        async with self._send_lock:
            await self._send_with_timeout(send, {"type": "http.response.body", "body": frame, "more_body": True})
        self._last_sent = time.monotonic()

    async def _send_heartbeats(self, send: Send) -> None:
        self._last_sent = time.monotonic()
        while self.active:
            idle = time.monotonic() - self._last_sent
            if idle >= self.ping_interval:
                await self._send_frame(send, HEARTBEAT)
                idle = 0.0
            await anyio.sleep(self.ping_interval - idle)

    async def _frame(self, item: Any) -> bytes | None:
        try:
            return await self._encode(item)
        except Exception as error:
            logger.exception("a value of the stream was skipped: %r", item)
            if self._debug and isinstance(item, Fragment):
                return encode_event(SSEEvent(error_markup(item.block_name, error), event=item.target))
            return None

    async def _encode(self, item: Any) -> bytes:
        if isinstance(item, bytes):
            return item
        if isinstance(item, SSEEvent):
            return encode_event(item)
        if isinstance(item, str):
            return encode_event(SSEEvent(item, event=self._event_type))
        if isinstance(item, Mapping):
            return encode_event(SSEEvent(to_json(item).decode(), event=self._event_type))
        if isinstance(item, Fragment):
            return encode_event(SSEEvent(await self._render(item), event=item.target))
        raise TypeError(
            f"a stream sends str, dict, Fragment, SSEEvent or bytes, not {type(item).__name__}: convert it first"
        )

    async def _render(self, fragment: Fragment) -> str:
        if self._env is None:
            raise ReactiveError(
                f"the stream has no templates to render {fragment!r} from: pass templates= to EventStream",
                template=fragment.template_name,
                block=fragment.block_name,
            )
        block = compile_block(self._env, fragment.template_name, fragment.block_name)
        return await block.render_async(fragment.context)


@dataclass(frozen=True, slots=True)
class Visit:
    """What one connection brings along.

    Args:
        share: Connections of an equal key share their renders; ``None``: none.
        after: The cursor to begin at, where the request names none.
        origin: Whose own changes are left out.
        connection: Who it is.
        on_connect: Called once the viewer is counted in.
        on_disconnect: Called once the viewer is counted out.
        close_event: What ends the client when the bus closes the stream.
        sink: A CSS selector of the client's connected element, if the stream's end is to remove it.
        retry: How long clients shall wait before they connect again, in milliseconds, before jitter.
        dialect: Tells the client's dialect from the request's headers.
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
    dialect: Callable[[Mapping[str, str]], Dialect] = dialect_of


class LiveStream(EventStream):
    """The stream of one viewer of a scope: its place in a group, and the sending."""

    def __init__(self, recipe: Recipe, visit: Visit) -> None:
        super().__init__(
            (),
            heartbeat_interval=recipe.heartbeat_interval,
            retry=round(visit.retry * random.uniform(0.75, 1.25)),  # noqa: S311 - no secret
            close_event=visit.close_event,
            debug=recipe.debug,
        )
        self._recipe = recipe
        self._visit = visit
        self._receive: Receive | None = None

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        connected = False
        try:
            await hub_of(self._recipe.bus).ready(self._recipe.scope)
            with self._seat(scope) as (group, seat):
                connected = True
                await _call(self._visit.on_connect, self._recipe.scope, self._visit.connection)
                async with anyio.create_task_group() as tasks:
                    self._ending = tasks.cancel_scope
                    tasks.start_soon(self._send_updates, group, seat, send)
                    await self._listen_for_disconnect(receive)
                    tasks.cancel_scope.cancel()
        finally:
            if connected:
                with anyio.move_on_after(_CLEANUP_TIMEOUT, shield=True):
                    await _call(self._visit.on_disconnect, self._recipe.scope, self._visit.connection)

    @contextmanager
    def _seat(self, scope: Scope) -> Iterator[tuple[Group, Seat]]:
        recipe, connection = self._recipe, self._visit.connection
        group = group_for(recipe, self._visit.share)  # subscribes, so all that happens from here on is noticed
        viewer = Viewer(
            None if connection is None else connection.user_id,
            self._visit.origin,
            self._visit.dialect(Headers(scope=scope)),
            self._position(scope),
        )
        seat = Seat(viewer, self._send_away)
        group.take_seat(seat)
        member = hub_of(recipe.bus).join(recipe.scope, connection, functools.partial(group.end_soon, seat))
        try:
            yield group, seat
        finally:
            member.leave()
            group.leave(seat)

    def _position(self, scope: Scope) -> int | None:
        hub = hub_of(self._recipe.bus)
        query = QueryParams(scope.get("query_string", b""))
        known = (Headers(scope=scope).get("last-event-id"), query.get("resume"), query.get("cursor"), self._visit.after)
        cursor = next((each for each in known if each), None)
        return hub.position(self._recipe.scope) if cursor is None else hub.position_of(self._recipe.scope, cursor)

    async def _send_updates(self, group: Group, seat: Seat, send: Send) -> None:
        seat.sending_since = time.monotonic()
        await self._send_start(send)
        cursor = hub_of(self._recipe.bus).cursor_at(self._recipe.scope, seat.viewer.position)
        await self._send_body(send, seat, b"id: %b\n\n" % cursor.encode("ascii"))
        retry = self._retry
        while seat.end_reason is None:
            frames = group.feed.take(seat.viewer)
            if frames:
                if retry is not None:
                    frames, retry = with_fields([frames], retry=retry), None
                await self._send_body(send, seat, frames)
                for trace in group.traces:
                    trace.sent(seat, len(frames))
            elif seat.beat != group.beat:
                await self._send_body(send, seat, HEARTBEAT)
            else:
                await group.feed.changed.wait()  # nothing is awaited between looking and this, so nothing is missed
                continue
            seat.beat = group.beat
        dialect = seat.viewer.dialect
        if seat.end_reason == "shutdown" and dialect is Dialect.DATASTAR:
            self._abort()  # Datastar takes a clean end for the last word, and would not come back
        with anyio.move_on_after(_FAREWELL_TIMEOUT):
            if seat.end_reason == "closed" and (farewell := encode_close(dialect, self._close_event, self._visit.sink)):
                await self._send_body(send, seat, farewell)
            await self._finish(send)
        if self._ending is not None:
            self._ending.cancel()

    async def _send_body(self, send: Send, seat: Seat, body: bytes) -> None:
        seat.sending_since = time.monotonic()
        await send({"type": "http.response.body", "body": body, "more_body": True})
        seat.sending_since = None

    def _send_away(self) -> None:
        logger.info("a viewer of scope %r reads nothing and is sent away", self._recipe.scope)
        self._abort()

    def _abort(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
        # A response that is cut short leaves uvicorn waiting to write the rest, which would hold up its shutdown.
        transport = getattr(getattr(self._receive, "__self__", None), "transport", None)
        if callable(abort := getattr(transport, "abort", None)):
            abort()


def reactive_stream(
    bus: ReactiveBus,
    *,
    scope: str,
    index: DependencyIndex,
    context_builder: ContextBuilder,
    templates: Templates | None = None,
    origin: str | None = None,
    connection: ConnectionInfo | None = None,
    on_connect: ConnectionCallback | None = None,
    on_disconnect: ConnectionCallback | None = None,
    share: Hashable | None = None,
    after: str | None = None,
    heartbeat_interval: float = 15.0,
    send_timeout: float | None = 30.0,
    retry: int = 3000,
    close_event: str | None = None,
    debug: bool = False,
) -> EventStream:
    """Return a response that keeps a page's blocks up to date.

    Each change of the scope renders the blocks that show it and sends them. Where to begin is told by the request:
    the header ``Last-Event-ID``, else the query parameter ``resume``, else ``cursor``, else ``after``; what changed
    since then is sent first. Without any of them the stream begins with what changes from now on.

    Args:
        bus: Who tells of changes.
        scope: What is viewed, such as ``"board:42"``.
        index: Which blocks show what.
        context_builder: A function or coroutine function that returns the templates' variables. It is called with
            nothing or, if it has a parameter without a default, with the changed paths, derived ones included. A plain
            function runs in a worker thread. When it raises, or returns no mapping, it is tried again later.
        templates: The environment of the blocks; ``None``: the one that each was registered with.
        origin: Whose own changes are not sent back.
        connection: Who views it, for audience and presence.
        on_connect: Called once as ``on_connect(scope, connection)`` when the viewer is counted in; it may be async.
        on_disconnect: Called once as ``on_disconnect(scope, connection)`` when the viewer is counted out, whatever ends
            the stream; it may be async.
        share: Streams of an equal key and scope share one context and one render for each change. The context builder
            then must not depend on who views; it sees no viewer's context variables. ``None``: no sharing.
        after: A cursor, from ``bus.cursor(scope)``.
        heartbeat_interval: Seconds of silence after which a comment is sent; 0: never.
        send_timeout: Seconds after which a viewer that reads nothing is sent away; ``None``: never.
        retry: How long the client shall wait before it connects again, in milliseconds; each client is told a
            slightly different time, so that they do not all return at once.
        close_event: The event, with the data ``close``, that ends the client when the bus closes the stream.
        debug: Whether a failing block shows its error in the page.

    Raises:
        TypeError: An argument is of the wrong type, or ``context_builder`` needs more than one argument.
        ValueError: ``scope`` is empty.
    """
    if not isinstance(bus, ReactiveBus):
        raise TypeError(f"bus is a ReactiveBus, not {type(bus).__name__}")
    if not isinstance(index, DependencyIndex):
        raise TypeError(f"index is a DependencyIndex, not {type(index).__name__}")
    if not isinstance(scope, str) or not scope:
        raise (ValueError if scope == "" else TypeError)(f"scope is a name such as 'board:42', not {scope!r}")
    recipe = Recipe(
        bus=bus,
        scope=scope,
        index=index,
        render=block_renderer(context_builder, None if templates is None else environment_of(templates), index),
        heartbeat_interval=heartbeat_interval,
        send_timeout=send_timeout,
        debug=debug,
    )
    visit = Visit(
        share=share,
        after=after,
        origin=origin,
        connection=connection,
        on_connect=on_connect,
        on_disconnect=on_disconnect,
        close_event=close_event,
        retry=retry,
    )
    return LiveStream(recipe, visit)


async def _each(generator: AsyncIterable[StreamItem] | Iterable[StreamItem]) -> AsyncGenerator[StreamItem]:
    """Iterate, and close the iterator with the iteration."""
    iterator: AsyncIterator[StreamItem] | AsyncIterable[StreamItem]
    iterator = generator if isinstance(generator, AsyncIterable) else iterate_in_threadpool(generator)
    try:
        async for item in iterator:
            yield item
    finally:
        aclose = getattr(iterator, "aclose", None)
        if aclose is not None:
            await aclose()


async def _call(callback: ConnectionCallback | None, scope: str, connection: ConnectionInfo | None) -> None:
    if callback is None:
        return
    try:
        result = callback(scope, connection)
        if inspect.isawaitable(result):
            await result
    except Exception:
        logger.exception("a connection callback of scope %r raised", scope)


@contextmanager
def _single_exceptions() -> Iterator[None]:
    """Raise what a task group raised bare, as middleware expects it."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        raise error from error.__cause__
