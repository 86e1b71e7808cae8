"""LivePage: the page follows its streams as in a browser with htmx, and failures explain the problem."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from starlette_reactive import EventStream, SSEEvent, is_update
from starlette_reactive.testing import LivePage, NoStreamError, TestClient

from .apps import board, leave_for_three_days, streaming


def page_with_stream(body: str, *items: Any, requests: list[Request] | None = None) -> Starlette:
    """Return an application with this page at ``/`` and these events at ``/stream``."""

    async def stream(request: Request) -> Response:
        if requests is not None:
            requests.append(request)

        async def generate() -> Any:
            for item in items:
                yield item
            await anyio.sleep_forever()

        return EventStream(generate())

    return Starlette(
        routes=[
            Route("/", lambda request: HTMLResponse(body)),
            Route("/stream", stream),
            Route("/forbidden", lambda request: PlainTextResponse("not yours", 403)),
        ]
    )


async def failure(page: LivePage, selector: str, text: str) -> str:
    with anyio.fail_after(20), pytest.raises(AssertionError) as caught:
        await page.expect(selector, text, timeout=0.1)
    return str(caught.value)


@pytest.mark.parametrize("htmx", [2, 4])
async def test_two_users_see_a_change_and_each_others_presence(htmx: int) -> None:
    made = board()
    async with TestClient(made.app) as ada, TestClient(made.app) as bob:
        await ada.get("/sign-in?as=ada")
        await bob.get("/sign-in?as=bob")
        one, other = await ada.live("/boards/1", htmx=htmx), await bob.live("/boards/1", htmx=htmx)
        assert one.htmx == htmx
        assert {each.user_id for each in made.reactive.presence("board:1")} == {"ada", "bob"}
        await ada.post("/tasks", content="milk & <b>")
        await other.expect("#count", "1 open")
        await other.expect("#list", contains="milk & <b>")
        assert other.html("#list") == "<li>milk &amp; &lt;b&gt;</li>"
        await other.close()
        assert {each.user_id for each in made.reactive.presence("board:1")} == {"ada"}
    assert not made.reactive.presence("board:1")


async def test_a_page_is_counted_when_it_is_connected_however_long_its_admission_takes() -> None:
    made = board()

    @made.reactive.page("board.html", scope="slow", user=lambda _: "ada")
    async def slow(request: Request) -> dict[str, Any]:
        await anyio.sleep(0.1 if is_update(request) else 0)
        return {"tasks": [], "divisor": 1}

    made.app.router.routes.append(Route("/slow", slow))
    async with TestClient(made.app) as client:
        page = await client.live("/slow")
        assert [each.user_id for each in made.reactive.presence("slow")] == ["ada"]
        await page.reconnect()
        assert [each.user_id for each in made.reactive.presence("slow")] == ["ada"]


async def test_a_stream_that_sends_nothing_at_first_is_connected_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starlette_reactive.testing._page_stream._FIRST_BYTES", 0.01)
    may_send = anyio.Event()

    async def generate() -> AsyncIterator[str]:
        await may_send.wait()
        yield "data: <p id='x'>new</p>\n\n"
        await anyio.sleep_forever()

    async def silent(request: Request) -> Response:
        return StreamingResponse(generate(), media_type="text/event-stream")

    body = '<body hx-ext="sse" sse-connect="/silent"><main sse-swap="message"></main>'
    app = Starlette(routes=[Route("/", lambda request: HTMLResponse(body)), Route("/silent", silent)])
    async with TestClient(app) as client:
        page = await client.live("/")
        assert "answered, but nothing was sent yet" in await failure(page, "main", "new")
        may_send.set()
        await page.expect("#x", "new")


async def test_a_page_does_not_receive_its_own_change() -> None:
    made = board()
    async with TestClient(made.app) as client:
        page = await client.live("/boards/1")
        await client.post("/tasks", content="x", headers=page.headers)
        await page.expect_nothing()
        assert page.text("#count") == "0 open"


async def test_a_page_that_was_offline_catches_up() -> None:
    made = board()
    async with TestClient(made.app) as client:
        page = await client.live("/boards/1")
        page.go_offline()
        await made.add("x")
        await page.expect_nothing(0.05)
        assert not made.reactive.presence("board:1")
        await page.go_online()
        await page.expect("#count", "1 open")
        await page.reconnect()
        await made.add("y")
        await page.expect("#count", "2 open")


async def test_a_page_whose_live_url_has_expired_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    made = board()
    async with TestClient(made.app) as client:
        page = await client.live("/boards/1")
        await leave_for_three_days(page, made, monkeypatch)
        page.streams[0].forget_events(last_event_id="unknown")
        with pytest.raises(NoStreamError, match="answered with 403"):
            await page.reconnect()


async def test_the_last_event_id_is_sent_again() -> None:
    requests: list[Request] = []
    app = page_with_stream(
        '<div hx-sse:connect="/stream"></div>', SSEEvent("a", id="7"), SSEEvent("b"), requests=requests
    )
    async with TestClient(app) as client:
        page = await client.live("/")
        await page.expect("div", "b")
        await page.reconnect()
    assert [request.headers.get("last-event-id") for request in requests] == [None, "7"]
    assert requests[0].headers["hx-request-type"] == "partial"
    assert requests[0].headers["accept"] == "text/html, text/event-stream"


@pytest.mark.parametrize(
    ("scripts", "version"),
    [
        ("htmx-2.0.11/htmx.min.js", 2),
        ("/npm/htmx.org@2.0.11/dist/htmx.min.js", 2),
        ("/npm/htmx.org@4.0.1/dist/htmx.min.js", 4),
        ("/static/hx-sse.js", 4),
        ("/static/sse.js", 2),
        ("/static/htmx-ext-sse.js", 2),
    ],
)
async def test_script_names_determine_the_version_of_htmx(scripts: str, version: int) -> None:
    made = board(scripts=f'<script src="{scripts}"></script>')
    async with TestClient(made.app) as client:
        assert (await client.live("/boards/1")).htmx == version


async def test_the_closing_event_ends_a_page_for_good() -> None:
    made = board()
    async with TestClient(made.app) as client:
        page = await client.live("/boards/1")
        made.reactive.bus.close("board:1")
        with anyio.fail_after(20):
            await page.streams[0].wait_closed()
        assert page.streams[0].state == "closed for good"
        with pytest.raises(AssertionError, match="closed for good"):
            await page.reconnect()


async def test_a_failing_block_shows_its_error_in_debug_mode() -> None:
    made = board(debug=True)
    async with TestClient(made.app) as client:
        page = await client.live("/boards/1")
        made.divisor = 0
        await made.reactive.emit("board:1", "divisor")
        await page.expect("#broken .reactive-block-error strong", "ZeroDivisionError")


# Failures


async def test_a_missing_text_fails_with_the_actual_text_and_the_last_frames() -> None:
    async with TestClient(streaming("1", "2", event_type="count")) as client:
        page = await client.live("/page")
        await page.expect("#count", "2")
        message = await failure(page, "#count", "3")
    for part in ("/page: '#count'", "after 0.1 s", "expected: '3'", "actual:   '2', in '2'", "/stream connected"):
        assert part in message
    assert "count: '1'\n    count: '2'" in message


async def test_a_stream_without_events_fails_in_time() -> None:
    async with TestClient(streaming()) as client:
        page = await client.live("/page")
        await page.expect_nothing(0.05)
        assert "last frames: none" in await failure(page, "#count", "1")


async def test_a_selector_without_a_match_fails_with_the_ids_of_the_page() -> None:
    async with TestClient(streaming("1", event_type="count")) as client:
        page = await client.live("/page")
        assert "no element matches '#cuont'; the page has #count" in await failure(page, "#cuont", "1")
        for read in (page.text, page.html):
            with pytest.raises(AssertionError, match="no element matches '#cuont'"):
                read("#cuont")
        with pytest.raises(ValueError, match="invalid selector"):
            await page.expect("p[", "1")


async def test_expect_nothing_fails_on_an_event() -> None:
    made = board()
    async with TestClient(made.app) as client:
        page = await client.live("/boards/1")
        await made.add("x")
        with pytest.raises(AssertionError, match="an event came within 1 s"):
            await page.expect_nothing(1)


async def test_an_exception_in_the_generator_is_raised_by_expect() -> None:
    async with TestClient(streaming("1", RuntimeError("bad"), event_type="count")) as client:
        page = await client.live("/page")
        with anyio.fail_after(20), pytest.raises(RuntimeError, match="bad"):
            await page.expect("#count", "2", timeout=60)


async def test_an_exception_that_no_expectation_raised_is_raised_when_the_client_closes() -> None:
    client = await TestClient(streaming("1", RuntimeError("bad"), event_type="count")).__aenter__()
    page = await client.live("/page")
    await page.streams[0].wait_closed()
    with pytest.raises(RuntimeError, match="bad"):
        await client.__aexit__()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<p>x</p>", r"the page / connects to no stream: .*live\(\)"),
        ('<div sse-connect="/stream">x</div>', 'hx-ext="sse"'),
        ('<div hx-sse:connect="/stream" hx-trigger="click">x</div>', "connects to no stream"),
        ('<div hx-sse:connect="/forbidden">x</div>', "/forbidden was answered with 403 .*'not yours'"),
        ('<div hx-sse:connect="/">x</div>', "/ was answered with 200 and 'text/html"),
    ],
)
async def test_a_page_without_a_stream_fails_with_the_reason(body: str, reason: str) -> None:
    async with TestClient(page_with_stream(body)) as client:
        with pytest.raises(NoStreamError, match=reason):
            await client.live("/")


async def test_a_page_that_cannot_be_loaded_fails_with_the_response() -> None:
    async with TestClient(page_with_stream("")) as client:
        with pytest.raises(AssertionError, match="/forbidden was answered with 403"):
            await client.live("/forbidden")


@pytest.mark.parametrize(
    ("body", "payload", "reason"),
    [
        ('<div hx-sse:connect="/stream" hx-swap="morhp">x</div>', "y", "no swap style 'morhp'"),
        (
            '<div hx-sse:connect="/stream" hx-swap="none"></div><p id="n">0</p>',
            '<hx-partial hx-target="#n" hx-swap="innerMorph"><p id="n">1</p></hx-partial>',
            "cannot innerMorph the element with the id 'n'",
        ),
    ],
)
async def test_a_payload_that_breaks_htmx_4_is_an_error(body: str, payload: str, reason: str) -> None:
    async with TestClient(page_with_stream(body, payload)) as client:
        page = await client.live("/")
        with pytest.raises(AssertionError, match=reason):
            await page.expect("body", "never")


async def test_expect_takes_the_whole_text_or_a_part() -> None:
    async with TestClient(streaming("a  b\n c", event_type="count")) as client:
        page = await client.live("/page")
        await page.expect("#count", "a b c")
        await page.expect("#count", contains="b c")
        assert page.text("#count") == "a  b\n c"
        assert [event.data for event in page.frames] == ["a  b\n c"]
        assert "expected: a text with 'x'" in re.sub(r"\n +", "\n", await _part_failure(page))
        with pytest.raises(TypeError):
            await page.expect("#count")
        with pytest.raises(TypeError):
            await page.expect("#count", "a", contains="b")


async def _part_failure(page: LivePage) -> str:
    with pytest.raises(AssertionError) as caught:
        await page.expect("#count", contains="x", timeout=0.05)
    return str(caught.value)


async def test_a_stream_in_an_update_is_connected() -> None:
    inner = '<div id="inner" hx-sse:connect="/inner">waiting</div>'

    async def stream(request: Request) -> Response:
        async def generate() -> Any:
            yield inner if request.url.path == "/stream" else "connected"
            await anyio.sleep_forever()

        return EventStream(generate())

    app = Starlette(
        routes=[
            Route("/", lambda request: HTMLResponse('<div hx-sse:connect="/stream"></div>')),
            Route("/stream", stream),
            Route("/inner", stream),
        ]
    )
    async with TestClient(app) as client:
        page = await client.live("/")
        await page.expect("#inner", "connected")
        assert len(page.streams) == 2
