"""The engines that a bus can run on, each with a private server, for the tests that hold on all of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from starlette_reactive import ReactiveBus
from starlette_reactive._bus.bus import hub_of
from starlette_reactive._engines import Bridge
from starlette_reactive._engines.urls import engine_from_url

from ..support import eventually, require
from .servers import EngineServer, PostgresServer, RedisServer, postgres_binaries, redis_binary

MEMORY, REDIS, POSTGRES = "memory", "redis", "postgresql"


@dataclass
class World:
    """Processes that share an engine. In memory there is only one, so all buses are the same one.

    Args:
        kind: The engine.
        server: Its server, if it has one.
        stack: Closed at the end of the test.
    """

    kind: str
    server: EngineServer | None
    stack: ExitStack
    scope: str = field(default_factory=lambda: f"scope-{secrets.token_hex(4)}")
    _bus: ReactiveBus | None = None

    @property
    def url(self) -> str:
        return "memory://" if self.server is None else self.server.url

    def process(self, **options: Any) -> ReactiveBus:
        """Return the bus of another process."""
        if self.server is not None:
            return self._started(ReactiveBus.from_url(self.url, **options))
        if self._bus is None or options:
            self._bus = self._started(ReactiveBus.from_url(self.url, **options))
        return self._bus

    def impatient_process(self, *, heartbeat: float = 0.1, lease: float = 1.0, patience: float = 20.0) -> ReactiveBus:
        """Return the bus of another process, with short timeouts."""
        relay = Bridge(engine_from_url(self.url), heartbeat=heartbeat, lease=lease, patience=patience)
        return self._started(ReactiveBus(relay=relay))

    def _started(self, bus: ReactiveBus) -> ReactiveBus:
        self.stack.callback(bus.stop)
        bus.start()
        return bus


async def soon(condition: Callable[[], object]) -> None:
    """Wait until a condition holds, with a timeout for a busy machine."""
    await eventually(condition, timeout=60)


async def level(*buses: ReactiveBus) -> None:
    """Wait until buses are connected and know the engine's level."""
    await soon(lambda: all(bus.health().connected for bus in buses))
    await soon(lambda: not any(hub_of(bus).latest_cursor().endswith("unknown") for bus in buses))


class Servers:
    """The running servers by engine. Each is started on first use."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._running: dict[str, EngineServer] = {}

    def __getitem__(self, kind: str) -> EngineServer:
        if kind not in self._running:
            self._running[kind] = self._stack.enter_context(self._new(kind))
        return self._running[kind]

    def _new(self, kind: str) -> EngineServer:
        if kind == REDIS:
            require(redis_binary(), "redis-server")
            return RedisServer(self._directory)
        require(postgres_binaries(), "PostgreSQL's server")
        return PostgresServer(self._directory)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(tmp_path_factory.mktemp("servers"), stack)


def _world(kind: str, servers: Servers) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(kind, None if kind == MEMORY else servers[kind], stack)


@pytest.fixture(params=[MEMORY, REDIS, POSTGRES])
def world(request: pytest.FixtureRequest, servers: Servers) -> Iterator[World]:
    """Processes on each engine, memory included."""
    yield from _world(request.param, servers)


@pytest.fixture(params=[REDIS, POSTGRES])
def shared(request: pytest.FixtureRequest, servers: Servers) -> Iterator[World]:
    """Processes on each engine that has a server."""
    yield from _world(request.param, servers)
