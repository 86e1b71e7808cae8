"""What cannot be known is everything, or a whole table; the read says why."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import (
    Boolean,
    Column,
    Engine,
    Enum,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
    bindparam,
    column,
    delete,
    func,
    insert,
    literal_column,
    select,
    table,
    text,
    type_coerce,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.sql.functions import FunctionElement

from starlette_reactive._core.reads import Reads, reading, untracked
from starlette_reactive._database.reads import watch_reads

from .models import Board, Task, facts_of, reads_of, watched_engine

BOARD: Any = Board.__table__
TASK: Any = Task.__table__
IN_BOARD_7 = TASK.c.board_id.in_(select(BOARD.c.id).where(BOARD.c.id == 7))


@pytest.fixture
def engine() -> Engine:
    engine = watched_engine()
    with Session(engine) as session:
        session.add(Board(id=7, name="b", tasks=[Task(id=70, title="x")]))
        session.commit()
    return engine


class OpenTasks(FunctionElement[int]):
    inherit_cache = True
    type = Integer()


@compiles(OpenTasks)
def _open_tasks(element: Any, compiler: Any, **kwargs: Any) -> str:
    return "(SELECT count(*) FROM task)"


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (lambda session: session.execute(text("SELECT * FROM task WHERE title = 'secret'")), "has text() in it"),
        (lambda session: session.execute(text("WITH t AS (SELECT * FROM task) SELECT * FROM t")), "has text() in it"),
        (lambda session: session.execute(select(Task).from_statement(text("SELECT * FROM task"))), "has text() in it"),
        (
            lambda session: session.execute(text("SELECT id FROM task").columns(column("id")).subquery().select()),
            "has text() in it",
        ),
        (lambda session: session.execute(select(text("1")).select_from(text("task"))), "has text() in it"),
        (
            lambda session: session.execute(select(Board).where(text("EXISTS (SELECT 1 FROM task)"))),
            "has text() in it",
        ),
        (
            lambda session: session.execute(select(literal_column("(SELECT count(*) FROM task)"))),
            "has literal_column() in it",
        ),
        (
            lambda session: session.connection().exec_driver_sql("SELECT * FROM task WHERE title = 'secret'"),
            "is text",
        ),
        (
            lambda session: session.execute(select(OpenTasks())),
            "contains OpenTasks, whose SQL is the application's own",
        ),
        (
            lambda session: session.execute(select(Board).where(OpenTasks() == 1)),
            "contains OpenTasks, whose SQL is the application's own",
        ),
        (
            lambda session: session.execute(text("UPDATE task SET title = 'x' WHERE id IN (SELECT id FROM board)")),
            "has text() in it",
        ),
    ],
)
def test_what_may_read_anything_reads_everything(run: Callable[[Session], object], reason: str, engine: Engine) -> None:
    (read,) = reads_of(engine, run)
    assert read.facts.everything
    assert read.unknown == reason
    assert "secret" not in read.statement


@pytest.mark.parametrize("statement", [select(func.open_tasks(7)), select(BOARD).where(func.my.lower("x") == "x")])
def test_a_function_of_the_application_reads_everything(statement: Any, engine: Engine) -> None:
    with engine.connect() as connection, reading(reads := Reads()), pytest.raises(Exception, match="syntax|no such"):
        connection.execute(statement)
    (read,) = reads.entries
    assert read.facts.everything
    assert read.unknown in (
        "calls open_tasks(), which may read anything",
        "calls my.lower(), which may read anything",
    )


@pytest.mark.parametrize(
    ("statement", "facts"),
    [
        (select(func.lower(Task.title), func.count()).group_by(text("1")), {"task()"}),
        (select(Task).order_by(text("title DESC")), {"task()"}),
        (select(Task.id, literal_column("coalesce(title, '')")).where(Task.board_id == 7), {"task(board_id=7)"}),
        (select(func.json_each("[1]").table_valued("value")), set()),
        (text("SELECT 1"), set()),
        (text("PRAGMA foreign_keys"), set()),
        (text("UPDATE task SET title = 'y'"), set()),
        (insert(TASK).values(id=1, title="x", done=False, state="OPEN"), set()),
        (insert(TASK).values(id=1, title="x", done=False, state="OPEN").returning(TASK.c.id), set()),
        (update(TASK).where(TASK.c.id == 7).values(title="x"), set()),
        (delete(TASK).where(TASK.c.id == 7), set()),
        (
            update(TASK).where(IN_BOARD_7).values(title="x"),
            {"board(id=7)"},
        ),
        (update(TASK).where(TASK.c.board_id == BOARD.c.id).values(title=BOARD.c.name), {"board()"}),
    ],
)
def test_what_is_harmless_reads_its_tables_only(statement: Any, facts: set[str], engine: Engine) -> None:
    assert facts_of(engine, lambda session: session.execute(statement)) == facts


class Shifted(TypeDecorator[int]):
    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: object) -> int | None:
        return None if value is None else value + 1


class Mirrored(enum.Enum):
    OPEN = "is done"
    DONE = "is open"


ODD = Table(
    "odd",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("shifted", Shifted),
    Column("flag", Boolean().with_variant(Integer(), "sqlite")),
    Column("big", Integer().with_variant(Integer(), "sqlite")),
)


@pytest.mark.parametrize(
    ("statement", "facts"),
    [
        (select(ODD).where(ODD.c.shifted == 7), {"odd()"}),
        (select(ODD).where(ODD.c.id == type_coerce(7, Shifted)), {"odd()"}),
        (select(ODD).where(ODD.c.id == bindparam("x", 7, type_=Shifted)), {"odd()"}),
        (select(ODD).where(ODD.c.flag == 1), {"odd()"}),
        (select(TASK).where(TASK.c.state == bindparam("x", Mirrored.OPEN, type_=Enum(Mirrored))), {"task(state=OPEN)"}),
        (select(ODD).where(ODD.c.big == 7), {"odd(big=7)"}),
        (select(ODD).where(ODD.c.id == ODD.c.shifted, ODD.c.id == 7), {"odd(id=7)"}),
        (select(table("odd", column("id", Integer))).where(column("id", Integer) == 7), {"odd()"}),
    ],
)
def test_columns_and_values_of_other_types_make_no_condition(statement: Any, facts: set[str], engine: Engine) -> None:
    ODD.create(engine)
    assert facts_of(engine, lambda session: session.execute(statement)) == facts


@pytest.mark.parametrize(
    ("compared", "reason"),
    [
        ((Task.board_id, "7"), "compares board_id with a value of the type str"),
        ((Task.board_id, 7.0), "compares board_id with a value of the type float"),
        ((Task.due, datetime(2024, 2, 29)), "compares due with a value of the type datetime"),
    ],
)
def test_a_value_of_another_type_widens_the_fact_and_says_so(
    compared: tuple[ColumnElement[Any], object], reason: str, engine: Engine
) -> None:
    one, value = compared
    statement = select(Task.id).where(one == bindparam("value", type_=one.type), Task.id == 70)
    (read,) = reads_of(engine, lambda session: session.execute(statement, {"value": value}))
    assert read.unknown == reason
    assert facts_of(engine, lambda session: session.execute(statement, {"value": value})) == {"task(id=70)"}


def test_a_long_list_of_values_widens_the_fact(engine: Engine) -> None:
    statement = select(Task.id).where(Task.board_id.in_(range(1001)))
    (read,) = reads_of(engine, lambda session: session.execute(statement))
    assert read.unknown == "compares board_id with more than 1000 values"
    assert facts_of(engine, lambda session: session.execute(statement)) == {"task()"}


def test_a_view_that_is_not_declared_reads_everything_and_says_how_to_declare_it(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE VIEW open_task AS SELECT * FROM task"))
    view = Table("open_task", MetaData(), Column("id", Integer))
    (read,) = reads_of(engine, lambda session: session.execute(select(view).where(view.c.id == 7)))
    assert read.facts.everything
    assert read.unknown == 'reads the view open_task; name its tables with views={"open_task": ["…"]}'


def test_a_virtual_table_is_a_view(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE VIRTUAL TABLE found USING fts5(title)"))
    virtual = Table("found", MetaData(), Column("title", String))
    (read,) = reads_of(engine, lambda session: session.execute(select(virtual)))
    assert read.facts.everything


def test_a_declared_view_reads_its_tables() -> None:
    engine = watched_engine({"open_task": ["task", "board"]})
    with engine.begin() as connection:
        connection.execute(text("CREATE VIEW open_task AS SELECT * FROM task"))
    view = Table("open_task", MetaData(), Column("id", Integer, primary_key=True))
    found = facts_of(engine, lambda session: session.execute(select(view).where(view.c.id == 7)))
    assert found == {"open_task(id=7)", "task()", "board()"}


def test_nothing_is_recorded_without_a_run_and_after_the_end(engine: Engine) -> None:
    def run(session: Session) -> None:
        with untracked():
            session.execute(select(Board))

    assert reads_of(engine, run) == ()
    own = watched_engine()
    stop = watch_reads(own)
    stop()
    assert len(reads_of(own, lambda session: session.execute(select(Board)))) == 1


def test_the_text_of_a_statement_has_no_values(engine: Engine) -> None:
    statement = select(Task.id).where(Task.token == uuid.UUID(int=7), Task.board_id.in_([123456]))
    (read,) = reads_of(engine, lambda session: session.execute(statement))
    assert "IN (:board_id_1)" in read.statement
    assert "123456" not in read.statement
