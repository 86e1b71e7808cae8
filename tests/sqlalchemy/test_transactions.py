"""What is told goes with its transaction: told after the outermost commit, dropped with what is rolled back."""

from __future__ import annotations

from contextlib import suppress

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from starlette_reactive import ChangeEvent, ReactiveBus
from starlette_reactive.sqlalchemy import CommitHook, emit_on_commit

from .models import Board, Task
from .support import Told, statements


def test_a_commit_tells_each_scope_once_of_all_its_paths(engine: Engine, bus: ReactiveBus, told: Told) -> None:
    sessions = sessionmaker(engine)
    emit_on_commit(
        sessions,
        bus,
        {
            Board: lambda board: (f"board:{board.id}", {"name"}),
            Task: lambda task: (f"board:{task.board_id}", {"tasks", "count"}),
        },
    )
    with sessions.begin() as session:
        session.add(Board(id=7, slug="g", tasks=[Task(title="one"), Task(title="two")]))
        assert told() == []
    assert told() == [("board:7", ["count", "name", "tasks"])]


def test_several_flushes_make_one_event(watched: sessionmaker[Session], told: Told) -> None:
    with watched() as session:
        for title in ("second", "third", "fourth"):
            session.add(Task(title=title, board_id=1))
            session.flush()
        assert told() == []
        session.commit()
        assert told() == [("board:1", ["tasks"])]
        session.commit()
        assert told() == []


def test_a_rollback_tells_nobody(watched: sessionmaker[Session], told: Told) -> None:
    with watched() as session:
        session.add(Task(title="second", board_id=1))
        session.flush()
        session.rollback()
        session.commit()
    assert told() == []


def test_a_session_that_is_closed_tells_nobody(watched: sessionmaker[Session], told: Told) -> None:
    with watched() as session:
        session.add(Task(title="second", board_id=1))
        session.flush()
        session.close()
        session.add(Task(title="third", board_id=2))
        session.commit()
    assert told.scopes() == ["board:2"]


def test_a_block_that_begins_a_transaction_tells_at_its_end_or_not_at_all(
    watched: sessionmaker[Session], told: Told
) -> None:
    with watched() as session:
        with session.begin():
            session.add(Task(title="second", board_id=1))
        assert told.scopes() == ["board:1"]
        with suppress(LookupError), session.begin():
            session.add(Task(title="third", board_id=1))
            session.flush()
            raise LookupError
    assert told() == []


def test_a_commit_that_the_database_refuses_tells_nobody(
    engine: Engine, watched: sessionmaker[Session], told: Told
) -> None:
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))
        engine.dispose()
    with watched() as session:
        if engine.dialect.name == "sqlite":
            session.execute(text("PRAGMA defer_foreign_keys = ON"))
        session.add(Task(title="second", board_id=1))
        session.flush()
        session.add(Task(title="third", board_id=99))
        with pytest.raises(IntegrityError):
            session.commit()
        session.rollback()
        session.commit()
    assert told() == []


# Savepoints


def test_a_savepoint_that_is_rolled_back_drops_only_its_own(watched: sessionmaker[Session], told: Told) -> None:
    with watched() as session:
        session.add(Task(title="second", board_id=1))
        savepoint = session.begin_nested()
        session.add(Task(title="third", board_id=2))
        session.flush()
        savepoint.rollback()
        session.commit()
    assert told.scopes() == ["board:1"]


def test_what_waits_to_be_flushed_when_a_savepoint_begins_is_not_the_savepoints(
    watched: sessionmaker[Session], told: Told
) -> None:
    with watched() as session:
        session.add(Task(title="second", board_id=1))
        with session.begin_nested():
            session.add(Task(title="third", board_id=1))
            inner = session.begin_nested()  # flushes the third task
            inner.rollback()
        with suppress(LookupError), session.begin_nested():
            session.add(Task(title="fourth", board_id=2))
            raise LookupError
        session.commit()
        assert told.scopes() == ["board:1"]
        assert [task.title for task in session.query(Task).order_by(Task.id)] == ["first", "second", "third"]


def test_a_savepoint_that_is_released_tells_with_the_outermost_commit(
    watched: sessionmaker[Session], told: Told
) -> None:
    with watched() as session:
        with session.begin_nested():
            session.add(Task(title="second", board_id=2))
        assert told() == []
        session.commit()
    assert told.scopes() == ["board:2"]


def test_a_savepoint_that_is_released_goes_with_the_transaction_around_it(
    watched: sessionmaker[Session], told: Told
) -> None:
    with watched() as session:
        with session.begin_nested():
            session.add(Task(title="second", board_id=2))
        session.rollback()
        session.commit()
    assert told() == []


def test_nested_savepoints_keep_exactly_what_the_database_keeps(watched: sessionmaker[Session], told: Told) -> None:
    """Of four savepoints inside each other, each is released or rolled back, in all ways."""

    def nest(session: Session, kept: int, depth: int) -> None:
        if depth == 4:
            return
        savepoint = session.begin_nested()
        session.add(Task(title=f"{kept} {depth} before", board_id=1 + depth % 2))
        nest(session, kept, depth + 1)
        session.add(Task(title=f"{kept} {depth} after", board_id=1 + depth % 2))
        session.flush()
        if kept & (1 << depth):
            savepoint.commit()
        else:
            savepoint.rollback()

    for kept in range(2**4):
        with watched() as session:
            nest(session, kept, 0)
            session.commit()
            stored = session.query(Task).filter(Task.title.startswith(f"{kept} ")).all()
            assert told.scopes() == sorted({f"board:{task.board_id}" for task in stored})


def test_a_commit_releases_the_savepoints_that_are_open(watched: sessionmaker[Session], told: Told) -> None:
    with watched() as session:
        session.begin_nested()
        session.begin_nested()
        session.add(Task(title="second", board_id=2))
        session.commit()
    assert told.scopes() == ["board:2"]


def test_a_flush_that_fails_in_a_savepoint_leaves_the_rest(watched: sessionmaker[Session], told: Told) -> None:
    with watched() as session:
        session.add(Task(title="second", board_id=1))
        savepoint = session.begin_nested()
        session.add(Task(title="third", board_id=2))
        session.flush()
        session.add(Board(slug="a"))
        with pytest.raises(IntegrityError):
            session.flush()
        savepoint.rollback()
        session.commit()
    assert told.scopes() == ["board:1"]


# After the commit


@pytest.mark.parametrize("expire", [True, False])
def test_nothing_is_executed_and_no_function_called_after_the_commit(engine: Engine, told: Told, expire: bool) -> None:
    sessions = sessionmaker(engine, expire_on_commit=expire)
    with sessions.begin() as session:
        session.add(Board(slug="a", tasks=[Task(title="first"), Task(title="second")]))
    calls: list[bool] = []
    seen: list[bool] = []

    class Bus(ReactiveBus):
        def emit_sync(self, event: ChangeEvent) -> None:
            seen.append(True)
            super().emit_sync(event)

    def describe(task: Task) -> tuple[str, set[str]]:
        calls.append(bool(seen))
        return f"board:{task.board.slug if task.board else None}", {"tasks"}

    emit_on_commit(sessions, Bus(), {Task: describe})
    with statements(engine) as executed, sessions() as session:
        first, second = session.get_one(Task, 1), session.get_one(Task, 2)
        session.commit()
        first.title = "changed"
        session.delete(second)
        session.add(Task(title="third", board_id=1))
        executed.clear()
        session.commit()
        assert executed[-1] == "COMMIT"
        assert executed.count("COMMIT") == 1
    assert told.scopes() == ["board:a"]
    assert calls
    assert not any(calls)


def test_the_rows_are_there_for_others_when_they_are_told(engine: Engine, sessions: sessionmaker[Session]) -> None:
    found: list[int] = []

    class Bus(ReactiveBus):
        def emit_sync(self, event: ChangeEvent) -> None:
            with engine.connect() as connection:
                found.append(connection.scalar(text("SELECT count(*) FROM tasks")) or 0)

    emit_on_commit(sessions, Bus(), {Task: lambda task: ("board", {"tasks"})})
    with sessions.begin() as session:
        session.add(Task(title="second", board_id=1))
    assert found == [2]


def test_an_emit_that_fails_is_logged_and_the_commit_stands(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    class Bus(ReactiveBus):
        def emit_sync(self, event: ChangeEvent) -> None:
            if event.scope == "board:1":
                raise ConnectionError("the engine is away")
            super().emit_sync(event)
            others.append(event.scope)

    others: list[str] = []
    sessions = sessionmaker(engine)
    emit_on_commit(sessions, Bus(), {Board: lambda board: (f"board:{board.id}", {"name"})})
    with sessions.begin() as session:
        session.add_all([Board(id=1, slug="a"), Board(id=2, slug="b")])
    assert others == ["board:2"]
    assert "scope 'board:1'" in caplog.text
    with sessions() as session:
        assert session.query(Board).count() == 2


def test_what_another_listener_raises_after_the_commit_keeps_nobody_from_being_told(
    engine: Engine, bus: ReactiveBus, told: Told
) -> None:
    sessions = sessionmaker(engine)

    @event.listens_for(sessions, "after_commit")
    def fail(session: Session) -> None:
        raise LookupError("another listener")

    emit_on_commit(sessions, bus, {Board: lambda board: ("boards", {"names"})})
    with sessions() as session:
        session.add(Board(slug="a"))
        with pytest.raises(LookupError):
            session.commit()
    assert told.scopes() == ["boards"]


# Two phases, one thread's session, and a transaction that is another's


def test_a_transaction_of_two_phases_tells_after_the_second(postgresql: Engine, bus: ReactiveBus, told: Told) -> None:
    sessions = sessionmaker(postgresql, twophase=True)
    emit_on_commit(sessions, bus, {Board: lambda board: (f"board:{board.id}", {"name"})})
    with sessions() as session:
        session.add(Board(id=1, slug="a"))
        session.prepare()
        assert told() == []
        session.commit()
        assert told.scopes() == ["board:1"]
        session.add(Board(id=2, slug="b"))
        session.prepare()
        session.rollback()
    assert told() == []


def test_a_scoped_session_is_watched(engine: Engine, bus: ReactiveBus, told: Told) -> None:
    sessions = scoped_session(sessionmaker(engine))
    emit_on_commit(sessions, bus, {Board: lambda board: ("boards", {"names"})})
    sessions.add(Board(slug="a"))
    sessions.commit()
    sessions.remove()
    assert told.scopes() == ["boards"]


def test_a_session_in_anothers_transaction_tells_with_its_own_commit(
    engine: Engine, bus: ReactiveBus, told: Told
) -> None:
    sessions = sessionmaker()
    emit_on_commit(sessions, bus, {Board: lambda board: ("boards", {"names"})})
    with engine.connect() as connection:
        transaction = connection.begin()
        with sessions(bind=connection, join_transaction_mode="create_savepoint") as session:
            session.add(Board(slug="a"))
            session.commit()
        assert told.scopes() == ["boards"]
        transaction.rollback()


def test_a_hook_that_is_removed_tells_nobody(watched: sessionmaker[Session], hook: CommitHook, told: Told) -> None:
    with watched() as session:
        session.add(Task(title="second", board_id=1))
        session.flush()
        hook.remove()
        session.commit()
        session.add(Task(title="third", board_id=1))
        session.commit()
    hook.remove()
    assert told() == []
