"""What happens to engines, workers and what lies between them, while changes are made."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import psycopg

from ..engines.servers import PostgresServer, RedisServer
from .pages import LATE_PATH, PostgresStore

if TYPE_CHECKING:
    from .harness import Fleet

Fault = Callable[["Fleet", random.Random], Awaitable[None]]


def _outage(fleet: Fleet, chance: random.Random) -> float:
    """Draw for how many seconds something fails: mostly briefly, at times for long."""
    return chance.uniform(0.1, 1.2) if chance.random() < 0.8 else chance.uniform(1.2, fleet.longest_outage)


async def engine_killed(fleet: Fleet, chance: random.Random) -> None:
    """Kill -9 of the engine, which comes back after a while."""
    await asyncio.to_thread(fleet.engine.kill)
    await asyncio.sleep(_outage(fleet, chance))
    await asyncio.to_thread(fleet.engine.start)


async def engine_frozen(fleet: Fleet, chance: random.Random) -> None:
    """SIGSTOP of all the engine's processes."""
    await asyncio.to_thread(fleet.engine.freeze)
    await asyncio.sleep(_outage(fleet, chance))
    await asyncio.to_thread(fleet.engine.thaw)


async def worker_killed(fleet: Fleet, chance: random.Random) -> None:
    """Kill -9 of one of the workers."""
    worker = chance.choice(fleet.workers)
    fleet.repeat_later(worker.kill())
    await asyncio.sleep(chance.uniform(0, 0.5))
    await worker.start()


async def path_frozen_and_healed(fleet: Fleet, chance: random.Random) -> None:
    """One worker's path to the engine passes nothing on for a while, and then all that was held back."""
    wire = chance.choice(fleet.workers).wire
    wire.freeze()
    await asyncio.sleep(_outage(fleet, chance))
    wire.heal()


async def path_frozen_and_cut(fleet: Fleet, chance: random.Random) -> None:
    """The same, and then its connections are reset."""
    wire = chance.choice(fleet.workers).wire
    wire.freeze()
    await asyncio.sleep(_outage(fleet, chance))
    wire.cut()
    wire.heal()


async def path_lost(fleet: Fleet, chance: random.Random) -> None:
    """One worker's connections swallow everything and are never closed, as after a forgotten NAT entry."""
    chance.choice(fleet.workers).wire.lose()


# Redis


def _redis(fleet: Fleet) -> RedisServer:
    assert isinstance(fleet.engine, RedisServer)
    return fleet.engine


async def clients_killed(fleet: Fleet, chance: random.Random) -> None:
    """CLIENT KILL of every connection, several times."""
    redis = _redis(fleet)
    for _ in range(chance.randint(1, 4)):
        for kind in ("pubsub", "normal"):
            await asyncio.to_thread(redis.command, "CLIENT", "KILL", "TYPE", kind)
        await asyncio.sleep(chance.uniform(0, 0.3))


async def buffer_overflowed(fleet: Fleet, chance: random.Random) -> None:
    """A worker reads nothing until the engine closes its connection for having too much to send."""
    redis, worker = _redis(fleet), chance.choice(fleet.workers)
    await asyncio.to_thread(redis.command, "CONFIG", "SET", "client-output-buffer-limit", "pubsub 32kb 16kb 1")
    before = await asyncio.to_thread(_overflows, redis)
    worker.wire.freeze()
    for _ in range(100):
        await fleet.flood(fleet.scopes[0], 10)
        if await asyncio.to_thread(_overflows, redis) > before:
            fleet.counts["overflows"] += 1
            break
    await asyncio.sleep(chance.uniform(0, 0.5))
    worker.wire.heal()
    await asyncio.to_thread(redis.command, "CONFIG", "SET", "client-output-buffer-limit", "pubsub 32mb 8mb 60")


def _overflows(redis: RedisServer) -> int:
    return redis.log_path.read_text().count("overcoming of output buffer limits")


async def data_flushed(fleet: Fleet, chance: random.Random) -> None:
    """FLUSHALL while a worker's path is cut, so that it comes back to an engine that knows nothing."""
    wire = chance.choice(fleet.workers).wire
    if chance.random() < 0.5:
        wire.freeze()
    await asyncio.sleep(chance.uniform(0, 0.5))
    await asyncio.to_thread(_redis(fleet).command, "FLUSHALL")
    await asyncio.sleep(chance.uniform(0, 0.3))
    wire.cut()
    wire.heal()


async def old_file_restored(fleet: Fleet, chance: random.Random) -> None:
    """The engine is killed, and comes back with what it held a while ago; one worker has missed what came between."""
    redis, wire = _redis(fleet), chance.choice(fleet.workers).wire
    old = await asyncio.to_thread(redis.save)
    wire.freeze()
    await asyncio.sleep(chance.uniform(0.3, 0.8))
    await asyncio.to_thread(redis.kill)
    wire.cut()
    wire.heal()
    redis.restore(old)
    await asyncio.sleep(_outage(fleet, chance))
    await asyncio.to_thread(redis.start)


# PostgreSQL


async def backends_terminated(fleet: Fleet, chance: random.Random) -> None:
    """``pg_terminate_backend`` of every connection of the buses, several times."""
    for _ in range(chance.randint(1, 4)):
        await asyncio.to_thread(_terminate, fleet.engine.url)
        await asyncio.sleep(chance.uniform(0, 0.3))


def _terminate(url: str) -> None:
    with psycopg.connect(url, autocommit=True, application_name="board") as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND application_name <> 'board'"
        )


async def transaction_open(fleet: Fleet, chance: random.Random) -> None:
    """A transaction changes something, tells of it, and commits long after others that began later."""
    seconds = fleet.transaction_seconds(chance)
    await asyncio.to_thread(_begin, fleet, chance.choice(fleet.ledgers), fleet.next_value())
    try:
        await asyncio.sleep(seconds)
    finally:
        await asyncio.to_thread(fleet.late.commit)
        fleet.late.close()


def _begin(fleet: Fleet, scope: str, value: int) -> None:
    fleet.late = psycopg.connect(fleet.engine.url, application_name="board")
    fleet.late.execute("SELECT reactive.rx_emit(%s, %s)", (scope, [LATE_PATH]))
    PostgresStore.put(fleet.late, scope, {LATE_PATH: value})


_OF_ANY_ENGINE = (
    engine_killed,
    engine_frozen,
    worker_killed,
    path_frozen_and_healed,
    path_frozen_and_cut,
    path_lost,
)
REDIS_FAULTS: dict[str, Fault] = {
    each.__name__: each
    for each in (*_OF_ANY_ENGINE, clients_killed, buffer_overflowed, data_flushed, old_file_restored)
}
POSTGRES_FAULTS: dict[str, Fault] = {
    each.__name__: each for each in (*_OF_ANY_ENGINE, backends_terminated, transaction_open)
}


def faults_of(engine: RedisServer | PostgresServer) -> dict[str, Fault]:
    """Return the faults that an engine can suffer, by name."""
    return REDIS_FAULTS if isinstance(engine, RedisServer) else POSTGRES_FAULTS
