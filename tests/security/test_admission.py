"""Attacks with the address of a stream. What an attacker would gain: to be counted as present, to make the application
act, and to learn when something changes, on a page that it refuses to show.
"""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

from starlette_reactive import ConnectionInfo, Reactive
from starlette_reactive._streams import backoff

from ..pages.support import SECRET
from ..support import environment, eventually
from .support import CONFIDENTIAL, Browser, is_closed, sent

ENV = environment(page='<p id="title">{% block title %}{{ title }}{% endblock %}</p><div {{ live() }}></div>')


class Club:
    """A page for members, who have a cookie."""

    def __init__(self, *, shared: bool = False) -> None:
        self.runs = 0
        self.is_open = True
        self.fails = False
        self.calls: list[str] = []
        self.reactive = Reactive(ENV, secret=SECRET)

        def connected(_: str, connection: ConnectionInfo | None) -> None:
            self.calls.append("connect")

        def disconnected(_: str, connection: ConnectionInfo | None) -> None:
            self.calls.append("disconnect")

        @self.reactive.page("page.html", scope="club", shared=shared, on_connect=connected, on_disconnect=disconnected)
        async def page(request: Request) -> dict[str, Any]:
            self.runs += 1
            if self.fails:
                raise RuntimeError("the database is away")
            if not self.is_open or (not shared and "member" not in request.cookies):
                raise HTTPException(403)
            return {"title": CONFIDENTIAL}

        self.app = Starlette(routes=[*self.reactive.routes, Route("/", page)])
        self.member = Browser(self.app)
        self.member.cookies = {"member": "yes"}


async def test_a_stranger_with_an_address_is_not_counted_and_learns_nothing() -> None:
    club = Club()
    seen = await club.member.request("/")
    club.runs = 0
    async with Browser(club.app).stream(seen.url) as stranger:
        await eventually(lambda: is_closed(stranger))
        assert club.runs == 1  # no more than one for each connect
        assert club.reactive.presence("club") == frozenset()
        assert club.reactive.bus.viewer_count == 0
        await club.reactive.emit("club", "title")
        assert "id:" not in sent(stranger)  # it would tell how far the log is, and renew the address
        assert CONFIDENTIAL not in sent(stranger)
    assert club.calls == []
    assert club.runs == 1


async def test_a_member_is_counted_once_the_page_has_run_and_nothing_is_rendered() -> None:
    club = Club()
    async with club.member.view("/") as connection:
        await eventually(lambda: club.calls == ["connect"])
        assert club.runs == 2  # the visit, and the connect
        assert len(club.reactive.presence("club")) == 1
        await anyio.wait_all_tasks_blocked()
        assert connection.updates == []
    assert club.calls == ["connect", "disconnect"]


async def test_what_a_member_has_missed_is_rendered_by_the_run_that_admits_them() -> None:
    club = Club()
    seen = await club.member.request("/")
    await club.reactive.emit("club", "title")
    async with club.member.stream(seen.url) as connection:
        await eventually(lambda: CONFIDENTIAL in sent(connection))
        assert club.runs == 2


async def test_the_viewers_of_a_shared_page_need_one_run_for_all() -> None:
    club = Club(shared=True)
    seen = await club.member.request("/")
    async with Browser(club.app).stream(seen.url), Browser(club.app).stream(seen.url):
        await eventually(lambda: club.calls == ["connect", "connect"])
        assert club.runs == 2


async def test_a_shared_page_that_is_gone_admits_nobody() -> None:
    club = Club(shared=True)
    seen = await club.member.request("/")
    club.is_open = False
    async with club.member.stream(seen.url) as connection:
        await eventually(lambda: is_closed(connection))
    assert club.calls == []


async def test_while_the_application_cannot_tell_nobody_is_admitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error is no permission. It is no refusal either: the viewer is admitted when the page runs again."""
    monkeypatch.setattr(backoff, "FIRST_RETRY", 0.01)
    club = Club()
    seen = await club.member.request("/")
    club.fails, club.runs = True, 0
    async with club.member.stream(seen.url, wait=False) as connection:
        await eventually(lambda: club.runs >= 3)
        assert club.reactive.presence("club") == frozenset()
        assert club.calls == []
        assert sent(connection) == ""
        club.fails = False
        await eventually(lambda: club.calls == ["connect"])
        await club.reactive.emit("club", "title")
        await eventually(lambda: CONFIDENTIAL in sent(connection))


async def test_a_viewer_who_leaves_before_being_admitted_was_never_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_RETRY", 0.01)
    club = Club()
    seen = await club.member.request("/")
    club.fails, club.runs = True, 0
    async with club.member.stream(seen.url, wait=False):
        await eventually(lambda: club.runs >= 2)
    assert club.calls == []
