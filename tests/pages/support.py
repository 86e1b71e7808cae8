"""A minimal browser for tests: it requests pages and opens their streams."""

from __future__ import annotations

import html
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import anyio
import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.support import Connection, connect

SECRET = "a secret for tests"

PAGE = """<!doctype html><title>{{ title }}</title>
<body {{ live_origin() }}>
<h1 id="title">{% block title %}{{ title }}{% endblock %}</h1>
<ul id="list">{% block list %}{% for item in items %}<li>{{ item }}</li>{% endfor %}{% endblock %}</ul>
<div {{ live() }}></div>
"""


@dataclass
class Seen:
    """A response as a browser received it."""

    text: str
    status: int
    headers: httpx.Headers = field(default_factory=httpx.Headers)

    @property
    def url(self) -> str:
        """The live URL in the page."""
        found = re.search(r"""(?: sse-connect="| src="|@get\(')([^"']+[?]page=[^"']+)""", self.text)
        assert found, self.text
        return html.unescape(found[1])

    @property
    def cookies(self) -> dict[str, str]:
        """The headers of a later request of the same browser, which sends back the cookies that the answer has set."""
        pairs = [value.partition(";")[0] for value in self.headers.get_list("set-cookie")]
        return {"Cookie": "; ".join(pairs)} if pairs else {}

    @property
    def origin(self) -> str:
        """The mark of the page's own requests."""
        found = re.search(r'(?: data-reactive-sink="|&quot;Reactive-Origin&quot;: &quot;)([^"&]+)', self.text)
        assert found, self.text
        return found[1]


async def request(app: ASGIApp, path: str, *, method: str = "GET", base: str = "http://test", **options: Any) -> Seen:
    """Send one request."""
    transport = httpx.ASGITransport(app, root_path=options.pop("root_path", ""))
    async with httpx.AsyncClient(transport=transport, base_url=base) as client:
        answer = await client.request(method, path, **options)
        return Seen(answer.text, answer.status_code, answer.headers)


class Clock:
    """The time that signatures are made and checked at."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def stream(
    app: ASGIApp,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    root_path: str = "",
    host: str = "test",
    address: str = "viewer",
    wait: bool = True,
) -> AsyncIterator[Connection]:
    """Open a stream by its live URL, and wait for its first bytes."""
    path, _, query = url.partition("?")

    async def requested(scope: Scope, receive: Receive, send: Send) -> None:
        more = {
            "path": unquote(path),
            "raw_path": path.encode(),
            "root_path": root_path,
            "scheme": "http",
            "http_version": "1.1",
            "server": ("test", 80),
            "client": (address, 1),
        }
        await app({**scope, **more}, receive, send)

    async with connect(requested, query=query, headers={"host": host, **(headers or {})}, wait=wait) as connection:

        def come_back(last_id: str) -> AbstractAsyncContextManager[Connection]:
            again = {**(headers or {}), "last-event-id": last_id}
            return stream(app, url, headers=again, root_path=root_path, host=host, address=address)

        connection.come_back = come_back
        yield connection


@asynccontextmanager
async def view(
    app: ASGIApp, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
) -> AsyncIterator[Connection]:
    """Request a page and open its stream."""
    seen = await request(app, path, headers=headers, **options)
    assert seen.status == 200, seen.text
    assert seen.headers["content-type"] == "text/html; charset=utf-8"
    async with stream(app, seen.url, headers=headers, root_path=options.get("root_path", "")) as connection:
        assert connection.start["status"] == 200
        yield connection


async def quiet(connection: Connection, seconds: float = 0.1) -> None:
    """Assert that no update arrives."""
    before = len(connection.updates)
    await anyio.sleep(seconds)
    assert [frame.data for frame in connection.updates[before:]] == []
