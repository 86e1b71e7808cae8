"""What a row was before its change is what the database says, not what a session remembers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, create_engine, event, insert, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, load_only

from starlette_reactive._database.tracking import track

from ...sqlalchemy.held_commits import wait_until
from .models import Report, Tag, Task, task_tags
from .support import Emitted, only


@pytest.mark.parametrize("assigned", [{"done": True}, {"board_id": None}])
def test_a_row_that_another_transaction_has_moved_since_it_was_loaded_gives_where_it_is(
    engine: Engine, emitted: Emitted, assigned: dict[str, object]
) -> None:
    other = create_engine(engine.url)
    with Session(engine, expire_on_commit=False) as session:
        task = session.get_one(Task, 1)
        session.commit()
        with other.begin() as connection:
            connection.execute(update(Task).where(Task.id == 1).values(board_id=2))
        for name, value in assigned.items():
            setattr(task, name, value)
        session.commit()
    assert "board_id=2" in emitted.of("tasks")
    other.dispose()


def test_a_row_that_another_transaction_is_moving_gives_where_it_will_be(postgresql: Engine) -> None:
    emitted = Emitted()
    tracking = track(postgresql, emitted.emit)
    other = create_engine(postgresql.url)
    with other.connect() as connection, ThreadPoolExecutor(1) as pool:
        connection.execute(update(Task).where(Task.id == 1).values(board_id=2))

        def write() -> None:
            with Session(postgresql) as session:
                session.execute(update(Task).where(Task.id == 1).values(done=True))
                session.commit()

        written = pool.submit(write)
        with other.connect() as third:
            wait_until(lambda: third.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))
        connection.commit()
        written.result(timeout=60)
    assert "board_id=2" in emitted.of("tasks")
    tracking.stop()
    other.dispose()


def test_values_that_a_session_has_not_loaded_are_known(engine: Engine, emitted: Emitted) -> None:
    with Session(engine) as session:
        task = session.scalars(select(Task).where(Task.id == 1).options(load_only(Task.title))).one()
        task.title = "renamed"
        session.commit()
    assert only(emitted.of("tasks"), "id", "board_id") == {"id=1", "board_id=1"}


def test_rows_that_a_statement_names_by_key_are_known(engine: Engine, emitted: Emitted) -> None:
    with engine.begin() as connection:
        connection.execute(update(Task).where(Task.id.in_([1, 2])).values(title="x"))
    assert only(emitted.of("tasks"), "id", "board_id") == {"id=1", "id=2", "board_id=1"}
    with engine.begin() as connection:
        connection.execute(insert(Tag), [{"name": "a"}, {"name": "b"}])
        connection.execute(insert(task_tags), [{"task_id": 1, "tag_id": 1}, {"task_id": 2, "tag_id": 1}])
    emitted.take()
    with Session(engine) as session:
        session.execute(update(Task), [{"id": 1, "done": True}, {"id": 2, "done": True}])
        session.commit()
    assert only(emitted.of("tasks"), "id", "board_id") == {"id=1", "id=2", "board_id=1"}


def test_a_statement_that_changes_no_row_gives_nothing(engine: Engine, emitted: Emitted) -> None:
    with engine.begin() as connection:
        connection.execute(update(Task).where(Task.id == 99).values(title="x"))
        connection.execute(update(Task).where(Task.board_id == 99).values(title="x"))
    assert emitted.take() == []


def test_a_row_of_two_tables_gives_both(engine: Engine, emitted: Emitted) -> None:
    with Session(engine) as session:
        session.add(Report(board_id=1, pages=5))
        session.commit()
        emitted.take()
        report = session.scalars(select(Report)).one()
        report.pages, report.board_id = 6, 2
        session.commit()
    paths = emitted.paths()
    assert {"board_id=1", "board_id=2", "version=1", "version=2"} <= paths["db:documents"]
    assert paths["db:reports"] == {"id=1", "pages"}


def test_a_writer_of_sqlite_that_waits_for_another_does_not_fail(engine: Engine, emitted: Emitted) -> None:
    """A transaction of SQLite that reads before it writes cannot write once another has."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))

    def write(number: int) -> None:
        for _ in range(20):
            with Session(engine) as session:
                session.execute(update(Task).where(Task.id == 1).values(title=str(number)))
                session.commit()

    with ThreadPoolExecutor(4) as pool:
        try:
            list(pool.map(write, range(4)))
        except OperationalError as error:
            pytest.fail(str(error))
    assert "board_id=1" in emitted.of("tasks")


def test_too_many_rows_give_the_column_alone(engine: Engine, emitted: Emitted) -> None:
    with Session(engine) as session:
        session.add_all([Task(title="x", board_id=2) for _ in range(250)])
        session.commit()
        assert only(emitted.of("tasks"), "id", "board_id") == {"id", "board_id=2"}
        session.execute(update(Task).where(Task.id.in_(range(1, 240))).values(title="y"))
        session.commit()
    assert only(emitted.of("tasks"), "id", "board_id") == {"id", "board_id=1", "board_id=2"}
