"""Attacks on cookies that have changed since a stream was opened. What an attacker would gain: what somebody sees who
has signed out, the power to sign people out by changing what they look at, and pages that stay as they were.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import RedirectResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from starlette_reactive import Reactive, ReactiveBus, ReactiveMiddleware

from ..engines.conftest import World, level
from ..pages.support import SECRET
from ..support import environment, eventually
from .support import CONFIDENTIAL, Browser, Tab, open_tab

ENV = environment(
    page='<body {{ live_origin() }}><p id="title">{% block title %}{{ title }}{% endblock %}</p>'
    '<p id="cart">{% block cart %}{{ cart }}{% endblock %}</p><div {{ live() }}></div></body>'
)


class Shop:
    """An application that keeps the sign-in and the cart in a signed cookie."""

    def __init__(self, bus: ReactiveBus | None = None, *, shared: bool = False, **options: Any) -> None:
        self.title = "public"
        self.runs = 0
        self.reactive = reactive = Reactive(ENV, bus=bus, secret=SECRET, **options)
        user = (lambda request: request.session.get("user")) if shared else None

        @reactive.page("page.html", scope="shop", shared=shared, user=user)
        async def page(request: Request) -> Any:
            self.runs += 1
            if not shared and "user" not in request.session:
                return RedirectResponse("/sign-in")
            cart = [] if shared else request.session.get("cart", [])
            return {"title": self.title, "cart": f"{len(cart)} in cart"}

        async def sign_in(request: Request) -> Response:
            request.session["user"] = request.query_params["user"]
            return Response()

        async def sign_out(request: Request) -> Response:
            request.session.clear()
            return Response()

        async def add(request: Request) -> Response:
            request.session["cart"] = [*request.session.get("cart", []), "tea"]
            await reactive.emit("shop", "cart")
            await self.before_answer()
            return Response()

        self.app = Starlette(
            routes=[
                *reactive.routes,
                Route("/", page),
                Route("/sign-in", sign_in),
                Route("/sign-out", sign_out),
                Route("/add", add, methods=["POST"]),
            ],
            middleware=[
                Middleware(ReactiveMiddleware, reactive=reactive),
                Middleware(SessionMiddleware, secret_key="a key for tests"),
            ],
        )

    async def before_answer(self) -> None:
        """Runs between an emit and the answer that sets the cookie."""

    async def publish(self, title: str = CONFIDENTIAL) -> None:
        self.title = title
        await self.reactive.emit("shop", "title")


async def signed_in(app: ASGIApp, user: str = "ada") -> Browser:
    browser = Browser(app)
    await browser.request(f"/sign-in?user={user}")
    return browser


# What the browser has now


async def test_a_signed_out_tab_gets_nothing_more_although_its_old_cookie_is_valid() -> None:
    shop = Shop()
    ada = await signed_in(shop.app)
    async with open_tab(ada, "/") as tab:
        await ada.request("/sign-out")
        await shop.publish()
        await eventually(lambda: tab.is_closed)
        assert CONFIDENTIAL not in tab.sent
        assert len(tab.streams) == 2


async def test_a_person_who_signs_out_without_the_packages_cookie_is_known_by_the_mark_of_the_page() -> None:
    shop = Shop(session_cookie=None)
    ada = await signed_in(shop.app)
    mark = (await ada.request("/")).origin
    async with open_tab(ada, "/") as other:
        seen = await ada.request("/")
        async with ada.stream(seen.url) as own:
            await ada.request("/sign-out", headers={"Reactive-Origin": seen.origin})
            await shop.publish()
            refused = await own.closed_for_good()
            assert CONFIDENTIAL not in b"".join(own.chunks + refused.chunks).decode()
        assert mark != seen.origin
        await eventually(lambda: CONFIDENTIAL in other.sent)  # what is not known to be the same browser goes on


async def test_nothing_is_rendered_with_cookies_that_the_browser_no_longer_has() -> None:
    shop = Shop()
    ada = await signed_in(shop.app)
    async with open_tab(ada, "/") as tab:
        await ada.request("/sign-in?user=eve")
        runs = shop.runs
        await shop.publish("new")
        await eventually(lambda: "new" in tab.sent)
        assert len(tab.streams) == 2
        assert shop.runs == runs + 1


async def test_other_requests_do_not_interrupt_a_stream() -> None:
    shop = Shop()
    ada = await signed_in(shop.app)
    async with open_tab(ada, "/") as tab:
        await ada.request("/")
        await Browser(shop.app).request("/sign-in?user=bob")
        await shop.publish("new")
        await eventually(lambda: "new" in tab.sent)
        assert len(tab.streams) == 1


async def test_a_cart_in_a_cookie_is_what_a_fresh_page_shows_in_every_tab() -> None:
    """The change is emitted before the answer with the cookie: updates may run in between, with the cookie before."""
    shop = Shop()
    ada = await signed_in(shop.app)
    async with open_tab(ada, "/") as one, open_tab(ada, "/") as two:

        async def updated() -> None:
            await eventually(lambda: ">0 in cart<" in one.sent and ">0 in cart<" in two.sent)

        shop.before_answer = updated  # type: ignore[method-assign]
        await ada.request("/add", method="POST")
        await eventually(lambda: ">1 in cart<" in one.sent and ">1 in cart<" in two.sent)


async def test_blocks_that_did_not_change_meanwhile_are_not_sent_again() -> None:
    shop = Shop()
    ada = await signed_in(shop.app)
    await shop.publish("before")
    async with open_tab(ada, "/") as tab:

        async def updated() -> None:
            await eventually(lambda: ">0 in cart<" in tab.sent)

        shop.before_answer = updated  # type: ignore[method-assign]
        await ada.request("/add", method="POST")
        await eventually(lambda: ">1 in cart<" in tab.sent)
        assert "before" not in tab.sent


async def test_a_stream_of_a_template_begins_again_with_the_cookies_of_now() -> None:
    """Its context builder knows the request that it was made for, and no later one."""
    reactive = Reactive(ENV, secret=SECRET)

    @reactive.page("page.html", scope="all")
    async def page(request: Request) -> dict[str, str]:
        return {"title": "", "cart": ""}

    reactive.index.register_template(ENV, "page.html")

    @reactive.stream("page.html", scope="all")
    async def stream(request: Request) -> Any:
        user = request.session.get("user")
        return (lambda: {"title": f"for {user}", "cart": ""}) if user else Response("", 403)

    async def sign_in(request: Request) -> Response:
        request.session.update(request.query_params)
        return Response()

    app = Starlette(
        routes=[*reactive.routes, Route("/", page), Route("/stream", stream), Route("/sign-in", sign_in)],
        middleware=[
            Middleware(ReactiveMiddleware, reactive=reactive),
            Middleware(SessionMiddleware, secret_key="a key for tests"),
        ],
    )
    ada = await signed_in(app)
    await ada.request("/")
    async with ada.stream("/stream") as connection:
        await ada.request("/sign-in?user=bob")
        await eventually(lambda: connection.complete)
        assert connection.updates[-1].event == "reactive-restart"
        async with ada.stream("/stream", headers={"last-event-id": connection.frames[-1].id}) as again:
            await reactive.emit("all", "title")
            await eventually(lambda: "for bob" in b"".join(again.chunks).decode())
            assert "for ada" not in b"".join([*connection.chunks, *again.chunks]).decode()


async def test_a_shared_page_counts_a_viewer_as_whoever_is_signed_in_now() -> None:
    shop = Shop(shared=True)
    ada = await signed_in(shop.app)
    async with open_tab(ada, "/"):
        await eventually(lambda: {each.user_id for each in shop.reactive.presence("shop")} == {"ada"})
        await ada.request("/sign-in?user=bob")
        await eventually(lambda: {each.user_id for each in shop.reactive.presence("shop")} == {"bob"})


async def test_cookies_that_are_changed_in_another_process_count(shared: World) -> None:
    shops = [Shop(shared.process()), Shop(shared.process())]
    await level(*(shop.reactive.bus for shop in shops))
    here, there = shops
    ada = await signed_in(here.app)
    async with open_tab(ada, "/") as tab:
        elsewhere = Browser(there.app)
        elsewhere.cookies = ada.cookies
        await elsewhere.request("/sign-out")
        here.title = CONFIDENTIAL
        await there.reactive.emit("shop", "title")
        await eventually(lambda: tab.is_closed)
        assert CONFIDENTIAL not in tab.sent


async def test_a_cart_that_is_changed_in_another_process_is_shown(shared: World) -> None:
    here, there = Shop(shared.process()), Shop(shared.process())
    await level(here.reactive.bus, there.reactive.bus)
    ada = await signed_in(here.app)
    async with open_tab(ada, "/") as tab:

        async def updated() -> None:
            await eventually(lambda: ">0 in cart<" in tab.sent)

        there.before_answer = updated  # type: ignore[method-assign]
        elsewhere = Browser(there.app)
        elsewhere.cookies = ada.cookies
        await elsewhere.request("/add", method="POST")
        await eventually(lambda: ">1 in cart<" in tab.sent)


# An answer that is late


async def test_a_browser_that_comes_back_before_the_answer_is_sent_away_for_a_moment() -> None:
    shop = Shop()
    ada = await signed_in(shop.app)
    seen = await ada.request("/")
    late = Browser(shop.app)
    late.cookies = dict(ada.cookies)
    await ada.request("/add", method="POST")
    runs = shop.runs
    pauses = []
    for _ in range(2):
        async with late.stream(seen.url) as connection:
            await connection.ended.wait()
            (frame,) = connection.updates
            assert frame.event == "reactive-restart"
            pauses.append(frame.retry or 0)
    assert 200 <= pauses[0] < 400 < pauses[1] < 800
    assert shop.runs == runs
    late.cookies = ada.cookies
    async with late.stream(seen.url) as connection:
        await eventually(lambda: ">1 in cart<" in b"".join(connection.chunks).decode())


async def test_a_browser_that_refuses_a_cookie_is_served_in_the_end() -> None:
    shop = Shop()
    ada = await signed_in(shop.app)
    stubborn = Browser(shop.app)
    seen = await ada.request("/")
    stubborn.cookies = dict(ada.cookies)
    await ada.request("/add", method="POST")
    tab = Tab(stubborn)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tab.run, seen.url)
        await eventually(lambda: ">0 in cart<" in tab.sent)
        tab.leave()
    assert len(tab.streams) == 7


# Credentials that are renewed


class Tokens:
    """An application with tokens in cookies: one that is valid for a while, and one that renews it once.

    Args:
        where: Whether ``"middleware"`` or a ``"dependency"`` renews it.
    """

    def __init__(self, where: str, **options: Any) -> None:
        self.title = "public"
        self.valid = {"access-0"}
        self.refresh = "refresh-0"
        self.thefts: list[str] = []
        self._numbers = itertools.count(1)
        self.reactive = reactive = Reactive(ENV, secret=SECRET, **options)
        self.app = app = FastAPI()
        app.include_router(reactive.router)

        def authenticate(request: Request, response: Response) -> None:
            if where == "dependency":
                self.renew(request, response)

        @app.get("/", dependencies=[Depends(authenticate)])
        @reactive.page("page.html", scope="all")
        async def page(request: Request) -> dict[str, str]:
            return {"title": self.title, "cart": ""}

        async def dispatch(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
            renewed = Response()
            try:
                self.renew(request, renewed)
            except HTTPException:
                return Response("Sign in", 401)
            response = await call_next(request)
            response.raw_headers += [pair for pair in renewed.raw_headers if pair[0] == b"set-cookie"]
            return response

        if where == "middleware":
            app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)
        app.add_middleware(ReactiveMiddleware, reactive=reactive)

    def renew(self, request: Request, response: Response) -> None:
        """Accept a valid token, or renew it with a refresh token, which is spent then."""
        if request.cookies.get("access") in self.valid:
            return
        if "refresh" not in request.cookies:
            raise HTTPException(401)
        if request.cookies["refresh"] != self.refresh:
            self.thefts.append(request.cookies["refresh"])
            raise HTTPException(401)
        number = next(self._numbers)
        self.valid, self.refresh = {f"access-{number}"}, f"refresh-{number}"
        response.set_cookie("access", f"access-{number}")
        response.set_cookie("refresh", self.refresh)

    def expire(self) -> None:
        self.valid.clear()

    def browser(self) -> Browser:
        browser = Browser(self.app)
        browser.cookies = {"access": "access-0", "refresh": "refresh-0"}
        return browser

    async def publish(self, title: str) -> None:
        self.title = title
        await self.reactive.emit("all", "title")


@pytest.mark.parametrize("options", [{}, {"one_time_cookies": ["refresh"]}], ids=["as it is", "declared"])
@pytest.mark.parametrize("where", ["middleware", "dependency"])
async def test_changes_by_others_sign_nobody_out_whose_token_has_to_be_renewed(
    where: str, options: dict[str, Any]
) -> None:
    site = Tokens(where, **options)
    ada = site.browser()
    async with open_tab(ada, "/") as tab:
        for number in range(1, 4):
            site.expire()
            await site.publish(f"change {number}")
            await eventually(lambda: f"change {number}" in tab.sent)  # noqa: B023 - called at once
    assert site.thefts == []
    assert (await ada.request("/")).status == 200
    assert site.refresh == ada.cookies["refresh"]


@pytest.mark.parametrize("where", ["middleware", "dependency"])
async def test_updates_do_not_spend_what_is_declared_as_usable_once(where: str) -> None:
    site = Tokens(where, one_time_cookies=["refresh"])
    async with open_tab(site.browser(), "/") as tab:
        await site.publish("still valid")
        await eventually(lambda: "still valid" in tab.sent)
        assert len(tab.streams) == 1
        site.expire()
        tab.streams[0].accepts = anyio.Event()
        await site.publish("later")
        await anyio.wait_all_tasks_blocked()
        assert site.refresh == "refresh-0"


async def test_a_viewer_whose_token_the_browser_has_renewed_stays() -> None:
    """Without the middleware too: the first refusal is not believed before the browser has come back once."""
    site = Tokens("dependency")
    ada = site.browser()
    async with open_tab(ada, "/") as tab:
        site.expire()
        await ada.request("/")
        await site.publish("new")
        await eventually(lambda: "new" in tab.sent)
    assert site.thefts == []


async def test_a_page_that_rotates_with_every_request_loses_no_token(caplog: pytest.LogCaptureFixture) -> None:
    site = Tokens("dependency")
    ada = site.browser()
    async with open_tab(ada, "/") as one, open_tab(ada, "/") as two:
        for number in range(1, 5):
            site.expire()
            await site.publish(f"change {number}")
            await eventually(lambda: all(f"change {number}" in tab.sent for tab in (one, two)))  # noqa: B023 - as above
    assert site.thefts == []
    assert caplog.text.count("browsers connect again for each change of this page") == 1


async def test_a_page_that_fails_keeps_no_other_page_of_the_browser_waiting() -> None:
    reactive = Reactive(ENV, secret=SECRET, one_time_cookies=["refresh"])
    fails = False

    @reactive.page("page.html", scope="all")
    async def failing(request: Request) -> dict[str, str]:
        if fails:
            raise RuntimeError("the page fails")
        return {"title": "", "cart": ""}

    @reactive.page("page.html", scope="all")
    async def other(request: Request) -> dict[str, str]:
        return {"title": "", "cart": ""}

    app = Starlette(
        routes=[*reactive.routes, Route("/", failing), Route("/other", other)],
        middleware=[Middleware(ReactiveMiddleware, reactive=reactive)],
    )
    browser = Browser(app)
    seen = await browser.request("/")
    fails = True
    async with browser.stream(seen.url, wait=False), open_tab(browser, "/other") as tab:
        assert tab.is_admitted


@pytest.mark.parametrize("shared", [False, True])
async def test_cookies_that_cannot_be_delivered_are_named_in_the_log(
    caplog: pytest.LogCaptureFixture, *, shared: bool
) -> None:
    reactive = Reactive(ENV, secret=SECRET)
    app = FastAPI()
    app.include_router(reactive.router)

    def count(response: Response) -> None:
        response.set_cookie("seen", "yes")

    @app.get("/", dependencies=[Depends(count)])
    @reactive.page("page.html", scope="all", shared=shared)
    async def page() -> dict[str, str]:
        return {"title": "", "cart": ""}

    seen = await Browser(app).request("/")
    async with Browser(app).stream(seen.url) as connection:
        await eventually(lambda: connection.chunks)
    assert "are lost (seen)" in caplog.text
    assert ("set none where is_update(request)" if shared else "add ReactiveMiddleware") in caplog.text


# What guards streams from outside


@pytest.mark.parametrize("answer", [302, 401, 403, 404])
async def test_a_stream_that_middleware_refuses_ends_for_good(answer: int) -> None:
    """Browsers of htmx 4 would request the sign-in page again and again."""
    signed_in = True
    reactive = Reactive(ENV, secret=SECRET)

    @reactive.page("page.html", scope="all")
    async def page(request: Request) -> dict[str, str]:
        return {"title": CONFIDENTIAL, "cart": ""}

    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        return await call_next(request) if signed_in else Response("Sign in", answer, {"location": "/sign-in"})

    app = Starlette(
        routes=[*reactive.routes, Route("/", page)],
        middleware=[
            Middleware(ReactiveMiddleware, reactive=reactive),
            Middleware(BaseHTTPMiddleware, dispatch=guard),
        ],
    )
    browser = Browser(app)
    async with open_tab(browser, "/") as tab:
        signed_in = False
        await reactive.emit("all", "title")
        await eventually(lambda: tab.is_closed)
        assert CONFIDENTIAL not in tab.sent
        assert "Sign in" not in tab.sent
    assert (await browser.request("/")).status == answer
    assert (await browser.request("/_reactive/live?page=forged")).status == answer


async def test_a_stream_that_middleware_answers_with_a_page_ends_for_good() -> None:
    """Some middleware answers a sign-in page with status 200."""
    reactive = Reactive(ENV, secret=SECRET)

    @reactive.page("page.html", scope="all")
    async def page(request: Request) -> dict[str, str]:
        return {"title": CONFIDENTIAL, "cart": ""}

    app = Starlette(routes=[*reactive.routes, Route("/", page)])
    seen = await Browser(app).request("/")
    async with Browser(ReactiveMiddleware(Response("Sign in"), reactive)).stream(seen.url) as connection:
        await connection.ended.wait()
        assert [frame.event for frame in connection.updates] == ["reactive-close"]


async def test_a_stream_that_fails_before_its_route_comes_back() -> None:
    """The counterpart: a server that is overloaded is no refusal."""
    reactive = Reactive(ENV, secret=SECRET)

    @reactive.page("page.html", scope="all")
    async def page(request: Request) -> dict[str, str]:
        return {"title": "", "cart": ""}

    class Overloaded:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            answer = Response("", 503) if scope["path"] == "/_reactive/live" else self.app
            await answer(scope, receive, send)

    app = Starlette(
        routes=[*reactive.routes, Route("/", page)],
        middleware=[Middleware(ReactiveMiddleware, reactive=reactive), Middleware(Overloaded)],
    )
    seen = await Browser(app).request("/")
    assert (await Browser(app).request(seen.url)).status == 503
