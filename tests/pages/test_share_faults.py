"""What chaos found in pages with ``share=``, one test for each."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any

import pytest
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from starlette_reactive import is_update
from starlette_reactive._core.blocks import BlockRef
from starlette_reactive._log.changelog import Change
from starlette_reactive._streams import groups
from starlette_reactive._streams import viewer as viewer_module
from starlette_reactive._streams.timer import timer
from starlette_reactive._streams.viewer import Viewer
from tests.support import eventually

from .share_app import LIVE, TASKS, Club, Hold, shows, text
from .support import quiet, request, stream

NESTED = LIVE.format("hello", "{{ me }}" + LIVE.format("tasks", TASKS)) + LIVE.format("name", "{{ title }} {{ me }}")
HINTED = LIVE.format("hello", "{{ me }}" + LIVE.format("tasks", TASKS)) + LIVE.format("hint", "{{ 7 // unread }}")


async def test_a_personal_block_that_fails_does_not_send_the_blocks_beside_it_again_and_again() -> None:
    club = Club(HINTED)
    club.unread["ben"] = 1
    async with club.view("ben") as (ben,):
        club.unread["ben"] = 0
        hold = Hold(club)
        await club.reactive.emit("all", "me", "unread")
        await hold.reached.wait()  # it has read the tasks as they are
        await club.add("red", "red 2")
        await shows(ben, "red 2")
        hold.release()
        await eventually(lambda: len(ben.updates) >= 3)
        await quiet(ben)
        assert len(ben.updates) == 3


async def test_an_own_change_that_an_update_crossed_does_not_send_blocks_again_and_again() -> None:
    club = Club(NESTED)
    seen = await request(club.app, "/", headers={"cookie": "name=ben"})
    async with club.stream("ben", seen.url) as ben:
        await club.reactive.emit("all", "me")
        await eventually(lambda: len(ben.updates) == 2)  # an own change soon after this may have crossed it
        hold = Hold(club)
        await club.reactive.emit("all", "title", origin=seen.origin)
        await club.reactive.emit("all", "me")
        await hold.reached.wait()  # it has read the tasks as they are
        await club.add("red", "red 2")
        await shows(ben, "red 2")
        hold.release()
        await eventually(lambda: len(ben.updates) >= 5)
        await quiet(ben)
        assert len(ben.updates) <= 6


async def test_an_own_change_is_told_later_whenever_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the viewer was admitted only after it, and again once the timer has nothing more to do for the viewer."""
    monkeypatch.setattr(viewer_module, "REPEAT_DELAY", 3600.0)
    monkeypatch.setattr("starlette_reactive._streams.backoff.FIRST_RETRY", 0.2)
    noted: list[Viewer] = []
    note_crossed = Viewer.note_crossed

    def note(viewer: Viewer, change: Change, touched: Collection[BlockRef]) -> None:
        note_crossed(viewer, change, touched)
        if touched:  # in the group that renders what the change touches
            noted.append(viewer)

    def elapse() -> None:
        for viewer in noted:
            viewer.crossed_paths = dict.fromkeys(viewer.crossed_paths, 0.0)
            viewer.repeat_at = 0.0

    monkeypatch.setattr(Viewer, "note_crossed", note)
    club = Club()
    headers = {"cookie": "name=ben"}
    seen = await request(club.app, "/", headers=headers)
    club.failing.add("ben")
    async with stream(club.app, seen.url, headers=headers, wait=False) as ben:
        await eventually(lambda: len(club.runs) >= 2)
        await club.remind("ben", origin=seen.origin)
        await eventually(lambda: len(noted) == 1)
        assert ben.frames == []
        club.failing.clear()
        await eventually(lambda: ben.frames)
        elapse()
        await shows(ben, "ben has 1")
        own = next(group for group in groups._running_groups() if noted[0] in group._viewers)
        await eventually(lambda: own not in timer()._driven)
        await club.remind("ben", origin=seen.origin)
        await eventually(lambda: len(noted) == 2)
        elapse()
        await shows(ben, "ben has 2")
        assert len(ben.updates) == 2


async def test_a_personal_block_that_was_read_with_another_key_is_not_sent() -> None:
    club = Club(LIVE.format("hello", "{{ me }} {{ tasks }}"))

    class Restoring:
        """Gives the viewer its key back after each update, before it is asked for again."""

        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await self.app(scope, receive, send)
            if scope["type"] == "http" and is_update(HTTPConnection(scope)):
                club.teams["ada"] = "red"

    club.app.add_middleware(Restoring)
    async with club.view("ada") as (ada,):

        async def become_blue(_: str) -> None:
            club.teams["ada"] = "blue"

        club.before_reading = become_blue
        await club.reactive.emit("all", "me")
        await eventually(lambda: ada.complete)
        assert "blue" not in text(ada)


async def test_a_page_whose_viewer_gets_another_key_while_it_reads_its_data_is_sent_all_blocks() -> None:
    club = Club()

    async def become_blue(_: str) -> None:
        club.teams["ada"] = "blue"

    club.before_reading = become_blue
    url = await club.url_for("ada")  # it shows the tasks of blue
    club.before_reading = None
    club.teams["ada"] = "red"
    async with club.stream("ada", url) as ada:
        await shows(ada, "red 1")


# Members whose runs fail


@pytest.fixture
def no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing tried again unless something asks for it."""
    for name in ("FIRST_RETRY", "LAST_RETRY"):
        monkeypatch.setattr(f"starlette_reactive._streams.backoff.{name}", 3600.0)


@pytest.mark.parametrize(
    ("users", "failing"),
    [
        ({"ada": "one", "ben": "one"}, {"ada"}),
        ({"ada": "one", "ben": "one", "dee": "one"}, {"ada", "ben"}),
        ({"ada": "one", "ben": "two", "dee": "one"}, {"ada", "ben"}),
    ],
)
@pytest.mark.usefixtures("no_retries")
async def test_another_tab_of_a_person_serves_if_the_endpoint_fails_for_one(
    users: dict[str, str], failing: set[str]
) -> None:
    club = Club(user=lambda request: users[request.cookies["name"]])
    async with club.view(*users) as connections:
        club.failing.update(failing)
        await club.add("red", "red 2")
        for connection in connections:
            await shows(connection, "red 2")
        await club.add("red", "red 3")
        for connection in connections:
            await shows(connection, "red 3")
        assert club.runs == [*users, list(users)[-1]]


@pytest.mark.usefixtures("no_retries")
async def test_a_block_that_fails_for_one_tab_of_a_person_is_rendered_with_another_one() -> None:
    class Dividing(Club):
        divisor: int = 1

        async def endpoint(self, request: Request) -> dict[str, Any]:
            found = await super().endpoint(request)
            return {**found, "divisor": self.divisor if self.name_of(request) == "ada" else 1}

    club = Dividing(LIVE.format("tasks", TASKS + "{{ 7 // divisor }}"), user=lambda _: "one")
    async with club.view("ada", "ben") as (ada, ben):
        club.divisor = 0
        await club.add("red", "red 2")
        await eventually(lambda: club.runs == ["ada"])
        await club.reactive.emit("all", "tasks")
        await shows(ada, "red 2")
        await shows(ben, "red 2")


@pytest.mark.usefixtures("no_retries")
async def test_each_render_tries_more_members_until_one_succeeds() -> None:
    names = [f"member-{number}" for number in range(10)]
    club = Club(members=names)
    async with club.view(*names) as connections:
        club.failing.update(names[:-1])
        await club.add("red", "red 2")
        for tried in (3, 9, 10):
            await eventually(functools.partial(club.has_run, tried))
            await club.reactive.emit("all", "tasks")
        for connection in connections:
            await shows(connection, "red 2")
        assert club.runs[:10] == names
        assert set(club.runs[10:]) <= {names[-1]}


@pytest.mark.usefixtures("no_retries")
async def test_if_the_endpoint_fails_for_all_no_render_tries_all_of_them_again() -> None:
    names = [f"member-{number}" for number in range(10)]
    club = Club(members=names)
    async with club.view(*names):
        club.failing.update(names)
        for tried in (3, 9, 12, 15, 18):
            await club.reactive.emit("all", "tasks")
            await eventually(functools.partial(club.has_run, tried))


@pytest.mark.usefixtures("no_retries")
async def test_a_member_who_joins_serves_at_once_if_the_endpoint_fails_for_all_others() -> None:
    club = Club()
    async with club.view("ada", "ben") as (ada, ben):
        club.failing.update({"ada", "ben"})
        await club.add("red", "red 2")
        await eventually(lambda: len(club.runs) == 2)
        url = await club.url_for("dee")
        async with club.stream("dee", url):
            await shows(ada, "red 2")
            await shows(ben, "red 2")
