"""Which facts statements read: conditions that hold for each row that matters."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import (
    Engine,
    String,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    lambda_stmt,
    literal,
    not_,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session, aliased, joinedload, selectinload, subqueryload

from starlette_reactive._database.reads.analysis import fact_shapes
from starlette_reactive._database.reads.recorder import record

from .models import Board, State, Task, facts_of, watched_engine


@pytest.fixture(scope="module")
def engine() -> Engine:
    engine = watched_engine()
    with Session(engine) as session:
        for number in (7, 8):
            tasks = [Task(id=10 * number + each, title="x", done=each == 1) for each in range(3)]
            session.add(Board(id=number, owner_id=number, name="b", tasks=tasks))
        session.commit()
    return engine


board, task, other = Board.__table__, Task.__table__, Task.__table__.alias()
seven = task.c.board_id == 7
children = select(task.c.id).where(task.c.id == 7).cte("children", recursive=True)
children = children.union_all(select(task.c.id).where(task.c.parent_id == children.c.id))
of_seven = select(task.c.board_id.label("of")).where(seven).limit(3).cte()
first_three = select(task).limit(3).subquery()

STATEMENTS: list[tuple[Any, set[str]]] = [
    (select(task), {"task()"}),
    (select(task).where(seven), {"task(board_id=7)"}),
    (select(task).where(literal(7) == task.c.board_id), {"task(board_id=7)"}),
    (select(task).where(task.c.board_id.in_([7, 8])), {"task(board_id=7|8)"}),
    (select(task).where(task.c.board_id.in_([])), {"task(board_id=)"}),
    (select(task).where(task.c.board_id.in_([bindparam("a", 7), literal(8)])), {"task(board_id=7|8)"}),
    (select(task).where(task.c.board_id.is_(None)), {"task(board_id=)"}),
    (select(task).where(task.c.due == date(2024, 2, 29)), {"task(due=2024-02-29)"}),
    (select(task).where(task.c.state == State.OPEN), {"task(state=OPEN)"}),
    (
        select(task).where(task.c.token == uuid.UUID("0123456789ABCDEF0123456789ABCDEF")),
        {"task(token=01234567-89ab-cdef-0123-456789abcdef)"},
    ),
    (select(task).where(task.c.done), {"task(done=true)"}),
    (select(task).where(~task.c.done), {"task(done=false)"}),
    (select(task).where(task.c.done.is_(True)), {"task(done=true)"}),
    (select(task).where(task.c.done == False), {"task(done=false)"}),  # noqa: E712 - SQL
    (select(task).where(task.c.title == "x"), {"task()"}),
    (select(task).where(task.c.board_id != 7), {"task()"}),
    (select(task).where(task.c.board_id > 7), {"task()"}),
    (select(task).where(not_(and_(seven, task.c.done))), {"task()"}),
    (select(task).where(and_(seven, task.c.title == "x", task.c.done)), {"task(board_id=7, done=true)"}),
    (select(task).where(or_(seven, task.c.board_id == 8, task.c.board_id.in_([9]))), {"task(board_id=7|8|9)"}),
    (select(task).where(or_(seven, task.c.done)), {"task()"}),
    (
        select(task).where(or_(and_(seven, task.c.done), and_(task.c.board_id == 8, task.c.title == "x"))),
        {"task(board_id=7|8)"},
    ),
    # joins
    (select(task).join(board).where(seven), {"task(board_id=7)", "board(id=7)"}),
    (select(task, board).where(task.c.board_id == board.c.id, seven), {"task(board_id=7)", "board(id=7)"}),
    (select(board).outerjoin(task).where(board.c.id == 7), {"task(board_id=7)", "board(id=7)"}),
    # A condition that is false for NULL makes an outer join an inner one.
    (select(board).outerjoin(task).where(seven), {"task(board_id=7)", "board(id=7)"}),
    (select(board).outerjoin(task).where(task.c.board_id.in_([7])), {"task(board_id=7)", "board(id=7)"}),
    (select(board).outerjoin(task).where(or_(seven, task.c.board_id.is_(None))), {"task()", "board()"}),
    (
        select(board).outerjoin(of_seven, of_seven.c.of == board.c.id).where(board.c.id == 7),
        {"task(board_id=7)", "board(id=7)"},
    ),
    (select(board).outerjoin(of_seven, of_seven.c.of == board.c.id), {"task(board_id=7)", "board()"}),
    # A task that gets into the join takes a board out of the result.
    (select(board).outerjoin(task).where(task.c.id.is_(None)), {"task()", "board()"}),
    (select(board).outerjoin(task, and_(task.c.board_id == board.c.id, seven)), {"task(board_id=7)", "board()"}),
    (select(board).outerjoin(task).where(task.c.done.is_(None), task.c.id.is_(None)), {"task()", "board()"}),
    (select(board).outerjoin(task, full=True).where(board.c.id == 7), {"task()", "board()"}),
    (
        select(task, other).join_from(task, other, task.c.id == other.c.board_id).where(task.c.id == 7),
        {"task(id=7)", "task(board_id=7)"},
    ),
    # subqueries
    (select(board).where(exists().where(seven)), {"task(board_id=7)", "board()"}),
    (
        select(board).where(board.c.id == 7, exists().where(task.c.board_id == board.c.id)),
        {"task(board_id=7)", "board(id=7)"},
    ),
    (
        select(board).where(or_(board.c.id == 7, exists().where(task.c.board_id == board.c.id))),
        {"task()", "board()"},
    ),
    (
        select(board.c.id, select(func.count(task.c.id)).where(task.c.board_id == board.c.id).scalar_subquery()).where(
            board.c.id == 7
        ),
        {"task(board_id=7)", "board(id=7)"},
    ),
    # What ON decides matters for boards whose tasks are not kept, too.
    (
        select(board)
        .outerjoin_from(
            board, task, and_(task.c.board_id == board.c.id, exists().where(other.c.parent_id == task.c.id))
        )
        .where(board.c.id == 7, task.c.id.is_(None)),
        {"task()", "board(id=7)"},
    ),
    # A table in a subquery hides that of the same name around it.
    (
        select(task).where(seven, task.c.id == select(func.max(task.c.id)).correlate(None).scalar_subquery()),
        {"task()"},
    ),
    (select(select(task).where(seven).subquery()), {"task(board_id=7)"}),
    (select(board).join(of_seven, of_seven.c.of == board.c.id), {"task(board_id=7)", "board(id=7)"}),
    (select(board).outerjoin(of_seven, of_seven.c.of == board.c.id), {"task(board_id=7)", "board()"}),
    (select(of_seven).outerjoin(board, of_seven.c.of == board.c.id), {"task(board_id=7)", "board(id=7)"}),
    (select(first_three).where(first_three.c.board_id == 7), {"task()"}),
    (select(task).where(seven).union_all(select(task).where(task.c.id == 3)), {"task(board_id=7)", "task(id=3)"}),
    (select(children), {"task()"}),
    (select(task).where(task.c.id.in_(select(board.c.id).where(board.c.id == 7))), {"task()", "board(id=7)"}),
    # what is no equality
    (select(task).where(task.c.id.between(7, 7)), {"task()"}),
    (select(task).where(case((task.c.done, task.c.id), else_=7) == 7), {"task()"}),
    (select(task).where(func.coalesce(task.c.board_id, 7) == 7), {"task()"}),
    (select(task).where(cast(task.c.id, String) == "7"), {"task()"}),
    (select(task).where(tuple_(task.c.id, task.c.board_id).in_([(7, 7)])), {"task()"}),
    (select(task).where(task.c.board_id.is_not_distinct_from(7)), {"task()"}),
    (select(task).where(task.c.board_id.is_not(None)), {"task()"}),
    (select(task).where(task.c.board_id.not_in([7])), {"task()"}),
    # what comes after WHERE
    (select(func.count()).select_from(task).where(seven), {"task(board_id=7)"}),
    (select(task).where(seven).order_by(task.c.title).limit(3).offset(1), {"task(board_id=7)"}),
    (select(task.c.title).where(seven).distinct(), {"task(board_id=7)"}),
    (
        select(task.c.title, func.count()).where(seven).group_by(task.c.title).having(func.count() > 1),
        {"task(board_id=7)"},
    ),
    (select(func.row_number().over(order_by=task.c.id)).where(seven), {"task(board_id=7)"}),
    (select(task).where(seven).with_for_update(), {"task(board_id=7)"}),
]


@pytest.mark.parametrize(("statement", "facts"), STATEMENTS, ids=[str(number) for number in range(len(STATEMENTS))])
def test_a_statement_reads(statement: Any, facts: set[str], engine: Engine) -> None:
    assert facts_of(engine, lambda session: session.execute(statement)) == facts


def lazy(session: Session) -> None:
    assert session.get_one(Board, 7).tasks


def many_to_one(session: Session) -> None:
    assert session.get_one(Task, 70).board


def refreshed(session: Session) -> None:
    session.refresh(session.get_one(Board, 7))


def in_lambda(session: Session) -> None:
    for each in (7, 8):
        select_in_lambda(session, each)


def select_in_lambda(session: Session, number: int) -> None:
    session.execute(lambda_stmt(lambda: select(Task).where(Task.board_id == number))).all()


def aliased_twice(session: Session) -> None:
    one = aliased(Task)
    session.execute(select(Task, one).join(one, one.id == Task.board_id).where(one.id == 7)).all()


def loaded(strategy: Any) -> Callable[[Session], object]:
    return lambda session: session.scalars(select(Board).where(Board.id == 7).options(strategy)).unique().all()


ORM = [
    (lazy, {"board(id=7)", "task(board_id=7)"}),
    (many_to_one, {"task(id=70)", "board(id=7)"}),
    (refreshed, {"board(id=7)"}),
    (in_lambda, {"task(board_id=7)", "task(board_id=8)"}),
    (aliased_twice, {"task(board_id=7)", "task(id=7)"}),
    (loaded(selectinload(Board.tasks)), {"board(id=7)", "task(board_id=7)"}),
    (loaded(subqueryload(Board.tasks)), {"board(id=7)", "task(board_id=7)"}),
    (loaded(joinedload(Board.tasks)), {"board(id=7)", "task(board_id=7)"}),
    (lambda session: session.scalars(select(Task).where(Task.board.has(id=7))).all(), {"board(id=7)", "task()"}),
]


@pytest.mark.parametrize(("run", "facts"), ORM)
@pytest.mark.parametrize("cache_size", [500, 0], ids=["cached", "not cached"])
def test_the_orm_reads(run: Callable[[Session], object], facts: set[str], cache_size: int, engine: Engine) -> None:
    fresh = engine.execution_options(**({} if cache_size else {"compiled_cache": None}))
    for _ in range(2):
        assert facts_of(fresh, run) == facts


@pytest.mark.parametrize("number", [7, 8, 9])
@pytest.mark.parametrize(
    "compare",
    [
        lambda number: Task.board_id == number,
        lambda number: Task.board_id.in_([number]),
        lambda number: Task.board_id == bindparam("later", callable_=lambda: number),
    ],
    ids=["constant", "list", "function"],
)
def test_each_execution_has_its_own_values(compare: Callable[[int], Any], number: int, engine: Engine) -> None:
    statement = select(Task.id).where(compare(number))
    assert facts_of(engine, lambda session: session.execute(statement)) == {f"task(board_id={number})"}


@pytest.mark.parametrize("number", [7, 8, 9])
def test_each_execution_has_its_own_parameters(number: int, engine: Engine) -> None:
    statement = select(Task.id).where(Task.board_id == bindparam("board"))
    found = facts_of(engine, lambda session: session.execute(statement, {"board": number}))
    assert found == {f"task(board_id={number})"}


lateral = select(task.c.title).where(task.c.board_id == board.c.id).limit(1).lateral()
sample = task.tablesample(50)


@pytest.mark.parametrize(
    ("statement", "columns"),
    [
        (select(board, lateral).join(lateral, true()).where(board.c.id == 7), [("board", ["id"]), ("task", [])]),
        (select(sample).where(sample.c.id == 7), [("task", [])]),
        (select(task.c.id, sample).where(sample.c.id == task.c.id, task.c.id == 7), [("task", []), ("task", ["id"])]),
        (select(task.c.id).where(seven, task.c.state == State.OPEN), [("task", ["board_id", "state"])]),
    ],
)
def test_postgresql_reads(statement: Any, columns: list[tuple[str, list[str]]]) -> None:
    recording = record(statement.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    found = [(shape.table, [each.column for each in shape.conditions]) for shape in fact_shapes(recording)]
    assert recording.unknown is None
    assert sorted(found) == columns
