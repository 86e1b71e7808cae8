"""Kinds of commit: each changes some rows in its own way, or seems to. One may fail: what it has done is undone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

from sqlalchemy import Engine, bindparam, delete, func, insert, inspect, literal, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from .models import (
    BOARDS,
    DAYS,
    PEOPLE,
    TASKS,
    TEAMS,
    Board,
    Card,
    Comment,
    Membership,
    Note,
    Person,
    Photo,
    State,
    Tag,
    Task,
    Team,
    task_tags,
)

__all__ = ["COMMITS", "KNOWN_ROWS", "Commit"]

Commit = Callable[[Session, Random], None]

COMMITS: dict[str, Commit] = {}

M = TypeVar("M")


def kind(function: Commit) -> Commit:
    COMMITS[function.__name__.replace("_", " ")] = function
    return function


def some(session: Session, model: type[M], random: Random) -> M:
    """Return a random row. Raises LookupError if there is none."""
    keys = inspect(model).primary_key
    found = session.execute(select(*keys).order_by(*keys)).all()
    if not found:
        raise LookupError(model)
    return session.get_one(model, tuple(random.choice(found)))


def board_id(random: Random) -> int | None:
    found: int | None = random.choice((None, *BOARDS))
    return found


def values(random: Random) -> dict[str, Any]:
    """Return some new values of a task."""
    found = {
        "title": f"task {random.randrange(60)}",
        "done": random.random() < 0.5,
        "state": random.choice(list(State)),
        "due": random.choice([None, *DAYS]),
        "points": random.randrange(5),
        "board_id": board_id(random),
        "assignee_id": random.choice([None, *PEOPLE]),
    }
    return {name: found[name] for name in random.sample(sorted(found), random.randrange(1, 4))}


def new_values(random: Random) -> dict[str, Any]:
    defaults = {"done": False, "state": State.NEW, "points": 1}
    return {**defaults, "title": "new", "board_id": board_id(random), **values(random)}


def condition(random: Random) -> Any:
    return random.choice(
        [
            Task.board_id == random.choice(BOARDS),
            Task.id.in_(random.sample(TASKS, 3)),
            Task.state == random.choice(list(State)),
            Task.assignee_id == random.choice(PEOPLE),
            Task.due > random.choice(DAYS),
            Task.board_id.is_(None),
            Task.title == "new",
            Task.board_id.in_(select(Board.id).where(Board.team_id == random.choice(TEAMS))),
        ]
    )


def upsert_of(session: Session, table: Any) -> Any:
    return (postgresql if session.get_bind().dialect.name == "postgresql" else sqlite).insert(table)


def engine_of(session: Session) -> Engine:
    bind = session.get_bind()
    assert isinstance(bind, Engine)
    return bind


# The unit of work


@kind
def insert_a_row(session: Session, random: Random) -> None:
    session.add(Task(**new_values(random)))


@kind
def insert_rows_of_several_tables(session: Session, random: Random) -> None:
    task = Task(**new_values(random))
    task.comments = [Comment(text="first"), Comment(text="second")]
    task.tags = [some(session, Tag, random)]
    session.add(task)


@kind
def change_a_row(session: Session, random: Random) -> None:
    for name, value in values(random).items():
        setattr(some(session, Task, random), name, value)


@kind
def change_other_tables(session: Session, random: Random) -> None:
    some(session, Person, random).name = f"p{random.randrange(9)}"
    board = some(session, Board, random)
    board.name, board.archived = f"board {random.randrange(9)}", random.random() < 0.3
    some(session, Comment, random).text = f"c{random.randrange(50)}"


@kind
def change_nothing(session: Session, random: Random) -> None:
    task = some(session, Task, random)
    task.title, task.done = str(task.title), bool(task.done)


@kind
def change_by_an_expression(session: Session, random: Random) -> None:
    some(session, Task, random).points = Task.points + 1
    some(session, Task, random).board_id = select(func.min(Board.id)).scalar_subquery()


@kind
def change_a_row_that_was_not_loaded(session: Session, random: Random) -> None:
    session.merge(Task(id=random.choice(TASKS), **new_values(random)))


@kind
def change_a_row_after_it_expired(session: Session, random: Random) -> None:
    task = some(session, Task, random)
    session.expire(task)
    task.board_id, task.state = board_id(random), random.choice(list(State))


@kind
def move_a_row(session: Session, random: Random) -> None:
    board = some(session, Board, random)
    board.tasks.append(some(session, Task, random))


@kind
def move_a_board(session: Session, random: Random) -> None:
    board = some(session, Board, random)
    board.team = random.choice([None, some(session, Team, random)])


@kind
def set_a_key_to_null(session: Session, random: Random) -> None:
    task = some(session, Task, random)
    task.board_id = task.assignee_id = None


@kind
def replace_a_collection(session: Session, random: Random) -> None:
    board = some(session, Board, random)
    board.tasks = [*board.tasks[1:], Task(title="replaced")]


@kind
def add_and_remove_many_to_many(session: Session, random: Random) -> None:
    task = some(session, Task, random)
    task.tags = random.sample(session.scalars(select(Tag)).all(), 2)


@kind
def delete_a_row(session: Session, random: Random) -> None:
    session.delete(some(session, Task, random))


@kind
def delete_a_row_with_its_rows(session: Session, random: Random) -> None:
    board = some(session, Board, random)
    key = board.id
    session.delete(board)
    session.flush()
    session.add(Board(id=key, name="again", team_id=random.choice(TEAMS)))


@kind
def delete_with_set_null(session: Session, random: Random) -> None:
    person = some(session, Person, random)
    key = person.id
    session.delete(person)
    session.flush()
    session.add(Person(id=key, name="again"))


@kind
def delete_and_insert_one_key(session: Session, random: Random) -> None:
    task = some(session, Task, random)
    key = task.id
    session.delete(task)
    session.flush()
    session.add(Task(id=key, **new_values(random)))


@kind
def change_a_primary_key(session: Session, random: Random) -> None:
    some(session, Task, random).id = random.choice(range(60, 99))


@kind
def change_a_composite_key(session: Session, random: Random) -> None:
    found = session.get(Membership, (random.choice(TEAMS), random.choice(PEOPLE)))
    if found is None:
        session.add(
            Membership(team_id=random.choice(TEAMS), person_id=random.choice(PEOPLE), role=f"r{random.random()}")
        )
    elif random.random() < 0.5:
        found.team_id = random.choice(TEAMS)
    else:
        session.delete(found)


@kind
def change_a_hierarchy(session: Session, random: Random) -> None:
    board = random.choice(BOARDS)
    session.add(random.choice([Photo(caption="p", width=3, board_id=board), Note(caption="n", board_id=board)]))
    session.flush()
    card = some(session, Card, random)
    card.caption, card.board_id = f"caption {random.randrange(9)}", random.choice(BOARDS)
    if isinstance(card, Photo):
        card.width = random.randrange(9)
    if random.random() < 0.4:
        session.delete(some(session, Card, random))


@kind
def answer_a_comment(session: Session, random: Random) -> None:
    comment = some(session, Comment, random)
    session.add(Comment(text=f"re {random.randrange(9)}", task_id=comment.task_id, answers_id=comment.id))


@kind
def bulk_methods_of_the_session(session: Session, random: Random) -> None:
    session.bulk_save_objects([Task(**new_values(random)) for _ in range(3)])
    session.bulk_update_mappings(Task, [{"id": some(session, Task, random).id, **values(random)}])
    session.bulk_insert_mappings(Comment, [{"text": "bulk", "task_id": some(session, Task, random).id}])


KNOWN_ROWS = (
    "insert a row",
    "insert rows of several tables",
    "change a row",
    "change other tables",
    "change nothing",
    "change a row that was not loaded",
    "change a row after it expired",
    "move a row",
    "move a board",
    "set a key to null",
    "add and remove many to many",
    "answer a comment",
)
"""Kinds of commit whose rows the application writes itself: no cascades of the database, and no expressions."""


# Statements


@kind
def update_many_rows(session: Session, random: Random) -> None:
    synchronize: Any = random.choice(["auto", "fetch", False])
    session.execute(
        update(Task).where(condition(random)).values(**values(random)),
        execution_options={"synchronize_session": synchronize},
    )


@kind
def update_by_expressions(session: Session, random: Random) -> None:
    session.execute(update(Task).where(condition(random)).values(points=Task.points + 1, done=~Task.done))
    session.execute(
        update(Task)
        .where(Task.id == random.choice(TASKS))
        .values(board_id=select(func.max(Board.id)).scalar_subquery())
    )


@kind
def update_by_primary_keys(session: Session, random: Random) -> None:
    session.execute(update(Task), [{"id": some(session, Task, random).id, **_same(random)} for _ in range(3)])


def _same(random: Random) -> dict[str, Any]:
    return {"board_id": random.choice(BOARDS), "title": f"task {random.randrange(60)}"}


@kind
def update_with_returning(session: Session, random: Random) -> None:
    session.execute(
        update(Task).where(condition(random)).values(**values(random)).returning(Task.id, Task.board_id)
    ).all()


@kind
def update_several_times_with_parameters(session: Session, random: Random) -> None:
    statement = update(Task.__table__).where(Task.id == bindparam("key")).values(board_id=bindparam("board"))  # type: ignore[arg-type]
    parameters = [{"key": random.choice(TASKS), "board": random.choice(BOARDS)} for _ in range(4)]
    session.connection().execute(statement, parameters)


@kind
def update_from_another_table(session: Session, random: Random) -> None:
    statement = update(Task).where(Task.board_id == Board.id, Board.team_id == random.choice(TEAMS))
    session.execute(
        statement.values(state=random.choice(list(State))), execution_options={"synchronize_session": False}
    )


@kind
def update_a_key_that_cascades(session: Session, random: Random) -> None:
    one, other, unused = (*random.sample(BOARDS, 2), 100)
    for old, new in ((one, unused), (other, one), (unused, other)):
        session.execute(update(Board).where(Board.id == old).values(id=new))


@kind
def delete_many_rows(session: Session, random: Random) -> None:
    session.execute(delete(Task).where(condition(random), Task.points == random.randrange(5)))


@kind
def delete_with_cascades(session: Session, random: Random) -> None:
    team = random.choice(TEAMS)
    session.execute(delete(Team).where(Team.id == team))
    session.execute(insert(Team).values(id=team, name="again"))
    board = random.choice(BOARDS)
    session.execute(delete(Board).where(Board.id == board))
    session.execute(insert(Board).values(id=board, name="again", team_id=team))


@kind
def delete_with_returning(session: Session, random: Random) -> None:
    keys = session.scalars(delete(Task).where(Task.id.in_(random.sample(TASKS, 2))).returning(Task.id)).all()
    for key in keys:
        session.add(Task(id=key, **new_values(random)))


@kind
def insert_many_rows(session: Session, random: Random) -> None:
    names = {"due": None, "assignee_id": None}
    session.execute(insert(Task), [{**names, **new_values(random)} for _ in range(random.randrange(1, 4))])


@kind
def insert_with_returning(session: Session, random: Random) -> None:
    session.scalars(insert(Task).returning(Task), [{**_same(random), "points": n} for n in range(3)]).all()


@kind
def insert_several_rows_in_one_statement(session: Session, random: Random) -> None:
    rows = [{"text": f"many {number}", "task_id": some(session, Task, random).id} for number in range(3)]
    session.execute(insert(Comment).values(rows))


@kind
def insert_from_a_select(session: Session, random: Random) -> None:
    names = ["title", "done", "state", "points", "board_id"]
    source = select(Task.title, Task.done, Task.state, Task.points, literal(random.choice(BOARDS))).where(
        condition(random)
    )
    session.execute(insert(Task).from_select(names, source.limit(3)))


@kind
def insert_or_update(session: Session, random: Random) -> None:
    statement = upsert_of(session, Task.__table__)
    statement = statement.values(
        [{"id": random.choice(range(1, 50)), **_same(random), "done": True, "state": State.NEW, "points": 9}]
    )
    set_: Any = {"title": statement.excluded.title, "board_id": statement.excluded.board_id}
    if random.random() < 0.5:
        set_ = {"points": Task.points + 1}
    session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=set_))


@kind
def insert_or_ignore(session: Session, random: Random) -> None:
    statement = upsert_of(session, Membership.__table__)
    row = {"team_id": random.choice(TEAMS), "person_id": random.choice(PEOPLE), "role": "ignored"}
    session.execute(statement.values(**row).on_conflict_do_nothing())


@kind
def update_and_filter_in_a_cte(session: Session, random: Random) -> None:
    chosen = select(Task.id).where(condition(random)).limit(2).cte()
    statement = update(Task).where(Task.id.in_(select(chosen.c.id))).values(board_id=random.choice(BOARDS))
    session.execute(statement, execution_options={"synchronize_session": False})


@kind
def write_with_core(session: Session, random: Random) -> None:
    with engine_of(session).begin() as connection:
        connection.execute(update(Task.__table__).where(condition(random)).values(**values(random)))  # type: ignore[arg-type]
        connection.execute(delete(task_tags).where(task_tags.c.task_id == random.choice(TASKS)))


@kind
def write_on_the_connection_of_the_session(session: Session, random: Random) -> None:
    connection = session.connection()
    connection.execute(delete(task_tags).where(task_tags.c.tag_id == random.randrange(1, 5)))
    connection.execute(insert(task_tags), [{"task_id": some(session, Task, random).id, "tag_id": n} for n in (1, 2)])


@kind
def write_text(session: Session, random: Random) -> None:
    session.execute(
        text("update task set board_id = :board where id = :task"),
        {"board": random.choice(BOARDS), "task": random.choice(TASKS)},
    )


@kind
def write_driver_sql(session: Session, random: Random) -> None:
    first = random.choice(TASKS)
    session.connection().exec_driver_sql(f"delete from comment where id between {first} and {first + 2}")


@kind
def write_without_a_transaction(session: Session, random: Random) -> None:
    with engine_of(session).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(update(Task.__table__).where(condition(random)).values(**values(random)))  # type: ignore[arg-type]
        connection.rollback()


# Transactions


@kind
def roll_back_a_savepoint(session: Session, random: Random) -> None:
    some(session, Task, random).title = "kept"
    with contextlib.suppress(ZeroDivisionError), session.begin_nested():
        some(session, Task, random).board_id = board_id(random)
        session.execute(delete(Task).where(condition(random)))
        raise ZeroDivisionError
    some(session, Task, random).points += 1


@kind
def keep_a_savepoint(session: Session, random: Random) -> None:
    with session.begin_nested():
        change_a_row(session, random)
        with session.begin_nested():
            update_many_rows(session, random)


@kind
def roll_back(session: Session, random: Random) -> None:
    change_a_row(session, random)
    delete_many_rows(session, random)
    session.flush()
    session.rollback()


@kind
def roll_back_and_commit_something_else(session: Session, random: Random) -> None:
    roll_back(session, random)
    move_a_row(session, random)


@kind
def fail_to_flush_and_go_on(session: Session, random: Random) -> None:
    task = some(session, Task, random)
    try:
        session.add(Task(**new_values(random)))
        session.add(Tag(id=1, name="taken"))
        session.flush()
    except IntegrityError:
        session.rollback()
    task = some(session, Task, random)
    task.board_id = random.choice(BOARDS)


@kind
def fail_in_a_savepoint_and_go_on(session: Session, random: Random) -> None:
    move_a_row(session, random)
    with contextlib.suppress(IntegrityError), session.begin_nested():
        session.add_all([Tag(id=1, name="taken"), Task(**new_values(random))])
    change_a_row(session, random)


@kind
def commit_several_times(session: Session, random: Random) -> None:
    for change in random.sample([change_a_row, move_a_row, insert_a_row, update_many_rows, delete_a_row], 3):
        change(session, random)
        session.commit()


@kind
def do_many_things_in_one_transaction(session: Session, random: Random) -> None:
    for change in random.sample([*MIXED], 4):
        change(session, random)
        if random.random() < 0.3:
            session.flush()


MIXED: tuple[Commit, ...] = (
    insert_a_row,
    change_a_row,
    change_other_tables,
    move_a_row,
    set_a_key_to_null,
    add_and_remove_many_to_many,
    delete_a_row,
    update_many_rows,
    insert_many_rows,
    insert_or_update,
    update_by_expressions,
)
