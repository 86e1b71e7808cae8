"""What chaos found in pages with ``share=``, one test for each."""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from starlette_reactive import is_update
from tests.support import eventually

from .share_app import LIVE, TASKS, Club, Hold, shows, text
from .support import quiet, request

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
