"""The tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, ForeignKey, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column, relationship

__all__ = [
    "STATES",
    "Activity",
    "Answer",
    "Base",
    "Board",
    "Document",
    "Message",
    "Notification",
    "Person",
    "Room",
    "Task",
    "now",
]

STATES = ("todo", "doing", "done")
WRITING_TIME = timedelta(minutes=2)  # a reply that takes longer was interrupted, for example by a restart


def now() -> datetime:
    return datetime.now(UTC)


class _Time(TypeDecorator[datetime]):
    """A point in time with its zone, even on SQLite, which stores none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value and (value if value.tzinfo else value.replace(tzinfo=UTC))


class Base(MappedAsDataclass, DeclarativeBase):
    """Base of the tables."""

    type_annotation_map = {datetime: _Time, list[dict[str, Any]]: JSON}  # noqa: RUF012


class Person(Base):
    """Somebody who has signed in at least once. ``read_until`` is the id of their newest read notification."""

    __tablename__ = "people"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    read_until: Mapped[int] = mapped_column(default=0)


class Board(Base):
    __tablename__ = "boards"

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    name: Mapped[str]


class Task(Base):
    __tablename__ = "tasks"

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    board_id: Mapped[int] = mapped_column(ForeignKey("boards.id"), index=True)
    title: Mapped[str]
    state: Mapped[str] = mapped_column(default="todo")
    assignee_id: Mapped[str | None] = mapped_column(ForeignKey("people.id"), default=None)
    changed_at: Mapped[datetime] = mapped_column(default_factory=now)
    assignee: Mapped[Person | None] = relationship(init=False, lazy="joined")


class Activity(Base):
    """One entry in the activity feed of a board."""

    __tablename__ = "activity"

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    board_id: Mapped[int] = mapped_column(ForeignKey("boards.id"), index=True)
    who: Mapped[str]
    verb: Mapped[str]
    title: Mapped[str]
    at: Mapped[datetime] = mapped_column(default_factory=now)


class Document(Base):
    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    title: Mapped[str]
    text: Mapped[str]
    saved_by: Mapped[str]
    version: Mapped[int] = mapped_column(default=1)
    saved_at: Mapped[datetime] = mapped_column(default_factory=now)


class Room(Base):
    """A chat room. Its row is locked while a message is added, so that ids are committed in order."""

    __tablename__ = "rooms"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Message(Base):
    """A chat message. It is still being written until it is ``done``."""

    __tablename__ = "messages"

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    author: Mapped[str]
    text: Mapped[str]
    done: Mapped[bool] = mapped_column(default=True)
    at: Mapped[datetime] = mapped_column(default_factory=now)

    @property
    def writing(self) -> bool:
        """Whether more text is expected."""
        return not self.done and now() - self.at < WRITING_TIME


class Notification(Base):
    __tablename__ = "notifications"

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("people.id"), index=True)
    text: Mapped[str]
    link: Mapped[str]
    at: Mapped[datetime] = mapped_column(default_factory=now)


class Answer(Base):
    """A question and its answer, once it is written. Links to it contain the token."""

    __tablename__ = "answers"

    token: Mapped[str] = mapped_column(primary_key=True)
    question: Mapped[str]
    text: Mapped[str] = mapped_column(default="")
    sources: Mapped[list[dict[str, Any]]] = mapped_column(default_factory=list)
    done: Mapped[bool] = mapped_column(default=False)
    at: Mapped[datetime] = mapped_column(default_factory=now)
