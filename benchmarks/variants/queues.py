"""What people use today: a memory stream for each viewer, read by a generator in a streaming response."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectSendStream
from datastar_py.starlette import DatastarResponse, ServerSentEventGenerator
from jinja2_fragments import render_block
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from .. import content
from .bare import ready_frames

__all__ = [
    "Datastar",
    "PerViewerQuery",
    "PerViewerRender",
    "Queues",
    "SseBytes",
    "SseEncoded",
    "SseMiddleware",
    "StreamingBytes",
]


class Queues:
    """A memory stream for each viewer; what goes into it and how it is answered is for the subclasses."""

    protocol: Callable[[], asyncio.Protocol] | None = None
    middleware: tuple[Middleware, ...] = ()

    def __init__(self, options: dict[str, Any]) -> None:
        self.blocks, self.rows = options["blocks"], options["rows"]
        self._viewers: set[MemoryObjectSendStream[Any]] = set()
        self.commands: dict[str, Callable[..., Any]] = {}
        self.app: ASGIApp | None = self.application()

    def application(self) -> ASGIApp:
        return Starlette(routes=[Route("/stream", self._stream)], middleware=self.middleware)

    async def _stream(self, _: Request) -> Response:
        return self.respond()

    def emit(self, number: int) -> None:
        items = self.items(number)
        for viewer in self._viewers:
            for item in items:
                viewer.send_nowait(item)

    async def received(self, opening: Any) -> AsyncIterator[Any]:
        """Yield ``opening`` once the viewer is registered, then what it is sent."""
        send, receive = anyio.create_memory_object_stream[Any](math.inf)
        self._viewers.add(send)
        try:
            with send, receive:
                yield opening
                async for item in receive:
                    yield item
        finally:
            self._viewers.discard(send)

    def items(self, number: int) -> list[Any]:
        """Return what each viewer's stream is given for a change."""
        return [ready_frames(number, self.blocks, self.rows)]

    def respond(self) -> Response:
        """Return the response of one viewer."""
        raise NotImplementedError


class StreamingBytes(Queues):
    """Starlette's ``StreamingResponse``, ready bytes."""

    def respond(self) -> Response:
        return StreamingResponse(self.received(b":\n\n"), media_type="text/event-stream")


class SseBytes(Queues):
    """sse-starlette's ``EventSourceResponse``, ready bytes, a write for each block."""

    def items(self, number: int) -> list[Any]:
        frames = ready_frames(number, self.blocks, self.rows).split(b"\n\n")[:-1]
        return [frame + b"\n\n" for frame in frames]

    def respond(self) -> Response:
        return EventSourceResponse(self.received(b":\n\n"), ping=600)


class SseEncoded(Queues):
    """sse-starlette's ``EventSourceResponse``, a ``ServerSentEvent`` encoded for each viewer."""

    def items(self, number: int) -> list[Any]:
        return [
            ServerSentEvent(html, event=content.event_name(block))
            for block, html in enumerate(content.ready_html(number, self.blocks, self.rows))
        ]

    def respond(self) -> Response:
        return EventSourceResponse(self.received(ServerSentEvent(comment="")), ping=600)


class _Passing(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        return await call_next(request)


class SseMiddleware(SseBytes):
    """The same as :class:`SseBytes`, behind one ``BaseHTTPMiddleware``."""

    middleware = (Middleware(_Passing),)


class PerViewerRender(Queues):
    """Each viewer builds its own context and renders its own blocks, with jinja2-fragments."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self._environment = content.environment(options["templates"])

    def items(self, number: int) -> list[Any]:
        return [number]

    def respond(self) -> Response:
        return EventSourceResponse(self._rendered(), ping=600)

    async def _rendered(self) -> AsyncIterator[ServerSentEvent]:
        async for number in self.received(None):
            if number is None:
                yield ServerSentEvent(comment="")
                continue
            values = self.context(number)
            for name in content.block_names(self.blocks):
                html = render_block(self._environment, content.PAGE, name, **values)
                yield ServerSentEvent(html, event=name)

    def context(self, number: int) -> dict[str, Any]:
        return content.context(number, self.blocks, self.rows)


class PerViewerQuery(PerViewerRender):
    """The same, each viewer's context read from an SQLite database in memory."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self._database = content.Database(self.blocks, self.rows)

    def context(self, number: int) -> dict[str, Any]:
        return self._database.context(number)


class Datastar(Queues):
    """Datastar's SDK: ``patch_elements`` in a ``DatastarResponse``, encoded for each viewer."""

    def items(self, number: int) -> list[Any]:
        return content.ready_html(number, self.blocks, self.rows)

    def respond(self) -> Response:
        return DatastarResponse(self._events())

    async def _events(self) -> AsyncIterator[Any]:
        async for html in self.received("<p></p>"):
            yield ServerSentEventGenerator.patch_elements(html, selector="#b0")
