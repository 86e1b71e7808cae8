"""Pages with ``share=`` in whole applications: dependencies, cookies, presence, and the ends of streams."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import Depends, FastAPI, HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from starlette_reactive import ConnectionInfo, Reactive, ReactiveMiddleware, is_update
from starlette_reactive._core.events import ChangeEvent
from tests.security.support import Browser, open_tab
from tests.support import environment, eventually

from .share_app import LIVE, PAGE, SINK, TASKS, Club, shows, text
from .support import SECRET, quiet, view


async def test_under_fastapi_dependencies_admit_each_viewer_and_may_say_what_the_key_is() -> None:
    teams = {"ada": "red", "ben": "red"}
    opened: list[str] = []
    reactive = Reactive(environment(page=PAGE + SINK), secret=SECRET, viewer_names=["me", "unread"])
    app = FastAPI()
    app.include_router(reactive.router)

    async def member(request: Request) -> Any:
        name = request.cookies["name"]
        if name not in teams:
            raise HTTPException(403)
        request.state.team = teams[name]
        opened.append(name)
        yield name
        opened.remove(name)

    @app.get("/")
    @reactive.page("page.html", scope="all", share=lambda request: request.state.team)
    async def page(name: str = Depends(member)) -> dict[str, Any]:
        assert name in opened
        return {"tasks": [f"task of {teams[name]}"], "me": name, "unread": 0}

    async with (
        view(app, "/", headers={"cookie": "name=ada"}) as ada,
        view(app, "/", headers={"cookie": "name=ben"}) as ben,
    ):
        await reactive.emit("all", "tasks")
        await shows(ada, "task of red")
        await shows(ben, "task of red")
        await eventually(lambda: not opened)
        del teams["ada"]
        await reactive.emit("all", "tasks")
        await eventually(lambda: ada.complete)
        await ben.next_update()
        assert text(ada).count("task of") == 1


class SignedIn(Club):
    """Its members sign in, and the middleware notices when their cookies change."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.sets_cookie = False
        self.app.router.routes += [Route("/sign-in", self.sign_in), Route("/sign-out", self.sign_out)]
        self.app.user_middleware = [
            Middleware(ReactiveMiddleware, reactive=self.reactive),
            Middleware(SessionMiddleware, secret_key="a key for tests"),
        ]

    def name_of(self, request: Request) -> str:
        return str(request.session.get("name"))

    async def endpoint(self, request: Request) -> dict[str, Any]:
        if self.sets_cookie and is_update(request):
            request.session["seen"] = len(self.runs)
        return await super().endpoint(request)

    async def sign_in(self, request: Request) -> Response:
        request.session["name"] = request.query_params["name"]
        return Response()

    async def sign_out(self, request: Request) -> Response:
        request.session.clear()
        return Response()

    async def browser(self, name: str) -> Browser:
        browser = Browser(self.app, name)
        await browser.request(f"/sign-in?name={name}")
        return browser


async def test_a_viewer_who_signs_out_is_sent_nothing_more() -> None:
    club = SignedIn()
    first, second = await club.browser("ada"), await club.browser("ben")
    async with open_tab(second, "/") as ben, open_tab(first, "/") as ada:  # ben's request serves for both
        await first.request("/sign-out")
        await club.add("red", "red 2")
        await eventually(lambda: "red 2" in ben.sent)
        await eventually(lambda: ada.is_closed)
        assert "red 2" not in ada.sent


async def test_a_viewer_who_signs_in_as_another_one_is_shown_what_that_one_sees() -> None:
    club = SignedIn()
    first, second = await club.browser("ada"), await club.browser("ben")
    async with open_tab(first, "/") as tab, open_tab(second, "/") as ben:
        await first.request("/sign-in?name=cy")
        await club.add("red", "red 2")
        await eventually(lambda: "red 2" in ben.sent)
        await eventually(lambda: "blue 1" in tab.sent and "cy has 0" in tab.sent)
        assert "red" not in tab.sent


async def test_the_member_whose_run_sets_cookies_gets_them_and_the_others_get_the_update() -> None:
    club = SignedIn()
    browsers = [await club.browser(name) for name in ("ada", "ben")]
    async with open_tab(browsers[0], "/") as ada, open_tab(browsers[1], "/") as ben:
        cookies = [browser.cookies["session"] for browser in browsers]
        club.sets_cookie = True
        await club.add("red", "red 2")
        await eventually(lambda: "red 2" in ben.sent and "red 2" in ada.sent)
        await eventually(lambda: browsers[0].cookies["session"] != cookies[0])
        assert len(ben.streams) == 1
        await eventually(lambda: len(ada.streams) == 2 and bool(ada.streams[1].chunks))
        await club.add("red", "red 3")  # now it is known that runs of the page replace cookies
        await eventually(lambda: "red 3" in ben.sent and "red 3" in ada.sent)
        assert len(ada.streams) + len(ben.streams) == 4


async def test_a_viewer_who_connects_again_is_not_sent_again_what_it_was_sent() -> None:
    club = SignedIn()
    browser, other = await club.browser("ada"), await club.browser("ben")
    async with open_tab(browser, "/") as ada, open_tab(other, "/") as ben:
        for number in (2, 3):
            await club.add("red", f"red {number}")
            await eventually(lambda number=number: f"red {number}" in ada.sent)  # type: ignore[misc]
        await browser.request("/sign-in?name=dee")
        await browser.request("/sign-in?name=ada")
        await club.remind("dee")
        await eventually(lambda: len(ada.streams) > 1 and "ada has 0" in ada.sent)
        await club.remind("ben")
        await eventually(lambda: "ben has 1" in ben.sent)
        assert ada.sent.count("red 3") == 1


async def test_a_viewer_counts_once_and_by_its_own_name() -> None:
    calls: list[tuple[str, str | None]] = []

    def on_connect(scope: str, connection: ConnectionInfo) -> None:
        calls.append(("connect", connection.user_id))

    def on_disconnect(scope: str, connection: ConnectionInfo) -> None:
        calls.append(("disconnect", connection.user_id))

    club = Club(on_connect=on_connect, on_disconnect=on_disconnect)
    async with club.view("ada", "ben"):
        assert sorted(each.user_id or "" for each in club.reactive.bus.presence("all")) == ["ada", "ben"]
        assert calls == [("connect", "ada"), ("connect", "ben")]
    assert sorted(calls[2:]) == [("disconnect", "ada"), ("disconnect", "ben")]
    assert not club.reactive.bus.presence("all")


@pytest.mark.parametrize("page", [PAGE, LIVE.format("tasks", TASKS)])
async def test_close_user_ends_the_streams_of_one_viewer(page: str) -> None:
    club = Club(page)
    async with club.view("ada", "ben") as (ada, ben):
        club.reactive.bus.close_user("ada")
        await eventually(lambda: ada.complete)
        assert [frame.event for frame in ada.updates] == ["reactive-close"]
        await club.add("red", "red 2")
        await shows(ben, "red 2")


@pytest.mark.parametrize("page", [PAGE, LIVE.format("tasks", TASKS)])
async def test_closing_a_scope_ends_all_streams(page: str) -> None:
    club = Club(page)
    async with club.view("ada", "ben") as (ada, ben):
        club.reactive.bus.close("all")
        await eventually(lambda: ada.complete and ben.complete)
        assert [frame.event for frame in (*ada.updates, *ben.updates)] == ["reactive-close"] * 2


async def test_an_audience_holds_for_shared_blocks_too() -> None:
    club = Club()
    async with club.view("ada", "ben") as (ada, ben):
        await club.reactive.emit("all", "tasks", audience={"ada"})
        await shows(ada, "red 1")
        await quiet(ben)


async def test_an_own_change_is_not_sent_back_and_others_get_it() -> None:
    club = Club()
    seen = await Browser(club.app).request("/", headers={"cookie": "name=ada"})
    async with club.stream("ada", seen.url) as ada, club.view("ben") as (ben,):
        club.tasks["red"] = ["red 2"]
        await club.reactive.bus.emit(ChangeEvent("all", {"tasks"}, origin=seen.origin))
        await shows(ben, "red 2")
        await quiet(ada)
