"""Rules for blocks that look live and are not, and for elements that no update can build as a browser does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from .._core.paths import ALL
from .._index.index import registry_of
from .._index.live_elements import NotLive
from .._templates import BlockReads, Element, TreeFault
from .description import AppDescription, DeclaredPage
from .issues import Issue, Severity, block_issue
from .live_blocks import LiveBlock, calls_any
from .page_tree import Node, PageTree

__all__ = ["check_liveness"]

_CONNECT: Final = "live"
"""The function that connects a page."""
_MOST_NAMED: Final = 8
"""Of the blocks of a page without a live one, this many are named."""
_MOST_PATHS: Final = 3
"""Of the paths that a block reads, this many are named."""


def check_liveness(tree: PageTree, blocks: Sequence[LiveBlock], app: AppDescription) -> Iterator[Issue]:
    """Check that what should be live is.

    Args:
        tree: The page.
        blocks: Its live blocks.
        app: The application.
    """
    for block in blocks:
        yield from _check_element(block)
    for page in app.pages_of(tree.name):
        reasons = registry_of(page.index).not_live.get(tree.name, {})
        if not _may_connect(tree):
            message = "the page is declared with @reactive.page, and never calls live(), so no browser connects to it"
            fix = "write <div {{ live() }}></div> into the page or its base layout, outside every block that changes"
            yield Issue(Severity.ERROR, "not_connected", tree.name, None, message, fix)
        if tree.sink is not None and not any(page.index.block_dependencies(*ref.key) for ref in page.index.blocks()):
            yield _no_live_block_issue(tree, reasons)
            continue
        for name, reason in reasons.items():
            yield from _check_not_live(tree, page, name, reason, app)


def _may_connect(tree: PageTree) -> bool:
    """Return whether a page calls ``live()``, or reads what is not known."""
    read = tree.reads.outside.union(*(block.paths for block in tree.reads.blocks.values()))
    return not read.isdisjoint((ALL, _CONNECT))


def _check_element(block: LiveBlock) -> Iterator[Issue]:
    """Check the element of a block that was registered by hand, or that an element with ``sse-swap`` shows."""
    if block.node is None or block.reads.alone is not None:
        return
    fault = block.node.element.update_fault(block.placement)
    if fault is not None:
        yield _markup_issue(block.reads.name, block.node.element, fault)


def _markup_issue(name: str, element: Element, fault: TreeFault) -> Issue:
    dom_id = element.attributes.get("id")
    tag = f"<{element.tag} id={dom_id}>" if dom_id else f"<{element.tag}>"
    message = f"{fault.reason}, so no update of the block {name!r} can leave {tag} as a reload shows it"
    return Issue(Severity.ERROR, "block_markup", *fault.place, message, fault.fix)


def _no_live_block_issue(tree: PageTree, reasons: Mapping[str, NotLive]) -> Issue:
    named = [f"the block {name!r} {reason.reason}" for name, reason in list(reasons.items())[:_MOST_NAMED]]
    if len(reasons) > _MOST_NAMED:
        named.append(f"and {len(reasons) - _MOST_NAMED} more")
    why = "; ".join(named) or "no block shows a value that changes"
    fix = 'put what changes into a block, and the block into an element with an id: <div id="list">'
    fixes = {name: reason.fix for name, reason in list(reasons.items())[:_MOST_NAMED]}
    if len(set(fixes.values())) == 1:
        fix = next(iter(fixes.values()))
    elif fixes:
        fix = "; ".join(f"for {name!r}: {each}" for name, each in fixes.items())
    template, line = tree.sink or (tree.name, None)
    message = f"the page calls live(), and none of its blocks is live: {why}"
    return Issue(Severity.ERROR, "no_live_block", template, line, message, fix)


def _check_not_live(
    tree: PageTree, page: DeclaredPage, name: str, reason: NotLive, app: AppDescription
) -> Iterator[Issue]:
    reads = tree.reads.blocks.get(name)
    if reads is None or reads.alone is not None:
        return  # a block that cannot be rendered alone has an issue of its own
    if name in {ref.block_name for ref in page.index.blocks()}:
        if _may_change(reason, app):
            message = f"the block {name!r} is live only in part: it {reason.reason}"
            yield block_issue(Severity.WARNING, "block_not_live", reads, message, reason.fix)
        return
    owned = [each for each in _own_elements(tree, name) if not each.in_loop]
    inert = reason.element is not None and name in reason.element.holds
    faulty = next((each for each in (*owned, *([reason.element] if inert else ())) if each and each.fault), None)
    if faulty is not None and faulty.fault is not None:
        yield _markup_issue(name, faulty, faulty.fault)
    elif owned:
        yield _not_live_issue(tree, reads, reason, app)


def _not_live_issue(tree: PageTree, reads: BlockReads, reason: NotLive, app: AppDescription) -> Issue:
    why, fix = reason.reason, reason.fix
    if calls_any(tree, reads.name, app.sink_names):
        why, fix = "contains the element with live()", "move that element out of the block"
    paths = sorted(path for path in reads.paths if path.partition(".")[0] not in app.sink_names)
    shown = ", ".join(paths[:_MOST_PATHS]) + (", …" if len(paths) > _MOST_PATHS else "")
    message = f"the block {reads.name!r} is not live: it {why}. Changes of {shown} are not shown there"
    return block_issue(Severity.WARNING, "block_not_live", reads, message, fix)


def _may_change(reason: NotLive, app: AppDescription) -> bool:
    """Return whether the tests around the element of a live block may change while the page is open."""
    if reason.element is None or not reason.element.when:
        return True
    return not reason.element.conditions <= app.viewer_names


def _own_elements(tree: PageTree, name: str) -> list[Element]:
    """Return the elements with an id that seem to be there for a block: around it, or as the only ones in it."""
    around = [node for node in tree.nodes if name in node.element.holds and node.get("id")]
    roots = [node for node in tree.nodes if node.element.around == name and not _is_in_block(node, name)]
    own = [node for node in roots if node.dom_id == name or (node.dom_id is not None and len(roots) == 1)]
    return [node.element for node in (*around, *own)]


def _is_in_block(node: Node, name: str) -> bool:
    return node.parent is not None and node.parent.element.around == name
