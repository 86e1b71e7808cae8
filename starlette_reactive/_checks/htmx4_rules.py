"""Rules for pages with htmx 4, where a connect element swaps unnamed messages itself and inheritance is explicit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .document import Document, Node
from .model import Issue, Severity
from .subject import at_element

__all__ = ["check_swaps_4"]

_DOM_EVENTS: Final = frozenset(
    {"abort", "blur", "change", "click", "close", "copy", "cut", "dblclick", "drag", "drop", "error", "focus", "input",
     "invalid", "keydown", "keyup", "load", "mousedown", "mousemove", "mouseout", "mouseover", "mouseup", "paste",
     "reset", "resize", "scroll", "search", "select", "submit", "toggle", "touchend", "touchstart", "wheel"}
)  # fmt: skip
"""Names that a page's own listeners may take for something that a person did."""


def check_swaps_4(document: Document) -> Iterator[Issue]:
    """Check the elements of a page that loads htmx 4."""
    connects = document.connects
    for node in document.nodes:
        yield from _check_dialect(node)
        if node in connects:
            yield from _check_connect(document, node)


def _check_dialect(node: Node) -> Iterator[Issue]:
    connects = node.has("hx-sse:connect") or node.has("sse-connect")
    if node.has("sse-swap") and not (connects and node.events in ([], ["message"])):
        yield at_element(
            Severity.ERROR,
            "sse_dialect",
            node,
            "sse-swap does nothing under htmx 4, which the page loads: named events are never swapped",
            "declare the page with @reactive.page and put {{ live() }} into an empty element, or load htmx 2 and its "
            "SSE extension",
            "sse-swap",
        )
    if "sse:" in (node.own("hx-trigger") or "") and not connects:
        yield at_element(
            Severity.ERROR,
            "sse_dialect",
            node,
            "htmx 4, which the page loads, knows no trigger sse:…",
            "name the event itself as the trigger, with from: the connect element",
            "hx-trigger",
        )
    if node.has("hx-disinherit"):
        yield at_element(
            Severity.WARNING,
            "sse_dialect",
            node,
            "hx-disinherit does nothing under htmx 4, which the page loads: only attributes with :inherited are handed "
            "down",
            "remove it, and remove :inherited where an attribute shall not be handed down",
            "hx-disinherit",
        )


def _check_connect(document: Document, node: Node) -> Iterator[Issue]:
    close = node.own("hx-sse:close") or node.own("sse-close") or ""
    if close in _DOM_EVENTS:
        yield at_element(
            Severity.ERROR,
            "sse_event_name",
            node,
            f"the event {close!r} is dispatched in the page, and sets off whatever listens to {close!r} there",
            'name an event of your own, such as "reactive-close", here and in close_event=',
            "hx-sse:close" if node.has("hx-sse:close") else "sse-close",
        )
    style = document.style(node)
    if not style.known or style.value == "none":
        return
    if style.value.startswith("morph"):
        yield at_element(
            Severity.ERROR,
            "sse_dialect",
            node,
            f"htmx 4 knows no swap style {style.value!r}: the stream ends with the first message",
            'write hx-swap="innerMorph" or "outerMorph"',
            style.attribute if style.node is node else _connecting(node),
        )
        return
    yield from _check_inherited(document, node)


def _check_inherited(document: Document, node: Node) -> Iterator[Issue]:
    target, select = document.closest(node, "hx-target"), document.closest(node, "hx-select")
    if target is not None and target.known and target.node is not node and document.target(node) is not None:
        yield at_element(
            Severity.ERROR,
            "sse_scope",
            node,
            f"messages of this stream are swapped into {target.value!r}, which {target.source} hands down",
            'write hx-target="this" on the connect element',
            _connecting(node),
        )
    elif select is not None and select.known and select.value not in ("", "unset"):
        yield at_element(
            Severity.WARNING,
            "select_inheritance",
            node,
            f"hx-select={select.value!r} of {select.source} holds for the messages of this stream too, and empties "
            "them",
            'remove it, or give the stream an element of its own with hx-swap="none"',
            select.attribute if select.node is node else _connecting(node),
        )


def _connecting(node: Node) -> str:
    return "hx-sse:connect" if node.has("hx-sse:connect") else "sse-connect"
