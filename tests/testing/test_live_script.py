"""LivePage: a page that loads the live script connects, updates itself and ends as the script would let it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from starlette_reactive import EventStream, Reactive, ReactiveMiddleware, SSEEvent
from starlette_reactive.testing import LivePage, SyncTestClient, TestClient, assert_sse_wired
from tests.support import environment, eventually

from .apps import board, leave_for_three_days

SCRIPTS = {htmx: f"{{{{ live_scripts(htmx={htmx}) }}}}" for htmx in (2, 4, None)}
BUNDLE = '<script src="/static/app.js"></script>'

any_htmx = pytest.mark.parametrize("htmx", SCRIPTS)


def recording(app: ASGIApp, requests: list[Request]) -> ASGIApp:
    """Return the application; the requests for its streams are collected."""

    async def record(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and "/live" in scope["path"]:
            requests.append(Request(scope))
        await app(scope, receive, send)

    return record


def asked(request: Request) -> dict[str, list[str]]:
    return {name: values for name, values in parse_qs(request.url.query).items() if name in {"script", "resume"}}


async def ended(page: LivePage) -> None:
    with anyio.fail_after(20):
        await page.streams[0].wait_closed()


@any_htmx
async def test_a_page_with_the_script_follows_changes_and_catches_up(htmx: int | None) -> None:
    made, requests = board(scripts=SCRIPTS[htmx]), list[Request]()
    async with TestClient(recording(made.app, requests)) as client:
        page = await client.live("/boards/1")
        assert (page.htmx, page.live_script, page.state) == (htmx, True, "connected")
        await made.add("milk & <b>")
        await page.expect("#count", "1 open")
        await page.expect("#list", contains="milk & <b>")
        assert page.html("#list") == "<li>milk &amp; &lt;b&gt;</li>"
        last_id = page.streams[0].last_event_id

        page.go_offline()
        assert page.state == "reconnecting"
        await page.expect("html[data-live=reconnecting] #count", "1 open")
        await made.add("y")
        await page.expect_nothing(0.05)
        await page.go_online()
        await page.expect("html[data-live=connected] #count", "2 open")
        await page.reconnect()
        assert page.state == "connected"
    assert [asked(each) for each in requests[:2]] == [{"script": ["1"]}, {"script": ["1"], "resume": [last_id]}]
    assert "last-event-id" not in requests[1].headers
    assert "hx-request-type" not in requests[0].headers


async def test_the_attributes_of_a_page_with_the_script_alone_name_no_version_of_htmx() -> None:
    body = """<div hx-sse:connect="/stream" sse-connect="/stream?a=b" sse-swap="message" data-reactive-sink="m"></div>
    <p id="n">0</p>"""
    frame = SSEEvent('{"id":"n","swap":"inner"}\n1')

    async def stream(request: Request) -> Response:
        return EventStream([frame if request.query_params.get("script") else SSEEvent("for htmx")])

    script = '<script src="/app/_reactive/live-0123456789ab.js"></script>'
    routes = [Route("/", lambda request: HTMLResponse(script + body)), Route("/stream", stream)]
    async with TestClient(Starlette(routes=routes)) as client:
        page = await client.live("/")
        await page.expect("#n", "1")
        assert page.htmx is None
        assert len(page.streams) == 1


async def test_streams_of_htmx_stay_with_htmx_beside_the_script() -> None:
    page_source = SCRIPTS[2] + (
        '<div {{ live() }}></div><b id="n">{% block n %}{{ n }}{% endblock %}</b>'
        '<main hx-ext="sse" sse-connect="/ticks"><i id="tick" sse-swap="tick">0</i></main>'
    )
    reactive = Reactive(environment(page=page_source), secret="a secret for tests")
    requests: list[Request] = []

    @reactive.page("page.html", scope="n")
    async def show(request: Request) -> dict[str, Any]:
        return {"n": 1}

    async def ticks(request: Request) -> Response:
        requests.append(request)
        return EventStream([SSEEvent("7", event="tick")])

    app = Starlette(routes=[*reactive.routes, Route("/", show), Route("/ticks", ticks)], lifespan=reactive.lifespan)
    async with TestClient(app) as client:
        page = await client.live("/")
        await page.expect("#tick", "7")
        await reactive.emit("n", "n")
        await page.expect("#n", "1")
        assert [each.by_live_script for each in page.streams] == [True, False]
    assert [each.url.query for each in requests] == [""]


async def test_a_page_that_bundles_the_script_has_to_be_told() -> None:
    made = board(scripts=BUNDLE)
    async with TestClient(made.app) as client:
        page, other = await client.live("/boards/1", live_script=True), await client.live("/boards/1")
        assert (page.live_script, other.live_script) == (True, False)
        await made.add("x")
        await page.expect("#count", "1 open")
        await other.expect("#count", "1 open")
        assert json.loads(page.frames[0].data.partition("\n")[0])["swap"] == "inner"
        assert "<hx-partial" in other.frames[0].data
        await assert_sse_wired(client, "/boards/1", live_script=True, quiet=0.1)


async def test_a_page_whose_live_url_has_expired_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    made = board(scripts=SCRIPTS[None])
    async with TestClient(made.app) as client:
        page = await client.live("/boards/1")
        await leave_for_three_days(page, made, monkeypatch)


# What a page's own requests change


@any_htmx
async def test_requests_with_the_headers_of_a_page_are_its_own_and_it_shows_what_they_changed(htmx: int | None) -> None:
    made = board(scripts=SCRIPTS[htmx])
    async with TestClient(made.app) as client:
        page, other = await client.live("/boards/1"), await client.live("/boards/1")
        await client.post("/tasks", content="x", headers=page.headers)
        await page.expect("#count", "1 open")
        await other.expect("#count", "1 open")
        headers = [json.loads(each.frames[0].data.partition("\n")[0]) for each in (page, other)]
        assert [each.get("own") for each in headers] == [True, None]


async def test_the_script_marks_requests_of_pages_without_live_origin() -> None:
    reactive = Reactive(
        environment(page=SCRIPTS[2] + '<body hx-headers=\'{"X-Tab": "1"}\'><div {{ live() }}></div>'), secret="s" * 32
    )

    @reactive.page("page.html", scope="n")
    async def show(request: Request) -> dict[str, Any]:
        return {}

    async def origin(request: Request) -> Response:
        return JSONResponse([reactive.origin(request), request.headers.get("x-tab")])

    app = Starlette(routes=[*reactive.routes, Route("/", show), Route("/origin", origin)], lifespan=reactive.lifespan)
    async with TestClient(app) as client:
        page = await client.live("/")
        answer = (await client.get("/origin", headers=page.headers)).json()
        assert answer == [page.streams[0].element.attrs["data-reactive-sink"], "1"]


# The end


async def test_a_page_says_why_it_ended() -> None:
    made = board(scripts=SCRIPTS[4])
    async with TestClient(made.app) as client:
        page, plain = await client.live("/boards/1"), await client.live("/boards/1", live_script=False)
        assert page.end_reason is None
        made.reactive.bus.close("board:1")
        await ended(page)
        await ended(plain)
        assert [(each.state, each.end_reason) for each in (page, plain)] == [("ended", "closed"), ("ended", None)]
        await page.expect("html[data-live=ended] #count", "0 open")
        with pytest.raises(AssertionError, match=r"closed for good \(closed\)"):
            await page.reconnect()


async def test_a_refused_page_ends_and_is_current_until_then() -> None:
    is_over = False
    reactive = Reactive(
        environment(page=SCRIPTS[None] + '<div {{ live() }}></div><p id="n">{% block n %}{{ n }}{% endblock %}</p>'),
        secret="s" * 32,
    )

    @reactive.page("page.html", scope="n")
    async def show(request: Request) -> Any:
        return PlainTextResponse("over", 403) if is_over else {"n": 0}

    app = Starlette(routes=[*reactive.routes, Route("/", show)], lifespan=reactive.lifespan)
    async with TestClient(app) as client:
        page = await client.live("/")
        is_over = True
        await reactive.emit("n", "n")
        await ended(page)
        assert (page.state, page.end_reason) == ("ended", "refused")


async def test_a_page_whose_cookies_change_restarts_and_stays_connected() -> None:
    made, requests = board(scripts=SCRIPTS[None]), list[Request]()
    made.app.add_middleware(ReactiveMiddleware, reactive=made.reactive)
    async with TestClient(recording(made.app, requests)) as client:
        page = await client.live("/boards/1")
        await client.get("/sign-in?as=ada")
        await made.add("x")
        await page.expect("#count", "1 open")
        await eventually(lambda: [each.user_id for each in made.reactive.presence("board:1")] == ["ada"])
        assert page.state == "connected"
    assert len(requests) == 2
    assert [asked(each) for each in requests] == [{"script": ["1"]}] * 2  # the same EventSource
    assert requests[1].headers["last-event-id"]


# What is no frame, and what is wrong


def app_of(body: str, *items: SSEEvent) -> Starlette:
    """Return an application with a page that loads the script, and these events in its stream."""

    async def stream(request: Request) -> Response:
        async def generate() -> Any:
            for item in items:
                yield item
            await anyio.sleep_forever()

        return EventStream(generate())

    script = '<script src="/_reactive/live-0123456789ab.js"></script>'
    sink = '<div sse-connect="/stream?a=b" data-reactive-sink="m"></div>'
    routes = [Route("/", lambda request: HTMLResponse(script + sink + body)), Route("/stream", stream)]
    return Starlette(routes=routes)


async def test_heartbeats_and_ids_are_no_frames() -> None:
    silent = [SSEEvent("", event="reactive-id", id="7"), SSEEvent("", event="reactive-beat")]
    async with TestClient(app_of("<p id=n>0</p>", *silent)) as client:
        page = await client.live("/")
        await page.expect_nothing(0.05)
        assert page.streams[0].last_event_id == "7"
    async with TestClient(app_of("<p id=n>0</p>", *silent, SSEEvent('{"id":"n","swap":"inner"}\n1'))) as client:
        page = await client.live("/")
        await page.expect("#n", "1")
        assert len(page.frames) == 1


async def test_an_update_that_the_script_cannot_read_is_an_error() -> None:
    async with TestClient(app_of("<p id=n>0</p>", SSEEvent("<p id=n>1</p>"))) as client:
        page = await client.live("/")
        with pytest.raises(ValueError, match="the live script cannot read the update '<p id=n>1</p>'"):
            await page.expect("#n", "1")


@any_htmx
async def test_a_page_with_the_script_is_wired(htmx: int | None) -> None:
    made = board(scripts=SCRIPTS[htmx])
    async with TestClient(made.app) as client:
        await assert_sse_wired(client, "/boards/1", quiet=0.1)


async def test_updates_of_elements_that_a_page_lacks_are_listed() -> None:
    update = SSEEvent('{"id":"gone\\"","swap":"inner"}\n1')
    async with TestClient(app_of("<p id=n>0</p>", update, SSEEvent("x", event="tick"))) as client:
        with pytest.raises(AssertionError) as caught:
            await assert_sse_wired(client, "/", quiet=0.05)
    assert "/stream sends an update of the id 'gone\"', which matches nothing in the page" in str(caught.value)
    assert "/stream sends 'tick', which nothing in the page listens to" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 3


def test_a_synchronous_page_says_how_it_stands() -> None:
    made = board(scripts=SCRIPTS[2])
    with SyncTestClient(made.app) as client:
        page = client.live("/boards/1")
        client.post("/tasks", content="x", headers=page.headers)
        page.expect("#count", "1 open")
        assert (page.state, page.end_reason) == ("connected", None)
        page.go_offline()
        assert page.state == "reconnecting"
        page.go_online()
        assert page.state == "connected"
        client.assert_sse_wired("/boards/1", quiet=0.1)
        bundled = client.live("/boards/1", live_script=False)
        client.portal.call(made.reactive.bus.close, "board:1")
        bundled.expect("html:not([data-live]) #count", "1 open")
        page.expect("html[data-live=ended] #count", "1 open")
        assert (page.state, page.end_reason) == ("ended", "closed")
