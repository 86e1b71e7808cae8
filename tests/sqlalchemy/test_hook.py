"""Watched sessions, return values of functions, origins and audiences, and suppression."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from jinja2 import DictLoader, Environment
from sqlalchemy import Engine, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker

from starlette_reactive import ChangeEvent, Reactive, ReactiveBus
from starlette_reactive._core.errors import ReactiveError
from starlette_reactive.engines import Publisher
from starlette_reactive.sqlalchemy import ORIGIN, CommitHook, emit_on_commit, suppressed

from ..engines.engine import MemoryEngine, Server
from .models import Base, Board, Tag, Task
from .support import EmittedEvents

Sessions = sessionmaker[Session]


def name_boards(bus: ReactiveBus, sessions: Any) -> CommitHook:
    return emit_on_commit(sessions, bus, {Board: lambda board: ("boards", {"names"})})


# Which sessions


def test_only_the_factorys_sessions_are_watched(engine: Engine, bus: ReactiveBus, emitted: EmittedEvents) -> None:
    class Own(Session):
        pass

    class OwnOfOwn(Own):
        pass

    sessions = sessionmaker(engine, class_=Own)
    name_boards(bus, sessions)
    others: list[Callable[[], Session]] = [
        sessionmaker(engine, class_=Own),
        sessionmaker(engine),
        sessionmaker(engine, class_=sessions.class_),
        lambda: Session(engine),
        lambda: Own(engine),
        lambda: OwnOfOwn(engine),
    ]
    for number, other in enumerate(others):
        with other() as session:
            session.add(Board(slug=str(number)))
            session.commit()
    assert emitted() == []
    with sessions() as session:
        session.add(Board(slug="a"))
        session.commit()
    assert emitted.scopes() == ["boards"]


def test_a_session_class_stands_for_the_sessions_made_by_calling_it(
    engine: Engine, bus: ReactiveBus, emitted: EmittedEvents
) -> None:
    class Own(Session):
        pass

    class OwnOfOwn(Own):
        pass

    name_boards(bus, Own)
    for number, other in enumerate([sessionmaker(engine, class_=Own)(), OwnOfOwn(engine)]):
        with other as session:
            session.add(Board(slug=str(number)))
            session.commit()
    assert emitted() == []
    with Own(engine) as session:
        session.add(Board(slug="a"))
        session.commit()
    assert emitted.scopes() == ["boards"]


def test_several_hooks_on_one_factory_emit_independently(engine: Engine, emitted: EmittedEvents) -> None:
    sessions = sessionmaker(engine)
    buses = [ReactiveBus(), ReactiveBus()]
    emit_on_commit(sessions, buses[0], {Board: lambda board: ("boards:0", {"names"})})
    emit_on_commit(sessions, buses[1], {Board: lambda board: ("boards:1", {"names"})})
    with sessions() as session:
        session.add(Board(slug="a"))
        session.commit()
    assert emitted.scopes() == ["boards:0", "boards:1"]
    assert [bus.emitted_count for bus in buses] == [1, 1]


def test_reactive_stands_for_its_bus(engine: Engine) -> None:
    reactive = Reactive(Environment(loader=DictLoader({}), autoescape=True), secret="a secret for tests")
    sessions = sessionmaker(engine)
    emit_on_commit(sessions, reactive, {Board: lambda board: ("boards", {"names"})})
    with sessions.begin() as session:
        session.add(Board(slug="a"))
    assert reactive.bus.emitted_count == 1


def test_a_publisher_emits_with_origin_and_audience_and_waits_for_the_engine(engine: Engine) -> None:
    server = Server()
    sessions = sessionmaker(engine, info={"reactive_origin": "tab"})
    with Publisher(MemoryEngine(server)) as publisher:
        emit_on_commit(sessions, publisher, {Board: lambda board: ChangeEvent("boards", {"names"}, audience={"ada"})})
        with sessions.begin() as session:
            session.add(Board(slug="a"))
        [record] = server.scopes["boards"].records.values()
    assert (record.path, record.audience, record.origin) == ("names", frozenset({"ada"}), "tab")


def test_a_publisher_is_rejected_for_asynchronous_sessions() -> None:
    with pytest.raises(TypeError, match="pass a ReactiveBus"):
        emit_on_commit(async_sessionmaker(), Publisher(MemoryEngine(Server())), {})


def test_a_factory_and_its_hook_are_garbage_collected(engine: Engine, bus: ReactiveBus) -> None:
    sessions = sessionmaker(engine)
    gone: list[weakref.ref[Any]] = [weakref.ref(name_boards(bus, sessions)), weakref.ref(sessions.class_)]
    with sessions.begin() as session:
        session.add(Board(slug="a"))
    del sessions, session
    gc.collect()
    gc.collect()  # the first round frees objects that form another cycle
    assert [each() for each in gone] == [None, None]


@pytest.mark.parametrize(
    "factory",
    [None, "sessions", Session(), scoped_session(lambda: Session()), object],  # type: ignore[arg-type]
    ids=["None", "string", "session", "scoped session of a function", "another class"],
)
def test_what_does_not_make_sessions_is_rejected(bus: ReactiveBus, factory: Any) -> None:
    with pytest.raises(TypeError, match="takes a factory of sessions"):
        emit_on_commit(factory, bus, {})


def test_what_cannot_emit_is_rejected(bus: ReactiveBus) -> None:
    with pytest.raises(TypeError, match="a Reactive, a ReactiveBus or a Publisher, not str"):
        emit_on_commit(sessionmaker(), "redis://", {})  # type: ignore[arg-type]


@pytest.mark.parametrize("model", [int, "Task", Task.__table__, Task.title])
def test_an_unmapped_class_is_rejected(bus: ReactiveBus, model: Any) -> None:
    with pytest.raises(TypeError, match="neither a mapped class"):
        emit_on_commit(sessionmaker(), bus, {model: lambda row: None})


def test_what_is_not_a_function_is_rejected(bus: ReactiveBus) -> None:
    with pytest.raises(TypeError, match="is not a function"):
        emit_on_commit(sessionmaker(), bus, {Task: "board"})  # type: ignore[dict-item]


def test_the_repr_of_a_hook_lists_its_models(hook: CommitHook) -> None:
    assert repr(hook) == "<CommitHook on Session: Task>"


def test_without_sqlalchemy_the_import_names_the_extra_to_install() -> None:
    program = "import sys; sys.modules['sqlalchemy'] = None; import starlette_reactive.sqlalchemy"
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "install 'starlette-reactive[sqlalchemy]'" in done.stderr.splitlines()[-1]


def test_a_synchronous_application_does_not_import_sqlalchemys_asyncio() -> None:
    program = "import sys; import starlette_reactive.sqlalchemy; print('sqlalchemy.ext.asyncio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


# Return values of functions


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        (None, []),
        ([], []),
        (("a", {"x"}), [("a", ["x"])]),
        (("a", ["x", "y"]), [("a", ["x", "y"])]),
        ([("a", {"x"}), ("b", {"y"}), ("a", {"z"})], [("a", ["x", "z"]), ("b", ["y"])]),
        ((("a", {"x"}), ("b", {"y"})), [("a", ["x"]), ("b", ["y"])]),
        ([("a", {"x"}), None], [("a", ["x"])]),
        (ChangeEvent("a", {"*"}), [("a", ["*"])]),
        ((ChangeEvent("a", {"x"}), ("a", {"y"})), [("a", ["x", "y"])]),
    ],
)
def test_a_function_returns_no_change_one_or_several(
    engine: Engine, bus: ReactiveBus, emitted: EmittedEvents, returned: Any, expected: Any
) -> None:
    sessions = sessionmaker(engine)
    emit_on_commit(sessions, bus, {Tag: lambda tag: returned})
    with sessions.begin() as session:
        session.add(Tag(name="urgent"))
    assert emitted() == expected


def test_a_function_may_yield(engine: Engine, bus: ReactiveBus, emitted: EmittedEvents) -> None:
    def describe(board: Board) -> Any:
        for task in board.tasks:
            yield f"task:{task.id}", {"board"}

    sessions = sessionmaker(engine)
    emit_on_commit(sessions, bus, {Board: describe})
    with sessions.begin() as session:
        session.add(Board(slug="a", tasks=[Task(title="first"), Task(title="second")]))
    assert emitted.scopes() == ["task:1", "task:2"]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("board:1", "it returned 'board:1'"),
        (1, "it returned 1"),
        (("board:1", "tasks"), "bare string"),
        (("board:1", set()), "changed_paths is empty"),
        (("", {"tasks"}), "scope is empty"),
        (("board:1", {"a..b"}), "empty segment"),
        (("board:1", {"tasks"}, {"anna"}), "it returned"),
        ([1], "it returned 1"),
    ],
)
def test_a_flush_fails_if_a_function_returns_something_invalid(
    engine: Engine, bus: ReactiveBus, emitted: EmittedEvents, returned: Any, message: str
) -> None:
    sessions = sessionmaker(engine)
    emit_on_commit(sessions, bus, {Tag: lambda tag: returned})
    with sessions() as session:
        session.add(Tag(name="urgent"))
        with pytest.raises(ReactiveError, match="for Tag failed") as failure:
            session.commit()
        session.rollback()
        assert session.query(Tag).count() == 0
    assert message in str(failure.value)
    assert emitted() == []


@pytest.mark.parametrize("change", ["insert", "update", "delete"])
def test_a_flush_fails_if_a_function_raises(
    sessions: Sessions, bus: ReactiveBus, emitted: EmittedEvents, change: str
) -> None:
    def describe(row: Any) -> None:
        raise LookupError("no such board")

    emit_on_commit(sessions, bus, {Base: describe})
    with sessions() as session:
        task = session.get_one(Task, 1)
        if change == "insert":
            session.add(Task(title="second"))
        elif change == "update":
            task.title = "changed"
        else:
            session.delete(task)
        with pytest.raises(ReactiveError, match="for Base failed.*LookupError: no such board") as failure:
            session.commit()
        assert isinstance(failure.value.__cause__, LookupError)
        session.rollback()
        assert session.execute(select(Task.id, Task.title)).all() == [(1, "first")]
        session.commit()
    assert emitted() == []


# Origin and audience


def test_the_origin_is_read_from_the_session(watched: Sessions, emitted: EmittedEvents) -> None:
    with watched(info={ORIGIN: "tab-1"}) as session:
        session.add(Task(title="second", board_id=1))
        session.commit()
        session.info[ORIGIN] = None
        session.add(Task(title="third", board_id=1))
        session.commit()
    assert [event.origin for event in emitted.events()] == ["tab-1", None]


@pytest.mark.parametrize("origin", ["", 7])
def test_a_flush_fails_if_the_origin_is_invalid(watched: Sessions, emitted: EmittedEvents, origin: Any) -> None:
    with watched(info={ORIGIN: origin}) as session:
        session.add(Task(title="second", board_id=1))
        with pytest.raises((TypeError, ValueError), match="origin"):
            session.commit()
    assert emitted() == []


def test_changes_for_different_audiences_are_separate_events(
    engine: Engine, bus: ReactiveBus, emitted: EmittedEvents
) -> None:
    sessions = sessionmaker(engine)
    emit_on_commit(sessions, bus, {Tag: lambda tag: ChangeEvent("inbox", {f"tags.{tag.name}"}, audience={tag.name[0]})})
    with sessions(info={ORIGIN: "tab-1"}) as session:
        session.add_all([Tag(name="anna"), Tag(name="anton"), Tag(name="berta")])
        session.commit()
    events = sorted(emitted.events(), key=lambda event: sorted(event.audience or ()))
    assert [(event.scope, sorted(event.changed_paths), event.audience, event.origin) for event in events] == [
        ("inbox", ["tags.anna", "tags.anton"], frozenset({"a"}), "tab-1"),
        ("inbox", ["tags.berta"], frozenset({"b"}), "tab-1"),
    ]


# Suppression


def test_a_flush_inside_suppressed_is_not_emitted(watched: Sessions, emitted: EmittedEvents) -> None:
    with watched() as session:
        with suppressed():
            session.add(Task(title="second", board_id=1))
            session.flush()
        session.add(Task(title="third", board_id=2))
        session.commit()
    assert emitted.scopes() == ["board:2"]


def test_a_commit_inside_suppressed_is_not_emitted(watched: Sessions, emitted: EmittedEvents) -> None:
    with watched() as session:
        session.add(Task(title="second", board_id=1))
        session.flush()
        with suppressed(), suppressed():
            session.commit()
        session.add(Task(title="third", board_id=2))
        session.commit()
    assert emitted.scopes() == ["board:2"]


def test_an_exception_inside_suppressed_ends_the_suppression(watched: Sessions, emitted: EmittedEvents) -> None:
    def fail() -> None:
        with suppressed():
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with watched.begin() as session:
        session.add(Task(title="second", board_id=1))
    assert emitted.scopes() == ["board:1"]


def test_other_threads_are_not_suppressed(watched: Sessions, emitted: EmittedEvents) -> None:
    def add() -> None:
        with watched.begin() as session:
            session.add(Task(title="second", board_id=1))

    with suppressed():
        thread = threading.Thread(target=add)
        thread.start()
        thread.join()
    assert emitted.scopes() == ["board:1"]


# Statements without a flush


def test_a_statement_on_a_watched_model_logs_one_warning(
    watched: Sessions, emitted: EmittedEvents, caplog: pytest.LogCaptureFixture
) -> None:
    statements: list[tuple[str, Any]] = [
        ("update", update(Task).values(title="changed")),
        ("update", update(Task).values(title=bindparam("new"))),
        ("insert", insert(Task)),
        ("delete", delete(Task)),
    ]
    table: Any = Task.__table__
    with watched() as session:
        with suppressed():
            session.execute(update(Task).values(done=True))
        session.execute(update(Tag).values(name="changed"))
        session.execute(update(table).values(title="changed"))
        session.execute(select(Task)).all()
        assert caplog.records == []
        for _, statement in statements:
            parameters = {"new": "changed"} if "new" in str(statement) else {"title": "second"}
            session.execute(statement, [parameters] if "INSERT" in str(statement) else parameters)
        session.query(Task).delete()
        session.commit()
    assert emitted() == []
    assert [(record.levelno, record.getMessage().partition(" ")[0]) for record in caplog.records] == [
        (logging.WARNING, f"{verb}(Task)") for verb in ("update", "insert", "delete")
    ]


def test_bulk_methods_emit_nothing(watched: Sessions, emitted: EmittedEvents) -> None:
    with watched() as session:
        session.bulk_save_objects([Task(title="second", board_id=1)])
        session.bulk_insert_mappings(Task.__mapper__, [{"title": "third", "board_id": 1}])
        session.commit()
    assert emitted() == []


def test_a_model_that_is_mapped_later_uses_the_function_of_its_base(
    engine: Engine, bus: ReactiveBus, emitted: EmittedEvents
) -> None:
    class Own(DeclarativeBase):
        pass

    class First(Own):
        __tablename__ = "first_rows"
        id: Mapped[int] = mapped_column(primary_key=True)

    sessions = sessionmaker(engine)
    emit_on_commit(sessions, bus, {Own: lambda row: (row.__tablename__, {"*"})})

    class Second(Own):
        __tablename__ = "second_rows"
        id: Mapped[int] = mapped_column(primary_key=True)

    Own.metadata.create_all(engine)
    with sessions.begin() as session:
        session.add_all([First(), Second()])
    assert emitted.scopes() == ["first_rows", "second_rows"]
    Own.metadata.drop_all(engine)
