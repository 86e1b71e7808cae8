"""Connections to PostgreSQL: how they are opened, and which servers are refused.

A connection does one thing at a time. Cancelling a query cuts the connection, because nothing may wait for a server
that does not answer. The session ends with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ..._core.errors import ReactiveError
from ..url_parsing import parsed_url

__all__ = ["PostgresConnection", "check_url", "connection_options", "open_connection"]

Row = Sequence[Any]

_MINIMUM_VERSION = 13
_STATEMENT_SECONDS = 8
_NETWORK = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""How soon libpq notices a dead network path. The last value is in milliseconds, the others are in seconds."""
_SETTINGS = {
    "statement_timeout": f"{_STATEMENT_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{_STATEMENT_SECONDS}s",
    "default_transaction_isolation": r"read\ committed",
    "plan_cache_mode": "force_custom_plan",  # a generic plan, for any transaction number, would read the whole log
    "enable_seqscan": "off",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
}
_CUT_SECONDS = 1.0  # how long the driver may take to notice that its connection was cut

_SERVER_INFO = """
    select pg_is_in_recovery(), current_setting('server_encoding'), current_setting('server_version_num')::integer,
        current_setting('statement_timeout')
"""


class PostgresConnection:
    """A connection that is used by one task at a time."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection
        self._lock = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._watched: int | None = None  # the file descriptor that the loop watches
        self._waiter: asyncio.Future[None] = self._loop.create_future()

    @property
    def user(self) -> str:
        """The role of this connection."""
        return self._connection.info.user

    async def fetch(self, query: str, parameters: Mapping[str, object] | None = None) -> list[Row]:
        """Run a query and return its rows. Cancelling it cuts the connection."""
        async with self._lock:
            task = asyncio.create_task(self._fetch(query, parameters))
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                self._cut()  # so that the driver does not wait for the server to confirm
                await asyncio.wait([task], timeout=_CUT_SECONDS)
                if task.done() and not task.cancelled():
                    task.exception()
                raise

    async def _fetch(self, query: str, parameters: Mapping[str, object] | None) -> list[Row]:
        self._watched = None  # the driver registers its own reader, which replaces ours
        cursor = await self._connection.execute(query.encode(), parameters)
        return await cursor.fetchall() if cursor.description else []

    async def wait_readable(self, timeout: float) -> None:
        """Wait until something has arrived, at most ``timeout`` seconds."""
        async with self._lock:
            if self._watched is None:
                self._watched = self._connection.fileno()
                self._loop.add_reader(self._watched, self._consume_input)
            self._waiter = self._loop.create_future()
            timer = self._loop.call_later(timeout, self.wake)
            try:
                await self._waiter
            finally:
                timer.cancel()

    def _consume_input(self) -> None:
        """Consume what has arrived: until then, the loop calls this in each of its turns."""
        try:
            self._connection.pgconn.consume_input()
        except psycopg.Error:  # the connection has ended, and raises again for its next user
            self.unwatch()
        self.wake()

    def unwatch(self) -> None:
        """Remove the reader from the loop, before the connection is closed."""
        watched, self._watched = self._watched, None
        if watched is not None:
            self._loop.remove_reader(watched)

    def wake(self) -> None:
        """End :meth:`wait_readable`."""
        if not self._waiter.done():
            self._waiter.set_result(None)

    def on_notification(self, handler: Callable[[str], None]) -> None:
        """Call a function with the payload of each notification that arrives while a query runs."""
        self._connection.add_notify_handler(lambda notification: handler(notification.payload))

    def take_notifications(self) -> list[str]:
        """Return the payloads of the notifications that have arrived, without waiting.

        Raises:
            psycopg.OperationalError: The connection has ended.
        """
        self._connection.pgconn.consume_input()
        found: list[str] = []
        while notification := self._connection.pgconn.notifies():
            found.append(notification.extra.decode("utf-8", "replace"))
        return found

    def _cut(self) -> None:
        with (
            contextlib.suppress(OSError, psycopg.Error),
            socket.socket(fileno=os.dup(self._connection.fileno())) as end,
        ):
            end.shutdown(socket.SHUT_RDWR)


@contextlib.asynccontextmanager
async def open_connection(url: str) -> AsyncIterator[PostgresConnection]:
    """Connect directly to a server that accepts writes.

    Raises:
        ReactiveError: The server is unsuitable, or something between here and it is.
        psycopg.Error: Connecting has failed.
    """
    options = connection_options(url, options=_startup_options(url))
    try:
        connection = await psycopg.AsyncConnection.connect(autocommit=True, **options)
    except psycopg.OperationalError as error:
        if "startup parameter" in str(error):
            raise _pooler_error() from error
        raise
    wrapped = PostgresConnection(connection)
    try:
        _check_server(*(await wrapped.fetch(_SERVER_INFO))[0])
        yield wrapped
    finally:
        wrapped.unwatch()
        await connection.close()


def connection_options(url: str, **ours: Any) -> dict[str, Any]:
    """Return the options to connect with: defaults, overridden by the URL, overridden by ``ours``."""
    defaults = {"application_name": "starlette-reactive", **_NETWORK}
    return {**defaults, **conninfo_to_dict(url), "client_encoding": "utf8", **ours}


def check_url(url: str) -> None:
    """Check that a URL can be read, and only in one way.

    Raises:
        ValueError: It cannot.
    """
    parsed_url(url, _parse, "PostgreSQL")


def _parse(url: str) -> None:
    authority, _, rest = url.partition("://")[2].partition("/")
    user, _, _ = authority.rpartition("@")
    if "@" in user or "?" in user or "@" in rest.partition("?")[0]:
        raise ValueError("libpq would take a part of the password for a host, a port or a database")
    options = conninfo_to_dict(url)
    numbers = [*str(options.get("port", "")).split(","), str(options.get("connect_timeout", 0))]
    if not all(number.removeprefix("-").isdecimal() for number in numbers if number):
        raise ValueError("a port or a timeout is not a number")


def _startup_options(url: str) -> str:
    settings = (f"-c {name}={value}" for name, value in _SETTINGS.items())
    return " ".join((str(conninfo_to_dict(url).get("options") or ""), *settings)).strip()


def _check_server(is_standby: bool, encoding: str, version: int, statement_timeout: str) -> None:
    if is_standby:
        raise ReactiveError(
            "this PostgreSQL server is a standby, which accepts no writes: use the URL of the primary, or list several "
            "hosts with target_session_attrs=read-write"
        )
    if version < _MINIMUM_VERSION * 10000:
        raise ReactiveError(
            f"this PostgreSQL server has version {version // 10000}: use version {_MINIMUM_VERSION} or newer"
        )
    if encoding != "UTF8":
        raise ReactiveError(f"the encoding of this database is {encoding}: use a database that was created with UTF8")
    if statement_timeout != f"{_STATEMENT_SECONDS}s":
        raise _pooler_error()


def _pooler_error() -> ReactiveError:
    return ReactiveError(
        "a pooler between here and PostgreSQL, such as PgBouncer, did not pass on the settings of the connection: a "
        "bus listens, which needs a direct connection; name the server's own host and port"
    )
