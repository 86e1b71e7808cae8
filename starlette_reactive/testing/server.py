"""An application that runs in the test's own event loop, and the HTTP transport that speaks to it.

- **Responses stream.** A chunk reaches the client when the application sends it, and a client that reads slowly slows
  the application down.
- **The application sees a client that leaves**, as ``http.disconnect``. What does not end within a grace time is
  cancelled, and nobody returns before it has ended.
- **What the application raises reaches the test**, at the request that it was raised in.
- Tasks belong to one host task for each application and event loop, not to whoever sent the request: fixtures may be
  set up and torn down in different tasks. Clients of one application share its lifespan.
"""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import anyio
import httpx
from anyio.abc import TaskGroup
from anyio.lowlevel import RunVar, checkpoint
from starlette.types import ASGIApp, Message, Scope

from .._core.loops import spawn

__all__ = ["ApplicationTransport", "Exchange", "Server", "exchange_of"]

_GRACE = 2.0  # seconds that an application has to end a request whose client has left
_ROOM = 16  # chunks that a response may be ahead of its client

_EXCHANGE = "starlette_reactive.testing.exchange"

_servers: RunVar[dict[int, Server]] = RunVar("starlette_reactive_testing_servers")


class Server:
    """One application with its lifespan, and the host of all its tasks."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.state: dict[str, Any] = {}
        self.users = 0
        self.ready: anyio.Event = anyio.Event()
        self.error: BaseException | None = None
        self._stop = anyio.Event()
        self._stopped = anyio.Event()
        self._tasks: TaskGroup | None = None

    def start_soon(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a function as a task of the server; it must not raise."""
        if self._tasks is None:
            raise RuntimeError("the application does not run: use the client as a context manager, in `async with`")
        self._tasks.start_soon(function)

    async def start(self) -> None:
        """Start the application, or wait until it has started.

        Raises:
            Exception: What its lifespan raised.
        """
        if self.users == 1:
            spawn(self._host, name="starlette-reactive test server", context=contextvars.copy_context())
        await self.ready.wait()
        self._raise_error()

    async def stop(self) -> None:
        """Run the lifespan's end, and end what is left of the application.

        Raises:
            Exception: What its lifespan raised.
        """
        with anyio.CancelScope(shield=True):
            self._stop.set()
            await self._stopped.wait()
            await checkpoint()  # the host task itself ends
        self._raise_error()

    def _raise_error(self) -> None:
        error, self.error = self.error, None
        if error is not None:
            raise error

    async def _host(self) -> None:
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                await self._live()
                tasks.cancel_scope.cancel()
        finally:
            self._tasks = None
            self.ready.set()
            self._stopped.set()

    async def _live(self) -> None:
        incoming: deque[Message] = deque([{"type": "lifespan.startup"}])
        ended = anyio.Event()

        async def receive() -> Message:
            if not incoming:
                await self._stop.wait()
                return {"type": "lifespan.shutdown"}
            return incoming.popleft()

        async def send(message: Message) -> None:
            if message["type"].endswith(".failed"):
                self.error = RuntimeError(f"the application failed: {message.get('message', '')}")
            self.ready.set()

        async def run() -> None:
            try:
                await self.app(self._lifespan_scope(), receive, send)
            except Exception as error:  # noqa: BLE001 - it is raised in the test
                if self.ready.is_set():  # before, the application has no lifespan, and says so by raising
                    self.error = error
            finally:
                self.ready.set()
                ended.set()

        self.start_soon(run)
        await self._stop.wait()
        await ended.wait()

    def _lifespan_scope(self) -> Scope:
        return {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}


async def enter_server(app: ASGIApp) -> Server:
    """Return the running server of an application, started if need be; :func:`leave_server` gives it back."""
    servers = _servers.get(None)
    if servers is None:
        servers = {}
        _servers.set(servers)
    server = servers.get(id(app)) or Server(app)
    servers[id(app)] = server
    server.users += 1
    try:
        await server.start()
    except BaseException:
        await leave_server(server)
        raise
    return server


async def leave_server(server: Server) -> None:
    """Give a server back; the last one stops it."""
    server.users -= 1
    if not server.users:
        _servers.get().pop(id(server.app), None)
        await server.stop()


class ApplicationTransport(httpx.AsyncBaseTransport):
    """Sends requests to an application.

    Args:
        app: The application.
        raise_server_exceptions: Whether what the application raises is raised in the test.
        root_path: The path that the application is mounted below.
        client: The client's address.
    """

    def __init__(self, app: ASGIApp, *, raise_server_exceptions: bool, root_path: str, client: tuple[str, int]) -> None:
        self._app = app
        self._raises = raise_server_exceptions
        self._root_path = root_path
        self._client = client
        self._exchanges: dict[Exchange, None] = {}
        self.server: Server | None = None

    async def __aenter__(self) -> ApplicationTransport:
        self.server = await enter_server(self._app)
        return self

    async def aclose(self) -> None:
        """Disconnect what is still open, and give the server back."""
        server, self.server = self.server, None
        if server is None:
            return
        with anyio.CancelScope(shield=True):
            for exchange in list(self._exchanges):
                await exchange.close()
        await leave_server(server)

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request as soon as the response starts."""
        if self.server is None:
            raise RuntimeError("the application does not run: use the client as a context manager, in `async with`")
        exchange = Exchange(request, self._raises)
        self._exchanges[exchange] = None
        scope = _scope(request, self._root_path, self._client, self.server.state.copy())
        self.server.start_soon(lambda: exchange.run(self._app, scope))
        body = _Body(exchange, self._exchanges)
        try:
            status, headers = await exchange.answer()
        except BaseException:
            await body.aclose()
            raise
        return httpx.Response(status, headers=headers, stream=body, extensions={_EXCHANGE: exchange})


class Exchange:
    """One request and its response."""

    def __init__(self, request: httpx.Request, raises: bool) -> None:
        self._request = request
        self._raises = raises
        self._upload: AsyncIterator[bytes] | None = _upload(request)
        self._start: Message | None = None
        self._chunks: deque[bytes] = deque()
        self._changed = anyio.Event()
        self._taken = anyio.Event()
        self._complete = False
        self._over = anyio.Event()  # the client has left, or has everything
        self._scope = anyio.CancelScope()
        self._error: BaseException | None = None
        self.ended: anyio.Event = anyio.Event()
        timeout = request.extensions.get("timeout", {}).get("read")
        self._timeout = float("inf") if timeout is None else timeout

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Run the application on the request; it must be a task of its own."""
        try:
            with self._scope:
                await app(scope, self._receive, self._send)
                if self._start is None and not self._over.is_set():
                    self._error = RuntimeError("the application returned without an answer")
        except Exception as error:  # noqa: BLE001 - it is raised in the test
            self._error = error
        finally:
            self.ended.set()
            self._notify()

    async def answer(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Wait for the response to start."""
        await self._wait(lambda: self._start is not None or self.ended.is_set(), "did not answer")
        if self._start is None:
            self._raise_error(always=True)
        start = self._start or {"status": 500}
        return start["status"], list(start.get("headers", ()))

    async def read(self) -> bytes | None:
        """Return the next chunk of the body; after the last, wait for the application's end and return ``None``."""
        await self._wait(lambda: self._chunks or self._complete or self.ended.is_set(), "went silent")
        if self._chunks:
            self._taken.set()
            self._taken = anyio.Event()
            return self._chunks.popleft()
        self._over.set()
        await self._wait(self.ended.is_set, "did not return after its answer")
        self._raise_error()
        return None

    def hang_up(self) -> None:
        """Be gone, as far as the application can see."""
        self._over.set()
        self._taken.set()
        self._chunks.clear()

    async def close(self) -> None:
        """Hang up, and wait for the application's end."""
        self.hang_up()
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(_GRACE):
                await self.ended.wait()
            self._scope.cancel()
            await self.ended.wait()

    def _raise_error(self, *, always: bool = False) -> None:
        error, self._error = self._error, None
        if error is not None and (self._raises or (always and not isinstance(error, Exception))):
            raise error

    def raise_late_error(self) -> None:
        """Raise what the application raised after the client had left."""
        self._raise_error()

    async def _wait(self, condition: Callable[[], object], what: str) -> None:
        with anyio.move_on_after(self._timeout) as waiting:
            while not condition():
                await self._changed.wait()
        if waiting.cancelled_caught:
            request = self._request
            raise httpx.ReadTimeout(
                f"{request.method} {request.url.raw_path.decode()} {what} for {self._timeout:g} s; for an endless "
                "stream use client.sse() or client.stream(…, timeout=None)",
                request=request,
            )

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def _receive(self) -> Message:
        if self._upload is not None:
            chunk = await anext(self._upload, None)
            if chunk is None:
                self._upload = None
            return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        await checkpoint()
        if self._over.is_set():
            return
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            if message.get("body") and self._request.method != "HEAD":
                await self._room()
                self._chunks.append(bytes(message["body"]))
            self._complete = not message.get("more_body", False)
        self._notify()

    async def _room(self) -> None:
        while len(self._chunks) >= _ROOM and not self._over.is_set():
            await self._taken.wait()


class _Body(httpx.AsyncByteStream, AsyncIterator[bytes]):
    def __init__(self, exchange: Exchange, open_exchanges: dict[Exchange, None]) -> None:
        self.exchange = exchange
        self._open = open_exchanges

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self.exchange.read()
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        await self.exchange.close()
        self._open.pop(self.exchange, None)
        self.exchange.raise_late_error()


def exchange_of(response: httpx.Response) -> Exchange:
    """Return where a response comes from; reading there leaves no suspended generator behind when it is given up."""
    exchange = response.extensions[_EXCHANGE]
    assert isinstance(exchange, Exchange)  # noqa: S101 - for type checkers
    return exchange


async def _upload(request: httpx.Request) -> AsyncIterator[bytes]:
    try:
        yield request.content
    except httpx.RequestNotRead:
        async for chunk in request.stream:  # type: ignore[union-attr] # an asynchronous client has such a stream
            yield chunk


def _scope(request: httpx.Request, root_path: str, client: tuple[str, int], state: dict[str, Any]) -> Scope:
    url = request.url
    return {
        "type": "http",
        # A client that has left is told by http.disconnect and not by a failing send, as uvicorn does it.
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.split(b"?", 1)[0],
        "query_string": url.query,
        "root_path": root_path,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": client,
        "server": (url.host, url.port or {"https": 443}.get(url.scheme, 80)),
        "state": state,
        "extensions": {},
    }
