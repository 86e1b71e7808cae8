"""The bus on Redis and on PostgreSQL: from an emit in one process to a browser at another, and very many scopes.

Each engine is a server of its own. What is measured is taken in turns with what the engine's plain publish and
subscribe take between two processes, so that what else the machine does falls on both.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import psycopg
from redis import Redis

from starlette_reactive import ReactiveBus
from starlette_reactive._bus.subscription import Subscription
from starlette_reactive._engines import Publisher
from tests.engines.servers import EngineServer, PostgresServer, RedisServer

from ..content import SharedNumber
from ..figures import Experiment, Goal, Rounds, Table, figure, ratio
from ..load import serving
from ..machine import CORES, pin
from . import Settings

__all__ = ["postgres", "postgres_scopes", "redis", "redis_scopes"]

PAUSE = 0.03
"""Seconds between two messages; a group gathers changes for 20 ms."""
_ROOT = Path(__file__).parents[2]

Send = Callable[[int], None]


class _Receiver:
    """A process that receives, and tells when each message came."""

    def __init__(self, source: str, **options: Any) -> None:
        told = json.dumps({"source": source, "cores": CORES, **options})
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.receive", told], cwd=_ROOT, stdout=subprocess.PIPE, text=True
        )
        self._came: queue.SimpleQueue[tuple[int, float]] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            number, _, seconds = line.partition(" ")
            self._came.put((int(number), float(seconds)))

    def wait_for(self, number: int, timeout: float = 60) -> float:
        """Return when a message came, or a newer one.

        Raises:
            queue.Empty: It did not in time.
        """
        while True:
            found, seconds = self._came.get(timeout=timeout)
            if found >= number:
                return seconds

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class _Way:
    """One way for a message: what sends it, and who receives it."""

    def __init__(self, send: Send, receiver: _Receiver) -> None:
        self._send = send
        self._receiver = receiver
        self._number = 0

    def microseconds(self) -> float:
        """Send a message and return how long it took to arrive."""
        self._number += 1
        started = time.perf_counter()
        self._send(self._number)
        taken = self._receiver.wait_for(self._number) - started
        time.sleep(PAUSE)
        return taken * 1e6

    def warm_up(self) -> None:
        """Send until what is sent arrives, for the receiver may be about to connect; and then a little more."""
        while True:
            self._number += 1
            self._send(self._number)
            with contextlib.suppress(queue.Empty):
                self._receiver.wait_for(self._number, timeout=1)
                break
        for _ in range(20):
            self.microseconds()


def redis(settings: Settings) -> Experiment:
    """From an emit to another process's browser, on Redis."""
    with _server(RedisServer) as server, Redis.from_url(server.url) as client:
        return _latency(settings, server, "redis", lambda number: client.publish("raw", _stamp(number)))


def postgres(settings: Settings) -> Experiment:
    """From an emit to another process's browser, on PostgreSQL."""
    with _server(PostgresServer) as server, psycopg.connect(server.url, autocommit=True) as client:
        notify = "SELECT pg_notify('raw', %s)"
        return _latency(settings, server, "postgres", lambda number: client.execute(notify, (_stamp(number),)))


@contextlib.contextmanager
def _server(kind: Callable[[Path], EngineServer]) -> Iterator[EngineServer]:
    """Run an engine on any core, as the receivers do, while the others have theirs."""
    before = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as directory:
        pin(*CORES)
        with kind(Path(directory)) as server:
            pin(*before)
            yield server


def _stamp(number: int) -> str:
    return f"N{number:06d}N"


def _latency(settings: Settings, server: EngineServer, name: str, send: Callable[[int], object]) -> Experiment:
    with _ways(server, name, send) as ways:
        for way in ways.values():
            way.warm_up()
        found: Rounds = {label: [] for label in ways}
        for _ in range(settings.pick(20, 5)):
            taken: Rounds = {label: [] for label in ways}
            for _ in range(settings.pick(50, 20)):
                for label, way in ways.items():
                    taken[label].append(way.microseconds())
            for label, values in taken.items():
                found[label].append(figure(values).median)
    rows = [[label, str(figure(values)), str(ratio(values, found["raw"]))] for label, values in found.items()]
    table = Table(f"{name}: from one process to another", ["", "µs", "x raw"], rows)
    goal = Goal(f"{name}: emit to another process's browser, x raw", 2.5, ratio(found["browser"], found["raw"]))
    return Experiment(f"engine_{name}", [table], [goal], {"us": found})


@contextlib.contextmanager
def _ways(server: EngineServer, name: str, send: Callable[[int], object]) -> Iterator[dict[str, _Way]]:
    with contextlib.ExitStack() as stack:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-"))) / "number"
        data = SharedNumber.create(path)
        worker, _ = stack.enter_context(serving("reactive-engine", engine=server.url, data=str(path)))
        publisher = stack.enter_context(Publisher.from_url(server.url))

        def change(number: int) -> None:
            data.write(number)
            publisher.emit("board", "list0")

        receivers = {"raw": _Receiver(name, url=server.url), "browser": _Receiver("browser", port=worker.port)}
        for receiver in receivers.values():
            stack.callback(receiver.stop)
        yield {"raw": _Way(send, receivers["raw"]), "browser": _Way(change, receivers["browser"])}


# Very many scopes


def redis_scopes(settings: Settings) -> Experiment:
    """Very many scopes of one process, on Redis."""
    with _server(RedisServer) as server, Redis.from_url(server.url) as client:

        def connections() -> int:
            return len(client.client_list()) - 1

        def memory() -> int:
            return int(client.info("memory")["used_memory"])

        return _scopes(settings, server, "redis", connections, memory)


def postgres_scopes(settings: Settings) -> Experiment:
    """Very many scopes of one process, on PostgreSQL."""
    with _server(PostgresServer) as server, psycopg.connect(server.url, autocommit=True) as client:
        count = (
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )

        def connections() -> int:
            found = client.execute(count).fetchone()
            return 0 if found is None else int(found[0])

        return _scopes(settings, server, "postgres", connections, None)


def _scopes(
    settings: Settings,
    server: EngineServer,
    name: str,
    connections: Callable[[], int],
    memory: Callable[[], int] | None,
) -> Experiment:
    count = settings.pick(10_000, 2_000)
    found = _subscribe(server.url, count, connections, memory)
    rows = [
        ["scopes", str(count)],
        ["connections to the engine", f"{found['connections']:.0f}"],
        ["seconds until all are subscribed and level", f"{found['seconds']:.2f}"],
        ["µs from an emit to the bus", str(figure(found["us"]))],
    ]
    if memory is not None:
        rows.append(["bytes in the engine for each scope", f"{found['bytes']:.0f}"])
    goal = Goal(f"{name}: connections for {count} scopes", 2, figure([found["connections"]]))
    table = Table(f"{name}: many scopes of one process", ["", ""], rows)
    return Experiment(f"engine_scopes_{name}", [table], [goal], {"scopes": count, **found})


def _subscribe(
    url: str, count: int, connections: Callable[[], int], memory: Callable[[], int] | None
) -> dict[str, Any]:
    bus = ReactiveBus.from_url(url)
    try:
        kept = anyio.run(_subscribed, bus, ["warm"])
        before = 0 if memory is None else memory()
        scopes = [f"board:{number}" for number in range(count)]
        started = time.perf_counter()
        kept += anyio.run(_subscribed, bus, scopes)
        taken = time.perf_counter() - started
        found: dict[str, Any] = {"seconds": taken, "connections": float(connections())}
        if memory is not None:
            found["bytes"] = (memory() - before) / count
        found["us"] = _deliveries(bus, url, scopes[:: count // 100])
        return found
    finally:
        bus.stop()


async def _subscribed(bus: ReactiveBus, scopes: list[str]) -> list[Subscription]:
    subscriptions = [bus.subscribe(scope) for scope in scopes]
    for scope in scopes:
        await bus.ready(scope)
    return subscriptions


def _deliveries(bus: ReactiveBus, url: str, scopes: list[str]) -> list[float]:
    """Return for each scope the microseconds from an emit through a publisher to the bus."""
    arrived: queue.SimpleQueue[tuple[str, float]] = queue.SimpleQueue()
    end = bus.observe(lambda event: arrived.put((event.scope, time.perf_counter())))
    taken = []
    with Publisher.from_url(url) as publisher:
        for scope in scopes:
            started = time.perf_counter()
            publisher.emit(scope, "tasks")
            found = ""
            while found != scope:  # a change may be told twice
                found, at = arrived.get(timeout=10)
            taken.append((at - started) * 1e6)
    end()
    return taken[1:]  # the first one connects
