"""A PostgreSQL database with tables and their triggers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from sqlalchemy import Engine, create_engine

from starlette_reactive._database.triggers import triggers_sql
from starlette_reactive.engines import POSTGRES_DDL

from ...engines.servers import PostgresServer, postgres_binaries
from ...support import require
from .models import metadata

_PARTITIONS = """
    create table measure_old partition of measure for values from (0) to (2000);
    create table measure_new partition of measure for values from (2000) to (3000) partition by list (id);
    create table measure_new_all partition of measure_new default;
"""


@dataclass
class Database:
    """A database whose tables have triggers.

    Args:
        url: Its URL, for libpq.
        engine: An engine on it.
    """

    url: str
    engine: Engine

    def emitted(self, *statements: str) -> dict[str, set[str]]:
        """Return what one transaction of somebody else emits, as paths by scope."""
        return {scope: paths for scope, (paths, _) in self.emitted_with_origins(*statements).items()}

    def emitted_with_origins(self, *statements: str) -> dict[str, tuple[set[str], set[str | None]]]:
        """Return what one transaction of somebody else emits, as paths and origins by scope."""
        self.clear()
        with psycopg.connect(self.url) as connection:
            for statement in statements:
                connection.execute(statement.encode())
        return self.log()

    def clear(self) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute("delete from reactive.log")

    def log(self) -> dict[str, tuple[set[str], set[str | None]]]:
        """Return what has been emitted since the last call, as paths and origins by scope."""
        found: dict[str, tuple[set[str], set[str | None]]] = {}
        with psycopg.connect(self.url) as connection:
            for scope, paths, origin in connection.execute("delete from reactive.log returning scope, paths, origin"):
                known_paths, origins = found.setdefault(scope, (set(), set()))
                known_paths.update(paths)
                origins.add(origin)
        return found


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    require(postgres_binaries(), "PostgreSQL's server")
    with PostgresServer(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def without_triggers(postgres: PostgresServer) -> Iterator[Database]:
    """A database with the tables only."""
    with psycopg.connect(postgres.url, autocommit=True) as admin:
        admin.execute("drop database if exists triggers with (force)")
        admin.execute("create database triggers")
    url = postgres.url.removesuffix("/postgres") + "/triggers"
    engine = create_engine(url.replace("postgresql", "postgresql+psycopg", 1))
    with engine.begin() as connection:
        connection.exec_driver_sql(POSTGRES_DDL)
        connection.exec_driver_sql('create schema "Other"')
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(_PARTITIONS)
    yield Database(url, engine)
    engine.dispose()


@pytest.fixture
def database(without_triggers: Database) -> Database:
    with psycopg.connect(without_triggers.url) as connection:
        connection.execute(triggers_sql(metadata.tables.values()).encode())
    return without_triggers
