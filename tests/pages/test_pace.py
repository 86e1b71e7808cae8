"""A change that many viewers of a private page are owed leaves room for the other requests of the event loop."""

from __future__ import annotations

import math
from contextlib import AsyncExitStack
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from starlette_reactive import Reactive, is_update
from starlette_reactive._core.loops import Pace, current_loop
from starlette_reactive._pages.places import PAGE_SHARE
from starlette_reactive._streams import group
from tests.support import environment, eventually

from .support import SECRET, request, stream

ENV = environment(page='<p id="title">{% block title %}{{ title }}{% endblock %}</p><div {{ live() }}></div>')
VIEWERS = PAGE_SHARE + 4


class Site:
    """Two private pages of one scope, which record the updates that they run, each with the iteration of the loop."""

    def __init__(self) -> None:
        self.iteration = 0
        self.runs: list[tuple[str, int]] = []
        self.reactive = Reactive(ENV, secret=SECRET)
        pages = [Route(f"/{name}", self._page(name)) for name in ("busy", "quiet")]
        self.app = Starlette(routes=[*self.reactive.routes, *pages])

    def _page(self, name: str) -> Any:
        @self.reactive.page("page.html", scope="all")
        async def page(request: Request) -> dict[str, Any]:
            if is_update(request):
                self.runs.append((name, self.iteration))
            return {"title": name}

        return page

    def count_iterations(self) -> None:
        """Count the iterations of the running loop from now on."""
        self.iteration += 1
        current_loop().run_soon(self.count_iterations)

    async def view(self, streams: AsyncExitStack, page: str, number: int) -> None:
        """Open the page for a viewer of its own address."""
        url = (await request(self.app, f"/{page}")).url
        await streams.enter_async_context(stream(self.app, url, address=f"10.0.0.{number}"))


@pytest.fixture(autouse=True)
def _any_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pace, "LONGEST", math.inf)  # however slow this one is, its loop does not count as busy
    monkeypatch.setattr(group, "MIN_INTERVAL", 0.0)  # and however fast it is, no viewer waits since it connected


async def test_no_two_updates_run_in_one_iteration_of_the_loop() -> None:
    site = Site()
    async with AsyncExitStack() as streams:
        for number in range(VIEWERS):
            await site.view(streams, "busy", number)
        site.runs.clear()
        site.count_iterations()
        await site.reactive.emit("all", "title")
        await eventually(lambda: len(site.runs) == VIEWERS)
        assert len({iteration for _, iteration in site.runs}) == VIEWERS


async def test_pages_take_turns() -> None:
    site = Site()
    async with AsyncExitStack() as streams:
        for number in range(VIEWERS):
            await site.view(streams, "busy", number)
        await site.view(streams, "quiet", 100)
        site.runs.clear()
        await site.reactive.emit("all", "title")
        await eventually(lambda: len(site.runs) == VIEWERS + 1)
        assert [page for page, _ in site.runs].index("quiet") == 2
