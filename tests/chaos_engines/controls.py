"""Ways of running on an engine that lose changes, as many programs run: the harness has to notice each of them.

Each is the real engine with one thing left out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from redis.asyncio import Redis

from starlette_reactive import ChangeEvent
from starlette_reactive._engines.engine import Engine, Sender, Session
from starlette_reactive._engines.ignored import IgnoredMessages
from starlette_reactive._engines.messages import DeliveredEvent, Message, RemoteRoster
from starlette_reactive._engines.postgres.session import PostgresSession
from starlette_reactive._log.replica import History


class _Changed:
    """An engine whose sessions are changed."""

    def __init__(self, engine: Engine, change: Callable[[Session], Any]) -> None:
        self._engine = engine
        self._change = change

    @property
    def name(self) -> str:
        return self._engine.name

    @property
    def ignored(self) -> IgnoredMessages:
        return self._engine.ignored

    @contextlib.asynccontextmanager
    async def connect(self, process: str) -> AsyncIterator[Session]:
        async with self._engine.connect(process) as session:
            yield self._change(session)

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        return self._engine.failures

    def open_sender(self, timeout: float) -> Sender:
        return self._engine.open_sender(timeout)


class _Delegate:
    """A session that does what another does."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


class _WithoutLog(_Delegate):
    """Messages are all there is: whoever does not listen misses them, and nobody is told that they did."""

    epoch = "always the same"

    async def receive(self) -> Sequence[Message]:
        return [
            dataclasses.replace(each, previous=None) if isinstance(each, DeliveredEvent) else each
            for each in await self._session.receive()
        ]

    async def attach(self, scopes: Mapping[str, int | None]) -> Mapping[str, tuple[History, RemoteRoster]]:
        found = await self._session.attach(scopes)
        return {scope: (History(history.level, 0), roster) for scope, (history, roster) in found.items()}

    async def changed_since(self, levels: Mapping[str, int]) -> Sequence[str]:
        return ()

    async def alive(self, processes: Sequence[str]) -> frozenset[str]:
        return frozenset(processes)


class _WithStoredEpoch(_Delegate):
    """The epoch stands in the engine's data, and comes back with an old file."""

    def __init__(self, session: Session, epoch: str) -> None:
        super().__init__(session)
        self.epoch = epoch


class _StoringEpoch(_Changed):
    def __init__(self, engine: Engine, url: str) -> None:
        super().__init__(engine, _Delegate)
        self._url = url

    @contextlib.asynccontextmanager
    async def connect(self, process: str) -> AsyncIterator[Session]:
        async with Redis.from_url(self._url, decode_responses=True) as client:
            await client.set("stored-epoch", secrets.token_hex(8), nx=True)
            epoch = str(await client.get("stored-epoch"))
        async with self._engine.connect(process) as session:
            yield _WithStoredEpoch(session, epoch)


class _AboveTheLast(_Delegate):
    """The log is read by its numbers, though they are given out in another order than that of the commits."""

    _last: int | None = None

    async def receive(self) -> Sequence[Message]:
        session: PostgresSession = self._session  # type: ignore[assignment]
        await session._reader.wait_readable(0.05)
        session._reader.take_notifications()
        if self._last is None:
            self._last = (await session._reader.fetch("select coalesce(max(id), 0) from reactive.log"))[0][0]
        query = (
            "select id, xid::text, scope, paths, audience, origin from reactive.log"
            " where id > %(last)s and paths is not null order by id"
        )
        rows = await session._reader.fetch(query, {"last": self._last})
        self._last = max([self._last or 0, *(row[0] for row in rows)])
        return [
            DeliveredEvent(ChangeEvent(scope, paths, origin, audience), int(xid))
            for _, xid, scope, paths, audience, origin in rows
        ]


def with_control(name: str, engine: Engine, url: str) -> Engine:
    """Return an engine that loses changes in a way that has a name; without a name, the engine itself."""
    if name == "":
        return engine
    return _CONTROLS[name](engine, url)


_CONTROLS: dict[str, Callable[[Engine, str], Engine]] = {
    "without log": lambda engine, url: _Changed(engine, _WithoutLog),
    "stored epoch": _StoringEpoch,
    "ids above the last": lambda engine, url: _Changed(engine, _AboveTheLast),
}
