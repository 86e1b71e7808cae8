"""A commit that was sent and not answered is emitted, however its answer was lost."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import RootTransaction
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlmodel import Session as SQLModelSession

from starlette_reactive import ChangeEvent, ReactiveBus
from starlette_reactive._core.emit_filters import filtering
from starlette_reactive._pages.changes import ChangesOfUpdate, mark_of
from starlette_reactive.sqlalchemy import ORIGIN, suppressed

from ..engines.servers import PostgresServer, postgres_binaries
from ..support import require
from .held_commits import Gate, MissingStandby, Proxy, SQLiteGate, wait_until
from .models import Base, Board, Task
from .support import EmittedEvents, SeeingBus, Watch

Sessions = sessionmaker[Session]


def of_task(task: Task) -> tuple[str, set[str]]:
    return f"board:{task.board_id}", {"tasks"}


def add_boards(engine: Engine) -> None:
    with Session(engine) as session:
        session.add_all([Board(slug="a"), Board(slug="b")])
        session.commit()


def add_task(sessions: Sessions) -> None:
    with sessions() as session:
        session.add(Task(title="second", board_id=1))
        session.commit()


@pytest.fixture
def gate(postgres: PostgresServer, postgresql: Engine) -> Iterator[Gate]:
    with Gate(postgres.url) as gate:
        yield gate


@pytest.fixture
def proxy(postgres: PostgresServer) -> Iterator[Proxy]:
    with Proxy(postgres.port) as proxy:
        yield proxy


@pytest.fixture
def behind_proxy(proxy: Proxy, postgresql: Engine) -> Iterator[Engine]:
    """An engine whose connections can be lost, on a database with the boards 1 and 2."""
    add_boards(postgresql)
    engine = create_engine(postgresql.url.set(port=proxy.port))
    yield engine
    engine.dispose()


# A connection that is lost


def in_begin_block(sessions: Sessions) -> None:
    with sessions.begin() as session:
        session.add(Task(title="second", board_id=1))


def in_begin_block_of_a_session(sessions: Sessions) -> None:
    with sessions() as session, session.begin():
        session.add(Task(title="second", board_id=1))


def in_savepoint(sessions: Sessions) -> None:
    with sessions() as session:
        with session.begin_nested():
            session.add(Task(title="second", board_id=1))
        with suppress(LookupError), session.begin_nested():
            session.add(Task(title="third", board_id=2))
            session.flush()
            raise LookupError
        session.commit()


def in_scoped_session(sessions: Sessions) -> None:
    registry = scoped_session(sessions)
    registry.add(Task(title="second", board_id=1))
    try:
        registry.commit()
    finally:
        registry.remove()


def on_a_connection(sessions: Sessions) -> None:
    with sessions.kw["bind"].connect() as connection, sessions(bind=connection) as session:
        session.add(Task(title="second", board_id=1))
        session.commit()


def without_a_close(sessions: Sessions) -> None:
    session = sessions()
    session.add(Task(title="second", board_id=1))
    try:
        session.commit()
    except OperationalError:
        kept.append(session)
        raise


kept: list[Session] = []


@pytest.fixture
def keeping() -> Iterator[None]:
    """Close the sessions that a test leaves open."""
    yield
    while kept:
        kept.pop().close()


WAYS = [
    add_task,
    in_begin_block,
    in_begin_block_of_a_session,
    in_savepoint,
    in_scoped_session,
    on_a_connection,
    without_a_close,
]


@pytest.mark.parametrize("session_class", [Session, SQLModelSession])
@pytest.mark.parametrize("commit", WAYS)
def test_a_commit_whose_answer_is_lost_is_emitted_and_again_once_it_is_visible(
    behind_proxy: Engine,
    proxy: Proxy,
    gate: Gate,
    keeping: None,
    commit: Callable[[Sessions], None],
    session_class: type[Session],
    watch: Watch,
) -> None:
    bus = SeeingBus(gate.titles)
    sessions = sessionmaker(behind_proxy, class_=session_class)
    watch(sessions, bus)
    with ThreadPoolExecutor(1) as pool:
        committed = pool.submit(commit, sessions)
        wait_until(gate.is_reached)
        assert bus.emitted == []
        proxy.lose()
        with pytest.raises(OperationalError):
            committed.result(timeout=60)
    assert bus.scopes == ["board:1"]
    assert not bus.shows("second")  # the server still works on the COMMIT
    gate.open()
    wait_until(lambda: bus.shows("second"))
    assert bus.scopes == ["board:1"]


def test_a_commit_whose_connection_the_server_ends_is_emitted(postgresql: Engine, gate: Gate, watch: Watch) -> None:
    add_boards(postgresql)
    bus = SeeingBus(gate.titles)
    sessions = sessionmaker(postgresql)
    watch(sessions, bus)
    with ThreadPoolExecutor(1) as pool:
        committed = pool.submit(add_task, sessions)
        wait_until(gate.is_reached)
        gate.terminate()
        with pytest.raises(OperationalError):
            committed.result(timeout=60)
    assert bus.scopes == ["board:1"]


# A server that dies, and commits that survive what stops them


@pytest.fixture
def lonely_server(tmp_path: Path) -> Iterator[PostgresServer]:
    """A server whose COMMITs are durable and remain invisible until somebody stops them from waiting."""
    require(postgres_binaries(), "PostgreSQL's server")
    settings = {**MissingStandby.SETTINGS, "max_prepared_transactions": "10"}
    with PostgresServer(tmp_path, settings=settings) as server:
        yield server


@pytest.fixture
def lonely(lonely_server: PostgresServer) -> Iterator[Engine]:
    """An engine on that server, with the boards 1 and 2. Its sessions wait if they ask to."""
    engine = create_engine(lonely_server.url.replace("postgresql", "postgresql+psycopg", 1))
    Base.metadata.create_all(engine)
    add_boards(engine)
    yield engine
    engine.dispose()


def add_waiting_task(sessions: Sessions) -> None:
    with sessions() as session:
        session.execute(text("SET LOCAL synchronous_commit = on"))
        session.add(Task(title="second", board_id=1))
        session.commit()


def test_a_commit_amid_which_the_server_is_killed_is_emitted_and_shown_after_its_restart(
    lonely_server: PostgresServer, lonely: Engine, bus: ReactiveBus, emitted: EmittedEvents, watch: Watch
) -> None:
    sessions = sessionmaker(lonely)
    watch(sessions, bus)
    with MissingStandby(lonely_server) as standby, ThreadPoolExecutor(1) as pool:
        committed = pool.submit(add_waiting_task, sessions)
        wait_until(standby.is_awaited)
        lonely_server.kill()
        with pytest.raises(OperationalError):
            committed.result(timeout=60)
    assert set(emitted.scopes()) == {"board:1"}
    lonely_server.start()
    with Session(lonely) as session:
        assert [task.title for task in session.query(Task)] == ["second"]


def test_a_commit_amid_which_the_program_is_interrupted_is_emitted(
    lonely_server: PostgresServer, lonely: Engine, monkeypatch: pytest.MonkeyPatch, watch: Watch
) -> None:
    with MissingStandby(lonely_server) as standby, ThreadPoolExecutor(1) as pool:
        bus = SeeingBus(standby.titles)
        sessions = sessionmaker(lonely)
        watch(sessions, bus)

        def interrupt() -> None:
            wait_until(standby.is_awaited)
            os.kill(os.getpid(), signal.SIGINT)

        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            interrupted = pool.submit(interrupt)
            with pytest.raises(KeyboardInterrupt):
                add_waiting_task(sessions)
        finally:
            signal.signal(signal.SIGINT, before)
        interrupted.result(timeout=60)
        assert bus.shows("second")  # the driver has cancelled the COMMIT, and the server has kept it
        assert bus.scopes == ["board:1"]


def test_a_second_phase_whose_answer_is_lost_is_emitted_and_again_once_it_is_visible(
    lonely_server: PostgresServer, lonely: Engine, watch: Watch
) -> None:
    with Proxy(lonely_server.port) as proxy, MissingStandby(lonely_server) as standby, ThreadPoolExecutor(1) as pool:
        bus = SeeingBus(standby.titles)
        waiting = {"options": "-c synchronous_commit=on"}
        engine = create_engine(lonely.url.set(port=proxy.port), connect_args=waiting)
        sessions = sessionmaker(engine, twophase=True)
        watch(sessions, bus)
        prepared = threading.Event()

        def commit() -> None:
            with sessions() as session:
                session.add(Task(title="second", board_id=1))
                session.prepare()
                prepared.set()
                session.commit()

        committed = pool.submit(commit)
        wait_until(standby.is_awaited)
        standby.cancel()
        assert prepared.wait(60)
        wait_until(standby.is_awaited)
        assert bus.emitted == []
        proxy.lose()
        with pytest.raises(OperationalError):
            committed.result(timeout=60)
        assert bus.scopes == ["board:1"]
        assert not bus.shows("second")
        standby.cancel()
        wait_until(lambda: bus.shows("second"))
        engine.dispose()


def test_a_second_phase_that_the_server_refuses_is_emitted_because_another_may_have_committed_it(
    postgresql: Engine, bus: ReactiveBus, emitted: EmittedEvents, watch: Watch
) -> None:
    add_boards(postgresql)
    sessions = sessionmaker(postgresql, twophase=True)
    watch(sessions, bus)
    with sessions() as session, postgresql.connect().execution_options(isolation_level="AUTOCOMMIT") as other:
        session.add(Task(title="second", board_id=1))
        session.prepare()
        name = other.scalar(text("SELECT gid FROM pg_prepared_xacts"))
        other.exec_driver_sql(f"COMMIT PREPARED '{name}'")
        with pytest.raises(ProgrammingError):
            session.commit()
        assert emitted.scopes() == ["board:1"]
        with suppress(DBAPIError):
            session.rollback()


def test_a_first_phase_that_is_interrupted_emits_nothing(
    postgresql: Engine, gate: Gate, bus: ReactiveBus, emitted: EmittedEvents, watch: Watch
) -> None:
    add_boards(postgresql)
    sessions = sessionmaker(postgresql, twophase=True)
    watch(sessions, bus)
    with ThreadPoolExecutor(1) as pool:
        committed = pool.submit(add_task, sessions)
        wait_until(gate.is_reached)
        gate.terminate()
        with pytest.raises(SQLAlchemyError):
            committed.result(timeout=60)
    assert emitted() == []


# An answer that is a refusal


def test_a_commit_that_waits_too_long_for_a_lock_emits_nothing(
    postgresql: Engine, gate: Gate, bus: ReactiveBus, emitted: EmittedEvents, watch: Watch
) -> None:
    add_boards(postgresql)
    sessions = sessionmaker(postgresql)
    watch(sessions, bus)
    with sessions() as session:
        session.add(Task(title="second", board_id=1))
        session.flush()
        session.execute(text("SET LOCAL lock_timeout = 50"))  # milliseconds
        with pytest.raises(OperationalError, match="lock timeout"):
            session.commit()
    assert emitted() == []
    assert gate.titles() == []


def test_a_commit_that_the_server_cancels_emits_nothing(
    postgresql: Engine, gate: Gate, bus: ReactiveBus, emitted: EmittedEvents, watch: Watch
) -> None:
    add_boards(postgresql)
    sessions = sessionmaker(postgresql)
    watch(sessions, bus)
    with ThreadPoolExecutor(1) as pool:
        committed = pool.submit(add_task, sessions)
        wait_until(gate.is_reached)
        gate.cancel()
        with pytest.raises(OperationalError, match="canceling statement"):
            committed.result(timeout=60)
    assert emitted() == []
    assert gate.titles() == []


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Engine]:
    """An engine on SQLite that does not wait for locks, with the boards 1 and 2."""
    engine = create_engine(f"sqlite:///{tmp_path / 'test.sqlite3'}", connect_args={"timeout": 0})
    Base.metadata.create_all(engine)
    add_boards(engine)
    yield engine
    engine.dispose()


def test_a_commit_that_finds_the_database_locked_and_is_rolled_back_emits_nothing(
    impatient: Engine, tmp_path: Path, bus: ReactiveBus, emitted: EmittedEvents, watch: Watch
) -> None:
    sessions = sessionmaker(impatient)
    watch(sessions, bus)
    with SQLiteGate(tmp_path / "test.sqlite3") as gate:
        with pytest.raises(OperationalError, match="locked"), sessions.begin() as session:
            session.add(Task(title="second", board_id=1))
        assert gate.titles() == []
    assert emitted() == []


def test_a_commit_that_finds_the_database_locked_and_is_not_rolled_back_is_emitted(
    impatient: Engine, tmp_path: Path, watch: Watch
) -> None:
    """SQLAlchemy returns the connection to the pool with an open transaction, which the next session commits."""
    sessions = sessionmaker(impatient)
    with SQLiteGate(tmp_path / "test.sqlite3") as gate:
        bus = SeeingBus(gate.titles)
        watch(sessions, bus)
        with pytest.raises(OperationalError, match="locked"):
            add_task(sessions)
        gate.open()
        with Session(impatient) as session:
            session.add(Board(slug="c"))
            session.commit()
        assert gate.titles() == ["second"]
        wait_until(lambda: bus.shows("second"))
    assert bus.scopes == ["board:1"]


@pytest.mark.parametrize("sent", [True, False], ids=["refused", "never sent"])
def test_a_commit_on_two_connections_is_emitted_if_only_the_second_fails(
    postgresql: Engine, bus: ReactiveBus, emitted: EmittedEvents, watch: Watch, sent: bool
) -> None:
    """Which connection is the second depends on the order in which SQLAlchemy commits."""
    boards, tasks = create_engine(postgresql.url), create_engine(postgresql.url)
    commits: list[Connection] = []

    def break_second(connection: Connection) -> None:
        commits.append(connection)
        if len(commits) == 2:
            connection.exec_driver_sql(f"SET CONSTRAINTS ALL {'DEFERRED' if sent else 'IMMEDIATE'}")
            connection.exec_driver_sql("INSERT INTO tasks (title, done, board_id) VALUES ('orphan', false, 99)")

    with postgresql.begin() as connection:
        connection.execute(text("ALTER TABLE tasks ALTER CONSTRAINT tasks_board_id_fkey DEFERRABLE"))
    for engine in (boards, tasks):
        event.listen(engine, "commit", break_second)
    sessions = sessionmaker(binds={Board: boards, Task: tasks})
    watch(sessions, bus, {Board: lambda board: ("boards", {"names"}), Task: of_task})
    with sessions() as session:
        session.add_all([Board(slug="a"), Task(title="second", board_id=None)])
        with pytest.raises(IntegrityError):
            session.commit()
    assert set(emitted.scopes()) == {"boards", "board:None"}
    boards.dispose()
    tasks.dispose()


# What is interrupted between the answer and the emit


@pytest.fixture
def interrupted_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupt the next COMMIT right after its answer. No signal can be timed to arrive there."""
    finish = RootTransaction._deactivate_from_connection

    def interrupt(self: RootTransaction) -> None:
        monkeypatch.setattr(RootTransaction, "_deactivate_from_connection", finish)
        finish(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(RootTransaction, "_deactivate_from_connection", interrupt)


@pytest.mark.parametrize("ends", ["rolled back", "closed", "garbage-collected"])
def test_a_commit_that_is_interrupted_after_its_answer_is_emitted_when_the_session_ends(
    watched: Sessions, emitted: EmittedEvents, ends: str, request: pytest.FixtureRequest
) -> None:
    session = watched()
    session.add(Task(title="second", board_id=1))
    session.flush()
    request.getfixturevalue("interrupted_commit")
    with pytest.raises(KeyboardInterrupt):
        session.commit()
    if ends == "rolled back":
        session.rollback()
    elif ends == "closed":
        session.close()
    del session
    gc.collect()
    assert set(emitted.scopes()) == {"board:1"}


def test_an_emit_that_is_interrupted_is_made_when_the_session_ends(
    engine: Engine, sessions: Sessions, watch: Watch
) -> None:
    emitted: list[str] = []

    class Bus(ReactiveBus):
        def emit_sync(self, event: ChangeEvent) -> None:
            emitted.append(event.scope)
            if len(emitted) == 1:
                raise KeyboardInterrupt

    watch(sessions, Bus())
    with sessions() as session:
        session.add_all([Task(title="second", board_id=1), Task(title="third", board_id=2)])
        with pytest.raises(KeyboardInterrupt):
            session.commit()
    assert {*emitted} == {"board:1", "board:2"}


def test_a_commit_that_another_listener_stops_emits_nothing(
    engine: Engine, watched: Sessions, emitted: EmittedEvents
) -> None:
    def fail(_connection: Connection) -> None:
        raise LookupError

    event.listen(engine, "commit", fail)
    with pytest.raises(LookupError):
        add_task(watched)
    event.remove(engine, "commit", fail)
    assert emitted() == []


# What is emitted


def test_a_commit_in_doubt_is_emitted_to_its_author_too(
    behind_proxy: Engine, proxy: Proxy, gate: Gate, bus: ReactiveBus, emitted: EmittedEvents, watch: Watch
) -> None:
    sessions = sessionmaker(behind_proxy, info={ORIGIN: "tab"})
    watch(
        sessions,
        bus,
        {Task: lambda task: [of_task(task), ChangeEvent("inbox", {"assigned"}, "other", audience={"ada"})]},
    )
    with ThreadPoolExecutor(1) as pool:
        committed = pool.submit(add_task, sessions)
        wait_until(gate.is_reached)
        proxy.lose()
        with pytest.raises(OperationalError):
            committed.result(timeout=60)
    assert set(emitted.events()) == {
        ChangeEvent("board:1", {"tasks"}),
        ChangeEvent("inbox", {"assigned"}, audience={"ada"}),
    }


def test_a_suppressed_commit_in_doubt_emits_nothing(
    behind_proxy: Engine, proxy: Proxy, gate: Gate, bus: ReactiveBus, emitted: EmittedEvents, watch: Watch
) -> None:
    sessions = sessionmaker(behind_proxy)
    watch(sessions, bus)

    def commit() -> None:
        with sessions() as session:
            session.add(Task(title="second", board_id=1))
            session.flush()
            with suppressed():
                session.commit()

    with ThreadPoolExecutor(1) as pool:
        committed = pool.submit(commit)
        wait_until(gate.is_reached)
        proxy.lose()
        with pytest.raises(OperationalError):
            committed.result(timeout=60)
    assert emitted() == []


def test_a_commit_in_doubt_during_an_update_is_never_told_to_the_page_that_is_updated(
    behind_proxy: Engine, proxy: Proxy, gate: Gate, watch: Watch
) -> None:
    bus = ReactiveBus()
    delivered: list[ChangeEvent] = []
    bus.observe(delivered.append)
    sessions = sessionmaker(behind_proxy)
    watch(sessions, bus)

    def update() -> None:
        with filtering(ChangesOfUpdate("page")):
            add_task(sessions)

    with ThreadPoolExecutor(1) as pool:
        committed = pool.submit(update)
        wait_until(gate.is_reached)
        proxy.lose()
        with pytest.raises(OperationalError):
            committed.result(timeout=60)
    count = len(delivered)
    wait_until(lambda: len(delivered) > count)
    assert {event.origin for event in delivered} == {mark_of("page")}


def test_a_removed_hook_repeats_nothing(behind_proxy: Engine, proxy: Proxy, gate: Gate, watch: Watch) -> None:
    bus = SeeingBus(gate.titles)
    sessions = sessionmaker(behind_proxy)
    hook = watch(sessions, bus)
    before = set(threading.enumerate())
    with ThreadPoolExecutor(1) as pool:
        committed = pool.submit(add_task, sessions)
        wait_until(gate.is_reached)
        proxy.lose()
        with pytest.raises(OperationalError):
            committed.result(timeout=60)
    repeating = [each for each in threading.enumerate() if each not in before and each.name.endswith("in doubt")]
    assert len(repeating) == 1
    hook.remove()
    repeating[0].join(60)
    assert not repeating[0].is_alive()
    gate.open()
    wait_until(lambda: gate.titles() == ["second"])
    assert not bus.shows("second")
