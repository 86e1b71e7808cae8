"""Kinds of page: each returns a text that depends on what it reads from the database, and on one random number."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import and_, case, func, literal, not_, or_, select, text, true, tuple_, union_all
from sqlalchemy.orm import (
    Session,
    aliased,
    contains_eager,
    joinedload,
    selectin_polymorphic,
    selectinload,
    subqueryload,
    undefer,
    with_loader_criteria,
)

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
)

__all__ = ["FOREIGN_KEYS", "PAGES", "Page", "board_of", "page", "shown"]

Page = Callable[[Session, int], str]

PAGES: dict[str, Page] = {}
FOREIGN_KEYS = {"selectin", "lazy", "get", "in list", "several statements"}
"""Pages of selects by primary and foreign keys, which are precise."""


def page(name: str) -> Callable[[Page], Page]:
    """Return a decorator that names a kind of page."""

    def keep(function: Page) -> Page:
        PAGES[name] = function
        return function

    return keep


def board_of(number: int) -> int:
    return BOARDS[number % len(BOARDS)]


def shown(rows: Iterable[Any]) -> str:
    return "; ".join(", ".join(map(str, row)) if isinstance(row, tuple) else str(tuple(row)) for row in rows)


def _task(task: Task) -> str:
    return f"{task.id} {task.title} {task.done} {task.state} {task.due} {task.points}"


@page("selectin")
def selectin(session: Session, number: int) -> str:
    loading = selectinload(Board.tasks)
    query = select(Board).where(Board.id == board_of(number))
    board = session.scalars(query.options(loading.selectinload(Task.tags), loading.selectinload(Task.comments))).first()
    if board is None:
        return "none"
    tasks = (
        f"{_task(task)} {[tag.name for tag in task.tags]} {[comment.text for comment in task.comments]}"
        for task in board.tasks
    )
    return f"{board.name}: {'; '.join(tasks)}"


@page("lazy")
def lazy(session: Session, number: int) -> str:
    board = session.get(Board, board_of(number))
    if board is None:
        return "none"
    tasks = (f"{_task(task)} {task.assignee.name if task.assignee else None}" for task in board.tasks)
    return f"{board.name} {board.team.name if board.team else None}: {'; '.join(tasks)}"


@page("joined")
def joined(session: Session, number: int) -> str:
    query = select(Board).where(Board.id == board_of(number)).options(joinedload(Board.tasks).joinedload(Task.assignee))
    board = session.scalars(query).unique().first()
    if board is None:
        return "none"
    return f"{board.name}: {[(_task(task), task.assignee and task.assignee.name) for task in board.tasks]}"


@page("subqueryload")
def subquery_load(session: Session, number: int) -> str:
    query = (
        select(Board).where(Board.team_id == TEAMS[number % 3]).options(subqueryload(Board.tasks)).order_by(Board.id)
    )
    return str([(board.name, [task.title for task in board.tasks]) for board in session.scalars(query)])


@page("contains_eager")
def eager(session: Session, number: int) -> str:
    query = select(Board).join(Board.tasks).where(Task.state == State.NEW, Board.id == board_of(number))
    boards = session.scalars(query.options(contains_eager(Board.tasks)).order_by(Task.id)).unique()
    return str([(board.name, [task.title for task in board.tasks]) for board in boards])


@page("join")
def join(session: Session, number: int) -> str:
    query = select(Task.title, Person.name).join(Task.assignee).where(Task.board_id == board_of(number))
    return shown(session.execute(query.order_by(Task.id)))


@page("joins in a chain")
def chain(session: Session, number: int) -> str:
    query = select(Comment.text, Task.title, Board.name).join(Task, Comment.task_id == Task.id).join(Task.board)
    return shown(session.execute(query.where(Board.team_id == TEAMS[number % 3]).order_by(Comment.id)))


@page("implicit join")
def implicit(session: Session, number: int) -> str:
    query = select(Task.title, Board.name).where(Task.board_id == Board.id, Board.id == board_of(number))
    return shown(session.execute(query.order_by(Task.id)))


@page("exists")
def exists(session: Session, number: int) -> str:
    query = select(Board.name).where(Board.tasks.any(and_(Task.done.is_(False), Task.state == list(State)[number % 3])))
    return shown(session.execute(query.order_by(Board.id)))


@page("not exists")
def not_exists(session: Session, number: int) -> str:
    query = select(Board.name).where(
        ~Board.tasks.any(Task.due == DAYS[number % 5]), Board.team.has(id=TEAMS[number % 3])
    )
    return shown(session.execute(query.order_by(Board.id)))


@page("cte")
def cte(session: Session, number: int) -> str:
    waiting = select(Task.board_id, func.count().label("n")).where(Task.done.is_(False)).group_by(Task.board_id).cte()
    query = select(Board.name, waiting.c.n).join(waiting, waiting.c.board_id == Board.id)
    return shown(session.execute(query.where(Board.id == board_of(number))))


@page("recursive cte")
def recursive(session: Session, number: int) -> str:
    top = select(Comment.id, Comment.text).where(Comment.task_id == TASKS[number % 40], Comment.answers_id.is_(None))
    thread = top.cte(recursive=True)
    thread = thread.union_all(select(Comment.id, Comment.text).join(thread, Comment.answers_id == thread.c.id))
    return shown(session.execute(select(thread.c.text).order_by(thread.c.id)))


@page("aliases")
def aliases(session: Session, number: int) -> str:
    one, other = aliased(Task), aliased(Task)
    query = select(one.title, other.title).join(other, and_(one.state == other.state, one.id < other.id))
    query = query.where(one.board_id == board_of(number), other.board_id == board_of(number + 1))
    return shown(session.execute(query.order_by(one.id, other.id)))


@page("aggregate")
def aggregate(session: Session, number: int) -> str:
    query = select(func.count(), func.sum(Task.points), func.max(Task.due))
    return shown(session.execute(query.where(Task.board_id == board_of(number))))


@page("limit")
def limit(session: Session, number: int) -> str:
    query = select(Task).where(Task.board_id == board_of(number)).order_by(Task.title, Task.id).limit(3)
    return str([_task(task) for task in session.scalars(query)])


@page("group by")
def group_by(session: Session, number: int) -> str:
    query = select(Task.board_id, func.count()).where(Task.state == list(State)[number % 3]).group_by(Task.board_id)
    return shown(session.execute(query.having(func.count() > 1).order_by(Task.board_id)))


@page("text")
def raw_text(session: Session, number: int) -> str:
    query = text("select title from task where board_id = :board order by id")
    return shown(session.execute(query, {"board": board_of(number)}))


@page("outer join")
def outer_join(session: Session, number: int) -> str:
    query = select(Board.name, func.count(Task.id), func.min(Task.title))
    query = query.outerjoin(Task, and_(Task.board_id == Board.id, Task.done.is_(False), Task.state == State.NEW))
    return shown(session.execute(query.where(Board.id == board_of(number)).group_by(Board.id, Board.name)))


@page("anti-join")
def anti_join(session: Session, number: int) -> str:
    query = select(Board.name).outerjoin(Task, and_(Task.board_id == Board.id, Task.due == DAYS[number % 5]))
    return shown(session.execute(query.where(Task.id.is_(None)).order_by(Board.id)))


@page("full outer join")
def full_outer_join(session: Session, number: int) -> str:
    query = select(Board.name, Task.title).join(Task, Task.board_id == Board.id, full=True)
    query = query.where(or_(Task.state == list(State)[number % 3], Board.id == board_of(number)))
    return shown(session.execute(query.order_by(Board.id, Task.id)))


@page("subquery in")
def subquery_in(session: Session, number: int) -> str:
    boards = select(Board.id).where(Board.team_id == TEAMS[number % 3])
    return shown(session.execute(select(Task.title).where(Task.board_id.in_(boards)).order_by(Task.id)))


@page("subquery not in")
def subquery_not_in(session: Session, number: int) -> str:
    busy = select(Task.assignee_id).where(Task.board_id == board_of(number), Task.assignee_id.is_not(None))
    return shown(session.execute(select(Person.name).where(Person.id.not_in(busy)).order_by(Person.id)))


@page("union")
def union(session: Session, number: int) -> str:
    one = select(Task.title).where(Task.board_id == board_of(number))
    other = select(Comment.text).where(Comment.task_id == TASKS[number % 40])
    return shown(session.execute(union_all(one, other).order_by(text("1"))))


@page("scalar subquery")
def scalar_subquery(session: Session, number: int) -> str:
    count = select(func.count()).where(Task.board_id == Board.id, Task.done.is_(True)).scalar_subquery()
    return shown(session.execute(select(Board.name, count).where(Board.id == board_of(number))))


@page("get")
def get(session: Session, number: int) -> str:
    task = session.get(Task, TASKS[number % 40])
    return "none" if task is None else f"{_task(task)} {task.board.name if task.board else None}"


@page("composite key")
def composite_key(session: Session, number: int) -> str:
    found = session.get(Membership, (TEAMS[number % 3], PEOPLE[number % 5]))
    return "none" if found is None else f"{found.role} {found.person.name}"


@page("tuples")
def tuples(session: Session, number: int) -> str:
    pairs = [(TEAMS[number % 3], PEOPLE[number % 5]), (TEAMS[0], PEOPLE[(number + 1) % 5])]
    query = select(Membership.role).where(tuple_(Membership.team_id, Membership.person_id).in_(pairs))
    return shown(session.execute(query.order_by(Membership.team_id, Membership.person_id)))


@page("all types")
def all_types(session: Session, number: int) -> str:
    query = select(Task.title).where(
        Task.state == list(State)[number % 3], Task.done == bool(number % 2), Task.assignee_id == PEOPLE[number % 5]
    )
    return shown(session.execute(query.order_by(Task.id))) + shown(
        session.execute(
            select(Task.title).where(Task.due == DAYS[number % 5], Task.points == number % 5).order_by(Task.id)
        )
    )


@page("in list")
def in_list(session: Session, number: int) -> str:
    chosen = [TASKS[(number + step) % 40] for step in range(0, 12, 3)]
    return str([_task(task) for task in session.scalars(select(Task).where(Task.id.in_(chosen)).order_by(Task.id))])


@page("empty in list")
def empty_in_list(session: Session, number: int) -> str:
    chosen = [board_of(number)] if number % 2 else []
    return shown(session.execute(select(Task.title).where(Task.board_id.in_(chosen)).order_by(Task.id)))


@page("or")
def either(session: Session, number: int) -> str:
    query = select(Task.title).where(or_(Task.board_id == board_of(number), Task.state == list(State)[number % 3]))
    return shown(session.execute(query.order_by(Task.id)))


@page("not")
def negated(session: Session, number: int) -> str:
    query = select(Task.title).where(not_(and_(Task.board_id == board_of(number), Task.done)), Task.board_id != 3)
    return shown(session.execute(query.order_by(Task.id)))


@page("null")
def null(session: Session, number: int) -> str:
    query = select(Task.title).where(Task.board_id.is_(None) if number % 2 else Task.assignee_id == None)  # noqa: E711
    return shown(session.execute(query.where(Task.state == list(State)[number % 3]).order_by(Task.id)))


@page("expressions")
def expressions(session: Session, number: int) -> str:
    query = select(Task.title, case((Task.done, "done"), else_="open")).where(
        func.coalesce(Task.board_id, 0) == board_of(number) - 1, Task.points + 1 > number % 5, Task.points.between(0, 3)
    )
    return shown(session.execute(query.order_by(Task.id)))


@page("text equality")
def text_equality(session: Session, number: int) -> str:
    return shown(
        session.execute(
            select(Task.id, Task.board_id).where(Task.title == f"task {TASKS[number % 40]}").order_by(Task.id)
        )
    )


@page("window")
def window(session: Session, number: int) -> str:
    rank = func.row_number().over(partition_by=Task.board_id, order_by=(Task.points, Task.id)).label("rank")
    ranked = select(Task.title, Task.board_id, rank).subquery()
    return shown(
        session.execute(select(ranked.c.title).where(ranked.c.rank == 1, ranked.c.board_id == board_of(number)))
    )


@page("subquery in from")
def subquery_in_from(session: Session, number: int) -> str:
    known = select(Task.board_id, Task.title).where(Task.done == bool(number % 2)).subquery()
    query = select(Board.name, known.c.title).join(known, known.c.board_id == Board.id)
    return shown(session.execute(query.where(Board.id == board_of(number)).order_by(known.c.title)))


@page("limited subquery")
def limited_subquery(session: Session, number: int) -> str:
    first = select(Task.id, Task.title, Task.board_id).order_by(Task.points, Task.id).limit(5).subquery()
    return shown(
        session.execute(select(first.c.title).where(first.c.board_id == board_of(number)).order_by(first.c.id))
    )


@page("distinct")
def distinct(session: Session, number: int) -> str:
    query = select(Task.assignee_id).distinct().where(Task.board_id == board_of(number)).order_by(Task.assignee_id)
    return shown(session.execute(query))


@page("column property")
def column_property_(session: Session, number: int) -> str:
    query = select(Board).where(Board.id == board_of(number)).options(undefer(Board.open_count))  # type: ignore[attr-defined]
    return str([(board.name, board.open_count) for board in session.scalars(query)])  # type: ignore[attr-defined]


@page("loader criteria")
def loader_criteria(session: Session, number: int) -> str:
    query = (
        select(Board)
        .where(Board.id == board_of(number))
        .options(selectinload(Board.tasks), with_loader_criteria(Task, Task.done.is_(False)))
    )
    return str([(board.name, [task.title for task in board.tasks]) for board in session.scalars(query)])


@page("many to many")
def many_to_many(session: Session, number: int) -> str:
    query = select(Task.title, Tag.name).join(Task.tags).where(Tag.id == 1 + number % 4).order_by(Task.id)
    return shown(session.execute(query))


@page("hierarchy")
def hierarchy(session: Session, number: int) -> str:
    query = (
        select(Card)
        .where(Card.board_id == board_of(number))
        .options(selectin_polymorphic(Card, [Photo]))
        .order_by(Card.id)
    )
    cards = (
        f"{card.kind} {card.caption} {card.width if isinstance(card, Photo) else ''}" for card in session.scalars(query)
    )
    return "; ".join(cards)


@page("one class of a hierarchy")
def one_class(session: Session, number: int) -> str:
    photos = session.execute(
        select(Photo.caption, Photo.width).where(Photo.board_id == board_of(number)).order_by(Photo.id)
    )
    return f"{shown(photos)} | {shown(session.execute(select(Note.caption).order_by(Note.id)))}"


@page("several statements")
def several_statements(session: Session, number: int) -> str:
    task = session.get(Task, TASKS[number % 40])
    if task is None or task.board_id is None:
        return "none"
    others = session.scalars(select(Task).where(Task.board_id == task.board_id).order_by(Task.id))
    return str([_task(each) for each in others])


@page("constant condition")
def constant(session: Session, number: int) -> str:
    query = select(Tag.name).where(true() if number % 2 else Tag.id == literal(2))
    return shown(session.execute(query.order_by(Tag.id)))


@page("equal columns")
def equal_columns(session: Session, number: int) -> str:
    query = select(Task.title, Card.caption).join(Card, Task.board_id == Card.board_id)
    return shown(session.execute(query.where(Card.board_id == board_of(number)).order_by(Task.id, Card.id)))
