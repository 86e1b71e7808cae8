"""Helpers for tests: requirements, environments of templates, and an ASGI client of one stream."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from jinja2 import DictLoader, Environment
from starlette.types import ASGIApp, Message


def require(present: object, what: str) -> None:
    """Skip the test if ``what`` is missing. With ``REACTIVE_REQUIRE_ALL=1``, fail it."""
    if present:
        return
    if os.environ.get("REACTIVE_REQUIRE_ALL") == "1":
        pytest.fail(f"{what} is missing, and REACTIVE_REQUIRE_ALL=1 requires it")
    pytest.skip(f"{what} is missing")


def environment(**templates: str) -> Environment:
    """Return an environment of templates from ``name=source``. Each template is named ``name.html``."""
    return Environment(
        loader=DictLoader({f"{name}.html": source for name, source in templates.items()}), autoescape=True
    )


def quiet_port() -> int:
    """Return a free port that no outgoing connection takes while the server that listens on it is down."""
    while True:
        port = random.SystemRandom().randint(10_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


async def eventually(condition: Callable[[], object], *, timeout: float = 20) -> None:
    """Wait until a condition holds."""
    with anyio.fail_after(timeout):
        while not condition():  # noqa: ASYNC110 - threads and sockets set no event
            await anyio.sleep(0.001)


@dataclass
class Frame:
    """One frame of an event stream, as a browser reads it. Comments are frames too."""

    event: str | None = None
    data: str | None = None
    id: str | None = None
    retry: int | None = None
    comment: str | None = None


def parse(text: str) -> list[Frame]:
    """Parse a text of complete frames."""
    assert "\r" not in text
    assert not text or text.endswith("\n\n"), f"incomplete frame: {text!r}"
    return [_frame(part) for part in text.split("\n\n")[:-1]]


def _frame(text: str) -> Frame:
    frame = Frame()
    data: list[str] = []
    for line in text.split("\n"):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "retry":
            frame.retry = int(value)
        else:
            assert name in ("", "event", "id"), f"unknown field {name!r}"
            setattr(frame, name or "comment", value)
    frame.data = "\n".join(data) if data else None
    return frame


@dataclass
class Connection:
    """One client of an endless response."""

    disconnect: anyio.Event = field(default_factory=anyio.Event)
    accepts: anyio.Event = field(default_factory=anyio.Event)
    ended: anyio.Event = field(default_factory=anyio.Event)
    start: dict[str, Any] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)
    complete: bool = False
    come_back: Callable[[str], AbstractAsyncContextManager[Connection]] | None = None
    _requested: bool = False
    _read: int = 0

    @property
    def encoding(self) -> str | None:
        """The content coding of the response."""
        return dict(self.start.get("headers", ())).get(b"content-encoding", b"").decode() or None

    @property
    def frames(self) -> list[Frame]:
        """Every frame sent so far."""
        body = b"".join(self.chunks)
        if self.encoding == "gzip":
            body = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body)
        return parse(body.decode())

    @property
    def updates(self) -> list[Frame]:
        """The frames with data."""
        return [frame for frame in self.frames if frame.data is not None]

    async def next_update(self, timeout: float = 5) -> Frame:
        """Wait for the next frame with data."""
        await eventually(lambda: len(self.updates) > self._read, timeout=timeout)
        self._read += 1
        return self.updates[self._read - 1]

    async def closed_for_good(self) -> Connection:
        """Wait until the stream restarts, come back once as its browser does, and return the stream that ended then."""
        await eventually(lambda: self.complete)
        assert self.updates[-1].event == "reactive-restart"
        last_id = next(frame.id for frame in reversed(self.frames) if frame.id is not None)
        assert self.come_back is not None
        async with self.come_back(last_id) as second:
            await eventually(lambda: second.complete)
        if second.start["status"] != 200:  # what guards the page guards its stream too
            return second
        assert [frame.event for frame in second.updates] == ["reactive-close"]
        return second

    async def receive(self) -> Message:
        if not self._requested:
            self._requested = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.disconnect.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await checkpoint()
        await self.accepts.wait()
        if message["type"] == "http.response.start":
            self.start = dict(message)
        else:
            self.chunks.append(message["body"])
            self.complete = not message.get("more_body", False)


@asynccontextmanager
async def connect(
    app: ASGIApp, *, query: str = "", headers: Mapping[str, str] | None = None, reading: bool = True, wait: bool = True
) -> AsyncIterator[Connection]:
    """Open a stream, wait for its first bytes, and disconnect at the end.

    Args:
        app: The response, or any ASGI application.
        query: The query string.
        headers: The request's headers.
        reading: Whether the client reads from the start. Otherwise ``connection.accepts.set()`` makes it read.
        wait: Whether to wait for the first bytes.
    """
    connection = Connection()
    if reading:
        connection.accepts.set()
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
    }

    async def run() -> None:
        try:
            await app(scope, connection.receive, connection.send)
        finally:
            connection.ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        if reading and wait:
            await eventually(lambda: connection.chunks or connection.ended.is_set())
        yield connection
        connection.accepts.set()
        connection.disconnect.set()
        with anyio.fail_after(20):
            await connection.ended.wait()
