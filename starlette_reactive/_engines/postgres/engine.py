"""PostgreSQL as an engine: how sessions and senders are opened."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import psycopg

from ..ignored import IgnoredMessages
from . import queries
from .connection import PostgresConnection, check_url, open_connection
from .end_users import EndUserRows
from .installation import install, refused
from .sender import PostgresSender
from .session import PostgresSession

__all__ = ["PostgresEngine", "engine"]


def engine(url: str) -> PostgresEngine:
    """Return the engine at a URL."""
    return PostgresEngine(url)


class PostgresEngine:
    """A PostgreSQL server.

    Args:
        url: A URL as libpq takes it.

    Raises:
        ValueError: The URL is invalid.
    """

    name: str = "postgresql"
    failures: tuple[type[Exception], ...] = (psycopg.Error,)

    def __init__(self, url: str) -> None:
        check_url(url)
        self._url = url
        self._end_users = EndUserRows()
        self.ignored: IgnoredMessages = IgnoredMessages(self.name)

    @contextlib.asynccontextmanager
    async def connect(self, process: str) -> AsyncIterator[PostgresSession]:
        """Open a session for a process."""
        async with AsyncExitStack() as connections:
            writer = await connections.enter_async_context(open_connection(self._url))
            await install(writer)
            reader = await connections.enter_async_context(open_connection(self._url))
            try:
                session = await self._begin(process, reader, writer)
            except psycopg.errors.InsufficientPrivilege as error:
                raise refused(writer.user, error) from error
            try:
                yield session
            finally:
                await session.end()

    async def _begin(self, process: str, reader: PostgresConnection, writer: PostgresConnection) -> PostgresSession:
        epoch = await _epoch(reader)
        if epoch != await _epoch(writer):
            raise ConnectionError("the two connections have reached different servers")
        session = PostgresSession(process, reader, writer, epoch, self._end_users, self.ignored)
        await session.begin()
        return session

    def open_sender(self, timeout: float) -> PostgresSender:
        """Open a connection that only sends."""
        return PostgresSender(self._url, timeout)


async def _epoch(connection: PostgresConnection) -> str:
    return str((await connection.fetch(queries.EPOCH))[0][0])
