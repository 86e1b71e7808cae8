"""Kinds of page with statements that are easy to misjudge: joins of joins, subqueries in ON, and correlation."""

from __future__ import annotations

from sqlalchemy import and_, bindparam, except_, func, not_, or_, select, true
from sqlalchemy.orm import Session, aliased, with_parent, with_polymorphic

from .models import PEOPLE, TASKS, TEAMS, Board, Card, Comment, Membership, Person, Photo, State, Tag, Task, Team
from .pages import PAGES, board_of, page, shown

__all__ = ["PAGES"]


@page("exists in on")
def exists_in_on(session: Session, number: int) -> str:
    commented = select(Comment.id).where(Comment.task_id == Task.id, Comment.text == f"c{number % 9}").exists()
    query = select(Board.name, Task.title).outerjoin(Task, and_(Task.board_id == Board.id, commented))
    query = query.where(or_(Task.id.is_(None), Task.id == TASKS[number % 40]), Board.id == board_of(number))
    return shown(session.execute(query.order_by(Board.id, Task.id)))


@page("anti-join of a subquery")
def anti_join_of_subquery(session: Session, number: int) -> str:
    commented = select(Comment.task_id).where(Comment.answers_id.is_(None)).subquery()
    query = select(Task.title).outerjoin(commented, commented.c.task_id == Task.id)
    query = query.where(commented.c.task_id.is_(None), Task.board_id == board_of(number))
    return shown(session.execute(query.order_by(Task.id)))


@page("outer joins in a chain")
def outer_chain(session: Session, number: int) -> str:
    query = select(Board.name, Task.title, Person.name, Comment.text).select_from(Board)
    query = query.outerjoin(Task, and_(Task.board_id == Board.id, Task.done)).outerjoin(Task.assignee)
    query = query.outerjoin(Comment, and_(Comment.task_id == Task.id, Comment.answers_id.is_(None)))
    query = query.where(Board.team_id == TEAMS[number % 3], or_(Person.id.is_(None), Person.id == PEOPLE[number % 5]))
    return shown(session.execute(query.order_by(Board.id, Task.id, Comment.id)))


@page("outer join of a join")
def outer_join_of_join(session: Session, number: int) -> str:
    right = Task.__table__.join(Person.__table__, Person.id == Task.assignee_id)
    query = select(Board.name, Task.title, Person.name).select_from(Board).outerjoin(right, Task.board_id == Board.id)
    return shown(session.execute(query.where(Board.id == board_of(number)).order_by(Task.id)))


@page("inner join after an outer join")
def inner_after_outer(session: Session, number: int) -> str:
    query = select(Board.name, Task.title, Team.name).select_from(Board)
    query = query.outerjoin(Task, and_(Task.board_id == Board.id, Task.state == list(State)[number % 3]))
    query = query.join(Team, and_(Team.id == Board.team_id, Team.id == TEAMS[number % 3]))
    return shown(session.execute(query.where(Task.due.is_(None)).order_by(Board.id, Task.id)))


@page("parent")
def parent(session: Session, number: int) -> str:
    board = session.get(Board, board_of(number))
    if board is None:
        return "none"
    one = session.scalars(select(Task.title).where(with_parent(board, Board.tasks)).order_by(Task.id)).all()
    other = session.scalars(select(Task.title).where(Task.board == board, Task.done).order_by(Task.id)).all()
    tag = session.get(Tag, 1 + number % 4)
    third = session.scalars(select(Task.title).where(Task.tags.contains(tag)).order_by(Task.id)).all() if tag else []
    return f"{one} {other} {third}"


@page("two levels")
def two_levels(session: Session, number: int) -> str:
    deep = select(Comment.id).where(Comment.task_id == Task.id, Task.board_id == Board.id).exists()
    tasks = select(Task.id).where(Task.board_id == Board.id, Task.points > 1, deep.correlate(Task, Board)).exists()
    return shown(
        session.execute(select(Board.name).where(Board.team_id == TEAMS[number % 3], tasks).order_by(Board.id))
    )


@page("subqueries in having and order")
def having(session: Session, number: int) -> str:
    average = select(func.count()).where(Comment.task_id == TASKS[number % 40]).scalar_subquery()
    last = select(func.max(Card.id)).where(Card.board_id == Task.board_id).correlate(Task).scalar_subquery()
    query = select(Task.board_id, func.count()).where(Task.board_id.is_not(None)).group_by(Task.board_id)
    return shown(session.execute(query.having(func.count() > average).order_by(last, Task.board_id)))


@page("nested alternatives")
def nested(session: Session, number: int) -> str:
    one, other = board_of(number), board_of(number + 1)
    wanted = or_(
        and_(Task.board_id == one, or_(Task.state == State.NEW, Task.done)),
        and_(Task.board_id.in_([one, other]), Task.assignee_id == PEOPLE[number % 5]),
        and_(Task.board_id.is_(None), not_(or_(Task.done, Task.state == State.DONE))),
    )
    return shown(session.execute(select(Task.title).where(wanted).order_by(Task.id)))


@page("except")
def except_of(session: Session, number: int) -> str:
    one = select(Task.assignee_id).where(Task.board_id == board_of(number), Task.assignee_id.is_not(None))
    other = select(Membership.person_id).where(Membership.team_id == TEAMS[number % 3])
    people = except_(one, other).subquery()
    query = select(Person.name).where(Person.id.in_(select(people.c.assignee_id))).order_by(Person.id)
    return shown(session.execute(query))


@page("one cte twice")
def cte_twice(session: Session, number: int) -> str:
    busy = select(Task.board_id, Task.points).where(Task.state == list(State)[number % 3]).cte("busy")
    one, other = busy.alias(), busy.alias()
    query = (
        select(one.c.points, other.c.points)
        .join(other, one.c.points <= other.c.points)
        .where(one.c.board_id == board_of(number), other.c.board_id == 2)
    )
    return shown(session.execute(query.order_by(one.c.points, other.c.points)))


@page("filtered aggregate")
def filtered(session: Session, number: int) -> str:
    query = select(func.count().filter(Task.done), func.count().filter(Task.board_id == board_of(number)))
    return shown(session.execute(query.where(Task.state == list(State)[number % 3])))


@page("polymorphic join")
def polymorphic(session: Session, number: int) -> str:
    photo = aliased(Photo)
    query = select(Board.name, photo.width).join(photo, photo.board_id == Board.id).where(photo.width > number % 4)
    every = with_polymorphic(Card, [Photo])
    cards = select(every.caption, every.Photo.width).where(every.board_id == board_of(number)).order_by(every.id)
    return shown(session.execute(query.order_by(Board.id, photo.id))) + shown(session.execute(cards))


@page("core")
def core(session: Session, number: int) -> str:
    tasks, boards = Task.__table__, Board.__table__
    query = select(tasks.c.title).join_from(tasks, boards).where(boards.c.id == bindparam("board"))
    first = session.connection().execute(query.order_by(tasks.c.id), {"board": board_of(number)})
    second = session.connection().execute(query.order_by(tasks.c.id), {"board": board_of(number + 1)})
    return f"{shown(first)} | {shown(second)}"


@page("lateral")
def lateral(session: Session, number: int) -> str:
    latest = select(Task.title, Task.id).where(Task.board_id == Board.id).order_by(Task.id.desc()).limit(2)
    if session.get_bind().dialect.name != "postgresql":
        return shown(session.execute(latest.where(Board.id == board_of(number)).correlate(None)))
    found = latest.lateral()
    query = select(Board.name, found.c.title).outerjoin(found, true()).where(Board.id == board_of(number))
    return shown(session.execute(query.order_by(Board.id, found.c.id)))
