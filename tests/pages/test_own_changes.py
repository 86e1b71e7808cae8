"""A page's own changes: what its stream tells of them, under each client, and with which origin they are emitted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from starlette_reactive import ChangeEvent, Fragment, Reactive, ReactiveBus, ReactiveMiddleware
from starlette_reactive._streams import viewer as viewer_module
from tests.engines.conftest import level
from tests.engines.servers import RedisServer, redis_binary
from tests.support import Connection, environment, eventually, require

from .support import PAGE, SECRET, Seen, quiet, request, stream

NESTED = """<!doctype html><body {{ live_origin() }}>
<div id="outer">{% block outer %}{{ name }}<p id="inner">{% block inner %}{{ items }}{% endblock %}</p>
<p id="beside">{% block beside %}{{ title }}{% endblock %}</p>{% endblock %}</div><div {{ live() }}></div>"""
ENV = environment(page=PAGE, nested=NESTED)


@dataclass
class Update:
    """What the script is told of a block."""

    id: str
    html: str
    own: bool
    swap: str


def updates_of(connection: Connection) -> list[Update]:
    found = []
    for frame in connection.updates:
        if frame.event is None:
            head, _, html = (frame.data or "").partition("\n")
            told = json.loads(head)
            found.append(Update(told["id"], html, told.get("own", False), told["swap"]))
    return found


@dataclass
class Tab:
    """A tab that has loaded the page."""

    app: Any
    seen: Seen
    cookies: dict[str, str]

    @property
    def mark(self) -> str:
        return self.seen.origin

    def stream(self, *, script: bool = True, **headers: str) -> Any:
        url = f"{self.seen.url}&script=1" if script else self.seen.url
        return stream(self.app, url, headers={**self.cookies, **headers})

    async def post(self, path: str = "/change") -> Seen:
        return await request(self.app, path, method="POST", headers={**self.cookies, "Reactive-Origin": self.mark})


@dataclass
class Board:
    """An application with one page, and endpoints that change it."""

    template: str = "page.html"
    bus: ReactiveBus | None = None
    options: dict[str, Any] = field(default_factory=dict)
    heartbeat: float = 15.0
    title: str = "Board"
    items: list[str] = field(default_factory=list)
    refuses: bool = False
    wait: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        self.reactive = Reactive(ENV, secret=SECRET, bus=self.bus, heartbeat=self.heartbeat)
        page = self.reactive.page(self.template, scope="all", **self.options)(self.page)
        html = self.reactive.html
        posts = {
            "/change": html(self.change),
            "/plain": self.change,
            "/thread": html(self.change_in_thread),
            "/bus": html(self.change_on_bus),
            "/explicit": html(self.change_as_another),
            "/later": html(self.change_later),
            "/streamed": html(self.change_while_streaming),
            "/task": html(self.change_in_task),
            "/secret": html(self.change_for_others),
        }
        self.app = Starlette(
            routes=[
                *self.reactive.routes,
                Route("/", page),
                *(Route(path, endpoint, methods=["POST"]) for path, endpoint in posts.items()),
            ],
            middleware=[Middleware(ReactiveMiddleware, reactive=self.reactive)],
        )

    async def page(self, request: Request) -> dict[str, Any]:
        if self.refuses:
            raise HTTPException(403)
        return {"title": self.title, "items": list(self.items), "name": "name"}

    async def change(self, request: Request) -> Response:
        self.items.append("own")
        await self.reactive.emit("all", "items")
        return PlainTextResponse("changed")

    def change_in_thread(self, request: Request) -> Response:
        self.items.append("own")
        self.reactive.emit_sync("all", "items")
        return PlainTextResponse("changed")

    async def change_on_bus(self, request: Request) -> Response:
        self.items.append("own")
        await self.reactive.bus.emit(ChangeEvent("all", {"items"}))
        return PlainTextResponse("changed")

    async def change_as_another(self, request: Request) -> Response:
        self.items.append("own")
        await self.reactive.emit("all", "items", origin="a robot")
        return PlainTextResponse("changed")

    async def change_later(self, request: Request) -> Response:
        return PlainTextResponse("changed", background=BackgroundTask(self.change, request))

    async def change_while_streaming(self, request: Request) -> Response:
        async def body() -> AsyncIterator[str]:
            await self.change(request)
            yield "changed"

        return StreamingResponse(body())

    async def change_in_task(self, request: Request) -> Response:
        """Start a task that goes on when the endpoint has returned, with the endpoint's context."""

        async def change() -> None:
            await self.wait.wait()
            await self.change(request)

        request.app.state.tasks.start_soon(change)
        return PlainTextResponse("begun")

    async def change_for_others(self, request: Request) -> Response:
        self.items.append("secret")
        await self.reactive.emit("all", "items", audience={"ben"})
        return PlainTextResponse("changed")

    async def add(self, item: str, **options: Any) -> None:
        """Change the page from elsewhere."""
        self.items.append(item)
        await self.reactive.emit("all", "items", **options)

    async def load(self, *, user: str | None = None) -> Tab:
        """Load the page in a new tab."""
        cookies = {} if user is None else {"Cookie": f"user={user}"}
        seen = await request(self.app, "/", headers=cookies)
        given = seen.cookies.get("Cookie", "")
        return Tab(self.app, seen, {"Cookie": "; ".join(filter(None, (cookies.get("Cookie"), given)))})

    @asynccontextmanager
    async def view(self, *, script: bool = True) -> AsyncIterator[tuple[Tab, Connection]]:
        tab = await self.load()
        async with tab.stream(script=script) as connection:
            yield tab, connection


async def told(connection: Connection, count: int) -> list[Update]:
    """Wait until the script has been told of a number of blocks."""
    await eventually(lambda: len(updates_of(connection)) >= count, timeout=20)
    return updates_of(connection)


PAGES: dict[str, dict[str, Any]] = {
    "of each viewer": {},
    "shared": {"shared": True},
    "shared by key": {"share": lambda request: "team"},
}


@pytest.mark.parametrize("kind", PAGES)
async def test_the_script_is_told_at_once_of_own_changes_as_such(kind: str) -> None:
    board = Board(options=PAGES[kind])
    async with board.view() as (tab, mine), board.view() as (_, other):
        await tab.post()
        assert await told(mine, 1) == [Update("list", "<li>own</li>", own=True, swap="inner")]
        assert await told(other, 1) == [Update("list", "<li>own</li>", own=False, swap="inner")]
        await board.add("theirs")
        assert (await told(mine, 2))[1] == Update("list", "<li>own</li><li>theirs</li>", own=False, swap="inner")
        assert mine.updates[-1].id is not None


@pytest.mark.parametrize("kind", PAGES)
async def test_other_clients_are_told_of_own_changes_after_the_answer(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer_module, "REPEAT_DELAY", 0.3)
    board = Board(options=PAGES[kind])
    async with board.view(script=False) as (tab, mine), board.view(script=False) as (_, other):
        first = mine.frames[0].id
        await tab.post()
        await other.next_update()
        assert mine.updates == []
        assert "<li>own</li>" in ((await mine.next_update()).data or "")
        assert mine.updates[-1].id not in (None, first)
        await quiet(mine, 0.5)


async def test_html_that_only_its_author_was_sent_as_own_is_sent_again_for_the_change_of_another() -> None:
    """The script may have dropped the first one. Both are the same if the first render had read the other change."""
    board = Board()
    async with board.view() as (tab, mine):
        board.items.append("theirs")  # and not emitted yet
        await tab.post()
        assert [each.own for each in await told(mine, 1)] == [True]
        await board.reactive.emit("all", "items")
        updates = await told(mine, 2)
        assert updates[1] == Update("list", updates[0].html, own=False, swap="inner")


async def test_a_block_that_somebody_else_has_changed_too_is_not_own() -> None:
    board = Board(options={"shared": True})
    async with board.view() as (tab, mine):
        board.items.append("own")
        board.reactive.emit_sync("all", "items", origin=tab.mark)
        board.title = "theirs"
        board.reactive.emit_sync("all", "title")
        updates = {each.id: each.own for each in await told(mine, 2)}
        assert updates == {"title": False, "list": True}
        board.reactive.emit_sync("all", "items")
        board.reactive.emit_sync("all", "items", "title", origin=tab.mark)
        await board.add("more", origin=tab.mark)
        assert {each.own for each in (await told(mine, 3))[2:] if each.id == "list"} == {False}


@pytest.mark.parametrize(
    ("own", "theirs", "expected"),
    [
        ("items", "name", {"outer": False}),
        ("name", "items", {"outer": False}),
        ("items", "title", {"inner": True, "beside": False}),
        ("items", "items", {"inner": False}),
    ],
)
async def test_a_block_is_own_only_if_no_other_change_concerns_what_is_around_or_inside(
    own: str, theirs: str, expected: dict[str, bool]
) -> None:
    board = Board("nested.html")
    async with board.view() as (tab, mine):
        board.items.append("new")
        board.title = "new"
        board.reactive.emit_sync("all", own, origin=tab.mark)
        board.reactive.emit_sync("all", theirs)
        assert {each.id: each.own for each in await told(mine, len(expected))} == expected


async def test_nothing_is_own_in_a_stream_that_begins_before_the_change_was_told() -> None:
    board = Board()
    tab = await board.load()
    await tab.post()
    async with tab.stream() as mine:
        assert [each.own for each in await told(mine, 1)] == [False]
        await tab.post()
        assert [each.own for each in await told(mine, 2)] == [False, True]


async def test_nothing_is_own_if_everything_is_asked_for() -> None:
    board = Board()
    tab = await board.load()
    await tab.post()
    async with stream(board.app, f"{tab.seen.url}&script=1&resume=unknown", headers=tab.cookies) as mine:
        assert [(each.id, each.own) for each in await told(mine, 2)] == [("title", False), ("list", False)]


async def test_nothing_is_own_in_a_tab_that_was_duplicated() -> None:
    board = Board()
    tab = await board.load()
    async with tab.stream() as first, tab.stream() as second:
        await eventually(lambda: len(board.reactive.presence("all")) > 0)
        await tab.post()
        for connection in (first, second):
            assert [each.own for each in await told(connection, 1)] == [False]


@pytest.mark.parametrize("script", [True, False])
async def test_an_author_outside_the_audience_is_not_told(script: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer_module, "REPEAT_DELAY", 0.05)
    board = Board(options={"user": lambda request: request.cookies.get("user")})
    ada, ben = await board.load(user="ada"), await board.load(user="ben")
    async with ada.stream(script=script) as mine, ben.stream(script=script) as other:
        await ada.post("/secret")
        await other.next_update()
        await quiet(mine, 0.3)


# Origins by default


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/change", True),
        ("/thread", True),
        ("/bus", True),
        ("/explicit", False),
        ("/plain", False),
        ("/later", False),
        ("/streamed", False),
    ],
)
async def test_what_an_endpoint_emits_while_it_runs_has_its_page_as_the_origin(path: str, own: bool) -> None:
    board = Board()
    async with board.view() as (tab, mine):
        assert (await tab.post(path)).text == "changed"
        assert [each.own for each in await told(mine, 1)] == [own]


async def test_captured_changes_have_the_origin_of_their_endpoint(captured_changes: list[ChangeEvent]) -> None:
    board = Board()
    tab = await board.load()
    await tab.post()
    await tab.post("/plain")
    assert captured_changes == [ChangeEvent("all", {"items"}, tab.mark), ChangeEvent("all", {"items"})]


async def test_what_a_task_emits_after_its_endpoint_has_returned_has_no_origin() -> None:
    board = Board()
    async with board.view() as (tab, mine), anyio.create_task_group() as tasks:
        board.app.state.tasks = tasks
        assert (await tab.post("/task")).text == "begun"
        board.wait.set()
        assert [each.own for each in await told(mine, 1)] == [False]


async def test_a_mark_of_another_browser_is_no_origin() -> None:
    board = Board()
    async with board.view() as (tab, mine):
        await request(board.app, "/change", method="POST", headers={"Reactive-Origin": tab.mark})
        assert [each.own for each in await told(mine, 1)] == [False]


async def test_endpoints_of_fastapi_emit_as_their_page_too() -> None:
    board = Board()
    app = FastAPI()
    app.include_router(board.reactive.router)
    app.get("/")(board.reactive.page("page.html", scope="all")(board.page))

    def change() -> Fragment:
        board.items.append("own")
        board.reactive.emit_sync("all", "items")
        return Fragment("page.html", "list", items=board.items)

    app.post("/change")(board.reactive.html(change))
    board.app = app
    async with board.view() as (tab, mine):
        assert (await tab.post()).headers["reactive-blocks"] == "list"
        assert [each.own for each in await told(mine, 1)] == [True]


# Other processes


@pytest.fixture(scope="module", params=["redis"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory: Path = tmp_path_factory.mktemp("engine")
    require(redis_binary(), "redis-server")
    with RedisServer(directory) as server:
        yield server.url


async def test_a_change_through_another_process_is_own_too(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer_module, "REPEAT_DELAY", 0.1)
    buses = ReactiveBus.from_url(url), ReactiveBus.from_url(url)
    for bus in buses:
        bus.start()
    try:
        await level(*buses)
        here, there = Board(bus=buses[0]), Board(bus=buses[1])
        tab, plain = await here.load(), await here.load()
        async with tab.stream() as mine, plain.stream(script=False) as late:
            for author, own in ((tab, [True]), (plain, [True, False])):
                elsewhere = Tab(there.app, author.seen, author.cookies)
                here.items.append("own")
                assert (await elsewhere.post()).text == "changed"
                assert [each.own for each in await told(mine, len(own))] == own
            await eventually(lambda: len(late.updates) == 2)
    finally:
        for bus in buses:
            await to_thread.run_sync(bus.stop)


# The rest of the script's wire


async def test_the_first_frame_of_the_script_is_an_id_and_nothing_else() -> None:
    async with Board().view() as (_, mine):
        assert mine.frames[0].id
        assert (mine.frames[0].data, mine.frames[0].event) == (None, None)


@pytest.mark.parametrize("kind", PAGES)
async def test_heartbeats_of_the_script_are_events_without_an_id(kind: str) -> None:
    board = Board(options=PAGES[kind], heartbeat=0.05)
    async with board.view() as (_, mine), board.view(script=False) as (_, other):
        beat = await mine.next_update()
        assert (beat.event, beat.data, beat.id) == ("reactive-beat", "", None)
        await eventually(lambda: any(frame.comment for frame in other.frames))
        assert other.updates == []


@pytest.mark.parametrize("kind", PAGES)
async def test_the_script_is_told_why_its_stream_ends(kind: str) -> None:
    board = Board(options={**PAGES[kind], "user": lambda request: "ada"})
    async with board.view() as (_, mine), board.view(script=False) as (_, other):
        board.reactive.bus.close_user("ada")
        assert ((await mine.next_update()).event, mine.updates[-1].data) == ("reactive-close", "signed-out")
        await eventually(lambda: other.updates)
        assert "signed-out" not in "".join(frame.data or "" for frame in other.updates)
    async with board.view() as (_, mine):
        board.reactive.bus.close("all")
        assert ((await mine.next_update()).event, mine.updates[-1].data) == ("reactive-close", "closed")
    tab = await board.load()
    board.refuses = True
    async with tab.stream() as mine:
        await eventually(lambda: mine.complete)
        assert (mine.updates[-1].event, mine.updates[-1].data) == ("reactive-close", "refused")


@pytest.mark.parametrize("kind", PAGES)
async def test_a_stream_ends_for_the_first_reason(kind: str) -> None:
    board = Board(options={**PAGES[kind], "user": lambda request: "ada"})
    async with board.view() as (_, mine):
        board.reactive.bus.close_user("ada")
        board.reactive.bus.close("all")
        await eventually(lambda: mine.complete)
        assert [frame.data for frame in mine.updates] == ["signed-out"]


async def test_the_script_is_told_that_its_session_was_ended() -> None:
    board = Board()
    async with board.view() as (tab, mine):
        pairs = [(name.lower().encode(), value.encode()) for name, value in tab.cookies.items()]
        board.reactive.end_session(Request({"type": "http", "headers": pairs}))
        assert (await mine.next_update()).data == "signed-out"
