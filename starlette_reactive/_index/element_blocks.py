"""Which block an element of the page shows, and how the two are nested."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Iterator, Sequence, Set
from typing import NamedTuple

from .._core.blocks import BlockRef, Placement
from .._templates import DYNAMIC, BlockReads, Element, PageReads

__all__ = ["OwnElement", "around_uses", "own_elements", "shows_values", "swapped_blocks", "warn_of_left_out"]

logger: logging.Logger = logging.getLogger("starlette_reactive.index")


def swapped_blocks(
    page: PageReads, elements: Sequence[Element], excluded: Set[str]
) -> Iterator[tuple[BlockRef, Placement]]:
    """Yield the blocks that elements with ``sse-swap`` show, with their placement.

    Logs a warning with the location where an element cannot work, or would replace more than it shows.

    Args:
        page: What the page reads.
        elements: The page's elements.
        excluded: Blocks to leave out.
    """
    for number, element in enumerate(elements):
        swap = element.attributes.get("sse-swap") or element.attributes.get("data-sse-swap") or ""
        events = [event for event in (part.strip() for part in swap.split(",")) if event and DYNAMIC not in event]
        if not events:
            continue
        found = _shown_by(elements, number, {*events, element.attributes.get("id")})
        if found is not None:
            name, placement = found
            if name not in excluded and _can_be_sent(page, element, name):
                yield _ref(page, element, name, events), placement
        elif events != ["message"]:  # the sink of a whole page listens for it
            logger.warning(
                "%s:%d: the element <%s sse-swap=%r> shows no block: put a block inside it, or make it the root of one",
                element.template,
                element.line,
                element.tag,
                swap,
            )


def _can_be_sent(page: PageReads, element: Element, name: str) -> bool:
    reads = page.blocks.get(name)
    reason = "the page shows it in more than one way" if reads is None else reads.alone
    if reason is not None:
        logger.warning("%s:%d: the block %r cannot be rendered alone: %s", element.template, element.line, name, reason)
    return reason is None


def _ref(page: PageReads, element: Element, name: str, events: list[str]) -> BlockRef:
    dom_id = element.attributes.get("id")
    target = name if not dom_id or DYNAMIC in dom_id else dom_id
    event = next((each for each in (name, target) if each in events), events[0])
    return BlockRef(
        page.template_name,
        name,
        dom_id=None if target == name else target,
        event=None if event == target else event,
    )


def _shown_by(elements: Sequence[Element], number: int, names: Set[str | None]) -> tuple[str, Placement] | None:
    element = elements[number]
    if element.sole:
        return element.holds[0], Placement.INSIDE
    inside = _blocks_inside(elements, number)
    named = [block for block in inside if block in names]
    if element.around is not None and (element.root or (element.around in names and not named)):
        return element.around, Placement.AROUND
    if named or len(inside) == 1:
        block = (named or inside)[0]
        logger.warning(
            "%s:%d: the element <%s> holds more than the block %r, and an update replaces all of it: put the block "
            "directly into an element of its own",
            element.template,
            element.line,
            element.tag,
            block,
        )
        return block, Placement.INSIDE
    return None


def _blocks_inside(elements: Sequence[Element], number: int) -> list[str]:
    """Return the outermost blocks in an element, at any depth."""
    within = {number}
    blocks = list(elements[number].holds)
    around = elements[number].around
    for inner in range(number + 1, len(elements)):
        if elements[inner].parent in within:
            within.add(inner)
            if elements[inner].around == around:
                blocks.extend(elements[inner].holds)
    return blocks


def shows_values(block: BlockReads, constants: Container[str]) -> bool:
    """Return whether a block itself shows anything that may change."""
    return any(path.partition(".")[0] not in constants for path in block.paths)


def around_uses(page: PageReads, names: Set[str]) -> frozenset[str]:
    """Return the blocks that use one of the names, and those around them."""
    found: set[str] = set()
    for block in page.blocks.values():
        if names.isdisjoint(path.partition(".")[0] for path in block.paths):
            continue
        found.update((block.name, *page.enclosing(block.name)))
    return frozenset(found)


def warn_of_left_out(page: PageReads, left_out: Set[str], accounted_for: Set[str], known: Container[str]) -> None:
    """Log a warning for each block that looks live but is not, so that changes would not be shown.

    Args:
        page: What the page reads.
        left_out: Blocks with elements of their own that are not registered.
        accounted_for: Blocks that are registered, or left out on purpose.
        known: Names that do not change, such as the environment's globals.
    """
    for name in sorted(left_out):
        paths = {
            path
            for block in page.blocks.values()
            if page.nearest(block.name, left_out | accounted_for) == name
            for path in block.paths
            if path.partition(".")[0] not in known
        }
        if paths:
            logger.warning(
                "%s:%d: the block %r has an element with an id but is not live, because it contains the page's live() "
                "element: changes of %s are not shown there; move that element out of the block",
                page.blocks[name].template,
                page.blocks[name].line,
                name,
                ", ".join(sorted(paths)),
            )


class OwnElement(NamedTuple):
    """A block with an element of its own, how they are nested, and the position of the element in the page."""

    ref: BlockRef
    placement: Placement
    number: int


def own_elements(
    page: PageReads, elements: Iterable[Element], left_out: Set[str], constants: Container[str]
) -> Iterator[OwnElement]:
    """Yield the blocks that have an element of their own with an id.

    Args:
        page: What the page reads.
        elements: The page's elements.
        left_out: Blocks to leave out.
        constants: Names that do not change, such as the environment's globals.
    """
    shown: dict[str, OwnElement] = {}
    for number, element in enumerate(elements):
        dom_id = element.attributes.get("id")
        if not dom_id or DYNAMIC in dom_id or element.in_loop:
            continue
        shown_by = _own_block(page, element, constants)
        if shown_by is None:
            continue
        name, placement = shown_by
        reads = page.blocks.get(name)
        wanted = name not in left_out and reads is not None and reads.alone is None
        wanted = wanted and element.update_fault(placement) is None
        if wanted and (name not in shown or placement is Placement.INSIDE):
            ref = BlockRef(page.template_name, name, dom_id=None if dom_id == name else dom_id)
            shown[name] = OwnElement(ref, placement, number)
    yield from shown.values()


def _own_block(page: PageReads, element: Element, constants: Container[str]) -> tuple[str, Placement] | None:
    """Return the block that an element shows. If it is between two, the outer one counts if its tag shows values."""
    if element.root and element.around is not None:
        around = page.blocks.get(element.around)
        if not element.sole or (around is not None and shows_values(around, constants)):
            return element.around, Placement.AROUND
    return (element.holds[0], Placement.INSIDE) if element.sole else None
