"""Rules for pages with htmx 2: where the messages of a stream are swapped, and how.

Each rule goes by what the browser does, as the tests in Chromium show it.
"""

from __future__ import annotations

from collections.abc import Iterator

from .._templates import DYNAMIC
from .document import Document, Found, Node, is_appending
from .model import Issue, Severity
from .subject import at_element

__all__ = ["check_swaps"]

_BROWSER_EVENTS = frozenset({"open", "error"})
_OUTER = frozenset({"outerHTML", "delete", "morph:outerHTML", "morph"})
_INNER = frozenset({"innerHTML", "textContent", "morph:innerHTML"})
_MUTATING = ("hx-post", "hx-put", "hx-patch", "hx-delete")
_OWN = 'give the element hx-target="this" and an hx-swap of its own'


def check_swaps(document: Document) -> Iterator[Issue]:
    """Check the elements of a page that loads htmx 2."""
    scoped = list(_check_scopes(document))
    yield from (issue for _, issue in scoped)
    elsewhere = {id(node) for nodes, _ in scoped for node in nodes}
    for node in document.swaps:
        yield from _check_events(node)
        connect = document.connect_of(node)
        if connect is None:
            yield from _check_unconnected(document, node)
        elif connect is node:
            yield from _check_self_swap(document, node)
        elif id(node) not in elsewhere:
            yield from _check_safety(document, node)
    for node in document.connects:
        yield from _check_connect(document, node)
    for node in document.nodes:
        if node.has("hx-sse:connect") and not node.has("sse-connect"):
            yield _wrong_connect(node)
        yield from _check_select(document, node)


def _check_scopes(document: Document) -> Iterator[tuple[list[Node], Issue]]:
    """Find connect elements whose messages land outside of the elements that show them."""
    for connect in document.connects:
        by_source: dict[int, tuple[Found, list[Node]]] = {}
        for node in document.swaps:
            if node is connect or document.connect_of(node) is not connect:
                continue
            target = document.target(node)
            if target is not None and target.known and target.node in connect.chain() and not _is_quiet(document, node):
                by_source.setdefault(id(target.node), (target, []))[1].append(node)
        for target, nodes in by_source.values():
            yield nodes, _scope_issue(connect, target, nodes)


def _scope_issue(connect: Node, target: Found, nodes: list[Node]) -> Issue:
    attribute = "hx-disinherit"
    if target.node is connect and target.value == "this":
        attribute = "hx-target"
        what = 'hx-target="this" on the connect element: each message replaces all that it holds'
        mend = 'remove it, and give each element with sse-swap its own hx-target="this"'
    else:
        what = (
            f"{', '.join(node.opening for node in nodes)} would swap into {target.value!r}, the hx-target of "
            f"{target.source}"
        )
        mend = 'write hx-disinherit="hx-target hx-swap" (one space, no comma) on the connect element, or give each '
        mend += 'element with sse-swap its own hx-target="this"'
        attribute = "hx-target" if target.node is connect else attribute
    return at_element(Severity.ERROR, "sse_scope", connect, what, mend, attribute)


def _is_quiet(document: Document, node: Node) -> bool:
    style = document.style(node)
    return not style.known or style.value == "none"


def _check_self_swap(document: Document, node: Node) -> Iterator[Issue]:
    style, target = document.style(node), document.target(node)
    if not style.known or style.value == "none" or (target is not None and not target.known):
        return
    if target is not None:
        if target.node is not node:
            yield at_element(
                Severity.ERROR,
                "sse_self_swap",
                node,
                f"the connect element swaps its messages into {target.value!r}, the hx-target of {target.source}",
                'write hx-target="this" on it; an hx-disinherit on the same element does not help',
                "sse-swap",
            )
    elif style.value in _OUTER and not _morphs_nothing(document, node, style):
        yield at_element(
            Severity.ERROR,
            "sse_self_swap",
            node,
            f"the connect element replaces itself with each message (hx-swap {style.value}), and its connection with "
            "it",
            'put sse-swap on an element inside it, or write hx-swap="innerHTML"',
            "hx-swap" if style.node is node and node.own("hx-swap") else "sse-swap",
        )
    elif style.value in _INNER and _other_children(node):
        yield at_element(
            Severity.ERROR,
            "sse_self_swap",
            node,
            "the connect element swaps its messages into itself, and what else it holds is gone with the first one",
            "put sse-swap on an element of its own inside it",
            "sse-swap",
        )


def _other_children(node: Node) -> bool:
    return bool(node.children) and not node.element.sole


def _check_safety(document: Document, node: Node) -> Iterator[Issue]:
    """Find elements inside the connect element that do not swap what they show into themselves."""
    target, style = document.target(node), document.style(node)
    if (target is not None and not target.known) or not style.known:
        return
    if target is None and _is_boosted(document, node):
        message = "an sse-swap on a boosted link or form without a target replaces the whole body"
        yield at_element(Severity.WARNING, "swap_safety", node, message, _OWN, "sse-swap")
    elif target is not None and target.node is not node and style.value != "none":
        message = f"it swaps into {target.value!r}, the hx-target of {target.source}"
        yield at_element(Severity.WARNING, "swap_safety", node, message, _OWN, "sse-swap")
    elif style.value.startswith("morph") and "morph" in (document.extensions(node) or ()):
        yield from _check_morph(node, style)
    else:
        yield from _check_style(document, node, style, target)


def _is_boosted(document: Document, node: Node) -> bool:
    if node.tag not in ("a", "form") or document.closest(node, "hx-target") is not None:
        return False
    boost = document.closest(node, "hx-boost")
    link = node.own("href") if node.tag == "a" else "form"
    return boost is not None and boost.value == "true" and bool(link) and not str(link).startswith("#")


def _check_morph(node: Node, style: Found) -> Iterator[Issue]:
    harm = (
        "text that stands directly in the payload, outside of any element, is dropped"
        if style.value == "morph:innerHTML"
        else "each message leaves the listeners of the earlier ones behind, so that updates pile up"
    )
    yield at_element(
        Severity.WARNING,
        "swap_morph",
        node,
        f"hx-swap={style.value!r} on an element with sse-swap: {harm}",
        'write hx-swap="innerHTML" around the block, or send the block to the page\'s sink, which morphs',
        "hx-swap" if style.node is node else "sse-swap",
    )


def _check_style(document: Document, node: Node, style: Found, target: Found | None) -> Iterator[Issue]:
    inherited = style.node is not node
    source = f" of {style.source}"
    message = ""
    if inherited and (is_appending(style.value) or style.value in ("none", "delete")):
        message = f"it takes over hx-swap={style.value!r}{source}, so its content is not replaced"
    elif target is None and _morphs_nothing(document, node, style):
        return
    elif target is None and style.value in _OUTER and _shows_inside(node):
        message = f"hx-swap={style.value!r}{source if inherited else ''} replaces the element itself, while its block "
        message += "stands inside it: the first update deletes the element, and later ones have nowhere to go"
    elif target is None and style.value in _INNER and _shows_around(node):
        message = f"hx-swap={style.value!r}{source if inherited else ''} puts the element into itself, for its block "
        message += "holds the element"
    if message:
        mend = 'write hx-swap="outerHTML"' if _shows_around(node) else 'write hx-swap="innerHTML"'
        attribute = "hx-swap" if node.own("hx-swap") else "sse-swap"
        yield at_element(Severity.WARNING, "swap_safety", node, message, f"{mend} on this element", attribute)


def _morphs_nothing(document: Document, node: Node, style: Found) -> bool:
    """Tell whether htmx falls back to its default style, for the extension that knows this one does not hold here."""
    return style.value.startswith("morph") and "morph" not in (document.extensions(node) or ())


def _shows_inside(node: Node) -> bool:
    return node.element.sole and bool({node.element.holds[0], node.dom_id} & set(node.events))


def _shows_around(node: Node) -> bool:
    names = {node.element.around, node.dom_id}
    return node.element.root and not node.element.sole and bool(names & set(node.events))


def _check_events(node: Node) -> Iterator[Issue]:
    for name in node.events:
        if name in _BROWSER_EVENTS:
            yield at_element(
                Severity.ERROR,
                "sse_event_name",
                node,
                f"the event {name!r} is the connection's own: the browser dispatches it without data, and htmx "
                "fails to swap that each time (htmx:swapError)",
                "give the event another name, here and where it is sent",
                "sse-swap",
            )


def _check_unconnected(document: Document, node: Node) -> Iterator[Issue]:
    if document.text.count("sse-connect") > len(document.connects):
        return  # a macro or an expression may put it around
    if any(each.open_ended for each in node.chain()) or node.has("hx-sse:connect"):
        return
    yield at_element(
        Severity.ERROR,
        "sse_scope",
        node,
        "no element with sse-connect is around it, so it never receives anything",
        "move it into the element with sse-connect",
        "sse-swap",
    )


def _check_connect(document: Document, node: Node) -> Iterator[Issue]:
    extensions = document.extensions(node)
    if extensions is not None and "sse" not in extensions:
        yield at_element(
            Severity.ERROR,
            "sse_dialect",
            node,
            'hx-ext="sse" is neither on the element with sse-connect nor above it: htmx 2 does not connect, and does '
            "not say so",
            'write hx-ext="sse" on this element',
            "hx-ext" if node.has("hx-ext") else "sse-connect",
        )
    close = node.own("sse-close") or ""
    if close in (*_BROWSER_EVENTS, "message"):
        yield at_element(
            Severity.ERROR,
            "sse_event_name",
            node,
            f'sse-close="{close}" names an event of the connection itself, so the stream ends with the first one',
            'name an event of your own, such as "reactive-close", here and in close_event=',
            "sse-close",
        )


def _wrong_connect(node: Node) -> Issue:
    return at_element(
        Severity.ERROR,
        "sse_dialect",
        node,
        "hx-sse:connect is htmx 4's; htmx 2, which the page loads, does not connect",
        'write hx-ext="sse" and sse-connect as well, or load htmx 4',
        "hx-sse:connect",
    )


def _check_select(document: Document, node: Node) -> Iterator[Issue]:
    """Find requests whose answers an hx-select further out empties."""
    request = next((name for name in _MUTATING if node.has(name)), None)
    if request is None:
        return
    found, target = document.closest(node, "hx-select"), document.closest(node, "hx-target")
    if found is None or found.node is node or not found.known or _is_quiet(document, node):
        return
    if target is not None and (target.node is found.node or DYNAMIC in target.value):
        return  # whole pages are fetched, and the same part of each is shown
    yield at_element(
        Severity.WARNING,
        "select_inheritance",
        node,
        f"the answer to this request goes through hx-select={found.value!r} of {found.source}, which "
        "leaves nothing of a fragment",
        'write hx-select="unset" on this element',
        request,
    )
