"""A database in which pages run and commits happen: with synchronous, asynchronous, and SQLModel's sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from random import Random
from typing import Any, Self

from anyio.from_thread import BlockingPortal, start_blocking_portal
from sqlalchemy import Engine, StaticPool, create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlmodel.ext.asyncio.session import AsyncSession as SQLModelAsyncSession
from sqlmodel.orm.session import Session as SQLModelSession

from starlette_reactive._core.events import ChangeEvent
from starlette_reactive._core.facts import UNKNOWN, table_scope
from starlette_reactive._database.reads import watch_reads
from starlette_reactive._database.writes import watch_writes

from .commits import COMMITS
from .harder_pages import PAGES
from .judge import Oracle, changes_of
from .models import Base, enforce_foreign_keys, fill
from .pages import Page
from .reference import Rows, exact_events, facts_of_changed_rows, rows_of_all_tables

__all__ = [
    "SESSIONS",
    "AsyncWorld",
    "ExactWorld",
    "SyncWorld",
    "TriggerWorld",
    "World",
    "check",
    "check_rows",
    "open_world",
]

SESSIONS = ("sync", "sync-sqlmodel", "async", "async-sqlmodel")
REFILL, CHOOSE = 200, 20
"""Commits after which the tables are filled again, and after which other pages are viewed."""


class World:
    """A database, and what was emitted about it since the last call.

    Args:
        engine: The engine whose reads and writes are watched.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._events: list[ChangeEvent] = []
        self._stops = [watch_reads(engine), watch_writes(engine, self._events.append)]

    def run(self, page: Page, number: int) -> str:
        """Return what a page shows, in a session of its own."""
        raise NotImplementedError

    def fill(self, random: Random) -> None:
        """Fill the tables."""
        raise NotImplementedError

    def commit(self, kind: str, random: Random) -> bool:
        """Change something, and return whether that succeeded."""
        raise NotImplementedError

    def rows(self) -> Rows:
        """Return the rows of all tables."""
        raise NotImplementedError

    def emitted(self) -> list[ChangeEvent]:
        """Return what was emitted since the last call."""
        events = list(self._events)
        self._events.clear()
        return events

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        for stop in self._stops:
            stop()


class SyncWorld(World):
    """Synchronous sessions.

    Args:
        engine: The engine.
        session_class: The class of the sessions.
    """

    def __init__(self, engine: Engine, session_class: type[Session]) -> None:
        super().__init__(engine)
        self._session_class = session_class
        Base.metadata.create_all(engine)

    def run(self, page: Page, number: int) -> str:
        with self._session_class(self.engine) as session:
            return page(session, number)

    def fill(self, random: Random) -> None:
        with self.engine.begin() as connection:
            fill(connection, random)

    def rows(self) -> Rows:
        with self.engine.connect() as connection:
            return rows_of_all_tables(connection)

    def commit(self, kind: str, random: Random) -> bool:
        with self._session_class(self.engine) as session:
            return _commit(session, kind, random)

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self.engine.dispose()


class ExactWorld(SyncWorld):
    """Synchronous sessions, whose writes are known exactly because all tables are compared: no event hides a miss.

    Args:
        engine: The engine.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, Session)
        self._stops.pop()()  # what the engine writes
        self._before = self.rows()

    def emitted(self) -> list[ChangeEvent]:
        before, self._before = self._before, self.rows()
        return list(exact_events(before, self._before))


class TriggerWorld(SyncWorld):
    """Synchronous sessions, in a database of PostgreSQL whose triggers report what is written.

    Args:
        engine: The engine.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, Session)
        self._stops.pop()()  # what the engine writes

    def emitted(self) -> list[ChangeEvent]:
        with self.engine.begin() as connection:
            rows = connection.exec_driver_sql("delete from reactive.log returning scope, paths")
            return [ChangeEvent(scope, paths) for scope, paths in rows]


class AsyncWorld(World):
    """Asynchronous sessions, in an event loop of another thread.

    Args:
        url: The database.
        session_class: The class of the sessions.
        options: Options of the engine.
    """

    def __init__(self, url: str, session_class: type[AsyncSession], **options: Any) -> None:
        self._stack = ExitStack()
        self._portal: BlockingPortal = self._stack.enter_context(start_blocking_portal())
        self._engine = create_async_engine(url, **options)
        enforce_foreign_keys(self._engine.sync_engine)
        super().__init__(self._engine.sync_engine)
        self._session_class = session_class
        self._portal.call(self._on_connection, Base.metadata.create_all)

    def run(self, page: Page, number: int) -> str:
        return str(self._portal.call(self._in_session, lambda session: page(session, number)))

    def fill(self, random: Random) -> None:
        self._portal.call(self._on_connection, lambda connection: fill(connection, random))

    def rows(self) -> Rows:
        found: Rows = self._portal.call(self._on_connection, rows_of_all_tables)
        return found

    def commit(self, kind: str, random: Random) -> bool:
        return bool(self._portal.call(self._in_session, lambda session: _commit(session, kind, random)))

    async def _in_session(self, function: Callable[[Session], Any]) -> Any:
        async with self._session_class(self._engine) as session:
            return await session.run_sync(function)

    async def _on_connection(self, function: Callable[[Any], Any]) -> Any:
        async with self._engine.begin() as connection:
            return await connection.run_sync(function)

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self._portal.call(self._engine.dispose)
        self._stack.close()


def _commit(session: Session, kind: str, random: Random) -> bool:
    try:
        COMMITS[kind](session, random)
        session.commit()
    except (SQLAlchemyError, LookupError):
        return False
    return True


def open_world(url: str, sessions: str, **options: Any) -> World:
    """Return the world of a database.

    Args:
        url: The database, without a driver. ``sqlite://`` is one in memory.
        sessions: One of :data:`SESSIONS`.
        options: Options of the engine.
    """
    if url == "sqlite://":
        options["poolclass"] = StaticPool
    if sessions.startswith("async"):
        asynchronous = SQLModelAsyncSession if "sqlmodel" in sessions else AsyncSession
        return AsyncWorld(
            url.replace("sqlite", "sqlite+aiosqlite", 1).replace("postgresql", "postgresql+asyncpg", 1),
            asynchronous,
            **options,
        )
    engine = create_engine(url.replace("postgresql", "postgresql+psycopg", 1), **options)
    enforce_foreign_keys(engine)
    return SyncWorld(engine, SQLModelSession if "sqlmodel" in sessions else Session)


def check(
    world: World,
    number: int,
    seed: str,
    *,
    size: int = 13,
    commits: Iterable[str] = COMMITS,
    pages: Iterable[str] = PAGES,
) -> Oracle:
    """Make random commits, and judge the facts of random pages after each of them.

    Args:
        world: The database.
        number: The number of commits.
        seed: Repeats a run.
        size: The number of pages that are viewed at one time.
        commits: The kinds of commit.
        pages: The kinds of page.
    """
    random = Random(seed)
    oracle = Oracle(world.run, random, size=size, kinds=pages)
    kinds = list(commits)
    for step in range(number):
        if step % REFILL == 0:
            world.fill(random)
        if step % CHOOSE == 0:
            world.emitted()
            oracle.choose_pages()
        kind = random.choice(kinds)
        name = kind if world.commit(kind, random) else f"{kind} (failed)"
        oracle.judge(name, world.emitted())
    return oracle


def check_rows(world: World, number: int, seed: str) -> list[str]:
    """Make random commits, and return those that have changed a row without an event that meets it.

    Args:
        world: The database.
        number: The number of commits.
        seed: Repeats a run.
    """
    random = Random(seed)
    missed: list[str] = []
    before: Rows = {}
    for step in range(number):
        if step % REFILL == 0:
            world.fill(random)
            before = world.rows()
            world.emitted()
        kind = random.choice(list(COMMITS))
        world.commit(kind, random)
        after, changed = world.rows(), changes_of(world.emitted())
        missed += [
            f"{kind}: {fact} by {changed}"
            for fact in facts_of_changed_rows(before, after)
            if UNKNOWN not in changed and not fact.is_met_by(changed.get(table_scope(fact.table), ()))
        ]
        before = after
    return missed
