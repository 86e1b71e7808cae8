"""Attacks that make updates hang. What an attacker would gain: live pages stop for everybody, without a log line."""

from __future__ import annotations

import random
import threading
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from starlette_reactive import Reactive
from starlette_reactive._bus.bus import hub_of
from starlette_reactive._core.loops import Pace, current_loop
from starlette_reactive._pages import places
from starlette_reactive._pages.places import MAX_UPDATES, PAGE_SHARE, USER_SHARE, Claim, Places
from starlette_reactive._streams import backoff
from starlette_reactive._streams.groups import end_streams

from ..pages.support import SECRET
from ..support import environment, eventually
from .support import Browser, is_closed, sent

ENV = environment(page='<p id="title">{% block title %}{{ title }}{% endblock %}</p><div {{ live() }}></div>')
TIMEOUT = 0.05
"""Seconds. Nothing in these tests ends by itself, so the value decides how long they take and not what they find."""


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_RETRY", 0.01)


class Sites:
    """A page whose updates may hang, and one whose updates do not."""

    def __init__(self, wait: Callable[[], Awaitable[None]], **options: Any) -> None:
        self.hangs = False
        self.hanging = 0
        self.title = "before"
        self.reactive = Reactive(ENV, secret=SECRET, **options)

        @self.reactive.page("page.html", scope="slow", user=lambda request: request.cookies.get("user"))
        async def slow(request: Request) -> dict[str, Any]:
            if self.hangs:
                self.hanging += 1
                try:
                    await wait()
                finally:
                    self.hanging -= 1
            return {"title": self.title}

        @self.reactive.page("page.html", scope="fast")
        async def fast(request: Request) -> dict[str, Any]:
            return {"title": self.title}

        self.app = Starlette(routes=[*self.reactive.routes, Route("/slow", slow), Route("/fast", fast)])

    def browser(self, number: int) -> Browser:
        browser = Browser(self.app, address=f"10.0.0.{number}")
        browser.cookies = {"user": str(number)}
        return browser


async def test_updates_that_hang_leave_places_to_other_pages() -> None:
    sites = Sites(anyio.sleep_forever)
    async with AsyncExitStack() as streams:
        for number in range(MAX_UPDATES + 4):
            await streams.enter_async_context(sites.browser(number).view("/slow"))
        other = await streams.enter_async_context(sites.browser(100).view("/fast"))
        sites.hangs, sites.title = True, "after"
        await sites.reactive.emit("slow", "title")
        await eventually(lambda: sites.hanging == PAGE_SHARE)
        await sites.reactive.emit("fast", "title")
        await eventually(lambda: "after" in sent(other))
        await eventually(lambda: sites.reactive.bus.waiting_update_count == MAX_UPDATES + 4 - PAGE_SHARE)


async def test_an_update_that_hangs_ends_and_is_logged_counted_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sites = Sites(anyio.sleep_forever, update_timeout=TIMEOUT)
    async with sites.browser(1).view("/slow") as connection:
        sites.hangs, sites.title = True, "after"
        await sites.reactive.emit("slow", "title")
        await eventually(lambda: sites.reactive.bus.timed_out_update_count >= 2)
        assert "was not rendered for '/slow' within 0.05 s: set a timeout on what its endpoint" in caplog.text
        sites.hangs = False
        await eventually(lambda: "after" in sent(connection))


async def test_a_worker_thread_that_hangs_keeps_its_place_but_not_its_viewer(caplog: pytest.LogCaptureFixture) -> None:
    """A thread cannot be cancelled. It must not be counted as ended, or hanging threads would use up all of them."""
    released = threading.Event()

    async def wait() -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(released.wait)

    sites = Sites(wait, update_timeout=TIMEOUT)
    try:
        async with sites.browser(1).view("/slow") as connection:
            sites.hangs, sites.title = True, "after"
            await sites.reactive.emit("slow", "title")
            await eventually(lambda: sites.hanging == USER_SHARE, timeout=60)
            await eventually(lambda: "no place was free for an update of the page" in caplog.text, timeout=60)
            assert sites.hanging == USER_SHARE
            sites.hangs = False
            released.set()
            await eventually(lambda: "after" in sent(connection))
    finally:
        released.set()


async def test_a_viewer_whose_admission_hangs_can_still_be_ended_by_the_server() -> None:
    sites = Sites(anyio.sleep_forever)
    seen = await sites.browser(1).request("/slow")
    sites.hangs = True
    async with sites.browser(1).stream(seen.url, wait=False) as connection:
        await eventually(lambda: sites.hanging == 1)
        end_streams(hub_of(sites.reactive.bus))
        await eventually(lambda: connection.complete)


async def test_a_scope_that_is_closed_during_an_admission_admits_nobody() -> None:
    asked, answered = anyio.Event(), anyio.Event()

    async def wait() -> None:
        asked.set()
        await answered.wait()

    sites = Sites(wait)
    seen = await sites.browser(1).request("/slow")
    sites.hangs = True
    async with sites.browser(1).stream(seen.url, wait=False) as connection:
        await asked.wait()
        sites.reactive.bus.close("slow")
        answered.set()
        await eventually(lambda: is_closed(connection))
        assert "id:" not in sent(connection)


@pytest.mark.parametrize("timeout", [0, -1])
def test_a_timeout_that_admits_nothing_is_refused(timeout: float) -> None:
    with pytest.raises(ValueError, match="update_timeout"):
        Reactive(ENV, secret=SECRET, update_timeout=timeout)


# The places themselves


async def held(found: Places, *claims: Claim) -> list[bool]:
    return [found.take_now(claim) for claim in claims]


async def test_no_page_user_or_address_holds_more_than_its_share() -> None:
    for claims, share in (
        ([Claim("page") for _ in range(MAX_UPDATES)], PAGE_SHARE),
        ([Claim(f"page {number}", "ada") for number in range(MAX_UPDATES)], USER_SHARE),
        ([Claim(f"page {number}", None, "10.0.0.1") for number in range(MAX_UPDATES)], PAGE_SHARE),
        ([Claim(f"page {number}", f"user {number}") for number in range(MAX_UPDATES + 1)], MAX_UPDATES),
    ):
        assert sum(await held(Places(), *claims)) == share


async def test_waiting_pages_take_turns() -> None:
    found = Places(total=1)
    assert found.take_now(Claim("first"))
    order: list[str] = []

    async def run(page: str) -> None:
        await found.take(Claim(page), 9)
        order.append(page)
        found.give_back(Claim(page))

    async with anyio.create_task_group() as tasks:
        for page in ("busy", "busy", "busy", "quiet"):
            tasks.start_soon(run, page)
            await anyio.wait_all_tasks_blocked()
        found.give_back(Claim("first"))
    assert order == ["busy", "quiet", "busy", "busy"]


async def test_those_who_wait_are_served_at_the_pace_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    iterations: list[Callable[[], object]] = []
    monkeypatch.setattr(current_loop(), "pace", Pace(iterations.append, lambda: 0.0))
    found = Places(total=3)
    claims = [Claim(f"page {number}") for number in range(3)]
    assert all(await held(found, *claims))
    served: list[str] = []

    async def run(page: str) -> None:
        await found.take(Claim(page), 9)
        served.append(page)

    async with anyio.create_task_group() as tasks:
        for page in ("first", "second", "third"):
            tasks.start_soon(run, page)
            await anyio.wait_all_tasks_blocked()
        while iterations:
            iterations.pop()()
        for claim in claims:
            found.give_back(claim)
        counts = []
        while len(served) < 3:
            await anyio.wait_all_tasks_blocked()
            counts.append(len(served))
            iterations.pop()()
            await anyio.wait_all_tasks_blocked()
    assert counts == [1, 1, 2, 2]
    assert served == ["first", "second", "third"]


async def test_one_who_waits_no_more_takes_nothing() -> None:
    found = Places(total=1)
    assert found.take_now(Claim("page"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(found.take, Claim("page"), 9)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    found.give_back(Claim("page"))
    assert found.take_now(Claim("page"))


async def test_one_who_waits_behind_a_full_share_does_not_hold_up_others() -> None:
    found = Places()
    assert all(await held(found, *(Claim("page", "ada") for _ in range(USER_SHARE))))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(found.take, Claim("page", "ada"), 9)
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(5):
            await found.take(Claim("page", "bob"), 9)
        tasks.cancel_scope.cancel()


async def test_one_who_was_set_aside_is_served_when_the_user_has_a_place_again() -> None:
    found = Places()
    ada = Claim("page", "ada", "10.0.0.1")
    assert all(await held(found, *[ada] * USER_SHARE))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(found.take, ada, 9)
        tasks.start_soon(found.take, ada, 9)
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(5):
            await found.take(Claim("other", "bob"), 9)  # sets them aside
        found.give_back(ada)
        found.give_back(ada)


async def test_one_who_was_set_aside_and_leaves_lets_others_in() -> None:
    found = Places(total=1)
    ada = Claim("page", "ada")
    assert found.take_now(ada)
    async with anyio.create_task_group() as tasks:
        async with anyio.create_task_group() as leaving:
            leaving.start_soon(found.take, ada, 9)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(found.take, ada, 9)
            await anyio.wait_all_tasks_blocked()
            leaving.cancel_scope.cancel()
        found.give_back(ada)


async def test_places_are_never_lost() -> None:
    """Whatever waits, leaves and is set aside: at the end all places are free again."""
    found = Places(total=4)
    ran: list[Claim] = []

    async def run(claim: Claim, leaves: bool) -> None:
        with anyio.move_on_after(0) if leaves else anyio.CancelScope():
            if not found.take_now(claim):
                await found.take(claim, 9)
            try:
                await checkpoint()
                ran.append(claim)
            finally:
                found.give_back(claim)

    randomly = random.Random(7)
    async with anyio.create_task_group() as tasks:
        for number in range(500):
            claim = Claim(*(f"{kind} {randomly.randrange(3)}" for kind in ("page", "user", "address")))
            tasks.start_soon(run, claim, number % 3 == 0)
    assert len(ran) >= 300
    assert sum(await held(found, *(Claim(f"page {number}") for number in range(9)))) == 4


def test_each_loop_has_its_own_places() -> None:
    async def get() -> Places:
        return places.places_of_loop()

    assert anyio.run(get) is not anyio.run(get)
