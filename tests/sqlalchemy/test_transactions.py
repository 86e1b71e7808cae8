"""Changes follow their transaction: emitted after the outermost commit, dropped with a rollback."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from starlette_reactive import ChangeEvent, ReactiveBus
from starlette_reactive.sqlalchemy import CommitHook, emit_on_commit

from .models import Base, Board, Task
from .support import EmittedEvents, Watch, statements


def test_a_commit_emits_one_event_per_scope_with_all_paths(
    engine: Engine, bus: ReactiveBus, emitted: EmittedEvents
) -> None:
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
        assert emitted() == []
    assert emitted() == [("board:7", ["count", "name", "tasks"])]


def test_several_flushes_make_one_event(watched: sessionmaker[Session], emitted: EmittedEvents) -> None:
    with watched() as session:
        for title in ("second", "third", "fourth"):
            session.add(Task(title=title, board_id=1))
            session.flush()
        assert emitted() == []
        session.commit()
        assert emitted() == [("board:1", ["tasks"])]
        session.commit()
        assert emitted() == []


def test_a_rollback_emits_nothing(watched: sessionmaker[Session], emitted: EmittedEvents) -> None:
    with watched() as session:
        session.add(Task(title="second", board_id=1))
        session.flush()
        session.rollback()
        session.commit()
    assert emitted() == []


def test_a_closed_session_emits_nothing(watched: sessionmaker[Session], emitted: EmittedEvents) -> None:
    with watched() as session:
        session.add(Task(title="second", board_id=1))
        session.flush()
        session.close()
        session.add(Task(title="third", board_id=2))
        session.commit()
    assert emitted.scopes() == ["board:2"]


def test_a_begin_block_emits_at_its_end_or_not_at_all(watched: sessionmaker[Session], emitted: EmittedEvents) -> None:
    with watched() as session:
        with session.begin():
            session.add(Task(title="second", board_id=1))
        assert emitted.scopes() == ["board:1"]
        with suppress(LookupError), session.begin():
            session.add(Task(title="third", board_id=1))
            session.flush()
            raise LookupError
    assert emitted() == []


def test_a_commit_that_the_database_rejects_emits_nothing(
    engine: Engine, watched: sessionmaker[Session], emitted: EmittedEvents
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
    assert emitted() == []


# Savepoints


def test_a_savepoint_that_is_rolled_back_drops_only_its_own_changes(
    watched: sessionmaker[Session], emitted: EmittedEvents
) -> None:
    with watched() as session:
        session.add(Task(title="second", board_id=1))
        savepoint = session.begin_nested()
        session.add(Task(title="third", board_id=2))
        session.flush()
        savepoint.rollback()
        session.commit()
    assert emitted.scopes() == ["board:1"]


def test_pending_rows_at_the_start_of_a_savepoint_are_not_part_of_it(
    watched: sessionmaker[Session], emitted: EmittedEvents
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
        assert emitted.scopes() == ["board:1"]
        assert [task.title for task in session.query(Task).order_by(Task.id)] == ["first", "second", "third"]


def test_a_released_savepoint_emits_with_the_outermost_commit(
    watched: sessionmaker[Session], emitted: EmittedEvents
) -> None:
    with watched() as session:
        session.add(Task(title="second", board_id=1))
        with session.begin_nested():
            session.add(Task(title="third", board_id=2))
        assert emitted() == []
        session.commit()
    assert emitted.scopes() == ["board:1", "board:2"]


def test_a_released_savepoint_is_dropped_with_the_transaction_around_it(
    watched: sessionmaker[Session], emitted: EmittedEvents
) -> None:
    with watched() as session:
        session.add(Task(title="second", board_id=1))
        with session.begin_nested():
            session.add(Task(title="third", board_id=2))
        session.rollback()
        session.commit()
    assert emitted() == []


@pytest.mark.parametrize("begins", [True, False], ids=["with BEGIN", "without BEGIN"])
def test_a_savepoint_that_begins_a_transaction_emits_when_its_rows_are_visible(
    tmp_path: Path, begins: bool, bus: ReactiveBus, emitted: EmittedEvents, watch: Watch
) -> None:
    """Without a BEGIN, as the driver of SQLite begins a savepoint, releasing it commits it for good."""
    engine = create_engine(f"sqlite:///{tmp_path / 'test.sqlite3'}")
    Base.metadata.create_all(engine)
    if begins:
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    sessions = sessionmaker(engine)
    watch(sessions, bus)
    with sessions() as session, sessions() as other:
        with session.begin_nested():
            session.add(Task(title="second", board_id=2))
        is_visible = bool(other.query(Task).count())
        assert is_visible == (not begins)
        assert emitted.scopes() == (["board:2"] if is_visible else [])
        other.close()
        session.rollback()
        session.commit()
        assert bool(other.query(Task).count()) == is_visible
    assert emitted() == []
    engine.dispose()


def test_nested_savepoints_keep_exactly_what_the_database_keeps(
    watched: sessionmaker[Session], emitted: EmittedEvents
) -> None:
    """Release or roll back each of four nested savepoints, in all combinations."""

    def nest(session: Session, mask: int, depth: int) -> None:
        if depth == 4:
            return
        savepoint = session.begin_nested()
        session.add(Task(title=f"{mask} {depth} before", board_id=1 + depth % 2))
        nest(session, mask, depth + 1)
        session.add(Task(title=f"{mask} {depth} after", board_id=1 + depth % 2))
        session.flush()
        if mask & (1 << depth):
            savepoint.commit()
        else:
            savepoint.rollback()

    for mask in range(2**4):
        with watched() as session:
            nest(session, mask, 0)
            session.commit()
            stored = session.query(Task).filter(Task.title.startswith(f"{mask} ")).all()
            assert emitted.scopes() == sorted({f"board:{task.board_id}" for task in stored})


def test_a_commit_releases_open_savepoints(watched: sessionmaker[Session], emitted: EmittedEvents) -> None:
    with watched() as session:
        session.begin_nested()
        session.begin_nested()
        session.add(Task(title="second", board_id=2))
        session.commit()
    assert emitted.scopes() == ["board:2"]


def test_a_flush_that_fails_in_a_savepoint_leaves_the_rest(
    watched: sessionmaker[Session], emitted: EmittedEvents
) -> None:
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
    assert emitted.scopes() == ["board:1"]


# After the commit


@pytest.mark.parametrize("expire", [True, False])
def test_nothing_is_executed_and_no_function_called_after_the_commit(
    engine: Engine, emitted: EmittedEvents, expire: bool
) -> None:
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
    assert emitted.scopes() == ["board:a"]
    assert calls
    assert not any(calls)


def test_other_connections_see_the_rows_when_the_event_is_emitted(
    engine: Engine, sessions: sessionmaker[Session]
) -> None:
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
                raise ConnectionError("the engine is down")
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


def test_changes_are_emitted_even_if_another_listener_raises_after_the_commit(
    engine: Engine, bus: ReactiveBus, emitted: EmittedEvents
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
    assert emitted.scopes() == ["boards"]


# Two phases, and scoped sessions


def test_a_two_phase_transaction_emits_after_the_second_phase(
    postgresql: Engine, bus: ReactiveBus, emitted: EmittedEvents
) -> None:
    sessions = sessionmaker(postgresql, twophase=True)
    emit_on_commit(sessions, bus, {Board: lambda board: (f"board:{board.id}", {"name"})})
    with sessions() as session:
        session.add(Board(id=1, slug="a"))
        session.prepare()
        assert emitted() == []
        session.commit()
        assert emitted.scopes() == ["board:1"]
        session.add(Board(id=2, slug="b"))
        session.prepare()
        session.rollback()
    assert emitted() == []


def test_a_scoped_session_is_watched(engine: Engine, bus: ReactiveBus, emitted: EmittedEvents) -> None:
    sessions = scoped_session(sessionmaker(engine))
    emit_on_commit(sessions, bus, {Board: lambda board: ("boards", {"names"})})
    sessions.add(Board(slug="a"))
    sessions.commit()
    sessions.remove()
    assert emitted.scopes() == ["boards"]


def test_a_removed_hook_emits_nothing(watched: sessionmaker[Session], hook: CommitHook, emitted: EmittedEvents) -> None:
    with watched() as session:
        session.add(Task(title="second", board_id=1))
        session.flush()
        hook.remove()
        session.commit()
        session.add(Task(title="third", board_id=1))
        session.commit()
    hook.remove()
    assert emitted() == []
