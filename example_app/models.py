"""The tables, and the SQLite file that holds them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from sqlalchemy import ForeignKey
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column


class Base(MappedAsDataclass, DeclarativeBase):
    """Base of the tables."""


class Board(Base):
    __tablename__ = "boards"

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]


class Task(Base):
    __tablename__ = "tasks"

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    board_id: Mapped[int] = mapped_column(ForeignKey("boards.id"), index=True)
    title: Mapped[str]
    done: Mapped[bool] = mapped_column(default=False)


class Activity(Base):
    """One line of a board's feed: what was done to which task."""

    __tablename__ = "activity"

    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    board_id: Mapped[int] = mapped_column(ForeignKey("boards.id"), index=True)
    verb: Mapped[str]
    title: Mapped[str]
    former_title: Mapped[str | None] = mapped_column(default=None)
    at: Mapped[datetime] = mapped_column(default_factory=datetime.now)


async def open_database(path: Path) -> AsyncEngine:
    """Return an engine on the SQLite file at ``path``, which is created with its tables if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    return engine
