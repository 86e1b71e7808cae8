"""What holds for pages that are live because of what they read, on every engine, and without one."""

from __future__ import annotations

from typing import Any

import pytest

from ..support import Connection
from ..tracking.site import HELLO, OWNERS, TASKS, TITLE, Site, last_id, text
from .conftest import MEMORY, World, level, soon

pytestmark = pytest.mark.anyio


async def sites(world: World, template: str = TITLE + TASKS, **options: Any) -> tuple[Site, Site]:
    """Return an application in two processes with one database."""
    buses = world.process(), world.process()
    await level(*buses)
    here, there = (Site(template, bus=bus, **options) for bus in buses)
    there.db.rows = here.db.rows
    return here, there


async def gets(connection: Connection, *texts: str) -> None:
    await soon(lambda: all(each in text(connection) for each in texts))


async def seen_id(connection: Connection) -> str:
    await soon(lambda: connection.frames[-1].id is not None)
    return last_id(connection)


async def test_a_commit_of_one_process_reaches_pages_of_another(world: World) -> None:
    here, there = await sites(world, TITLE + OWNERS)
    async with there.stream(await there.visit()) as page:
        await here.change("setting", 1, board=2)
        await gets(page, "second board", "Ben")
        await here.change("person", 2, name="Cy")
        await gets(page, "Cy")


async def test_a_commit_between_the_page_and_its_stream_in_another_process_is_sent(world: World) -> None:
    here, there = await sites(world)
    await here.change("task", 1, name="sow again")  # before the page, so it is not sent
    await level(here.reactive.bus, there.reactive.bus)
    seen = await here.visit()
    await here.change("task", 1, name="weed")
    async with there.stream(seen) as page:
        await gets(page, "weed")


async def test_a_commit_that_moves_what_is_read_before_the_stream_is_sent(world: World) -> None:
    here, there = await sites(world)
    seen = await here.visit()
    await here.change("setting", 1, board=2)
    await here.change("task", 2, name="harvest")
    async with there.stream(seen) as page:
        await gets(page, "second board", "harvest")


async def test_a_commit_during_the_run_that_reads_it_first_is_sent(world: World) -> None:
    here, there = await sites(world)
    async with there.stream(await there.visit()) as page:

        async def change() -> None:
            there.after_reading = None
            here.change_meanwhile("person", 2, name="Cy")

        there.read = lambda: {"title": there.db.one("person", id=there.db.one("setting", id=1)["board"])["name"]}
        there.after_reading = change
        await here.change("setting", 1, board=2)
        await gets(page, "Cy")


async def test_a_commit_during_the_first_run_is_sent(world: World) -> None:
    here, there = await sites(world)
    seen = await here.visit()

    async def change() -> None:
        there.after_reading = None
        here.change_meanwhile("task", 1, name="weed")

    there.after_reading = change
    async with there.stream(seen) as page:
        await gets(page, "weed")


@pytest.mark.parametrize("options", [{}, {"shared": True}, {"share": lambda request: "team"}])
async def test_a_stream_resumes_in_another_process(world: World, options: Any) -> None:
    personal = "" if "shared" in options else HELLO
    here, there = await sites(world, TITLE + TASKS + personal, **options)
    seen = await here.visit()
    async with here.stream(seen) as page:
        first = await seen_id(page)
        await there.change("task", 1, name="weed")
        await gets(page, "weed")
        second = await seen_id(page)
    async with there.stream(seen, second) as page:
        await here.change("task", 1, name="hoe")
        await gets(page, "hoe")
        assert world.kind != MEMORY or "weed" not in text(page)  # with an engine, a cursor may be older than the event
        third = await seen_id(page)
    await there.change("setting", 1, board=2)
    await there.change("task", 2, name="harvest")
    for cursor in (first, second, third):
        async with here.stream(seen, cursor) as page:
            await gets(page, "second board", "harvest")


async def test_viewers_who_join_a_group_of_another_process_miss_nothing(world: World) -> None:
    here, there = await sites(world, shared=True)
    async with there.stream(await there.visit()) as ada:
        await here.change("setting", 1, board=2)
        await gets(ada, "second board")
        seen = await here.visit("ben")
        await here.change("task", 2, name="harvest")
        async with there.stream(seen, name="ben") as ben:
            await gets(ben, "harvest")
            await gets(ada, "harvest")
