"""Rules for pages with htmx 4. There, connect elements swap unnamed messages, and inheritance is explicit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .issues import Issue, Severity, element_issue
from .page_tree import Node, PageTree

__all__ = ["check_htmx4"]

_DOM_EVENTS: Final = frozenset(
    {"abort", "blur", "change", "click", "close", "copy", "cut", "dblclick", "drag", "drop", "error", "focus", "input",
     "invalid", "keydown", "keyup", "load", "mousedown", "mousemove", "mouseout", "mouseover", "mouseup", "paste",
     "reset", "resize", "scroll", "search", "select", "submit", "toggle", "touchend", "touchstart", "wheel"}
)  # fmt: skip
"""Events that a page's own listeners may mistake for user input."""


def check_htmx4(tree: PageTree) -> Iterator[Issue]:
    """Check the elements of a page that loads htmx 4."""
    connect_elements = tree.connect_elements
    for node in tree.nodes:
        yield from _check_dialect(node)
        if node in connect_elements:
            yield from _check_connect(tree, node)


def _check_dialect(node: Node) -> Iterator[Issue]:
    connects = node.has("hx-sse:connect") or node.has("sse-connect")
    if node.has("sse-swap") and not (connects and node.events in ([], ["message"])):
        yield element_issue(
            Severity.ERROR,
            "sse_dialect",
            node,
            "sse-swap has no effect in htmx 4, which the page loads: named events are never swapped",
            "declare the page with @reactive.page and put {{ live() }} into an empty element, or load htmx 2 and its "
            "SSE extension",
            "sse-swap",
        )
    if "sse:" in (node.get("hx-trigger") or "") and not connects:
        yield element_issue(
            Severity.ERROR,
            "sse_dialect",
            node,
            "the page loads htmx 4, which has no trigger sse:…",
            "use the event's name as the trigger, with from: and the connect element",
            "hx-trigger",
        )
    if node.has("hx-disinherit"):
        yield element_issue(
            Severity.WARNING,
            "sse_dialect",
            node,
            "hx-disinherit has no effect in htmx 4, which the page loads: only attributes "
            "with :inherited are inherited",
            "remove it, and remove :inherited from attributes that must not be inherited",
            "hx-disinherit",
        )


def _check_connect(tree: PageTree, node: Node) -> Iterator[Issue]:
    close = node.get("hx-sse:close") or node.get("sse-close") or ""
    if close in _DOM_EVENTS:
        yield element_issue(
            Severity.ERROR,
            "sse_event_name",
            node,
            f"the event {close!r} is dispatched in the page, and triggers whatever listens for {close!r} there",
            'choose a custom event name such as "reactive-close", here and in close_event=',
            "hx-sse:close" if node.has("hx-sse:close") else "sse-close",
        )
    style = tree.swap_style(node)
    if not style.known or style.value == "none":
        return
    if style.value.startswith("morph"):
        yield element_issue(
            Severity.ERROR,
            "sse_dialect",
            node,
            f"htmx 4 has no swap style {style.value!r}: the first message ends the stream",
            'write hx-swap="innerMorph" or "outerMorph"',
            style.attribute if style.node is node else _connect_attribute(node),
        )
        return
    yield from _check_inherited(tree, node)


def _check_inherited(tree: PageTree, node: Node) -> Iterator[Issue]:
    target, select = tree.closest(node, "hx-target"), tree.closest(node, "hx-select")
    if target is not None and target.known and target.node is not node and tree.target(node) is not None:
        yield element_issue(
            Severity.ERROR,
            "sse_scope",
            node,
            f"messages of this stream are swapped into {target.value!r}, inherited from {target.source}",
            'write hx-target="this" on the connect element',
            _connect_attribute(node),
        )
    elif select is not None and select.known and select.value not in ("", "unset"):
        yield element_issue(
            Severity.WARNING,
            "select_inheritance",
            node,
            f"hx-select={select.value!r} of {select.source} also filters the messages of this stream, and empties them",
            'remove it, or give the stream a separate element with hx-swap="none"',
            select.attribute if select.node is node else _connect_attribute(node),
        )


def _connect_attribute(node: Node) -> str:
    return "hx-sse:connect" if node.has("hx-sse:connect") else "sse-connect"
