"""This package: a stream of shared renders, in a Starlette application."""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starlette_reactive import ChangeEvent, DependencyIndex, ReactiveBus, reactive_stream

from .. import content

__all__ = ["Reactive", "ReactiveEngine", "ReactiveGzip", "ReactiveGzipEach", "ReactiveOrigin", "ReactiveQuery"]


class Reactive:
    """``reactive_stream`` with a share key; each scope is one ``/stream?scope=``."""

    protocol: Callable[[], asyncio.Protocol] | None = None
    origin: str | None = None
    compress = False

    def __init__(self, options: dict[str, Any]) -> None:
        self._blocks, self._rows = options["blocks"], options["rows"]
        self._share = options.get("share", "all")
        self._bus = self.bus(options)
        self._index = DependencyIndex()
        self._environment = content.environment(options["templates"])
        self._index.register_template(self._environment, content.PAGE)
        self._paths = frozenset(f"list{block}" for block in range(self._blocks))
        self._number = 0
        self._contexts = 0
        self.app: ASGIApp | None = Starlette(routes=[Route("/stream", self._stream), Route("/page", self._page)])
        self.commands: dict[str, Callable[..., Any]] = {
            "stats": self._stats,
            "burst": self._burst,
            "scopes": self._emit_to_scopes,
        }

    def bus(self, _: dict[str, Any]) -> ReactiveBus:
        return ReactiveBus()

    def emit(self, number: int) -> None:
        self._number = number
        self._bus.emit_sync(ChangeEvent("board", self._paths, origin=self.origin))

    async def _context(self) -> dict[str, Any]:
        self._contexts += 1
        return self.values()

    def values(self) -> dict[str, Any]:
        return content.context(self._number, self._blocks, self._rows)

    async def _stream(self, request: Request) -> Response:
        return reactive_stream(
            self._bus,
            scope=request.query_params.get("scope", "board"),
            index=self._index,
            context_builder=self._context,
            share=self._share,
            compress=self.compress,
            heartbeat_interval=600,
        )

    async def _page(self, _: Request) -> Response:
        template = self._environment.get_template(content.PAGE)
        return HTMLResponse(template.render(self.values()))

    def _stats(self) -> dict[str, int]:
        return {
            "contexts": self._contexts,
            "subscribers": self._bus.subscriber_count,
            "tasks": len(asyncio.all_tasks()),
            "threads": threading.active_count(),
        }

    def _burst(self, number: str, events: str) -> None:
        loop = asyncio.get_running_loop()
        loop.create_task(self._emit_burst(int(number), int(events)))  # noqa: RUF006 - done before anyone looks

    async def _emit_burst(self, number: int, events: int) -> None:
        self._number = number
        for _ in range(events):
            await self._bus.emit(ChangeEvent("board", self._paths))

    def _emit_to_scopes(self, number: str, first: str, count: str) -> None:
        self._number = int(number)
        for each in range(int(first), int(first) + int(count)):
            self._bus.emit_sync(ChangeEvent(f"board:{each}", self._paths))


class ReactiveOrigin(Reactive):
    """The same, each change made by somebody else's tab."""

    origin = "another-tab"


class ReactiveGzip(Reactive):
    """The same, compressed once for all viewers."""

    compress = True


class ReactiveGzipEach(Reactive):
    """The same, each connection with a compressor of its own, as middleware has it."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        assert self.app is not None
        self.app = _compressing(self.app)


def _compressing(app: ASGIApp) -> ASGIApp:
    async def compressing(scope: Scope, receive: Receive, send: Send) -> None:
        compressor = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)

        async def send_compressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-encoding", b"gzip")]
            else:
                body = compressor.compress(message["body"]) + compressor.flush(zlib.Z_SYNC_FLUSH)
                message = {**message, "body": body}
            await send(message)

        await app(scope, receive, send_compressed)

    return compressing


class ReactiveQuery(Reactive):
    """The same, the context read from an SQLite database in memory."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self._database = content.Database(self._blocks, self._rows)

    def values(self) -> dict[str, Any]:
        return self._database.context(self._number)


class ReactiveEngine(Reactive):
    """The bus on an engine; the data is a number in a file, which other processes change."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self._data = content.SharedNumber(options["data"])

    def bus(self, options: dict[str, Any]) -> ReactiveBus:
        return ReactiveBus.from_url(options["engine"])

    def values(self) -> dict[str, Any]:
        return content.context(self._data.read(), self._blocks, self._rows)
