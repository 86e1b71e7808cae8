"""What an emit within a transaction costs whoever commits: PostgreSQL's own pgbench commits on eight connections."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

from starlette_reactive import ReactiveBus
from starlette_reactive._engines.postgres.schema import DDL
from tests.engines.servers import PostgresServer, postgres_binaries

from ..figures import Experiment, Rounds, comparison
from ..machine import CORES, pin
from . import Settings

__all__ = ["CONNECTIONS", "commits", "commits_a_second", "server_that_loses_nothing"]

CONNECTIONS = 8
PLAIN = "a row alone"
LOGGED = "with rx_emit, its table logged"
_TRANSACTION = "begin;\ninsert into task (title) values ('paint the fence');\n{}\ncommit;\n"
_EMIT = _TRANSACTION.format("select reactive.rx_emit('board:' || :client_id, '{tasks}');")
_SCRIPTS = {
    PLAIN: _TRANSACTION.format("select 1;"),
    "with rx_emit": _EMIT,
    LOGGED: _EMIT,
    "with NOTIFY": _TRANSACTION.format("select pg_notify('own', 'board:' || :client_id);"),
}
_DURABLE = {"fsync": "on", "shared_buffers": "128MB", "max_wal_size": "1GB"}


def commits(settings: Settings) -> Experiment:
    """Commits a second on eight connections, with and without an event in the transaction."""
    rounds, seconds = settings.pick(10, 2), settings.pick(5, 1)
    found: Rounds = {name: [] for name in _SCRIPTS}
    with server_that_loses_nothing() as server:
        for _ in range(rounds):
            for name, script in _SCRIPTS.items():
                if name == LOGGED:
                    _set_log(server, "logged")
                found[name].append(commits_a_second(server, script, seconds))
            _set_log(server, "unlogged")
    table = comparison(f"commits on {CONNECTIONS} connections", found, "commits/s", PLAIN)
    return Experiment("commits", [table], [], {"commits_a_second": found})


@contextlib.contextmanager
def server_that_loses_nothing() -> Iterator[PostgresServer]:
    """Run a server that loses nothing, with a bus that listens, on all cores."""
    before = os.sched_getaffinity(0)
    pin(*CORES)
    with contextlib.ExitStack() as stack:
        stack.callback(pin, *before)
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-"))
        server = stack.enter_context(PostgresServer(Path(directory), settings=_DURABLE))
        listener = stack.enter_context(psycopg.connect(server.url, autocommit=True))
        listener.execute(DDL)
        listener.execute("create table task (id bigserial primary key, title text)")
        listener.execute("listen own")
        bus = ReactiveBus.from_url(server.url)
        stack.callback(bus.stop)
        stack.enter_context(bus.subscribe("board:0"))
        yield server


def _set_log(server: PostgresServer, persistence: str) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"alter table reactive.log set {persistence}".encode())


def commits_a_second(server: PostgresServer, script: str, seconds: int) -> float:
    """Run a script of pgbench on all connections, and return its transactions a second."""
    binaries = postgres_binaries()
    assert binaries is not None, "PostgreSQL is not installed"
    command = [str(binaries / "pgbench"), "--no-vacuum", "-c", str(CONNECTIONS), "-j", "2", "-T", str(seconds)]
    told = subprocess.run(
        [*command, "-f", "-", server.url], check=True, capture_output=True, text=True, input=script
    ).stdout
    match = re.search(r"^tps = ([\d.]+)", told, re.MULTILINE)
    assert match is not None, told
    return float(match[1])
