"""The inspector with events of other processes through an engine, and with several event loops."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from starlette_reactive import ChangeEvent, ReactiveBus
from tests.engines.conftest import level
from tests.engines.servers import PostgresServer, RedisServer, postgres_binaries, redis_binary
from tests.pages.support import view
from tests.support import eventually, require

from .demo import Demo
from .support import block_statuses, newest, settled, view_of


@pytest.fixture(scope="module", params=["redis", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory: Path = tmp_path_factory.mktemp("engine")
    require(redis_binary() if request.param == "redis" else postgres_binaries(), f"the server of {request.param}")
    with RedisServer(directory) if request.param == "redis" else PostgresServer(directory) as server:
        yield server.url


@pytest.fixture
def buses(url: str) -> Iterator[tuple[ReactiveBus, ReactiveBus]]:
    here, elsewhere = ReactiveBus.from_url(url), ReactiveBus.from_url(url)
    for bus in (here, elsewhere):
        bus.start()
    yield here, elsewhere
    for bus in (here, elsewhere):
        bus.stop()


async def test_events_of_other_processes_are_shown_with_their_effects_here(
    buses: tuple[ReactiveBus, ReactiveBus], url: str
) -> None:
    here, elsewhere = buses
    await level(here, elsewhere)
    demo = Demo(bus=here)
    async with view(demo.app, "/news") as connection:
        await elsewhere.emit(ChangeEvent("news", {"headlines"}))
        await connection.next_update(timeout=20)
        effect = await settled(demo.reactive)
        assert (block_statuses(effect), effect.reached) == ({"headlines": "sent"}, 1)
        await demo.reactive.emit("news", "weather")
        await connection.next_update(timeout=20)
        await eventually(lambda: newest(demo.reactive).paths == ["weather"])
        assert block_statuses(await settled(demo.reactive)) == {"weather": "sent"}
    phrases = [phrase for phrase, bad in view_of(demo.reactive).engine if not bad]
    assert phrases[:3] == [f"Engine: {url.partition(':')[0]}", "connected", "0 changes waiting to be sent"]


async def test_viewers_in_several_event_loops_are_all_counted(anyio_backend_name: str) -> None:
    demo = Demo()
    ready, done = threading.Event(), threading.Event()

    async def look_elsewhere() -> None:
        async with view(demo.app, "/news") as connection:
            ready.set()
            await connection.next_update()
            while not done.is_set():  # noqa: ASYNC110 - it is another thread's
                await anyio.sleep(0.01)

    thread = threading.Thread(target=anyio.run, args=(look_elsewhere,), kwargs={"backend": anyio_backend_name})
    thread.start()
    try:
        await eventually(ready.is_set)
        async with view(demo.app, "/news") as connection:
            await demo.reactive.emit("news", "headlines")
            await connection.next_update()
            await eventually(lambda: sum(effect.reached for effect in newest(demo.reactive).effects) == 2)
            effect = await settled(demo.reactive)
            assert (effect.groups, effect.viewers) == (2, 2)
    finally:
        done.set()
        thread.join()
