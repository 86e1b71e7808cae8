"""Assertions on fragments, on the headers that htmx reads, and on a page and its streams."""

from __future__ import annotations

import json
from collections.abc import Collection
from html.parser import HTMLParser
from typing import Any

import httpx

from .client import TestClient
from .dom import attribute, elements, find_all, inside_out, parse_template, text_of
from .htmx4 import partial_selectors
from .page import LivePage
from .wording import shortened

__all__ = ["assert_fragment_contains", "assert_hx_trigger", "assert_is_fragment", "assert_sse_wired"]

_OF_A_PAGE = frozenset({"html", "head", "body"})
_ANY: Any = object()


class _PageTags(HTMLParser):
    found: str | None = None

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - the standard library's signature
        if tag in _OF_A_PAGE:
            self.found = self.found or f"<{tag}>"

    def handle_decl(self, decl: str) -> None:
        self.found = self.found or f"<!{decl}>"


def assert_is_fragment(response: httpx.Response | str) -> None:
    """See to it that HTML is a part of a page, not a page.

    Args:
        response: A response, or HTML.

    Raises:
        AssertionError: It has a doctype, ``<html>``, ``<head>`` or ``<body>``, or the response is no HTML.
    """
    source = _source(response)
    tags = _PageTags()
    tags.feed(source)
    tags.close()
    if tags.found:
        raise AssertionError(f"a whole page came, not a fragment: it has {tags.found} in {shortened(source)}")


def assert_fragment_contains(
    response: httpx.Response | str, text: str | None = None, *, selector: str | None = None
) -> None:
    """See to it that HTML is a part of a page, and that something is in it.

    Args:
        response: A response, or HTML.
        text: What is to be in its source, or in its text, where runs of white space count as one space.
        selector: A CSS selector that is to match; then ``text`` is to be in the text of an element that it matches.

    Raises:
        AssertionError: It is a whole page, or lacks what is wanted.
        TypeError: Neither ``text`` nor ``selector`` is given.
        ValueError: The selector cannot be read.
    """
    if text is None and selector is None:
        raise TypeError("assert_fragment_contains takes a text, a selector=, or both")
    assert_is_fragment(response)
    source = _source(response)
    content = parse_template(source)
    found = [content] if selector is None else find_all(content, selector)
    if not found:
        raise AssertionError(f"no element matches {selector!r} in {shortened(source)}")
    if text is None or (selector is None and text in source):
        return
    wanted = " ".join(text.split())
    if not any(wanted in " ".join(text_of(each).split()) for each in found):
        where = "" if selector is None else f"{selector!r} in "
        raise AssertionError(f"the text {shortened(text)} is not in {where}{shortened(source)}")


def _source(response: httpx.Response | str) -> str:
    if isinstance(response, str):
        return response
    kind = response.headers.get("content-type", "")
    if not kind.startswith("text/html"):
        raise AssertionError(f"the response is {kind or 'nothing'!r} with status {response.status_code}, not text/html")
    return response.text


def assert_hx_trigger(response: httpx.Response, event: str, detail: Any = _ANY) -> None:
    """See to it that a response triggers an event in the browser, by its ``HX-Trigger``.

    Args:
        response: The response.
        event: The event's name.
        detail: The event's detail; left out: any.

    Raises:
        AssertionError: The response does not trigger it, or with another detail.
    """
    header = response.headers.get("HX-Trigger")
    if header is None:
        raise AssertionError(f"the response ({response.status_code}) has no HX-Trigger; {event!r} was wanted")
    events = _triggered(header)
    if event not in events:
        raise AssertionError(f"HX-Trigger does not name {event!r}: it is {shortened(header)}")
    if detail is not _ANY and events[event] != detail:
        raise AssertionError(f"HX-Trigger has {events[event]!r} for {event!r}; {detail!r} was wanted")


def _triggered(header: str) -> dict[str, Any]:
    if header.lstrip().startswith("{"):
        return dict(json.loads(header))
    return {name.strip(): None for name in header.split(",")}


async def assert_sse_wired(
    client: TestClient, page_path: str, *, also_sent: Collection[str] = (), quiet: float = 0.3, timeout: float = 5
) -> None:
    """See to it that every event that a page listens to is sent, and the other way round.

    The streams are asked for everything, with a ``Last-Event-ID`` that they cannot know, and heard until all has come
    that the page listens to, and then until they are quiet.
    A payload's partials are to find their elements in the page.

    Args:
        client: The client.
        page_path: The page's address.
        also_sent: Names of events that come only at other times.
        quiet: Seconds without an event after which a stream is taken to have sent everything else as well.
        timeout: Seconds after which it is so taken at the latest.

    Raises:
        NoStreamError: The page connects to no stream.
        AssertionError: Something is not sent, or not heard; the message lists all that is.
    """
    page = await client.live(page_path)
    faults = _deaf_elements(page)
    heard_by = {connection: page.heard_by(connection) for connection in page.connections}
    wanted = {connection: names - set(also_sent) for connection, names in heard_by.items()}
    sent_by = await page.hear_everything(wanted, quiet=quiet, timeout=timeout)
    for connection, events in sent_by.items():
        sent = connection.names() | set(also_sent)
        heard = heard_by.get(connection, set())
        name_of = connection.address.partition("?")[0]
        faults += [f"the page listens to {name!r}, which {name_of} does not send" for name in sorted(heard - sent)]
        faults += [f"{name_of} sends {name!r}, which nothing in the page listens to" for name in sorted(sent - heard)]
        faults += [
            f"{name_of} sends a partial for {selector!r}, which matches nothing in the page"
            for selector in sorted(set().union(*(partial_selectors(event.data) for event in events)))
            if not find_all(page.document, selector)
        ]
    await page.close()
    if faults:
        raise AssertionError(f"the page {page_path} and its streams do not fit:\n  " + "\n  ".join(faults))


def _deaf_elements(page: LivePage) -> list[str]:
    swapping = [each for each in elements(page.document) if attribute(each, "sse-swap")]
    if page.htmx == 4:
        deaf = [each for each in swapping if not attribute(each, "hx-sse:connect", "sse-connect")]
        reason = "is not known to htmx 4"
    else:
        deaf = [each for each in swapping if not any(attribute(around, "sse-connect") for around in inside_out(each))]
        reason = "lies in no connect element"
    return [f"sse-swap={attribute(each, 'sse-swap')!r} on <{each.name}> {reason}" for each in deaf]
