"""A connection to PostgreSQL: how it is opened, what is asked of the server, and how it ends.

A connection does one thing at a time. When what it does is given up, it is cut: nothing may wait for a server that
does not answer, and the session ends with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ..._core.errors import ReactiveError
from .schema import DDL, SCHEMA, VERSION

__all__ = ["Line", "arguments", "install", "installation", "open_line"]

Row = Sequence[Any]

_STATEMENT_SECONDS = 8
_NETWORK = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""What libpq does about a path that is dead; milliseconds for the last one, seconds else."""
_SETTINGS = {
    "statement_timeout": f"{_STATEMENT_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{_STATEMENT_SECONDS}s",
    "default_transaction_isolation": r"read\ committed",
    "plan_cache_mode": "force_custom_plan",  # a plan for any transaction number at all would read the whole log
    "enable_seqscan": "off",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
}
_CUT_SECONDS = 1.0

_ABOUT = """
    select pg_is_in_recovery(), current_setting('server_encoding'), current_setting('server_version_num')::integer,
        current_setting('statement_timeout')
"""


class Line:
    """One connection, used by one task at a time."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self.connection = connection
        self._lock = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._watched: int | None = None  # the descriptor of which the loop tells
        self._waiter: asyncio.Future[None] = self._loop.create_future()

    async def fetch(self, query: str, parameters: Mapping[str, object] | None = None) -> list[Row]:
        """Run a query and return its rows; giving it up cuts the connection."""
        async with self._lock:
            task = asyncio.create_task(self._fetch(query, parameters))
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                self._cut()  # so the driver does not wait for the server to confirm
                await asyncio.wait([task], timeout=_CUT_SECONDS)
                if task.done() and not task.cancelled():
                    task.exception()
                raise

    async def _fetch(self, query: str, parameters: Mapping[str, object] | None) -> list[Row]:
        self._watched = None  # the driver has the loop tell it instead
        cursor = await self.connection.execute(query.encode(), parameters)
        return await cursor.fetchall() if cursor.description else []

    async def readable(self, timeout: float) -> None:
        """Wait until something has come, or for so long."""
        async with self._lock:
            if self._watched is None:
                self._watched = self.connection.fileno()
                self._loop.add_reader(self._watched, self._take_in)
            self._waiter = self._loop.create_future()
            patience = self._loop.call_later(timeout, self.nudge)
            try:
                await self._waiter
            finally:
                patience.cancel()

    def _take_in(self) -> None:
        """Take in what has come, for the loop tells of it in each turn until then."""
        try:
            self.connection.pgconn.consume_input()
        except psycopg.Error:  # the connection has ended, and says so again to whoever uses it next
            self.unwatch()
        self.nudge()

    def unwatch(self) -> None:
        """Have the loop forget the connection, before it is closed."""
        watched, self._watched = self._watched, None
        if watched is not None:
            self._loop.remove_reader(watched)

    def nudge(self) -> None:
        """Have who waits go on."""
        if not self._waiter.done():
            self._waiter.set_result(None)

    def take_notifications(self) -> list[str]:
        """Take in what has come, without waiting, and return what it says.

        Raises:
            psycopg.OperationalError: The connection has ended.
        """
        self.connection.pgconn.consume_input()
        found: list[str] = []
        while notification := self.connection.pgconn.notifies():
            found.append(notification.extra.decode())
        return found

    def _cut(self) -> None:
        with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self.connection.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)


@contextlib.asynccontextmanager
async def open_line(url: str) -> AsyncIterator[Line]:
    """Connect to a server that can be written to, directly.

    Raises:
        ReactiveError: The server, or what lies before it, is not of use.
        psycopg.Error: There is no connection.
    """
    try:
        connection = await psycopg.AsyncConnection.connect(autocommit=True, **arguments(url, options=_options(url)))
    except psycopg.OperationalError as error:
        if "startup parameter" in str(error):
            raise _pooled() from error
        raise
    line = Line(connection)
    try:
        _check(*(await line.fetch(_ABOUT))[0])
        yield line
    finally:
        line.unwatch()
        await connection.close()


def arguments(url: str, **ours: Any) -> dict[str, Any]:
    """Return what a connection is opened with: what the URL says, and what it may not say otherwise."""
    defaults = {"application_name": "starlette-reactive", **_NETWORK}
    return {**defaults, **conninfo_to_dict(url), "client_encoding": "utf8", **ours}


def _options(url: str) -> str:
    settings = (f"-c {name}={value}" for name, value in _SETTINGS.items())
    return " ".join((str(conninfo_to_dict(url).get("options") or ""), *settings)).strip()


def _check(is_standby: bool, encoding: str, version: int, statement_timeout: str) -> None:
    if is_standby:
        raise ReactiveError(
            "this PostgreSQL server is a standby, which cannot be written to: name the primary, or several hosts with "
            "target_session_attrs=read-write"
        )
    if version < 130000:
        raise ReactiveError(f"this PostgreSQL server is of version {version // 10000}: the bus needs 13 or newer")
    if encoding != "UTF8":
        raise ReactiveError(f"this database's encoding is {encoding}: the bus needs one that was created with UTF8")
    if statement_timeout != f"{_STATEMENT_SECONDS}s":
        raise _pooled()


def _pooled() -> ReactiveError:
    return ReactiveError(
        "something between here and PostgreSQL, such as PgBouncer, did not pass on the connection's settings: a bus "
        "listens, which needs a direct connection; name the server's own host and port"
    )


async def install(line: Line) -> None:
    """Make what the bus needs in the database, where it is not there yet.

    Raises:
        ReactiveError: It is not there and must not be made, or it is of another release.
    """
    steps = installation(line.connection.info.user)
    with contextlib.suppress(StopIteration):
        query = next(steps)
        while True:
            try:
                rows = await line.fetch(query)
            except psycopg.Error as error:
                query = steps.throw(error)
            else:
                query = steps.send(rows[0][0] if rows else None)


def installation(user: str) -> Generator[str, str | None, None]:
    """Yield the queries that make what the bus needs; each is to be answered with the first value that it returns.

    Args:
        user: The role that runs them.
    """
    try:
        if (yield f"select (to_regprocedure('{SCHEMA}.rx_version()') is not null)::text") != "true":
            yield DDL
        found = yield f"select {SCHEMA}.rx_version()::text"
    except psycopg.errors.InsufficientPrivilege as error:
        raise ReactiveError(
            f"the role {user!r} may not use or make the schema {SCHEMA}: run "
            "starlette_reactive.engines.POSTGRES_DDL once, in a migration, as a role that may create schemas, and then "
            f"'grant usage on schema {SCHEMA} to …; grant select on all tables in schema {SCHEMA} to …': {error}"
        ) from error
    if found != str(VERSION):
        raise ReactiveError(
            f"the schema {SCHEMA} has the layout {found}, and this release of starlette-reactive knows {VERSION}: "
            "bring all processes to one release"
        )
