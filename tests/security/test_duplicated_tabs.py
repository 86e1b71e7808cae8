"""Attacks on marks. What an attacker would gain: changes that are hidden from the page of somebody else.

A change that carries a page's mark is not sent back to that page.
"""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from starlette_reactive import Reactive, ReactiveBus

from ..engines.conftest import World
from ..pages.support import SECRET, Seen
from ..support import environment, eventually
from .support import Browser, sent

ENV = environment(
    page='<body {{ live_origin() }}><p id="title">{% block title %}{{ title }}{% endblock %}</p>'
    "<div {{ live() }}></div>"
)


class Site:
    """A page with a form."""

    def __init__(self, bus: ReactiveBus | None = None, scope: str = "all", **options: Any) -> None:
        self.title = "before"
        self.reactive = Reactive(ENV, bus=bus, secret=SECRET)

        @self.reactive.page("page.html", scope=scope, **options)
        async def page(request: Request) -> dict[str, Any]:
            return {"title": self.title}

        async def change(request: Request) -> Response:
            self.title = "after"
            await self.reactive.emit(scope, "title", origin=self.reactive.origin(request))
            return Response(self.reactive.origin(request) or "none")

        self.app = Starlette(
            routes=[*self.reactive.routes, Route("/", page), Route("/change", change, methods=["POST"])]
        )


async def changed(browser: Browser, seen: Seen) -> str:
    return (await browser.request("/change", method="POST", headers={"Reactive-Origin": seen.origin})).text


@pytest.mark.parametrize("shared", [False, True])
async def test_a_mark_counts_in_the_browser_that_visited_the_page(*, shared: bool) -> None:
    browser = Browser((site := Site(shared=shared)).app)
    seen = await browser.request("/")
    async with browser.stream(seen.url):
        assert await changed(browser, seen) == seen.origin
        assert len(seen.origin) <= 64
    assert site.title == "after"


async def test_the_mark_of_somebody_else_is_none() -> None:
    site = Site()
    ada, mallory = Browser(site.app), Browser(site.app)
    seen = await ada.request("/")
    await mallory.request("/")
    async with ada.stream(seen.url) as connection:
        assert await changed(mallory, seen) == "none"
        await eventually(lambda: "after" in sent(connection))


async def test_presence_does_not_reveal_marks() -> None:
    site = Site()
    browser = Browser(site.app)
    seen = await browser.request("/")
    async with browser.stream(seen.url):
        (connection,) = site.reactive.presence("all")
        assert seen.origin not in connection.session_id
        assert connection.session_id not in seen.text


async def test_no_browser_or_proxy_keeps_a_page_with_its_mark() -> None:
    seen = await Browser(Site().app).request("/")
    assert seen.headers["cache-control"] == "no-store"


async def test_two_tabs_with_one_mark_are_told_of_each_others_changes() -> None:
    """Duplicating a tab copies its HTML, and the mark in it."""
    site = Site()
    browser = Browser(site.app)
    seen = await browser.request("/")
    async with browser.stream(seen.url) as one, browser.stream(seen.url) as two:
        await eventually(lambda: len(site.reactive.presence("all")) == 2)
        await changed(browser, seen)
        await eventually(lambda: "after" in sent(one) and "after" in sent(two))


async def test_two_tabs_with_one_mark_in_two_processes_are_told_of_each_others_changes(shared: World) -> None:
    here, there = Site(shared.process(), shared.scope), Site(shared.process(), shared.scope)
    browser, other = Browser(here.app), Browser(there.app)
    seen = await browser.request("/")
    other.cookies = browser.cookies
    async with browser.stream(seen.url) as one, other.stream(seen.url) as two:
        for site in (here, there):
            await eventually(lambda: len(site.reactive.presence(shared.scope)) == 2)  # noqa: B023 - called at once
        there.title = "after"
        await changed(browser, seen)
        await eventually(lambda: "after" in sent(one) and "after" in sent(two))
