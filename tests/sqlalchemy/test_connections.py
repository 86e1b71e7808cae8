"""Sessions on a connection of the application, which ends the connection's transaction itself."""

from __future__ import annotations

import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from starlette_reactive import ChangeEvent
from starlette_reactive.sqlalchemy import ORIGIN, CommitHook, suppressed

from ..engines.servers import PostgresServer
from .held_commits import Gate, Proxy, wait_until
from .models import Task
from .support import SeeingBus, Watch, is_idle, visible_titles

Sessions = sessionmaker[Session]
JoinMode = Literal["conditional_savepoint", "rollback_only", "control_fully", "create_savepoint"]


@pytest.fixture
def engine(engine: Engine) -> Engine:
    """Begin transactions where SQLAlchemy does. The driver of SQLite begins them later, and not before savepoints."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


@pytest.fixture
def bus(engine: Engine) -> SeeingBus:
    return SeeingBus(lambda: visible_titles(engine))


def add(session: Session) -> None:
    session.add(Task(title="second", board_id=2))
    session.flush()


@pytest.mark.parametrize("mode", ["conditional_savepoint", "rollback_only", "create_savepoint"])
def test_a_session_in_a_transaction_of_the_application_emits_with_its_own_commit_and_after_the_last_one(
    engine: Engine, watched: Sessions, bus: SeeingBus, mode: JoinMode
) -> None:
    with engine.connect() as connection:
        transaction = connection.begin()
        with watched(bind=connection, join_transaction_mode=mode, info={ORIGIN: "tab"}) as session:
            add(session)
            assert bus.emitted == []
            session.commit()
        assert [event for event, _ in bus.emitted] == [ChangeEvent("board:2", {"tasks"}, "tab")]
        assert not bus.shows("second")
        transaction.commit()
    wait_until(lambda: bus.shows("second"))
    assert [event for event, _ in bus.emitted] == [ChangeEvent("board:2", {"tasks"}, "tab")] * 2


def test_a_session_that_controls_the_transaction_of_the_application_emits_after_its_commit(
    engine: Engine, watched: Sessions, bus: SeeingBus
) -> None:
    with engine.connect() as connection:
        connection.begin()
        with watched(bind=connection, join_transaction_mode="control_fully") as session:
            add(session)
            session.commit()
    assert bus.shows("second")
    assert len(bus.emitted) == 1


def closed(session: Session) -> None:
    session.close()


def rolled_back(session: Session) -> None:
    session.rollback()


@pytest.mark.parametrize("end", [closed, rolled_back])
@pytest.mark.parametrize("mode", ["rollback_only", "control_fully", "create_savepoint"])
def test_a_session_that_does_not_commit_emits_only_what_the_application_commits(
    engine: Engine,
    watched: Sessions,
    hook: CommitHook,
    bus: SeeingBus,
    mode: JoinMode,
    end: Callable[[Session], None],
) -> None:
    with engine.connect() as connection:
        transaction = connection.begin()
        with watched(bind=connection, join_transaction_mode=mode) as session:
            add(session)
            end(session)
        assert bus.emitted == []
        if transaction.is_active:
            transaction.commit()
    wait_until(lambda: is_idle(hook))
    if mode == "rollback_only" and end is closed:
        assert bus.shows("second")
        assert bus.scopes == ["board:2"]
    else:
        assert visible_titles(engine) == ["first"]
        assert bus.emitted == []


def test_a_session_that_is_still_open_emits_what_the_application_commits(
    engine: Engine, watched: Sessions, bus: SeeingBus
) -> None:
    with engine.connect() as connection:
        transaction = connection.begin()
        session = watched(bind=connection)
        add(session)
        session.begin_nested()
        session.add(Task(title="third", board_id=1))
        session.flush()
        assert bus.emitted == []
        transaction.commit()
        wait_until(lambda: set(bus.scopes) == {"board:1", "board:2"})
        assert bus.shows("third")
        session.close()


def test_a_session_that_nobody_closes_emits_what_the_application_commits(
    engine: Engine, watched: Sessions, hook: CommitHook, bus: SeeingBus
) -> None:
    with engine.connect() as connection:
        transaction = connection.begin()
        add(watched(bind=connection))
        gc.collect()
        assert bus.emitted == []
        transaction.commit()
        wait_until(lambda: is_idle(hook))
        assert bus.shows("second")
        bus.emitted.clear()
        with connection.begin():
            connection.execute(text("UPDATE tasks SET done = true"))
    wait_until(lambda: is_idle(hook))
    assert bus.emitted == []


def test_a_session_whose_own_connection_the_application_commits_emits(watched: Sessions, bus: SeeingBus) -> None:
    with watched() as session:
        add(session)
        session.connection().commit()
        wait_until(lambda: bus.shows("second"))
    assert bus.scopes == ["board:2"]


def test_many_sessions_in_one_transaction_emit_after_its_commit(
    engine: Engine, watched: Sessions, bus: SeeingBus
) -> None:
    with engine.connect() as connection, connection.begin():
        for board_id in (1, 2):
            with watched(bind=connection) as session:
                session.add(Task(title=f"of {board_id}", board_id=board_id))
                session.flush()
        assert bus.emitted == []
    wait_until(lambda: bus.scopes == ["board:1", "board:2"])
    assert bus.shows("of 1")


def test_a_transaction_of_the_application_that_is_rolled_back_emits_nothing_more(
    engine: Engine, watched: Sessions, hook: CommitHook, bus: SeeingBus
) -> None:
    with engine.connect() as connection:
        transaction = connection.begin()
        with watched(bind=connection) as session:
            add(session)
            session.commit()
        bus.emitted.clear()
        transaction.rollback()
    wait_until(lambda: is_idle(hook))
    assert bus.emitted == []


def test_a_suppressed_commit_of_the_application_emits_nothing(
    engine: Engine, watched: Sessions, hook: CommitHook, bus: SeeingBus
) -> None:
    with engine.connect() as connection:
        transaction = connection.begin()
        with watched(bind=connection) as session:
            add(session)
        with suppressed():
            transaction.commit()
    wait_until(lambda: is_idle(hook))
    assert bus.emitted == []


def test_a_commit_of_the_application_that_is_refused_emits_nothing(
    postgresql: Engine, bus: SeeingBus, watch: Watch
) -> None:
    with postgresql.begin() as connection:
        connection.execute(text("ALTER TABLE tasks ALTER CONSTRAINT tasks_board_id_fkey DEFERRABLE INITIALLY DEFERRED"))
    sessions = sessionmaker(postgresql)
    bus = SeeingBus(lambda: visible_titles(postgresql))
    hook = watch(sessions, bus)
    with postgresql.connect() as connection:
        transaction = connection.begin()
        with sessions(bind=connection) as session:
            session.add(Task(title="orphan", board_id=99))
            session.flush()
        with pytest.raises(IntegrityError):
            transaction.commit()
    wait_until(lambda: is_idle(hook))
    assert bus.emitted == []


def test_a_commit_of_the_application_whose_answer_is_lost_is_emitted_once_it_is_visible(
    postgres: PostgresServer, postgresql: Engine, watch: Watch
) -> None:
    with Proxy(postgres.port) as proxy, Gate(postgres.url) as gate, ThreadPoolExecutor(1) as pool:
        engine = create_engine(postgresql.url.set(port=proxy.port))
        bus = SeeingBus(gate.titles)
        sessions = sessionmaker()
        watch(sessions, bus, {Task: lambda task: ("tasks", {"titles"})})

        def commit() -> None:
            with engine.begin() as connection, sessions(bind=connection) as session:
                session.add(Task(title="second"))
                session.flush()

        committed = pool.submit(commit)
        wait_until(gate.is_reached)
        proxy.lose()
        with pytest.raises(OperationalError):
            committed.result(timeout=60)
        wait_until(lambda: bus.emitted)
        assert not bus.shows("second")
        gate.open()
        wait_until(lambda: bus.shows("second"))
        engine.dispose()
