"""LivePage: a page with its streams connected, and its document kept as htmx would keep it in a browser."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import httpx
from anyio.lowlevel import checkpoint

from . import htmx2, htmx4
from .dom import (
    Document,
    Element,
    attribute,
    contains,
    elements,
    find_all,
    inner_html,
    inside_out,
    parse_document,
    text_of,
)
from .server import Exchange, exchange_of
from .sse import EventParser, ReceivedEvent
from .swaps import SwapError
from .wording import NoStreamError, listed, shortened

if TYPE_CHECKING:
    from .client import TestClient

__all__ = ["LivePage"]

_KEPT = 100  # events that a page remembers
_SHOWN = 5  # of them in a message
_OF_NO_SERVER = "of-no-server"
_OWN_EVENTS = frozenset({"", "load", "every"})  # what hx-trigger names on a connect element itself


class LivePage:
    """A page as a browser with htmx has it; :meth:`TestClient.live` opens one.

    Each stream of the page is connected as the page's markup says, and each event changes the document as htmx would.
    No script runs, so no event triggers a request, and a page reconnects when it is told to, not by itself.
    """

    def __init__(self, client: TestClient, path: str, htmx: int | None) -> None:
        self._client = client
        self._path = path
        self._htmx = htmx
        self._url = httpx.URL(path)
        self._document: Document = parse_document("")
        self._connections: list[Connection] = []
        self._listeners: list[tuple[Element, Connection]] = []
        self._frames: deque[ReceivedEvent] = deque(maxlen=_KEPT)
        self._received = 0
        self._changed = anyio.Event()
        self._errors: list[Exception] = []
        self._offline = False

    # The document

    def text(self, selector: str) -> str:
        """Return the text of the first element that a CSS selector matches, without white space around it.

        Raises:
            AssertionError: There is no such element.
            ValueError: The selector cannot be read.
        """
        return text_of(self._element(selector)).strip()

    def html(self, selector: str) -> str:
        """Return the HTML that the first element that a CSS selector matches holds.

        Raises:
            AssertionError: There is no such element.
            ValueError: The selector cannot be read.
        """
        return inner_html(self._element(selector))

    def _element(self, selector: str) -> Element:
        found = self._find(selector)
        if found is None:
            raise AssertionError(f"{self._path}: {self._absence(selector)}\n{self._state()}")
        return found

    def _find(self, selector: str) -> Element | None:
        return next(iter(find_all(self._document, selector)), None)

    @property
    def document(self) -> Document:
        """The page's document: a tree of justhtml's nodes."""
        return self._document

    @property
    def frames(self) -> list[ReceivedEvent]:
        """The events that came last, up to a hundred."""
        return list(self._frames)

    @property
    def htmx(self) -> int | None:
        """The version of htmx that the page has, 2 or 4."""
        return self._htmx

    @property
    def connections(self) -> list[Connection]:
        """The page's connect elements, each with its stream."""
        return list(self._connections)

    @property
    def headers(self) -> dict[str, str]:
        """What ``hx-headers`` of the body adds to the page's requests, such as the mark of ``{{ live_origin() }}``."""
        body = next((each for each in elements(self._document) if each.name == "body"), None)
        return {} if body is None else _hx_headers(attribute(body, "hx-headers", "hx-headers:inherited"))

    # Expectations

    async def expect(
        self, selector: str, text: str | None = None, *, contains: str | None = None, timeout: float = 5
    ) -> None:
        """Wait until an element has a text.

        Runs of white space count as one space.

        Args:
            selector: A CSS selector; the first element that it matches counts.
            text: The whole text.
            contains: A part of the text.
            timeout: Seconds to wait.

        Raises:
            AssertionError: The element did not have the text in time; the message says what it had.
            TypeError: Neither ``text`` nor ``contains`` is given, or both.
            ValueError: The selector cannot be read.
            Exception: What the application raised in a stream of the page.
        """
        if (text is None) == (contains is None):
            raise TypeError("expect takes either the whole text or contains=")
        wanted = _plain((text if contains is None else contains) or "")
        with anyio.move_on_after(timeout) as waiting:
            await checkpoint()
            while not self._has(selector, wanted, whole=contains is None):
                self._raise_errors()
                await self._changed.wait()
        if waiting.cancelled_caught and not self._has(selector, wanted, whole=contains is None):
            raise AssertionError(self._disappointment(selector, wanted, timeout, whole=contains is None))

    def _has(self, selector: str, wanted: str, *, whole: bool) -> bool:
        element = self._find(selector)
        if element is None:
            return False
        held = _plain(text_of(element))
        return held == wanted if whole else wanted in held

    async def expect_nothing(self, seconds: float = 0.2) -> None:
        """See to it that no event comes for some time; heartbeats and bare ids are none.

        Raises:
            AssertionError: One came.
            Exception: What the application raised in a stream of the page.
        """
        received = self._received
        with anyio.move_on_after(seconds):
            while self._received == received:
                self._raise_errors()
                await self._changed.wait()
        if self._received != received:
            raise AssertionError(f"{self._path}: an event came within {seconds:g} s\n{self._state()}")

    # The connection

    async def reconnect(self, *, timeout: float = 5) -> None:
        """Lose the connections and connect again at once, with ``Last-Event-ID``, as htmx does.

        Raises:
            AssertionError: The application ended the page's streams for good, or does not take the page back.
            TimeoutError: It took too long.
        """
        self.go_offline()
        await self.go_online(timeout=timeout)

    def go_offline(self) -> None:
        """Lose the connections: the application sees the page leave, and nothing reaches it any more."""
        self._offline = True
        for connection in self._connections:
            connection.drop()

    async def go_online(self, *, timeout: float = 5) -> None:
        """Connect again, with ``Last-Event-ID``, as htmx does.

        Raises:
            AssertionError: The application ended the page's streams for good, or does not take the page back.
            TimeoutError: It took too long.
        """
        open_ones = [each for each in self._connections if not each.closed]
        if not open_ones:
            raise AssertionError(f"{self._path}: the page's streams were closed for good\n{self._state()}")
        self._offline = False
        with anyio.move_on_after(timeout) as waiting:
            for connection in open_ones:
                await connection.finished()
                await connection.open()
        if waiting.cancelled_caught:
            raise TimeoutError(f"{self._path} did not connect again within {timeout:g} s\n{self._state()}")

    async def close(self) -> None:
        """Leave the page.

        Raises:
            Exception: What the application raised in a stream of the page, where no expectation raised it before.
        """
        self.go_offline()
        for connection in self._connections:
            await connection.finished()
        self._raise_errors()

    def heard_by(self, connection: Connection) -> set[str]:
        """Return the names of the events that something in the page takes from a connection."""
        if self._htmx == 2:
            heard = {
                name.strip()
                for element, heard in self._listeners
                if heard is connection
                for name in (attribute(element, "sse-swap") or "").split(",")
            }
            prefix = "sse:"
        else:
            heard, prefix = {"message"}, ""
        inside = [each for each in elements(self._document) if connection.element in inside_out(each)]
        for trigger in [attribute(each, "hx-trigger") or "" for each in inside]:
            events = [(part.split() or [""])[0].partition("[")[0] for part in trigger.split(",")]
            heard |= {each.removeprefix(prefix) for each in events if each.startswith(prefix)}
        return heard - _OWN_EVENTS - {connection.close_name() or ""}

    async def hear_everything(self, *, quiet: float, timeout: float) -> dict[Connection, list[ReceivedEvent]]:
        """Connect afresh with a ``Last-Event-ID`` that no server knows, for which everything is sent.

        Args:
            quiet: Seconds without an event after which everything is taken to have come.
            timeout: Seconds after which it is so taken at the latest.
        """
        for connection in self._connections:
            connection.last_event_id = _OF_NO_SERVER
        self.go_offline()
        for connection in self._connections:
            await connection.finished()
            connection.taken.clear()
        await self.go_online()
        with anyio.move_on_after(timeout):
            received = -1
            while self._received != received:
                received = self._received
                await anyio.sleep(quiet)
        self._raise_errors()
        return {each: list(each.taken) for each in self._connections}

    async def load(self) -> None:
        """Load the page and connect its streams; :meth:`TestClient.live` does that."""
        response = await self._client.get(self._path, headers={"Accept": "text/html"}, follow_redirects=True)
        if not response.is_success:
            raise AssertionError(
                f"the page {self._path} was answered with {response.status_code}: {shortened(response.text)}"
            )
        self._url = response.url
        self._document = parse_document(response.text)
        self._htmx = self._htmx or _version(self._document)
        for connection in list(self._attach()):
            await connection.open()
        if not self._connections:
            raise NoStreamError(f"the page {self._path} connects to no stream: {_why_none(self._document)}")

    def _attach(self, *, morphed: bool = False) -> Iterator[Connection]:
        """Match connections and listeners with the document as it is, and yield what is to be opened."""
        known = {id(each.element) for each in self._connections}
        lost = [each for each in self._connections if not contains(self._document, each.element)]
        for element in elements(self._document):
            url = _connects(element, self._htmx)
            if url and id(element) not in known:
                kept = next((each for each in lost if morphed and each.address == url), None)
                if kept is not None:
                    lost.remove(kept)
                    kept.element = element
                else:
                    self._connections.append(Connection(self, element, url))
                    yield self._connections[-1]
        for connection in lost:
            connection.closed = True
            connection.drop()
        self._listen()

    def _listen(self) -> None:
        if self._htmx != 2:
            return
        listening = {id(element) for element, _ in self._listeners}
        by_element = {id(each.element): each for each in self._connections}
        for element in elements(self._document):
            if attribute(element, "sse-swap") and id(element) not in listening:
                around = (by_element[id(each)] for each in inside_out(element) if id(each) in by_element)
                if (connection := next(around, None)) is not None:
                    self._listeners.append((element, connection))

    # What a connection tells

    def request_headers(self, element: Element) -> dict[str, str]:
        """Return what htmx sends when an element connects."""
        if self._htmx == 2:
            return {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
        target = htmx4.explicit(self._document, element, "hx-target")
        full = target == "body" or htmx4.explicit(self._document, element, "hx-select")
        return {
            "Accept": "text/html, text/event-stream",
            "HX-Request": "true",
            "HX-Request-Type": "full" if full else "partial",
            "HX-Source": _identifier(element),
            "HX-Current-URL": str(self._url),
            **_hx_headers(htmx4.explicit(self._document, element, "hx-headers")),
        }

    def address(self, url: str) -> httpx.URL:
        """Return the address that the page's markup means."""
        return self._url.join(url)

    def build_request(self, url: httpx.URL, headers: dict[str, str]) -> httpx.Request:
        """Return a request with the page's cookies."""
        return self._client.build_request("GET", url, headers={**headers, "Accept-Encoding": "identity"}, timeout=None)

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return when its answer begins."""
        return await self._client.send(request, stream=True, follow_redirects=True)

    def start_soon(self, connection: Connection) -> None:
        """Let a connection read."""
        self._client.start_soon(connection.read)

    def take(self, connection: Connection, event: ReceivedEvent) -> None:
        """Change the document as an event says."""
        connection.taken.append(event)
        self._frames.append(event)
        self._received += 1
        try:
            morphed = self._swap(connection, event)
        except (SwapError, ValueError) as error:
            self._errors.append(error)
            return
        for found in list(self._attach(morphed=morphed)):
            self._client.start_soon(found.open_quietly)

    def _swap(self, connection: Connection, event: ReceivedEvent) -> bool:
        name = event.event or "message"
        if name == connection.close_name():
            connection.closed = True
        if self._htmx != 2:
            return event.event is None and htmx4.swap_event(self._document, connection.element, event.data)
        for element, heard in list(self._listeners):
            names = [each.strip() for each in (attribute(element, "sse-swap") or "").split(",")]
            if heard is connection and name in names and contains(self._document, element):
                htmx2.swap_event(self._document, element, event.data)
        return False

    def fail(self, error: Exception) -> None:
        """Note what is to be raised in the test."""
        self._errors.append(error)

    def notify(self) -> None:
        """Wake who waits for the page."""
        self._listeners = [each for each in self._listeners if contains(self._document, each[0])]
        self._changed.set()
        self._changed = anyio.Event()

    def _raise_errors(self) -> None:
        if self._errors:
            raise self._errors.pop(0)

    # Words

    def _disappointment(self, selector: str, wanted: str, seconds: float, *, whole: bool) -> str:
        element = self._find(selector)
        if element is None:
            held = self._absence(selector)
        else:
            held = f"{shortened(_plain(text_of(element)))}, in {shortened(inner_html(element))}"
        return (
            f"{self._path}: {selector!r} is not as expected after {seconds:g} s\n"
            f"  wanted: {'' if whole else 'a text with '}{shortened(wanted)}\n"
            f"  held:   {held}\n{self._state()}"
        )

    def _absence(self, selector: str) -> str:
        ids = [f"#{each.attrs['id']}" for each in elements(self._document) if each.attrs.get("id")]
        return f"no element matches {selector!r}; the page has {', '.join(ids) or 'no element with an id'}"

    def _state(self) -> str:
        states = ", ".join(f"{each.address} {each.state}" for each in self._connections)
        return f"  stream: {states}\n  last frames{listed(list(self._frames)[-_SHOWN:])}"


@dataclass(eq=False)
class Connection:
    """One connect element of a page and its stream."""

    page: LivePage
    element: Element
    address: str
    closed: bool = False
    state: str = "not connected"
    last_event_id: str = ""
    taken: deque[ReceivedEvent] = field(default_factory=lambda: deque(maxlen=_KEPT))
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
        response = await self.page.send(self.page.build_request(self.page.address(self.address), headers))
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


def _connects(element: Element, version: int | None) -> str | None:
    if version == 2:
        return attribute(element, "sse-connect") if htmx2.has_extension(element, "sse") else None
    trigger = attribute(element, "hx-trigger") or "load"
    on_load = any(part.split()[:1] == ["load"] for part in trigger.split(","))
    return attribute(element, "hx-sse:connect", "sse-connect") if on_load else None


def _version(document: Document) -> int:
    """Return which htmx a page loads: by its scripts' names, else by its attributes."""
    names = [(attribute(each, "src") or "").lower() for each in elements(document) if each.name == "script"]
    if any("hx-sse" in name or _names_version(name, 4) for name in names):
        return 4
    if any("sse" in name or _names_version(name, 2) for name in names):
        return 2
    connecting = [set(each.attrs) for each in elements(document)]
    new = any({"hx-sse:connect", "data-hx-sse:connect"} & each for each in connecting)
    old = any({"sse-connect", "data-sse-connect"} & each for each in connecting)
    return 4 if new and not old else 2


def _names_version(source: str, version: int) -> bool:
    _, found, rest = source.partition("htmx")
    rest = rest.removeprefix(".org").lstrip("-@/v")
    return bool(found) and rest.startswith(f"{version}.")


def _why_none(document: Document) -> str:
    if any(attribute(each, "sse-connect") for each in elements(document)):
        return 'it has sse-connect, but no hx-ext="sse" on that element or above it'
    return "it has no element with sse-connect or hx-sse:connect; is {{ live() }} called in its template?"


def _hx_headers(value: str | None) -> dict[str, str]:
    if not value:
        return {}
    try:
        found = json.loads(value)
    except ValueError:  # an expression of a script, or htmx 4's own notation
        return {}
    return {str(name): str(each) for name, each in found.items()} if isinstance(found, dict) else {}


def _identifier(element: Element) -> str:
    return f"{element.name}#{element.attrs['id']}" if element.attrs.get("id") else element.name


def _plain(text: str) -> str:
    return " ".join(text.split())
