"""The blocks of a page that are live, and the elements that are made live because a block has none of its own.

A block is live if an element with an ``id`` holds it and nothing else, or is all that it contains. Where there is no
such element, the nearest element around the block that can be updated becomes a region (:mod:`.._templates.regions`):
it is live as a whole. The same happens around an element that the page shows only under a condition, and to an element
whose attributes depend on values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field, replace

from jinja2 import Environment

from .._core.blocks import Placement
from .._core.paths import ALL
from .._templates import DYNAMIC, Element, PageReads, Region, analyse, element_spans, elements, region_name
from .element_blocks import OwnElement, around_uses, own_elements, shows_values

__all__ = ["LiveElements", "NotLive", "find_live_elements"]

_MAX_PASSES = 12
_PREFORMATTED = frozenset({"listing", "pre", "textarea"})
"""The elements whose white space counts."""


@dataclass(frozen=True, slots=True)
class LiveElements:
    """What is live in a page.

    Args:
        page: What the page reads, with its regions as blocks.
        elements: Its elements, with its regions as blocks.
        blocks: The live blocks with their elements.
        left_out: Blocks with an element of their own that are not live, because they contain the page's sink.
        regions: Elements that are live because a block has none of its own.
        not_live: Why changes are not shown, by block: of blocks that show values and are not live, and of those that
            are live only while the page contains their element.
    """

    page: PageReads
    elements: tuple[Element, ...]
    blocks: tuple[OwnElement, ...]
    left_out: frozenset[str]
    regions: frozenset[Region]
    not_live: Mapping[str, NotLive]


@dataclass(frozen=True, slots=True)
class NotLive:
    """Why a block is not live, the element that is concerned, and what makes the block live."""

    reason: str
    fix: str
    element: Element | None = None


@dataclass(slots=True)
class _Search:
    """The search for the live elements of one page."""

    env: Environment
    template_name: str
    excluded: Set[str]
    sinks: Set[str]
    viewer_names: Set[str]
    chosen: dict[str, Region] = field(default_factory=dict)
    rejected: dict[tuple[str, bool], str] = field(default_factory=dict)

    def run(self) -> LiveElements:
        found = self._look()
        for _ in range(_MAX_PASSES):
            if not self._reject_useless(found) and not self._choose(found):
                break
            found = self._look()
        missing = {name: self._explain(found, name) for name, _ in self._needs(found)}
        return replace(found, not_live=missing)

    def _look(self) -> LiveElements:
        regions = frozenset(self.chosen.values())
        page = analyse(self.env, self.template_name, regions=regions)
        shown = elements(self.env, self.template_name, regions=regions)
        around = around_uses(page, self.sinks)
        own = list(own_elements(page, shown, self.excluded, self._constants()))
        blocks = [each for each in own if each.ref.block_name not in around]
        left_out = frozenset(each.ref.block_name for each in own) & around
        return LiveElements(page, tuple(shown), tuple(blocks), left_out, regions, {})

    def _reject_useless(self, found: LiveElements) -> bool:
        """Drop the regions that cannot be updated or show nothing that changes. Return whether there are any."""
        reasons = {region: self._reason_against(found, region) for region in self.chosen.values()}
        useless = {region: reason for region, reason in reasons.items() if reason is not None}
        for region, reason in useless.items():
            del self.chosen[region.dom_id]
            self.rejected[region.dom_id, region.around] = reason
        return bool(useless)

    def _reason_against(self, found: LiveElements, region: Region) -> str | None:
        """Return why a region cannot be live, or an empty string if it need not be."""
        name, live = region.block_name, {each.ref.block_name for each in found.blocks}
        reads = found.page.blocks.get(name)
        if reads is None:
            return "its tags, or names that it sets, belong to other parts of the template as well"
        if reads.alone is not None:
            return f"it cannot be rendered alone: {reads.alone}"
        if name in found.left_out:
            return "it contains the element with live()"
        if self.viewer_names and name in self._refused(found.page):
            return "the page is shared, and it shows what belongs to one viewer"
        return None if name in live and self._is_useful(found.page, region, live) else ""

    def _refused(self, page: PageReads) -> frozenset[str]:
        unknown = {name for name, block in page.blocks.items() if ALL in block.paths}
        return around_uses(page, self.viewer_names).union(unknown, *(page.enclosing(name) for name in unknown))

    def _is_useful(self, page: PageReads, region: Region, live: Set[str]) -> bool:
        """Return whether a region shows values that no other live block shows."""
        if region.around:
            return self._shows(page, region.block_name)
        return any(self._shows(page, name) for name in page.blocks if page.nearest(name, live) == region.block_name)

    def _shows(self, page: PageReads, name: str) -> bool:
        return shows_values(page.blocks[name], self._constants())

    def _constants(self) -> Set[str]:
        return self.env.globals.keys() | self.sinks

    def _choose(self, found: LiveElements) -> bool:
        """Choose a region for each block that needs one. Return whether there is a new one."""
        taken = {*found.page.blocks, *found.page.unplaced}
        before = len(self.chosen)
        for _, candidates in self._needs(found):
            if any(self.chosen.get(element.attributes["id"] or "") for element, _ in candidates):
                continue  # it may cover this block as well
            for element, around in candidates:
                dom_id = element.attributes["id"] or ""
                if (dom_id, around) not in self.rejected:
                    name = region_name(dom_id, taken)
                    self.chosen[dom_id] = Region(element.template, element.line, dom_id, name, around)
                    taken.add(name)
                    break
        return len(self.chosen) > before

    def _needs(self, found: LiveElements) -> Iterator[tuple[str, list[tuple[Element, bool]]]]:
        """Yield each block that needs a region, with the elements that may become it, the best first."""
        live = {each.ref.block_name: each for each in found.blocks}
        owners = _owners(found)
        known = live.keys() | self.excluded
        for name in found.page.blocks:
            if found.page.nearest(name, known) is None and self._shows(found.page, name):
                yield name, self._around(found, owners.get(name))
        known_spans = element_spans(self.env, self.template_name)
        for name, each in live.items():
            if next((outer for outer in found.page.enclosing(name) if outer in live), None) is not None:
                continue  # an update of the block around replaces the element
            element, target = found.elements[each.number], each.ref.target_id
            span = known_spans.get((element.template, element.line, target))
            if element.when:
                yield name, self._around(found, element.parent)
            elif each.placement is Placement.INSIDE and span is not None and target not in self.chosen:
                if span.varies and self.rejected.get((target, True)) != "":
                    yield name, [(element, True)]
                elif span.is_spaced and element.tag in _PREFORMATTED:
                    yield name, [(element, False)]

    def _around(self, found: LiveElements, number: int | None) -> list[tuple[Element, bool]]:
        """Return the elements around a place that may become a region, nearest first."""
        return [(element, False) for element in _surroundings(found, number) if _why_unfit(found, element) is None]

    def _explain(self, found: LiveElements, name: str) -> NotLive:
        """Return why changes of what a block shows are not shown."""
        own = next((each for each in found.blocks if each.ref.block_name == name), None)
        if own is not None:
            element = found.elements[own.number]
            if element.when:
                return NotLive(
                    f"is updated in the element #{own.ref.target_id}, which the page shows only under a condition; "
                    "when the condition changes, no update adds or removes the element",
                    "put an element that has an id, and that is always there, around the condition",
                    element,
                )
            return NotLive(
                f"is updated in the element #{own.ref.target_id}, whose attributes show values and are not updated: "
                f"{self.rejected.get((own.ref.target_id, True))}",
                "put the whole element into a block",
                element,
            )
        return self._explain_uncovered(found, name)

    def _explain_uncovered(self, found: LiveElements, name: str) -> NotLive:
        own = next((each for each in found.elements if each.around == name and each.attributes.get("id")), None)
        around = list(_surroundings(found, _owners(found).get(name)))
        taken = {element.attributes.get("id") for element in found.elements}
        dom_id = f"{name}-area" if name in taken else name
        fix = f'put the block, and nothing else, into an element that is always there: <div id="{dom_id}">'
        for element in around:
            dom_id = element.attributes["id"] or ""
            fault = element.update_fault(Placement.INSIDE)
            if fault is not None:
                return NotLive(f"cannot be updated in #{dom_id}, because {fault.reason}", fault.fix, element)
            reason = _why_unfit(found, element) or self.rejected.get((dom_id, False))
            if reason:
                shown = f"#{dom_id}" if DYNAMIC not in dom_id else f"<{element.tag} id=…>"
                return NotLive(f"has no element of its own, and {shown} around it is not live: {reason}", fix, element)
        fault = own.update_fault(Placement.AROUND) if own is not None and own.root else None
        if own is not None and fault is not None:
            return NotLive(f"cannot replace #{own.attributes['id']}, because {fault.reason}", fault.fix, own)
        if own is not None:
            reason = f"shows #{own.attributes['id']} under a condition, in a loop or beside other content"
            return NotLive(f"{reason}, and no element with an id is around it", fix, own)
        return NotLive("is in no element with an id", fix)


def _surroundings(found: LiveElements, number: int | None) -> Iterator[Element]:
    """Yield the elements with an id around a place, nearest first."""
    while number is not None:
        element = found.elements[number]
        if element.attributes.get("id"):
            yield element
        number = element.parent


def _why_unfit(found: LiveElements, element: Element) -> str | None:
    """Return why no update can replace the content of an element."""
    dom_id = element.attributes["id"] or ""
    fault = element.update_fault(Placement.INSIDE)
    if fault is not None:
        return fault.reason
    if DYNAMIC in dom_id:
        return "its id depends on a value"
    if element.in_loop:
        return "it is in a loop"
    if element.when:
        return "the page shows it only under a condition"
    if sum(each.attributes.get("id") == dom_id for each in found.elements) > 1:
        return "its id occurs more than once"
    return None


def _owners(found: LiveElements) -> Mapping[str, int]:
    """Return the element around each block, by its position."""
    owners = {name: number for number, element in enumerate(found.elements) for name in element.holds}
    for name in found.page.blocks:  # a block comes before the blocks nested in it
        outer = next((each for each in found.page.enclosing(name) if each in owners), None)
        if name not in owners and outer is not None:
            owners[name] = owners[outer]
    return owners


def find_live_elements(
    env: Environment,
    template_name: str,
    *,
    excluded: Set[str] = frozenset(),
    sinks: Set[str] = frozenset(),
    viewer_names: Set[str] = frozenset(),
) -> LiveElements:
    """Find which blocks of a page are live.

    Args:
        env: The environment that renders the page.
        template_name: The page's template, as the loader knows it.
        excluded: Blocks that are not live.
        sinks: Names. An element that contains a use of one of them is not live.
        viewer_names: Names. An element that contains a use of one of them does not become a region.

    Raises:
        TemplateLoadError: A template of the page does not exist or does not parse.
    """
    return _Search(env, template_name, excluded, sinks, viewer_names).run()
