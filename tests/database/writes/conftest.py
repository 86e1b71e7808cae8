"""Databases for the tests of writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import Session

from starlette_reactive._database.tracking import track

from ...engines.servers import PostgresServer, postgres_binaries
from ...support import require
from .models import Base, Board, Tag, Task
from .support import Emitted


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    require(postgres_binaries(), "PostgreSQL's server")
    settings = {"max_prepared_transactions": "10", "fsync": "off"}
    with PostgresServer(tmp_path_factory.mktemp("postgres"), settings=settings) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.sqlite3'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.url.replace("postgresql", "postgresql+psycopg", 1)


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """An engine on a database with the boards 1 and 2, the tasks 1 and 2 on board 1, and the tag 1."""
    yield from running_engine(url)


def running_engine(url: str) -> Iterator[Engine]:
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA foreign_keys = ON"))
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Board(name="a"), Board(name="b"), Tag(name="x")])
        session.flush()
        session.add_all([Task(title="first", board_id=1), Task(title="second", board_id=1)])
        session.commit()
    yield engine
    Base.metadata.drop_all(engine)
    engine.dispose()


@pytest.fixture
def postgresql(postgres: PostgresServer) -> Iterator[Engine]:
    """An engine on PostgreSQL, with the same rows."""
    yield from running_engine(postgres.url.replace("postgresql", "postgresql+psycopg", 1))


@pytest.fixture
def emitted(engine: Engine) -> Iterator[Emitted]:
    """What the engine's commits emit."""
    emitted = Emitted()
    tracking = track(engine, emitted.emit)
    yield emitted
    tracking.stop()
