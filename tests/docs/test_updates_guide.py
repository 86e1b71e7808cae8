"""What the guide on updates warns of does happen, and its code prevents it.

Each test runs the guide's code in an application: once as it stands there, and once as if no request were an update.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from jinja2 import DictLoader, Environment
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.sessions import SessionMiddleware

from starlette_reactive import Reactive, ReactiveMiddleware
from starlette_reactive._streams import backoff
from starlette_reactive.testing import LivePage, TestClient
from tests.support import eventually

from .blocks import DOCS, blocks_of
from .running import run_page

GUIDE = DOCS / "guides" / "updates.md"
SECURITY = DOCS / "guides" / "security.md"
PAGE = '<p id="number">{% block number %}{{ number }}{% endblock %}</p>{{ shown }}<div {{ live() }}></div>'

DOMAIN = "testserver.local"  # so that the application's cookie replaces the test's

Names = dict[str, Any]
UserOf = Callable[[Request], str | None]


def never(_: object) -> bool:
    return False


@pytest.fixture
def guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Names:
    """The names that the code of the guide defines."""
    return run_page(GUIDE, blocks_of(GUIDE), tmp_path, monkeypatch)


@pytest.fixture(params=["with the check", "without the check"])
def checked(request: pytest.FixtureRequest, guide: Names) -> bool:
    """Whether the guide's code tells updates from visits, or believes that nothing is an update."""
    if request.param == "with the check":
        return True
    guide["is_update"] = never
    return False


@dataclass
class Site:
    """An application with one live page, and a client of it."""

    app: FastAPI = field(default_factory=FastAPI)
    number: int = 0
    shown: list[Any] = field(default_factory=list)
    runs: int = 0

    def serve(self, dependency: Callable[..., Any] | None = None, user: UserOf | None = None) -> None:
        """Add the page. What the dependency returns is collected in ``shown``, for each run."""
        templates = Environment(loader=DictLoader({"page.html": PAGE}), autoescape=True)
        self.reactive = Reactive(templates, secret="a secret for tests")
        self.app.include_router(self.reactive.router)

        async def page(shown: Any = Depends(dependency or (lambda: None))) -> dict[str, Any]:  # noqa: B008
            self.runs += 1
            self.shown.append(shown)
            return {"number": self.number, "shown": shown}

        self.app.get("/")(self.reactive.page("page.html", scope="all", user=user)(page))

    async def open(self, client: TestClient) -> LivePage:
        """Open the page, and wait until its viewer is counted, after the update of its stream."""
        page = await client.live("/")
        await eventually(lambda: bool(self.reactive.presence("all")))
        return page

    async def change(self, page: LivePage) -> None:
        """Change what the page shows, as somebody else, and wait until it shows it."""
        await self.emit()
        await page.expect("#number", str(self.number))

    async def emit(self) -> None:
        self.number += 1
        await self.reactive.emit("all", "number")


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(backoff, "FIRST_RETRY", 0.01)
    return Site()


async def test_a_session_that_is_not_used_ends_although_updates_run(guide: Names, site: Site, checked: bool) -> None:
    minute = [0]
    guide["time"] = lambda: minute[0] * 60.0
    guide["sessions"]["s"] = session = guide["Session"]("ada", 0.0)
    site.serve(guide["current_user"])
    async with TestClient(site.app, cookies={"session": "s"}) as client:
        minute[0] = 5
        page = await site.open(client)
        assert session.last_used == 5 * 60, "a visit renews it"
        minute[0] = 10
        await site.change(page)
        assert session.last_used == (5 if checked else 10) * 60
        minute[0] = 22  # 17 minutes after the visit, 12 minutes after the update
        await site.emit()
        if checked:
            await eventually(lambda: page.streams[0].closed)
            assert page.text("#number") == "1"
            assert (await client.get("/")).status_code == 401
        else:
            await page.expect("#number", "2")


async def test_an_update_spends_no_token(guide: Names, site: Site, checked: bool) -> None:
    def user(request: Request) -> str:
        return str(request.state.user)

    guide["logins"]["first"] = login = guide["Login"]("ada", "first")
    site.serve(user)
    site.app.add_middleware(BaseHTTPMiddleware, dispatch=guide["rotate_token"])
    async with TestClient(site.app) as client:
        client.cookies.set("token", "first", domain=DOMAIN)
        page = await site.open(client)
        assert client.cookies["token"] != "first", "a visit rotates the token"
        if checked:  # otherwise the update of the connection has spent the stream's token
            await site.change(page)
        assert (login.token == client.cookies["token"]) is checked
        assert (await client.get("/")).status_code == (200 if checked else 401)


async def test_a_stream_goes_on_after_its_token_is_spent_until_the_person_signs_out(guide: Names, site: Site) -> None:
    guide["logins"]["first"] = login = guide["Login"]("ada", "first")
    site.serve()
    site.app.add_middleware(BaseHTTPMiddleware, dispatch=guide["rotate_token"])
    site.app.add_middleware(ReactiveMiddleware, reactive=site.reactive)
    async with TestClient(site.app) as client:
        client.cookies.set("token", "first", domain=DOMAIN)
        page = await site.open(client)
        of_the_stream = login.token
        assert (await client.get("/")).status_code == 200, "another tab spends the token"
        assert login.token != of_the_stream
        await site.change(page)

        async with TestClient(site.app, cookies={"token": of_the_stream}) as thief:
            assert (await thief.get("/")).status_code == 401, "a browser cannot use a spent token"
        guide["sign_out"]("ada")
        await site.emit()
        await eventually(lambda: page.streams[0].closed)
        assert page.text("#number") == "1"


@pytest.mark.parametrize("wrapped", [False, True])
async def test_updates_do_not_count_towards_a_rate_limit(
    guide: Names, site: Site, checked: bool, wrapped: bool
) -> None:
    guide["time"] = lambda: 0.0
    site.serve()
    limit = guide["RateLimit"]
    if wrapped:  # a limiter of a package knows nothing of updates
        of_a_package = type("OfAPackage", (limit,), {"__call__": _without_is_update(limit)})
        site.app.add_middleware(guide["ForBrowsers"], middleware=of_a_package, per_minute=4)
    else:
        site.app.add_middleware(limit, per_minute=4)
    async with TestClient(site.app) as client:
        page = await site.open(client)  # the page and its stream are two requests, and an update
        await site.change(page)
        if not checked:
            assert (await client.get("/")).status_code == 429
            return
        await site.change(page)
        await site.change(page)
        assert [(await client.get("/")).status_code for _ in range(3)] == [200, 200, 429]
        await site.change(page)


def _without_is_update(limit: Any) -> Any:
    """Return the limiter's ``__call__`` with an ``is_update`` that is always false."""
    function = limit.__call__
    return type(function)(function.__code__, {**function.__globals__, "is_update": never})


async def test_updates_are_no_views(guide: Names, checked: bool) -> None:
    views = guide["views"]
    async with TestClient(guide["app"]) as client:
        page = await client.live("/articles/tea")
        if checked:
            await page.expect("#views", "1 views")
            await guide["check_that_updates_are_not_counted"]()
            assert views["tea"] == 2, "that of this page and that of the guide's"
            await client.get("/articles/tea")
            await page.expect("#views", "3 views")
        else:
            await page.expect("#views", "2 views")
            assert views["tea"] == 2, "the update of the visit's change counts, and causes no further one"
            await guide["reactive"].emit("article:tea", "views")
            await page.expect("#views", "3 views")


async def test_an_update_takes_no_flash_message(guide: Names, site: Site, checked: bool) -> None:
    site.serve(guide["take_flashes"])
    async with TestClient(site.app, cookies={"session": "s"}) as client:
        page = await site.open(client)
        guide["flashes"]["s"] = ["Saved."]
        await site.change(page)
        await client.get("/")  # where the form's handler redirected to
        assert site.shown[2:] == ([[], ["Saved."]] if checked else [["Saved."], []]), "after a visit and its stream"
        await client.get("/")
        assert site.shown[-1] == [], "a visit takes the message"


async def test_an_update_leaves_the_csrf_token_of_the_open_page_valid(guide: Names, site: Site, checked: bool) -> None:
    site.serve(guide["csrf_token"])
    async with TestClient(site.app, cookies={"session": "s"}) as client:
        page = await site.open(client)
        in_the_page = site.shown[0]
        await site.change(page)
        assert (guide["csrf_tokens"]["s"] == in_the_page) is checked
        assert site.shown[-1] == guide["csrf_tokens"]["s"], "a form in a live block is valid, too"
        await client.get("/")
        assert guide["csrf_tokens"]["s"] != in_the_page, "a visit rotates the token"


async def test_the_audit_log_tells_what_people_did(guide: Names, site: Site, checked: bool) -> None:
    clock = [1.0]
    guide["time"] = lambda: clock[0]
    guide["sessions"]["s"] = guide["Session"]("ada", 0.0)
    site.serve(guide["note_visit"])
    async with TestClient(site.app, cookies={"session": "s"}) as client:
        page = await site.open(client)
        assert (guide["audit"], guide["last_seen"]) == ([("ada", "/")] * (1 if checked else 2), {"ada": 1.0})
        clock[0] = 2.0
        await site.change(page)
        assert guide["audit"] == [("ada", "/")] * (1 if checked else 3)
        assert guide["last_seen"] == {"ada": 1.0 if checked else 2.0}


async def test_the_streams_own_request_is_no_visit(guide: Names, site: Site) -> None:
    seen: list[tuple[str, bool]] = []

    async def note(request: Request, call_next: Callable[[Request], Any]) -> Any:
        seen.append((request.url.path, guide["is_visit"](request)))
        return await call_next(request)

    site.serve()
    site.app.add_middleware(BaseHTTPMiddleware, dispatch=note)
    async with TestClient(site.app) as client:
        page = await site.open(client)
        await site.change(page)
        await page.reconnect()
    stream, update = ("/_reactive/live", False), ("/", False)
    assert seen == [("/", True), stream, update, update, stream, update], "each connection is an update, too"
    assert site.runs == 4


@pytest.mark.parametrize("ends", ["end_session", "the middleware", "nothing"])
async def test_a_signed_cookie_is_accepted_after_signing_out_until_something_ends_the_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: Site, ends: str
) -> None:
    def user(request: Request) -> str:
        if "user" not in request.session:
            raise HTTPException(401)
        return str(request.session["user"])

    @site.app.post("/sign-in")
    def sign_in(request: Request) -> None:
        request.session["user"] = "ada"

    guide = run_page(SECURITY, blocks_of(SECURITY), tmp_path, monkeypatch)
    guide["Request"] = Request
    site.serve(user, user)
    guide["reactive"] = site.reactive
    if ends != "end_session":
        monkeypatch.setattr(site.reactive, "end_session", lambda request: 0)
    site.app.post("/sign-out", response_model=None)(guide["sign_out"])
    site.app.add_middleware(SessionMiddleware, secret_key="s")
    if ends == "the middleware":
        site.app.add_middleware(ReactiveMiddleware, reactive=site.reactive)
    async with TestClient(site.app) as client:
        await client.post("/sign-in")
        page = await site.open(client)
        await client.post("/sign-out")
        assert (await client.get("/")).status_code == 401
        if ends == "the middleware":
            await site.emit()
        if ends != "nothing":
            await eventually(lambda: page.streams[0].closed)
            assert page.text("#number") == "0"
        else:
            await site.change(page)
