"""Redis as an engine: how sessions and senders are opened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from redis.exceptions import RedisError

from ..engine import Engine, Sender, Session
from ..ignored import IgnoredMessages
from .connection import RedisAddress
from .sender import RedisSender
from .session import EndUserPosition, RedisSession

__all__ = ["RedisEngine", "engine"]


def engine(url: str) -> Engine:
    """Return the engine at a URL: one that redis-py takes, with an optional query argument ``prefix``."""
    return RedisEngine(url)


class RedisEngine:
    """A Redis server.

    Args:
        url: Its URL.

    Raises:
        ValueError: The URL is invalid.
    """

    name: str = "redis"
    failures: tuple[type[Exception], ...] = (RedisError,)

    def __init__(self, url: str) -> None:
        self._address = RedisAddress(url)
        self.ignored: IgnoredMessages = IgnoredMessages(self.name)
        self._positions: dict[str, EndUserPosition] = {}  # by process

    def connect(self, process: str) -> AbstractAsyncContextManager[Session]:
        """Open a session for a process."""
        return self._connect(process)

    def open_sender(self, timeout: float) -> Sender:
        """Open a connection that only sends."""
        return RedisSender(self._address, timeout)

    @asynccontextmanager
    async def _connect(self, process: str) -> AsyncIterator[Session]:
        async with AsyncExitStack() as stack:
            reader, writer = [await stack.enter_async_context(self._address.open_connection()) for _ in range(2)]
            session = RedisSession(reader, writer, self._address.prefix, process, self.ignored)
            await session.begin(self._positions.setdefault(process, EndUserPosition()))
            yield session
