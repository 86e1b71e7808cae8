"""ApplicationTransport: the HTTP transport that sends a client's requests to an application in the same event loop."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import anyio
from starlette.types import ASGIApp, Scope

from ._http_library import httpx
from ._request_cycle import RequestResponseCycle
from ._server import NOT_RUNNING, Server, enter_server, leave_server

__all__ = ["ApplicationTransport", "cycle_of", "decoder_of"]

_CYCLE = "starlette_reactive.testing.cycle"


class ApplicationTransport(httpx.AsyncBaseTransport):
    """Sends requests to an application.

    Args:
        app: The application.
        raise_server_exceptions: Whether exceptions of the application are raised in the test.
        root_path: The path at which the application is mounted.
        client: The client's address.
    """

    def __init__(self, app: ASGIApp, *, raise_server_exceptions: bool, root_path: str, client: tuple[str, int]) -> None:
        self._app = app
        self._raise_exceptions = raise_server_exceptions
        self._root_path = root_path
        self._client = client
        self._open_cycles: dict[RequestResponseCycle, None] = {}
        self.server: Server | None = None

    async def __aenter__(self) -> Self:
        self.server = await enter_server(self._app)
        return self

    async def aclose(self) -> None:
        """Disconnect the open requests and release the server."""
        server, self.server = self.server, None
        if server is None:
            return
        with anyio.CancelScope(shield=True):
            for cycle in list(self._open_cycles):
                await cycle.close()
        await leave_server(server)

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; return when the response starts."""
        if self.server is None:
            raise RuntimeError(NOT_RUNNING)
        cycle = RequestResponseCycle(request, raise_exceptions=self._raise_exceptions)
        self._open_cycles[cycle] = None
        asgi_scope = _asgi_scope(request, self._root_path, self._client, self.server.state.copy())
        self.server.start_soon(lambda: cycle.run(self._app, asgi_scope))
        body = _ResponseBody(cycle, self._open_cycles)
        try:
            status, headers = await cycle.response_start()
        except BaseException:
            await body.aclose()
            raise
        return httpx.Response(status, headers=headers, stream=body, extensions={_CYCLE: cycle})


class _ResponseBody(httpx.AsyncByteStream, AsyncIterator[bytes]):
    def __init__(self, cycle: RequestResponseCycle, open_cycles: dict[RequestResponseCycle, None]) -> None:
        self._cycle = cycle
        self._open_cycles = open_cycles

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._cycle.read()
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        await self._cycle.close()
        self._open_cycles.pop(self._cycle, None)
        self._cycle.raise_late_error()


def cycle_of(response: httpx.Response) -> RequestResponseCycle:
    """Return the cycle of a response. A reader that stops reading it leaves no suspended generator behind."""
    cycle = response.extensions[_CYCLE]
    assert isinstance(cycle, RequestResponseCycle)  # noqa: S101 - for type checkers
    return cycle


def decoder_of(response: httpx.Response) -> Callable[[bytes], bytes]:
    """Return what decodes the chunks that are read from the cycle of a response."""
    if response.headers.get("content-encoding") == "gzip":
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress
    return bytes


def _asgi_scope(request: httpx.Request, root_path: str, client: tuple[str, int], state: dict[str, Any]) -> Scope:
    url = request.url
    return {
        "type": "http",
        # Before version 2.4, http.disconnect reports a client that has left, and send does not raise, as with uvicorn.
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
