"""Assertions on fragments, headers and wiring."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from starlette_reactive import EventStream, SSEEvent
from starlette_reactive.testing import (
    NoStreamError,
    TestClient,
    assert_fragment_contains,
    assert_hx_trigger,
    assert_is_fragment,
    assert_sse_wired,
)
from starlette_reactive.testing._http_library import httpx

from .apps import board


def html(text: str) -> httpx.Response:
    return httpx.Response(200, html=text)


@pytest.mark.parametrize(
    "text", ["<li>x</li>", "", "text", "<tr><td>1</td></tr>", "<p>&lt;html&gt;</p><!-- <html> -->"]
)
def test_part_of_a_page_is_a_fragment(text: str) -> None:
    assert_is_fragment(text)
    assert_is_fragment(html(text))


@pytest.mark.parametrize(
    ("page", "tag"),
    [
        ("<!doctype html><p>", "<!doctype html>"),
        ("<HTML>", "<html>"),
        ("<body class=a>x", "<body>"),
        ("<head>", "<head>"),
    ],
)
def test_a_whole_page_is_not_a_fragment(page: str, tag: str) -> None:
    with pytest.raises(AssertionError, match=tag):
        assert_is_fragment(html(page))


def test_json_is_not_a_fragment() -> None:
    with pytest.raises(AssertionError, match="application/json"):
        assert_is_fragment(httpx.Response(200, json={}))


def test_a_fragment_contains_a_text_and_an_element() -> None:
    row = html('<tr id="r"><td>milk &amp;\n bread</td></tr>')
    assert_fragment_contains(row, "milk & bread")
    assert_fragment_contains(row, "milk &amp;")
    assert_fragment_contains(row, selector="#r td")
    assert_fragment_contains(row, "bread", selector="td")
    with pytest.raises(AssertionError, match="'eggs' is not in"):
        assert_fragment_contains(row, "eggs")
    with pytest.raises(AssertionError, match="no element matches '#x'"):
        assert_fragment_contains(row, selector="#x")
    with pytest.raises(AssertionError, match="'eggs' is not in 'td'"):
        assert_fragment_contains(row, "eggs", selector="td")
    with pytest.raises(AssertionError, match="whole page"):
        assert_fragment_contains("<html>milk", "milk")
    with pytest.raises(TypeError):
        assert_fragment_contains(row)


def test_a_response_triggers_an_event() -> None:
    def response(trigger: str) -> httpx.Response:
        return httpx.Response(204, headers={"HX-Trigger": trigger})

    assert_hx_trigger(response("saved"), "saved")
    assert_hx_trigger(response("saved, shown"), "shown")
    assert_hx_trigger(response('{"saved": {"id": 1}}'), "saved", {"id": 1})
    with pytest.raises(AssertionError, match="has no HX-Trigger"):
        assert_hx_trigger(httpx.Response(204), "saved")
    with pytest.raises(AssertionError, match="does not name 'saved'"):
        assert_hx_trigger(response("shown"), "saved")
    with pytest.raises(AssertionError, match="expected 2"):
        assert_hx_trigger(response('{"saved": 1}'), "saved", 2)


def wired(body: str, *items: Any) -> Starlette:
    async def stream(request: Request) -> Response:
        return EventStream(items)

    return Starlette(routes=[Route("/", lambda request: HTMLResponse(body)), Route("/stream", stream)])


@pytest.mark.parametrize("htmx", [2, 4])
async def test_a_page_with_a_sink_is_wired(htmx: int) -> None:
    made = board(scripts=f'<script src="htmx-{htmx}.0/htmx.js"></script>')
    async with TestClient(made.app) as client:
        await assert_sse_wired(client, "/boards/1", quiet=0.1)


MAIN = '<main hx-ext="sse" sse-connect="/stream" sse-close="bye">%s</main>'


@pytest.mark.parametrize(
    ("body", "items", "problems"),
    [
        (MAIN % '<p sse-swap="a, b">x</p>', [SSEEvent("", event="a")], ["listens to 'b', which /stream does not send"]),
        (
            MAIN % '<p sse-swap="a">x</p>',
            [SSEEvent("", event="a"), SSEEvent("", event="c")],
            ["sends 'c', which nothing"],
        ),
        (MAIN % '<p hx-get="/x" hx-trigger="sse:a, click">x</p>', [], ["listens to 'a'"]),
        (MAIN % "" + '<p sse-swap="a">x</p>', [], ["sse-swap='a' on <p> is not inside a connect element"]),
        (
            MAIN % '<p sse-swap="message">x</p>',
            [SSEEvent('<hx-partial hx-target="#gone" hx-swap="innerHTML">x</hx-partial>')],
            ["a partial for '#gone', which matches nothing"],
        ),
        (
            '<p hx-sse:connect="/stream">x</p><p sse-swap="a">',
            [SSEEvent("")],
            ["sse-swap='a' on <p> is not known to htmx 4"],
        ),
        ('<p hx-sse:connect="/stream">x</p>', [SSEEvent("", event="a")], ["listens to 'message'", "sends 'a'"]),
    ],
)
async def test_mismatches_are_listed(body: str, items: list[SSEEvent], problems: list[str]) -> None:
    async with TestClient(wired(body, *items)) as client:
        with pytest.raises(AssertionError) as caught:
            await assert_sse_wired(client, "/", quiet=0.05)
    for problem in problems:
        assert problem in str(caught.value)
    assert len(str(caught.value).splitlines()) == len(problems) + 1


async def test_events_that_the_page_listens_to_are_awaited() -> None:
    async def late() -> AsyncIterator[SSEEvent]:
        for name in ("a", "b"):
            await anyio.sleep(0.2)
            yield SSEEvent("", event=name)
        await anyio.sleep_forever()

    async def stream(request: Request) -> Response:
        return EventStream(late())

    async def page(request: Request) -> Response:
        return HTMLResponse(MAIN % f'<p sse-swap="{request.path_params["names"]}">x</p>')

    async with TestClient(Starlette(routes=[Route("/stream", stream), Route("/{names}", page)])) as client:
        await assert_sse_wired(client, "/a, b", quiet=0.01, timeout=20)
        with pytest.raises(AssertionError, match="listens to 'c', which /stream does not send"):
            await assert_sse_wired(client, "/a, b, c", quiet=0.01, timeout=1)


async def test_a_page_that_matches_its_stream_passes() -> None:
    body = MAIN % '<p sse-swap="a">x</p><p hx-get="/" hx-trigger="sse:b"></p><p sse-swap="later"></p>'
    async with TestClient(wired(body, SSEEvent("", event="a"), SSEEvent("", event="b"))) as client:
        await assert_sse_wired(client, "/", quiet=0.05, also_sent={"later"})


async def test_a_page_without_a_stream_fails() -> None:
    async with TestClient(wired("<p>x</p>")) as client:
        with pytest.raises(NoStreamError, match="connects to no stream"):
            await assert_sse_wired(client, "/")
