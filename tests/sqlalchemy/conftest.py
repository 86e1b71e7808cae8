"""Databases for the tests of commit hooks: SQLite files, and a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session, sessionmaker

from starlette_reactive import ChangeEvent, ReactiveBus
from starlette_reactive.sqlalchemy import CommitHook, emit_on_commit
from starlette_reactive.sqlalchemy._flush_recorder import DescribeRow

from ..engines.servers import PostgresServer, postgres_binaries
from ..support import require
from .models import Base, Board, Task
from .support import EmittedEvents, Watch


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    require(postgres_binaries(), "PostgreSQL's server")
    settings = {"max_prepared_transactions": "10"}
    with PostgresServer(tmp_path_factory.mktemp("postgres"), settings=settings) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, for synchronous engines."""
    return url_of(request, tmp_path, request.param)


@pytest.fixture(params=["sqlite+aiosqlite", "postgresql+psycopg", "postgresql+asyncpg"])
def async_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, for asynchronous engines."""
    return url_of(request, tmp_path, request.param)


def url_of(request: pytest.FixtureRequest, directory: Path, dialect: str) -> str:
    if dialect.startswith("sqlite"):
        return f"{dialect}:///{directory / 'test.sqlite3'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    driver = "psycopg" if dialect == "postgresql" else dialect.partition("+")[2]
    return server.url.replace("postgresql", f"postgresql+{driver}", 1)


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """An engine on a database with empty tables."""
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    yield engine
    Base.metadata.drop_all(engine)
    engine.dispose()


@pytest.fixture
def postgresql(postgres: PostgresServer) -> Iterator[Engine]:
    """An engine on PostgreSQL, with empty tables."""
    engine = create_engine(postgres.url.replace("postgresql", "postgresql+psycopg", 1))
    Base.metadata.create_all(engine)
    yield engine
    Base.metadata.drop_all(engine)
    engine.dispose()


@pytest.fixture
def bus() -> ReactiveBus:
    return ReactiveBus()


@pytest.fixture
def sessions(engine: Engine) -> sessionmaker[Session]:
    """A factory on a database with the boards 1 (``a``) and 2 (``b``), and the task 1 on board 1."""
    sessions = sessionmaker(engine)
    with sessions.begin() as session:
        session.add_all([Board(slug="a"), Board(slug="b")])
        session.flush()
        session.add(Task(title="first", board_id=1))
    return sessions


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Returns a hook that emits the board of each changed task, unless it is given other functions.

    It is removed at the end, so that no event of a commit in doubt reaches another test.
    """
    hooks: list[CommitHook] = []

    def start(sessions: Any, bus: ReactiveBus, models: Mapping[type[Any], DescribeRow] | None = None) -> CommitHook:
        hooks.append(
            emit_on_commit(sessions, bus, models or {Task: lambda task: (f"board:{task.board_id}", {"tasks"})})
        )
        return hooks[-1]

    yield start
    for hook in hooks:
        hook.remove()


@pytest.fixture
def hook(sessions: sessionmaker[Session], bus: ReactiveBus, watch: Watch) -> CommitHook:
    """The hook of ``watched``."""
    return watch(sessions, bus)


@pytest.fixture
def watched(sessions: sessionmaker[Session], hook: CommitHook) -> sessionmaker[Session]:
    """The factory whose sessions emit the board of each changed task."""
    return sessions


@pytest.fixture
def emitted(captured_changes: list[ChangeEvent]) -> EmittedEvents:
    """The events emitted since the last call."""
    return EmittedEvents(captured_changes)


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio only: SQLAlchemy supports no other loop."""
    return "asyncio"
