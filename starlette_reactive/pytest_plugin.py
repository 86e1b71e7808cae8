"""Fixtures for tests of live pages. In a suite that does not request them, they do nothing and import nothing.

``reactive_client`` and ``live_page`` work under anyio's pytest plugin, on asyncio and on trio, and under
pytest-asyncio; ``captured_changes`` works in any test.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import pytest

from ._bus.emitter import Emitter
from ._core.events import ChangeEvent
from ._core.origins import with_default_origin

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from .testing import LivePage, TestClient

pytest_asyncio: Any = None
with suppress(ModuleNotFoundError):
    import pytest_asyncio

__all__ = ["captured_changes", "live_page", "reactive_client"]


@pytest.fixture
def reactive_client(request: pytest.FixtureRequest) -> Callable[..., Awaitable[TestClient]]:
    """Return a function that opens clients of an application; they are closed after the test."""
    stack = _exit_stack(request)

    async def open_client(app: ASGIApp, **options: Any) -> TestClient:
        from .testing import TestClient  # noqa: PLC0415 - only in suites that use it

        return await stack.enter_async_context(TestClient(app, **options))

    return open_client


@pytest.fixture
def live_page(
    reactive_client: Callable[..., Awaitable[TestClient]],
) -> Callable[..., Awaitable[LivePage]]:
    """Return a function that opens live pages; the pages of one application share a client."""
    clients: dict[int, TestClient] = {}

    async def open_page(app: ASGIApp, path: str, **options: Any) -> LivePage:
        if id(app) not in clients:
            clients[id(app)] = await reactive_client(app)
        return await clients[id(app)].live(path, **options)

    return open_page


@pytest.fixture
def captured_changes(monkeypatch: pytest.MonkeyPatch) -> list[ChangeEvent]:
    """Return a list that collects the events emitted from now on, on any bus and from any thread."""
    changes: list[ChangeEvent] = []
    emit = Emitter.emit_sync
    lock = threading.Lock()

    def emit_and_capture(emitter: Emitter, event: ChangeEvent, *arguments: Any) -> None:
        if isinstance(event, ChangeEvent):
            with lock:
                changes.append(with_default_origin(event))
        emit(emitter, event, *arguments)

    monkeypatch.setattr(Emitter, "emit_sync", emit_and_capture)
    return changes


def _exit_stack(request: pytest.FixtureRequest) -> AsyncExitStack:
    """Return the exit stack that the test's asynchronous plugin closes after the test."""
    stack: AsyncExitStack
    if "anyio_backend" in request.fixturenames:
        stack = request.getfixturevalue("_reactive_stack_of_anyio")
    elif pytest_asyncio is not None and request.config.pluginmanager.has_plugin("asyncio"):
        stack = request.getfixturevalue("_reactive_stack_of_pytest_asyncio")
    else:
        pytest.fail(
            "reactive_client and live_page are for asynchronous tests: mark the test with pytest.mark.anyio or "
            "pytest.mark.asyncio, or use starlette_reactive.testing.SyncTestClient in a synchronous one"
        )
    return stack


async def _close_after_test() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


_reactive_stack_of_anyio = pytest.fixture(name="_reactive_stack_of_anyio")(_close_after_test)

if pytest_asyncio is not None:

    async def _close_after_asyncio_test() -> AsyncIterator[AsyncExitStack]:
        async with AsyncExitStack() as stack:
            yield stack

    _reactive_stack_of_pytest_asyncio = pytest_asyncio.fixture(name="_reactive_stack_of_pytest_asyncio")(
        _close_after_asyncio_test
    )
