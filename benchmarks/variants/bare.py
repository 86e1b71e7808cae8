"""What the machine can do: ready bytes, with as little around them as possible."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from ..content import event_name, ready_html

__all__ = ["AsgiFanOut", "Floor", "ready_frames"]

_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]


def ready_frames(number: int, blocks: int, rows: int) -> bytes:
    """Return a whole change as the bytes of an event stream."""
    return b"".join(
        f"event: {event_name(block)}\ndata: {html}\n\n".encode()
        for block, html in enumerate(ready_html(number, blocks, rows))
    )


class Floor:
    """A bare asyncio protocol: the same bytes written to each transport in a loop."""

    app: ASGIApp | None = None

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._transports: set[asyncio.Transport] = set()
        self.protocol: Callable[[], asyncio.Protocol] | None = lambda: _FloorProtocol(self._transports)
        self.commands: dict[str, Callable[..., Any]] = {}

    def emit(self, number: int) -> None:
        frames = ready_frames(number, self._options["blocks"], self._options["rows"])
        chunk = b"%x\r\n%b\r\n" % (len(frames), frames)
        for transport in self._transports:
            transport.write(chunk)


class _FloorProtocol(asyncio.Protocol):
    def __init__(self, transports: set[asyncio.Transport]) -> None:
        self._transports = transports
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - whatever is asked, the answer is the stream
        assert self._transport is not None
        head = b"".join(b"%b: %b\r\n" % header for header in _HEADERS)
        self._transport.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n%b\r\n3\r\n:\n\n\r\n" % head)
        self._transports.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._transport is not None:
            self._transports.discard(self._transport)


class AsgiFanOut:
    """A bare ASGI application: a deque and an event for each viewer, ready bytes in them."""

    protocol: Callable[[], asyncio.Protocol] | None = None

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._viewers: set[_Queue] = set()
        self.app: ASGIApp | None = self._answer
        self.commands: dict[str, Callable[..., Any]] = {}

    def emit(self, number: int) -> None:
        frames = ready_frames(number, self._options["blocks"], self._options["rows"])
        for viewer in self._viewers:
            viewer.waiting.append(frames)
            viewer.event.set()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        if scope["path"] != "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        viewer = _Queue()
        self._viewers.add(viewer)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await send({"type": "http.response.body", "body": b":\n\n", "more_body": True})
            while True:
                await viewer.event.wait()
                viewer.event.clear()
                while viewer.waiting:
                    await send({"type": "http.response.body", "body": viewer.waiting.popleft(), "more_body": True})
        finally:
            self._viewers.discard(viewer)


class _Queue:
    __slots__ = ("event", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[bytes] = deque()
        self.event = asyncio.Event()
