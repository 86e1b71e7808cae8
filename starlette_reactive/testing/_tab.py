"""Tab: an open page, its streams, and what their events change, as htmx and the live script do it in a browser tab."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import anyio

from . import _htmx2, _htmx4
from ._dom import Document, Element, attribute, contains, elements, parse_document
from ._failures import NoStreamError, quote
from ._http_library import httpx
from ._live_script import apply_update, is_sink, loads_live_script, parse_update, stream_url
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
        live_script: Whether the page loads the live script. Defaults to whether it has the tag of ``live_scripts()``.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        start_soon: StartSoon,
        path: str,
        htmx: int | None,
        *,
        live_script: bool | None = None,
    ) -> None:
        self.start_soon = start_soon
        self.path = path
        self.htmx = htmx
        self._is_live_script_known = live_script is not None
        self.live_script: bool = bool(live_script)
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
        if not self._is_live_script_known:
            self.live_script = loads_live_script(self.document)
        self.htmx = self.htmx or htmx_version(self.document, live_script=self.live_script)
        for stream in list(self._match_streams()):
            await stream.open()
        if not self.streams:
            raise NoStreamError(f"the page {self.path} connects to no stream: {explain_no_stream(self.document)}")

    def _match_streams(self, *, morphed: bool = False) -> Iterator[PageStream]:
        """Match streams and listeners with the current document; yield the streams to open."""
        known = {id(each.element) for each in self.streams}
        orphans = [each for each in self.streams if not contains(self.document, each.element)]
        for element in elements(self.document):
            address = stream_address(element, self.htmx, live_script=self.live_script)
            if address and id(element) not in known:
                kept = next((each for each in orphans if morphed and each.address == address), None)
                if kept is not None:
                    orphans.remove(kept)
                    kept.element = element
                else:
                    by_live_script = self.live_script and is_sink(element)
                    self.streams.append(PageStream(self, element, address, by_live_script))
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
                if stream is not None and not stream.by_live_script:
                    self._listeners.append((element, stream))

    # What the streams call

    async def connect(self, stream: PageStream) -> httpx.Response:
        """Request a stream as its client does; return when the response starts."""
        address, known = stream.address, ""
        if stream.by_live_script:  # it opens an EventSource, which sends ids that came since then
            address, known = stream_url(stream.address, stream.opened_at), stream.opened_at
        headers = {**self._request_headers(stream), "Accept-Encoding": "gzip"}
        if stream.last_event_id != known:
            headers["Last-Event-ID"] = stream.last_event_id
        request = self._client.build_request("GET", self._url.join(address), headers=headers, timeout=None)
        return await self._client.send(request, stream=True, follow_redirects=True)

    def _request_headers(self, stream: PageStream) -> dict[str, str]:
        element = stream.element
        if stream.by_live_script or self.htmx == 2:
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
            stream.end_reason = event.data if stream.by_live_script else ""
        if stream.by_live_script:
            return event.event is None and self._update(event)
        if self.htmx != 2:
            return event.event is None and _htmx4.swap_event(self.document, stream.element, event.data)
        for element, listened in list(self._listeners):
            names = [each.strip() for each in (attribute(element, "sse-swap") or "").split(",")]
            if listened is stream and name in names and contains(self.document, element):
                _htmx2.swap_event(self.document, element, event.data)
        return False

    def _update(self, event: ReceivedEvent) -> bool:
        update = parse_update(event.data)
        apply_update(self.document, update)
        return update.swap != "append"

    def fail(self, error: Exception) -> None:
        """Keep an error to raise in the test."""
        self._errors.append(error)

    def notify(self) -> None:
        """Wake the tasks that wait for a change."""
        self._listeners = [each for each in self._listeners if contains(self.document, each[0])]
        self._show_state()
        self._changed.set()
        self._changed = anyio.Event()

    def _show_state(self) -> None:
        """Say in the document how the page stands, as the live script does once it is connected."""
        root = next((each for each in self.document.children or () if isinstance(each, Element)), None)
        if self.live_script and root is not None and (self.state == "connected" or "data-live" in root.attrs):
            root.attrs["data-live"] = self.state

    # What the page calls

    @property
    def state(self) -> str:
        """How the page's streams stand: ``connected``, ``reconnecting`` or ``ended``."""
        if self.streams and all(each.closed for each in self.streams):
            return "ended"
        return "connected" if all(each.is_open or each.closed for each in self.streams) else "reconnecting"

    @property
    def end_reason(self) -> str | None:
        """Why a stream of the live script ended for good."""
        return next((each.end_reason for each in self.streams if each.end_reason), None)

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
