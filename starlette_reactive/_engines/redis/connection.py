"""A connection to Redis: how it is opened, and how commands are sent and answers read.

redis-py's own connection does the protocol. It would retry, connect anew and subscribe again by itself, and lose
messages without a word; here a connection that has failed stays so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, cast
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from redis import retry
from redis.asyncio import retry as asyncio_retry
from redis.asyncio.connection import ConnectionPool as AsyncioConnectionPool
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.exceptions import ResponseError

__all__ = ["Connection", "Line", "Place", "Words"]

Words = Sequence[str | bytes | int]
"""A command."""

_PREFIX = "starlette-reactive"
_VERSION = 1  # of what stands under the prefix
_ALWAYS: dict[str, Any] = {
    "retry_on_timeout": False,
    "health_check_interval": 0,
    "protocol": 2,
    "decode_responses": False,
}
_ASYNCIO: dict[str, Any] = {
    "retry": asyncio_retry.Retry(NoBackoff(), 0),
    "socket_timeout": None,  # a subscription may be quiet: whoever waits for an answer gives a time
    **_ALWAYS,
}
"""How redis-py is told to leave failures to us, whatever the URL says."""
_CONNECT_TIMEOUT = 5.0  # seconds, unless the URL says otherwise


class Place:
    """Where a Redis is, and where in it.

    Args:
        url: As redis-py takes it, and with a query argument ``prefix`` if one likes.

    Raises:
        ValueError: It is none.
    """

    def __init__(self, url: str) -> None:
        self._url, prefix = _own_options(url)
        self._pool = AsyncioConnectionPool.from_url(self._url, socket_connect_timeout=_CONNECT_TIMEOUT, **_ASYNCIO)
        self.prefix: str = f"{prefix}:{_VERSION}:{self._pool.connection_kwargs.get('db', 0)}"

    @asynccontextmanager
    async def open_line(self) -> AsyncIterator[Line]:
        """Open a connection."""
        connection: _AsyncioConnection = cast("Any", self._pool).make_connection()
        try:
            await connection.connect()
            yield Line(connection)
        finally:
            await connection.disconnect(nowait=True)

    def connect(self, timeout: float) -> Connection:
        """Open a connection for a program without an event loop, on which an answer comes within so many seconds."""
        pool = ConnectionPool.from_url(
            self._url,
            socket_connect_timeout=timeout,
            socket_timeout=timeout,
            retry=retry.Retry(NoBackoff(), 0),
            **_ALWAYS,
        )
        connection: Connection = cast("Any", pool).make_connection()
        connection.connect()
        return connection


class Connection(Protocol):
    """What is used of redis-py's connection for programs without an event loop."""

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def can_read(self, timeout: float) -> bool: ...
    def read_response(self, disable_decoding: bool = False) -> Any: ...
    def send_command(self, *command: str | bytes | int) -> None: ...


class _AsyncioConnection(Protocol):
    """What is used of redis-py's connection for asyncio."""

    @property
    def is_connected(self) -> bool: ...
    async def connect(self) -> None: ...
    async def disconnect(self, nowait: bool = False) -> None: ...
    async def read_response(self, disable_decoding: bool = False) -> Any: ...
    async def send_packed_command(self, command: Iterable[bytes]) -> None: ...
    def pack_commands(self, commands: Iterable[Words]) -> list[bytes]: ...


class Line:
    """A connection that is never opened again once it has failed."""

    def __init__(self, connection: _AsyncioConnection) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()

    async def write(self, commands: Sequence[Words]) -> None:
        """Send commands."""
        self._check()
        await self._connection.send_packed_command(self._connection.pack_commands(commands))

    async def read(self) -> Any:
        """Wait for an answer, or for what comes by a subscription."""
        self._check()
        return await self._connection.read_response(disable_decoding=True)

    async def ask(self, commands: Sequence[Words]) -> list[Any]:
        """Send commands and return their answers, of which some may be errors."""
        async with self._turn:
            await self.write(commands)
            return [await self._answer() for _ in commands]

    async def _answer(self) -> Any:
        try:
            return await self.read()
        except ResponseError as error:
            return error

    def _check(self) -> None:
        if not self._connection.is_connected:  # redis-py would connect anew
            raise ConnectionError("the connection to Redis is closed")


def _own_options(url: str) -> tuple[str, str]:
    """Return a URL without the options that are ours to set, and the prefix that it asks for."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    rest = [(name, value) for name, value in query if name != "prefix" and name not in _ASYNCIO]
    return urlunsplit(parts._replace(query=urlencode(rest))), dict(query).get("prefix") or _PREFIX
