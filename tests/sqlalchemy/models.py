"""Models for the tests of commit hooks."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Column, ForeignKey, Table, func
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import (
    Composite,
    DeclarativeBase,
    Mapped,
    composite,
    mapped_column,
    relationship,
    synonym,
)


class Base(DeclarativeBase):
    pass


task_tags = Table(
    "task_tags",
    Base.metadata,
    Column("task_id", ForeignKey("tasks.id"), primary_key=True),
    Column("tag_id", ForeignKey("tags.id"), primary_key=True),
)


class Board(Base):
    __tablename__ = "boards"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    pinned_id: Mapped[int | None] = mapped_column(ForeignKey("tasks.id", use_alter=True, name="pinned_task"))
    tasks: Mapped[list[Task]] = relationship(
        back_populates="board", cascade="all, delete-orphan", foreign_keys="Task.board_id"
    )
    pinned: Mapped[Task | None] = relationship(foreign_keys=pinned_id, post_update=True)


@dataclass
class Place:
    column: int | None
    row: int | None


class Task(Base):
    __tablename__ = "tasks"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    done: Mapped[bool] = mapped_column(default=False)
    notes: Mapped[str | None] = mapped_column(default=None, deferred=True)
    state: Mapped[str] = mapped_column(server_default="new")
    data: Mapped[dict[str, Any] | None] = mapped_column(MutableDict.as_mutable(JSON), default=None)
    column: Mapped[int | None] = mapped_column("place_column", default=None)
    row: Mapped[int | None] = mapped_column("place_row", default=None)
    changed: Mapped[str | None] = mapped_column(onupdate=func.lower("NOW"))
    board_id: Mapped[int | None] = mapped_column(ForeignKey("boards.id"))
    board: Mapped[Board | None] = relationship(back_populates="tasks", foreign_keys=board_id)
    tags: Mapped[list[Tag]] = relationship(secondary=task_tags, back_populates="tasks")
    place: Composite[Place] = composite("column", "row")
    heading: Mapped[str] = synonym("title")

    @property
    def scope(self) -> str:
        return f"board:{self.board_id}"

    @functools.cached_property
    def kept_scope(self) -> str:
        return f"board:{self.board_id}"

    @hybrid_property
    def shouted(self) -> str:
        return self.title.upper()

    def scope_in(self, kind: str) -> str:
        return f"{kind}:{self.board_id}"

    def __str__(self) -> str:
        return f"{self.title} of {self.board_id}"


class Tag(Base):
    __tablename__ = "tags"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    tasks: Mapped[list[Task]] = relationship(secondary=task_tags, back_populates="tags")


class Card(Base):
    """The base of a joined and of a single-table hierarchy."""

    __tablename__ = "cards"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "card"}  # noqa: RUF012 - as SQLAlchemy requires it

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    board_id: Mapped[int]
    caption: Mapped[str] = mapped_column(default="")


class Photo(Card):
    __tablename__ = "photos"
    __mapper_args__ = {"polymorphic_identity": "photo"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(ForeignKey("cards.id"), primary_key=True)
    album_id: Mapped[int]


class Note(Card):
    __mapper_args__ = {"polymorphic_identity": "note"}  # noqa: RUF012
