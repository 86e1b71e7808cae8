"""What can be tracked, how often its events are emitted, and when that ends."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, create_engine, insert, select, update
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from starlette_reactive._core.reads import Reads, reading
from starlette_reactive._database.origins import ORIGIN
from starlette_reactive._database.tracking import track

from ...engines.servers import PostgresServer
from .models import Base, Board, Task
from .support import Emitted

NEW_BOARD = {"db:boards": {"id=1"}, "db": {"boards"}}


def new_engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    return engine


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    """An engine on an empty database."""
    engine = new_engine(tmp_path / "one.sqlite3")
    yield engine
    engine.dispose()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Engine]:
    """An engine on another empty database."""
    engine = new_engine(tmp_path / "other.sqlite3")
    yield engine
    engine.dispose()


@pytest.fixture
def emitted() -> Emitted:
    return Emitted()


def add_board(sessions: Any) -> None:
    with sessions() as session:
        session.add(Board(name="a"))
        session.commit()


class OwnSession(Session):
    """A session of a class of its own."""


def test_the_engine_of_each_kind_of_factory_is_tracked(sqlite: Engine, emitted: Emitted) -> None:
    for number, target in enumerate((sessionmaker(sqlite), scoped_session(sessionmaker(sqlite))), 1):
        tracking = track(target, emitted.emit)
        with sqlite.begin() as connection:
            connection.execute(insert(Board).values(name="a"))
        assert emitted.paths() == {"db:boards": {f"id={number}"}, "db": {"boards"}}
        tracking.stop()


def test_a_factory_whose_engine_is_set_later_is_tracked(sqlite: Engine, emitted: Emitted) -> None:
    sessions = sessionmaker()
    tracking = track(sessions, emitted.emit)
    assert repr(tracking) == "<Tracking of no engine yet>"
    sessions.configure(bind=sqlite)
    reads = Reads()
    with sessions() as session, reading(reads):
        session.add(Board(name="a"))
        session.scalars(select(Board)).all()
        session.commit()
    assert emitted.paths() == NEW_BOARD
    assert reads.entries
    assert repr(tracking) == f"<Tracking of {sqlite.url}>"
    tracking.stop()


def test_the_first_engine_of_a_process_may_be_set_later(tmp_path: Path) -> None:
    program = f"""
from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker
from starlette_reactive._database.tracking import track

sessions = sessionmaker()
track(sessions, print)
sessions.configure(bind=create_engine("sqlite:///{tmp_path / "first.sqlite3"}"))
with sessions() as session:
    session.execute(text("create table board (id integer)"))
"""
    subprocess.run([sys.executable, "-c", program], check=True)  # a process in which nothing is tracked yet


def test_all_engines_of_a_factory_are_tracked(sqlite: Engine, other: Engine, emitted: Emitted) -> None:
    sessions = sessionmaker(binds={Board: sqlite, Task: other})
    tracking = track(sessions, emitted.emit)
    assert set(tracking.engines) == {sqlite, other}
    with sessions() as session:
        session.add_all([Board(name="a"), Task(title="b")])
        session.commit()
    assert {each.scope for each in emitted.take()} == {"db:boards", "db:tasks", "db"}
    tracking.stop()


def test_a_class_of_sessions_is_tracked(sqlite: Engine, emitted: Emitted) -> None:
    tracking = track(OwnSession, emitted.emit)
    add_board(lambda: OwnSession(sqlite))
    assert emitted.paths() == NEW_BOARD
    tracking.stop()


def test_what_is_no_engine_and_makes_no_sessions_cannot_be_tracked(emitted: Emitted) -> None:
    with pytest.raises(TypeError, match="track takes a factory of sessions"):
        track("sqlite://", emitted.emit)


def test_an_engine_that_is_tracked_twice_emits_once_until_both_have_stopped(sqlite: Engine, emitted: Emitted) -> None:
    first, second = track(sqlite, emitted.emit), track(sessionmaker(sqlite), emitted.emit)
    reads = Reads()
    with sqlite.begin() as connection, reading(reads):
        connection.execute(insert(Board).values(name="a"))
        connection.execute(select(Board))
    assert len(emitted.take()) == 2
    assert len(reads.entries) == 1
    first.stop()
    first.stop()
    add_board(sessionmaker(sqlite))
    assert len(emitted.take()) == 2
    second.stop()
    add_board(sessionmaker(sqlite))
    assert emitted.take() == []


def test_two_receivers_of_one_engine_get_the_same_events(sqlite: Engine, emitted: Emitted) -> None:
    others = Emitted()
    trackings = [track(sqlite, emitted.emit), track(sqlite, others.emit)]
    add_board(sessionmaker(sqlite))
    assert emitted.take() == others.take() != []
    trackings.pop(0).stop()
    add_board(sessionmaker(sqlite))
    assert emitted.take() == []
    assert others.take() != []
    trackings.pop().stop()


def test_what_is_tracked_no_more_is_as_it_was(sqlite: Engine, emitted: Emitted) -> None:
    track(sqlite, emitted.emit).stop()
    assert vars(sqlite.dialect).keys().isdisjoint(("do_commit", "do_commit_twophase"))
    add_board(sessionmaker(sqlite))
    assert emitted.take() == []


def test_writes_that_the_database_reports_itself_are_not_emitted(sqlite: Engine, emitted: Emitted) -> None:
    tracking = track(sqlite, emitted.emit, writes=False)
    add_board(sessionmaker(sqlite))
    assert emitted.take() == []
    tracking.stop()


def test_a_write_to_a_view_changes_its_tables(postgres: PostgresServer, postgresql: Engine, emitted: Emitted) -> None:
    view = Table("named", MetaData(), Column("id", Integer, primary_key=True), Column("name", String))
    with postgresql.begin() as connection:
        connection.exec_driver_sql("CREATE VIEW named AS SELECT id, name FROM boards")
    try:
        for views, scope in (({"named": ["boards"]}, "db:boards"), ({}, "db:*")):
            tracking = track(postgresql, emitted.emit, views=views)
            with postgresql.begin() as connection:
                connection.execute(update(view).where(view.c.id == 1).values(name="z"))
            assert emitted.paths()[scope] == {"*"}
            with postgresql.begin() as connection:
                part = update(view).where(view.c.id == 1).values(name="y").returning(view.c.id).cte()
                connection.execute(select(part.c.id))
            assert emitted.paths()[scope] == {"*"}
            tracking.stop()
    finally:
        with postgresql.begin() as connection:
            connection.exec_driver_sql("DROP VIEW named")


def test_a_write_to_a_view_whose_trigger_does_it_instead_changes_its_tables(sqlite: Engine, emitted: Emitted) -> None:
    view = Table("named", MetaData(), Column("id", Integer, primary_key=True), Column("name", String))
    with sqlite.begin() as connection:
        connection.exec_driver_sql("CREATE VIEW named AS SELECT id, name FROM boards")
        instead = "UPDATE boards SET name = new.name WHERE id = old.id"
        connection.exec_driver_sql(f"CREATE TRIGGER rename INSTEAD OF UPDATE ON named BEGIN {instead}; END")
    add_board(sessionmaker(sqlite))
    for views, scope in (({"named": ["boards"]}, "db:boards"), ({}, "db:*")):
        tracking = track(sqlite, emitted.emit, views=views)
        with sqlite.begin() as connection:
            connection.execute(update(view).where(view.c.id == 1).values(name="z"))
        assert emitted.paths()[scope] == {"*"}
        tracking.stop()


def test_an_engine_that_is_tracked_no_more_is_freed(tmp_path: Path, emitted: Emitted) -> None:
    engine = new_engine(tmp_path / "freed.sqlite3")
    tracking = track(engine, emitted.emit)
    add_board(sessionmaker(engine))
    tracking.stop()
    engine.dispose()
    gone = weakref.ref(engine)
    del engine, tracking
    gc.collect()
    assert gone() is None


# Asynchronous engines and sessions


@pytest.fixture(params=["sqlite+aiosqlite", "postgresql+psycopg", "postgresql+asyncpg"])
async def async_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param.startswith("sqlite"):
        url = f"{request.param}:///{tmp_path / 'async.sqlite3'}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.url.replace("postgresql", request.param, 1)
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    yield engine
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()


@pytest.mark.anyio
async def test_asynchronous_sessions_emit_after_their_commit(async_engine: AsyncEngine, emitted: Emitted) -> None:
    tracking = track(async_engine, emitted.emit)
    async with AsyncSession(async_engine, info={ORIGIN: "tab"}) as session:
        board = Board(name="a")
        session.add(board)
        await session.flush()
        session.add_all([Task(title=str(number), board_id=board.id) for number in range(3)])
        await session.flush()
        assert emitted.take() == []
        await session.commit()
        events = emitted.take()
        assert {each.origin for each in events} == {"tab"}
        assert {"id=1", "id=2", "id=3", "board_id=1"} <= next(e for e in events if e.scope == "db:tasks").changed_paths
        task = await session.get_one(Task, 1)
        task.done = True
        await session.commit()
        assert {"id=1", "board_id=1", "done=true", "done=false"} <= emitted.of("tasks")
        async with session.begin_nested() as savepoint:
            session.add(Board(name="b"))
            await session.flush()
            await savepoint.rollback()
        await session.commit()
        assert emitted.take() == []
    async with async_engine.begin() as plain:
        await plain.execute(update(Task).where(Task.board_id == 1).values(done=True))
        assert emitted.take() == []
    assert {"board_id=1", "done", "id"} <= emitted.of("tasks")
    tracking.stop()


@pytest.mark.anyio
async def test_asynchronous_factories_are_tracked(tmp_path: Path, emitted: Emitted) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'async.sqlite3'}")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    later = async_sessionmaker()
    for sessions in (async_sessionmaker(engine), later, async_scoped_session(async_sessionmaker(engine), lambda: 1)):
        tracking = track(sessions, emitted.emit)
        later.configure(bind=engine)
        async with sessions() as session:
            session.add(Board(name="a"))
            await session.commit()
        assert "db:boards" in emitted.paths()
        tracking.stop()
    await engine.dispose()


@pytest.fixture
def anyio_backend() -> str:
    """SQLAlchemy supports no other loop."""
    return "asyncio"
