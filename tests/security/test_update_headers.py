"""Attacks through the headers of a stream's request, which its updates carry.

What an attacker would gain: middleware that waits for a body that never comes, or updates that see other headers than
the page itself does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from starlette_reactive import ChangeEvent, Reactive

from ..pages.support import SECRET, request, stream
from ..support import environment

ENV = environment(page='<p id="title">{% block title %}{% endblock %}</p><div {{ live() }}></div>')
OF_EVERY_UPDATE = {"host": "test", "accept": "text/html"}

HOP_BY_HOP = {
    "Connection": "keep-alive, Upgrade",
    "HTTP2-Settings": "AAMAAABkAAQAAP__",
    "Keep-Alive": "timeout=5",
    "Proxy-Authenticate": "Basic",
    "Proxy-Authorization": "Basic dXNlcjpwYXNzd29yZA==",
    "Proxy-Connection": "keep-alive",
    "TE": "trailers",
    "Trailer": "Expires",
    "Trailers": "Expires",
    "Transfer-Encoding": "chunked",
    "Upgrade": "websocket",
}
OF_A_BODY = {
    "Content-Digest": "sha-256=:x:",
    "Content-Encoding": "gzip",
    "Content-Language": "de",
    "Content-Length": "1000000",
    "Content-Location": "/other",
    "Content-MD5": "x",
    "Content-Range": "bytes 0-1/2",
    "Content-Type": "application/json",
    "Expect": "100-continue",
}


async def headers_of_an_update(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of an update, for a stream that is opened with some headers."""
    reactive = Reactive(ENV, secret=SECRET)
    seen: list[dict[str, str]] = []

    @reactive.page("page.html", scope="all")
    async def page(request: Request) -> dict[str, Any]:
        seen.append(dict(request.headers))
        return {}

    app = Starlette(routes=[*reactive.routes, Route("/", page)])
    async with stream(app, (await request(app, "/")).url, headers=headers) as connection:
        await reactive.bus.emit(ChangeEvent("all", {"*"}))
        await connection.next_update()
    return seen[-1]


@pytest.mark.parametrize("name", HOP_BY_HOP)
async def test_what_concerns_the_streams_connection_is_not_carried(name: str) -> None:
    """Credentials for a proxy would reach the application, and middleware might upgrade or keep a connection."""
    assert await headers_of_an_update({name: HOP_BY_HOP[name]}) == OF_EVERY_UPDATE


@pytest.mark.parametrize("name", OF_A_BODY)
async def test_what_describes_a_body_is_not_carried(name: str) -> None:
    """An update has no body. Middleware would wait for one, reject its encoding, or answer ``100 Continue``."""
    assert await headers_of_an_update({name: OF_A_BODY[name]}) == OF_EVERY_UPDATE


@pytest.mark.parametrize("name", ["Datastar-Request", "Last-Event-ID", "Reactive-Origin"])
async def test_what_only_the_request_of_a_stream_has_is_not_carried(name: str) -> None:
    """The application would take the update for a request of a script, and equal tabs would differ."""
    assert await headers_of_an_update({name: "x"}) == OF_EVERY_UPDATE


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Restricted", "Cookie", "Authorization"])
async def test_a_viewer_cannot_remove_a_header_that_a_proxy_adds(name: str) -> None:
    """The Connection header can name any header, and some proxies pass it on beside what they add themselves.

    If updates lacked what it names, a viewer could remove the header by which a proxy marks strangers, and updates
    would show what the page itself refuses. Who names a header of their own gains nothing.
    """
    found = await headers_of_an_update({"Connection": f"close, {name}", name: "from the proxy"})
    assert found == {**OF_EVERY_UPDATE, name.lower(): "from the proxy"}
