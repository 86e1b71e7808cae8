"""Each update runs in its own task, as a request does in a server."""

from __future__ import annotations

import asyncio
import contextvars

import anyio
import anyio.lowlevel
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from starlette_reactive import ReactiveError
from starlette_reactive._core.blocks import BlockRef
from starlette_reactive._core.counts import Counts
from starlette_reactive._pages.places import PAGE_SHARE, Claim, places_of_loop
from starlette_reactive._pages.update import Update, UpdateRunner
from starlette_reactive._streams.rendering import Rendered
from tests.support import eventually

BLOCK = BlockRef("page.html", "title")
current: contextvars.ContextVar[str] = contextvars.ContextVar("current", default="nobody")


async def update(app: ASGIApp) -> Rendered:
    runner = UpdateRunner(
        app, {"type": "http", "path": "/", "state": {}}, Claim("page"), 30.0, Counts(), places_of_loop()
    )
    return await runner.run(runner.update_of([BLOCK]))


async def answer(scope: Scope, send: Send) -> None:
    (found,) = (value for value in scope.values() if isinstance(value, Update))
    response = found.response({BLOCK.key: "fresh"})
    await send({"type": "http.response.start", "status": 204, "headers": response.raw_headers})
    await send({"type": "http.response.body"})


async def test_context_variables_of_an_update_end_with_it() -> None:
    seen: list[str] = []
    tasks: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(current.get())
        current.set("Ada")
        tasks.append(anyio.get_current_task().id)
        await answer(scope, send)

    current.set("caller")
    for _ in range(2):
        assert await update(app) == {BLOCK.key: "fresh"}
    assert seen == ["caller", "caller"]
    assert current.get() == "caller"
    assert anyio.get_current_task().id not in tasks


async def test_a_cancelled_update_ends_before_its_caller_and_after_shielded_cleanup() -> None:
    started = anyio.Event()
    events: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            started.set()
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                for _ in range(3):
                    await anyio.lowlevel.checkpoint()
            events.append("cleaned up")

    async def caller() -> None:
        try:
            await update(app)
        finally:
            events.append("caller ended")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(caller)
        await started.wait()
        tasks.cancel_scope.cancel()
    assert events == ["cleaned up", "caller ended"]


async def test_an_update_that_ignores_its_cancellation_does_not_undo_it() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.01)
        await answer(scope, send)

    with anyio.move_on_after(0.001) as cancel_scope:
        await update(app)
    assert cancel_scope.cancelled_caught


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_application_that_cancels_its_own_task_fails_the_update() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(scope, send)
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await anyio.sleep_forever()

    with pytest.raises(ReactiveError, match="the update of the page '/' was cancelled by the application"):
        await update(app)


async def test_an_exception_of_the_application_reaches_the_caller_as_it_is() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("no such board")

    with pytest.raises(LookupError, match="no such board"):
        await update(app)


async def test_updates_that_fail_or_are_cancelled_free_their_place() -> None:
    running = 0

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal running
        running += 1
        await anyio.sleep_forever()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(scope, send)

    for _ in range(PAGE_SHARE + 1):
        with pytest.raises(LookupError):
            await update(failing)
    async with anyio.create_task_group() as tasks:
        for _ in range(PAGE_SHARE + 4):  # four wait for a place
            tasks.start_soon(update, endless)
        await eventually(lambda: running == PAGE_SHARE)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert running == PAGE_SHARE
    with anyio.fail_after(5):
        assert await update(app) == {BLOCK.key: "fresh"}
