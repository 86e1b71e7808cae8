"""TestClient: lifespan, cookies, streams, disconnects, errors, and cleanup."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import psutil  # type: ignore[import-untyped]
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from starlette_reactive import EventStream
from starlette_reactive.testing import NoStreamError, SyncTestClient, TestClient
from starlette_reactive.testing._http_library import httpx
from tests.support import eventually

from .apps import board, streaming


def app_of(endpoint: Callable[[Request], Awaitable[Response]], **options: Any) -> Starlette:
    return Starlette(routes=[Route("/", endpoint, methods=["GET", "POST"])], **options)


async def test_the_lifespan_runs_with_the_client_and_its_state_is_in_requests() -> None:
    made = board()
    async with TestClient(made.app) as client:
        assert made.started == 1
        assert (await client.get("/greeting")).text == "hello"
        assert made.stopped == 0
    assert made.stopped == 1


async def test_clients_of_one_application_share_its_lifespan_but_not_cookies() -> None:
    made = board()
    async with TestClient(made.app) as ada, TestClient(made.app) as bob:
        await ada.get("/sign-in?as=ada")
        assert dict(ada.cookies) == {"user": "ada"}
        assert dict(bob.cookies) == {}
        assert (made.started, made.stopped) == (1, 0)
    assert (made.started, made.stopped) == (1, 1)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_lifespan_errors_are_raised_in_the_test(when: str) -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if when == "before":
            raise RuntimeError("no database")
        yield
        raise RuntimeError("no database")

    with pytest.raises(RuntimeError, match="no database"):
        async with TestClient(Starlette(lifespan=lifespan)):
            assert when == "after"


async def test_an_application_without_a_lifespan_works() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await PlainTextResponse("plain")(scope, receive, send)

    async with TestClient(app) as client:
        assert (await client.get("/")).text == "plain"


async def test_a_client_outside_async_with_raises() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await TestClient(Starlette()).get("/")


async def test_request_bodies_are_sent() -> None:
    async def echo(request: Request) -> Response:
        return PlainTextResponse(await request.body())

    async def parts() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    async with TestClient(app_of(echo)) as client:
        assert (await client.post("/", content="text")).text == "text"
        assert (await client.post("/", content=parts())).text == "one two"
        assert (await client.post("/", data={"a": "b"})).text == "a=b"


async def test_background_tasks_finish_before_the_request_returns() -> None:
    done: list[int] = []

    async def respond(request: Request) -> Response:
        return PlainTextResponse("x", background=BackgroundTask(done.append, 1))

    async with TestClient(app_of(respond)) as client:
        await client.get("/")
        assert done == [1]


@pytest.mark.parametrize("late", [False, True])
async def test_application_errors_are_raised_in_the_test(late: bool) -> None:
    async def body() -> AsyncIterator[str]:
        yield "x"
        raise RuntimeError("bad")

    async def respond(request: Request) -> Response:
        if late:
            return StreamingResponse(body())
        raise RuntimeError("bad")

    async with TestClient(app_of(respond)) as client:
        with pytest.raises(RuntimeError, match="bad"):
            await client.get("/")
    async with TestClient(app_of(respond), raise_server_exceptions=False) as client:
        assert (await client.get("/")).status_code == (200 if late else 500)


async def test_a_chunk_arrives_before_the_response_ends() -> None:
    more = anyio.Event()

    async def body() -> AsyncIterator[str]:
        yield "one"
        await more.wait()
        yield "two"

    async def respond(request: Request) -> Response:
        return StreamingResponse(body())

    async with TestClient(app_of(respond)) as client, client.stream("GET", "/") as response:
        chunks = response.aiter_text()
        assert await anext(chunks) == "one"
        more.set()
        assert [chunk async for chunk in chunks] == ["two"]


async def test_a_client_that_does_not_read_slows_the_application_down() -> None:
    sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while sent < 10_000:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                sent += 1

    async with TestClient(app) as client, client.stream("GET", "/"):
        await anyio.sleep(0.1)
        assert sent < 50
    assert sent == 10_000


async def test_the_application_sees_a_disconnect() -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while (message := await receive())["type"] != "http.disconnect":
                pass
            seen.append(message["type"])

    async with TestClient(app) as client:
        async with client.stream("GET", "/"):
            assert not seen
        assert seen == ["http.disconnect"]


async def test_an_application_that_ignores_a_disconnect_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starlette_reactive.testing._request_cycle._GRACE", 0.05)
    ended = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            try:
                await anyio.sleep_forever()
            finally:
                ended.append(True)

    async with TestClient(app) as client:
        async with client.stream("GET", "/"):
            pass
        assert ended


async def test_reading_an_endless_stream_to_its_end_fails_with_advice() -> None:
    async with TestClient(streaming("a"), timeout=0.1) as client:
        with pytest.raises(httpx.ReadTimeout, match=r"client\.sse"):
            await client.get("/stream")


# sse


async def test_sse_disconnects_after_max_events() -> None:
    closed = []

    async def generate() -> AsyncIterator[str]:
        try:
            for number in range(1000):
                yield str(number)
            await anyio.sleep_forever()
        finally:
            closed.append(True)

    async def stream(request: Request) -> Response:
        return EventStream(generate())

    async with TestClient(app_of(stream)) as client:
        result = await client.sse("/", max_events=3)
        assert [event.data for event in result.events] == ["0", "1", "2"]
        assert closed


async def test_too_few_events_raise_a_timeout_with_their_number() -> None:
    async with TestClient(streaming("a", "b")) as client:
        with anyio.fail_after(20):
            with pytest.raises(TimeoutError, match="got 2 of 3 expected events") as caught:
                await client.sse("/stream", max_events=3, timeout=1)
            assert "'a'" in str(caught.value)
    async with TestClient(streaming()) as client:
        with pytest.raises(TimeoutError, match="got 0 of 10 expected events within 1 s"):
            await client.sse("/stream", timeout=1)


async def test_an_application_that_does_not_respond_raises_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starlette_reactive.testing._request_cycle._GRACE", 0.05)

    async def silent(request: Request) -> Response:
        await anyio.sleep_forever()
        return Response()

    async with TestClient(app_of(silent)) as client:
        with pytest.raises(TimeoutError, match="was not answered within 0.1 s"):
            await client.sse("/", timeout=0.1)
        with pytest.raises(TimeoutError, match="was not answered within 0.1 s"):
            await client.sse("/", disconnect_after=0.1)


async def test_disconnect_after_returns_the_events_so_far() -> None:
    async with TestClient(streaming("a", heartbeat_interval=0.02)) as client:
        result = await client.sse("/stream", disconnect_after=1, timeout=0.01)
    assert [event.data for event in result.events] == ["a"]
    assert result.heartbeats > 1


async def test_an_exception_in_the_generator_is_raised() -> None:
    async with TestClient(streaming("a", RuntimeError("bad"))) as client:
        with pytest.raises(RuntimeError, match="bad"):
            await client.sse("/stream")


async def test_an_error_status_is_a_result_and_a_body_other_than_a_stream_is_an_error() -> None:
    async with TestClient(streaming()) as client:
        result = await client.sse("/gone")
        assert (result.status, result.events, result.body) == (410, [], "it is gone")
        with pytest.raises(NoStreamError, match=r"/plain .*text/html.*<p>no stream</p>"):
            await client.sse("/plain")


async def test_headers_and_cookies_are_sent() -> None:
    async def stream(request: Request) -> Response:
        return EventStream([request.headers["last-event-id"], request.cookies["user"], request.headers["accept"]])

    async with TestClient(app_of(stream), cookies={"user": "ada"}) as client:
        result = await client.sse("/", headers={"Last-Event-ID": "7"})
    assert [event.data for event in result.events] == ["7", "ada", "text/event-stream"]


async def test_cancellation_leaves_nothing_open() -> None:
    begun, closed = anyio.Event(), anyio.Event()

    async def generate() -> AsyncIterator[str]:
        try:
            begun.set()
            await anyio.sleep_forever()
            yield ""
        finally:
            closed.set()

    async def stream(request: Request) -> Response:
        return EventStream(generate())

    async with TestClient(app_of(stream)) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: client.sse("/", timeout=60))
            await begun.wait()
            tasks.cancel_scope.cancel()
        assert closed.is_set()


# Cleanup


@pytest.mark.slow
def test_a_thousand_stream_tests_in_one_process_leak_nothing() -> None:
    process = psutil.Process()

    made = board()

    async def one(number: int) -> None:
        made.tasks.clear()
        async with TestClient(made.app) as client:
            page = await client.live("/boards/1")
            if number % 5 == 0:
                await made.add("x")
                await page.expect("#count", "1 open")
                await page.reconnect()
            address = page.streams[0].address
            result = await client.sse(address, headers={"Last-Event-ID": "x"}, max_events=1)
            assert len(result.events) == 1
            with pytest.raises(TimeoutError):
                await client.sse(address, timeout=0.001)

    async def many(numbers: range) -> None:
        before = asyncio.all_tasks()
        for number in numbers:
            await one(number)
        await eventually(lambda: asyncio.all_tasks() == before)

    def run(numbers: range) -> tuple[int, int, int]:
        anyio.run(many, numbers)
        gc.collect()
        return len(gc.get_objects()), process.num_fds(), threading.active_count()

    run(range(100))
    objects, files, threads = run(range(100, 350))
    memory = process.memory_info().rss
    later = run(range(350, 1000))
    assert later[0] - objects < 1000  # fewer than two objects per test
    assert later[1] <= files
    assert later[2] <= threads
    assert process.memory_info().rss - memory < 10 * 2**20


# The synchronous client


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_synchronous_client_has_the_same_features(backend: str) -> None:
    made = board()
    with SyncTestClient(made.app, backend=backend) as client:
        assert client.get("/sign-in?as=ada").status_code == 200
        assert client.cookies["user"] == "ada"
        page = client.live("/boards/1")
        assert page.text("#count") == "0 open"
        assert client.post("/tasks", content="milk").json() == {"added": True}
        page.expect("#count", "1 open")
        assert page.html("#list") == "<li>milk</li>"
        page.go_offline()
        made.tasks.append("bread")
        made.reactive.emit_sync("board:1", "tasks")
        page.expect_nothing(0.05)
        page.go_online()
        page.expect("#list", contains="bread")
        page.reconnect()
        assert page.frames
        assert page.headers["Reactive-Origin"]
        assert [user.user_id for user in made.reactive.presence("board:1")] == ["ada"]
        client.assert_sse_wired("/boards/1")
        with pytest.raises(AssertionError, match="expected: '9'"):
            page.expect("#count", "9", timeout=0.05)
    assert made.stopped == 1
    assert not [thread for thread in threading.enumerate() if "portal" in thread.name.lower()]


def test_a_synchronous_client_reads_streams() -> None:
    with SyncTestClient(streaming("a", RuntimeError("bad"))) as client, pytest.raises(RuntimeError, match="bad"):
        client.sse("/stream")
    with SyncTestClient(streaming("a")) as client:
        assert [event.data for event in client.sse("/stream", max_events=1).events] == ["a"]
        with pytest.raises(TimeoutError, match="got 1 of 2"):
            client.sse("/stream", max_events=2, timeout=1)
