"""Attacks past what guards the application from outside. What an attacker would gain: the updates of a page that a
wrapper, an outer application or a proxy refuses to show.
"""

from __future__ import annotations

import signal
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from starlette_reactive import Reactive
from starlette_reactive._core.errors import ReactiveError

from ..pages.support import SECRET
from ..support import environment, eventually
from .support import CONFIDENTIAL, Browser, sent

ENV = environment(page='<p id="title">{% block title %}{{ title }}{% endblock %}</p><div {{ live() }}></div>')


class Gate:
    """Pure ASGI middleware around an application. It guards paths by what they begin with, as a proxy does."""

    def __init__(self, app: ASGIApp, guarded: str = "/") -> None:
        self.app = app
        self.guarded = guarded
        self.is_open = True
        self.paths: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.paths.append(scope["path"])
            if not self.is_open and scope["path"].startswith(self.guarded):
                await PlainTextResponse("no", 403)(scope, receive, send)
                return
        await self.app(scope, receive, send)


class Site:
    """A page that a gate guards."""

    def __init__(self, **options: Any) -> None:
        self.title = "public"
        self.reactive = Reactive(ENV, secret=SECRET, **options)

        @self.reactive.page("page.html", scope="all")
        async def page(request: Request) -> dict[str, Any]:
            return {"title": self.title}

        self.page = page
        self.routes = [*self.reactive.routes, Route("/", page), Route("/admin/{name}", page)]

    async def publish(self) -> None:
        self.title = CONFIDENTIAL
        await self.reactive.emit("all", "title")


async def test_updates_pass_the_wrapper_that_the_application_names() -> None:
    site = Site()
    gate = Gate(Starlette(routes=site.routes))
    site.reactive.app = gate
    async with Browser(gate).view("/") as connection:
        gate.is_open = False
        await site.publish()
        refused = await connection.closed_for_good()
        assert CONFIDENTIAL not in sent(connection) + sent(refused)
        assert site.reactive.app is gate


async def test_the_outermost_application_can_be_named_at_once() -> None:
    gate = Gate(PlainTextResponse("replaced below"))
    site = Site(app=gate)
    gate.app = Starlette(routes=site.routes)
    async with Browser(gate).view("/"):
        assert gate.paths == ["/", "/_reactive/live", "/"]


async def test_mounted_routes_fail_closed() -> None:
    """Updates would skip the outer application's middleware, which may be what guards the page."""
    site = Site()
    inner = Starlette(routes=site.routes)
    with pytest.raises(ReactiveError, match=r"mounted at '/in', .* set reactive.app to the outermost application"):
        await Browser(Starlette(routes=[Mount("/in", inner)])).request("/in/")


async def test_an_address_of_one_place_does_not_work_where_the_routes_are_mounted() -> None:
    site = Site()
    inner = Starlette(routes=site.routes)
    seen = await Browser(inner).request("/")
    with pytest.raises(ReactiveError, match="mounted at '/in'"):
        await Browser(Starlette(routes=[Mount("/in", inner)])).request(f"/in{seen.url}")


async def test_updates_of_a_mounted_application_pass_the_outer_one_that_is_named() -> None:
    site = Site()
    gate = Gate(Starlette(routes=[Mount("/in", Starlette(routes=site.routes))]), guarded="/in/")
    site.reactive.app = gate
    async with Browser(gate).view("/in/") as connection:
        gate.is_open = False
        await site.publish()
        refused = await connection.closed_for_good()
        assert CONFIDENTIAL not in sent(connection) + sent(refused)


async def test_a_wrapper_that_uvicorn_calls_is_noticed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site()
    gate = Gate(Starlette(routes=site.routes))

    class Server:
        """As uvicorn's, whose handler of SIGTERM leads to what it calls."""

        config = SimpleNamespace(loaded_app=gate)

        def handle_exit(self) -> None: ...

    monkeypatch.setattr(signal, "getsignal", lambda _: Server().handle_exit)
    browser = Browser(gate)
    async with browser.view("/"), browser.view("/"):
        pass
    assert caplog.text.count("the server calls Gate, which wraps the application of the live pages") == 1


@pytest.mark.parametrize("path", ["/admin/board", "/admin/a%20b", "/admin/%C3%A9"])
async def test_rules_for_paths_cover_a_stream_below_its_page(path: str) -> None:
    """A proxy guards ``/admin`` and knows nothing of the stream's own path."""
    site = Site(live_path="/live")
    gate = Gate(Starlette(routes=site.routes), guarded="/admin")
    browser = Browser(gate)
    seen = await browser.request(path)
    assert seen.url.startswith(f"{path}/live?page=")
    async with browser.stream(seen.url) as connection:
        await site.publish()
        await eventually(lambda: CONFIDENTIAL in sent(connection))
    gate.is_open = False
    assert (await browser.request(seen.url)).status == 403


async def test_the_stream_of_the_root_page_is_below_it_too() -> None:
    site = Site(live_path="/live")
    browser = Browser(Starlette(routes=site.routes))
    seen = await browser.request("/")
    assert seen.url.startswith("/live?page=")
    async with browser.stream(seen.url) as connection:
        await site.publish()
        await eventually(lambda: CONFIDENTIAL in sent(connection))


async def test_the_address_of_one_page_does_not_open_a_stream_below_another() -> None:
    """Else a stream of a guarded page could be opened below a path that nothing guards."""
    site = Site(live_path="/live")
    browser = Browser(Starlette(routes=site.routes))
    guarded = await browser.request("/admin/board")
    query = guarded.url.partition("?")[2]
    for path in ("/live", "/admin/other/live", "/admin/live"):
        assert (await browser.request(f"{path}?{query}")).status == 403


@pytest.mark.parametrize("live_path", ["live", "/live/", "/"])
def test_a_live_path_that_is_none_is_refused(live_path: str) -> None:
    with pytest.raises(ValueError, match="live_path is"):
        Reactive(ENV, secret=SECRET, live_path=live_path)
