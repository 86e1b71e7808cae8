"""The servers for other tests: a killed one restarts with the expected data, and none leaves anything behind."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from ..support import require
from .servers import EngineServer, PostgresServer, RedisServer, postgres_binaries, redis_binary


@pytest.fixture(params=["redis", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineServer]:
    if request.param == "redis":
        require(redis_binary(), "redis-server")
        made: EngineServer = RedisServer(tmp_path)
    else:
        require(postgres_binaries(), "PostgreSQL's server")
        made = PostgresServer(tmp_path)
    with made:
        yield made


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    require(redis_binary(), "redis-server")
    with RedisServer(tmp_path) as made:
        yield made


def test_a_killed_server_restarts_on_its_port(server: EngineServer) -> None:
    port = server.port
    processes = server._processes()
    server.kill()
    assert not server.answers()
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)
    server.start()
    assert server.port == port
    assert server.answers()


def test_a_frozen_server_accepts_connections_but_does_not_answer(server: EngineServer) -> None:
    server.freeze()
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.3) as connection:
        connection.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            connection.recv(1)
    server.thaw()
    assert server.answers()


def test_a_frozen_server_can_be_closed_and_leaves_no_process(server: EngineServer) -> None:
    processes = server._processes()
    server.freeze()
    server.close()
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


def test_redis_loses_its_data_when_killed_and_reads_a_restored_file(redis: RedisServer) -> None:
    redis.command("SET", "name", "old")
    file = redis.save()
    redis.command("SET", "name", "new")
    redis.kill()
    redis.restore(file)
    redis.start()
    assert b"old" in redis.command("GET", "name")
