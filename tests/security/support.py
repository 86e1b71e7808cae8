"""Browsers that keep cookies, and what attackers look for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..pages.support import Seen, stream
from ..support import Connection, eventually

CONFIDENTIAL = "confidential"


class Browser:
    """Requests pages and opens their streams with the cookies that it was sent.

    Args:
        app: The application.
        address: The browser's address.
    """

    def __init__(self, app: ASGIApp, address: str = "viewer") -> None:
        self._app = app
        self._address = address
        self.cookies: dict[str, str] = {}

    async def request(self, path: str, *, method: str = "GET", **options: Any) -> Seen:
        """Send a request, and keep the cookies of the answer."""
        transport = httpx.ASGITransport(self._app, client=(self._address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://test", cookies=self.cookies) as client:
            answer = await client.request(method, path, **options)
            self.keep(answer.headers.raw)
            return Seen(answer.text, answer.status_code, answer.headers)

    def keep(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep the cookies that an answer sets."""
        for cookie in (value.decode() for name, value in headers if name == b"set-cookie"):
            name, _, rest = cookie.partition("=")
            value, _, attributes = rest.partition(";")
            if "01 Jan 1970" in attributes or "Max-Age=0" in attributes:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value

    @asynccontextmanager
    async def stream(self, url: str, **options: Any) -> AsyncIterator[Connection]:
        """Open a stream by its live URL."""
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        headers |= options.pop("headers", {})

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            async def keep_cookies(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self.keep(message["headers"])
                await send(message)

            await self._app(scope, receive, keep_cookies)

        async with stream(app, url, headers=headers, address=self._address, **options) as connection:
            connection.come_back = lambda last_id: self.stream(url, headers={"last-event-id": last_id}, **options)
            yield connection

    @asynccontextmanager
    async def view(self, path: str, **options: Any) -> AsyncIterator[Connection]:
        """Visit a page and open its stream."""
        seen = await self.request(path)
        assert seen.status == 200, seen.text
        async with self.stream(seen.url, **options) as connection:
            yield connection


def sent(connection: Connection) -> str:
    """Return everything that a stream has sent."""
    return b"".join(connection.chunks).decode()


def is_closed(connection: Connection) -> bool:
    """Return whether a stream was ended for good."""
    return connection.complete and "reactive-close" in sent(connection)


class Tab:
    """A tab whose stream comes back when it restarts, with the cookies that its browser has then.

    Args:
        browser: The browser.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._has_left = False
        self.streams: list[Connection] = []

    @property
    def sent(self) -> str:
        """Everything that the streams have sent."""
        return "".join(map(sent, self.streams))

    @property
    def is_closed(self) -> bool:
        """Whether the tab was told not to come back."""
        return bool(self.streams) and is_closed(self.streams[-1])

    @property
    def is_admitted(self) -> bool:
        """Whether the newest stream has begun."""
        return bool(self.streams) and bool(self.streams[-1].chunks)

    async def run(self, url: str) -> None:
        """Connect again and again."""
        headers: dict[str, str] = {}
        while not (self.is_closed or self._has_left):
            async with self._browser.stream(url, headers=headers, wait=False) as connection:
                self.streams.append(connection)
                if self._has_left:
                    self.leave()
                await connection.ended.wait()
            if connection.start["status"] != 200:
                return
            last_ids = [frame.id for frame in connection.frames if frame.id is not None]
            headers = {"last-event-id": last_ids[-1]} if last_ids else headers

    def leave(self) -> None:
        """Disconnect for good, as a browser does whose tab is closed."""
        self._has_left = True
        for connection in self.streams[-1:]:
            connection.accepts.set()
            connection.disconnect.set()


@asynccontextmanager
async def open_tab(browser: Browser, path: str) -> AsyncIterator[Tab]:
    """Visit a page, and keep its stream open as a browser does."""
    seen = await browser.request(path)
    assert seen.status == 200, seen.text
    tab = Tab(browser)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tab.run, seen.url)
        await eventually(lambda: tab.is_admitted)
        yield tab
        tab.leave()
