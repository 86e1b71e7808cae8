"""Attacks after a sign-out. What an attacker would gain: what a person sees whom the application no longer lets in.

A stream goes on with the cookies that it was opened with. A signed cookie stays valid after a sign-out, so whoever sits
at the computer next would see, in a tab that was left open, what the person before has access to.
"""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from starlette_reactive import Reactive, ReactiveBus

from ..engines.conftest import World
from ..pages.support import SECRET
from ..support import environment, eventually
from .support import CONFIDENTIAL, Browser, is_closed, sent

ENV = environment(page='<p id="title">{% block title %}{{ title }}{% endblock %}</p><div {{ live() }}></div>')


class Office:
    """An application with a sign-in that is kept in a signed cookie alone."""

    def __init__(self, bus: ReactiveBus | None = None, *, ends_before: bool = True, **options: Any) -> None:
        self.title = "public"
        self.runs = 0
        self.reactive = reactive = Reactive(ENV, bus=bus, secret=SECRET, **options)

        @reactive.page("page.html", scope="office", user=lambda request: request.session.get("user"))
        async def page(request: Request) -> Any:
            self.runs += 1
            if "user" not in request.session:
                return RedirectResponse("/sign-in")
            return {"title": self.title}

        @reactive.page("page.html", scope="shop")
        async def shop(request: Request) -> dict[str, str]:
            return {"title": self.title}

        async def sign_in(request: Request) -> Response:
            request.session.update(request.query_params)
            return Response()

        async def sign_out(request: Request) -> Response:
            if ends_before:
                reactive.end_session(request)
            request.session.clear()
            if not ends_before:
                reactive.end_session(request)
            return Response()

        self.app = Starlette(
            routes=[
                *reactive.routes,
                Route("/", page),
                Route("/shop", shop),
                Route("/sign-in", sign_in),
                Route("/sign-out", sign_out),
            ],
            middleware=[Middleware(SessionMiddleware, secret_key="a key for tests")],
        )

    async def publish(self) -> None:
        self.title = CONFIDENTIAL
        await self.reactive.emit("office", "title")


async def signed_in(office: Office, user: str = "ada", device: str = "work") -> Browser:
    browser = Browser(office.app)
    await browser.request(f"/sign-in?user={user}&device={device}")
    return browser


@pytest.mark.parametrize("ends_before", [True, False])
async def test_a_signed_out_browser_gets_nothing_more_in_any_tab(*, ends_before: bool) -> None:
    office = Office(ends_before=ends_before)
    ada = await signed_in(office)
    async with ada.view("/") as first, ada.view("/") as second:
        await ada.request("/sign-out")
        await office.publish()
        await eventually(lambda: is_closed(first) and is_closed(second))
        assert CONFIDENTIAL not in sent(first) + sent(second)


async def test_without_ending_the_session_a_signed_cookie_is_still_valid() -> None:
    """The reason why a sign-out must end the session: the attack works where it does not."""
    office = Office(session_cookie=None)
    ada = await signed_in(office)
    async with ada.view("/") as connection:
        await ada.request("/sign-out")
        await office.publish()
        await eventually(lambda: CONFIDENTIAL in sent(connection))


async def test_other_browsers_of_the_same_person_and_other_people_go_on() -> None:
    office = Office()
    ada, at_home, bob = await signed_in(office), await signed_in(office, "ada", "home"), await signed_in(office, "bob")
    async with ada.view("/") as ended, at_home.view("/") as home, bob.view("/") as other:
        await ada.request("/sign-out")
        await office.publish()
        await eventually(lambda: is_closed(ended))
        await eventually(lambda: CONFIDENTIAL in sent(home) and CONFIDENTIAL in sent(other))


async def test_whoever_signs_in_again_gets_a_stream() -> None:
    office = Office()
    ada = await signed_in(office)
    async with ada.view("/"):
        await ada.request("/sign-out")
    await ada.request("/sign-in?user=ada")
    async with ada.view("/") as connection:
        await office.publish()
        await eventually(lambda: CONFIDENTIAL in sent(connection))


async def test_tabs_that_a_browser_restores_at_once_belong_to_one_session() -> None:
    """Each of their requests has no cookie of the package yet. Else signing out in one tab would not end the other."""
    office = Office()
    one = await signed_in(office)
    two = Browser(office.app)
    two.cookies = dict(one.cookies)
    async with one.view("/") as first, two.view("/") as second:
        await two.request("/sign-out")
        await eventually(lambda: is_closed(first) and is_closed(second))


async def test_the_cookie_is_hidden_from_scripts_and_grants_nothing() -> None:
    office = Office()
    ada = await signed_in(office)
    seen = await ada.request("/")
    cookie = next(each for each in seen.headers.get_list("set-cookie") if each.startswith("reactive_session="))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    thief = Browser(office.app)
    thief.cookies = {"reactive_session": ada.cookies["reactive_session"]}
    async with thief.stream(seen.url) as connection:
        await office.publish()
        await eventually(lambda: is_closed(connection))
        assert CONFIDENTIAL not in sent(connection)


@pytest.mark.parametrize("value", ["", "x", "x" * 65, "<script>", "a b" * 10, "\N{SNOWMAN}" * 20])
async def test_what_is_not_like_a_session_ends_nothing(value: str) -> None:
    office = Office()
    ada = await signed_in(office)
    async with ada.view("/") as connection:
        headers = [(b"cookie", b"reactive_session=" + value.encode())]
        scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
        assert office.reactive.end_session(Request(scope)) == 0
        await office.publish()
        await eventually(lambda: CONFIDENTIAL in sent(connection))


async def test_a_sign_out_in_one_process_ends_streams_in_all(shared: World) -> None:
    here, there = Office(shared.process()), Office(shared.process())
    ada = await signed_in(here)
    seen = await ada.request("/")
    there_too = Browser(there.app)
    there_too.cookies = dict(ada.cookies)
    async with there_too.stream(seen.url) as connection:
        await ada.request("/sign-out")
        await eventually(lambda: is_closed(connection))
        await there.publish()
        assert CONFIDENTIAL not in sent(connection)


async def test_streams_of_templates_end_with_the_session_too() -> None:
    """Their context builders keep what the endpoint knew, and nobody asks again who the viewer is."""
    office = Office()

    @office.reactive.stream("page.html", scope="office")
    async def titles(request: Request) -> Any:
        return lambda: {"title": office.title}

    office.reactive.index.register_template(office.reactive.templates, "page.html")
    office.app.router.routes.append(Route("/titles", titles))
    ada = await signed_in(office)
    await ada.request("/")
    async with ada.stream("/titles") as connection:
        await ada.request("/sign-out")
        await office.publish()
        await eventually(lambda: is_closed(connection))
        assert CONFIDENTIAL not in sent(connection)


async def test_browsers_whose_cookies_say_little_are_not_taken_for_one() -> None:
    """Else signing out in one would end the streams of a stranger."""
    office = Office()
    one, two = Browser(office.app), Browser(office.app)
    one.cookies = {"theme": "dark"}
    two.cookies = {"theme": "dark"}
    sessions = set()
    for browser in (one, two):
        await browser.request("/shop")
        sessions.add(browser.cookies["reactive_session"])
    assert len(sessions) == 2
