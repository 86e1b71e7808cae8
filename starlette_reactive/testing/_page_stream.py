"""PageStream: one connect element of a page and the stream that it reads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Set
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio

from .._clients import CLOSE_EVENT, RESTART_EVENT
from ._dom import Element, attribute, self_and_ancestors
from ._failures import NoStreamError, quote
from ._http_library import httpx
from ._live_script import ID_EVENT
from ._request_cycle import RequestResponseCycle
from ._sse import EventParser, ReceivedEvent
from ._transport import cycle_of, decoder_of

__all__ = ["MAX_EVENTS", "PageStream", "StreamOwner", "enclosing_stream"]

MAX_EVENTS = 100
"""How many events are kept."""

_SILENT = "answered, but nothing was sent yet"
_RESTARTING = "restarting"
_OPEN_STATES = frozenset({"connected", _SILENT, _RESTARTING})
_FIRST_BYTES = 2.0  # seconds that a stream may take to send something before it counts as connected


class StreamOwner(Protocol):
    """What a stream needs of the browser tab that it belongs to."""

    async def connect(self, stream: PageStream) -> httpx.Response:
        """Request a stream as its client does; return when the response starts."""

    def start_soon(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a function as a background task."""

    def apply(self, stream: PageStream, event: ReceivedEvent) -> None:
        """Apply an event to the document."""

    def fail(self, error: Exception) -> None:
        """Keep an error to raise in the test."""

    def notify(self) -> None:
        """Wake the tasks that wait for a change."""


@dataclass(eq=False)
class PageStream:
    """One connect element of a page and the stream that it reads.

    Args:
        tab: The browser tab.
        element: The connect element.
        address: The stream's address, as the element has it.
        by_live_script: Whether the live script connects it, and not htmx.
        closed: Whether the closing event came or the element is gone, so that the stream is not connected again.
        end_reason: Why it ended for good, as the live script receives it. Empty otherwise.
        state: The state, in words.
        last_event_id: The id of the last event, from which the next request resumes.
        opened_at: The id from which the live script resumed when it opened the stream.
        received_count: How many events came.
        events: The last events.
    """

    tab: StreamOwner
    element: Element
    address: str
    by_live_script: bool = False
    closed: bool = False
    end_reason: str = ""
    state: str = "not connected"
    last_event_id: str = ""
    opened_at: str = ""
    received_count: int = 0
    events: deque[ReceivedEvent] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))
    _cycle: RequestResponseCycle | None = None
    _cancel_scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    _answered: anyio.Event = field(default_factory=anyio.Event)
    _done: anyio.Event | None = None
    _restarts: bool = False
    _refusal: Exception | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is connected, or restarts at once."""
        return self.state in _OPEN_STATES

    def close_name(self) -> str | None:
        """Return the name of the event that closes the stream."""
        if self.by_live_script:
            return CLOSE_EVENT
        return attribute(self.element, "sse-close", "hx-sse:close")

    def event_names(self) -> set[str]:
        """Return the names of the last events."""
        return {event.event or "message" for event in self.events}

    def may_still_send(self, names: Set[str]) -> bool:
        """Return whether the stream is open and has not sent all events of these names."""
        return self._done is not None and not self._done.is_set() and not names <= self.event_names()

    def forget_events(self, *, last_event_id: str) -> None:
        """Drop the events, and ask for those after this id next time."""
        self.events.clear()
        self.last_event_id = last_event_id

    async def open(self) -> None:
        """Connect; return when the stream has begun to send.

        The stream of a live page sends its first bytes when the application has admitted and counted the viewer. Other
        streams may send nothing at first, so this waits no longer than a few seconds for them.

        Raises:
            Exception: The request failed, or the response is not an event stream.
        """
        self._cancel_scope, self._refusal = anyio.CancelScope(), None
        self._answered, self._done = anyio.Event(), anyio.Event()
        self.opened_at = self.last_event_id
        self._become("connecting")
        self.tab.start_soon(self._run)
        await self._answered.wait()
        if self._refusal is not None:
            raise self._refusal

    async def open_in_background(self) -> None:
        """Connect; an error is raised by the page's next expectation."""
        try:
            await self.open()
        except Exception as error:  # noqa: BLE001 - raised in the test
            self.tab.fail(error)
            self.tab.notify()

    def disconnect(self) -> None:
        """Disconnect without waiting for the application."""
        self._become(self._closed_state() if self.closed else "offline")
        if self._cycle is not None:
            self._cycle.hang_up()
        self._cancel_scope.cancel()

    async def wait_closed(self) -> None:
        """Wait until the current request, if any, has ended."""
        if self._done is not None:
            await self._done.wait()

    async def _run(self) -> None:
        assert self._done is not None  # noqa: S101 - for type checkers
        try:
            with self._cancel_scope:
                await self._request()
                while self._restarts:
                    self._restarts = False
                    await self._request()
        except Exception as error:  # noqa: BLE001 - raised in the test
            if self._answered.is_set():
                self.tab.fail(error)
                self._become(f"ended by {type(error).__name__}")
            else:
                self._refusal = error
        finally:
            self._cycle = None
            self._answered.set()
            self._done.set()
            self.tab.notify()

    async def _request(self) -> None:
        response = await self.tab.connect(self)
        try:
            await self._check(response)
            self._cycle = cycle_of(response)
            self._become(_SILENT)
            with anyio.move_on_after(_FIRST_BYTES):
                await self._cycle.wait_for_body()
                self._become("connected")
            self._answered.set()
            await self._read(self._cycle, decoder_of(response))
        finally:
            await response.aclose()

    async def _check(self, response: httpx.Response) -> None:
        content_type = response.headers.get("content-type", "")
        if response.status_code == 200 and content_type.startswith("text/event-stream"):
            return
        self._become(f"refused with {response.status_code}")
        body = (await response.aread()).decode("utf-8", "replace")
        raise NoStreamError(
            f"the stream {self.address} was answered with {response.status_code} and {content_type!r}: {quote(body)}"
        )

    async def _read(self, cycle: RequestResponseCycle, decode: Callable[[bytes], bytes]) -> None:
        parser = EventParser(self.last_event_id)
        while not self.closed:
            chunk = await cycle.read()
            if chunk is None:
                self._become(_RESTARTING if self._restarts else "ended by the application")
                return
            for event in parser.feed(decode(chunk)):
                if not self.closed:
                    self._receive(event)
            self.last_event_id = parser.last_event_id
            self._become("connected")
        self._become(self._closed_state())

    def _receive(self, event: ReceivedEvent) -> None:
        if event.event == RESTART_EVENT:
            self._restarts = True
            return
        if event.event == ID_EVENT:
            return
        self.events.append(event)
        self.received_count += 1
        self.tab.apply(self, event)

    def _become(self, state: str) -> None:
        self.state = state
        self.tab.notify()

    def _closed_state(self) -> str:
        return f"closed for good ({self.end_reason})" if self.end_reason else "closed for good"


def enclosing_stream(element: Element, streams: Iterable[PageStream]) -> PageStream | None:
    """Return the stream of the nearest connect element around an element, or of the element itself."""
    by_element = {id(stream.element): stream for stream in streams}
    ancestors = (by_element[id(each)] for each in self_and_ancestors(element) if id(each) in by_element)
    return next(ancestors, None)
