"""A database pool is free while nothing changes, however many viewers there are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi import Depends, FastAPI, Request
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

from starlette_reactive import Reactive
from tests.docs.blocks import DOCS, blocks_of
from tests.docs.running import run_page
from tests.support import Connection, environment, eventually

from .support import PAGE, SECRET, request, stream, view

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


@pytest.mark.slow
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
    connections: list[Connection] = []
    done = anyio.Event()

    async def browse() -> None:
        async with stream(app, url, wait=False) as connection:  # 500 tasks that poll would slow down the rest
            connections.append(connection)
            await done.wait()

    async with anyio.create_task_group() as tasks:
        for _ in range(VIEWERS):
            tasks.start_soon(browse)
        await eventually(lambda: len(connections) == VIEWERS, timeout=30)
        await eventually(lambda: all(each.chunks for each in connections), timeout=60)
        idle = pool.checkedout()
        with engine.begin() as connection:
            connection.execute(text("insert into item values ('written')"))
        await reactive.emit("all", "items")
        await eventually(lambda: all(len(each.chunks) > 1 for each in connections), timeout=60)
        await eventually(lambda: pool.checkedout() == 0)
        done.set()
    assert idle == 0
    assert all("<li>written</li>" in (each.updates[0].data or "") for each in connections)
    assert 0 < most <= 5


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_middleware_that_leaves_streams_out_holds_no_connection_for_open_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = DOCS / "troubleshooting.md"
    guide = run_page(page, blocks_of(page), tmp_path, monkeypatch)
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{tmp_path}/data.sqlite3", poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0
    )
    pool = engine.pool
    assert isinstance(pool, AsyncAdaptedQueuePool)
    reactive = Reactive(environment(page=PAGE), secret=SECRET)
    app = FastAPI()
    app.include_router(reactive.router)

    @app.get("/")
    @reactive.page("page.html", scope="all")
    async def items(request: Request) -> dict[str, Any]:
        found = await request.state.connection.execute(text("select 'from the database'"))
        return {"title": found.scalar_one(), "items": []}

    app.add_middleware(guide["TransactionPerRequest"], engine=engine)
    async with view(app, "/") as one, view(app, "/") as two:
        await eventually(lambda: one.chunks and two.chunks and pool.checkedout() == 0)
        await reactive.emit("all", "title")
        for connection in (one, two):
            assert "from the database" in ((await connection.next_update()).data or "")
    await engine.dispose()
