"""The workspace in two processes, with its data on PostgreSQL and its bus on Redis or on PostgreSQL."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager

import anyio
import httpx
import pytest

from tests.browser.support import running
from tests.engines.servers import EngineServer, PostgresServer, RedisServer, postgres_binaries, redis_binary
from tests.support import require

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=["redis", "postgresql"])
def urls(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The URLs of two processes of the workspace that share engines."""
    require(postgres_binaries(), "PostgreSQL")
    folder = tmp_path_factory.mktemp("engines")
    with ExitStack() as stack:
        data = stack.enter_context(PostgresServer(folder))
        bus: EngineServer = data
        if request.param == "redis":
            require(redis_binary(), "Redis")
            bus = stack.enter_context(RedisServer(folder))
        env = {"DATABASE_URL": data.url, "REACTIVE_BUS_URL": bus.url, "REACTIVE_SECRET": "one secret for both"}
        servers = [stack.enter_context(running(["-m", "example_app"], env=env)) for _ in range(2)]
        yield servers[0].url, servers[1].url
    for server in servers:
        assert "Traceback" not in "".join(server.output)


@asynccontextmanager
async def somebody(url: str, name: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, timeout=30, follow_redirects=True) as client:
        await client.post("/sign-in", data={"name": name})
        yield client


async def read_until(
    client: httpx.AsyncClient,
    page: str,
    wanted: str,
    ready: anyio.Event | None = None,
    both: Callable[[], Awaitable[None]] | None = None,
) -> str:
    """Read the stream of a page until it contains a text, and return what was read.

    Args:
        client: The client that opens the page.
        page: The page.
        wanted: The text.
        ready: An event to set when the stream has begun.
        both: A function to call when the text has arrived, before the stream closes.
    """
    found = re.search(r'sse-connect="([^"]+)"', (await client.get(page)).text)
    assert found is not None
    got = ""
    with anyio.fail_after(60):
        async with client.stream("GET", html.unescape(found[1])) as response:
            async for text in response.aiter_text():
                got += text
                if ready is not None:
                    ready.set()
                if wanted in got:
                    if both is not None:
                        await both()  # while the stream is open
                    break
    return got


async def test_what_is_done_in_one_process_shows_in_the_other(urls: tuple[str, str]) -> None:
    async with somebody(urls[0], "Ada") as ada, somebody(urls[1], "Ben") as ben, anyio.create_task_group() as tasks:
        ready = anyio.Event()
        tasks.start_soon(read_until, ben, "/boards/1", "Bring the lanterns", ready)
        await ready.wait()
        await ada.post("/boards/1/tasks", data={"title": "Bring the lanterns"})


async def test_a_reply_is_read_from_another_process_word_by_word(urls: tuple[str, str]) -> None:
    async with somebody(urls[0], "Ada") as ada, somebody(urls[1], "Ben") as ben, anyio.create_task_group() as tasks:
        ready, got = anyio.Event(), []

        async def read() -> None:
            got.append(await read_until(ben, "/chat", "I do my best.</p>", ready))

        tasks.start_soon(read)
        await ready.wait()
        await ada.post("/chat", data={"text": "@guide thank you"})
    assert re.search(r'hx-swap="beforeend"> \w+', got[0])


async def test_who_is_here_is_known_across_processes(urls: tuple[str, str]) -> None:
    async with somebody(urls[0], "Ada") as ada, somebody(urls[1], "Ben") as ben, anyio.create_task_group() as tasks:
        seen = [anyio.Event(), anyio.Event()]

        async def watch(number: int, client: httpx.AsyncClient, other: str) -> None:
            async def both() -> None:
                seen[number].set()
                await seen[1 - number].wait()

            await read_until(client, "/documents/1", f"</span> {other}</li>", both=both)

        tasks.start_soon(watch, 0, ada, "Ben")
        tasks.start_soon(watch, 1, ben, "Ada")


async def test_only_the_audience_is_notified_across_processes(urls: tuple[str, str]) -> None:
    async with somebody(urls[0], "Ada") as ada, somebody(urls[1], "Ben") as ben, anyio.create_task_group() as tasks:
        ready = anyio.Event()
        tasks.start_soon(read_until, ben, "/notifications", "are you there?", ready)
        await ready.wait()
        await ada.post("/chat", data={"text": "@ben are you there?"})
