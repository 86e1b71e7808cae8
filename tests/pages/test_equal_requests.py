"""Tabs of one browser whose updates would be equal requests share one run. All others run on their own."""

from __future__ import annotations

import asyncio
import contextvars
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starlette_reactive import Reactive, ReactiveMiddleware, is_update
from starlette_reactive._bus.bus import hub_of
from starlette_reactive._core.blocks import BlockRef
from starlette_reactive._core.emit_filters import caused_by_update
from starlette_reactive._core.errors import StreamRestartError
from starlette_reactive._pages import turns
from starlette_reactive._pages.browser_session import name_of_session
from starlette_reactive._pages.cookie_watch import CookieWatch, Watched, digest_of
from starlette_reactive._pages.equal_runs import EqualRuns, equal_runs_of_loop
from starlette_reactive._pages.places import places_of_loop
from starlette_reactive._pages.update import Update, update_scope
from starlette_reactive._pages.viewer_cookies import SiteCookies, ViewerCookies
from starlette_reactive._streams import backoff, group
from starlette_reactive._streams.rendering import Rendered

from ..security.support import Browser, open_tab, sent
from ..support import Connection, environment, eventually
from .support import SECRET

ENV = environment(
    page='<body {{ live_origin() }}><p id="title">{% block title %}{{ title }}{% endblock %}</p>'
    '<p id="text">{% block text %}{{ text }}{% endblock %}</p><div {{ live() }}></div>'
)
RESTART = "reactive-restart"
seen_by: contextvars.ContextVar[str] = contextvars.ContextVar("seen_by", default="nobody")


@pytest.fixture(autouse=True)
def patient_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_PATIENCE", 60.0)


async def nothing() -> None:
    """Hold up no update."""


class Site:
    """A page whose updates are counted and may be held up."""

    def __init__(
        self, framework: type[Starlette] = Starlette, *, middleware: bool = False, user: Any = None, **options: Any
    ) -> None:
        self.title = self.text = "old"
        self.runs = 0
        self.seen: list[str] = []  # by updates, of the context variable
        self.set_cookies: list[str] = []  # each for one update
        self.read: Callable[[], Awaitable[Response | None]] = nothing
        self.reactive = Reactive(ENV, secret=SECRET, **options)

        @self.reactive.page("page.html", scope="all", user=user)
        async def page(request: Request) -> Any:
            context = {"title": self.title, "text": self.text}
            if is_update(request):
                self.runs += 1
                self.seen.append(seen_by.get())
                answer = await self.read()
                if answer is not None:
                    return answer
            return context

        own = [Middleware(ReactiveMiddleware, reactive=self.reactive)] if middleware else []
        app = framework(middleware=[*own, Middleware(_Answering, site=self)])
        if isinstance(app, FastAPI):
            app.include_router(self.reactive.router)
        else:
            app.routes.extend(self.reactive.routes)
        for path in ("/", "/other"):
            if isinstance(app, FastAPI):
                app.get(path)(page)
            else:
                app.routes.append(Route(path, page))
        self.app: ASGIApp = app

    async def change(self, title: str = "new", *, origin: str | None = None) -> None:
        self.title = title
        await self.reactive.emit("all", "title", origin=origin)


class _Answering:
    """Middleware that sets cookies with the answers to updates, and a context variable for all other requests."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self.app = app
        self.site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answering(message: Message) -> None:
            if message["type"] == "http.response.start" and self.site.set_cookies:
                message["headers"] = [*message["headers"], (b"set-cookie", self.site.set_cookies.pop().encode())]
            await send(message)

        if scope["type"] == "http" and not is_update(scope):
            seen_by.set(str(scope["client"]))
        await self.app(scope, receive, answering if is_update(scope) else send)


def waiting() -> list[int]:
    """How many streams wait for each of the runs that can be joined, or that have begun last."""
    return sorted(run.waiting for run in equal_runs_of_loop()._runs.values())


@asynccontextmanager
async def other_turn(browser: Browser) -> AsyncIterator[None]:
    """Hold up what is done in the name of a browser."""
    turn = await turns.turn_for(name_of_session(browser.cookies["reactive_session"]))
    try:
        yield
    finally:
        turn.end()


@asynccontextmanager
async def tabs(browser: Browser, count: int, **options: Any) -> AsyncIterator[list[Connection]]:
    async with AsyncExitStack() as streams:
        yield [await streams.enter_async_context(browser.view("/", **options)) for _ in range(count)]


class Held:
    """Holds up the updates of a site after they have read their data."""

    def __init__(self, site: Site) -> None:
        self.cancelled = 0
        self._released = anyio.Event()
        self._outcome: Exception | Response | None = None
        site.read = self._read

    async def _read(self) -> Response | None:
        try:
            await self._released.wait()
        except BaseException:
            self.cancelled += 1
            raise
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    def release(self, outcome: Exception | Response | None = None) -> None:
        """Let all updates go on, and raise or return something instead of their data."""
        self._outcome = outcome
        self._released.set()


async def begin_joint_run(site: Site, browser: Browser, count: int = 2, title: str = "new") -> None:
    """Make a change, and let its run begin when all tabs have joined."""
    async with other_turn(browser):
        await site.change(title)
        await eventually(lambda: waiting() == [count])
    await eventually(lambda: site.runs == 1)


@asynccontextmanager
async def joint_run(count: int = 2, **options: Any) -> AsyncIterator[tuple[Site, Held, list[Connection]]]:
    """Open tabs of one browser, and begin a run for all of them that is held up after it has read its data."""
    site = Site(**options)
    browser = Browser(site.app)
    async with tabs(browser, count) as connections:
        site.runs, held = 0, Held(site)
        await begin_joint_run(site, browser, count)
        try:
            yield site, held, connections
        finally:
            held.release()


# What is shared


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
async def test_tabs_that_one_change_wakes_share_a_run(framework: type[Starlette]) -> None:
    site = Site(framework)
    async with tabs(Browser(site.app), 3) as connections:
        for number in range(100):  # the tabs are awake for a moment after the update before, and then do not meet
            site.runs = 0
            await site.change(f"number {number}")
            for connection in connections:
                assert f"number {number}" in ((await connection.next_update()).data or "")
            if site.runs == 1:
                break
            await anyio.sleep(group.MIN_INTERVAL)
        assert site.runs == 1


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
async def test_a_shared_run_takes_one_turn_and_one_place(framework: type[Starlette]) -> None:
    async with joint_run(3, framework=framework, user=lambda _: "ada") as (site, held, connections):
        assert places_of_loop()._taken == 1
        held.release()
        for connection in connections:
            assert "new" in ((await connection.next_update()).data or "")
        assert site.runs == 1
        assert waiting() == []
        assert places_of_loop()._taken == 0


async def test_each_tab_gets_its_own_blocks_of_a_shared_run() -> None:
    site = Site()
    browser = Browser(site.app)
    seen = await browser.request("/")
    async with browser.stream(seen.url) as author, browser.view("/") as other:
        site.runs = 0
        async with other_turn(browser):
            await site.change("new title", origin=seen.origin)
            await eventually(lambda: waiting() == [1])
            site.text = "new text"
            await site.reactive.emit("all", "text")  # the other tab reads it when the run has ended
            await eventually(lambda: waiting() == [2])
        of_author, of_other = await author.next_update(), await other.next_update()
        assert [each in (of_author.data or "") for each in ("new title", "new text")] == [False, True]
        assert [each in (of_other.data or "") for each in ("new title", "new text")] == [True, False]
        assert "new text" in ((await other.next_update()).data or "")
        assert site.runs == 2


async def test_the_port_of_a_client_does_not_count() -> None:
    site = Site()
    browser = Browser(site.app)
    seen = await browser.request("/")

    async def from_other_port(scope: Scope, receive: Receive, send: Send) -> None:
        await site.app({**scope, "client": (scope["client"][0], 2)}, receive, send)

    other = Browser(from_other_port)
    other.cookies = browser.cookies
    async with browser.stream(seen.url), other.stream(seen.url):
        site.runs = 0
        await begin_joint_run(site, browser)


async def test_a_shared_run_sees_no_context_variable_of_a_stream() -> None:
    async with joint_run() as (site, _, _):
        assert site.seen[-1] == "nobody"


# What is not shared


class Twist:
    """Changes the second of two equal tabs.

    Args:
        path: The page's path and query.
        address: The client's address.
        headers: What its stream's request has in addition.
    """

    def __init__(self, path: str = "/", *, address: str = "viewer", headers: dict[str, str] | None = None) -> None:
        self.path = path
        self.address = address
        self.headers = headers or {}


UNEQUAL = {
    "query": Twist("/?page=2"),
    "path": Twist("/other"),
    "address": Twist(address="elsewhere"),
    "language": Twist(headers={"accept-language": "de"}),
    "authorization": Twist(headers={"authorization": "Bearer another"}),
    "header": Twist(headers={"x-request-id": "1"}),
}


async def assert_two_runs(site: Site, browser: Browser) -> None:
    """Make a change, and let it be rendered only when each of two tabs has requested a run of its own."""
    site.runs = 0
    async with other_turn(browser):
        await site.change()
        await eventually(lambda: waiting() == [1, 1])
    await eventually(lambda: site.runs == 2)


@pytest.mark.parametrize("unequal", UNEQUAL)
async def test_tabs_whose_requests_differ_run_on_their_own(unequal: str) -> None:
    site, twist = Site(), UNEQUAL[unequal]
    browser = Browser(site.app)
    async with browser.view("/", headers={"accept-language": "en"}):
        other = Browser(site.app, twist.address)
        other.cookies = browser.cookies
        async with other.view(twist.path, headers={"accept-language": "en", **twist.headers}):
            await assert_two_runs(site, browser)


async def test_tabs_with_other_cookies_run_on_their_own() -> None:
    site = Site()
    browser = Browser(site.app)
    async with browser.view("/"):
        browser.cookies["session"] = "another"
        async with browser.view("/"):
            await assert_two_runs(site, browser)


async def test_tabs_with_other_one_time_cookies_run_on_their_own() -> None:
    """The cookies are not in the request, but what an answer makes of them differs."""
    site = Site(one_time_cookies=["refresh"])
    browser = Browser(site.app)
    browser.cookies["refresh"] = "one"
    async with browser.view("/"):
        browser.cookies["refresh"] = "another"
        async with browser.view("/"):
            await assert_two_runs(site, browser)


async def test_tabs_with_other_lifespan_state_run_on_their_own() -> None:
    site = Site(state_names=["database"])

    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        await site.app({**scope, "state": {"database": object()}}, receive, send)

    browser = Browser(with_state)
    async with browser.view("/"), browser.view("/"):
        await assert_two_runs(site, browser)


async def test_what_is_not_known_to_be_one_browser_runs_on_its_own() -> None:
    site = Site(session_cookie=None)
    async with tabs(Browser(site.app), 2):
        site.runs, held = 0, Held(site)
        await site.change()
        await eventually(lambda: site.runs == 2)
        assert waiting() == []
        held.release()


async def test_a_run_that_admits_a_viewer_is_not_shared() -> None:
    site = Site()
    browser = Browser(site.app)
    async with tabs(browser, 2), other_turn(browser):
        site.runs = 0
        await site.change()
        await eventually(lambda: waiting() == [2])
        async with browser.view("/"):
            assert waiting() == [2]
            assert site.runs == 1


def test_everything_that_updates_carry_is_compared() -> None:
    """A new key of the ASGI scope of updates has to be compared in ``request_of``, or to be the same for all."""
    stream = {"asgi": {}, "http_version": "1.1", "server": ("test", 80), "client": ("a", 1), "headers": []}
    scope = update_scope(stream, raw_path="/", query="", root_path="", host="a", scheme="http", shared=False)
    compared = {
        "client",
        "headers",
        "http_version",
        "query_string",
        "raw_path",
        "root_path",
        "scheme",
        "server",
        "state",
    }
    constant = {"asgi", "extensions", "method", "type"}
    assert scope.keys() == compared | constant | {"path"}  # which follows from the raw path


REF = BlockRef("page.html", "title")


async def test_what_only_updates_have_caused_is_not_mixed_with_other_changes() -> None:
    runs, started, go_on = EqualRuns(), [], anyio.Event()

    async def start(update: Update) -> Rendered:
        started.append(caused_by_update.get())
        await go_on.wait()
        return {REF.key: "html"}

    async def stream(by_update: bool) -> None:
        caused_by_update.set(by_update)
        await runs.run("request", Update("page", [REF]), start)

    async with anyio.create_task_group() as tasks:
        for by_update in (True, False, True):
            tasks.start_soon(stream, by_update)
        await eventually(lambda: sum(run.waiting for run in runs._runs.values()) == 3)
        go_on.set()
    assert sorted(started) == [False, True]


async def test_a_stream_is_told_of_its_own_blocks_only() -> None:
    runs, other = EqualRuns(), BlockRef("page.html", "text")
    rendered: dict[str, Rendered] = {}

    async def start(update: Update) -> Rendered:
        return {ref.key: ref.block_name for ref in update.blocks}

    async def stream(ref: BlockRef) -> None:
        _, rendered[ref.block_name] = await runs.run("request", Update("page", [ref]), start)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream, REF)
        tasks.start_soon(stream, other)
    assert rendered == {"title": {REF.key: "title"}, "text": {other.key: "text"}}


# Changes


async def test_a_run_that_has_begun_is_not_joined_and_later_tabs_share_the_next_one() -> None:
    site = Site()
    browser = Browser(site.app)
    seen = await browser.request("/")
    async with browser.view("/") as first, browser.stream(seen.url) as second:
        site.runs, held = 0, Held(site)
        await site.change("one", origin=seen.origin)  # of which the second tab is not told
        await eventually(lambda: site.runs == 1)
        site.read = nothing
        async with browser.view("/") as third:
            await site.change("two")
            await eventually(lambda: waiting() == [2])
            assert places_of_loop()._taken == 1
            assert site.runs == 2  # the first one, and that which has admitted the third tab
            held.release()
            for connection in (second, third):
                assert "two" in ((await connection.next_update()).data or "")
            assert "one" in ((await first.next_update()).data or "")
            assert "two" in ((await first.next_update()).data or "")


async def test_a_change_during_a_shared_run_is_seen_by_all() -> None:
    async with joint_run() as (site, held, connections):
        await site.change("newer")
        held.release()
        for connection in connections:
            assert "new<" in ((await connection.next_update()).data or "")
            assert "newer" in ((await connection.next_update()).data or "")


# What ends a run


async def assert_that_all_recover(site: Site, connections: list[Connection]) -> None:
    await eventually(lambda: waiting() == [])
    assert site.runs == 1
    await site.change("recovered")
    for connection in connections:
        assert "recovered" in ((await connection.next_update()).data or "")


@pytest.fixture
def no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_RETRY", 600.0)


@pytest.mark.usefixtures("no_retries")
async def test_a_failure_concerns_all_tabs(caplog: pytest.LogCaptureFixture) -> None:
    async with joint_run() as (site, held, connections):
        held.release(RuntimeError("the database is gone"))
        await eventually(lambda: waiting() == [])
        assert "the database is gone" in caplog.text
        held.release()
        await assert_that_all_recover(site, connections)


@pytest.mark.usefixtures("no_retries")
async def test_a_time_out_concerns_all_tabs_and_counts_once() -> None:
    async with joint_run() as (site, held, connections):
        places_of_loop().deadlines.on_tick(time.monotonic() + 31.0, ())
        await eventually(lambda: waiting() == [])
        assert held.cancelled == 1
        assert site.reactive.bus.timed_out_update_count == 1
        held.release()
        await assert_that_all_recover(site, connections)


@pytest.mark.usefixtures("no_retries")
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_that_is_cancelled_from_outside_is_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    async with joint_run() as (site, held, connections):
        (task,) = (task for task in asyncio.all_tasks() if "equal updates" in task.get_name())
        task.cancel()
        await eventually(lambda: waiting() == [])
        held.release()
        await assert_that_all_recover(site, connections)
        assert "the task of an update of the page" in caplog.text


async def test_a_refusal_concerns_all_tabs() -> None:
    async with joint_run() as (site, held, connections):
        held.release(PlainTextResponse("Sign in first.", 401))
        for connection in connections:
            await eventually(lambda: connection.complete)  # noqa: B023 - awaited in this iteration
            assert connection.updates[-1].event == RESTART
        assert site.runs == 1
        for connection in connections:
            assert "new" not in sent(await connection.closed_for_good())


async def test_another_user_in_a_shared_run_restarts_all_tabs() -> None:
    users = ["ada"]
    site = Site(user=lambda _: users[-1])
    browser = Browser(site.app)
    async with tabs(browser, 2) as connections:
        site.runs = 0
        async with other_turn(browser):
            await site.change()
            await eventually(lambda: waiting() == [2])
            users.append("eve")
        for connection in connections:
            await eventually(lambda: connection.complete)  # noqa: B023 - awaited in this iteration
            assert [frame.event for frame in connection.updates] == [RESTART]
        assert site.runs == 1


async def test_cookies_of_a_shared_run_reach_the_browser_once_and_all_tabs_connect_again() -> None:
    site = Site(middleware=True)
    browser = Browser(site.app)
    async with open_tab(browser, "/") as first, open_tab(browser, "/") as second:
        site.runs = 0
        async with other_turn(browser):
            await site.change()
            await eventually(lambda: waiting() == [2])
            site.set_cookies = ["seen=1; Path=/"]
        await eventually(lambda: all("new" in tab.sent for tab in (first, second)))
        assert browser.cookies["seen"] == "1"
        answers = [stream.start for tab in (first, second) for stream in tab.streams if stream.start]
        carried = [value for answer in answers for name, value in answer["headers"] if value.startswith(b"seen=")]
        assert len(carried) == 1
        for tab in (first, second):
            assert tab.streams[0].updates[-1].event == RESTART
            assert "new" not in sent(tab.streams[0])


async def test_cookies_of_a_shared_run_are_lost_once_without_the_middleware(caplog: pytest.LogCaptureFixture) -> None:
    async with joint_run() as (site, held, connections):
        site.set_cookies = ["seen=1; Path=/"]
        held.release()
        for connection in connections:
            assert "new" in ((await connection.next_update()).data or "")
        assert caplog.text.count("are lost (seen): add ReactiveMiddleware") == 1


def test_a_stream_whose_browser_has_other_cookies_joins_nothing() -> None:
    watch = CookieWatch(hub_of(Reactive(ENV, secret=SECRET).bus))
    before, after = digest_of("a=1"), digest_of("a=2")
    cookies = ViewerCookies(SiteCookies(watch, None, ()), "page", Watched("session", before), None, {"headers": []})
    assert cookies.browser() == ("session", before)
    watch.report("session", before, after, math.inf)
    with pytest.raises(StreamRestartError, match="other cookies now"):
        cookies.browser()


# Tabs that are closed


@pytest.fixture
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "CLOSING_GRACE", 0.0)


@pytest.mark.usefixtures("no_grace")
@pytest.mark.parametrize("closed", [0, 1])
async def test_a_run_goes_on_for_the_other_tab_when_one_is_closed(closed: int) -> None:
    async with joint_run() as (site, held, connections):
        connections[closed].disconnect.set()
        await eventually(lambda: waiting() == [1])
        held.release()
        assert "new" in ((await connections[1 - closed].next_update()).data or "")
        assert (site.runs, held.cancelled) == (1, 0)


@pytest.mark.usefixtures("no_grace")
@pytest.mark.parametrize("closed", [0, 1])
async def test_a_run_that_has_not_begun_begins_for_the_other_tab_when_one_is_closed(closed: int) -> None:
    site = Site()
    browser = Browser(site.app)
    async with tabs(browser, 2) as connections:
        site.runs = 0
        async with other_turn(browser):
            await site.change()
            await eventually(lambda: waiting() == [2])
            connections[closed].disconnect.set()
            await eventually(lambda: waiting() == [1])
        assert "new" in ((await connections[1 - closed].next_update()).data or "")
        assert site.runs == 1


@pytest.mark.usefixtures("no_grace")
async def test_a_run_is_cancelled_when_all_tabs_are_closed() -> None:
    async with joint_run() as (_, held, connections):
        for connection in connections:
            connection.disconnect.set()
        await eventually(lambda: held.cancelled == 1)
        await eventually(lambda: places_of_loop()._taken == 0)
        assert waiting() == []


@pytest.mark.usefixtures("no_grace")
async def test_a_run_that_nobody_waits_for_any_more_does_not_begin() -> None:
    site = Site()
    browser = Browser(site.app)
    async with tabs(browser, 2) as connections:
        site.runs = 0
        async with other_turn(browser):
            await site.change()
            await eventually(lambda: waiting() == [2])
            for connection in connections:
                connection.disconnect.set()
            await eventually(lambda: waiting() == [])
        async with browser.view("/"):  # its run comes later
            assert site.runs == 1


async def test_a_run_that_is_cancelled_is_not_joined() -> None:
    runs, started, cleaned_up = EqualRuns(), [], anyio.Event()

    async def start(update: Update) -> Rendered:
        started.append(update)
        if len(started) == 1:
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await cleaned_up.wait()
        return {REF.key: "html"}

    async def join() -> Rendered:
        return (await runs.run("request", Update("page", [REF]), start))[1]

    async with anyio.create_task_group() as leaving:
        leaving.start_soon(join)
        await eventually(lambda: started)
        leaving.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            try:
                await eventually(lambda: not runs._runs)
                assert await join() == {REF.key: "html"}
            finally:
                cleaned_up.set()
    assert len(started) == 2
