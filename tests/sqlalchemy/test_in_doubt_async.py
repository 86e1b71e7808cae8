"""A commit of an asynchronous session that is interrupted is emitted, whatever interrupts it."""

from __future__ import annotations

import asyncio
import gc
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session
from sqlmodel.ext.asyncio.session import AsyncSession as SQLModelSession

from starlette_reactive import ReactiveBus

from ..engines.servers import PostgresServer, postgres_binaries
from ..support import eventually, require
from .held_commits import Gate, MissingStandby, Proxy, SQLiteGate
from .models import Base, Board, Task
from .support import EmittedEvents, SeeingBus, Watch

Sessions = async_sessionmaker[AsyncSession]
Commit = Callable[[], Coroutine[Any, Any, None]]

POSTGRES_DRIVERS = ["postgresql+psycopg", "postgresql+asyncpg"]
WAITING: dict[str, dict[str, Any]] = {
    "postgresql+psycopg": {"options": "-c synchronous_commit=on"},
    "postgresql+asyncpg": {"server_settings": {"synchronous_commit": "on"}},
}
"""The arguments of connections whose COMMITs wait for the standby."""


@dataclass
class Held:
    """A database that holds the COMMIT of each new task. What is held will succeed.

    Args:
        engine: The engine.
        is_reached: Returns whether a COMMIT is being held.
        release: Ends it.
        titles: Returns the titles of the visible tasks.
    """

    engine: AsyncEngine
    is_reached: Callable[[], bool]
    release: Callable[[], None]
    titles: Callable[[], list[str]]


def add_boards(engine: Engine) -> None:
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Board(slug="a"), Board(slug="b")])
        session.commit()
    engine.dispose()


@pytest.fixture(scope="module")
def lonely_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server whose COMMITs are durable and remain invisible until somebody stops them from waiting."""
    require(postgres_binaries(), "PostgreSQL's server")
    with PostgresServer(tmp_path_factory.mktemp("lonely"), settings=MissingStandby.SETTINGS) as server:
        yield server


@pytest.fixture(params=["sqlite+aiosqlite", *POSTGRES_DRIVERS])
async def held(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Held]:
    with ExitStack() as stack:
        if request.param == "sqlite+aiosqlite":
            path = tmp_path / "test.sqlite3"
            add_boards(create_engine(f"sqlite:///{path}"))
            gate = stack.enter_context(SQLiteGate(path))
            engine = create_async_engine(f"{request.param}:///{path}", connect_args={"timeout": 60})
            yield Held(engine, gate.is_reached, gate.open, gate.titles)
        else:
            server: PostgresServer = request.getfixturevalue("lonely_server")
            setup = create_engine(server.url.replace("postgresql", "postgresql+psycopg", 1))
            Base.metadata.drop_all(setup)
            add_boards(setup)
            standby = stack.enter_context(MissingStandby(server))
            url = server.url.replace("postgresql", request.param, 1)
            engine = create_async_engine(url, connect_args=WAITING[request.param])
            yield Held(engine, standby.is_awaited, standby.cancel, standby.titles)
        await engine.dispose()


# What interrupts


async def cancelled(commit: Commit, held: Held) -> None:
    task = asyncio.ensure_future(commit())
    await eventually(held.is_reached)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def cancelled_twice(commit: Commit, held: Held) -> None:
    task = asyncio.ensure_future(commit())
    await eventually(held.is_reached)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def timed_out(commit: Commit, held: Held) -> None:
    async def expire(timeout: asyncio.Timeout) -> None:
        await eventually(held.is_reached)
        timeout.reschedule(asyncio.get_running_loop().time())

    timeout = asyncio.timeout(None)
    expiring = asyncio.ensure_future(expire(timeout))
    with pytest.raises(TimeoutError):
        async with timeout:
            await commit()
    await expiring


async def waited_for(commit: Commit, held: Held) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(commit(), 0.01)  # the COMMIT is the first that it waits for


async def moved_on_from(commit: Commit, held: Held) -> None:
    async def expire(scope: anyio.CancelScope) -> None:
        await eventually(held.is_reached)
        scope.deadline = anyio.current_time()

    async with anyio.create_task_group() as tasks:
        with anyio.move_on_after(math.inf) as scope:
            tasks.start_soon(expire, scope)
            await commit()
        assert scope.cancelled_caught


async def cancelled_with_its_group(commit: Commit, held: Held) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(commit)
        await eventually(held.is_reached)
        tasks.cancel_scope.cancel()


INTERRUPTS = [cancelled, cancelled_twice, timed_out, waited_for, moved_on_from, cancelled_with_its_group]


@pytest.mark.parametrize("interrupt", INTERRUPTS)
async def test_a_commit_that_is_interrupted_is_emitted_at_once_and_once_it_is_visible(
    held: Held, interrupt: Callable[[Commit, Held], Awaitable[None]], watch: Watch
) -> None:
    bus = SeeingBus(held.titles)
    sessions = async_sessionmaker(held.engine)
    watch(sessions, bus)
    async with sessions() as session:
        session.add(Task(title="second", board_id=1))
        await session.flush()
        interrupted = asyncio.ensure_future(interrupt(session.commit, held))
        await eventually(lambda: bus.emitted)
        held.release()
        await interrupted
    await eventually(lambda: bus.shows("second"), timeout=60)
    assert bus.scopes == ["board:1"]


@pytest.mark.parametrize("held", ["sqlite+aiosqlite"], indirect=True)
async def test_a_commit_whose_coroutine_is_thrown_away_is_emitted(held: Held, watch: Watch) -> None:
    bus = SeeingBus(held.titles)
    sessions = async_sessionmaker(held.engine)
    watch(sessions, bus)
    session = sessions()
    session.add(Task(title="second", board_id=1))
    await session.flush()
    commit = session.commit()
    commit.send(None)  # as far as the COMMIT
    await eventually(held.is_reached)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):  # SQLAlchemy waits for the driver to close
        commit.close()
    del commit, session
    gc.collect()
    assert bus.scopes == ["board:1"]
    held.release()
    await eventually(lambda: bus.shows("second"), timeout=60)


# The ways to commit


async def plainly(sessions: Sessions) -> None:
    async with sessions() as session:
        session.add(Task(title="second", board_id=1))
        await session.commit()


async def in_begin_block(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        session.add(Task(title="second", board_id=1))


async def in_begin_block_of_a_session(sessions: Sessions) -> None:
    async with sessions() as session, session.begin():
        session.add(Task(title="second", board_id=1))


async def in_savepoint(sessions: Sessions) -> None:
    async with sessions() as session:
        async with session.begin_nested():
            session.add(Task(title="second", board_id=1))
        with suppress(LookupError):
            async with session.begin_nested():
                session.add(Task(title="third", board_id=2))
                await session.flush()
                raise LookupError
        await session.commit()


async def in_scoped_session(sessions: Sessions) -> None:
    registry = async_scoped_session(sessions, scopefunc=asyncio.current_task)
    registry.add(Task(title="second", board_id=1))
    try:
        await registry.commit()
    finally:
        await registry.remove()


async def on_a_connection(sessions: Sessions) -> None:
    async with sessions.kw["bind"].connect() as connection, sessions(bind=connection) as session:
        session.add(Task(title="second", board_id=1))
        await session.commit()


async def by_a_connection_of_the_application(sessions: Sessions) -> None:
    async with sessions.kw["bind"].begin() as connection, sessions(bind=connection) as session:
        session.add(Task(title="second", board_id=1))
        await session.flush()


WAYS = [
    plainly,
    in_begin_block,
    in_begin_block_of_a_session,
    in_savepoint,
    in_scoped_session,
    on_a_connection,
    by_a_connection_of_the_application,
]


@pytest.mark.parametrize("session_class", [AsyncSession, SQLModelSession])
@pytest.mark.parametrize("commit", WAYS)
async def test_a_cancelled_commit_is_emitted_however_it_was_made(
    held: Held, commit: Callable[[Sessions], Awaitable[None]], session_class: type[AsyncSession], watch: Watch
) -> None:
    bus = SeeingBus(held.titles)
    sessions = async_sessionmaker(held.engine, class_=session_class)
    watch(sessions, bus)
    committed = asyncio.ensure_future(commit(sessions))
    await eventually(held.is_reached)
    committed.cancel()
    held.release()
    with pytest.raises(asyncio.CancelledError):
        await committed
    await eventually(lambda: bus.shows("second"), timeout=60)
    assert bus.scopes == ["board:1"]


async def test_a_commit_that_the_driver_gives_up_is_emitted(lonely_server: PostgresServer, watch: Watch) -> None:
    setup = create_engine(lonely_server.url.replace("postgresql", "postgresql+psycopg", 1))
    Base.metadata.drop_all(setup)
    add_boards(setup)
    arguments = {**WAITING["postgresql+asyncpg"], "command_timeout": 3}
    engine = create_async_engine(
        lonely_server.url.replace("postgresql", "postgresql+asyncpg", 1), connect_args=arguments
    )
    with MissingStandby(lonely_server) as standby:
        bus = SeeingBus(standby.titles)
        sessions = async_sessionmaker(engine)
        watch(sessions, bus)
        with pytest.raises(TimeoutError):
            await in_begin_block(sessions)
        await eventually(lambda: bus.shows("second"), timeout=60)
    assert bus.scopes == ["board:1"]
    await engine.dispose()


# A connection that is lost


@pytest.fixture(params=POSTGRES_DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def proxied(
    postgres: PostgresServer, postgresql: Engine, driver: str
) -> AsyncIterator[tuple[AsyncEngine, Proxy]]:
    """An engine whose connections can be lost."""
    add_boards(postgresql)
    with Proxy(postgres.port) as proxy:
        engine = create_async_engine(postgresql.url.set(drivername=driver, port=proxy.port))
        yield engine, proxy
        await engine.dispose()


@pytest.fixture
def gate(postgres: PostgresServer, postgresql: Engine) -> Iterator[Gate]:
    with Gate(postgres.url) as gate:
        yield gate


async def test_a_commit_whose_answer_is_lost_is_emitted_and_again_once_it_is_visible(
    proxied: tuple[AsyncEngine, Proxy], gate: Gate, watch: Watch
) -> None:
    engine, proxy = proxied
    bus = SeeingBus(gate.titles)
    sessions = async_sessionmaker(engine)
    watch(sessions, bus)
    committed = asyncio.ensure_future(in_begin_block(sessions))
    await eventually(gate.is_reached)
    assert bus.emitted == []
    proxy.lose()
    with pytest.raises(DBAPIError):
        await committed
    assert bus.scopes == ["board:1"]
    assert not bus.shows("second")  # the server still works on the COMMIT
    gate.open()
    await eventually(lambda: bus.shows("second"), timeout=60)
    assert bus.scopes == ["board:1"]


async def test_a_commit_that_is_cancelled_and_cannot_be_stopped_is_emitted_again_once_it_is_visible(
    proxied: tuple[AsyncEngine, Proxy], gate: Gate, watch: Watch
) -> None:
    """The path to the server is lost together with the task, so no driver can ask the server to cancel."""
    engine, proxy = proxied
    bus = SeeingBus(gate.titles)
    sessions = async_sessionmaker(engine)
    watch(sessions, bus)
    committed = asyncio.ensure_future(plainly(sessions))
    await eventually(gate.is_reached)
    committed.cancel()
    proxy.lose()
    with pytest.raises((asyncio.CancelledError, DBAPIError)):
        await committed
    assert bus.scopes == ["board:1"]
    assert not bus.shows("second")
    gate.open()
    await eventually(lambda: bus.shows("second"), timeout=60)
    assert bus.scopes == ["board:1"]


async def test_a_commit_whose_connection_the_server_ends_is_emitted(
    proxied: tuple[AsyncEngine, Proxy], gate: Gate, bus: ReactiveBus, emitted: EmittedEvents, watch: Watch
) -> None:
    sessions = async_sessionmaker(proxied[0])
    watch(sessions, bus)
    committed = asyncio.ensure_future(in_begin_block(sessions))
    await eventually(gate.is_reached)
    gate.terminate()
    with pytest.raises(DBAPIError):
        await committed
    assert set(emitted.scopes()) == {"board:1"}


async def test_a_commit_amid_which_the_server_is_killed_is_emitted(
    tmp_path: Path, driver: str, bus: ReactiveBus, emitted: EmittedEvents, watch: Watch
) -> None:
    require(postgres_binaries(), "PostgreSQL's server")
    with PostgresServer(tmp_path, settings=MissingStandby.SETTINGS) as server:
        setup = create_engine(server.url.replace("postgresql", "postgresql+psycopg", 1))
        add_boards(setup)
        engine = create_async_engine(server.url.replace("postgresql", driver, 1), connect_args=WAITING[driver])
        sessions = async_sessionmaker(engine)
        watch(sessions, bus)
        with MissingStandby(server) as standby:
            committed = asyncio.ensure_future(in_begin_block(sessions))
            await eventually(standby.is_awaited)
            server.kill()
            with pytest.raises(DBAPIError):
                await committed
        assert set(emitted.scopes()) == {"board:1"}
        server.start()
        with Session(setup) as session:
            assert [task.title for task in session.query(Task)] == ["second"]
        setup.dispose()
        await engine.dispose()


# Answers, and commits that were never sent


async def test_a_commit_that_the_server_cancels_emits_nothing(
    proxied: tuple[AsyncEngine, Proxy], gate: Gate, bus: ReactiveBus, emitted: EmittedEvents, watch: Watch
) -> None:
    sessions = async_sessionmaker(proxied[0])
    watch(sessions, bus)
    committed = asyncio.ensure_future(in_begin_block(sessions))
    await eventually(gate.is_reached)
    gate.cancel()
    with pytest.raises(DBAPIError, match="canceling statement"):
        await committed
    assert emitted() == []


async def test_a_deferred_constraint_that_fails_emits_nothing(
    proxied: tuple[AsyncEngine, Proxy], postgresql: Engine, bus: ReactiveBus, emitted: EmittedEvents, watch: Watch
) -> None:
    with postgresql.begin() as connection:
        connection.exec_driver_sql(
            "ALTER TABLE tasks ALTER CONSTRAINT tasks_board_id_fkey DEFERRABLE INITIALLY DEFERRED"
        )
    sessions = async_sessionmaker(proxied[0])
    watch(sessions, bus)
    async with sessions() as session:
        session.add(Task(title="second", board_id=99))
        await session.flush()
        with pytest.raises(IntegrityError):
            await session.commit()
        assert emitted() == []
    assert emitted() == []


async def test_a_flush_that_is_cancelled_emits_nothing(
    proxied: tuple[AsyncEngine, Proxy], postgresql: Engine, bus: ReactiveBus, emitted: EmittedEvents, watch: Watch
) -> None:
    sessions = async_sessionmaker(proxied[0])
    watch(sessions, bus)
    with postgresql.begin() as other:
        other.exec_driver_sql("LOCK TABLE tasks IN EXCLUSIVE MODE")
        async with sessions() as session:
            session.add(Task(title="second", board_id=1))
            flushed = asyncio.ensure_future(session.flush())
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            await eventually(lambda: other.exec_driver_sql(waiting).scalar())
            flushed.cancel()
            with pytest.raises(asyncio.CancelledError):
                await flushed
    assert emitted() == []
