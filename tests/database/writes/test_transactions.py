"""Events come after the commit of what they are about, once, and not without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, delete, event, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import PoolProxiedConnection

from starlette_reactive import ChangeEvent
from starlette_reactive._core.origins import emitting_as
from starlette_reactive._database.origins import ORIGIN
from starlette_reactive._database.suppression import suppressed
from starlette_reactive._database.tracking import track

from ...engines.servers import PostgresServer
from ...sqlalchemy.held_commits import Proxy, SQLiteGate, wait_until
from .models import Board, Task
from .support import Emitted

BOARD_3 = {"db:boards": {"id=3"}, "db": {"boards"}}


class Seeing:
    """Notes with each event how many boards a page would show that is read then."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.counts: list[int | None] = []

    def emit(self, _event: ChangeEvent) -> None:
        with self._engine.connect() as connection:
            self.counts.append(connection.scalar(select(func.count()).select_from(Board)))


@pytest.fixture
def seeing(engine: Engine) -> Iterator[Seeing]:
    observer = create_engine(engine.url)
    seeing = Seeing(observer)
    tracking = track(engine, seeing.emit)
    yield seeing
    tracking.stop()
    observer.dispose()


def in_a_session(engine: Engine) -> None:
    with Session(engine) as session:
        session.add(Board(name="c"))
        session.commit()


def in_a_block(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(Board).values(name="c"))


def on_a_connection(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(insert(Board).values(name="c"))
        connection.commit()


def on_a_connection_that_the_application_commits(engine: Engine) -> None:
    with engine.connect() as connection, connection.begin(), Session(connection) as session:
        session.add(Board(name="c"))
        session.flush()


def with_two_phases(engine: Engine) -> None:
    with Session(engine, twophase=True) as session:
        session.add(Board(name="c"))
        session.commit()


def with_autocommit(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(insert(Board).values(name="c"))


def with_autocommit_and_rows_to_fetch(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        result = connection.execute(insert(Board).values(name="c").returning(Board.id))
        assert result.all() == [(3,)]


def with_a_commit_as_text(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(insert(Board).values(name="c"))
        connection.execute(text("COMMIT"))


def with_a_statement_that_the_driver_commits_at_once(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("WITH name AS (SELECT 'c' AS name) INSERT INTO boards (name) SELECT name FROM name"))
        if engine.dialect.name != "sqlite":
            connection.commit()


def in_a_savepoint_that_begins_the_transaction(engine: Engine) -> None:
    with Session(engine) as session:
        with session.begin_nested():
            session.add(Board(name="c"))
        session.commit()


WAYS = [
    in_a_session,
    in_a_block,
    on_a_connection,
    on_a_connection_that_the_application_commits,
    with_autocommit,
    with_autocommit_and_rows_to_fetch,
    with_a_commit_as_text,
    with_a_statement_that_the_driver_commits_at_once,
    in_a_savepoint_that_begins_the_transaction,
]


@pytest.mark.parametrize("write", WAYS)
def test_a_page_that_is_read_at_an_event_shows_what_was_committed(
    engine: Engine, seeing: Seeing, write: Callable[[Engine], None]
) -> None:
    write(engine)
    assert seeing.counts
    assert set(seeing.counts) == {3}
    seeing.counts.clear()
    with engine.begin() as connection:
        connection.execute(select(Board))
    assert seeing.counts == []


def test_a_transaction_of_two_phases_emits_after_the_second(postgresql: Engine) -> None:
    emitted = Emitted()
    tracking = track(postgresql, emitted.emit)
    with Session(postgresql, twophase=True) as session:
        session.add(Board(name="c"))
        session.prepare()
        assert emitted.take() == []
        session.commit()
    assert emitted.paths() == BOARD_3
    with postgresql.connect() as connection:
        transaction = connection.begin_twophase("left")
        connection.execute(insert(Board).values(name="d"))
        transaction.prepare()
        connection.invalidate()
    with postgresql.connect() as connection:
        connection.commit_prepared("left", recover=True)
    assert emitted.paths() == {"db:*": {"*"}}
    tracking.stop()


def test_each_connection_of_an_engine_with_other_options_is_watched(engine: Engine, emitted: Emitted) -> None:
    with engine.execution_options(logging_token="other").begin() as connection:
        connection.execute(insert(Board).values(name="c"))
    assert emitted.paths() == BOARD_3


def test_a_commit_that_is_refused_emits_nothing(postgresql: Engine) -> None:
    emitted = Emitted()
    tracking = track(postgresql, emitted.emit)
    with postgresql.begin() as connection:
        connection.execute(text("ALTER TABLE tasks ALTER CONSTRAINT tasks_board_id_fkey DEFERRABLE INITIALLY DEFERRED"))
    emitted.take()
    with Session(postgresql) as session:
        session.add(Task(title="orphan", board_id=99))
        with pytest.raises(IntegrityError):
            session.commit()
    in_a_session(postgresql)
    assert emitted.paths() == BOARD_3
    tracking.stop()


def test_a_commit_that_is_refused_and_repeated_emits(tmp_path: Path) -> None:
    path = tmp_path / "test.sqlite3"
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 0})
    emitted = Emitted()
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE tasks (id INTEGER PRIMARY KEY, title TEXT)"))
    tracking = track(engine, emitted.emit)
    with SQLiteGate(path) as gate, engine.connect() as connection:
        connection.execute(text("INSERT INTO tasks (title) VALUES ('x')"))
        with pytest.raises(OperationalError):
            connection.commit()
        assert emitted.take() == []
        gate.open()
        driver_connection = connection.connection.driver_connection
        assert driver_connection is not None
        assert driver_connection.in_transaction
    with engine.begin() as connection:
        connection.execute(text("SELECT 1"))
        assert connection.connection.driver_connection is driver_connection
    assert emitted.paths() == {"db:*": {"*"}}
    tracking.stop()
    engine.dispose()


def test_a_commit_whose_answer_is_lost_is_emitted_now_and_again(postgres: PostgresServer, postgresql: Engine) -> None:
    with Proxy(postgres.port) as proxy:
        engine = create_engine(postgresql.url.set(port=proxy.port))
        emitted = Emitted()
        tracking = track(engine, emitted.emit)
        with Session(engine, info={ORIGIN: "tab"}) as session:
            session.add(Board(name="c"))
            session.flush()
            event.listen(engine, "commit", lambda _connection: proxy.lose())
            with pytest.raises(DBAPIError):
                session.commit()
        first = emitted.take()
        assert [each.origin for each in first] == [None, None]
        wait_until(lambda: emitted.events)
        assert emitted.take()[0] in first
        tracking.stop()
        engine.dispose()


def test_a_commit_that_is_interrupted_is_emitted_now_and_again(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    original = engine.dialect.do_commit

    def commit(_dialect: object, connection: PoolProxiedConnection) -> None:
        original(connection)
        raise KeyboardInterrupt

    monkeypatch.setattr(type(engine.dialect), "do_commit", commit)
    emitted = Emitted()
    tracking = track(engine, emitted.emit)
    with pytest.raises(KeyboardInterrupt):
        in_a_session(engine)
    assert emitted.paths() == BOARD_3
    wait_until(lambda: emitted.events)
    tracking.stop()
    monkeypatch.undo()


def test_the_origin_is_that_of_the_session_or_of_the_endpoint(engine: Engine, emitted: Emitted) -> None:
    with Session(engine, info={ORIGIN: "tab"}) as session, emitting_as("page"):
        session.add(Board(name="c"))
        session.commit()
    assert {each.origin for each in emitted.take()} == {"tab"}
    with Session(engine) as session:
        with emitting_as("page"):
            session.add(Board(name="d"))
            session.flush()
        session.commit()
    assert {each.origin for each in emitted.take()} == {"page"}
    with Session(engine) as session:
        session.add(Board(name="e"))
        session.flush()
        session.info[ORIGIN] = "late"
        session.commit()
    assert {each.origin for each in emitted.take()} == {"late"}
    with engine.begin() as connection, emitting_as("page"):
        connection.execute(delete(Board).where(Board.name == "e"))
    assert {each.origin for each in emitted.take()} == {"page"}


def test_one_transaction_of_two_origins_emits_an_event_for_each(engine: Engine, emitted: Emitted) -> None:
    with engine.begin() as connection:
        for origin in ("one", "other"):
            with emitting_as(origin):
                connection.execute(update(Board).where(Board.id == 1).values(name=origin))
    assert [(each.scope, each.origin) for each in emitted.take()] == [
        ("db:boards", "one"),
        ("db", "one"),
        ("db:boards", "other"),
        ("db", "other"),
    ]


def test_what_is_suppressed_emits_nothing(engine: Engine, emitted: Emitted) -> None:
    with Session(engine) as session:
        with suppressed():
            session.add(Task(title="third", board_id=1))
            session.flush()
        session.add(Board(name="c"))
        session.commit()
        assert emitted.paths() == BOARD_3
        session.add(Board(name="d"))
        session.flush()
        with suppressed():
            session.commit()
    assert emitted.take() == []


def test_a_function_that_fails_neither_fails_the_commit_nor_the_next_function(
    engine: Engine, emitted: Emitted, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_event: ChangeEvent) -> None:
        raise LookupError("no such bus")

    failing, other = track(engine, fail), Emitted()
    tracking = track(engine, other.emit)
    in_a_session(engine)
    assert emitted.paths() == other.paths() == BOARD_3
    assert "no such bus" in caplog.text
    failing.stop()
    tracking.stop()


def test_threads_emit_what_they_have_written_themselves(engine: Engine, emitted: Emitted) -> None:
    def write(number: int) -> None:
        for each in range(5):
            with Session(engine, info={ORIGIN: str(number)}) as session:
                session.merge(Board(id=number + 10, name=str(each)))
                session.commit()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    paths: dict[str | None, set[str]] = {}
    for each in emitted.take():
        if each.scope == "db:boards":
            paths.setdefault(each.origin, set()).update(each.changed_paths)
    assert paths == {str(number): {f"id={number + 10}"} for number in range(4)}


def test_a_rollback_to_a_savepoint_keeps_what_was_written_before_it(engine: Engine, emitted: Emitted) -> None:
    with engine.begin() as connection:
        _begin(connection)
        connection.execute(insert(Board).values(id=3, name="c"))
        outer = connection.begin_nested()
        connection.execute(insert(Board).values(id=4, name="d"))
        inner = connection.begin_nested()
        connection.execute(insert(Board).values(id=5, name="e"))
        inner.commit()
        connection.execute(insert(Board).values(id=6, name="f"))
        outer.rollback()
        connection.execute(insert(Board).values(id=7, name="g"))
    assert emitted.of("boards") == {"id=3", "id=7"}


def _begin(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN")
