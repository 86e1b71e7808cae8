"""Attacks with many streams. What an attacker would gain: memory and processor time, which the others lack."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from starlette_reactive import ConnectionInfo, Reactive
from starlette_reactive._streams import presence

from ..pages.support import SECRET
from ..support import Connection, environment, eventually
from .support import Browser

ENV = environment(
    page='<p id="count">{% block count %}{{ count }}{% endblock %}</p><div {{ live() }}></div>',
)


class Room:
    """A page that shows how many are there."""

    def __init__(self, **options: int) -> None:
        self.runs = 0
        limits: dict[str, Any] = options
        self.reactive = reactive = Reactive(ENV, secret=SECRET, **limits)

        async def changed(scope: str, _: ConnectionInfo | None) -> None:
            await reactive.emit(scope, "count")

        @reactive.page(
            "page.html",
            scope="room",
            user=lambda request: request.cookies.get("user"),
            on_connect=changed,
            on_disconnect=changed,
        )
        async def page(request: Request) -> dict[str, Any]:
            self.runs += 1
            return {"count": len(reactive.presence("room"))}

        self.app = Starlette(routes=[*reactive.routes, Route("/", page)])

    def browser(self, user: str | None = None, address: str = "10.0.0.1") -> Browser:
        browser = Browser(self.app, address)
        browser.cookies = {} if user is None else {"user": user}
        return browser


@pytest.mark.parametrize("limit", ["max_streams", "max_streams_per_user", "max_streams_per_address"])
async def test_more_streams_than_the_limit_are_refused_and_counted(limit: str) -> None:
    room = Room(**{limit: 2})
    ada = room.browser("ada")
    seen = await ada.request("/")
    async with ada.stream(seen.url), ada.stream(seen.url) as second:
        refused = await ada.request(seen.url)
        assert refused.status == 503
        assert refused.headers["retry-after"] == "10"
        assert room.reactive.bus.refused_stream_count == 1
        assert len(room.reactive.presence("room")) == 2
        second.disconnect.set()
        await second.ended.wait()
        async with ada.stream(seen.url) as third:
            assert third.start["status"] == 200


async def test_the_limit_of_one_concerns_no_other() -> None:
    room = Room(max_streams_per_user=1, max_streams_per_address=1)
    async with room.browser("ada", "10.0.0.1").view("/") as one, room.browser("bob", "10.0.0.2").view("/") as two:
        assert one.start["status"] == two.start["status"] == 200


async def test_people_without_a_name_have_no_share_of_a_user() -> None:
    room = Room(max_streams_per_user=1)
    async with room.browser().view("/") as one, room.browser().view("/") as two:
        assert one.start["status"] == two.start["status"] == 200


@pytest.mark.parametrize("limit", ["max_streams", "max_streams_per_user", "max_streams_per_address"])
@pytest.mark.parametrize("number", [0, -1])
def test_a_limit_that_admits_nobody_is_refused(limit: str, number: int) -> None:
    with pytest.raises(ValueError, match=f"{limit} is {number}"):
        Room(**{limit: number})


async def test_one_who_comes_and_goes_makes_few_updates_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Live presence: each connect would run the endpoint once for each of the others."""
    window = anyio.Event()
    monkeypatch.setattr(presence, "pause", window.wait)
    room = Room()
    ada = room.browser("ada")
    seen = await ada.request("/")
    async with AsyncExitStack() as streams:
        others = [await streams.enter_async_context(room.browser().view("/")) for _ in range(3)]
        await anyio.wait_all_tasks_blocked()
        before = room.runs
        for _ in range(20):
            async with ada.stream(seen.url):
                pass
        await anyio.wait_all_tasks_blocked()
        assert room.runs <= before + 20 + 3  # those that admit, and what the others were still owed
        window.set()
        await eventually(lambda: all(shows_three(connection) for connection in others))


def shows_three(connection: Connection) -> bool:
    return bool(connection.updates) and "3" in (connection.updates[-1].data or "")


async def test_what_was_gathered_is_emitted_at_the_end_of_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    window = anyio.Event()
    monkeypatch.setattr(presence, "pause", window.wait)
    room = Room()
    events = room.reactive.bus.subscribe("room")
    async with room.browser().view("/"), room.browser().view("/"):
        await eventually(lambda: len(room.reactive.presence("room")) == 2)
        await anyio.wait_all_tasks_blocked()
        assert len(events.drain()) == 1  # the first one, at once
        window.set()
        await eventually(lambda: len(events.drain()) == 1)


async def test_what_was_gathered_is_emitted_when_the_application_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last who leave a process are missing in others otherwise."""
    monkeypatch.setattr(presence, "pause", anyio.sleep_forever)
    room = Room()
    events = room.reactive.bus.subscribe("room")
    async with room.reactive.lifespan(room.app):
        async with room.browser().view("/"):
            await eventually(lambda: len(room.reactive.presence("room")) == 1)
        await anyio.wait_all_tasks_blocked()
        assert len(events.drain()) == 1
        late = room.reactive.bus.observe(lambda event: seen.append(event.scope))
        seen: list[str] = []
    late()
    assert seen == ["room"]
