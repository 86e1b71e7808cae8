"""What holds for a page with several scopes on every engine, and without one."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from starlette_reactive import ChangeEvent, Reactive, ReactiveBus

from ..pages.support import SECRET, request, stream
from ..support import Connection, environment
from .conftest import POSTGRES, World, level, soon

PAGE = environment(
    page="".join(
        f'<p id="{name}">{{% block {name} %}}{{{{ {name} }}}}{{% endblock %}}</p>' for name in ("title", "bell")
    )
    + "<div {{ live() }}></div>"
)


class Site:
    """An application in one process. The data is the same in all of them."""

    def __init__(self, bus: ReactiveBus, scopes: list[str], values: dict[str, str], **options: Any) -> None:
        self.reactive = Reactive(PAGE, bus=bus, secret=SECRET)

        @self.reactive.page("page.html", scope=scopes, user=lambda request: request.cookies.get("name"), **options)
        async def page(request: Request) -> dict[str, Any]:
            return dict(values)

        self.app = Starlette(routes=[*self.reactive.routes, Route("/", page)])

    async def url(self, name: str = "ada") -> str:
        return (await request(self.app, "/", headers={"cookie": f"name={name}"})).url

    def stream(self, url: str, last_id: str | None = None, name: str = "ada") -> Any:
        more = {} if last_id is None else {"last-event-id": last_id}
        return stream(self.app, url, headers={"cookie": f"name={name}", **more})


async def sites(world: World, values: dict[str, str], **options: Any) -> tuple[Site, Site, str, str]:
    here, there = world.process(), world.process()
    await level(here, there)
    board, user = f"{world.scope}-board", world.scope + "-{request.cookies[name]}"
    made = [Site(bus, [board, user], values, **options) for bus in (here, there)]
    return made[0], made[1], board, f"{world.scope}-ada"


def values_in(connection: Connection) -> list[str]:
    """Return the values that a stream has sent."""
    return re.findall(r">(\d)<", "".join(frame.data or "" for frame in connection.updates))


async def gets(connection: Connection, value: str) -> None:
    await soon(lambda: value in values_in(connection))


def last_id(connection: Connection) -> str:
    return next(frame.id for frame in reversed(connection.frames) if frame.id is not None)


def is_there(site: Site, scope: str) -> bool:
    return [each.user_id for each in site.reactive.presence(scope)] == ["ada"]


async def test_changes_of_each_scope_reach_a_page_in_another_process(world: World) -> None:
    values = {"title": "1", "bell": "1"}
    here, there, board, user = await sites(world, values)
    async with there.stream(await there.url()) as page:
        values["title"] = "2"
        await here.reactive.emit(board, "title")
        await gets(page, "2")
        values["bell"] = "3"
        await here.reactive.emit(user, "bell")
        await gets(page, "3")


async def test_what_changed_before_the_stream_is_sent_by_a_process_that_did_not_know_the_scopes(world: World) -> None:
    values = {"title": "1", "bell": "1"}
    here, there, board, user = await sites(world, values)
    await here.reactive.emit(user, "title")  # before the page, so it is not sent
    await here.reactive.emit(board, "title")
    await level(here.reactive.bus)
    url = await here.url()
    values["bell"] = "2"
    await here.reactive.emit(user, "bell")
    async with there.stream(url) as page:
        await gets(page, "2")


async def test_a_stream_resumes_in_another_process_with_what_changed_in_each_scope(world: World) -> None:
    values = {"title": "1", "bell": "1"}
    here, there, board, user = await sites(world, values)
    url = await here.url()
    async with here.stream(url) as page:
        values["title"] = "2"
        await there.reactive.emit(board, "title")
        await gets(page, "2")
        await soon(lambda: page.frames[-1].id is not None)
        seen = last_id(page)
    values["bell"] = "3"
    await here.reactive.emit(user, "bell")
    async with there.stream(url, seen) as page:
        await gets(page, "3")
        # On PostgreSQL, a cursor may be older than the last event.
        assert world.kind == POSTGRES or values_in(page) == ["3"]
        await soon(lambda: page.frames[-1].id is not None)
        seen = last_id(page)
    values["title"] = "4"
    await here.reactive.emit(board, "title")
    async with here.stream(url, seen) as page:
        await gets(page, "4")
        assert world.kind == POSTGRES or values_in(page) == ["4"]


async def test_those_who_share_miss_nothing_of_their_own_scopes(world: World) -> None:
    values = {"title": "1", "bell": "1"}
    here, there, board, _ = await sites(world, values, share=lambda request: True)
    urls = {name: await here.url(name) for name in ("ada", "ben")}
    async with there.stream(urls["ada"]) as ada:
        values["bell"] = "2"
        await here.reactive.emit(f"{world.scope}-ben", "bell")
        async with there.stream(urls["ben"], name="ben") as ben:
            await gets(ben, "2")
            values["title"] = "3"
            await here.reactive.emit(board, "title")
            await gets(ada, "3")
            await gets(ben, "3")
            await soon(lambda: ben.frames[-1].id is not None)
            seen = last_id(ben)
        values["bell"] = "4"
        await here.reactive.emit(f"{world.scope}-ben", "bell")
        async with here.stream(urls["ben"], seen, name="ben") as ben:
            await gets(ben, "4")
        assert "4" not in values_in(ada)


async def test_a_viewer_is_present_in_each_scope_and_can_be_ended_in_each(world: World) -> None:
    here, there, board, user = await sites(world, {"title": "1", "bell": "1"})
    for scope in (board, user):
        async with there.stream(await there.url()) as page:
            for where in (board, user):
                with here.reactive.bus.subscribe(where):
                    await soon(partial(is_there, here, where))
            here.reactive.bus.close_user("ada", scope=scope)
            await soon(lambda: page.complete)
            assert page.updates[-1].event == "reactive-close"


async def test_a_change_for_another_audience_is_not_sent_in_any_scope(world: World) -> None:
    values = {"title": "1", "bell": "1"}
    here, there, board, user = await sites(world, values)
    async with there.stream(await there.url()) as page:
        for scope in (board, user):
            await here.reactive.bus.emit(ChangeEvent(scope, {"title"}, audience={"ben"}))
        values["bell"] = "2"
        await here.reactive.emit(board, "bell", audience={"ada"})
        await gets(page, "2")
        assert values_in(page) == ["2"]
