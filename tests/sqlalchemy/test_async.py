"""Asynchronous sessions, on SQLite and on both drivers of PostgreSQL, follow the same rules."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import anyio
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, sessionmaker

from starlette_reactive import ReactiveBus
from starlette_reactive._core.errors import ReactiveError
from starlette_reactive.sqlalchemy import ORIGIN, emit_on_commit, suppressed

from .models import Base, Board, Task
from .support import EmittedEvents, statements

Sessions = async_sessionmaker[AsyncSession]


@pytest.fixture
async def engine(async_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(async_url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield engine
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()


@pytest.fixture
async def watched(engine: AsyncEngine, bus: ReactiveBus) -> Sessions:
    """A factory on a database with the boards 1 and 2, and the task 1 on board 1."""
    sessions = async_sessionmaker(engine)
    async with sessions.begin() as session:
        session.add_all([Board(slug="a"), Board(slug="b")])
        await session.flush()
        session.add(Task(title="first", board_id=1))
    emit_on_commit(sessions, bus, {Task: lambda task: (f"board:{task.board_id}", {"tasks"})})
    return sessions


async def test_a_commit_emits_and_a_rollback_does_not(watched: Sessions, emitted: EmittedEvents) -> None:
    async with watched() as session:
        session.add(Task(title="second", board_id=1))
        await session.flush()
        assert emitted() == []
        await session.commit()
        assert emitted() == [("board:1", ["tasks"])]
        session.add(Task(title="third", board_id=1))
        await session.flush()
        await session.rollback()
        await session.commit()
    assert emitted() == []


async def test_begin_blocks_emit_at_their_end_or_not_at_all(watched: Sessions, emitted: EmittedEvents) -> None:
    async with watched.begin() as session:
        session.add(Task(title="second", board_id=1))
    assert emitted.scopes() == ["board:1"]
    async with watched() as session:
        with suppress(LookupError):
            async with session.begin():
                session.add(Task(title="third", board_id=1))
                await session.flush()
                raise LookupError
        async with session.begin():
            session.add(Task(title="fourth", board_id=2))
    assert emitted.scopes() == ["board:2"]


async def test_savepoints_drop_only_their_own_changes(watched: Sessions, emitted: EmittedEvents) -> None:
    async with watched() as session:
        session.add(Task(title="second", board_id=1))
        with suppress(LookupError):
            async with session.begin_nested():
                session.add(Task(title="third", board_id=2))
                await session.flush()
                raise LookupError
        async with session.begin_nested():
            session.add(Task(title="fourth", board_id=None))
        await session.commit()
    assert emitted.scopes() == ["board:1", "board:None"]


@pytest.mark.parametrize("expired", [True, False])
async def test_a_moved_row_emits_both_scopes(watched: Sessions, emitted: EmittedEvents, expired: bool) -> None:
    async with watched() as session:
        task = await session.get_one(Task, 1)
        if expired:
            await session.commit()
        task.board_id = 2
        await session.commit()
        assert emitted.scopes() == ["board:1", "board:2"]
        task.board_id = 2
        await session.commit()
    assert emitted() == []


@pytest.mark.parametrize("expire", [True, False])
async def test_a_function_may_load_at_flush_and_nothing_is_executed_after_the_commit(
    engine: AsyncEngine, watched: Sessions, emitted: EmittedEvents, expire: bool
) -> None:
    sessions = async_sessionmaker(engine, expire_on_commit=expire)
    emit_on_commit(
        sessions,
        ReactiveBus(),
        {Task: lambda task: (f"{task.board.slug if task.board else None}:{task.notes}:{len(task.tags)}", {"tasks"})},
    )
    async with sessions() as session:
        task = await session.get_one(Task, 1)
        await session.commit()
        with statements(engine.sync_engine) as executed:
            task.board_id = 2
            session.add(Task(title="second", board_id=1))
            await session.commit()
            assert executed[-1] == "COMMIT"
            assert emitted.scopes() == ["a:None:0", "b:None:0"]
            await session.refresh(task)
            await session.delete(task)
            await session.commit()
            assert executed[-1] == "COMMIT"
            assert emitted.scopes() == ["b:None:0"]


async def test_a_function_that_raises_fails_the_flush(
    engine: AsyncEngine, bus: ReactiveBus, emitted: EmittedEvents
) -> None:
    sessions = async_sessionmaker(engine)
    emit_on_commit(sessions, bus, {Board: lambda board: board.nothing})
    async with sessions() as session:
        session.add(Board(slug="a"))
        with pytest.raises(ReactiveError, match="for Board failed"):
            await session.commit()
        await session.rollback()
        assert (await session.scalars(select(Board))).all() == []
    assert emitted() == []


async def test_suppression_reaches_the_greenlet_of_the_session(watched: Sessions, emitted: EmittedEvents) -> None:
    async with watched() as session:
        with suppressed():
            session.add(Task(title="second", board_id=1))
            await session.commit()
            session.add(Task(title="third", board_id=1))
            await session.flush()
            await session.execute(update(Task).values(done=True))
        await session.commit()
        assert emitted() == []
        session.add(Task(title="fourth", board_id=2))
        await session.commit()
    assert emitted.scopes() == ["board:2"]


async def test_other_tasks_are_not_suppressed(watched: Sessions, emitted: EmittedEvents) -> None:
    begun, ended = anyio.Event(), anyio.Event()

    async def quiet() -> None:
        with suppressed():
            begun.set()
            await ended.wait()

    async def loud() -> None:
        await begun.wait()
        async with watched.begin() as session:
            session.add(Task(title="second", board_id=1))
        ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(quiet)
        tasks.start_soon(loud)
    assert emitted.scopes() == ["board:1"]


async def test_the_origin_is_read_from_the_session(watched: Sessions, emitted: EmittedEvents) -> None:
    async with watched(info={ORIGIN: "tab-1"}) as session:
        session.add(Task(title="second", board_id=1))
        await session.commit()
    async with watched() as session:
        session.info[ORIGIN] = "tab-2"
        session.add(Task(title="third", board_id=1))
        await session.commit()
    assert [event.origin for event in emitted.events()] == ["tab-1", "tab-2"]


async def test_a_statement_on_a_watched_model_logs_a_warning(
    watched: Sessions, caplog: pytest.LogCaptureFixture
) -> None:
    async with watched.begin() as session:
        await session.execute(update(Task).values(done=True))
    assert "update(Task) changes rows without a flush" in caplog.text


# Which sessions


async def test_only_the_factorys_sessions_are_watched(
    engine: AsyncEngine, watched: Sessions, emitted: EmittedEvents
) -> None:
    others: list[Any] = [async_sessionmaker(engine), async_sessionmaker(engine, class_=watched.class_)]
    sync_sessions = sessionmaker(class_=Session)
    others.append(async_sessionmaker(engine, sync_session_class=sync_sessions))
    for other in [*others, lambda: AsyncSession(engine)]:
        async with other() as session:
            session.add(Task(title="second", board_id=1))
            await session.commit()
    assert emitted() == []


async def test_the_sync_session_class_behind_a_factory_is_kept(
    engine: AsyncEngine, bus: ReactiveBus, emitted: EmittedEvents
) -> None:
    class Own(Session):
        pass

    class OwnAsync(AsyncSession):
        sync_session_class = Own

    behind: Any = sessionmaker(class_=Own, info={"kept": True})
    factories: list[async_sessionmaker[Any]] = [
        async_sessionmaker(engine, class_=OwnAsync),
        async_sessionmaker(engine, sync_session_class=Own),
        async_sessionmaker(engine, sync_session_class=behind),
    ]
    for number, factory in enumerate(factories):
        for name in ("first", "second"):  # two hooks on one factory
            emit_on_commit(factory, bus, {Board: lambda board, name=name: (name, {board.slug})})  # type: ignore[misc]
        async with factory() as session:
            assert isinstance(session.sync_session, Own)
            assert session.info == ({"kept": True} if number == 2 else {})
            session.add(Board(slug=f"b{number}"))
            await session.commit()
        assert emitted() == [("first", [f"b{number}"]), ("second", [f"b{number}"])]
    async with AsyncSession(engine, sync_session_class=behind) as session:
        session.add(Board(slug="c"))
        await session.commit()
    assert emitted() == []


async def test_a_scoped_session_is_watched(engine: AsyncEngine, bus: ReactiveBus, emitted: EmittedEvents) -> None:
    sessions = async_scoped_session(async_sessionmaker(engine), scopefunc=lambda: 1)
    hook = emit_on_commit(sessions, bus, {Board: lambda board: ("boards", {"names"})})
    sessions.add(Board(slug="a"))
    await sessions.commit()
    assert emitted.scopes() == ["boards"]
    hook.remove()
    sessions.add(Board(slug="b"))
    await sessions.commit()
    await sessions.remove()
    assert emitted() == []


async def test_concurrent_sessions_emit_their_own_changes(watched: Sessions, emitted: EmittedEvents) -> None:
    async def work(number: int) -> None:
        async with watched() as session:
            session.add(Task(title=str(number), board_id=None))
            await session.flush()
            if number % 2:
                await session.rollback()
            else:
                await session.commit()

    # One at a time on SQLite, which has one writer.
    limiter = anyio.CapacityLimiter(1 if "sqlite" in str(watched.kw["bind"].url) else 5)

    async def limited(number: int) -> None:
        async with limiter:
            await work(number)

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(limited, number)
    assert emitted() == [("board:None", ["tasks"])] * 10
