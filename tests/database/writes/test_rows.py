"""The events of a commit name the values of its rows, before and after."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, delete, insert, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from starlette_reactive import ChangeEvent

from .models import Board, Task
from .support import Emitted, only


def test_a_new_row_gives_its_values_and_the_key_that_the_database_has_made(engine: Engine, emitted: Emitted) -> None:
    with Session(engine) as session:
        task = Task(title="new", board_id=2)
        session.add(task)
        session.flush()
        assert emitted.take() == []
        session.commit()
        key = task.id
    assert emitted.take() == [
        ChangeEvent(
            "db:tasks",
            {f"id={key}", "board_id=2", "done=false", "state=OPEN", "due=", "owner_id=", "position=0"},
        ),
        ChangeEvent("db", {"tasks"}),
    ]


def test_a_changed_row_gives_its_values_before_and_after(engine: Engine, emitted: Emitted) -> None:
    with Session(engine) as session:
        session.get_one(Task, 1).board_id = 2
        session.commit()
    assert only(emitted.of("tasks"), "id", "board_id", "done") == {"id=1", "board_id=1", "board_id=2", "done=false"}


def test_a_deleted_row_gives_its_values(engine: Engine, emitted: Emitted) -> None:
    with Session(engine) as session:
        session.delete(session.get_one(Task, 1))
        session.commit()
    assert {"id=1", "board_id=1"} <= emitted.of("tasks")


def test_statements_without_a_session_give_what_they_say(engine: Engine, emitted: Emitted) -> None:
    with engine.begin() as connection:
        connection.execute(insert(Task).values(title="third", board_id=2))
        connection.execute(update(Task).where(Task.board_id == 2).values(done=True))
        connection.execute(delete(Board).where(Board.id == 77))
    assert only(emitted.of("tasks"), "board_id", "done") == {"board_id=2", "done"}


def test_what_is_rolled_back_gives_nothing(engine: Engine, emitted: Emitted) -> None:
    with Session(engine) as session:
        session.add(Task(title="never", board_id=2))
        session.flush()
        session.rollback()
        session.add(Board(id=1, name="again"))
        with pytest.raises(IntegrityError):
            session.flush()
        session.rollback()
        session.commit()
    with engine.connect() as connection:
        connection.execute(delete(Task))
    assert emitted.take() == []


def test_what_a_savepoint_has_rolled_back_gives_nothing(engine: Engine, emitted: Emitted) -> None:
    with Session(engine) as session:
        session.add(Board(id=3, name="c"))
        with session.begin_nested() as savepoint:
            session.add(Task(title="never", board_id=2))
            session.flush()
            savepoint.rollback()
        with session.begin_nested():
            session.add(Board(id=4, name="d"))
        session.commit()
    assert emitted.paths() == {"db:boards": {"id=3", "id=4"}, "db": {"boards"}}
