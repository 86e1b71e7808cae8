"""Groups of viewers: what the run of one has read decides for all who share it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest

from starlette_reactive import ChangeEvent
from starlette_reactive._core.facts import table_scope, value_path
from starlette_reactive.testing import TestClient
from tests.pages.support import quiet, request
from tests.pages.test_own_changes import updates_of
from tests.support import Connection, eventually

from .site import HELLO, OWNERS, TASKS, TITLE, Site, last_id, shows, text

pytestmark = pytest.mark.anyio


NAMES = {"ada": 1, "ben": 2}


def team_site(template: str = TITLE + TASKS + HELLO, **options: Any) -> Site:
    """Return a site whose page is shared by all, and has a block that belongs to one viewer."""
    site = Site(template, share=lambda request: "team", user=lambda request: request.cookies["name"], **options)
    read = site.read

    def read_as_member() -> Any:
        person = NAMES[site.runs[-1]]
        return {**read(), "status": site.db.one("person", id=person)["name"]}

    site.read = read_as_member
    return site


async def opened(stack: AsyncExitStack, site: Site, *names: str) -> list[Connection]:
    found = []
    for name in names:
        seen = await site.visit(name)
        found.append(await stack.enter_async_context(site.stream(seen, name=name)))
    site.runs.clear()
    return found


# Shared by all


async def test_one_run_serves_all_viewers_of_a_shared_page() -> None:
    site = Site(shared=True)
    async with AsyncExitStack() as stack:
        ada, ben = await opened(stack, site, "ada", "ben")
        await site.change("task", 1, name="weed")
        await shows(ada, "weed")
        await shows(ben, "weed")
        assert len(site.runs) == 1
        await site.change("task", 2, name="not shown")
        await quiet(ada)
        assert len(site.runs) == 1


async def test_a_viewer_who_joins_a_shared_page_gets_what_has_changed_since_its_page() -> None:
    site = Site(shared=True)
    async with AsyncExitStack() as stack:
        await opened(stack, site, "ada")
        seen = await site.visit("ben")
        await site.change("task", 1, name="weed")
        await eventually(lambda: len(site.runs) >= 2)
        ben = await stack.enter_async_context(site.stream(seen, name="ben"))
        await shows(ben, "weed")


async def test_a_viewer_who_joins_and_has_read_something_else_than_the_group_gets_all_blocks() -> None:
    site = Site(shared=True)
    async with AsyncExitStack() as stack:
        (ada,) = await opened(stack, site, "ada")
        started, may_end = anyio.Event(), anyio.Event()

        async def hold() -> None:
            site.before_reading = None
            started.set()
            await may_end.wait()

        site.before_reading = hold
        await site.change("setting", 1, board=2)  # the group begins to run
        await started.wait()
        seen = await site.visit("ben")  # it shows the second board, which no run of the group has read
        await site.change("task", 2, name="harvest")
        ben = await stack.enter_async_context(site.stream(seen, name="ben"))
        await quiet(ben)
        may_end.set()
        await shows(ada, "harvest")
        await shows(ben, "harvest")


async def test_a_viewer_who_joins_while_the_first_run_is_out_of_date_gets_all_blocks() -> None:
    site = Site(shared=True)
    first = await site.visit("ada")
    async with AsyncExitStack() as stack:
        started, may_end = anyio.Event(), anyio.Event()

        async def hold() -> None:
            site.after_reading = None
            started.set()
            await may_end.wait()

        site.after_reading = hold
        ada = await stack.enter_async_context(site.stream(first, wait=False))
        await started.wait()
        site.change_meanwhile("setting", 1, board=2)
        seen = await site.visit("ben")
        site.change_meanwhile("task", 2, name="harvest")
        ben = await stack.enter_async_context(site.stream(seen, name="ben", wait=False))
        may_end.set()
        await shows(ada, "harvest")
        await shows(ben, "harvest")


# Shared by key


async def test_a_page_shared_by_key_runs_once_for_what_it_shares() -> None:
    site = team_site(TITLE + TASKS)
    async with AsyncExitStack() as stack:
        ada, ben = await opened(stack, site, "ada", "ben")
        await site.change("task", 1, name="weed")
        await shows(ada, "weed")
        await shows(ben, "weed")
        assert len(site.runs) == 1


async def test_what_only_one_viewer_has_read_updates_its_personal_block() -> None:
    site = team_site()
    async with AsyncExitStack() as stack:
        ada, ben = await opened(stack, site, "ada", "ben")
        await site.change("person", 2, name="away")
        await shows(ben, "ben is away")
        await quiet(ada)
        assert "away" not in text(ada)
        await site.change("task", 1, name="weed")
        await shows(ada, "weed")
        await shows(ben, "weed")


async def test_a_viewer_who_comes_back_gets_a_personal_block_that_was_not_rendered_yet() -> None:
    site = team_site()
    read = site.read
    site.read = lambda: {**read(), "status": site.db.rows["task"][1]["name"]}
    async with AsyncExitStack() as stack:
        seen = await site.visit("ada")
        async with site.stream(seen) as ada:
            await site.change("task", 1, name="weed")
            await shows(ada, "<li>weed</li>", "ada is weed")
            ids = [frame.id for frame in ada.frames if frame.id]
        for cursor in ids[:-1]:
            again = await stack.enter_async_context(site.stream(seen, cursor))
            await shows(again, "<li>weed</li>", "ada is weed")
        again = await stack.enter_async_context(site.stream(seen, ids[-1]))
        await quiet(again)


async def test_what_shared_blocks_read_as_they_are_rendered_matters() -> None:
    site = team_site(OWNERS + HELLO)
    async with AsyncExitStack() as stack:
        (ben,) = await opened(stack, site, "ben")
        await site.change("person", 1, name="Cy")
        await shows(ben, "<b>Cy</b>")


async def test_a_change_between_the_page_and_its_stream_reaches_who_shares_by_key() -> None:
    site = team_site()
    async with AsyncExitStack() as stack:
        await opened(stack, site, "ada")
        seen = await site.visit("ben")
        await site.change("setting", 1, board=2)
        await site.change("person", 2, name="away")
        ben = await stack.enter_async_context(site.stream(seen, name="ben"))
        await shows(ben, "second board", "reap", "ben is away")


# Tabs


async def test_tabs_of_one_browser_share_runs_and_what_they_have_read() -> None:
    site = Site()
    first = await site.visit()
    cookies = {"cookie": f"name=ada; {first.cookies['Cookie']}"}
    second = await request(site.app, "/1", headers=cookies)
    async with site.stream(first) as one, site.stream(second, cookies=first.cookies) as other:
        await site.change("task", 1, name="weed")
        await shows(one, "weed")
        await shows(other, "weed")
        await quiet(one)  # groups that have just run wait for a moment, each as long as it has to
        site.runs.clear()
        await site.change("setting", 1, board=2)
        await shows(one, "second board")
        await shows(other, "second board")
        await quiet(one)
        await site.change("task", 2, name="harvest")
        await shows(one, "harvest")
        await shows(other, "harvest")
        assert len(site.runs) == 2


# Own changes, and changes of updates


async def test_a_change_of_the_tab_itself_is_marked_as_its_own() -> None:
    site = Site()
    seen = await site.visit()
    async with site.stream(seen, script=True) as mine, site.stream(await site.visit()) as other:
        cookies = {"cookie": seen.cookies["Cookie"], "Reactive-Origin": seen.origin}
        answer = await request(site.app, "/rename", method="POST", headers=cookies)
        assert answer.status == 204
        await shows(other, "own")
        await shows(mine, "own")
        assert {update.id: update.own for update in updates_of(mine)}["tasks"]
        await site.change("task", 1, name="weed")
        await shows(mine, "weed")
        assert not updates_of(mine)[-1].own


async def test_somebody_elses_change_of_the_same_rows_is_not_marked_as_own() -> None:
    site = Site()
    seen = await site.visit()
    async with site.stream(seen, script=True) as mine:
        cookies = {"cookie": seen.cookies["Cookie"], "Reactive-Origin": seen.origin}
        site.before_reading = None
        site.db.change("task", 1, owner=2)
        paths = site.db.change("task", 1, name="theirs")
        for scope, changed in paths.items():
            site.reactive.bus.emit_sync(ChangeEvent(scope, changed))
        await request(site.app, "/rename", method="POST", headers=cookies)
        await shows(mine, "own")
        assert not any(update.own for update in updates_of(mine))


async def test_what_an_update_writes_does_not_run_its_page_again() -> None:
    site = Site()

    async def note_visit() -> None:
        await site.change("task", 1, owner=1)

    async with site.stream(await site.visit()) as page:
        site.before_reading = note_visit
        await site.change("task", 1, name="weed")
        await shows(page, "weed")
        runs = len(site.runs)
        await quiet(page)
        assert len(site.runs) == runs


# Presence, and the test client


async def test_callbacks_of_presence_may_commit_what_the_page_has_read() -> None:
    site = Site(TASKS, on_connect=lambda scope, _: connected(scope), on_disconnect=lambda scope, _: left(scope))
    scopes = set()

    async def connected(scope: str) -> None:
        scopes.add(scope)
        assert site.reactive.presence(scope)
        await site.change("task", 10 + len(site.db.rows["task"]), board=1, owner=1, name="here")

    async def left(scope: str) -> None:
        await site.change("task", 99, board=1, owner=1, name="gone")

    async with site.stream(await site.visit()) as page:
        await shows(page, "here")
        assert site.reactive.bus.viewer_count == 1
        async with site.stream(await site.visit("ben"), name="ben"):
            await eventually(lambda: text(page).count("<li>here</li>") >= 3)
        await shows(page, "gone")
    assert len(scopes) == 1


async def test_each_address_of_a_page_has_a_presence_of_its_own() -> None:
    scopes: list[str] = []
    site = Site(TASKS, on_connect=lambda scope, _: scopes.append(scope))
    async with site.stream(await site.visit()), site.stream(await site.visit(path="/")):
        await eventually(lambda: len(set(scopes)) == 2)


async def test_the_test_client_follows_a_page_without_a_scope() -> None:
    site = Site()
    async with TestClient(site.app) as client:
        page = await client.live("/1")
        await site.change("task", 1, name="weed")
        await page.expect("#tasks li", "weed")


async def test_a_change_of_rows_that_nobody_has_read_wakes_no_stream() -> None:
    site = Site()
    async with site.stream(await site.visit()) as page:
        cursor = last_id(page)
        with site.not_running():
            for number in range(50):
                site.reactive.bus.emit_sync(ChangeEvent(table_scope("log"), {value_path("id", str(number))}))
            await quiet(page)
        assert last_id(page) == cursor
