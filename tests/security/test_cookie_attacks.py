"""Attacks on the middleware that keeps cookies current. What an attacker would gain: browsers that connect again for
ever, streams that never open, tokens that are spent and whose successors nobody gets, and answers of others changed.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from fastapi import FastAPI, Request, Response
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from starlette_reactive import Reactive, ReactiveBus, ReactiveMiddleware, is_update

from ..engines.conftest import World, level
from ..pages.support import SECRET
from ..support import environment, eventually
from .support import Browser, open_tab
from .test_current_cookies import Shop, Tokens, signed_in

ENV = environment(
    page='<body {{ live_origin() }}><p id="title">{% block title %}{{ title }}{% endblock %}</p>'
    "<div {{ live() }}></div></body>"
)


class Sliding:
    """An application whose middleware sets a new cookie with every answer, as one does that extends sessions."""

    def __init__(self, bus: ReactiveBus | None = None, *, name: str = "a", **options: Any) -> None:
        self.title = "public"
        self.reactive = reactive = Reactive(ENV, bus=bus, secret=SECRET)
        numbers = itertools.count()

        @reactive.page("page.html", scope="all", **options)
        async def page() -> dict[str, str]:
            return {"title": self.title}

        async def extend(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
            response = await call_next(request)
            response.set_cookie("session", f"{name}-{next(numbers)}")
            return response

        reactive.index.register_template(ENV, "page.html")

        @reactive.stream("page.html", scope="all")
        async def stream() -> Any:
            return lambda: {"title": self.title}

        self.app = Starlette(
            routes=[*reactive.routes, Route("/", page), Route("/stream", stream)],
            middleware=[
                Middleware(ReactiveMiddleware, reactive=reactive),
                Middleware(BaseHTTPMiddleware, dispatch=extend),
            ],
        )

    async def publish(self, title: str) -> None:
        self.title = title
        await self.reactive.emit("all", "title")


# Loops


@pytest.mark.parametrize("tabs", [1, 2])
async def test_streams_of_a_shared_page_whose_own_answers_set_cookies_go_on(tabs: int) -> None:
    site = Sliding(shared=True, user=lambda request: "ada")
    ada = Browser(site.app)
    async with anyio.create_task_group(), open_tab(ada, "/") as one, open_tab(ada, "/") as two:
        for number in range(5):
            await site.publish(f"change {number}")
            await eventually(lambda: f"change {number}" in one.sent and f"change {number}" in two.sent)  # noqa: B023
        print(len(one.streams), len(two.streams))
        assert len(one.streams) + len(two.streams) <= 2 + 2 * 5


async def test_a_stream_of_a_template_whose_own_answer_sets_cookies_goes_on() -> None:
    site = Sliding(user=lambda request: "ada")
    ada = Browser(site.app)
    await ada.request("/")
    async with ada.stream("/stream") as connection:
        await site.publish("new")
        await eventually(lambda: "new" in b"".join(connection.chunks).decode())
        assert not connection.complete


async def test_two_tabs_on_two_processes_do_not_restart_each_other_for_ever(shared: World) -> None:
    here, there = Sliding(shared.process(), name="a"), Sliding(shared.process(), name="b")
    await level(here.reactive.bus, there.reactive.bus)
    ada = Browser(here.app)
    elsewhere = Browser(there.app)
    await ada.request("/")
    elsewhere.cookies = ada.cookies
    async with open_tab(ada, "/") as one, open_tab(elsewhere, "/") as two:
        for number in range(5):
            here.title = there.title = f"change {number}"
            await here.reactive.emit("all", "title")
            await eventually(lambda: f"change {number}" in one.sent and f"change {number}" in two.sent)  # noqa: B023
        print(len(one.streams), len(two.streams))
        assert len(one.streams) + len(two.streams) <= 2 + 4 * 5


# Several middlewares


async def test_two_reactive_objects_with_a_middleware_each() -> None:
    first = Reactive(ENV, secret=SECRET, prefix="/first")
    second = Reactive(ENV, secret=SECRET, prefix="/second")
    routes = []
    for path, reactive in {"/a": first, "/b": second}.items():

        @reactive.page("page.html", scope="all")
        async def page() -> dict[str, str]:
            return {"title": "shown"}

        routes += [*reactive.routes, Route(path, page)]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(ReactiveMiddleware, reactive=first), Middleware(ReactiveMiddleware, reactive=second)],
    )
    for path, reactive in {"/a": first, "/b": second}.items():
        async with open_tab(Browser(app), path) as tab:
            await reactive.emit("all", "title")
            await eventually(lambda: "shown" in tab.sent)
            assert not tab.is_closed


async def test_a_middleware_that_was_added_twice_does_no_harm() -> None:
    shop = Shop()
    ada = await signed_in(shop.app)
    ada._app = ReactiveMiddleware(shop.app, shop.reactive)
    async with open_tab(ada, "/") as tab:
        await shop.publish("new")
        await eventually(lambda: "new" in tab.sent)
        assert not tab.is_closed


# Other requests for the path of streams


async def test_a_preflight_of_a_stream_is_answered_by_the_application() -> None:
    shop = Shop()
    url = (await (await signed_in(shop.app)).request("/")).url
    app = ReactiveMiddleware(CORSMiddleware(shop.app, allow_origins=["https://example.com"]), shop.reactive)
    headers = {"origin": "https://example.com", "access-control-request-method": "GET"}
    answer = await Browser(app).request(url, method="OPTIONS", headers=headers)
    assert answer.headers["access-control-allow-origin"] == "https://example.com"
    assert answer.headers["content-type"].startswith("text/plain")


# Browsers that refuse cookies


async def stubborn_streams(shop: Shop, browser: Browser, url: str, count: int) -> list[bool]:
    """Connect with cookies that stay the same, and return which streams were served."""
    served = []
    for _ in range(count):
        async with browser.stream(url) as connection:
            await eventually(lambda: any(frame.id or frame.event for frame in connection.frames))
            served.append(connection.frames[-1].event != "reactive-restart")
    return served


async def test_a_browser_that_refuses_what_each_answer_sets_is_served() -> None:
    shop = Shop()
    ada = await signed_in(shop.app)
    seen = await ada.request("/")
    stubborn, cookies = Browser(shop.app), dict(ada.cookies)
    served = []
    for _ in range(8):
        stubborn.cookies = dict(cookies)
        await stubborn.request("/add", method="POST")
        stubborn.cookies = dict(cookies)
        served += await stubborn_streams(shop, stubborn, seen.url, 1)
    assert served == [False] * 6 + [True] * 2


async def test_many_tabs_do_not_use_up_the_patience_with_each_other() -> None:
    """An answer that is slow to arrive would otherwise leave some of them open for somebody who has signed out."""
    shop = Shop()
    ada = await signed_in(shop.app)
    urls = [(await ada.request("/")).url for _ in range(10)]
    late = Browser(shop.app)
    late.cookies = dict(ada.cookies)
    await ada.request("/sign-out")
    for url in urls:
        assert await stubborn_streams(shop, late, url, 1) == [False]


async def test_a_stream_of_a_template_is_served_to_a_browser_that_refuses_a_cookie() -> None:
    site = Sliding(user=lambda request: "ada")
    ada = Browser(site.app)
    await ada.request("/")
    cookies = dict(ada.cookies)
    await ada.request("/")
    for _ in range(6):
        ada.cookies = dict(cookies)
        async with ada.stream("/stream") as connection:
            await connection.ended.wait()
            assert connection.updates[-1].event == "reactive-restart"
    ada.cookies = dict(cookies)
    async with ada.stream("/stream") as connection:
        await site.publish("new")
        await eventually(lambda: "new" in b"".join(connection.chunks).decode())


# An engine that is away


async def test_answers_that_set_cookies_are_given_while_the_outbox_is_full(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("starlette_reactive._engines.outbox.SCOPE_LIMIT", 0)
    bus = ReactiveBus.from_url("redis://127.0.0.1:1")
    shop = Shop(bus)
    ada = await signed_in(shop.app)
    ada.cookies["reactive_session"] = "a" * 20
    assert (await ada.request("/sign-out")).status == 200
    assert "session" not in ada.cookies
    assert "telling other processes that the cookies of a browser have changed" in caplog.text


# Cookies that an answer does not bring


class Blocking(Tokens):
    """Tokens whose renewal can be made to last."""

    def __init__(self) -> None:
        self.blocks = False
        self.is_renewed = threading.Event()
        self.may_go_on = threading.Event()
        super().__init__("dependency")

    def renew(self, request: Request, response: Response) -> None:
        super().renew(request, response)
        if self.blocks:
            self.is_renewed.set()
            assert self.may_go_on.wait(30)


async def test_a_token_that_is_renewed_for_a_tab_that_is_closed_meanwhile_is_not_lost() -> None:
    site = Blocking()
    ada = site.browser()
    seen = await ada.request("/")
    site.expire()
    site.blocks = True
    async with ada.stream(seen.url, wait=False):
        await eventually(site.is_renewed.is_set)
    site.blocks = False
    site.may_go_on.set()
    await eventually(lambda: site.reactive._site.cookies.has_kept)
    assert (await ada.request("/")).status == 200
    assert ada.cookies["refresh"] == site.refresh
    assert site.thefts == []


class Failing(Tokens):
    """Tokens whose page can be made to fail."""

    fails = False

    @property
    def title(self) -> str:
        if self.fails:
            raise RuntimeError("the page fails")
        return "shown"

    @title.setter
    def title(self, title: str) -> None:
        pass


async def test_a_token_that_middleware_renews_for_a_tab_that_is_closed_meanwhile_is_not_lost() -> None:
    site = Failing("middleware")
    ada = site.browser()
    seen = await ada.request("/")
    cookies = dict(ada.cookies)
    site.expire()
    site.fails = True
    async with ada.stream(seen.url, wait=False):
        await eventually(lambda: site.valid)
    ada.cookies = cookies  # it was sent nothing more after it had gone
    site.fails = False
    assert (await ada.request("/")).status == 200
    assert ada.cookies["refresh"] == site.refresh
    assert site.thefts == []


async def spent_by_update(site: Tokens, ada: Browser) -> None:
    """Have an update renew the token, and leave."""
    seen = await ada.request("/")
    async with ada.stream(seen.url) as connection:
        site.expire()
        await site.reactive.emit("all", "title")
        await connection.ended.wait()
    assert ada.cookies["refresh"] != site.refresh


async def test_a_token_that_an_update_has_renewed_survives_a_request_that_fails() -> None:
    site = Failing("dependency")
    ada = site.browser()
    await spent_by_update(site, ada)
    site.fails = True
    with pytest.raises(RuntimeError):
        await ada.request("/")
    site.fails = False
    assert (await ada.request("/")).status == 200
    assert ada.cookies["refresh"] == site.refresh
    assert site.thefts == []


async def test_a_token_that_is_renewed_again_replaces_the_one_of_an_update() -> None:
    site = Tokens("dependency")
    ada = site.browser()
    await spent_by_update(site, ada)
    site.expire()
    await ada.request("/")
    assert ada.cookies["refresh"] == site.refresh
    assert site.thefts == []


async def test_no_cache_keeps_an_answer_that_brings_the_cookies_of_an_update() -> None:
    site = Tokens("dependency")

    @site.app.get("/style.css")
    async def style() -> Response:
        return Response("", headers={"Cache-Control": "public, max-age=31536000"})

    ada = site.browser()
    assert (await ada.request("/style.css")).headers["cache-control"] == "public, max-age=31536000"
    await spent_by_update(site, ada)
    answer = await ada.request("/style.css")
    assert "refresh=" in answer.headers["set-cookie"]
    assert answer.headers["cache-control"] == "no-store"
    assert (await ada.request("/style.css")).headers["cache-control"] == "public, max-age=31536000"


# Odd cookies


class Odd:
    """An application that reads the header ``Cookie`` of its updates, and that sets any header ``Set-Cookie``."""

    def __init__(self, set_by_page: str | None = None, **options: Any) -> None:
        self.received: list[str] = []
        self.reactive = reactive = Reactive(ENV, secret=SECRET, **options)
        app = FastAPI()
        app.include_router(reactive.router)

        @app.get("/{directory:path}/page")
        @reactive.page("page.html", scope="all")
        async def page(request: Request, response: Response) -> dict[str, str]:
            self.received.append(request.headers.get("cookie", ""))
            if set_by_page is not None and is_update(request):
                response.headers.append("set-cookie", set_by_page)
            return {"title": "shown"}

        @app.post("/set")
        async def set_cookie(cookie: str, response: Response) -> None:
            response.headers.append("set-cookie", cookie)

        self.app = ReactiveMiddleware(app, reactive)


@pytest.mark.parametrize(
    ("directory", "path"),
    [("a", "/a"), ("a/b", "/a/b"), ("a%20b", "/a%20b"), ("a;domain=test/b", "/"), ("a/b;c/d", "/a")],
)
async def test_a_cookie_without_a_path_keeps_the_directory_of_its_page(directory: str, path: str) -> None:
    """The answer of a stream has another path than the page."""
    site = Odd("seen=yes; HttpOnly")
    seen = await Browser(site.app).request(f"/{directory}/page")
    async with Browser(site.app).stream(seen.url) as connection:
        await eventually(lambda: connection.chunks)
        set_cookies = [value.decode() for name, value in connection.start["headers"] if name == b"set-cookie"]
        assert set_cookies == [f"seen=yes; HttpOnly; Path={path}"]


async def test_a_cookie_with_the_name_none_is_not_lost() -> None:
    site = Odd("None=yes; Path=/", session_cookie=None)
    seen = await Browser(site.app).request("/a/page")
    async with Browser(site.app).stream(seen.url) as connection:
        await eventually(lambda: connection.chunks)
        assert (b"set-cookie", b"None=yes; Path=/") in connection.start["headers"]


@pytest.mark.parametrize("cookie", ["flag", "=flag", "; Path=/", "", f"a=b; Max-Age=-{'9' * 5000}"])
async def test_a_header_that_changes_no_cookie_interrupts_nothing(cookie: str) -> None:
    site = Odd()
    browser = Browser(site.app)
    async with open_tab(browser, "/a/page") as tab:
        sent = dict(browser.cookies)
        assert (await browser.request("/set", method="POST", params={"cookie": cookie})).status == 200
        browser.cookies = sent
        await site.reactive.emit("all", "title")
        await eventually(lambda: "shown" in tab.sent)
        assert len(tab.streams) == 1


async def test_updates_carry_the_bytes_of_cookies_that_are_not_ascii() -> None:
    site = Odd("seen=yes; Path=/")
    browser = Browser(site.app)
    seen = await browser.request("/a/page")
    cookies = 'name="x"; b=a=b; voilà=à'
    async with browser.stream(seen.url, headers={"cookie": cookies}) as connection:
        await eventually(lambda: connection.chunks)
        await site.reactive.emit("all", "title")
        await eventually(lambda: "shown" in b"".join(connection.chunks).decode())
    assert site.received[-1] == cookies.encode().decode("latin-1") + "; seen=yes"
