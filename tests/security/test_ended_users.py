"""Attacks on ``close_user`` and on audiences. What an attacker would gain: a stream in the name of somebody else, or
one that goes on after the application has thrown its user out.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from starlette_reactive import ChangeEvent, ConnectionInfo, Reactive, ReactiveBus
from starlette_reactive._bus import ended

from ..engines.conftest import World
from ..pages.support import SECRET
from ..support import environment, eventually
from .support import CONFIDENTIAL, Browser, is_closed, sent

ENV = environment(page='<p id="title">{% block title %}{{ title }}{% endblock %}</p><div {{ live() }}></div>')
ID = uuid.UUID(int=7)


class Site:
    """A page that shows its viewers who they are. Sessions are kept in the server, and their user may change."""

    def __init__(self, bus: ReactiveBus | None = None) -> None:
        self.user: Any = None
        self.shown: list[object] = []
        self.before_answer: Callable[[], object] = lambda: None
        self.reactive = Reactive(ENV, bus=bus, secret=SECRET)

        @self.reactive.page("page.html", scope="all", user=lambda _: self.user)
        async def page(request: Request) -> dict[str, Any]:
            self.shown.append(self.user)
            self.before_answer()
            return {"title": f"{CONFIDENTIAL} for {self.user}"}

        self.app = Starlette(routes=[*self.reactive.routes, Route("/", page)])
        self.browser = Browser(self.app)


@pytest.mark.parametrize(("user", "named"), [(42, 42), (42, "42"), ("42", 42), (ID, ID), (ID, str(ID)), ("a", "a")])
async def test_a_user_is_ended_whatever_type_the_id_has(user: Any, named: Any) -> None:
    """``close_user(42)`` ended nobody where ``user=`` returned 42."""
    site = Site()
    site.user = user
    async with site.browser.view("/") as connection:
        assert site.reactive.bus.close_user(named) == 1
        await eventually(lambda: is_closed(connection))


@pytest.mark.parametrize("audience", [{42}, {"42"}])
async def test_an_audience_holds_users_whatever_type_the_id_has(audience: Any) -> None:
    site = Site()
    site.user = 42
    async with site.browser.view("/") as connection:
        await site.reactive.emit("all", "title", audience=audience)
        await eventually(lambda: "for 42" in sent(connection))


@pytest.mark.parametrize("no_id", [True, 1.5, object(), {"id": 42}, b"42"])
async def test_what_is_no_id_is_refused_instead_of_matching_nobody(no_id: Any) -> None:
    site = Site()
    with pytest.raises(TypeError, match="user_id is a str, int or UUID"):
        site.reactive.bus.close_user(no_id)
    with pytest.raises(TypeError, match="a user id in audience is a str, int or UUID"):
        ChangeEvent("all", {"title"}, audience=[no_id])
    with pytest.raises(TypeError, match="user_id is a str, int or UUID"):
        ConnectionInfo("session", no_id)
    site.user = no_id
    seen = await site.browser.request("/")
    with pytest.raises(TypeError, match="what user= of the page .* returns is a str, int or UUID"):
        await site.browser.request(seen.url)


@pytest.mark.parametrize("kind", ["empty", "reserved"])
def test_an_id_that_stands_for_something_else_is_refused(kind: str) -> None:
    """Sessions are ended by the same messages as users. Nobody may be called like one."""
    with pytest.raises(ValueError, match="empty" if kind == "empty" else "reserved"):
        ReactiveBus().close_user("" if kind == "empty" else "\x1fsession")


async def test_a_stream_between_its_permission_check_and_its_registration_is_ended() -> None:
    """The user is thrown out while the application still says yes."""
    site = Site()
    site.user = "ada"
    seen = await site.browser.request("/")
    site.before_answer = lambda: site.reactive.bus.close_user("ada")
    async with site.browser.stream(seen.url) as connection:
        await eventually(lambda: is_closed(connection))
        assert CONFIDENTIAL not in sent(connection)
        assert site.reactive.presence("all") == frozenset()


async def test_a_user_who_is_let_in_again_gets_a_stream() -> None:
    site = Site()
    site.user = "ada"
    site.reactive.bus.close_user("ada")
    async with site.browser.view("/") as connection:
        await site.reactive.emit("all", "title")
        await eventually(lambda: CONFIDENTIAL in sent(connection))


async def test_a_subscription_of_an_older_connection_has_ended_in_every_process(shared: World) -> None:
    here, there = shared.process(), shared.process()
    connection = ConnectionInfo("session", "ada")
    await there.ready(shared.scope)
    probe = there.subscribe(shared.scope, connection=ConnectionInfo("probe", "ada"))
    here.close_user("ada")
    with anyio.fail_after(20):
        assert [event async for event in probe] == []
    ends: list[str] = []
    late = there.subscribe(shared.scope, connection=connection, on_disconnect=lambda scope, _: ends.append(scope))
    assert [event async for event in late] == []
    assert ends == [shared.scope]
    assert there.subscriber_count == 0


def test_an_end_of_one_scope_concerns_no_other_and_no_one_else() -> None:
    bus = ReactiveBus()
    ada, bob = ConnectionInfo("1", "ada"), ConnectionInfo("2", "bob")
    bus.close_user("ada", scope="one")
    for scope, connection in (("two", ada), ("one", bob), ("one", ConnectionInfo("3", "ada"))):
        bus.subscribe(scope, connection=connection)
    bus.subscribe("one", connection=ada)
    assert bus.subscriber_count == 3


def test_ends_are_forgotten_after_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else signing in and out again and again would fill the memory."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    users = ended.EndedUsers()
    connection = ConnectionInfo("1", "user 0", connected_at=0.0)
    for number in range(1000):
        users.add(f"user {number}", None)
    assert users.includes("all", connection, None)
    now += ended.KEPT_SECONDS
    users.add("one more", None)
    assert not users.includes("all", connection, None)


async def test_a_viewer_who_becomes_somebody_else_gets_nothing_in_the_old_name() -> None:
    """One browser session, two people: a change for Ada alone must not be sent to Bob, who has signed in since."""
    site = Site()
    site.user = "ada"
    async with site.browser.view("/") as connection:
        site.user = "bob"
        await site.reactive.emit("all", "title", audience={"ada"})
        await connection.ended.wait()
        assert CONFIDENTIAL not in sent(connection)
        assert not is_closed(connection)  # the browser comes back, as Bob
    seen = await site.browser.request("/")
    async with site.browser.stream(seen.url) as connection:
        assert {each.user_id for each in site.reactive.presence("all")} == {"bob"}
        await site.reactive.emit("all", "title", audience={"bob"})
        await eventually(lambda: "for bob" in sent(connection))


async def test_who_the_viewer_is_the_pages_own_request_decides() -> None:
    """Middleware of the page that the stream's own path does not pass may know better. Its word holds for audiences."""
    reactive = Reactive(ENV, secret=SECRET)

    def user(request: Request) -> str:
        return "ada" if request.url.path == "/" else "guest"

    @reactive.page("page.html", scope="all", user=user)
    async def page(request: Request) -> dict[str, Any]:
        return {"title": CONFIDENTIAL}

    browser = Browser(Starlette(routes=[*reactive.routes, Route("/", page)]))
    seen = await browser.request("/")
    await reactive.emit("all", "title", audience={"ada"})  # before the stream, for the viewer's true name
    async with browser.stream(seen.url) as connection:
        await eventually(lambda: CONFIDENTIAL in sent(connection))
        assert {each.user_id for each in reactive.presence("all")} == {"ada"}
