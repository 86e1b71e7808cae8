"""The origin that an application's own writes have in the events of triggers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, insert, select
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session

from starlette_reactive import ChangeEvent
from starlette_reactive._core.emit_filters import filtering
from starlette_reactive._core.facts import table_scope
from starlette_reactive._core.origins import emitting_as
from starlette_reactive._core.reads import Reads, reading
from starlette_reactive._database.triggers import pass_origin

from .conftest import Database
from .models import board

SCOPE = table_scope("board")


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    """The engine of an application whose triggers report its writes."""
    stop = pass_origin(database.engine)
    yield database.engine
    stop()


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio only: SQLAlchemy supports no other loop."""
    return "asyncio"


def write(engine: Engine, key: int) -> None:
    with Session(engine) as session, session.begin():
        session.execute(select(board))
        session.execute(insert(board).values(id=key))
        session.execute(insert(board).values(id=key + 1))


def origins(database: Database) -> set[str | None] | None:
    """Return the origins of what has been emitted since the last call. ``None`` if nothing was."""
    found = database.log().get(SCOPE)
    return None if found is None else found[1]


def test_a_write_has_the_origin_of_the_page_that_sent_the_request(database: Database, engine: Engine) -> None:
    with emitting_as("tab"):
        write(engine, 1)
    assert origins(database) == {"tab"}
    write(engine, 3)
    assert origins(database) == {None}


def test_a_setting_of_a_page_does_not_outlive_its_transaction(database: Database, engine: Engine) -> None:
    with engine.connect() as connection:
        with emitting_as("tab"), connection.begin():
            connection.execute(insert(board).values(id=1))
        with connection.begin():
            connection.execute(insert(board).values(id=2))
    assert origins(database) == {"tab", None}


def test_a_write_during_an_update_has_the_mark_of_its_page(database: Database, engine: Engine) -> None:
    with filtering(lambda event: ChangeEvent(event.scope, event.changed_paths, "~page")):
        write(engine, 1)
    assert origins(database) == {"~page"}


def test_a_write_that_may_not_be_emitted_is_not(database: Database, engine: Engine) -> None:
    with filtering(lambda event: None):
        write(engine, 1)
    assert origins(database) is None


def test_the_setting_is_no_read_of_the_page(database: Database, engine: Engine) -> None:
    reads = Reads()
    with emitting_as("tab"), reading(reads):
        write(engine, 1)
    assert not any("set_config" in read.statement for read in reads.entries)


def test_it_can_be_stopped(database: Database) -> None:
    pass_origin(database.engine)()
    with emitting_as("tab"):
        write(database.engine, 1)
    assert origins(database) == {None}


def test_other_databases_have_no_such_setting() -> None:
    engine = create_engine("sqlite://")
    board.create(engine)
    stop = pass_origin(engine)
    with emitting_as("tab"):
        write(engine, 1)
    stop()


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
async def test_asynchronous_engines_pass_it_too(database: Database, driver: str) -> None:
    engine = create_async_engine(database.url.replace("postgresql", f"postgresql+{driver}", 1))
    stop = pass_origin(engine.sync_engine)
    with emitting_as("tab"):
        async with engine.begin() as connection:
            await connection.execute(insert(board).values(id=1))
    stop()
    await engine.dispose()
    assert origins(database) == {"tab"}
