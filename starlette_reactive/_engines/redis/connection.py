"""Connections to Redis.

redis-py's connections implement the protocol. By default they would retry, reconnect and subscribe again by themselves,
losing messages silently. Here all of that is off: a connection that has failed stays failed.
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

from ..url_parsing import parsed_url

__all__ = ["Command", "RedisAddress", "RedisConnection", "SyncConnection"]

Command = Sequence[str | bytes | int]
"""A Redis command with its arguments."""

_PREFIX = "starlette-reactive"
_VERSION = 1  # of the layout of the keys
_CONNECT_TIMEOUT = 5.0  # seconds, unless the URL sets it
_OPTIONS: dict[str, Any] = {
    "retry_on_timeout": False,
    "health_check_interval": 0,
    "protocol": 2,
    "decode_responses": False,
}
_ASYNCIO_OPTIONS: dict[str, Any] = {
    "retry": asyncio_retry.Retry(NoBackoff(), 0),
    "socket_timeout": None,  # a subscription may be silent; callers that expect an answer have a timeout of their own
    **_OPTIONS,
}
"""These turn redis-py's recovery off, and override the URL."""


class RedisAddress:
    """A Redis server, and the prefix of the keys to use there.

    Args:
        url: A URL as redis-py takes it, with an optional query argument ``prefix``.

    Raises:
        ValueError: The URL is invalid.
    """

    def __init__(self, url: str) -> None:
        self._url, prefix, self._pool = parsed_url(url, _parse, "Redis")
        self.prefix: str = f"{prefix}:{_VERSION}:{self._pool.connection_kwargs.get('db', 0)}"

    @asynccontextmanager
    async def open_connection(self) -> AsyncIterator[RedisConnection]:
        """Open a connection."""
        connection: _AsyncioConnection = cast("Any", self._pool).make_connection()
        try:
            failures: list[ResponseError] = []
            try:
                await connection.connect()
            except ResponseError as error:
                failures.append(error)
            _raise_without_arguments(failures)
            yield RedisConnection(connection)
        finally:
            await connection.disconnect(nowait=True)

    def open_sync_connection(self, timeout: float) -> SyncConnection:
        """Open a connection for a program without an event loop. Each answer may take ``timeout`` seconds."""
        pool = ConnectionPool.from_url(
            self._url,
            socket_connect_timeout=timeout,
            socket_timeout=timeout,
            retry=retry.Retry(NoBackoff(), 0),
            **_OPTIONS,
        )
        connection: SyncConnection = cast("Any", pool).make_connection()
        failures: list[ResponseError] = []
        try:
            connection.connect()
        except ResponseError as error:
            failures.append(error)
        _raise_without_arguments(failures)
        return connection


class SyncConnection(Protocol):
    """The methods that are used of redis-py's synchronous connection."""

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def can_read(self, timeout: float) -> bool: ...
    def read_response(self, disable_decoding: bool = False) -> Any: ...
    def send_packed_command(self, command: Iterable[bytes]) -> None: ...
    def pack_commands(self, commands: Iterable[Command]) -> list[bytes]: ...


class _AsyncioConnection(Protocol):
    """The methods that are used of redis-py's asyncio connection."""

    @property
    def is_connected(self) -> bool: ...
    async def connect(self) -> None: ...
    async def disconnect(self, nowait: bool = False) -> None: ...
    async def read_response(self, disable_decoding: bool = False) -> Any: ...
    async def send_packed_command(self, command: Iterable[bytes]) -> None: ...
    def pack_commands(self, commands: Iterable[Command]) -> list[bytes]: ...


class RedisConnection:
    """A connection that is never reopened after a failure."""

    def __init__(self, connection: _AsyncioConnection) -> None:
        self._connection = connection
        self._lock = asyncio.Lock()

    async def write(self, commands: Sequence[Command]) -> None:
        """Send commands without reading their answers."""
        self._check()
        await self._connection.send_packed_command(self._connection.pack_commands(commands))

    async def read(self) -> Any:
        """Wait for one answer, or for one message of a subscription."""
        self._check()
        return await self._connection.read_response(disable_decoding=True)

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands and return their answers. Errors of single commands are returned, not raised."""
        async with self._lock:
            await self.write(commands)
            return [await self._answer() for _ in commands]

    async def _answer(self) -> Any:
        try:
            return await self.read()
        except ResponseError as error:
            return error

    def _check(self) -> None:
        if not self._connection.is_connected:  # redis-py would reconnect
            raise ConnectionError("the connection to Redis is closed")


def _raise_without_arguments(failures: Sequence[ResponseError]) -> None:
    """Raise an error of a server that does not know ``AUTH`` without the arguments, which are the password.

    It is called outside the handler, so that the whole error is not in the chain.
    """
    for error in failures:
        raise type(error)(str(error).partition(", with args")[0])


def _parse(url: str) -> tuple[str, str, AsyncioConnectionPool]:
    """Return a URL without the options that are set here, the prefix that it asks for, and a pool for it.

    Raises:
        TypeError: It has an unknown option.
        ValueError: It is invalid, or contains an ``@`` that suggests a password which is read as something else.
    """
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    if any("@" in part for part in (parts.path, parts.fragment, *(name for name, _ in query))):
        raise ValueError("an @ is not percent-encoded")
    rest = [(name, value) for name, value in query if name != "prefix" and name not in _ASYNCIO_OPTIONS]
    bare = urlunsplit(parts._replace(query=urlencode(rest)))
    pool = AsyncioConnectionPool.from_url(bare, socket_connect_timeout=_CONNECT_TIMEOUT, **_ASYNCIO_OPTIONS)
    cast("Any", pool).make_connection()  # checks the options
    return bare, dict(query).get("prefix") or _PREFIX, pool
