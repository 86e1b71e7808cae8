"""Servers of engines to attack."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from ..engines.conftest import POSTGRES, REDIS, Servers, World, servers
from ..engines.servers import PostgresServer, RedisServer

__all__ = ["postgres", "redis", "servers", "shared"]


@pytest.fixture
def redis(servers: Servers) -> RedisServer:
    server = servers[REDIS]
    assert isinstance(server, RedisServer)
    return server


@pytest.fixture
def postgres(servers: Servers) -> PostgresServer:
    server = servers[POSTGRES]
    assert isinstance(server, PostgresServer)
    return server


@pytest.fixture(params=[REDIS, POSTGRES])
def shared(request: pytest.FixtureRequest, servers: Servers) -> Iterator[World]:
    """Processes on each engine that has a server."""
    with contextlib.ExitStack() as stack:
        yield World(request.param, servers[request.param], stack)
