"""Fixtures: an empty workspace for each test, and people in it, without a server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import URL

from example_app.app import create_app
from starlette_reactive.testing import TestClient

Enter = Callable[..., Awaitable[TestClient]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # aiosqlite requires asyncio


@pytest.fixture(autouse=True)
def _write_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_PAUSE", "0")


@pytest.fixture
def database(tmp_path: Path) -> URL:
    return URL.create("sqlite+aiosqlite", database=str(tmp_path / "made" / "on the way" / "workspace.sqlite3"))


@pytest.fixture
def app(database: URL) -> FastAPI:
    return create_app(database)


@pytest.fixture
async def enter(app: FastAPI) -> AsyncIterator[Enter]:
    """Return a function that signs somebody in with separate cookies."""
    async with AsyncExitStack() as stack:

        async def enter(name: str | None, htmx: int = 2) -> TestClient:
            client = await stack.enter_async_context(TestClient(app, timeout=60))
            await client.post("/htmx", data={"version": htmx})
            if name is not None:
                assert (await client.post("/sign-in", data={"name": name})).status_code == 303
            return client

        yield enter
