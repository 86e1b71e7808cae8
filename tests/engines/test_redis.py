"""Redis as an engine: no loss of data, messages or connections goes unnoticed."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from redis import Redis

from starlette_reactive import ChangeEvent, ConnectionInfo, EmitTimeoutError, ReactiveBus, ReactiveError, Subscription
from starlette_reactive._bus.bus import hub_of
from starlette_reactive._engines.engine import LeaseLapsedError, Session
from starlette_reactive._engines.messages import (
    DeliveredEvent,
    EndUser,
    LevelReached,
    MemberChange,
    Message,
    Outgoing,
    RemoteMember,
)
from starlette_reactive._engines.redis import engine as redis_module
from starlette_reactive._engines.redis import scripts

from ..support import require
from .conftest import REDIS, Servers, World, level, soon
from .servers import RedisServer, redis_binary
from .test_conformance import take, take_until, users

ALL = frozenset({"*"})
ROOT = "starlette-reactive:1:0"
ENGINE = "starlette_reactive._engines.redis"
NAMES = [name for name in scripts.__all__ if name.isupper() and name != "SCRIPTS"]
ON_ASYNCIO = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@pytest.fixture
def world(servers: Servers) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(REDIS, servers[REDIS], stack)


@pytest.fixture
def server(world: World) -> RedisServer:
    assert isinstance(world.server, RedisServer)
    return world.server


@pytest.fixture
def client(server: RedisServer) -> Iterator[Any]:
    with Redis.from_url(server.url) as found:
        found.flushall()
        yield found


@asynccontextmanager
async def session(url: str, process: str | None = None) -> AsyncIterator[Session]:
    async with redis_module.engine(url).connect(process or secrets.token_hex(4)) as found:
        yield found


@contextlib.asynccontextmanager
async def received(session: Session) -> AsyncIterator[list[Message]]:
    """Receive in the background, and yield the list of messages."""
    messages: list[Message] = []

    async def receive() -> None:
        while True:
            messages.extend(await session.receive())

    receiving = asyncio.create_task(receive())
    try:
        yield messages
    finally:
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)


async def paths(subscription: Subscription, *expected: str) -> set[str]:
    return {path for event in await take_until(subscription, *expected) for path in event.changed_paths}


# Loss of data


async def test_after_flushall_everything_is_rendered(world: World, client: Any) -> None:
    here, there = world.impatient_process(), world.impatient_process()
    await level(here, there)
    with there.subscribe(world.scope, connection=ConnectionInfo("1", "ann")) as theirs, here.subscribe(world.scope):
        await here.ready(world.scope)
        await there.ready(world.scope)
        for _ in range(2):
            cursor = await here.cursor_now(world.scope)
            connections = here.health().connections
            client.flushall()
            await take_until(theirs, "*")
            await soon(functools.partial(reconnected, here, connections))
            await here.ready(world.scope)
            with here.subscribe(world.scope, after=cursor) as late:
                assert (await take(late)).changed_paths == ALL
        await soon(lambda: users(here, world.scope) == [("1", "ann")])
        await here.emit(ChangeEvent(world.scope, {"a"}))
        await take_until(theirs, "a")


def reconnected(bus: ReactiveBus, connections: int) -> bool:
    return bus.health().connected and bus.health().connections > connections


@pytest.mark.parametrize("key", ["root", "scopes"])
async def test_a_partial_loss_of_data_counts_as_a_loss(world: World, client: Any, key: str) -> None:
    here = world.impatient_process()
    await level(here)
    cursor = await here.cursor_now(world.scope)
    with here.subscribe(world.scope) as mine:
        await here.ready(world.scope)
        await here.emit(ChangeEvent(world.scope, {"a"}))
        await take_until(mine, "a")
        client.delete(f"{ROOT}:{key}")
        await take_until(mine, "*")
    await here.ready(world.scope)
    with here.subscribe(world.scope, after=cursor) as late:
        assert (await take(late)).changed_paths == ALL


async def test_changes_missing_from_a_restored_file_are_rendered(world: World, server: RedisServer) -> None:
    here, there = world.impatient_process(), world.impatient_process()
    await level(here, there)
    with there.subscribe(world.scope) as theirs:
        await there.ready(world.scope)
        await here.emit(ChangeEvent(world.scope, {"a"}))
        await take_until(theirs, "a")
        old = server.save()
        cursor = await here.cursor_now(world.scope)
        await here.emit(ChangeEvent(world.scope, {"b"}))
        server.kill()
        server.restore(old)
        server.start()
        await take_until(theirs, "*")
        await soon(lambda: here.health().connected)
        with here.subscribe(world.scope, after=cursor) as late:
            assert (await take(late)).changed_paths == ALL


async def test_a_scope_without_its_log_has_an_unknown_history(world: World, client: Any) -> None:
    here, there = world.process(), world.process()
    await level(here, there)
    cursor = await here.cursor_now(world.scope)
    await here.emit(ChangeEvent(world.scope, {"a"}))
    [log] = client.keys(f"{ROOT}:log:*:{world.scope}")
    client.delete(log)
    with there.subscribe(world.scope, after=cursor) as late:
        assert (await take(late)).changed_paths == ALL
    await here.emit(ChangeEvent(world.scope, {"b"}))
    third = world.process()
    await level(third)
    with third.subscribe(world.scope, after=cursor) as late:
        assert (await take(late)).changed_paths == ALL


async def test_a_scope_unchanged_for_a_day_is_forgotten_and_rendered_for_older_cursors(
    world: World, client: Any
) -> None:
    here, there = process_without_heartbeats(world), process_without_heartbeats(world)
    await level(here, there)
    before = await here.cursor_now(world.scope)
    await here.emit(ChangeEvent(world.scope, {"a"}))
    after = await here.cursor_now(world.scope)
    age(client, world.scope, seconds=86_000)
    for _ in range(200):
        await here.emit(ChangeEvent(f"{world.scope}-other", {"a"}))
    assert client.keys(f"{ROOT}:log:*:{world.scope}")
    day_old = int(before.partition("-")[2]) - 86_500_000_000
    age(client, world.scope, seconds=86_401)
    await emit_until(here, f"{world.scope}-other", lambda: not client.keys(f"{ROOT}:log:*:{world.scope}"))
    with there.subscribe(world.scope, after=f"{before.partition('-')[0]}-{day_old}") as late:
        assert (await take(late)).changed_paths == ALL
    with there.subscribe(world.scope, after=after) as late:
        await there.ready(world.scope)
        assert late.drain() == []


def process_without_heartbeats(world: World) -> ReactiveBus:
    """Return the bus of a process without a heartbeat during the test, which would forget old scopes."""
    return world.impatient_process(heartbeat=600.0, lease=1800.0)


async def emit_until(bus: ReactiveBus, scope: str, condition: Callable[[], bool]) -> None:
    """Emit until a condition holds: only some emits forget old scopes."""
    with anyio.fail_after(30):
        while not condition():
            await bus.emit(ChangeEvent(scope, {"a"}))


def age(client: Any, scope: str, *, seconds: int) -> None:
    client.zadd(f"{ROOT}:scopes", {scope: int((time.time() - seconds) * 1e6)}, xx=True)


async def test_the_oldest_scopes_are_forgotten_when_there_are_too_many(
    world: World, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripts, "_PREAMBLE", scripts._PREAMBLE.replace("- 1 - 100000", "- 1 - 3"))
    names = {name: scripts.Script(getattr(scripts, name).body) for name in NAMES}
    monkeypatch.setattr(scripts, "SCRIPTS", tuple(names.values()))
    for name, script in names.items():
        monkeypatch.setattr(scripts, name, script)
    here = process_without_heartbeats(world)
    await level(here)
    cursors = []
    for number in range(10):
        cursors.append(await here.cursor_now(world.scope))
        if number == 9:
            await emit_until(here, f"{world.scope}-8", lambda: client.zcard(f"{ROOT}:scopes") <= 4)
            assert len(client.keys(f"{ROOT}:log:*")) <= 3
        await here.emit(ChangeEvent(f"{world.scope}-{number}", {"a"}))
    there = process_without_heartbeats(world)
    await level(there)
    for number, after, expected in ((0, 0, ALL), (9, 0, ALL), (9, 9, {"a"})):
        with there.subscribe(f"{world.scope}-{number}", after=cursors[after]) as late:
            assert (await take(late)).changed_paths == expected


async def test_a_clock_that_is_set_back_changes_nothing(world: World, client: Any) -> None:
    here, there = world.process(), world.process()
    await level(here, there)
    client.hset(f"{ROOT}:root", "last", int((time.time() + 3600) * 1e6))  # as if the clock had been an hour ahead
    with there.subscribe(world.scope) as theirs:
        await there.ready(world.scope)
        for number in range(5):
            cursor = await here.cursor_now(world.scope)
            await here.emit(ChangeEvent(world.scope, {f"p{number}"}))
            assert await paths(theirs, f"p{number}") == {f"p{number}"}
            with there.subscribe(world.scope, after=cursor) as late:
                assert (await take(late)).changed_paths == {f"p{number}"}
            with there.subscribe(world.scope, after=await there.cursor_now(world.scope)) as late:
                assert late.drain() == []


async def test_every_key_expires_and_logs_are_bounded(world: World, client: Any) -> None:
    here = world.process()
    await level(here)
    with here.subscribe(world.scope, connection=ConnectionInfo("1", "ann")) as mine:
        await here.ready(world.scope)
        here.close_user("nobody")
        for number in range(600):
            await here.emit(ChangeEvent(world.scope, {f"p{number}"}))
        await here.emit(ChangeEvent(world.scope, {f"q{number}" for number in range(2000)}))
        await take_until(mine, "q1999")
        [log] = client.keys(f"{ROOT}:log:*:{world.scope}")
        assert 150 < client.hlen(log) <= 257
        kinds = {key.decode().split(":")[3] for key in client.keys(f"{ROOT}:*")}
        assert kinds == {"root", "scopes", "log", "who", "of", "lease", "processes", "ended"}
        assert [key for key in client.keys(f"{ROOT}:*") if client.ttl(key) < 0] == []


# Failures of connections


@pytest.mark.parametrize("kind", ["pubsub", "normal"])
async def test_a_killed_connection_loses_nothing(world: World, server: RedisServer, kind: str) -> None:
    here, there = world.impatient_process(), world.impatient_process()
    await level(here, there)
    with there.subscribe(world.scope) as theirs:
        await there.ready(world.scope)
        expected = []
        for number in range(60):
            expected.append(f"p{number}")
            here.emit_sync(ChangeEvent(world.scope, {f"p{number}"}))
            if number % 15 == 7:
                server.command("CLIENT", "KILL", "TYPE", kind)
            await anyio.sleep(0.005)
        assert await paths(theirs, *expected) == set(expected)
        assert there.health().connections > 1


async def test_a_slow_reader_that_redis_disconnects_loses_nothing(world: World, server: RedisServer) -> None:
    here, there = world.impatient_process(), world.impatient_process()
    await level(here, there)
    with there.subscribe(world.scope) as theirs:
        await there.ready(world.scope)
        server.command("CONFIG", "SET", "client-output-buffer-limit", "pubsub 4kb 4kb 1")
        try:
            await here.emit(ChangeEvent(world.scope, {f"long.path{'x' * 200}.n{number}" for number in range(250)}))
            await soon(lambda: there.health().connections > 1)
        finally:
            server.command("CONFIG", "SET", "client-output-buffer-limit", "pubsub 32mb 8mb 60")
        await here.emit(ChangeEvent(world.scope, {"last"}))
        await take_until(theirs, f"long.path{'x' * 200}.n249", "last")


async def test_flushed_scripts_are_loaded_again_in_the_same_session(world: World, server: RedisServer) -> None:
    here = world.process()
    await level(here)
    with here.subscribe(world.scope) as mine:
        await here.ready(world.scope)
        server.command("SCRIPT", "FLUSH")
        await here.emit(ChangeEvent(world.scope, {"a"}))
        await take_until(mine, "a")
    assert here.health().connections == 1


async def test_a_server_that_became_a_replica_accepts_no_events(world: World, server: RedisServer) -> None:
    here = world.impatient_process(patience=0.5)
    await level(here)
    with here.subscribe(world.scope) as mine:
        await here.ready(world.scope)
        server.command("REPLICAOF", "127.0.0.1", "1")
        try:
            with pytest.raises(EmitTimeoutError):
                await here.emit(ChangeEvent(world.scope, {"a"}))
            assert "read only" in (here.health().last_error or "")
        finally:
            server.command("REPLICAOF", "NO", "ONE")
        await take_until(mine, "a")


async def test_a_process_needs_two_connections_for_any_number_of_scopes(world: World, client: Any) -> None:
    before = len(client.client_list())
    here = world.process()
    await level(here)
    with ExitStack() as stack:
        scopes = [f"{world.scope}-{number}" for number in range(1000)]
        for scope in scopes:
            stack.enter_context(here.subscribe(scope))
        for scope in scopes:
            await here.ready(scope)
        assert len(client.client_list()) == before + 2


async def test_prefixes_and_databases_are_separate(world: World, server: RedisServer) -> None:
    url = server.url.removesuffix("/0")
    buses = [
        world._started(ReactiveBus.from_url(f"{url}/{place}"))
        for place in ("0", "1", "0?prefix=shop", "0?prefix=shop&retry_on_timeout=true&protocol=3&socket_timeout=0.1")
    ]
    await level(*buses)
    with ExitStack() as stack:
        connection = ConnectionInfo("1")
        mine = [stack.enter_context(bus.subscribe(world.scope, connection=connection)) for bus in buses]
        for bus in buses:
            await bus.ready(world.scope)
        for number, bus in enumerate(buses):
            await bus.emit(ChangeEvent(world.scope, {f"p{number}"}))
        assert await paths(mine[0], "p0") == {"p0"}
        assert await paths(mine[1], "p1") == {"p1"}
        for subscription in mine[2:]:
            assert await paths(subscription, "p2", "p3") == {"p2", "p3"}


async def test_a_unix_socket_works(world: World, tmp_path: Path) -> None:
    require(redis_binary(), "redis-server")
    with tempfile.TemporaryDirectory(prefix="r-") as place:
        path = f"{place}/socket"
        with RedisServer(tmp_path, settings=("--unixsocket", path)):
            here = world._started(ReactiveBus.from_url(f"unix://{path}?db=2"))
            await level(here)
            with here.subscribe(world.scope) as mine:
                await here.ready(world.scope)
                await here.emit(ChangeEvent(world.scope, {"a"}))
                await take_until(mine, "a")
            here.stop()


def test_an_invalid_url_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the URL of Redis is invalid: check its host, port and options"):
        ReactiveBus.from_url("redis://localhost/0?max_connections=many")


@pytest.mark.parametrize("scheme", ["redis+socket", "redis+sentinel", "rediss+cluster", "REDIS+tls"])
def test_a_url_of_another_package_is_refused_with_what_to_write(scheme: str) -> None:
    message = (
        rf"{re.escape(scheme.lower())}:// URLs, as other packages have: use redis://host:port/0, rediss:// for TLS"
    )
    with pytest.raises(ValueError, match=message):
        ReactiveBus.from_url(f"{scheme}://user:secret@host/0")


def test_without_the_driver_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if f"{name}.".startswith(("redis.", f"{ENGINE}."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ReactiveError, match=r"install starlette-reactive\[redis\]"):
        ReactiveBus.from_url("redis://localhost")


# Sessions


@ON_ASYNCIO
async def test_no_event_below_a_reached_level_arrives_later(world: World) -> None:
    """After a level has been reached, no event with a stamp up to it arrives in any scope."""
    scopes = [f"{world.scope}-{number}" for number in range(20)]
    levels: list[int] = []

    async def write() -> None:
        async with session(world.url) as sender:
            for number in range(100):
                await sender.send(Outgoing(events=[ChangeEvent(scope, {f"p{number}"}) for scope in scopes[::3]]))

    async with session(world.url) as mine, received(mine) as messages, asyncio.TaskGroup() as tasks:
        await mine.enroll(())
        writers = [tasks.create_task(write()) for _ in range(2)]
        known_after: dict[str, tuple[int, int]] = {}
        while not all(writer.done() for writer in writers):
            await mine.renew_lease(5)
            found = await mine.attach(dict.fromkeys(scopes, 1))
            known_after |= {scope: (len(messages), history.level) for scope, (history, _) in found.items()}
            levels.append(await mine.current_stamp())
            for scope, (number, known) in known_after.items():
                later = [
                    each for each in messages[number:] if isinstance(each, DeliveredEvent) and each.event.scope == scope
                ]
                assert all(each.stamp > known for each in later)
        await mine.attach({scopes[0]: 1})
    arrived = [each for each in messages if isinstance(each, DeliveredEvent)]
    assert [each.stamp for each in arrived] == sorted({each.stamp for each in arrived})
    assert levels == sorted(levels)
    for place, message in enumerate(messages):
        if isinstance(message, LevelReached):
            assert all(each.stamp > message.level for each in messages[place:] if isinstance(each, DeliveredEvent))


@ON_ASYNCIO
async def test_histories_omit_what_is_known(world: World) -> None:
    async with session(world.url) as mine, received(mine):
        before = await mine.current_stamp()
        await mine.send(Outgoing(events=[ChangeEvent(world.scope, {"a"}), ChangeEvent(world.scope, {"a"}, "tab")]))
        after = await mine.current_stamp()
        for known, number in ((None, 1), (before, 1), (after, 0)):
            history, _ = (await mine.attach({world.scope: known}))[world.scope]
            assert len(history.records) == number
            assert history.floor <= before < after <= history.level
        [record] = (await mine.attach({world.scope: None}))[world.scope][0].records
        assert (record.path, record.audience, record.origin) == ("a", None, "tab")
        assert before < record.other_stamp < record.stamp < after


@ON_ASYNCIO
async def test_requests_to_end_users_reach_a_process_that_was_disconnected(world: World) -> None:
    engine = redis_module.engine(world.url)

    async def ended(process: str) -> list[Message]:
        async with engine.connect(process) as found:
            return [each for each in await found.receive() if isinstance(each, EndUser)]

    name = secrets.token_hex(4)
    assert await ended(name) == []
    async with session(world.url, "other") as other:
        await other.enroll(())
        await other.send(Outgoing(ended_users=[(name, None), (f"{name}2", "scope")]))
    assert await ended("new") == []
    async with engine.connect(name):
        pass  # the session ends before it returns anything
    assert await ended(name) == [EndUser("other", name, None), EndUser("other", f"{name}2", "scope")]
    assert await ended(name) == []


@ON_ASYNCIO
async def test_enrolling_shows_exactly_the_given_members(world: World, client: Any) -> None:
    ann, bob = RemoteMember("1", "ann", 17.0), RemoteMember("2", None, 18.5)
    name = secrets.token_hex(4)
    async with session(world.url) as other, received(other) as messages:
        async with session(world.url, name) as mine:
            await mine.enroll([(world.scope, "1", ann), (world.scope, "2", bob)])
            _, roster = (await other.attach({world.scope: None}))[world.scope]
            assert roster == {name: {"1": ann, "2": bob}}
            assert [key for key in client.keys(f"{ROOT}:*") if client.ttl(key) < 0] == []
        async with session(world.url, name) as mine:
            await mine.enroll([(world.scope, "2", bob)])
            _, roster = (await other.attach({world.scope: None}))[world.scope]
            assert roster == {name: {"2": bob}}
            assert MemberChange(world.scope, name, "1", None) in messages


@ON_ASYNCIO
async def test_a_superseded_session_can_no_longer_write(world: World) -> None:
    name = secrets.token_hex(4)
    async with session(world.url, name) as old, session(world.url, name) as new:
        await old.enroll(())
        await old.renew_lease(5)
        await new.enroll(())
        for write in (
            old.renew_lease(5),
            old.send(Outgoing(members=[(world.scope, "1", RemoteMember("1", None, 0.0))])),
        ):
            with pytest.raises(LeaseLapsedError):
                await write
        await new.renew_lease(5)


async def test_a_process_that_was_taken_for_dead_enrolls_its_members_again(world: World, client: Any) -> None:
    here, there = world.impatient_process(), world.impatient_process()
    await level(here, there)
    with here.subscribe(world.scope, connection=ConnectionInfo("1", "ann")), there.subscribe(world.scope):
        await there.ready(world.scope)
        await soon(lambda: users(there, world.scope) == [("1", "ann")])
        link = hub_of(here).link
        assert link is not None
        client.delete(f"{ROOT}:lease:{link.relay._process}")  # type: ignore[attr-defined]
        await soon(lambda: here.health().connections == 2)
        await soon(lambda: users(there, world.scope) == [("1", "ann")])


@ON_ASYNCIO
async def test_the_members_of_a_dead_process_are_deleted(world: World, client: Any) -> None:
    name = secrets.token_hex(4)
    async with session(world.url, name) as dead:
        await dead.enroll(
            [(f"{world.scope}-{number}", str(number), RemoteMember("1", None, 0.0)) for number in range(250)]
        )
    assert client.keys(f"{ROOT}:who:{world.scope}-*")
    client.delete(f"{ROOT}:lease:{name}")
    client.zadd(f"{ROOT}:processes", {name: int((time.time() - 61) * 1000)})
    async with session(world.url) as other:
        await other.enroll(())
        for _ in range(3):
            await other.renew_lease(5)
    assert not client.keys(f"{ROOT}:who:{world.scope}-*")
    assert client.zscore(f"{ROOT}:processes", name) is None


@ON_ASYNCIO
async def test_renewing_the_lease_renews_the_expiry_of_members(world: World, client: Any) -> None:
    async with session(world.url) as mine:
        await mine.enroll(
            [(f"{world.scope}-{number}", str(number), RemoteMember("1", None, 0.0)) for number in range(300)]
        )
        keys = client.keys(f"{ROOT}:who:{world.scope}-*")
        for key in keys:
            client.expire(key, 1000)
        await mine.renew_lease(5)
        await mine.renew_lease(5)
        assert {client.ttl(key) > 80_000 for key in keys} == {True}
