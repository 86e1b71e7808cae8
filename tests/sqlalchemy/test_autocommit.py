"""Sessions whose connections commit each statement emit at flush: no rollback takes anything back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from .models import Base, Board, Task
from .support import SeeingBus, Watch, visible_titles

Sessions = sessionmaker[Session]


@pytest.fixture
def bus(engine: Engine) -> SeeingBus:
    return SeeingBus(lambda: visible_titles(engine))


@pytest.fixture
def autocommitting(engine: Engine, watched: Sessions) -> Sessions:
    watched.configure(bind=engine.execution_options(isolation_level="AUTOCOMMIT"))
    return watched


@pytest.mark.parametrize("end", [Session.commit, Session.rollback, Session.close])
def test_a_session_that_commits_each_statement_emits_at_flush(
    autocommitting: Sessions, bus: SeeingBus, end: Callable[[Session], None]
) -> None:
    with autocommitting() as session:
        session.add(Task(title="second", board_id=1))
        session.flush()
        assert bus.shows("second")
        session.get_one(Task, 1).board_id = 2
        session.flush()
        assert [event.scope for event, _ in bus.emitted] == ["board:1", "board:1", "board:2"]
        end(session)
    assert len(bus.emitted) == 3


def test_a_flush_that_fails_midway_emits_the_rows_that_it_has_committed(
    autocommitting: Sessions, bus: SeeingBus, engine: Engine
) -> None:
    with autocommitting() as session:
        session.get_one(Task, 1).board_id = 2
        session.add(Task(title=None, board_id=None))
        with pytest.raises(IntegrityError):
            session.flush()
        session.rollback()
        assert session.get_one(Task, 1).board_id == 2
    assert {"board:1", "board:2"} <= set(bus.scopes)


def test_a_driver_that_commits_each_statement_emits_at_flush(tmp_path: Path, watch: Watch) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'test.sqlite3'}", connect_args={"isolation_level": None})
    Base.metadata.create_all(engine)
    bus = SeeingBus(lambda: visible_titles(engine))
    sessions = sessionmaker(engine)
    watch(sessions, bus)
    with sessions() as session:
        session.add(Task(title="second", board_id=1))
        session.flush()
        assert bus.shows("second")
        session.rollback()
    assert len(bus.emitted) == 1
    engine.dispose()


def test_a_session_on_two_connections_emits_after_the_commit_if_one_of_them_commits_each_statement(
    tmp_path: Path, watch: Watch
) -> None:
    at_once, later = (create_engine(f"sqlite:///{tmp_path / name}") for name in ("boards.sqlite3", "tasks.sqlite3"))
    for each in (at_once, later):
        Base.metadata.create_all(each)
    bus = SeeingBus(lambda: visible_titles(later))
    sessions = sessionmaker(binds={Board: at_once.execution_options(isolation_level="AUTOCOMMIT"), Task: later})
    watch(sessions, bus, {Board: lambda board: ("boards", {"names"}), Task: lambda task: ("tasks", {"titles"})})
    with sessions() as session:
        session.add_all([Board(slug="a"), Task(title="second")])
        session.flush()
        assert bus.scopes == ["boards", "tasks"]
        bus.emitted.clear()
        session.commit()
    assert bus.shows("second")
    assert bus.scopes == ["boards", "tasks"]
    at_once.dispose()
    later.dispose()
