"""Which blocks of a page are live, and the elements that show them."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass

from .._core.blocks import BlockRef, Placement
from .._index.index import DependencyIndex
from .._templates import BlockReads
from .description import AppDescription
from .page_tree import Node, PageTree

__all__ = ["LiveBlock", "block_shown_by", "calls_any", "listeners_for", "live_blocks", "sendable_names"]


@dataclass(frozen=True, slots=True)
class LiveBlock:
    """A block that a page's stream sends, or is meant to send.

    Args:
        reads: What it reads.
        node: The element that shows it, if the page has one.
        ref: Its reference, if it is registered.
        index: The index where it is registered.
    """

    reads: BlockReads
    node: Node | None
    ref: BlockRef | None = None
    index: DependencyIndex | None = None

    @property
    def placement(self) -> Placement:
        """Whether the element that shows it is around it or in it."""
        element = self.node.element if self.node is not None else None
        if element is None or self.reads.name in element.holds or element.around != self.reads.name:
            return Placement.INSIDE
        return Placement.AROUND if element.root else Placement.INSIDE

    def can_be_sent(self, tree: PageTree) -> bool:
        """Return whether any change can cause an update of the block."""
        if self.ref is not None and self.index is not None:
            return bool(self.index.block_dependencies(*self.ref.key))
        return any(
            block.paths for block in tree.reads.blocks.values() if self.reads.name in tree.blocks_around(block.name)
        )


def live_blocks(tree: PageTree, app: AppDescription) -> list[LiveBlock]:
    """Return the live blocks: registered, shown by an element with ``sse-swap``, or part of a declared page."""
    found = {(each.reads.name, each.ref.target_id): each for each in _registered(tree, app) if each.ref is not None}
    registered = {name for name, _ in found}
    declared = bool(app.pages_of(tree.name))
    for node in tree.nodes:
        block = block_shown_by(node)
        if block is None or block not in tree.reads.blocks or block in registered:
            continue
        has_event = node.events not in ([], ["message"])
        has_id = declared and node.dom_id is not None and not node.element.in_loop
        if not has_event and (not has_id or _is_left_out(tree, block, app.sink_names)):
            continue
        found.setdefault((block, node.dom_id or block), LiveBlock(tree.reads.blocks[block], node))
    return list(found.values())


def _registered(tree: PageTree, app: AppDescription) -> Iterator[LiveBlock]:
    seen: set[tuple[str, str]] = set()
    for index in [*app.indexes, *(page.index for page in app.pages_of(tree.name))]:
        for ref in index.blocks():
            reads = tree.reads.blocks.get(ref.block_name) or tree.reads.unplaced.get(ref.block_name)
            key = (ref.block_name, ref.target_id)
            if ref.template_name == tree.name and reads is not None and key not in seen:
                seen.add(key)
                nodes = tree.with_id(ref.target_id) or listeners_for(tree, ref.event_name)
                yield LiveBlock(reads, nodes[0] if nodes else None, ref, index)


def _is_left_out(tree: PageTree, block: str, sink_names: Set[str]) -> bool:
    """Return whether an unregistered block of a declared page is excluded, or contains the page's sink."""
    return tree.reads.blocks[block].alone is None or calls_any(tree, block, sink_names)


def calls_any(tree: PageTree, block: str, names: Set[str]) -> bool:
    """Return whether a block, or one in it, uses one of the names."""
    return any(
        names & {path.partition(".")[0] for path in reads.paths}
        for reads in tree.reads.blocks.values()
        if block in tree.blocks_around(reads.name)
    )


def listeners_for(tree: PageTree, event: str) -> list[Node]:
    """Return the elements whose ``sse-swap`` names an event."""
    return [node for node in tree.swap_elements if event in node.events]


def block_shown_by(node: Node) -> str | None:
    """Return the block that an element shows: its only content, or the block whose root element it is."""
    if node.element.sole:
        return node.element.holds[0]
    return node.element.around if node.element.root else None


def sendable_names(tree: PageTree, blocks: list[LiveBlock]) -> set[str]:
    """Return the names of the live blocks that an update can replace."""
    return {block.reads.name for block in blocks if block.reads.alone is None and block.can_be_sent(tree)}
