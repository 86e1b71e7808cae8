"""Attacks on whoever opens the address of a stream as a page.

What an attacker would gain: the HTML that they have written into a stream, or into an address, runs as a document of
the site, because the browser guesses the type from the content.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from starlette_reactive import DependencyIndex, EventStream, Reactive, ReactiveBus, reactive_stream

from ..pages.support import SECRET, request, view
from ..support import Connection, connect, environment

ENV = environment(page='<p id="title">{% block title %}{% endblock %}</p><div {{ live() }}></div>')


@pytest.fixture
def app() -> Starlette:
    reactive = Reactive(ENV, secret=SECRET)

    @reactive.page("page.html", scope="all")
    async def page(request: Request) -> dict[str, Any]:
        return {}

    async def events(request: Request) -> EventStream:
        return EventStream(["<script>"], headers={"X-Content-Type-Options": "sniff", "X-More": "1"})

    routes = [Route("/", page), Route("/events", events)]
    return Starlette(routes=[*reactive.routes, *routes])


def headers_of(connection: Connection) -> dict[str, str]:
    return dict(httpx.Headers(connection.start["headers"]))


async def test_the_stream_of_a_page_is_not_sniffed(app: Starlette) -> None:
    async with view(app, "/") as connection:
        assert headers_of(connection)["x-content-type-options"] == "nosniff"


async def test_a_stream_of_blocks_is_not_sniffed() -> None:
    stream = reactive_stream(ReactiveBus(), scope="s", index=DependencyIndex(), context_builder=lambda: {"title": ""})
    async with connect(stream) as connection:
        assert headers_of(connection)["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_stream_of_a_generator_is_not_sniffed_whatever_its_headers_are(app: Starlette, method: str) -> None:
    answer = await request(app, "/events", method=method)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (answer.headers.get_list("x-content-type-options"), answer.headers["x-more"]) == (["nosniff"], "1")


@pytest.mark.parametrize("query", ["", "?page=", "?page=<script>alert(1)</script>"])
async def test_the_refusal_of_a_forged_address_is_not_sniffed(app: Starlette, query: str) -> None:
    answer = await request(app, f"/_reactive/live{query}")
    assert (answer.status, answer.headers["content-type"]) == (403, "text/plain; charset=utf-8")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "script" not in answer.text
