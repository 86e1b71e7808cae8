"""Rules for what only the live script updates as a reload shows it. ``tests/fidelity`` shows each in Chromium."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import Final

from .._core.blocks import Placement
from .._templates import DYNAMIC
from .issues import Issue, Severity, element_issue
from .live_blocks import LiveBlock
from .page_tree import Node, PageTree

__all__ = ["check_without_script"]

_SCRIPT: Final = "load the live script with {{ live_scripts() }}"
_TURBO: Final = 'leave out wire="turbo" and load the live script with {{ live_scripts() }}'
_EXECUTED: Final = frozenset({"", "text/javascript", "application/javascript", "module"})


def check_without_script(
    tree: PageTree, blocks: Sequence[LiveBlock], live: Set[str], wires: Set[str]
) -> Iterator[Issue]:
    """Check the live blocks of a page that is updated by htmx or Turbo, and not by the live script.

    Args:
        tree: The page.
        blocks: Its live blocks.
        live: The names of the blocks that an update can replace.
        wires: The wires of the page.
    """
    by_htmx = "htmx" in wires and not tree.live_script
    if not by_htmx and "turbo" not in wires:
        return
    advice = _SCRIPT if by_htmx else _TURBO
    for block in blocks:
        if block.node is not None and block.reads.name in live:
            yield from _check_element(block, block.node, advice)
    for node in tree.nodes:
        name = next((each for each in tree.blocks_around(node.element.around) if each in live), None)
        if name is not None:
            yield from _check_content(name, node, advice, is_htmx_2=by_htmx and tree.htmx.major == 2)


def _check_element(block: LiveBlock, node: Node, advice: str) -> Iterator[Issue]:
    """Check the element that shows a live block."""
    name, is_inside = block.reads.name, block.placement is Placement.INSIDE
    foreign = _foreign(node, is_inside=is_inside)
    if foreign is not None:
        yield _issue(
            node,
            advice,
            f"the live block {name!r} is a part of <{foreign.tag}>, and without the live script an update removes it: "
            "the browser parses it as HTML",
            f"put the whole <{foreign.tag}> into the block",
        )
    elif is_inside and node.tag == "template":
        message = f"without the live script no update reaches the live block {name!r} in a <template>"
        yield _issue(node, advice, message, "put the <template> into the block")
    elif is_inside and node.element.begins_with_break:
        yield _issue(
            node,
            advice,
            f"the live block {name!r} begins its <{node.tag}> with a line break, and without the live script an "
            "update adds another one",
            "begin with text, or put the element into the block",
        )
    elif is_inside and node.tag == "table" and (row := _row_of(node)) is not None:
        yield _issue(
            row,
            advice,
            f"the live block {name!r} has rows without a <tbody>. The browser adds one when it loads the page, and "
            "without the live script not in an update",
            "write the <tbody> into the block, or around it with the id",
        )


def _foreign(node: Node, *, is_inside: bool) -> Node | None:
    """Return the SVG or MathML that an element is a part of. If the block is inside it, it may be that itself."""
    for each in node.self_and_ancestors():
        if each.tag in ("svg", "math") and (is_inside or each is not node):
            return each
        if each.tag == "foreignobject":
            return None
    return None


def _row_of(table: Node) -> Node | None:
    return next((each for each in table.children if each.tag == "tr"), None)


def _check_content(name: str, node: Node, advice: str, *, is_htmx_2: bool) -> Iterator[Issue]:
    """Check an element in a live block."""
    if node.tag == "template" and node.has("shadowrootmode"):
        yield _issue(
            node,
            advice,
            f"the live block {name!r} contains a shadow root, and without the live script an update removes it or does "
            "not change it",
        )
    elif any(map(_is_kept, node.self_and_ancestors())):
        return
    elif node.tag in ("details", "dialog"):
        message = f"the live block {name!r} contains a <{node.tag}>, and without the live script an update closes it"
        yield _issue(node, advice, message, f"keep the <{node.tag}> outside the block")
    elif _is_custom(node) or (is_htmx_2 and node.has("x-data")):
        what = "a custom element" if _is_custom(node) else "an Alpine component"
        message = f"the live block {name!r} contains {what}, and without the live script an update resets its state"
        yield _issue(node, advice, message, f"keep the <{node.tag}> outside the block")
    elif is_htmx_2 and _is_inline_script(node):
        yield _issue(
            node,
            advice,
            f"the live block {name!r} contains a script, and without the live script htmx 2 runs it again at each "
            "update",
            "move the script out of the block",
        )


def _is_kept(node: Node) -> bool:
    return node.has("hx-preserve") or node.has("data-ignore-morph")


def _is_custom(node: Node) -> bool:
    return "-" in node.tag and DYNAMIC not in node.tag and _foreign(node, is_inside=False) is None


def _is_inline_script(node: Node) -> bool:
    kind = (node.get("type") or "").lower()
    return node.tag == "script" and not node.has("src") and kind in _EXECUTED and DYNAMIC not in kind


def _issue(node: Node, advice: str, message: str, other: str = "") -> Issue:
    fix = f"{advice}, or {other}" if other else advice
    return element_issue(Severity.WARNING, "live_script_needed", node, message, fix)
