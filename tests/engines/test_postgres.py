"""What holds only on PostgreSQL: transactions, the schema, privileges and poolers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio.to_thread
import psycopg
import pytest
import sqlalchemy

from starlette_reactive import ChangeEvent, ReactiveBus
from starlette_reactive._core.errors import ReactiveError
from starlette_reactive._engines.messages import (
    DeliveredEvent,
    EndUser,
    LevelReached,
    MemberChange,
    Message,
    Outgoing,
    RemoteMember,
)
from starlette_reactive._engines.postgres import session as session_module
from starlette_reactive._engines.postgres import waker as waker_module
from starlette_reactive._engines.postgres.connection import open_connection
from starlette_reactive._engines.postgres.engine import PostgresEngine
from starlette_reactive._engines.postgres.schema import DDL
from starlette_reactive._engines.postgres.session import PostgresSession
from starlette_reactive._log.replica import History
from starlette_reactive.engines import Publisher

from ..support import eventually, require
from .conftest import POSTGRES, Servers, World, level
from .servers import PgBouncer, PostgresServer, pgbouncer_binary, postgres_binaries

EVERYTHING = frozenset({"*"})


@pytest.fixture
def server(servers: Servers) -> PostgresServer:
    server = servers[POSTGRES]
    assert isinstance(server, PostgresServer)
    return server


@pytest.fixture
def url(server: PostgresServer) -> Iterator[str]:
    """The URL of a database without the schema."""
    for step in range(2):
        with sql(server.url) as user:
            user.execute("drop schema if exists reactive cascade")
        if step == 0:
            yield server.url


@pytest.fixture
def world(server: PostgresServer) -> Iterator[World]:
    with contextlib.ExitStack() as stack:
        yield World(POSTGRES, server, stack)


def sql(url: str, *, autocommit: bool = True) -> psycopg.Connection[Any]:
    return psycopg.connect(url, autocommit=autocommit)


def value(user: psycopg.Connection[Any], query: str) -> Any:
    row = user.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test that uses a session, which needs asyncio."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(bounded())


async def receive(session: PostgresSession, *, until: type[Message] = DeliveredEvent, number: int = 1) -> list[Message]:
    """Receive until ``number`` messages of a kind have arrived, and return them."""
    found: list[Message] = []
    while len(found) < number:
        found += [message for message in await session.receive() if isinstance(message, until)]
    return found


async def paths(session: PostgresSession, number: int) -> list[frozenset[str]]:
    return [
        each.event.changed_paths for each in await receive(session, number=number) if isinstance(each, DeliveredEvent)
    ]


async def quiet(session: PostgresSession) -> None:
    """Check that one reading returns nothing new."""
    (reached,) = await session.receive()
    assert isinstance(reached, LevelReached)


@contextlib.asynccontextmanager
async def attached(url: str, *scopes: str, process: str = "here") -> AsyncIterator[PostgresSession]:
    async with PostgresEngine(url).connect(process) as session:
        await session.attach(dict.fromkeys(scopes))
        yield session


async def history(session: PostgresSession, scope: str = "s", since: int | None = None) -> History:
    return (await session.attach({scope: since}))[scope][0]


def age(user: psycopg.Connection[Any]) -> None:
    """Pretend that the rows of the log could be read for a minute."""
    user.execute("update reactive.life set seen_at = seen_at - interval '1 min'")


def trim(user: psycopg.Connection[Any], *, keep: str = "10 min", most: int = 100_000) -> int:
    """Trim until nothing is left to trim, and return the number of deleted rows."""
    trimmed = 0
    while found := user.execute("select reactive.rx_trim(%s::interval, %s, 50)", (keep, most)).fetchone()[0]:  # type: ignore[index]
        trimmed += found
    return trimmed


# Transactions


def test_an_event_is_delivered_if_and_only_if_its_transaction_commits(url: str) -> None:
    async def test() -> None:
        async with attached(url, "s") as session:
            with sql(url, autocommit=False) as user:
                user.execute("select reactive.rx_emit('s', '{kept}')")
                with contextlib.suppress(psycopg.errors.DivisionByZero), user.transaction():
                    user.execute("select reactive.rx_emit('s', '{undone}'), 1 / 0")
                await quiet(session)
                user.commit()
                assert await paths(session, 1) == [{"kept"}]
                user.execute("select reactive.rx_emit('s', '{rolled.back}')")
                user.rollback()
                await quiet(session)

    run(test)


def test_every_row_is_delivered_once_in_any_order_of_commits(url: str) -> None:
    async def test() -> None:
        async with attached(url, "s") as session:
            users = [sql(url, autocommit=False) for _ in range(4)]
            for number, user in enumerate(users):
                user.execute("select reactive.rx_emit('s', %s)", ([f"p{number}"],))
            for number in (3, 1, 0, 2):
                users[number].commit()
                assert await paths(session, 1) == [{f"p{number}"}]
                await quiet(session)
            for user in users:
                user.close()

    run(test)


def test_many_writers_at_once_lose_nothing(url: str) -> None:
    def write(writer: int) -> None:
        with sql(url, autocommit=False) as user:
            for number in range(100):
                user.execute("select reactive.rx_emit('s', %s)", ([f"w{writer}.n{number}"],))
                user.execute("select pg_sleep(random() / 500)")
                user.commit()

    async def test() -> None:
        async with attached(url, "s") as session:
            threads = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
            for thread in threads:
                thread.start()
            found = await paths(session, 800)
            assert sorted(path for each in found for path in each) == sorted(
                f"w{writer}.n{number}" for writer in range(8) for number in range(100)
            )
            for thread in threads:
                thread.join()
            await quiet(session)

    run(test)


def test_an_open_transaction_delays_no_other_events_and_leaks_nothing(url: str) -> None:
    async def test() -> None:
        async with attached(url, "s") as session:
            with sql(url, autocommit=False) as slow, sql(url) as user:
                slow.execute("select reactive.rx_emit('s', '{slow}')")
                for number in range(200):
                    user.execute("select reactive.rx_emit('s', %s)", ([f"p{number}"],))
                assert len(await paths(session, 200)) == 200
                await quiet(session)
                assert len(session._snapshot.running) == 1
                cursor = await session.current_stamp()
                known = await history(session, since=cursor)
                assert known.level == cursor
                slow.commit()
                assert await paths(session, 1) == [{"slow"}]
                await quiet(session)
                assert session._snapshot.running == []
                assert "slow" in {record.path for record in (await history(session, since=cursor)).records}

    run(test)


def test_the_events_of_a_prepared_transaction_arrive_when_it_commits(tmp_path: Path) -> None:
    require(postgres_binaries(), "PostgreSQL's server")
    with PostgresServer(tmp_path, settings={"max_prepared_transactions": "4"}) as server:

        async def test() -> None:
            async with attached(server.url, "s") as session:
                with sql(server.url) as user:
                    user.execute("begin")
                    user.execute("select reactive.rx_emit('s', '{prepared}')")
                    user.execute("prepare transaction 'one'")
                    user.execute("select reactive.rx_emit('s', '{meanwhile}')")
                    assert await paths(session, 1) == [{"meanwhile"}]
                    user.execute("commit prepared 'one'")
                    assert await paths(session, 1) == [{"prepared"}]

        run(test)


def test_a_trigger_can_emit(url: str) -> None:
    async def test() -> None:
        async with attached(url, "board:7") as session:
            with sql(url) as user:
                user.execute("""
                    create temporary table tasks (board integer, title text);
                    create function pg_temp.emit() returns trigger language plpgsql as $$
                    begin
                        perform reactive.rx_emit('board:' || new.board, '{tasks}');
                        return new;
                    end $$;
                    create trigger emit after insert or update on tasks for each row execute function pg_temp.emit();
                    insert into tasks values (7, 'one');
                """)
            assert await paths(session, 1) == [{"tasks"}]

    run(test)


@pytest.mark.parametrize("wake", ["notify reactive", "select reactive.rx_wake()"])
def test_a_wake_up_causes_an_immediate_reading(url: str, wake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_POLL", 3600.0)

    async def test() -> None:
        async with attached(url, "s") as session:
            waiting = asyncio.create_task(paths(session, 1))
            with sql(url) as user:
                user.execute("select reactive.rx_emit('s', '{a}', 'tab', '{ann}')")
                user.execute(wake.encode())
            assert await waiting == [{"a"}]
            await session.send(Outgoing(events=[ChangeEvent("s", {"b"}), ChangeEvent("s", {"c"})]))
            await session.send(Outgoing(events=[ChangeEvent("s", {"d"})]))
            assert await paths(session, 3) == [{"b"}, {"c"}, {"d"}]

    run(test)


def test_a_publisher_sends_a_wake_up_with_each_emit(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waker_module, "_DEBOUNCE", 10.0)  # a wake-up that is put off would not arrive
    with Publisher.from_url(url) as publisher, sql(url) as listener:
        publisher.emit("s", "a")
        listener.execute("listen reactive")
        for number in range(5):
            publisher.emit("s", f"p{number}")
        assert len(list(listener.notifies(timeout=5, stop_after=5))) == 5


def test_an_event_in_a_hint_is_not_delivered_again_by_the_reading(url: str) -> None:
    async def test() -> None:
        async with attached(url, "s", "t") as session:
            event = ChangeEvent("s", {"a", "b"}, "tab", {"ann"})
            await session.send(Outgoing(events=[event, ChangeEvent("another", {"a"})]))
            (arrived,) = await session.receive()
            assert isinstance(arrived, DeliveredEvent)
            assert arrived.event == event
            (reached,) = await session.receive()
            assert isinstance(reached, LevelReached)
            assert reached.level >= arrived.stamp
            many = [ChangeEvent("t", {f"p{number}"}, f"tab{number}") for number in range(500)]
            await session.send(Outgoing(events=many))
            assert [
                each.event for each in await receive(session, number=500) if isinstance(each, DeliveredEvent)
            ] == many

    run(test)


def test_a_wake_up_without_a_hint_causes_an_immediate_reading(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_HEAD_START", 60.0)

    async def test() -> None:
        async with attached(url, "s") as session:
            await session.send(Outgoing(events=[ChangeEvent("s", {"first"})]))
            with sql(url) as user:
                user.execute("select reactive.rx_emit('s', '{second}')")
                user.execute("notify reactive")
            await asyncio.sleep(0.2)  # both wake-ups have arrived
            assert await paths(session, 1) == [{"first"}]
            await session.send(Outgoing(events=[ChangeEvent("s", {"third"})]))
            assert await paths(session, 2) == [{"second"}, {"third"}]

    run(test)


def test_hints_do_not_overtake_earlier_commits(url: str) -> None:
    async def test() -> None:
        async with attached(url, "s") as session:
            events = [ChangeEvent("s", {f"p{number}"}) for number in range(100)]
            for number, event in enumerate(events):
                await session.send(Outgoing(events=[event]))
                await asyncio.sleep(number % 4 / 2000)  # sometimes shorter than the debounce, sometimes longer
            assert [
                each.event for each in await receive(session, number=100) if isinstance(each, DeliveredEvent)
            ] == events

    run(test)


@pytest.mark.parametrize(
    "payload",
    [
        *(
            "",
            "17",
            "17 []",
            "17 nonsense",
            "x [1]",
            '17 [{"scope": "s"}]',
            '17 [{"no": 1}]',
            "17 [[]]",
            '{"a": 1}',
            "17 1",
        ),
        '999999999 [{"scope": ["s"], "paths": ["a"], "origin": null, "audience": null}]',
        '999999999 [{"scope": "s", "paths": ["a"], "origin": ["o"], "audience": null}]',
        '999999999 [{"scope": "s", "paths": [], "origin": null, "audience": null}]',
    ],
)
def test_a_malformed_hint_still_wakes_readers(url: str, payload: str) -> None:
    async def test() -> None:
        async with attached(url, "s") as session:
            with sql(url) as user:
                user.execute("select reactive.rx_emit('s', '{a}')")
                user.execute("select pg_notify('reactive', %s)", (payload,))
            assert await paths(session, 1) == [{"a"}]
            await quiet(session)

    run(test)


def test_a_made_up_hint_is_delivered_and_forgotten(url: str) -> None:
    async def test() -> None:
        async with attached(url, "s") as session:
            event = '[{"scope": "s", "paths": ["a"], "origin": null, "audience": null}]'
            with sql(url) as user:
                user.execute("select pg_current_xact_id(), reactive.rx_wake(%s)", (event,))
            assert await paths(session, 1) == [{"a"}]
            await quiet(session)
            assert session._hinted == {}

    run(test)


async def test_viewers_get_events_emitted_in_sql(world: World) -> None:
    bus = world.process()
    await level(bus)
    with bus.subscribe(world.scope) as subscription, sql(world.url) as user:
        await bus.ready(world.scope)
        user.execute("select reactive.rx_emit(%s, '{tasks,doc.title}', 'tab')", (world.scope,))
        event = await anext(subscription)
        assert event == ChangeEvent(world.scope, {"tasks", "doc.title"}, "tab")


# Arguments of rx_emit


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ("'', '{a}'", "the scope is empty"),
        ("null, '{a}'", "the scope is empty"),
        ("'s', '{}'", "the paths are invalid"),
        ("'s', null", "the paths are invalid"),
        ("'s', array['a', null]", "the paths are invalid"),
        ("'s', '{a..b}'", "the paths are invalid"),
        ("'s', '{a.*}'", "the paths are invalid"),
        ("'s', array['a b']", "the paths are invalid"),
        ("'s', array[E'a\\x01']", "the paths are invalid"),
        ("'s', '{{a,b},{c,d}}'", "the paths are invalid"),
        ("'s', '{a}', null, '{{ann,bob},{cid,dan}}'", "the audience is invalid"),
    ],
)
def test_rx_emit_rejects_invalid_arguments(server: PostgresServer, arguments: str, what: str) -> None:
    with sql(server.url) as user:
        user.execute(DDL.encode())
        with pytest.raises(psycopg.errors.InvalidParameterValue, match=what):
            user.execute(f"select reactive.rx_emit({arguments})".encode())


def test_an_invalid_path_in_the_log_stands_for_all_paths(url: str) -> None:
    async def test() -> None:
        async with attached(url, "s") as session:
            with sql(url) as user:
                user.execute("insert into reactive.log (scope, paths, audience) values ('s', '{a b,c}', '{ann,\"\"}')")
                user.execute("select reactive.rx_emit('s', array[U&'zero\\200Bwidth'], '', '{}')")
            first, second = await receive(session, number=2)
            assert isinstance(first, DeliveredEvent)
            assert isinstance(second, DeliveredEvent)
            assert first.event == ChangeEvent("s", {"*", "c"}, None, {"ann"})
            assert second.event == ChangeEvent("s", {"*"}, None, frozenset())
            assert {record.path for record in (await history(session)).records} == {"*", "c"}

    run(test)


def test_an_origin_in_the_log_that_is_too_long_is_none(url: str) -> None:
    async def test() -> None:
        async with attached(url, "s") as session:
            with sql(url) as user:
                user.execute("select reactive.rx_emit('s', '{a}', repeat('x', 201))")
            (arrived,) = await receive(session, number=1)
            assert isinstance(arrived, DeliveredEvent)
            assert arrived.event == ChangeEvent("s", {"a"})
            assert [record.origin for record in (await history(session)).records] == [None]

    run(test)


@pytest.mark.parametrize("text", ["nul \0 and \x1b and \x1b0041", "half a pair \ud83d", "x" * 100_000, "é\u200b"])
def test_any_text_can_name_a_scope_a_user_and_a_tab(url: str, text: str) -> None:
    async def test() -> None:
        async with attached(url, text) as session:
            origin = text[:200]
            event = ChangeEvent(text, {"a"}, origin, {text})
            seen = RemoteMember(text, text, 17.25)
            await session.enroll([])
            await session.renew_lease(60)
            await session.send(Outgoing([(text, text, seen)], [(text, text)], [event]))
            found: list[Message] = []
            while len(found) < 3:
                found += [message for message in await session.receive() if not isinstance(message, LevelReached)]
            arrived = next(each for each in found if isinstance(each, DeliveredEvent))
            assert arrived.event == event
            assert MemberChange(text, "here", text, seen) in found
            assert EndUser("here", text, text) in found
            known, roster = (await session.attach({text: None}))[text]
            assert [(record.path, record.audience, record.origin) for record in known.records] == [
                ("a", frozenset({text}), origin)
            ]
            assert roster == {"here": {text: seen}}

    run(test)


# History


def test_a_history_contains_the_last_change_of_each_path_and_audience(url: str) -> None:
    async def test() -> None:
        async with attached(url) as session:
            for event in (
                ChangeEvent("s", {"a", "b"}, "one"),
                ChangeEvent("s", {"a"}, "two"),
                ChangeEvent("s", {"a"}, "two"),
                ChangeEvent("s", {"a"}, None, {"ann", "bob"}),
                ChangeEvent("t", {"a"}),
            ):
                await session.send(Outgoing(events=[event]))
            known = await history(session)
            found = {(record.path, record.audience, record.origin): record for record in known.records}
            assert set(found) == {("a", None, "two"), ("b", None, "one"), ("a", frozenset({"ann", "bob"}), None)}
            first = found["b", None, "one"].stamp
            assert found["a", None, "two"].other_stamp == first
            assert found["b", None, "one"].other_stamp == 0
            assert known.floor < first < found["a", None, "two"].stamp <= known.level
            later = await history(session, since=found["a", None, "two"].stamp)
            assert [record.audience for record in later.records] == [frozenset({"ann", "bob"})]

    run(test)


def test_the_floor_of_a_truncated_history_shows_where_it_is_complete(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with attached(url) as session:
            for number in range(300):
                await session.send(Outgoing(events=[ChangeEvent("s", {f"p{number}"})]))
            known = await history(session)
            assert {record.path for record in known.records} == {f"p{number}" for number in range(44, 300)}
            with sql(url) as user:
                left_out = value(user, "select xid::text::bigint from reactive.log where paths = '{p43}'")
            assert known.floor == left_out
            monkeypatch.setattr(session_module, "_EVENTS_OF_A_SCOPE", 10)
            known = await history(session)
            assert len(known.records) == 10
            assert known.floor == min(record.stamp for record in known.records)

    run(test)


def test_attaching_a_scope_neither_misses_nor_repeats_events(url: str) -> None:
    def write(scopes: Sequence[str]) -> None:
        with sql(url) as user:
            for number in range(20):
                for scope in scopes:
                    user.execute("select reactive.rx_emit(%s, %s)", (scope, [f"p{number}"]))
                user.execute("notify reactive")

    async def test() -> None:
        async with attached(url) as session:
            scopes = [f"s{number}" for number in range(20)]
            writing = asyncio.create_task(asyncio.to_thread(write, scopes))
            found: dict[str, list[str]] = {scope: [] for scope in scopes}

            async def follow() -> None:
                while sum(map(len, found.values())) < 400:
                    for message in await session.receive():
                        if isinstance(message, DeliveredEvent):
                            found[message.event.scope] += message.event.changed_paths

            following = asyncio.create_task(follow())
            for scope in scopes:
                known = await history(session, scope)
                found[scope] += [record.path for record in known.records]
                await asyncio.sleep(0.005)
            await writing
            await following
            assert all(sorted(each) == sorted(f"p{number}" for number in range(20)) for each in found.values())

    run(test)


# Trimming


def test_trimming_raises_the_floor_to_the_last_deleted_row(url: str) -> None:
    async def test() -> None:
        async with attached(url) as session:
            with sql(url) as user:
                for number in range(200):
                    user.execute("select reactive.rx_emit('s', %s)", ([f"p{number}"],))
                assert trim(user, keep="0") == 0  # it could not be read for long enough
                age(user)
                trim(user)
                age(user)
                assert trim(user, most=100) == 100
                known = await history(session)
                assert {record.path for record in known.records} == {f"p{number}" for number in range(100, 200)}
                assert known.floor == min(record.stamp for record in known.records) - 1
                age(user)
                assert trim(user, keep="0") == 100
                known = await history(session)
                assert list(known.records) == []
                assert known.floor <= known.level

    run(test)


def test_rows_committed_late_are_trimmed_after_they_could_be_read(url: str) -> None:
    async def test() -> None:
        async with attached(url, "s") as session:
            with sql(url) as user, sql(url, autocommit=False) as slow:
                slow.execute("select reactive.rx_emit('s', '{slow}')")
                user.execute("select reactive.rx_emit('s', '{fast}')")
                for _ in range(2):
                    age(user)
                    trim(user, keep="0")
                assert value(user, "select count(*) from reactive.log") == 0
                slow.commit()
                age(user)
                trim(user, keep="0")
                assert value(user, "select count(*) from reactive.log") == 1
                assert await paths(session, 1) == [{"slow"}]
                for _ in range(2):
                    age(user)
                    trim(user, keep="0")
                assert value(user, "select count(*) from reactive.log") == 0

    run(test)


def test_trimming_and_emitting_do_not_wait_for_each_other(url: str) -> None:
    async def test() -> None:
        async with attached(url):
            with sql(url) as user, sql(url, autocommit=False) as trimmer, sql(url, autocommit=False) as open_writer:
                user.execute("select reactive.rx_emit('s', '{old}')")
                trim(user)
                age(user)
                trim(user)
                age(user)
                open_writer.execute("select reactive.rx_emit('s', '{open}')")
                trimmer.execute("set lock_timeout = '1s'")
                assert value(trimmer, "select reactive.rx_trim('0', 100000, 50)") == 1
                user.execute("set lock_timeout = '1s'")
                user.execute("select reactive.rx_emit('s', '{new}')")
                assert trim(user, keep="0") == 0  # only one trims at a time, and nobody waits

    run(test)


def test_a_session_that_has_not_read_for_too_long_ends(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with attached(url) as session:
            monkeypatch.setattr(session_module, "_UNREAD", -1.0)
            with pytest.raises(ConnectionError, match="was not read for"):
                await session.receive()

    run(test)


# Epochs


async def epoch(url: str) -> str:
    async with attached(url) as session:
        return session.epoch


def test_the_epoch_changes_with_the_server_and_with_the_schema(tmp_path: Path) -> None:
    require(postgres_binaries(), "PostgreSQL's server")
    with PostgresServer(tmp_path) as server:

        async def test() -> None:
            first = await epoch(server.url)
            assert await epoch(server.url) == first
            with sql(server.url) as user:
                user.execute("select reactive.rx_emit('s', '{a}')")
            server.restart()
            second = await epoch(server.url)
            assert second != first
            with sql(server.url) as user:
                assert value(user, "select count(*) from reactive.log") == 0
                backend = sql(server.url)
                pid = backend.info.backend_pid
                started = value(user, "select pg_postmaster_start_time()")
            os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(psycopg.Error):
                backend.execute("select 1")
            await asyncio.to_thread(wait_for, server)
            third = await epoch(server.url)
            assert third not in (first, second)
            with sql(server.url) as user:
                assert value(user, "select pg_postmaster_start_time()") == started
                user.execute("drop schema reactive cascade")
            assert await epoch(server.url) not in (first, second, third)

        run(test)


def wait_for(server: PostgresServer) -> None:
    while not server.answers():
        pass


def test_requests_to_end_users_survive_a_crash_and_are_delivered_once(tmp_path: Path) -> None:
    require(postgres_binaries(), "PostgreSQL's server")
    with PostgresServer(tmp_path) as server:

        async def test() -> None:
            here = PostgresEngine(server.url)
            async with here.connect("here") as session:
                await session.send(Outgoing(ended_users=[("ann", None)]))
                assert await receive(session, until=EndUser) == [EndUser("here", "ann", None)]
            async with PostgresEngine(server.url).connect("there") as session:
                await session.send(Outgoing(ended_users=[("bob", "s")]))
            server.restart()
            async with here.connect("here") as session:
                assert await receive(session, until=EndUser) == [EndUser("there", "bob", "s")]
                await quiet(session)
            async with PostgresEngine(server.url).connect("new") as session:
                await quiet(session)

        run(test)


# The schema


def in_threads(function: Callable[[], object], number: int = 8) -> None:
    failures: list[BaseException] = []
    together = threading.Barrier(number)

    def attempt() -> None:
        together.wait()
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - the test shows it
            failures.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_the_schema_can_be_created_concurrently_and_repeatedly(url: str, isolation: str) -> None:
    def make() -> None:
        with sql(url) as user:
            user.execute(f"set default_transaction_isolation = '{isolation}'".encode())
            assert not value(user, "select to_regprocedure('reactive.rx_version()') is not null and false")
            user.execute(DDL.encode())
            user.execute(DDL.encode())

    in_threads(make)


def test_many_processes_can_start_at_once(url: str) -> None:
    in_threads(lambda: run(lambda: _connect(url)))


async def _connect(url: str) -> None:
    async with PostgresEngine(url).connect("here") as session:
        await session.renew_lease(1)


def test_a_migration_tool_can_create_the_schema_in_its_transaction(url: str) -> None:
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with contextlib.suppress(ZeroDivisionError), engine.begin() as migration:
        migration.execute(sqlalchemy.text(DDL))
        raise ZeroDivisionError
    with sql(url) as user:
        assert value(user, "select to_regnamespace('reactive')") is None
    with engine.begin() as migration:
        migration.execute(sqlalchemy.text(DDL))
        migration.exec_driver_sql(DDL)
    engine.dispose()
    run(lambda: _connect(url))


@contextlib.contextmanager
def role(url: str) -> Iterator[str]:
    """Create a role without privileges, and yield its URL."""
    with sql(url) as user:
        user.execute("create role app login")
        try:
            yield url.replace("postgres@", "app@")
        finally:
            user.execute("drop schema if exists reactive cascade")
            user.execute("drop role app")


def test_the_error_for_a_role_without_privileges_contains_the_fix(url: str) -> None:
    with role(url) as app, sql(url) as user:
        with pytest.raises(ReactiveError, match=r"'app' may neither .* run .*POSTGRES_DDL once, in a migration"):
            run(lambda: _connect(app))
        user.execute(DDL.encode())
        with pytest.raises(ReactiveError, match=r"grant usage on schema reactive to"):
            run(lambda: _connect(app))
        user.execute("grant usage on schema reactive to app")
        with Publisher.from_url(app) as publisher:
            publisher.emit("s", "too.early")
        user.execute("grant select on all tables in schema reactive to app")
        with pytest.raises(ReactiveError, match=r"'app' may not run a bus, .*grant execute on all functions in schema"):
            run(lambda: _connect(app))
        user.execute("grant execute on all functions in schema reactive to app")

        async def test() -> None:
            async with attached(app, "s") as session:
                with sql(app) as emitter:
                    emitter.execute("select reactive.rx_emit('s', '{a}')")
                    emitter.execute("notify reactive")
                assert await paths(session, 1) == [{"a"}]
                await session.enroll([("s", "1", RemoteMember("tab", None, 1.0))])
                await session.send(Outgoing([("s", "1", None)], [("ann", None)], [ChangeEvent("s", {"c"})]))
                await session.renew_lease(60)
                assert await paths(session, 1) == [{"c"}]
                assert {record.path for record in (await history(session)).records} == {"a", "c"}

        run(test)


def test_a_schema_with_another_layout_is_refused(url: str) -> None:
    with sql(url) as user:
        user.execute(DDL.encode())
        user.execute("create or replace function reactive.rx_version() returns integer language sql as 'select 99'")
    with pytest.raises(ReactiveError, match=r"layout 99, but this release of starlette-reactive needs layout 3"):
        run(lambda: _connect(url))


# Servers and poolers


def test_a_standby_is_refused(tmp_path: Path) -> None:
    require(postgres_binaries(), "PostgreSQL's server")
    with PostgresServer(tmp_path) as server:
        server.kill()
        assert server._directory is not None
        Path(server._directory.name, "standby.signal").touch()
        server.start()
        with pytest.raises(ReactiveError, match=r"is a standby.* target_session_attrs=read-write"):
            run(lambda: _connect(server.url))


def test_a_database_with_another_encoding_is_refused(server: PostgresServer) -> None:
    with sql(server.url) as user:
        user.execute("drop database if exists latin")
        user.execute("create database latin encoding 'LATIN1' template template0")
    with pytest.raises(ReactiveError, match=r"is LATIN1: use a database that was created with UTF8"):
        run(lambda: _connect(server.url.removesuffix("/postgres") + "/latin"))


@pytest.mark.parametrize("mode", ["session", "transaction"])
@pytest.mark.parametrize("more", [{}, {"ignore_startup_parameters": "options"}], ids=["strict", "lenient"])
def test_a_pooler_is_refused(server: PostgresServer, tmp_path: Path, mode: str, more: dict[str, str]) -> None:
    require(pgbouncer_binary(), "PgBouncer")
    refused = pytest.raises(ReactiveError, match=r"such as PgBouncer.* name the server's own host and port")
    with PgBouncer(tmp_path, server, settings={"pool_mode": mode, **more}) as pooler, refused:
        run(lambda: _connect(pooler.url))


async def test_sql_and_publishers_can_emit_through_a_pooler(world: World, tmp_path: Path) -> None:
    require(pgbouncer_binary(), "PgBouncer")
    bus = world.process()
    await level(bus)
    assert isinstance(world.server, PostgresServer)
    with (
        PgBouncer(tmp_path, world.server, settings={"pool_mode": "transaction"}) as pooler,
        bus.subscribe(world.scope) as subscription,
        sql(pooler.url) as user,
    ):
        assert await bus.ready(world.scope)
        for wake in ("notify reactive", "select reactive.rx_wake()"):
            user.execute("select reactive.rx_emit(%s, '{a}')", (world.scope,), prepare=False)
            user.execute(wake)
            assert (await anext(subscription)).changed_paths == {"a"}
        with Publisher.from_url(pooler.url) as publisher:
            await anyio.to_thread.run_sync(publisher.emit, world.scope, "b")
        assert (await anext(subscription)).changed_paths == {"b"}


def test_cancelling_a_query_on_a_frozen_server_returns_at_once(tmp_path: Path) -> None:
    require(postgres_binaries(), "PostgreSQL's server")
    with PostgresServer(tmp_path) as server:

        async def test() -> None:
            async with open_connection(server.url) as connection:
                server.freeze()
                try:
                    with pytest.raises(TimeoutError):
                        async with asyncio.timeout(0.1):
                            await connection.fetch("select 1")
                    with pytest.raises(psycopg.Error):
                        await connection.fetch("select 1")
                finally:
                    server.thaw()

        run(test)


async def test_a_bus_survives_the_termination_of_its_connections(world: World) -> None:
    bus = world.process()
    await level(bus)
    with bus.subscribe(world.scope) as subscription, sql(world.url) as user:
        await bus.ready(world.scope)
        for number in range(3):
            user.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'starlette-reactive'"
            )
            user.execute("select reactive.rx_emit(%s, %s)", (world.scope, [f"p{number}"]))
            found: set[str] = set()
            while not found & {f"p{number}", "*"}:
                found |= (await anext(subscription)).changed_paths


async def test_ten_thousand_scopes_need_two_connections(world: World) -> None:
    bus = world.process()
    await level(bus)
    with contextlib.ExitStack() as stack:
        for number in range(10_000):
            stack.enter_context(bus.subscribe(f"{world.scope}-{number}"))
        last = stack.enter_context(bus.subscribe(f"{world.scope}-9999"))
        assert await bus.ready(f"{world.scope}-9999")
        with sql(world.url) as user:
            assert value(user, f"select count(*) from pg_stat_activity where {_OURS}") == 2
            user.execute("select reactive.rx_emit(%s, '{a}')", (f"{world.scope}-9999",))
        assert (await anext(last)).changed_paths == {"a"}


_OURS = "application_name = 'starlette-reactive'"


# Presence


def test_enrolling_again_announces_only_what_has_changed(url: str) -> None:
    stays, leaves, comes = (RemoteMember(each, None, 1.0) for each in ("stays", "leaves", "comes"))

    async def test() -> None:
        async with attached(url, "s", process="there") as there, attached(url, process="here") as here:
            await here.enroll([("s", "1", stays), ("s", "2", leaves)])
            assert len(await receive(there, until=MemberChange, number=2)) == 2
            await here.enroll([("s", "1", stays), ("s", "3", comes)])
            found = await receive(there, until=MemberChange, number=2)
            assert set(map(str, found)) == {
                str(MemberChange("s", "here", "2", None)),
                str(MemberChange("s", "here", "3", comes)),
            }
            assert (await there.attach({"s": None}))["s"][1] == {"here": {"1": stays, "3": comes}}
            await here.enroll([])
            await receive(there, until=MemberChange, number=2)
            assert (await there.attach({"s": None}))["s"][1] == {}
            assert await there.alive(["here"]) == frozenset()

    run(test)


def test_members_of_dead_processes_are_ignored_and_deleted(url: str) -> None:
    async def test() -> None:
        async with attached(url, process="here") as here, attached(url, process="there") as there:
            await here.enroll([("s", "1", RemoteMember("tab", None, 1.0))])
            await here.renew_lease(60)
            assert await there.alive(["here", "nobody"]) == {"here"}
            await here.renew_lease(0)
            assert await there.alive(["here"]) == frozenset()
            assert (await there.attach({"s": None}))["s"][1] == {}
            with sql(url) as user:
                user.execute("update reactive.processes set expires = expires - interval '2 min'")
                age(user)
                trim(user)
                assert value(user, "select count(*) from reactive.members") == 0

    run(test)


def test_health_names_the_engine() -> None:
    assert ReactiveBus.from_url("postgresql://nobody@127.0.0.1:1/none").health().engine == "postgresql"


@pytest.mark.parametrize(
    "scheme", ["postgres", "postgresql+psycopg", "postgresql+psycopg2", "postgresql+asyncpg", "PostgreSQL+pg8000"]
)
async def test_a_url_of_sqlalchemy_reaches_the_server(server: PostgresServer, scheme: str) -> None:
    url = server.url.replace("postgresql", scheme, 1)
    bus = ReactiveBus.from_url(url)
    bus.start()
    try:
        await level(bus)
        with bus.subscribe("s") as subscription, Publisher.from_url(url) as publisher:
            await bus.ready("s")
            await anyio.to_thread.run_sync(publisher.emit, "s", "a")
            with anyio.fail_after(20):
                assert (await anext(subscription)).changed_paths == {"a"}
    finally:
        await anyio.to_thread.run_sync(bus.stop)


async def test_health_shows_why_there_is_no_connection(server: PostgresServer) -> None:
    bus = ReactiveBus.from_url(server.url.replace("postgres@", "nobody@"))
    bus.start()
    try:
        await eventually(lambda: "nobody" in (bus.health().last_error or ""), timeout=20)
        assert not bus.health().connected
    finally:
        await anyio.to_thread.run_sync(bus.stop)
