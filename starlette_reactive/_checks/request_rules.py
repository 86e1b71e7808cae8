"""Rules for requests whose answers go into a live block, where the next update replaces them."""

from __future__ import annotations

from collections.abc import Iterator, Set

from .._templates import DYNAMIC
from .issues import Issue, Severity, element_issue
from .live_blocks import block_shown_by
from .page_tree import Node, PageTree, is_appending

__all__ = ["check_requests"]

_FIELDS = frozenset({"input", "select", "textarea"})
_BESIDE = frozenset({"beforebegin", "afterend", "before", "after"})
_NO_SWAP = frozenset({"none", "delete"})


def check_requests(tree: PageTree, live: Set[str], *, declared: bool) -> Iterator[Issue]:
    """Check the elements that fetch something into a live block.

    Args:
        tree: The page.
        live: The names of the blocks that an update can replace.
        declared: Whether the page is one under ``@reactive.page``.
    """
    for node in tree.nodes:
        style, target = tree.swap_style(node), _target(tree, node)
        if not node.get("hx-get") or target is None or not style.known or style.value in _NO_SWAP:
            continue
        if is_appending(style.value):
            block = _block_of(tree, target, live, beside=style.value in _BESIDE)
            if block is not None:
                yield _appended_issue(node, style.value, block)
        elif declared and not tree.live_script and _has_query(tree, node):
            block = _block_of(tree, target, live, beside=False)
            if block is not None:
                yield _query_issue(node, block)


def _target(tree: PageTree, node: Node) -> Node | None:
    """Return the element that an answer goes to. ``None`` if it is not certain which that is."""
    found = tree.closest(node, "hx-target")
    if found is None:
        return node
    if found.value == "this":
        return found.node
    nodes = tree.with_id(found.value[1:]) if found.value.startswith("#") else []
    return nodes[0] if len(nodes) == 1 else None


def _block_of(tree: PageTree, target: Node, live: Set[str], *, beside: bool) -> str | None:
    """Return the live block that an answer is put into. ``None`` if it is not put into one.

    Args:
        tree: The page.
        target: The element that the answer goes to.
        live: The names of the live blocks.
        beside: Whether the answer goes next to the element, and not into it or in its place.
    """
    shown, around = block_shown_by(target), target.element.around
    if not beside and shown in live:
        return shown
    if around is not None and around == shown and target.dom_id is not None and not _is_inside_another(tree, around):
        around = tree.reads.blocks[around].parent  # the element is the block, and what is beside it is not in the block
    return next((name for name in tree.blocks_around(around) if name in live), None)


def _is_inside_another(tree: PageTree, block: str) -> bool:
    """Return whether an element with an id holds a block, and nothing else."""
    return any(node.dom_id is not None and node.element.sole and node.element.holds[0] == block for node in tree.nodes)


def _has_query(tree: PageTree, node: Node) -> bool:
    """Return whether a request certainly has a query."""
    address = node.get("hx-get") or ""
    if "?" in address:
        return not address.endswith("?")
    if node.has("hx-params"):
        return False
    if node.tag == "form":
        return any(each.tag in _FIELDS and _is_sent(each) and node in each.self_and_ancestors() for each in tree.nodes)
    return node.tag in _FIELDS and _is_sent(node)


def _is_sent(node: Node) -> bool:
    return bool(node.get("name")) and not node.has("disabled") and DYNAMIC not in (node.get("type") or "")


def _appended_issue(node: Node, style: str, block: str) -> Issue:
    return element_issue(
        Severity.WARNING,
        "appended_items",
        node,
        f"the answer is added to the live block {block!r} ({style}), and the next update of the block removes it, "
        "because it shows what the page's own request shows",
        "append to an element outside live blocks, or fetch the page with a query that says how many items it "
        "shows, so that the block has them all",
        "hx-swap" if node.get("hx-swap") else "hx-get",
    )


def _query_issue(node: Node, block: str) -> Issue:
    return element_issue(
        Severity.WARNING,
        "query_without_script",
        node,
        f"the answer to this request is shown in the live block {block!r}, and the next update of the block shows what "
        "the page shows for its own query",
        "load the live script with {{ live_scripts() }}, whose stream follows the query, or load the page itself with "
        "the query",
        "hx-get",
    )
