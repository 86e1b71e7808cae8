"""Assertions on fragments and on the headers that htmx reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any, Protocol

from ._dom import find_all, parse_template, text_of
from ._failures import quote

__all__ = ["AnyResponse", "assert_fragment_contains", "assert_hx_trigger", "assert_is_fragment"]

_PAGE_TAGS = frozenset({"html", "head", "body"})
_ANY_DETAIL: Any = object()


class AnyResponse(Protocol):
    """What the assertions read of a response: of httpx2, of httpx, or of Starlette's test client."""

    @property
    def status_code(self) -> int:
        """The status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names are case-insensitive."""

    @property
    def text(self) -> str:
        """The body."""


class _PageTagFinder(HTMLParser):
    found: str | None = None

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - the standard library's signature
        if tag in _PAGE_TAGS:
            self.found = self.found or f"<{tag}>"

    def handle_decl(self, decl: str) -> None:
        self.found = self.found or f"<!{decl}>"


def assert_is_fragment(response: AnyResponse | str) -> None:
    """Assert that HTML is a fragment and not a whole page.

    Args:
        response: A response, or HTML.

    Raises:
        AssertionError: The HTML has a doctype, ``<html>``, ``<head>`` or ``<body>``, or the response is not HTML.
    """
    source = _html_of(response)
    finder = _PageTagFinder()
    finder.feed(source)
    finder.close()
    if finder.found:
        raise AssertionError(f"expected a fragment, got a whole page: it has {finder.found} in {quote(source)}")


def assert_fragment_contains(
    response: AnyResponse | str, text: str | None = None, *, selector: str | None = None
) -> None:
    """Assert that HTML is a fragment with a given text or element.

    Args:
        response: A response, or HTML.
        text: The text to find in the HTML source or in its text content, where a run of white space counts as one
            space.
        selector: A CSS selector that must match. If given, ``text`` must be in the text content of a matching element.

    Raises:
        AssertionError: The HTML is a whole page, or does not contain the text or the element.
        TypeError: Neither ``text`` nor ``selector`` is given.
        ValueError: The selector is invalid.
    """
    if text is None and selector is None:
        raise TypeError("assert_fragment_contains takes a text, a selector=, or both")
    assert_is_fragment(response)
    source = _html_of(response)
    content = parse_template(source)
    found = [content] if selector is None else find_all(content, selector)
    if not found:
        raise AssertionError(f"no element matches {selector!r} in {quote(source)}")
    if text is None or (selector is None and text in source):
        return
    expected = " ".join(text.split())
    if not any(expected in " ".join(text_of(each).split()) for each in found):
        where = "" if selector is None else f"{selector!r} in "
        raise AssertionError(f"the text {quote(text)} is not in {where}{quote(source)}")


def _html_of(response: AnyResponse | str) -> str:
    if isinstance(response, str):
        return response
    content_type = response.headers.get("content-type", "")
    if not content_type.startswith("text/html"):
        got = repr(content_type) if content_type else "no content type"
        raise AssertionError(f"expected text/html, got {got} with status {response.status_code}")
    return response.text


def assert_hx_trigger(response: AnyResponse, event: str, detail: Any = _ANY_DETAIL) -> None:
    """Assert that a response triggers an event in the browser with its ``HX-Trigger`` header.

    Args:
        response: The response.
        event: The event's name.
        detail: The event's detail. Defaults to any detail.

    Raises:
        AssertionError: The response does not trigger the event, or triggers it with another detail.
    """
    header = response.headers.get("HX-Trigger")
    if header is None:
        raise AssertionError(f"the response ({response.status_code}) has no HX-Trigger; expected {event!r}")
    details = _details_by_event(header)
    if event not in details:
        raise AssertionError(f"HX-Trigger does not name {event!r}: it is {quote(header)}")
    if detail is not _ANY_DETAIL and details[event] != detail:
        raise AssertionError(f"HX-Trigger has {details[event]!r} for {event!r}; expected {detail!r}")


def _details_by_event(header: str) -> dict[str, Any]:
    if header.lstrip().startswith("{"):
        return dict(json.loads(header))
    return {name.strip(): None for name in header.split(",")}
