"""A small schema, and what is read from it."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

from sqlalchemy import Engine, ForeignKey, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlalchemy.pool import StaticPool

from starlette_reactive._core.facts import Fact
from starlette_reactive._core.reads import Read, Reads, reading
from starlette_reactive._database.reads import watch_reads


class Base(DeclarativeBase):
    pass


class State(enum.Enum):
    OPEN = "is open"
    DONE = "is done"


class Board(Base):
    __tablename__ = "board"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int | None]
    name: Mapped[str]
    tasks: Mapped[list[Task]] = relationship(back_populates="board")


class Task(Base):
    __tablename__ = "task"

    id: Mapped[int] = mapped_column(primary_key=True)
    board_id: Mapped[int | None] = mapped_column(ForeignKey("board.id"))
    parent_id: Mapped[int | None]
    title: Mapped[str]
    done: Mapped[bool] = mapped_column(default=False)
    state: Mapped[State] = mapped_column(default=State.OPEN)
    due: Mapped[date | None]
    token: Mapped[uuid.UUID | None]
    board: Mapped[Board | None] = relationship(back_populates="tasks")


_engines: list[Engine] = []


def watched_engine(views: Mapping[str, Iterable[str]] | None = None, **options: Any) -> Engine:
    """Return an engine on a new database, which is closed after the tests of the module."""
    engine = create_engine("sqlite://", poolclass=StaticPool, **options)
    _engines.append(engine)
    Base.metadata.create_all(engine)
    watch_reads(engine, views)
    return engine


def dispose_engines() -> None:
    """Close the databases of all engines."""
    while _engines:
        _engines.pop().dispose()


def reads_of(engine: Engine, run: Callable[[Session], object]) -> tuple[Read, ...]:
    """Return what a function reads with a session of its own."""
    reads = Reads()
    with Session(engine) as session, reading(reads):
        run(session)
    return reads.entries


def shown(fact: Fact) -> str:
    """Return a fact as text, such as ``task(board_id=7|8, done=true)``."""
    columns = []
    for condition in fact.conditions:
        paths = condition - {"?"}
        column = min(paths, key=len)
        values = sorted(path.removeprefix(f"{column}=") for path in paths - {column})
        columns.append(f"{column}={'|'.join(values)}")
    return f"{fact.table}({', '.join(sorted(columns))})"


def facts_of(engine: Engine, run: Callable[[Session], object]) -> set[str]:
    """Return the facts that a function reads, as text."""
    entries = reads_of(engine, run)
    everything = {"everything" for read in entries if read.facts.everything}
    return everything | {shown(fact) for read in entries for fact in read.facts.facts}
