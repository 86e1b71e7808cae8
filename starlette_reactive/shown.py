"""Which block an element of the page shows, and where in the block or around it the element stands."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Set

from .blocks import BlockRef, Placement
from .jinja import DYNAMIC, Element, PageReads

__all__ = ["around_uses", "own_elements", "swapped_blocks"]

logger = logging.getLogger("starlette_reactive.index")


def swapped_blocks(page: PageReads, element: Element, excluded: frozenset[str]) -> Iterator[tuple[BlockRef, Placement]]:
    """Find the blocks that an element with ``sse-swap`` shows, as references with their placement."""
    swap = element.attributes.get("sse-swap") or element.attributes.get("data-sse-swap")
    if not swap:
        return
    events = [event for event in (part.strip() for part in swap.split(",")) if event and DYNAMIC not in event]
    dom_id = element.attributes.get("id")
    dom_id = None if not dom_id or DYNAMIC in dom_id else dom_id
    place = f"{element.template}:{element.line}"
    found = _shown_by(element, {*events, dom_id})
    if found is None or not events:
        if events != ["message"]:
            logger.warning(
                "%s: the element <%s sse-swap=%r> shows no block: put one block inside it, or make it the root of one",
                place,
                element.tag,
                swap,
            )
        return
    name, placement = found
    if name in excluded:
        return
    reads = page.blocks[name]
    if reads.alone is not None:
        logger.warning("%s: the block %r cannot be rendered alone: %s", place, name, reads.alone)
        return
    event = next((each for each in (name, dom_id) if each in events), events[0])
    target = dom_id or name
    yield (
        BlockRef(
            page.template_name,
            name,
            dom_id=None if target == name else target,
            event=None if event == target else event,
        ),
        placement,
    )


def _shown_by(element: Element, names: set[str | None]) -> tuple[str, Placement] | None:
    if element.sole:
        return element.holds[0], Placement.INSIDE
    named_inside = [block for block in element.holds if block in names]
    if element.around is not None and (element.root or (element.around in names and not named_inside)):
        return element.around, Placement.AROUND
    if named_inside or len(element.holds) == 1:
        return (named_inside or list(element.holds))[0], Placement.INSIDE
    return None


def around_uses(page: PageReads, names: Set[str]) -> frozenset[str]:
    """Find the blocks that use one of the names, and those around them."""
    found = set()
    for block in page.blocks.values():
        if names.isdisjoint(path.partition(".")[0] for path in block.paths):
            continue
        name: str | None = block.name
        while name is not None:
            found.add(name)
            name = page.blocks[name].parent
    return frozenset(found)


def own_elements(
    page: PageReads, elements: Iterable[Element], left_out: Set[str]
) -> Iterator[tuple[BlockRef, Placement]]:
    """Find the blocks that have an element of their own with an id, as references with their placement.

    Args:
        page: What is known of the page.
        elements: The page's elements.
        left_out: Blocks that are not wanted.
    """
    shown: dict[str, tuple[BlockRef, Placement]] = {}
    for element in elements:
        dom_id = element.attributes.get("id")
        if not dom_id or DYNAMIC in dom_id or element.in_loop:
            continue
        if element.sole:
            name, placement = element.holds[0], Placement.INSIDE
        elif element.root and element.around is not None:
            name, placement = element.around, Placement.AROUND
        else:
            continue
        wanted = name not in left_out and page.blocks[name].alone is None
        if wanted and (name not in shown or placement is Placement.INSIDE):
            shown[name] = (BlockRef(page.template_name, name, dom_id=None if dom_id == name else dom_id), placement)
    yield from shown.values()
