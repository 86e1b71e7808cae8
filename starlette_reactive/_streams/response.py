"""EventStream: the response that sends what a generator yields.

It is an ``sse_starlette.EventSourceResponse``, with its headers, its answer to HEAD, its send timeout and its
disconnect handler, but it has a ``__call__`` of its own:

- The stock response runs four tasks for each connection and wakes one for each message. Here the host task listens for
  the disconnect, one child sends, and one timer for the whole event loop does the rest (see ``timer``).
- The stock response notices a shutdown on asyncio only, and only one that a signal causes (see ``servers``).
- What a connection holds is acquired and released in ``__call__``, so nothing waits for a generator's finaliser.

Only public names of sse-starlette are used.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import anyio
from pydantic_core import to_json
from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.types import Message, Receive, Scope, Send

from .._core.blocks import Fragment
from .._core.errors import ReactiveError
from .._core.failures import Failures
from .._core.sse import HEARTBEAT, SSEEvent, encode_event, with_fields
from .._templates import compile_block
from .._templates.environments import Templates, environment_of
from .connections import FAREWELL_TIMEOUT, Connection
from .rendering import error_markup
from .servers import Server
from .timer import timer

__all__ = ["CLEANUP_TIMEOUT", "EventStream", "StreamItem"]

logger: logging.Logger = logging.getLogger("starlette_reactive.streams")
_failures = Failures(logger)  # of all streams: many of them may have the same one

StreamItem = str | bytes | Mapping[str, Any] | Fragment | SSEEvent
"""What a generator may yield to an :class:`EventStream`."""

CLEANUP_TIMEOUT = 10.0
"""Seconds for what a disconnect does not cancel: ``on_disconnect``, a generator's clean-up."""
_OPENING = b":\n\n"  # a comment: proxies and clients see that the stream has begun


class EventStream(EventSourceResponse):
    """A response that sends what a generator yields as Server-Sent Events.

    | yielded | sent as |
    |---|---|
    | ``str`` | an event named ``event_type`` |
    | ``dict`` | the same, as JSON; it may hold Pydantic models, dates and similar values |
    | :class:`Fragment` | the block's HTML, as an event named after the fragment's target, or unnamed without one |
    | :class:`SSEEvent` | itself |
    | ``bytes`` | unchanged: a ready frame |

    A value that cannot be rendered is skipped and logged; in debug mode the error is sent in a fragment's place. The
    headers and a comment are sent at once. What the generator itself raises ends the stream and reaches the server.

    Args:
        generator: An asynchronous or plain iterable. A plain one is iterated in worker threads. A thread that blocks
            when the stream ends is left to itself; since the process cannot exit before it returns, wait with a
            timeout in it.
        templates: The environment of fragments.
        event_type: The event name of strings and dicts. ``None`` sends them unnamed.
        heartbeat_interval: Seconds of silence after which a comment is sent, which keeps proxies from closing the
            connection. 0 sends none.
        retry: Milliseconds that clients wait before they reconnect.
        close_event: Sent with the data ``close`` when the generator ends; htmx's ``sse-close`` listens for it.
        debug: Whether a failing fragment shows its error.
        headers: Further response headers.
        send_timeout: Seconds that a send may take before the connection is dropped. ``None`` means no limit.

    Raises:
        TypeError: ``generator`` is not an iterable, or ``templates`` is not an environment.
        ValueError: ``retry`` or ``heartbeat_interval`` is negative, or a name contains a line break.
    """

    _connection: Connection

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
                f"generator must be an iterable of what to send, not {type(generator).__name__}: "
                "call the generator function"
            )
        self._items = _each(generator)
        super().__init__(
            self._items,
            headers=_with_nosniff(headers),
            ping=heartbeat_interval,
            sep="\n",
            send_timeout=send_timeout,
        )
        self._env = None if templates is None else environment_of(templates)
        self._event_type = event_type
        self._retry = retry
        self._close_event = close_event
        self._debug = debug
        self._sending = anyio.Lock()
        self._last_sent = 0.0
        self._ending: anyio.CancelScope | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, until the client, the generator or the server ends it."""
        if scope["type"] != "http" or scope["method"] == "HEAD":
            await super().__call__(scope, receive, send)
            return
        self._connection = Connection(scope, receive, send)
        with _single_exceptions():
            await self._serve(scope, receive, send)
        if self.background is not None:
            await self.background()

    async def _serve(self, asgi_scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - for live streams
        ticks = timer()
        try:
            async with anyio.create_task_group() as tasks:
                self._ending = tasks.cancel_scope
                ticks.add(self)
                tasks.start_soon(self._send_all, send)
                if self.ping_interval > 0:
                    tasks.start_soon(self._send_heartbeats, send)
                await self._wait_for_disconnect(receive)
                tasks.cancel_scope.cancel()
            if self._connection.ended_at is not None:
                with self._connection.farewell():
                    if self.active:
                        await self._finish(send)
        finally:
            ticks.remove(self)

    def on_tick(self, now: float, stopping: Collection[Server]) -> None:
        """End the stream when the server stops."""
        connection = self._connection
        if connection.server not in stopping or self._ending is None:
            return
        if connection.ended_at is None:
            connection.ended_at = now
            self._ending.cancel()
        elif self._sending.locked() and now - connection.ended_at > FAREWELL_TIMEOUT:
            connection.abort()  # not every server lets a send be cancelled

    async def _wait_for_disconnect(self, receive: Receive) -> None:
        while self.active:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.active: bool = False
                if self.client_close_handler_callable is not None:
                    await self.client_close_handler_callable(message)

    async def _send_all(self, send: Send) -> None:
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
            # A cancelled send leaves the generator suspended at its yield. Run its clean-up here and now.
            with anyio.move_on_after(CLEANUP_TIMEOUT, shield=True):
                await self._items.aclose()

    async def _finish(self, send: Send) -> None:
        async with self._sending:
            self.active = False
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        if self._ending is not None:
            self._ending.cancel()

    async def _send_start(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

    async def _send_frame(self, send: Send, frame: bytes) -> None:
        message: Message = {"type": "http.response.body", "body": frame, "more_body": True}
        async with self._sending:
            with anyio.move_on_after(self.send_timeout) as cancel_scope:
                await send(message)
            if cancel_scope.cancelled_caught:
                self._connection.abort()
                raise SendTimeoutError
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
        except Exception as error:  # noqa: BLE001 - logged
            kind = (item.template_name, item.block_name) if isinstance(item, Fragment) else type(item).__qualname__
            _failures.log(f"sending {item!r} in a stream", error, kind=kind)
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


def _with_nosniff(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return headers by which what people wrote is never treated as a document of its own."""
    kept = {name: value for name, value in (headers or {}).items() if name.lower() != "x-content-type-options"}
    return {**kept, "X-Content-Type-Options": "nosniff"}


async def _each(generator: AsyncIterable[StreamItem] | Iterable[StreamItem]) -> AsyncGenerator[StreamItem]:
    """Iterate, and close the iterator with the iteration."""
    iterator: AsyncIterator[StreamItem] | AsyncIterable[StreamItem]
    iterator = generator if isinstance(generator, AsyncIterable) else _in_threads(generator)
    try:
        async for item in iterator:
            yield item
    finally:
        aclose = getattr(iterator, "aclose", None)
        if aclose is not None:
            await aclose()


async def _in_threads(iterable: Iterable[StreamItem]) -> AsyncGenerator[StreamItem]:
    """Iterate in worker threads. A stream that ends does not wait for a thread that blocks."""
    iterator = iter(iterable)
    end: Any = object()
    while (item := await anyio.to_thread.run_sync(next, iterator, end, abandon_on_cancel=True)) is not end:
        yield item


@contextmanager
def _single_exceptions() -> Iterator[None]:
    """Raise what a task group raised without the group, as middleware expects it."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        raise error from error.__cause__
