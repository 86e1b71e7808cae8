"""RequestResponseCycle: one request and the response that the application streams to it.

- **Responses stream.** A chunk reaches the client when the application sends it, and a client that reads slowly slows
  the application down.
- **The application sees a client disconnect**, as ``http.disconnect``. A request that does not end within a grace
  period is cancelled, and closing waits for its end.
- **Exceptions of the application are raised in the test**, by the request in which they occurred.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable

import anyio
from anyio.lowlevel import checkpoint
from starlette.types import ASGIApp, Message, Scope

from ._http_library import httpx

__all__ = ["RequestResponseCycle"]

_GRACE = 2.0  # seconds that the application has to end a request after the client disconnected
_MAX_CHUNKS = 16  # unread chunks of a response after which sending waits


class RequestResponseCycle:
    """One request and its response.

    Args:
        request: The request.
        raise_exceptions: Whether exceptions of the application are raised in the test.
    """

    def __init__(self, request: httpx.Request, *, raise_exceptions: bool) -> None:
        self._request = request
        self._raise_exceptions = raise_exceptions
        self._request_body: AsyncIterator[bytes] | None = _body_of(request)
        self._start: Message | None = None
        self._chunks: deque[bytes] = deque()
        self._changed = anyio.Event()
        self._chunk_taken = anyio.Event()
        self._complete = False
        self._disconnected = anyio.Event()  # the client has left or has the whole response
        self._ended = anyio.Event()
        self._cancel_scope = anyio.CancelScope()
        self._error: BaseException | None = None
        timeout = request.extensions.get("timeout", {}).get("read")
        self._timeout = float("inf") if timeout is None else timeout

    async def run(self, app: ASGIApp, asgi_scope: Scope) -> None:
        """Run the application for the request, in a task of its own."""
        try:
            with self._cancel_scope:
                await app(asgi_scope, self._receive, self._send)
                if self._start is None and not self._disconnected.is_set():
                    self._error = RuntimeError("the application returned without a response")
        except Exception as error:  # noqa: BLE001 - raised in the test
            self._error = error
        finally:
            self._ended.set()
            self._notify()

    async def response_start(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Wait until the response starts; return its status and headers."""
        await self._wait(lambda: self._start is not None or self._ended.is_set(), "did not answer")
        if self._start is None:
            self._raise_error(also_base_exceptions=True)
        start = self._start or {"status": 500}
        return start["status"], list(start.get("headers", ()))

    async def read(self) -> bytes | None:
        """Return the next chunk of the body; after the last, wait until the application ends and return ``None``."""
        await self._wait(lambda: self._chunks or self._complete or self._ended.is_set(), "sent nothing")
        if self._chunks:
            self._chunk_taken.set()
            self._chunk_taken = anyio.Event()
            return self._chunks.popleft()
        self._disconnected.set()
        await self._wait(self._ended.is_set, "did not return after its response")
        self._raise_error()
        return None

    async def wait_for_body(self) -> None:
        """Wait until the application sends something of the body, or ends."""
        while not (self._chunks or self._complete or self._ended.is_set()):
            await self._changed.wait()

    def hang_up(self) -> None:
        """Disconnect the client without waiting for the application."""
        self._disconnected.set()
        self._chunk_taken.set()
        self._chunks.clear()

    async def close(self) -> None:
        """Disconnect the client and wait until the application ends; cancel it after the grace period."""
        self.hang_up()
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(_GRACE):
                await self._ended.wait()
            self._cancel_scope.cancel()
            await self._ended.wait()

    def raise_late_error(self) -> None:
        """Raise the exception that the application raised after the client disconnected, if any."""
        self._raise_error()

    def _raise_error(self, *, also_base_exceptions: bool = False) -> None:
        error, self._error = self._error, None
        if error is None:
            return
        if self._raise_exceptions or (also_base_exceptions and not isinstance(error, Exception)):
            raise error

    async def _wait(self, condition: Callable[[], object], problem: str) -> None:
        with anyio.move_on_after(self._timeout) as waiting:
            while not condition():
                await self._changed.wait()
        if waiting.cancelled_caught:
            request = self._request
            raise httpx.ReadTimeout(
                f"{request.method} {request.url.raw_path.decode()} {problem} for {self._timeout:g} s; for an endless "
                "stream use client.sse() or client.stream(…, timeout=None)",
                request=request,
            )

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def _receive(self) -> Message:
        if self._request_body is not None:
            chunk = await anext(self._request_body, None)
            if chunk is None:
                self._request_body = None
            return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}
        await self._disconnected.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        await checkpoint()
        if self._disconnected.is_set():
            return
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            if message.get("body") and self._request.method != "HEAD":
                await self._wait_for_reader()
                self._chunks.append(bytes(message["body"]))
            self._complete = not message.get("more_body", False)
        self._notify()

    async def _wait_for_reader(self) -> None:
        while len(self._chunks) >= _MAX_CHUNKS and not self._disconnected.is_set():
            await self._chunk_taken.wait()


async def _body_of(request: httpx.Request) -> AsyncIterator[bytes]:
    try:
        yield request.content
    except httpx.RequestNotRead:
        async for chunk in request.stream:  # type: ignore[union-attr] # an asynchronous client has such a stream
            yield chunk
