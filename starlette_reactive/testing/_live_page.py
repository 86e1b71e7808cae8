"""LivePage: a page whose document changes with its streams, as it would in a browser."""

from __future__ import annotations

import anyio
from anyio.lowlevel import checkpoint

from .._pages.browser_session import ORIGIN_HEADER
from ._dom import Document, Element, attribute, elements, find_all, inner_html, text_of
from ._failures import list_events, quote
from ._live_script import is_sink
from ._page_markup import parse_hx_headers
from ._page_stream import PageStream
from ._sse import ReceivedEvent
from ._tab import Tab

__all__ = ["LivePage"]

_EVENTS_IN_MESSAGE = 5


class LivePage:
    """A page as a browser has it with htmx, the live script, or both; :meth:`TestClient.live` opens one.

    The page connects the streams that its markup names, and each event changes the document as htmx would change it, or
    as the live script would if the page loads it. No script runs, so no event triggers a request. A page reconnects
    when its application restarts the stream, because the browser's cookies have changed, and otherwise only when the
    test calls :meth:`reconnect` or :meth:`go_online`.
    """

    def __init__(self, tab: Tab) -> None:
        self._tab = tab

    # The document

    def text(self, selector: str) -> str:
        """Return the text of the first element that a CSS selector matches, without surrounding white space.

        Raises:
            AssertionError: No element matches.
            ValueError: The selector is invalid.
        """
        return text_of(self._element(selector)).strip()

    def html(self, selector: str) -> str:
        """Return the inner HTML of the first element that a CSS selector matches.

        Raises:
            AssertionError: No element matches.
            ValueError: The selector is invalid.
        """
        return inner_html(self._element(selector))

    def _element(self, selector: str) -> Element:
        found = self._find(selector)
        if found is None:
            raise AssertionError(f"{self._tab.path}: {self._no_match(selector)}\n{self._stream_states()}")
        return found

    def _find(self, selector: str) -> Element | None:
        return next(iter(find_all(self.document, selector)), None)

    @property
    def document(self) -> Document:
        """The page's document: a tree of justhtml nodes."""
        return self._tab.document

    @property
    def frames(self) -> list[ReceivedEvent]:
        """The last events, at most one hundred."""
        return list(self._tab.events)

    @property
    def htmx(self) -> int | None:
        """The page's version of htmx, 2 or 4. ``None`` if the live script alone connects the page."""
        return self._tab.htmx

    @property
    def live_script(self) -> bool:
        """Whether the page loads the live script."""
        return self._tab.live_script

    @property
    def state(self) -> str:
        """``connected`` if all streams are, ``ended`` if all have ended for good, else ``reconnecting``.

        With the live script the attribute ``data-live`` of ``<html>`` says the same.
        """
        return self._tab.state

    @property
    def end_reason(self) -> str | None:
        """The word that tells the live script why the stream has ended for good, such as ``refused``."""
        return self._tab.end_reason

    @property
    def streams(self) -> list[PageStream]:
        """The page's connect elements, each with its stream."""
        return list(self._tab.streams)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that ``hx-headers`` on the body adds to requests, such as the mark of ``{{ live_origin() }}``.

        The live script adds the mark itself, so they include it in pages that load the script.
        """
        body = next((each for each in elements(self.document) if each.name == "body"), None)
        found = {} if body is None else parse_hx_headers(attribute(body, "hx-headers", "hx-headers:inherited"))
        sink = next((each for each in elements(self.document) if is_sink(each)), None)
        if self.live_script and sink is not None:
            found[ORIGIN_HEADER] = attribute(sink, "reactive-sink") or ""
        return found

    # Expectations

    async def expect(
        self, selector: str, text: str | None = None, *, contains: str | None = None, timeout: float = 5
    ) -> None:
        """Wait until an element has a text.

        A run of white space counts as one space.

        Args:
            selector: A CSS selector; its first match is compared.
            text: The whole text.
            contains: A part of the text.
            timeout: Seconds to wait.

        Raises:
            AssertionError: The element did not have the text in time; the message shows the text that it had.
            TypeError: Neither or both of ``text`` and ``contains`` are given.
            ValueError: The selector is invalid.
            Exception: The application raised it in a stream of the page.
        """
        if (text is None) == (contains is None):
            raise TypeError("expect takes either the whole text or contains=")
        whole = contains is None
        expected = _normalize((text if contains is None else contains) or "")
        with anyio.move_on_after(timeout) as waiting:
            await checkpoint()
            while not self._has(selector, expected, whole=whole):
                await self._tab.wait_for_change()
        if waiting.cancelled_caught and not self._has(selector, expected, whole=whole):
            raise AssertionError(self._mismatch(selector, expected, timeout, whole=whole))

    def _has(self, selector: str, expected: str, *, whole: bool) -> bool:
        element = self._find(selector)
        if element is None:
            return False
        actual = _normalize(text_of(element))
        return actual == expected if whole else expected in actual

    async def expect_nothing(self, seconds: float = 0.2) -> None:
        """Assert that no event arrives for some time; heartbeats and events without data do not count.

        Raises:
            AssertionError: An event arrived.
            Exception: The application raised it in a stream of the page.
        """
        received = self._tab.received_count
        with anyio.move_on_after(seconds):
            while self._tab.received_count == received:
                await self._tab.wait_for_change()
        if self._tab.received_count != received:
            raise AssertionError(f"{self._tab.path}: an event came within {seconds:g} s\n{self._stream_states()}")

    # The network

    async def reconnect(self, *, timeout: float = 5) -> None:
        """Disconnect the streams and connect them again at once, with the id of the last event.

        Raises:
            AssertionError: The application closed the page's streams for good, or refuses them now.
            TimeoutError: The streams did not connect in time.
        """
        self.go_offline()
        await self.go_online(timeout=timeout)

    def go_offline(self) -> None:
        """Disconnect the streams: the application sees the page leave, and the page receives nothing more."""
        self._tab.disconnect()

    async def go_online(self, *, timeout: float = 5) -> None:
        """Connect the streams again, with the id of the last event, as htmx and the live script do.

        Raises:
            AssertionError: The application closed the page's streams for good, or refuses them now.
            TimeoutError: The streams did not connect in time.
        """
        streams = [each for each in self._tab.streams if not each.closed]
        if not streams:
            raise AssertionError(f"{self._tab.path}: the page's streams were closed for good\n{self._stream_states()}")
        with anyio.move_on_after(timeout) as waiting:
            for stream in streams:
                await stream.wait_closed()
                await stream.open()
        if waiting.cancelled_caught:
            raise TimeoutError(f"{self._tab.path} did not reconnect within {timeout:g} s\n{self._stream_states()}")

    async def close(self) -> None:
        """Leave the page.

        Raises:
            Exception: The application raised it in a stream of the page, and no expectation has raised it yet.
        """
        self._tab.disconnect()
        await self._tab.wait_closed()
        self._tab.raise_error()

    # Failure messages

    def _mismatch(self, selector: str, expected: str, seconds: float, *, whole: bool) -> str:
        element = self._find(selector)
        if element is None:
            actual = self._no_match(selector)
        else:
            actual = f"{quote(_normalize(text_of(element)))}, in {quote(inner_html(element))}"
        return (
            f"{self._tab.path}: {selector!r} is not as expected after {seconds:g} s\n"
            f"  expected: {'' if whole else 'a text with '}{quote(expected)}\n"
            f"  actual:   {actual}\n{self._stream_states()}"
        )

    def _no_match(self, selector: str) -> str:
        ids = [f"#{each.attrs['id']}" for each in elements(self.document) if each.attrs.get("id")]
        return f"no element matches {selector!r}; the page has {', '.join(ids) or 'no element with an id'}"

    def _stream_states(self) -> str:
        states = ", ".join(f"{each.address} {each.state}" for each in self._tab.streams)
        return f"  stream: {states}\n  last frames{list_events(self.frames[-_EVENTS_IN_MESSAGE:])}"


def _normalize(text: str) -> str:
    return " ".join(text.split())
