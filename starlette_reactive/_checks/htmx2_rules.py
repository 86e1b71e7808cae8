"""Rules for pages with htmx 2: where the messages of a stream are swapped, and how.

Each rule describes what happens in the browser. Tests in Chromium prove it.
"""

from __future__ import annotations

from collections.abc import Iterator

from .._templates import DYNAMIC
from .issues import Issue, Severity, element_issue
from .page_tree import Node, PageTree, ResolvedAttribute, is_appending

__all__ = ["check_htmx2"]

_BROWSER_EVENTS = frozenset({"open", "error"})
_OUTER = frozenset({"outerHTML", "delete", "morph:outerHTML", "morph"})
_INNER = frozenset({"innerHTML", "textContent", "morph:innerHTML"})
_MUTATING = ("hx-post", "hx-put", "hx-patch", "hx-delete")
_SWAP_ITSELF = 'give the element its own hx-target="this" and hx-swap'


def check_htmx2(tree: PageTree) -> Iterator[Issue]:
    """Check the elements of a page that loads htmx 2."""
    scoped = list(_check_scopes(tree))
    yield from (issue for _, issue in scoped)
    reported = {id(node) for nodes, _ in scoped for node in nodes}
    for node in tree.swap_elements:
        yield from _check_events(node)
        connect = tree.connect_element_of(node)
        if connect is None:
            yield from _check_unconnected(tree, node)
        elif connect is node:
            yield from _check_self_swap(tree, node)
        elif id(node) not in reported:
            yield from _check_safety(tree, node)
    for node in tree.connect_elements:
        yield from _check_connect(tree, node)
    for node in tree.nodes:
        if node.has("hx-sse:connect") and not node.has("sse-connect"):
            yield _htmx4_connect_issue(node)
        yield from _check_select(tree, node)


def _check_scopes(tree: PageTree) -> Iterator[tuple[list[Node], Issue]]:
    """Find connect elements whose messages land outside the elements that show them."""
    for connect in tree.connect_elements:
        by_source: dict[int, tuple[ResolvedAttribute, list[Node]]] = {}
        for node in tree.swap_elements:
            if node is connect or tree.connect_element_of(node) is not connect:
                continue
            target = tree.target(node)
            if (
                target is not None
                and target.known
                and target.node in connect.self_and_ancestors()
                and not _swaps_nothing(tree, node)
            ):
                by_source.setdefault(id(target.node), (target, []))[1].append(node)
        for target, nodes in by_source.values():
            yield nodes, _scope_issue(connect, target, nodes)


def _scope_issue(connect: Node, target: ResolvedAttribute, nodes: list[Node]) -> Issue:
    attribute = "hx-disinherit"
    if target.node is connect and target.value == "this":
        attribute = "hx-target"
        what = 'hx-target="this" on the connect element: each message replaces its whole content'
        fix = 'remove it, and give each element with sse-swap its own hx-target="this"'
    else:
        what = (
            f"{', '.join(node.opening_tag for node in nodes)} would swap into {target.value!r}, the hx-target of "
            f"{target.source}"
        )
        fix = 'write hx-disinherit="hx-target hx-swap" (one space, no comma) on the connect element, or give each '
        fix += 'element with sse-swap its own hx-target="this"'
        attribute = "hx-target" if target.node is connect else attribute
    return element_issue(Severity.ERROR, "sse_scope", connect, what, fix, attribute)


def _swaps_nothing(tree: PageTree, node: Node) -> bool:
    style = tree.swap_style(node)
    return not style.known or style.value == "none"


def _check_self_swap(tree: PageTree, node: Node) -> Iterator[Issue]:
    style, target = tree.swap_style(node), tree.target(node)
    if not style.known or style.value == "none" or (target is not None and not target.known):
        return
    if target is not None:
        if target.node is not node:
            yield element_issue(
                Severity.ERROR,
                "sse_self_swap",
                node,
                f"the connect element swaps its messages into {target.value!r}, the hx-target of {target.source}",
                'write hx-target="this" on it; an hx-disinherit on the same element does not help',
                "sse-swap",
            )
    elif style.value in _OUTER and not _morphs_nothing(tree, node, style):
        yield element_issue(
            Severity.ERROR,
            "sse_self_swap",
            node,
            f"the connect element replaces itself with each message (hx-swap {style.value}), which closes its "
            "connection",
            'put sse-swap on an element inside it, or write hx-swap="innerHTML"',
            "hx-swap" if style.node is node and node.get("hx-swap") else "sse-swap",
        )
    elif style.value in _INNER and _other_children(node):
        yield element_issue(
            Severity.ERROR,
            "sse_self_swap",
            node,
            "the connect element swaps its messages into itself, so the first one removes its other content",
            "put sse-swap on a separate element inside it",
            "sse-swap",
        )


def _other_children(node: Node) -> bool:
    return bool(node.children) and not node.element.sole


def _check_safety(tree: PageTree, node: Node) -> Iterator[Issue]:
    """Find elements inside the connect element that do not swap their messages into themselves."""
    target, style = tree.target(node), tree.swap_style(node)
    if (target is not None and not target.known) or not style.known:
        return
    if target is None and _is_boosted(tree, node):
        message = "an sse-swap on a boosted link or form without a target replaces the whole body"
        yield element_issue(Severity.WARNING, "swap_safety", node, message, _SWAP_ITSELF, "sse-swap")
    elif target is not None and target.node is not node and style.value != "none":
        message = f"it swaps into {target.value!r}, the hx-target of {target.source}"
        yield element_issue(Severity.WARNING, "swap_safety", node, message, _SWAP_ITSELF, "sse-swap")
    elif style.value.startswith("morph") and "morph" in (tree.extensions(node) or ()):
        yield from _check_morph(node, style)
    else:
        yield from _check_style(tree, node, style, target)


def _is_boosted(tree: PageTree, node: Node) -> bool:
    if node.tag not in ("a", "form") or tree.closest(node, "hx-target") is not None:
        return False
    boost = tree.closest(node, "hx-boost")
    link = node.get("href") if node.tag == "a" else "form"
    return boost is not None and boost.value == "true" and bool(link) and not str(link).startswith("#")


def _check_morph(node: Node, style: ResolvedAttribute) -> Iterator[Issue]:
    harm = (
        "text of the message that is not inside an element is dropped"
        if style.value == "morph:innerHTML"
        else "each message leaves the listeners of the previous ones in place, so updates pile up"
    )
    yield element_issue(
        Severity.WARNING,
        "swap_morph",
        node,
        f"hx-swap={style.value!r} on an element with sse-swap: {harm}",
        'write hx-swap="innerHTML" around the block, or send the block to the page\'s sink, which morphs',
        "hx-swap" if style.node is node else "sse-swap",
    )


def _check_style(
    tree: PageTree, node: Node, style: ResolvedAttribute, target: ResolvedAttribute | None
) -> Iterator[Issue]:
    inherited = style.node is not node
    source = f" of {style.source}"
    message = ""
    if inherited and (is_appending(style.value) or style.value in ("none", "delete")):
        message = f"it inherits hx-swap={style.value!r}{source}, so its content is not replaced"
    elif target is None and _morphs_nothing(tree, node, style):
        return
    elif target is None and style.value in _OUTER and _shows_inside(node):
        message = f"hx-swap={style.value!r}{source if inherited else ''} replaces the element itself, but its block is "
        message += "inside it: the first update removes the element, and later ones have nowhere to go"
    elif target is None and style.value in _INNER and _shows_around(node):
        message = f"hx-swap={style.value!r}{source if inherited else ''} puts the element into itself, because its "
        message += "block contains the element"
    if message:
        fix = 'write hx-swap="outerHTML"' if _shows_around(node) else 'write hx-swap="innerHTML"'
        attribute = "hx-swap" if node.get("hx-swap") else "sse-swap"
        yield element_issue(Severity.WARNING, "swap_safety", node, message, f"{fix} on this element", attribute)


def _morphs_nothing(tree: PageTree, node: Node, style: ResolvedAttribute) -> bool:
    """Return whether htmx falls back to its default style, because the extension for this one is not active here."""
    return style.value.startswith("morph") and "morph" not in (tree.extensions(node) or ())


def _shows_inside(node: Node) -> bool:
    return node.element.sole and bool({node.element.holds[0], node.dom_id} & set(node.events))


def _shows_around(node: Node) -> bool:
    names = {node.element.around, node.dom_id}
    return node.element.root and not node.element.sole and bool(names & set(node.events))


def _check_events(node: Node) -> Iterator[Issue]:
    for name in node.events:
        if name in _BROWSER_EVENTS:
            yield element_issue(
                Severity.ERROR,
                "sse_event_name",
                node,
                f"the event {name!r} belongs to the connection itself: the browser dispatches it without data, and "
                "each one fails to swap (htmx:swapError)",
                "give the event another name, here and where it is sent",
                "sse-swap",
            )


def _check_unconnected(tree: PageTree, node: Node) -> Iterator[Issue]:
    if tree.text.count("sse-connect") > len(tree.connect_elements):
        return  # a macro or an expression may put it around the element
    if any(each.has_dynamic_attributes for each in node.self_and_ancestors()) or node.has("hx-sse:connect"):
        return
    yield element_issue(
        Severity.ERROR,
        "sse_scope",
        node,
        "it is not inside an element with sse-connect, so it never receives anything",
        "move it into the element with sse-connect",
        "sse-swap",
    )


def _check_connect(tree: PageTree, node: Node) -> Iterator[Issue]:
    extensions = tree.extensions(node)
    if extensions is not None and "sse" not in extensions:
        yield element_issue(
            Severity.ERROR,
            "sse_dialect",
            node,
            'hx-ext="sse" is neither on the element with sse-connect nor above it: htmx 2 does not connect, and '
            "reports no error",
            'write hx-ext="sse" on this element',
            "hx-ext" if node.has("hx-ext") else "sse-connect",
        )
    close = node.get("sse-close") or ""
    if close in (*_BROWSER_EVENTS, "message"):
        yield element_issue(
            Severity.ERROR,
            "sse_event_name",
            node,
            f'sse-close="{close}" names an event of the connection itself, so the first one ends the stream',
            'choose a custom event name such as "reactive-close", here and in close_event=',
            "sse-close",
        )


def _htmx4_connect_issue(node: Node) -> Issue:
    return element_issue(
        Severity.ERROR,
        "sse_dialect",
        node,
        "hx-sse:connect is an attribute of htmx 4; the page loads htmx 2, which does not connect",
        'also write hx-ext="sse" and sse-connect, or load htmx 4',
        "hx-sse:connect",
    )


def _check_select(tree: PageTree, node: Node) -> Iterator[Issue]:
    """Find requests whose responses an inherited hx-select empties."""
    request = next((name for name in _MUTATING if node.has(name)), None)
    if request is None:
        return
    found, target = tree.closest(node, "hx-select"), tree.closest(node, "hx-target")
    if found is None or found.node is node or not found.known or _swaps_nothing(tree, node):
        return
    if target is not None and (target.node is found.node or DYNAMIC in target.value):
        return  # it fetches whole pages, and shows the same part of each
    yield element_issue(
        Severity.WARNING,
        "select_inheritance",
        node,
        f"the response to this request is filtered by hx-select={found.value!r} of {found.source}, which "
        "leaves nothing of a fragment",
        'write hx-select="unset" on this element',
        request,
    )
