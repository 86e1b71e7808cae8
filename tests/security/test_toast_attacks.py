"""Attacks on toasts, through the engine. What an attacker would gain: HTML of their own in the pages of others, which
can run scripts there, or what was meant for others.

On PostgreSQL the attacker has a role that may only emit, or none in the schema. On Redis the attacker may publish.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
import psycopg
import pytest
from redis import Redis

from starlette_reactive import ConnectionInfo, EmitTimeoutError, ReactiveBus
from starlette_reactive._bus.bus import hub_of
from starlette_reactive._core.toasts import Toast
from starlette_reactive._engines.redis import codec

from ..engines.conftest import REDIS, World, level, soon
from ..engines.servers import PostgresServer, RedisServer
from .support import CONFIDENTIAL
from .test_engine_roles import admin, emitter, sql  # noqa: F401 - two are fixtures

ROOT = "starlette-reactive:1:0"
FORGED = "<script>attack()</script>"


@asynccontextmanager
async def shown(world: World) -> AsyncIterator[tuple[ReactiveBus, list[str]]]:
    """Yield a bus and what a viewer of the scope is shown. Check afterwards that its session has survived."""
    bus, texts = world.process(), list[str]()
    await level(bus)
    member = hub_of(bus).join(
        world.scope, ConnectionInfo("tab", "ann"), lambda _: None, None, lambda toast: texts.append(toast.html)
    )
    await bus.ready(world.scope)
    yield bus, texts
    member.leave()
    assert bus.health().connections == 1


async def is_shown_only(world: World, texts: list[str], *expected: str) -> None:
    """Check that a real toast arrives, and nothing before it but what is expected."""
    other = world.process()
    await level(other)
    await hub_of(other).toasts.send(Toast(world.scope, "toasts", "real"))
    await soon(lambda: "real" in texts)
    assert texts == [*expected, "real"]


@pytest.fixture
def attacker(redis: RedisServer) -> Iterator[Any]:
    with Redis.from_url(redis.url) as attacker:
        yield attacker


@pytest.fixture
def on_redis(redis: RedisServer) -> Iterator[World]:
    with contextlib.ExitStack() as stack:
        yield World(REDIS, redis, stack)


@pytest.fixture
def on_postgres(postgres: PostgresServer, emitter: str) -> Iterator[World]:  # noqa: F811 - the fixture
    with contextlib.ExitStack() as stack:
        yield World("postgresql", postgres, stack)


async def test_who_may_publish_on_redis_shows_nobody_html(on_redis: World, attacker: Any) -> None:
    async with shown(on_redis) as (bus, texts):
        birth = attacker.hget(f"{ROOT}:root", "birth").decode()
        body = json.dumps([on_redis.scope, "toasts", FORGED, None])
        now = int(attacker.hget(f"{ROOT}:root", "last"))
        forged = [f"t {birth} {body}", f"t {birth} {now} {body}", f"t {birth} {now}", f"t {birth} {2**63}", "t x 1"]
        for message in forged:
            assert attacker.publish(f"{ROOT}:scope:{on_redis.scope}", message) == 1
        await soon(lambda: bus.health().ignored == len(forged))
        await is_shown_only(on_redis, texts)


async def test_who_may_publish_on_redis_repeats_no_toast(on_redis: World, attacker: Any) -> None:
    async with shown(on_redis) as (bus, texts):
        with attacker.pubsub(ignore_subscribe_messages=True) as listening:
            channel = f"{ROOT}:scope:{on_redis.scope}"
            listening.subscribe(channel)
            assert listening.get_message(timeout=10) is None
            await hub_of(bus).toasts.send(Toast(on_redis.scope, "toasts", "once"))
            await soon(lambda: texts)
            message: Any = listening.get_message(timeout=10)
            assert b"once" not in message["data"]
            for _ in range(3):
                attacker.publish(channel, message["data"])
            await soon(lambda: bus.health().ignored == 3)
        await is_shown_only(on_redis, texts, "once")


async def test_whatever_a_key_of_a_toast_holds_ends_no_session(on_redis: World, attacker: Any) -> None:
    """An attacker who may write keys would disconnect each process at will."""
    async with shown(on_redis) as (bus, texts):
        birth, number = attacker.hget(f"{ROOT}:root", "birth").decode(), 0
        for value in (
            b"",
            b"7",
            b"[]",
            b"\xff",
            b"[" * 100_000,
            b'["s", "", "x", null]',
            b'["s", "t", "x", [{}]]',
            None,
        ):
            number += 1
            key = f"{ROOT}:toast:{number}"
            attacker.hset(key, "a", "b") if value is None else attacker.set(key, value)
            attacker.publish(f"{ROOT}:scope:{on_redis.scope}", f"t {birth} {number}")
        await soon(lambda: bus.health().ignored == number)
        await is_shown_only(on_redis, texts)


async def test_redis_keeps_a_toast_for_seconds_only(on_redis: World, attacker: Any) -> None:
    """Who may read keys later would read what people were told."""
    async with shown(on_redis) as (bus, texts):
        before = set(attacker.keys(f"{ROOT}:toast:*"))
        await hub_of(bus).toasts.send(Toast(on_redis.scope, "toasts", CONFIDENTIAL))
        await soon(lambda: texts)
        (key,) = set(attacker.keys(f"{ROOT}:toast:*")) - before
        assert codec.parse_toast(attacker.get(key)).html == CONFIDENTIAL
        assert 0 < attacker.ttl(key) <= 10


async def test_who_may_emit_on_postgresql_shows_nobody_html(on_postgres: World, emitter: str) -> None:  # noqa: F811
    async with shown(on_postgres) as (_, texts):
        script = ReactiveBus.from_url(emitter)
        with pytest.raises(EmitTimeoutError, match="permission denied for function rx_send"):
            await anyio.to_thread.run_sync(hub_of(script).toasts.send_sync, Toast(on_postgres.scope, "toasts", FORGED))
        await anyio.to_thread.run_sync(script.stop)
        facts = json.dumps({"key": "toast", "toast": {"target": "toasts", "html": FORGED, "audience": None}})
        with sql(emitter) as user:
            user.execute(
                "select reactive.rx_emit(%s, '{a}', %s), reactive.rx_wake(%s)", (on_postgres.scope, facts, facts)
            )
            user.execute("select pg_notify('reactive', %s)", (facts,))
        await is_shown_only(on_postgres, texts)


async def test_who_may_not_run_a_bus_on_postgresql_reads_no_toast(
    on_postgres: World,
    admin: psycopg.Connection[Any],  # noqa: F811 - the fixture
    emitter: str,  # noqa: F811 - as above
) -> None:
    async with shown(on_postgres) as (bus, texts):
        with sql(emitter) as user:
            user.execute("listen reactive")
            await hub_of(bus).toasts.send(Toast(on_postgres.scope, "toasts", CONFIDENTIAL))
            await soon(lambda: texts == [CONFIDENTIAL])
            for table in ("log", "members"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    user.execute(f"select * from reactive.{table}".encode())
            user.execute("select pg_notify('reactive', 'last')")
            heard = []
            for notification in user.notifies(timeout=30):
                heard.append(notification.payload)
                if notification.payload == "last":
                    break
        assert heard[-1] == "last"
        assert not any(CONFIDENTIAL in payload for payload in heard)
        assert admin.execute("select count(*) from reactive.members where key = 'toast'").fetchall() == [(0,)]
