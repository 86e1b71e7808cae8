"""A separate engine for each test, because the tests break it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..engines.servers import EngineServer, PostgresServer, RedisServer, postgres_binaries, redis_binary
from ..support import require


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    require(redis_binary(), "redis-server")
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[PostgresServer]:
    require(postgres_binaries(), "PostgreSQL's server")
    with PostgresServer(tmp_path) as server:
        yield server


@pytest.fixture(params=["redis", "postgres"])
def engine(request: pytest.FixtureRequest) -> EngineServer:
    server: EngineServer = request.getfixturevalue(request.param)
    return server
