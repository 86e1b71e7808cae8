"""The database: an engine, its tables, and a session for each request.

The factory of sessions exists before the engine, so that ``live.py`` can track it: ``reactive.track(sessions)``. The
engine is known when the application starts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy import URL, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from .models import Base
from .seed import fill

__all__ = ["Session", "Sessions", "open_database", "sessions"]

Sessions = async_sessionmaker[AsyncSession]
sessions: Sessions = async_sessionmaker(expire_on_commit=False)
_FIRST_START = 7_301_442  # the key of this application's advisory lock


@asynccontextmanager
async def open_database(url: URL) -> AsyncIterator[Sessions]:
    """Connect, create missing tables and the initial content, and disconnect on exit."""
    engine = _engine(url)
    try:
        await _prepare(engine)
        sessions.configure(bind=engine)
        yield sessions
    finally:
        await engine.dispose()


async def _prepare(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        if engine.dialect.name == "postgresql":  # several processes may start at once
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_FIRST_START})"))
        await connection.run_sync(Base.metadata.create_all)
        async with AsyncSession(connection) as session:
            await fill(session)
            await session.flush()


def _engine(url: URL) -> AsyncEngine:
    engine = create_async_engine(url)
    if engine.dialect.name == "sqlite":
        if url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")  # readers and the writer do not block each other
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


async def _session(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(_session)]
