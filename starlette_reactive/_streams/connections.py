"""The connection below a stream, where the server gives access to it.

A server that stops waits until its clients have read what was sent. A client that reads nothing would hold it forever,
so its connection has to be aborted. It is found below ``receive`` and ``send``, also if middleware wraps them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import anyio
from starlette.types import Receive, Scope, Send

from .servers import Server, server_of

__all__ = ["FAREWELL_TIMEOUT", "Connection"]

FAREWELL_TIMEOUT = 1.0
"""Seconds for the last bytes of a stream that the server ends."""
_MOST_CALLABLES = 100
"""How many callables are looked at."""

_TRANSPORTS: dict[str, Callable[[Any], Any]] = {
    "uvicorn.protocols.http": lambda cycle: cycle.transport,
    "gunicorn.asgi.protocol": lambda receiver: receiver.protocol.transport,
    "hypercorn.asyncio.tcp_server": lambda server: server.writer.transport,
    "hypercorn.trio.tcp_server": lambda server: getattr(server.stream, "transport_stream", server.stream).socket,
}
"""How asyncio's transport or trio's socket is reached from objects of servers, by the beginning of their module."""


class Connection:
    """The connection of a stream's request.

    Args:
        asgi_scope: The request.
        receive: What its messages come from.
        send: What its response is sent to.
    """

    __slots__ = ("_receive", "_send", "ended_at", "server")

    def __init__(self, asgi_scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.server: Server = server_of(asgi_scope)
        self.ended_at: float | None = None  # since its stream ends because the server stops

    def abort(self) -> None:
        """Close it at once, if the server gives access to it."""
        transport = self._transport()
        if transport is not None:
            (transport.abort if hasattr(transport, "abort") else transport.close)()

    @contextlib.contextmanager
    def farewell(self) -> Iterator[None]:
        """Send the end of a stream. Abort the connection if its client does not read it in time."""
        with anyio.move_on_after(FAREWELL_TIMEOUT, shield=True) as cancel_scope:
            yield
        if cancel_scope.cancelled_caught:
            self.abort()
        elif self._is_unread():
            asyncio.get_running_loop().call_later(FAREWELL_TIMEOUT, self._abort_unread)

    def _abort_unread(self) -> None:
        if self._is_unread():
            self.abort()

    def _is_unread(self) -> bool:
        size_of_buffer = getattr(self._transport(), "get_write_buffer_size", None)
        return size_of_buffer is not None and size_of_buffer() > 0

    def _transport(self) -> Any:
        waiting: deque[Any] = deque((self._receive, self._send))
        seen: set[int] = set()
        while waiting and len(seen) < _MOST_CALLABLES:
            each = waiting.popleft()
            if id(each) in seen:
                continue
            seen.add(id(each))
            owner = getattr(each, "__self__", each)
            for module, transport_of in _TRANSPORTS.items():
                if type(owner).__module__.startswith(module):
                    return transport_of(owner)
            waiting.extend(
                held for held in _held_by(each, owner) if isinstance(held, FunctionType | MethodType | partial)
            )
        return None


def _held_by(function: Any, owner: Any) -> Iterator[Any]:
    """Yield what a callable may call: what its closure, its object and its arguments hold."""
    for cell in getattr(function, "__closure__", None) or ():
        with contextlib.suppress(ValueError):  # it is empty
            yield cell.cell_contents
    yield from getattr(owner, "__dict__", {}).values()
    if isinstance(function, partial):
        yield from (function.func, *function.args, *function.keywords.values())
