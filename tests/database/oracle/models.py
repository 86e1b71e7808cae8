"""The tables: keys of several types, cascades, a many-to-many relationship, a hierarchy, a composite key."""

from __future__ import annotations

import datetime
import enum
import uuid
from random import Random

from sqlalchemy import Column, Engine, ForeignKey, Table, event, func, insert, select
from sqlalchemy.engine import Connection
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column, relationship

__all__ = [
    "BOARDS",
    "DAYS",
    "PEOPLE",
    "TASKS",
    "TEAMS",
    "Base",
    "Board",
    "Card",
    "Comment",
    "Membership",
    "Note",
    "Person",
    "Photo",
    "State",
    "Tag",
    "Task",
    "Team",
    "enforce_foreign_keys",
    "fill",
    "task_tags",
]

TEAMS, BOARDS, TASKS = range(1, 4), range(1, 7), range(1, 41)
PEOPLE = tuple(uuid.UUID(int=number) for number in range(1, 6))
DAYS = tuple(datetime.date(2026, 11, day) for day in range(1, 6))


class State(enum.Enum):
    NEW = "n"
    IN_WORK = "w"
    DONE = "d"


class Base(DeclarativeBase):
    pass


task_tags = Table(
    "task_tags",
    Base.metadata,
    Column("task_id", ForeignKey("task.id", ondelete="CASCADE", onupdate="CASCADE"), primary_key=True),
    Column("tag_id", ForeignKey("tag.id", ondelete="CASCADE"), primary_key=True),
)


class Team(Base):
    __tablename__ = "team"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    boards: Mapped[list[Board]] = relationship(back_populates="team", order_by="Board.id", passive_deletes=True)


class Person(Base):
    __tablename__ = "person"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str]


class Membership(Base):
    __tablename__ = "membership"

    team_id: Mapped[int] = mapped_column(ForeignKey("team.id", ondelete="CASCADE"), primary_key=True)
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[str]
    person: Mapped[Person] = relationship()


class Board(Base):
    __tablename__ = "board"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    archived: Mapped[bool] = mapped_column(default=False)
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id", ondelete="SET NULL"))
    team: Mapped[Team | None] = relationship(back_populates="boards")
    tasks: Mapped[list[Task]] = relationship(
        back_populates="board", order_by="Task.id", cascade="all, delete-orphan", passive_updates=True
    )


class Task(Base):
    __tablename__ = "task"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    done: Mapped[bool] = mapped_column(default=False)
    state: Mapped[State] = mapped_column(default=State.NEW)
    due: Mapped[datetime.date | None]
    points: Mapped[int] = mapped_column(default=1)
    board_id: Mapped[int | None] = mapped_column(ForeignKey("board.id", ondelete="CASCADE", onupdate="CASCADE"))
    assignee_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    board: Mapped[Board | None] = relationship(back_populates="tasks")
    assignee: Mapped[Person | None] = relationship()
    comments: Mapped[list[Comment]] = relationship(
        order_by="Comment.id", cascade="all, delete-orphan", passive_deletes=True, passive_updates=True
    )
    tags: Mapped[list[Tag]] = relationship(secondary=task_tags, order_by="Tag.id", passive_deletes=True)


class Comment(Base):
    __tablename__ = "comment"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    task_id: Mapped[int] = mapped_column(ForeignKey("task.id", ondelete="CASCADE", onupdate="CASCADE"))
    answers_id: Mapped[int | None] = mapped_column(ForeignKey("comment.id", ondelete="CASCADE"))


class Tag(Base):
    __tablename__ = "tag"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Card(Base):
    __tablename__ = "card"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "card"}  # noqa: RUF012 - as SQLAlchemy requires it

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    board_id: Mapped[int] = mapped_column(ForeignKey("board.id", ondelete="CASCADE", onupdate="CASCADE"))
    caption: Mapped[str]


class Photo(Card):
    __tablename__ = "photo"
    __mapper_args__ = {"polymorphic_identity": "photo"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(ForeignKey("card.id", ondelete="CASCADE"), primary_key=True)
    width: Mapped[int]


class Note(Card):
    __mapper_args__ = {"polymorphic_identity": "note"}  # noqa: RUF012


Board.open_count = column_property(
    select(func.count(Task.id)).where(Task.board_id == Board.id, Task.done.is_(False)).scalar_subquery(), deferred=True
)


def enforce_foreign_keys(engine: Engine) -> None:
    """Let SQLite check and cascade foreign keys."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _record: connection.execute("pragma foreign_keys = on"))


def fill(connection: Connection, random: Random) -> None:
    """Empty the tables, and fill them."""
    for table in reversed(Base.metadata.sorted_tables):
        connection.execute(table.delete())
    connection.execute(insert(Team), [{"id": team, "name": f"team {team}"} for team in TEAMS])
    connection.execute(insert(Person), [{"id": person, "name": f"p{person.int}"} for person in PEOPLE])
    connection.execute(
        insert(Board),
        [
            {"id": board, "name": f"board {board}", "archived": False, "team_id": random.choice(TEAMS)}
            for board in BOARDS
        ],
    )
    connection.execute(insert(Task), [_task(task, random) for task in TASKS])
    connection.execute(
        insert(Comment),
        [
            {"id": number, "text": f"c{number}", "task_id": random.choice(TASKS), "answers_id": answered}
            for number, answered in zip(TASKS, [None, None, *TASKS], strict=False)
        ],
    )
    connection.execute(
        insert(Membership),
        [{"team_id": team, "person_id": person, "role": f"r{team}"} for team in TEAMS for person in PEOPLE[team:]],
    )
    connection.execute(
        insert(Card.__table__),  # type: ignore[arg-type]
        [
            {
                "id": number,
                "kind": ["card", "photo", "note"][number % 3],
                "board_id": board,
                "caption": f"card {number}",
            }
            for number, board in enumerate([*BOARDS, *BOARDS], start=1)
        ],
    )
    connection.execute(insert(Photo.__table__), [{"id": number, "width": number} for number in range(1, 13, 3)])  # type: ignore[arg-type]
    connection.execute(insert(Tag), [{"id": number, "name": f"tag {number}"} for number in range(1, 5)])
    connection.execute(insert(task_tags), [{"task_id": task, "tag_id": 1 + task % 4} for task in TASKS])
    if connection.dialect.name == "postgresql":
        for table in ("team", "board", "task", "comment", "tag", "card"):
            connection.exec_driver_sql(f"select setval('{table}_id_seq', 1000)")


def _task(number: int, random: Random) -> dict[str, object]:
    return {
        "id": number,
        "title": f"task {number}",
        "done": random.random() < 0.5,
        "state": random.choice(list(State)),
        "due": random.choice([None, *DAYS]),
        "points": random.randrange(5),
        "board_id": random.choice([None, *BOARDS]),
        "assignee_id": random.choice([None, *PEOPLE]),
    }
