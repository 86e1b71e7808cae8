"""TestClient: httpx against an application in the same event loop, with streams that are read as they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import httpx
from starlette.types import ASGIApp

from .page import LivePage
from .server import ApplicationTransport, exchange_of
from .sse import EventParser, ReceivedEvent, SSETestResult
from .wording import NoStreamError, listed, shortened

__all__ = ["TestClient"]


class TestClient(httpx.AsyncClient):
    """An httpx client of an application, with its lifespan; use it in ``async with``.

    Clients of one application that are open at the same time share its lifespan, and each has its own cookies: they
    are different users.

    Args:
        app: The application.
        base_url: The address that the application takes itself to be at.
        raise_server_exceptions: Whether what the application raises is raised in the test.
        root_path: The path that the application is mounted below.
        client: The client's address.
        **options: What else ``httpx.AsyncClient`` takes, such as ``headers``, ``cookies`` or ``follow_redirects``.
    """

    __test__ = False

    def __init__(
        self,
        app: ASGIApp,
        *,
        base_url: str = "http://testserver",
        raise_server_exceptions: bool = True,
        root_path: str = "",
        client: tuple[str, int] = ("testclient", 50000),
        **options: Any,
    ) -> None:
        self.app = app
        self._application = ApplicationTransport(
            app, raise_server_exceptions=raise_server_exceptions, root_path=root_path, client=client
        )
        self._pages: list[LivePage] = []
        super().__init__(transport=self._application, base_url=base_url, **options)

    async def aclose(self) -> None:
        """Close the pages, disconnect what is open, and end the application's lifespan."""
        await self.__aexit__(None, None, None)

    async def __aexit__(self, *exc_info: Any) -> None:
        """Close the pages, disconnect what is open, and end the application's lifespan."""
        errors: list[Exception] = []
        with anyio.CancelScope(shield=True):
            while self._pages:
                try:
                    await self._pages.pop().close()
                except Exception as error:  # noqa: BLE001 - raised below, when the rest is closed
                    errors.append(error)
        await super().__aexit__(*exc_info)
        if errors and not any(exc_info):
            raise errors[0]

    async def sse(
        self,
        path: str,
        *,
        max_events: int = 10,
        timeout: float = 5,
        headers: Mapping[str, str] | None = None,
        disconnect_after: float | None = None,
    ) -> SSETestResult:
        """Request a stream, read events, disconnect, and return what came.

        It returns when ``max_events`` have come, when the stream ends, or after ``disconnect_after``.

        Args:
            path: The stream's address.
            max_events: How many events to wait for.
            timeout: Seconds to wait for them; it does not apply where ``disconnect_after`` is given.
            headers: Further request headers, such as ``Last-Event-ID``.
            disconnect_after: Seconds after which to leave, however many events have come.

        Raises:
            TimeoutError: Fewer events came in time; it says how many, and which.
            NoStreamError: The answer is no stream, and no error either.
            Exception: What the application raised.
        """
        reading = _Reading(path, max_events)
        limit = timeout if disconnect_after is None else disconnect_after
        with anyio.move_on_after(limit) as waiting:
            await self._read(reading, headers)
        if waiting.cancelled_caught and (disconnect_after is None or reading.response is None):
            raise TimeoutError(reading.complaint(limit))
        return reading.result()

    async def _read(self, reading: _Reading, headers: Mapping[str, str] | None) -> None:
        request = {"Accept": "text/event-stream", "Accept-Encoding": "identity", **(headers or {})}
        async with self.stream("GET", reading.path, headers=request, timeout=None, follow_redirects=True) as response:
            reading.response = response
            if not is_stream(response):
                reading.body = (await response.aread()).decode("utf-8", "replace")
                if response.is_success and response.status_code != 204:
                    raise NoStreamError(
                        f"GET {reading.path} is no event stream but {response.headers.get('content-type')!r}: "
                        f"{shortened(reading.body)}"
                    )
                return
            await reading.read()

    async def live(self, path: str, *, htmx: int | None = None, timeout: float = 5) -> LivePage:
        """Load a page and connect its streams, as htmx does in a browser; the page is closed with the client.

        Args:
            path: The page's address.
            htmx: The version of htmx, 2 or 4; ``None``: as the page's scripts and attributes say.
            timeout: Seconds that loading and connecting may take.

        Raises:
            NoStreamError: The page connects to no stream.
            AssertionError: The page or its stream cannot be had; it says which, and how it was answered.
            TimeoutError: It took too long.
        """
        page = LivePage(self, path, htmx)
        self._pages.append(page)
        with anyio.move_on_after(timeout) as waiting:
            await page.load()
        if waiting.cancelled_caught:
            raise TimeoutError(f"the page {path} was not loaded and connected within {timeout:g} s")
        return page

    def start_soon(self, function: Any) -> None:
        """Run a function as a task that belongs to the client's application; it must not raise."""
        if self._application.server is None:
            raise RuntimeError("the application does not run: use the client as a context manager, in `async with`")
        self._application.server.start_soon(function)


def is_stream(response: httpx.Response) -> bool:
    """Return whether a response is an event stream."""
    content_type: str = response.headers.get("content-type", "")
    return content_type.partition(";")[0].strip().lower() == "text/event-stream"


class _Reading:
    def __init__(self, path: str, wanted: int) -> None:
        self.path = path
        self.wanted = wanted
        self.response: httpx.Response | None = None
        self.body = ""
        self.parser = EventParser()
        self.events: list[ReceivedEvent] = []

    async def read(self) -> None:
        assert self.response is not None  # noqa: S101 - for type checkers
        if self.wanted < 1:
            return
        exchange = exchange_of(self.response)
        while (chunk := await exchange.read()) is not None:
            for event in self.parser.feed(chunk):
                self.events.append(event)
                if len(self.events) == self.wanted:
                    return

    def complaint(self, seconds: float) -> str:
        if self.response is None:
            return f"GET {self.path} was not answered within {seconds:g} s; {self.wanted} events were wanted"
        return (
            f"GET {self.path}: got {len(self.events)} of {self.wanted} wanted events within {seconds:g} s "
            f"({self.parser.heartbeats} heartbeats){listed(self.events)}"
        )

    def result(self) -> SSETestResult:
        assert self.response is not None  # noqa: S101 - for type checkers
        return SSETestResult(
            events=self.events,
            heartbeats=self.parser.heartbeats,
            status=self.response.status_code,
            headers=self.response.headers,
            last_event_id=self.parser.last_event_id,
            retry=self.parser.retry,
            comments=tuple(self.parser.comments),
            body=self.body,
        )
