"""A page without a scope runs again when what it has read changes, and only then."""

from __future__ import annotations

from typing import Any

import pytest

from starlette_reactive._core.facts import COMMITS, UNKNOWN, Facts
from starlette_reactive._core.reads import Read, current_reads
from tests.pages.support import quiet
from tests.support import Connection, eventually

from .site import BELL, OWNERS, TASKS, TITLE, Site, last_id, shows, text

pytestmark = pytest.mark.anyio


async def is_still(site: Site, connection: Connection) -> None:
    """Check that nothing runs and nothing is sent, up to a change that the page shows."""
    with site.not_running():
        await quiet(connection)


async def test_a_page_shows_a_change_of_a_row_that_it_has_read() -> None:
    site = Site()
    async with site.stream(await site.visit()) as page:
        await site.change("task", 1, name="weed")
        await shows(page, "weed")


async def test_a_page_shows_rows_that_come_and_go() -> None:
    site = Site()
    async with site.stream(await site.visit()) as page:
        await site.change("task", 3, board=1, owner=1, name="third")
        await shows(page, "third")
        sent = len(page.updates)
        await site.delete("task", 3)
        await page_sends(page, sent + 1)
        assert "third" not in (page.updates[-1].data or "")


async def page_sends(connection: Connection, count: int) -> None:
    await eventually(lambda: len(connection.updates) >= count)


async def test_a_page_does_not_run_for_rows_that_it_has_not_read() -> None:
    site = Site()
    async with site.stream(await site.visit()) as page:
        await site.change("task", 2, name="later")
        await site.change("person", 1, name="Cy")
        await is_still(site, page)
        assert page.updates == []


async def test_only_blocks_that_differ_are_sent() -> None:
    site = Site()
    async with site.stream(await site.visit()) as page:
        await site.change("task", 1, name="weed")
        await shows(page, "weed")
        sent = len(page.updates)
        await site.change("task", 1, name="hoe", owner=2)
        await shows(page, "hoe")
        assert ["board" in (frame.data or "") for frame in page.updates[sent:]] == [False]


async def test_a_run_that_shows_nothing_new_sends_nothing() -> None:
    site = Site()
    async with site.stream(await site.visit()) as page:
        await site.change("task", 1, name="weed")
        await shows(page, "weed")
        runs = len(site.runs)
        await site.change("task", 1, owner=2)
        await quiet(page)
        assert len(site.runs) == runs + 1


async def test_a_stream_sends_nothing_if_nothing_has_changed_since_the_page() -> None:
    site = Site()
    async with site.stream(await site.visit()) as page:
        await quiet(page)


async def test_a_change_between_the_page_and_its_stream_is_sent() -> None:
    site = Site()
    seen = await site.visit()
    await site.change("task", 1, name="weed")
    async with site.stream(seen) as page:
        await shows(page, "weed")


async def test_a_change_between_the_page_and_its_stream_that_moves_what_is_read_is_sent() -> None:
    site = Site()
    seen = await site.visit()
    await site.change("setting", 1, board=2)
    async with site.stream(seen) as page:
        await shows(page, "second board", "reap")


async def test_a_run_decides_what_matters_from_then_on() -> None:
    site = Site()
    async with site.stream(await site.visit()) as page:
        await site.change("setting", 1, board=2)
        await shows(page, "second board", "reap")
        await site.change("task", 1, name="not shown")
        await is_still(site, page)
        await site.change("task", 2, name="harvest")
        await shows(page, "harvest")


async def test_a_change_during_a_run_of_what_the_run_has_read_for_the_first_time_is_sent() -> None:
    site = Site()
    async with site.stream(await site.visit()) as page:

        async def change() -> None:
            site.after_reading = None
            site.change_meanwhile("person", 2, name="Cy")

        site.read = lambda: {"title": site.db.one("person", id=site.db.one("setting", id=1)["board"])["name"]}
        site.after_reading = change
        await site.change("setting", 1, board=2)
        await shows(page, "Ben", "Cy")


async def test_a_change_during_the_run_that_admits_the_viewer_is_sent() -> None:
    site = Site()
    seen = await site.visit()

    async def change() -> None:
        site.after_reading = None
        site.change_meanwhile("task", 1, name="weed")

    site.after_reading = change
    async with site.stream(seen) as page:
        await shows(page, "weed")


async def test_what_a_run_that_fails_has_read_matters_too() -> None:
    site = Site()
    async with site.stream(await site.visit()) as page:

        def fail() -> Any:
            site.db.one("person", id=1)
            raise RuntimeError("no")

        read, site.read = site.read, fail
        await site.change("task", 1, name="weed")
        await eventually(lambda: len(site.runs) >= 3)
        site.read = lambda: {**read(), "title": site.db.one("person", id=1)["name"]}
        await site.change("person", 1, name="Cy")
        await shows(page, "weed", "Cy")


async def test_what_templates_read_matters_also_before_it_has_been_rendered_in_an_update() -> None:
    site = Site(TITLE + OWNERS)
    async with site.stream(await site.visit()) as page:
        await site.change("person", 1, name="Cy")
        await shows(page, "Cy")


async def test_what_templates_read_is_kept_if_a_change_by_hand_renders_another_block() -> None:
    site = Site(TITLE + OWNERS + BELL, scope="bell")
    async with site.stream(await site.visit()) as page:
        site.values["bell"] = "rings"
        await site.reactive.emit("bell", "bell")
        await shows(page, "rings")
        await site.change("person", 1, name="Cy")
        await shows(page, "Cy")


async def test_changes_by_hand_and_commits_meet_in_one_page() -> None:
    site = Site(TITLE + TASKS + BELL, scope=["bell", "board:{board}"])
    async with site.stream(await site.visit()) as page:
        site.values["bell"] = "rings"
        await site.reactive.emit("board:1", "bell")
        await shows(page, "rings")
        assert "sow" not in text(page)
        await site.change("task", 1, name="weed")
        await shows(page, "weed")


async def test_a_block_that_fails_in_the_first_run_is_rendered_after_each_commit() -> None:
    site = Site(TITLE + OWNERS)
    seen = await site.visit()
    person = site.db.rows["person"].pop(1)
    async with site.stream(seen) as page:
        site.db.rows["person"][1] = {**person, "name": "Cy"}
        await site.change("board", 2, title="any commit")
        await shows(page, "Cy")


async def test_a_page_whose_reads_are_not_known_runs_after_each_commit() -> None:
    site = Site()

    def read() -> Any:
        if (reads := current_reads()) is not None:
            reads.add(Read(Facts(everything=True), "select now()", "calls a function"))
        return {"title": site.db.rows["person"][1]["name"], "tasks": []}

    site.read = read
    async with site.stream(await site.visit()) as page:
        await site.change("person", 1, name="Cy")
        await shows(page, "Cy")
        site.db.rows["person"][1]["name"] = "Di"
        await site.emit({UNKNOWN: {"*"}})
        await shows(page, "Di")


async def test_a_write_that_is_not_known_runs_pages_that_read_anything() -> None:
    site = Site()
    async with site.stream(await site.visit()) as page:
        site.db.rows["task"][1]["name"] = "weed"
        await site.emit({UNKNOWN: {"*"}, COMMITS: {"task"}})
        await shows(page, "weed")


async def test_what_is_read_untracked_does_not_matter() -> None:
    site = Site()

    def read() -> Any:
        with site.reactive.untracked():
            title = site.db.one("board", id=1)["title"]
        return {"title": title, "tasks": site.db.select("task", board=1)}

    site.read = read
    async with site.stream(await site.visit()) as page:
        await site.change("board", 1, title="not shown yet")
        await is_still(site, page)
        await site.change("task", 1, name="weed")
        await shows(page, "weed", "not shown yet")


@pytest.mark.parametrize("options", [{"tracked": False}, {"track": False}])
async def test_a_page_that_is_not_tracked_is_live_by_hand_alone(options: Any) -> None:
    site = Site(scope="board:{board}", **options)
    async with site.stream(await site.visit()) as page:
        await site.change("task", 1, name="weed")
        await is_still(site, page)
        await site.reactive.emit("board:1", "tasks")
        await shows(page, "weed")


# Coming back


async def test_a_viewer_who_comes_back_gets_what_has_changed_and_nothing_else() -> None:
    site = Site()
    seen = await site.visit()
    async with site.stream(seen) as page:
        first = last_id(page)
        await site.change("task", 1, name="weed")
        await shows(page, "weed")
        second = last_id(page)
    async with site.stream(seen, second) as page:
        await quiet(page)
    await site.change("task", 2, name="not shown")
    async with site.stream(seen, second) as page:
        await quiet(page)
    await site.change("setting", 1, board=2)
    async with site.stream(seen, second) as page:
        await shows(page, "second board", "not shown")
    async with site.stream(seen, first) as page:
        await shows(page, "second board", "not shown")


async def test_a_viewer_of_another_process_gets_everything() -> None:
    before, after = Site(), Site()
    seen = await before.visit()
    async with before.stream(seen) as page:
        cursor = last_id(page)
    after.db.rows["task"][1]["name"] = "weed"
    async with after.stream(seen, cursor) as page:
        await shows(page, "weed", "first board")


async def test_a_viewer_gets_everything_if_the_log_has_forgotten_what_has_changed() -> None:
    site = Site()
    seen = await site.visit()
    await site.change("task", 1, name="weed")
    for number in range(300):
        await site.change("task", 1000 + number, board=5000 + number, owner=1, name="other")
    async with site.stream(seen) as page:
        await shows(page, "weed", "first board")
