"""assert_sse_wired: the events that a page listens to are the events that its streams send."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set

import anyio

from ._client import TestClient
from ._dom import attribute, elements, find_all, self_and_ancestors
from ._htmx4 import partial_selectors
from ._live_page import LivePage
from ._live_script import parse_update
from ._page_stream import PageStream, enclosing_stream

__all__ = ["assert_sse_wired"]

_UNKNOWN_EVENT_ID = "of-no-server"  # no server issued it, so a stream answers it with everything
_NOT_FROM_THE_STREAM = frozenset({"", "load", "every"})  # hx-trigger names these on a connect element itself


async def assert_sse_wired(
    client: TestClient,
    page_path: str,
    *,
    also_sent: Collection[str] = (),
    live_script: bool | None = None,
    quiet: float = 0.3,
    timeout: float = 5,
) -> None:
    """Assert that a page listens to exactly the events that its streams send.

    The page reconnects its streams with an unknown ``Last-Event-ID``, so that they send everything. It reads them
    until it has all events that it listens to, and then until no more events arrive. Each partial in a payload, and
    each update for the live script, must match an element of the page.

    Args:
        client: The client.
        page_path: The page's path.
        also_sent: Names of events that the streams send only at other times.
        live_script: Whether the page loads the live script, as for :meth:`TestClient.live`.
        quiet: Seconds without an event after which a stream counts as complete.
        timeout: Seconds after which the streams count as complete even if events are missing or still arriving.

    Raises:
        NoStreamError: The page connects to no stream.
        AssertionError: An event is not sent, or the page does not listen to it; the message lists all problems.
    """
    page = await client.live(page_path, live_script=live_script)
    problems = _elements_without_stream(page)
    listened = {stream: _names_listened_to(page, stream) for stream in page.streams}
    expected = {stream: names - set(also_sent) for stream, names in listened.items()}
    await _receive_everything(page, expected, quiet, timeout)
    for stream in page.streams:
        problems += _problems_of(page, stream, listened.get(stream, set()), set(also_sent))
    await page.close()
    if problems:
        raise AssertionError(f"the page {page_path} and its streams do not match:\n  " + "\n  ".join(problems))


def _elements_without_stream(page: LivePage) -> list[str]:
    swapping = [each for each in elements(page.document) if attribute(each, "sse-swap")]
    if page.htmx == 4:
        faulty = [each for each in swapping if not attribute(each, "hx-sse:connect", "sse-connect")]
        reason = "is not known to htmx 4"
    else:
        faulty = [
            each
            for each in swapping
            if not any(attribute(ancestor, "sse-connect") for ancestor in self_and_ancestors(each))
        ]
        reason = "is not inside a connect element"
    return [f"sse-swap={attribute(each, 'sse-swap')!r} on <{each.name}> {reason}" for each in faulty]


def _names_listened_to(page: LivePage, stream: PageStream) -> set[str]:
    """Return the names of the events that elements of the page take from a stream."""
    if stream.by_live_script:
        return {"message"}
    if page.htmx == 2:
        names = {
            name.strip()
            for element in elements(page.document)
            if attribute(element, "sse-swap") and enclosing_stream(element, page.streams) is stream
            for name in (attribute(element, "sse-swap") or "").split(",")
        }
        prefix = "sse:"
    else:
        names, prefix = {"message"}, ""
    inside = [each for each in elements(page.document) if stream.element in self_and_ancestors(each)]
    for trigger in [attribute(each, "hx-trigger") or "" for each in inside]:
        events = [(part.split() or [""])[0].partition("[")[0] for part in trigger.split(",")]
        names |= {each.removeprefix(prefix) for each in events if each.startswith(prefix)}
    return names - _NOT_FROM_THE_STREAM - {stream.close_name() or ""}


async def _receive_everything(
    page: LivePage, expected: Mapping[PageStream, Set[str]], quiet: float, timeout: float
) -> None:
    """Reconnect with an unknown ``Last-Event-ID`` and read until the streams are complete."""
    page.go_offline()
    for stream in page.streams:
        await stream.wait_closed()
        stream.forget_events(last_event_id=_UNKNOWN_EVENT_ID)
    await page.go_online()
    with anyio.move_on_after(timeout):
        received = -1
        while received != _received_count(page) or any(each.may_still_send(names) for each, names in expected.items()):
            received = _received_count(page)
            await anyio.sleep(quiet)


def _received_count(page: LivePage) -> int:
    return sum(stream.received_count for stream in page.streams)


def _problems_of(page: LivePage, stream: PageStream, listened: Set[str], also_sent: Set[str]) -> list[str]:
    sent = stream.event_names() | also_sent
    path = stream.address.partition("?")[0]
    return [
        *(f"the page listens to {name!r}, which {path} does not send" for name in sorted(listened - sent)),
        *(f"{path} sends {name!r}, which nothing in the page listens to" for name in sorted(sent - listened)),
        *(f"{path} sends {what}, which matches nothing in the page" for what in _sent_in_vain(page, stream)),
    ]


def _sent_in_vain(page: LivePage, stream: PageStream) -> list[str]:
    if stream.by_live_script:
        present = {each.attrs.get("id") for each in elements(page.document)}
        sent = {parse_update(event.data).id for event in stream.events if event.event is None}
        return [f"an update of the id {each!r}" for each in sorted(sent) if each not in present]
    selectors = set().union(*(partial_selectors(event.data) for event in stream.events))
    return [f"a partial for {each!r}" for each in sorted(selectors) if not find_all(page.document, each)]
