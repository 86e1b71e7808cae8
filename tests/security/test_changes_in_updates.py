"""Attacks by an application on itself. What is lost: the processor, for a change that is made in an update causes the
next update, for ever, with a single viewer.
"""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from starlette_reactive import Reactive, ReactiveBus
from starlette_reactive._pages import changes

from ..engines.conftest import World
from ..pages.support import SECRET
from ..support import environment, eventually
from .support import Browser, sent

ENV = environment(
    page='<p id="title">{% block title %}{{ title }}{% endblock %}</p>'
    '<p id="seen">{% block seen %}{{ last_seen }}{% endblock %}</p><div {{ live() }}></div>'
)


@pytest.fixture(autouse=True)
def nothing_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "_reported", set())


class Site:
    """Pages that record in each run when their viewer was last seen, and show it."""

    def __init__(self, bus: ReactiveBus | None = None, scope: str = "all") -> None:
        self.scope = scope
        self.runs = {"one": 0, "two": 0}
        self.reactive = Reactive(ENV, bus=bus, secret=SECRET)
        self.app = Starlette(routes=[*self.reactive.routes, self.route("one"), self.route("two")])

    def route(self, name: str) -> Route:
        async def page(request: Request) -> dict[str, Any]:
            self.runs[name] += 1
            await self.reactive.emit(self.scope, "last_seen")
            return {"title": name, "last_seen": f"run {sum(self.runs.values())}"}

        page.__qualname__ = name
        return Route(f"/{name}", self.reactive.page("page.html", scope=self.scope)(page))


async def test_a_change_that_an_update_makes_does_not_update_its_own_page(caplog: pytest.LogCaptureFixture) -> None:
    site = Site()
    async with Browser(site.app).view("/one") as one, Browser(site.app).view("/one") as other:
        await anyio.wait_all_tasks_blocked()
        await site.reactive.emit("all", "title")
        await eventually(lambda: "one" in sent(one) and "one" in sent(other))
        await settled(site)
    reports = [
        record.getMessage() for record in caplog.records if "during an update of the page" in record.getMessage()
    ]
    assert len(reports) == 1
    assert reports[0].startswith(f"{__file__}:")
    assert "emits last_seen of scope 'all'" in reports[0]
    assert "only if not is_update(request)" in reports[0]


async def test_two_pages_do_not_update_each_other_for_ever() -> None:
    site = Site()
    async with Browser(site.app).view("/one") as one, Browser(site.app).view("/two") as two:
        await site.reactive.emit("all", "title")
        await eventually(lambda: "one" in sent(one) and "two" in sent(two))
        await settled(site)


async def test_other_pages_and_subscriptions_are_told_of_the_change() -> None:
    site = Site()
    events = site.reactive.bus.subscribe("all")
    async with Browser(site.app).view("/one"):
        await anyio.wait_all_tasks_blocked()
        events.drain()
        async with Browser(site.app).view("/two") as two:
            await anyio.wait_all_tasks_blocked()
            before = len(two.updates)
            await site.reactive.emit("all", "title", audience=None)
            await eventually(lambda: any(frame.data and "run" in frame.data for frame in two.updates[before:]))
            assert any("last_seen" in event.changed_paths for event in events.drain())
            await settled(site)


async def test_the_changes_of_a_visit_are_delivered_to_everybody() -> None:
    site = Site()
    async with Browser(site.app).view("/one") as one:
        await anyio.wait_all_tasks_blocked()
        before = len(one.updates)
        await Browser(site.app).request("/one")
        await eventually(lambda: any(frame.data and "run" in frame.data for frame in one.updates[before:]))


async def test_a_real_change_of_the_same_path_is_delivered_whichever_comes_last() -> None:
    site = Site()
    async with Browser(site.app).view("/one") as one:
        for _ in range(3):
            await anyio.wait_all_tasks_blocked()
            before = len(one.updates)
            await site.reactive.emit("all", "last_seen")
            await eventually(lambda: len(one.updates) > before)  # noqa: B023 - called at once


async def test_the_viewers_of_other_processes_are_no_exception(shared: World) -> None:
    here, there = Site(shared.process(), shared.scope), Site(shared.process(), shared.scope)
    seen = await Browser(here.app).request("/one")
    async with Browser(here.app).stream(seen.url) as one, Browser(there.app).stream(seen.url) as other:
        await here.reactive.emit(shared.scope, "title")
        await eventually(lambda: "one" in sent(one) and "one" in sent(other))
        await settled(here, there)


async def settled(*sites: Site) -> None:
    """Wait until nothing runs any more. Each emit of an update would cause the next one, so the runs would not end."""
    before = None
    while before != (before := [dict(site.runs) for site in sites]):
        for site in sites:
            await site.reactive.bus.cursor_now(site.scope)  # what was emitted has been delivered
        await anyio.sleep(0.1)
    assert sum(sum(site.runs.values()) for site in sites) < 40
