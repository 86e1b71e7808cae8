"""Browsers that keep cookies, and what attackers look for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.types import ASGIApp

from ..pages.support import Seen, stream
from ..support import Connection

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
            for cookie in answer.headers.get_list("set-cookie"):
                self._keep(cookie)
            return Seen(answer.text, answer.status_code, answer.headers)

    def _keep(self, cookie: str) -> None:
        name, _, rest = cookie.partition("=")
        value, _, attributes = rest.partition(";")
        if "01 Jan 1970" in attributes:
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value

    @asynccontextmanager
    async def stream(self, url: str, **options: Any) -> AsyncIterator[Connection]:
        """Open a stream by its live URL."""
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        headers |= options.pop("headers", {})
        async with stream(self._app, url, headers=headers, address=self._address, **options) as connection:
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
