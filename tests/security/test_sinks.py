"""Attacks through the URL of a page's stream, which contains the root path that a proxy may pass on.

What an attacker would gain: attributes, elements or JavaScript of their own in the page.
"""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from starlette_reactive._clients import WIRES, Sink

HOSTILE = """/a'b"c\\d<script>&amp;')alert(1)('\n?page=x"""
ATTRIBUTES = {
    "htmx": {
        "data-reactive-beat",
        "data-reactive-blocks",
        "data-reactive-page",
        "data-reactive-sink",
        "hx-ext",
        "hx-sse:close",
        "hx-sse:connect",
        "hx-swap",
        "hx-sync",
        "hx-target",
        "hx-trigger",
        "sse-close",
        "sse-connect",
        "sse-swap",
    },
    "datastar": {"data-init"},
    "turbo": {"id", "src"},
}


class Elements(HTMLParser):
    """The start tags of a document."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def javascript_string(literal: str) -> str:
    """Return the value of a string literal in single quotes that escapes as JSON does."""
    assert literal[0] == literal[-1] == "'"
    assert "'" not in literal[1:-1]
    return literal[1:-1].encode("ascii").decode("unicode_escape")


@pytest.mark.parametrize("wire", WIRES)
def test_a_url_stays_within_the_attributes_of_the_sink(wire: str) -> None:
    ((tag, attributes),) = Elements(f"<div {WIRES[wire].sink_attributes(Sink(HOSTILE, 'tab'))}>").found
    assert tag == "div"
    assert set(attributes) == ATTRIBUTES[wire]
    urls = [value for value in attributes.values() if value and "page=x" in value]
    assert urls
    if wire == "datastar":
        urls = [javascript_string(value.removeprefix("@get(").removesuffix(")")) for value in urls]
    assert set(urls) == {HOSTILE}


def test_an_ordinary_url_is_readable() -> None:
    assert WIRES["datastar"].sink_attributes(Sink("/live?page=x", "tab")) == "data-init=\"@get('/live?page=x')\""
