"""A database pool is free while nothing changes, however many viewers there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from starlette_reactive import Reactive
from tests.support import environment, eventually

from .support import PAGE, SECRET, request, stream

VIEWERS = 500


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(
        f"sqlite:///{tmp_path}/data.sqlite3",
        poolclass=QueuePool,
        pool_size=5,
        max_overflow=0,
        pool_timeout=30,
        connect_args={"check_same_thread": False},
    )
    with engine.begin() as connection:
        connection.execute(text("create table item (name text)"))
    yield engine
    engine.dispose()


@pytest.mark.parametrize("shared", [False, True])
async def test_500_viewers_hold_no_connection_of_a_pool_of_5_while_idle(engine: Engine, shared: bool) -> None:
    reactive = Reactive(environment(page=PAGE), secret=SECRET)
    app = FastAPI()
    app.include_router(reactive.router)
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    most = 0

    def session() -> Iterator[Session]:
        nonlocal most
        with Session(engine) as opened:
            opened.execute(text("select 1"))
            most = max(most, pool.checkedout())
            yield opened

    def page(number: int, session: Any = Depends(session)) -> dict[str, Any]:  # noqa: B008 - as FastAPI wants it
        items = session.execute(text("select name from item")).scalars().all()
        return {"title": number, "items": items}

    app.get("/{number}")(reactive.page("page.html", scope="all", shared=shared)(page))
    url = (await request(app, "/1")).url
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(stream(app, url)) for _ in range(VIEWERS)]
        assert len(reactive.presence("all")) == 1  # one page, open many times
        assert pool.checkedout() == 0
        with engine.begin() as connection:
            connection.execute(text("insert into item values ('written')"))
        await reactive.emit("all", "items")
        await eventually(lambda: all(each.updates for each in connections), timeout=60)
        assert all("<li>written</li>" in (each.updates[0].data or "") for each in connections)
        await eventually(lambda: pool.checkedout() == 0)
    assert 0 < most <= 5
