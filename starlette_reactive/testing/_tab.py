"""Tab: an open page, its streams, and the swaps that their events cause, as htmx does them in a browser tab."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import anyio

from . import _htmx2, _htmx4
from ._dom import Document, Element, attribute, contains, elements, parse_document
from ._failures import NoStreamError, quote
from ._http_library import httpx
from ._page_markup import explain_no_stream, htmx_version, parse_hx_headers, source_header, stream_address
from ._page_stream import MAX_EVENTS, PageStream, enclosing_stream
from ._sse import ReceivedEvent
from ._swaps import SwapError

__all__ = ["StartSoon", "Tab"]

StartSoon = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


class Tab:
    """An open page.

    Args:
        client: The client that sends the requests.
        start_soon: Runs a function as a background task of the client.
        path: The page's path.
        htmx: The version of htmx. Defaults to the version that the page's scripts and attributes indicate.
    """

    def __init__(self, client: httpx.AsyncClient, start_soon: StartSoon, path: str, htmx: int | None) -> None:
        self.start_soon = start_soon
        self.path = path
        self.htmx = htmx
        self.document: Document = parse_document("")
        self.streams: list[PageStream] = []
        self.events: deque[ReceivedEvent] = deque(maxlen=MAX_EVENTS)
        self.received_count: int = 0
        self._client = client
        self._url = httpx.URL(path)
        self._listeners: list[tuple[Element, PageStream]] = []
        self._changed = anyio.Event()
        self._errors: list[Exception] = []

    async def load(self) -> None:
        """Load the page and connect its streams.

        Raises:
            NoStreamError: The page connects to no stream.
            AssertionError: The response has an error status.
        """
        response = await self._client.get(self.path, headers={"Accept": "text/html"}, follow_redirects=True)
        if not response.is_success:
            raise AssertionError(
                f"the page {self.path} was answered with {response.status_code}: {quote(response.text)}"
            )
        self._url = response.url
        self.document = parse_document(response.text)
        self.htmx = self.htmx or htmx_version(self.document)
        for stream in list(self._match_streams()):
            await stream.open()
        if not self.streams:
            raise NoStreamError(f"the page {self.path} connects to no stream: {explain_no_stream(self.document)}")

    def _match_streams(self, *, morphed: bool = False) -> Iterator[PageStream]:
        """Match streams and listeners with the current document; yield the streams to open."""
        known = {id(each.element) for each in self.streams}
        orphans = [each for each in self.streams if not contains(self.document, each.element)]
        for element in elements(self.document):
            address = stream_address(element, self.htmx)
            if address and id(element) not in known:
                kept = next((each for each in orphans if morphed and each.address == address), None)
                if kept is not None:
                    orphans.remove(kept)
                    kept.element = element
                else:
                    self.streams.append(PageStream(self, element, address))
                    yield self.streams[-1]
        for stream in orphans:
            stream.closed = True
            stream.disconnect()
        self._match_listeners()

    def _match_listeners(self) -> None:
        if self.htmx != 2:
            return
        listening = {id(element) for element, _ in self._listeners}
        for element in elements(self.document):
            if attribute(element, "sse-swap") and id(element) not in listening:
                stream = enclosing_stream(element, self.streams)
                if stream is not None:
                    self._listeners.append((element, stream))

    # What the streams call

    async def connect(self, stream: PageStream) -> httpx.Response:
        """Request a stream as htmx does; return when the response starts."""
        headers = {**self._request_headers(stream.element), "Accept-Encoding": "identity"}
        if stream.last_event_id:
            headers["Last-Event-ID"] = stream.last_event_id
        request = self._client.build_request("GET", self._url.join(stream.address), headers=headers, timeout=None)
        return await self._client.send(request, stream=True, follow_redirects=True)

    def _request_headers(self, element: Element) -> dict[str, str]:
        if self.htmx == 2:
            return {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
        target = _htmx4.inherited_attribute(self.document, element, "hx-target")
        full = target == "body" or _htmx4.inherited_attribute(self.document, element, "hx-select")
        return {
            "Accept": "text/html, text/event-stream",
            "HX-Request": "true",
            "HX-Request-Type": "full" if full else "partial",
            "HX-Source": source_header(element),
            "HX-Current-URL": str(self._url),
            **parse_hx_headers(_htmx4.inherited_attribute(self.document, element, "hx-headers")),
        }

    def apply(self, stream: PageStream, event: ReceivedEvent) -> None:
        """Apply an event to the document, and connect the streams that arrive with it."""
        self.events.append(event)
        self.received_count += 1
        try:
            morphed = self._swap(stream, event)
        except (SwapError, ValueError) as error:
            self._errors.append(error)
            return
        for added in list(self._match_streams(morphed=morphed)):
            self.start_soon(added.open_in_background)

    def _swap(self, stream: PageStream, event: ReceivedEvent) -> bool:
        name = event.event or "message"
        if name == stream.close_name():
            stream.closed = True
        if self.htmx != 2:
            return event.event is None and _htmx4.swap_event(self.document, stream.element, event.data)
        for element, listened in list(self._listeners):
            names = [each.strip() for each in (attribute(element, "sse-swap") or "").split(",")]
            if listened is stream and name in names and contains(self.document, element):
                _htmx2.swap_event(self.document, element, event.data)
        return False

    def fail(self, error: Exception) -> None:
        """Keep an error to raise in the test."""
        self._errors.append(error)

    def notify(self) -> None:
        """Wake the tasks that wait for a change."""
        self._listeners = [each for each in self._listeners if contains(self.document, each[0])]
        self._changed.set()
        self._changed = anyio.Event()

    # What the page calls

    async def wait_for_change(self) -> None:
        """Wait until something happens in a stream.

        Raises:
            Exception: The first error that was not raised before.
        """
        self.raise_error()
        await self._changed.wait()

    def raise_error(self) -> None:
        """Raise the first error that was not raised before, if any."""
        if self._errors:
            raise self._errors.pop(0)

    def disconnect(self) -> None:
        """Disconnect all streams."""
        for stream in self.streams:
            stream.disconnect()

    async def wait_closed(self) -> None:
        """Wait until the requests of all streams have ended."""
        for stream in self.streams:
            await stream.wait_closed()
