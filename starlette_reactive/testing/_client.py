"""TestClient: an HTTP client of an application in the same event loop, which reads streams as they arrive."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from typing import Any, Self

import anyio
from starlette.types import ASGIApp

from .._pages.shared_runs import Difference, watch_differences
from .._streams.net import Misjudged, watch_misjudged
from ._failures import NoStreamError, list_events, quote
from ._http_library import httpx
from ._live_page import LivePage
from ._server import NOT_RUNNING
from ._sse import EventParser, ReceivedEvent, SSETestResult
from ._tab import Tab
from ._transport import ApplicationTransport, cycle_of, decoder_of

__all__ = ["TestClient"]


class TestClient(httpx.AsyncClient):
    """An httpx2 client (or an httpx client, where httpx2 is not installed) of an application, with its lifespan.

    Each update of a page with ``share=`` is audited. If two viewers with an equal key are shown different things, an
    ``AssertionError`` is raised when the client is closed.

    Use it in ``async with``. Clients of one application that are open at the same time share its lifespan. Each has
    its own cookies, so each is a different user.

    Args:
        app: The application.
        base_url: The address at which the application appears to be.
        raise_server_exceptions: Whether exceptions of the application are raised in the test.
        root_path: The path at which the application is mounted.
        client: The client's address.
        **options: Other parameters of ``AsyncClient``, such as ``headers``, ``cookies`` or ``follow_redirects``.
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
        self._audits = ExitStack()
        self._differences: list[Difference] = []
        self._misjudged: list[Misjudged] = []
        super().__init__(transport=self._application, base_url=base_url, **options)

    async def __aenter__(self) -> Self:
        """Run the application's lifespan, and audit what is shared, and what is tracked."""
        self._differences = self._audits.enter_context(watch_differences())
        self._misjudged = self._audits.enter_context(watch_misjudged())
        return await super().__aenter__()

    async def aclose(self) -> None:
        """Close the pages, disconnect open requests, and shut the application's lifespan down."""
        await self.__aexit__(None, None, None)

    async def __aexit__(self, *exc_info: Any) -> None:
        """Close the pages, disconnect open requests, and shut the application's lifespan down."""
        errors: list[Exception] = []
        with anyio.CancelScope(shield=True):
            while self._pages:
                try:
                    await self._pages.pop().close()
                except Exception as error:  # noqa: BLE001 - raised below, after everything is closed
                    errors.append(error)
        await super().__aexit__(*exc_info)
        self._audits.close()
        if any(exc_info):
            return
        if errors:
            raise errors[0]
        if found := [*self._differences, *self._misjudged]:
            raise AssertionError("\n".join(map(str, found)))

    async def sse(  # type: ignore[override] # httpx2 has another method of this name
        self,
        path: str,
        *,
        max_events: int = 10,
        timeout: float = 5,
        headers: Mapping[str, str] | None = None,
        disconnect_after: float | None = None,
    ) -> SSETestResult:
        """Request a stream, read events, disconnect, and return the result. It replaces the ``sse`` of httpx2.

        It returns after ``max_events`` events, when the stream ends, or after ``disconnect_after`` seconds.

        Args:
            path: The stream's path.
            max_events: How many events to wait for.
            timeout: Seconds to wait for them; ignored if ``disconnect_after`` is given.
            headers: Additional request headers, such as ``Last-Event-ID``.
            disconnect_after: Seconds after which to disconnect and return the events so far.

        Raises:
            TimeoutError: Fewer events arrived in time; the message has their number and the events.
            NoStreamError: The response is neither a stream nor an error.
            Exception: The application raised it.
        """
        reading = _StreamReading(path, max_events)
        limit = timeout if disconnect_after is None else disconnect_after
        with anyio.move_on_after(limit) as waiting:
            await self._read(reading, headers)
        if waiting.cancelled_caught and (disconnect_after is None or reading.response is None):
            raise TimeoutError(reading.timeout_message(limit))
        return reading.result()

    async def _read(self, reading: _StreamReading, headers: Mapping[str, str] | None) -> None:
        request = {"Accept": "text/event-stream", "Accept-Encoding": "gzip", **(headers or {})}
        async with self.stream("GET", reading.path, headers=request, timeout=None, follow_redirects=True) as response:
            reading.response = response
            if not _is_stream(response):
                reading.body = (await response.aread()).decode("utf-8", "replace")
                if response.is_success and response.status_code != 204:
                    raise NoStreamError(
                        f"GET {reading.path} is not an event stream but {response.headers.get('content-type')!r}: "
                        f"{quote(reading.body)}"
                    )
                return
            await reading.read()

    async def live(
        self, path: str, *, htmx: int | None = None, live_script: bool | None = None, timeout: float = 5
    ) -> LivePage:
        """Load a page and connect its streams, as a browser does. The page is closed with the client.

        It returns when the streams have begun to send, so the viewer of a live page has been admitted and counted.

        Args:
            path: The page's path.
            htmx: The version of htmx, 2 or 4. Defaults to the version that the page's scripts and attributes indicate.
            live_script: Whether the page loads the live script. Defaults to whether it has the tag that
                ``{{ live_scripts() }}`` writes; pages whose own bundle contains the script need ``True``.
            timeout: Seconds in which the page must be loaded and connected.

        Raises:
            NoStreamError: The page connects to no stream.
            AssertionError: The page or its stream was refused; the message has the path and the response.
            TimeoutError: The page was not loaded and connected in time.
        """
        tab = Tab(self, self._start_soon, path, htmx, live_script=live_script)
        page = LivePage(tab)
        self._pages.append(page)
        with anyio.move_on_after(timeout) as waiting:
            await tab.load()
        if waiting.cancelled_caught:
            raise TimeoutError(f"the page {path} was not loaded and connected within {timeout:g} s")
        return page

    def _start_soon(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._application.server is None:
            raise RuntimeError(NOT_RUNNING)
        self._application.server.start_soon(function)


def _is_stream(response: httpx.Response) -> bool:
    content_type: str = response.headers.get("content-type", "")
    return content_type.partition(";")[0].strip().lower() == "text/event-stream"


class _StreamReading:
    """The events read so far by a call of ``sse``."""

    def __init__(self, path: str, max_events: int) -> None:
        self.path = path
        self.max_events = max_events
        self.response: httpx.Response | None = None
        self.body = ""
        self.parser = EventParser()
        self.events: list[ReceivedEvent] = []

    async def read(self) -> None:
        assert self.response is not None  # noqa: S101 - for type checkers
        if self.max_events < 1:
            return
        cycle, decode = cycle_of(self.response), decoder_of(self.response)
        while (chunk := await cycle.read()) is not None:
            for event in self.parser.feed(decode(chunk)):
                self.events.append(event)
                if len(self.events) == self.max_events:
                    return

    def timeout_message(self, seconds: float) -> str:
        if self.response is None:
            return f"GET {self.path} was not answered within {seconds:g} s; expected {self.max_events} events"
        return (
            f"GET {self.path}: got {len(self.events)} of {self.max_events} expected events within {seconds:g} s "
            f"({self.parser.heartbeats} heartbeats){list_events(self.events)}"
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
