"""Connection: one connect element of a page, and the stream that it reads."""

from __future__ import annotations

from collections import deque
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Protocol

import anyio
import httpx

from .dom import Element, attribute
from .server import Exchange, exchange_of
from .sse import EventParser, ReceivedEvent
from .wording import NoStreamError, shortened

__all__ = ["KEPT", "Connection", "Reader"]

KEPT = 100
"""How many events are remembered."""


class Reader(Protocol):
    """The page, as far as a connection knows it."""

    def request_headers(self, element: Element) -> dict[str, str]:
        """Return what htmx sends when an element connects."""

    def build_request(self, address: str, headers: dict[str, str]) -> httpx.Request:
        """Return a request for an address of the page's markup, with the page's cookies."""

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return when its answer begins."""

    def start_soon(self, connection: Connection) -> None:
        """Let a connection read."""

    def take(self, connection: Connection, event: ReceivedEvent) -> None:
        """Change the document as an event says."""

    def fail(self, error: Exception) -> None:
        """Note what is to be raised in the test."""

    def notify(self) -> None:
        """Wake who waits for the page."""


@dataclass(eq=False)
class Connection:
    """One connect element of a page and its stream."""

    page: Reader
    element: Element
    address: str
    closed: bool = False
    state: str = "not connected"
    last_event_id: str = ""
    taken: deque[ReceivedEvent] = field(default_factory=lambda: deque(maxlen=KEPT))
    _exchange: Exchange | None = None
    _scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    _answered: anyio.Event = field(default_factory=anyio.Event)
    _done: anyio.Event | None = None
    _refusal: Exception | None = None

    def close_name(self) -> str | None:
        """Return the name of the event that closes the connection."""
        return attribute(self.element, "sse-close", "hx-sse:close")

    async def open(self) -> None:
        """Connect, and return when the stream begins.

        Raises:
            Exception: The stream cannot be had.
        """
        self._scope, self._answered, self._done, self._refusal = anyio.CancelScope(), anyio.Event(), anyio.Event(), None
        self.state = "connecting"
        self.page.start_soon(self)
        await self._answered.wait()
        if self._refusal is not None:
            raise self._refusal

    async def open_quietly(self) -> None:
        """Connect; what goes wrong is raised by the page's next expectation."""
        try:
            await self.open()
        except Exception as error:  # noqa: BLE001 - see above
            self.page.fail(error)
            self.page.notify()

    def drop(self) -> None:
        """Lose the connection."""
        self.state = "closed for good" if self.closed else "offline"
        if self._exchange is not None:
            self._exchange.hang_up()
        self._scope.cancel()

    async def finished(self) -> None:
        """Wait until nothing is left of the connection."""
        if self._done is not None:
            await self._done.wait()

    def names(self) -> set[str]:
        """Return the names of the events that have come, as far as they are remembered."""
        return {event.event or "message" for event in self.taken}

    def still_wants(self, names: Set[str]) -> bool:
        """Tell whether events of some of these names have not come and still may."""
        return self._done is not None and not self._done.is_set() and not names <= self.names()

    async def read(self) -> None:
        """Connect and read until the end; a task of its own."""
        assert self._done is not None  # noqa: S101 - for type checkers
        try:
            with self._scope:
                await self._request()
        except Exception as error:  # noqa: BLE001 - it is raised in the test
            if self._answered.is_set():
                self.state = f"ended by {type(error).__name__}"
                self.page.fail(error)
            else:
                self._refusal = error
        finally:
            self._exchange = None
            self._answered.set()
            self._done.set()
            self.page.notify()

    async def _request(self) -> None:
        headers = self.page.request_headers(self.element)
        if self.last_event_id:
            headers["Last-Event-ID"] = self.last_event_id
        response = await self.page.send(self.page.build_request(self.address, headers))
        try:
            await self._check(response)
            self._exchange = exchange_of(response)
            self.state = "connected"
            self._answered.set()
            await self._read(self._exchange)
        finally:
            await response.aclose()

    async def _check(self, response: httpx.Response) -> None:
        content_type = response.headers.get("content-type", "")
        if response.status_code == 200 and content_type.startswith("text/event-stream"):
            return
        self.state = f"refused with {response.status_code}"
        body = (await response.aread()).decode("utf-8", "replace")
        raise NoStreamError(
            f"the stream {self.address} was answered with {response.status_code} and {content_type!r}: "
            f"{shortened(body)}"
        )

    async def _read(self, exchange: Exchange) -> None:
        parser = EventParser(self.last_event_id)
        while not self.closed:
            chunk = await exchange.read()
            if chunk is None:
                self.state = "ended by the application"
                return
            for event in parser.feed(chunk):
                if not self.closed:
                    self.page.take(self, event)
            self.last_event_id = parser.last_event_id
            self.page.notify()
        self.state = "closed for good"
