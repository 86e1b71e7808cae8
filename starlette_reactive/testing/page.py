"""LivePage: a page with its streams connected, and its document kept as htmx would keep it in a browser."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Set
from typing import TYPE_CHECKING

import anyio
import httpx
from anyio.lowlevel import checkpoint

from . import htmx2, htmx4
from .connection import KEPT, Connection
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
from .markup import address_of, headers_in, identifier_of, version_of, why_none
from .sse import ReceivedEvent
from .swaps import SwapError
from .wording import NoStreamError, listed, shortened

if TYPE_CHECKING:
    from .client import TestClient

__all__ = ["LivePage"]

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
        self._frames: deque[ReceivedEvent] = deque(maxlen=KEPT)
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
        return {} if body is None else headers_in(attribute(body, "hx-headers", "hx-headers:inherited"))

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

    async def hear_everything(
        self, wanted: Mapping[Connection, Set[str]], *, quiet: float, timeout: float
    ) -> dict[Connection, list[ReceivedEvent]]:
        """Connect afresh with a ``Last-Event-ID`` that no server knows, for which everything is sent.

        Args:
            wanted: Names of events that are waited for.
            quiet: Seconds without an event after which everything else is taken to have come as well.
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
            while self._received != received or any(each.still_wants(names) for each, names in wanted.items()):
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
        self._htmx = self._htmx or version_of(self._document)
        for connection in list(self._attach()):
            await connection.open()
        if not self._connections:
            raise NoStreamError(f"the page {self._path} connects to no stream: {why_none(self._document)}")

    def _attach(self, *, morphed: bool = False) -> Iterator[Connection]:
        """Match connections and listeners with the document as it is, and yield what is to be opened."""
        known = {id(each.element) for each in self._connections}
        lost = [each for each in self._connections if not contains(self._document, each.element)]
        for element in elements(self._document):
            url = address_of(element, self._htmx)
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
            "HX-Source": identifier_of(element),
            "HX-Current-URL": str(self._url),
            **headers_in(htmx4.explicit(self._document, element, "hx-headers")),
        }

    def build_request(self, address: str, headers: dict[str, str]) -> httpx.Request:
        """Return a request for an address of the page's markup, with the page's cookies."""
        url = self._url.join(address)
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


def _plain(text: str) -> str:
    return " ".join(text.split())
