"""Regions: elements of a page that count as blocks of their own, beside those that the templates define.

A block is live if an element holds it and nothing else. Where none does, an element further out can be live in its
place. Its part of the syntax tree then becomes a block, in a copy of the template that only the analysis and the
updates use. The application's own templates stay as they are, and so does the page that they render.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Container, Iterable, Set
from dataclasses import dataclass

from jinja2 import Environment

from .._core.blocks import Placement
from .elements.spans import put_block, spans
from .environment_cache import PerEnvironment
from .sources import ParsedTemplate, TemplateLibrary, blocks_of

__all__ = ["Region", "RegionLibrary", "add_regions", "region_name", "regions_of"]


@dataclass(frozen=True, slots=True, order=True)
class Region:
    """An element that counts as a block.

    Args:
        template: The template that contains the element.
        line: The line of its start tag there.
        dom_id: Its ``id``.
        block_name: The name of the block.
        around: Whether the block contains the element, and not only what the element holds.
    """

    template: str
    line: int
    dom_id: str
    block_name: str
    around: bool = False

    @property
    def placement(self) -> Placement:
        """How the block and the element are nested."""
        return Placement.AROUND if self.around else Placement.INSIDE


class RegionLibrary(TemplateLibrary):
    """The templates of an environment, with regions as blocks."""

    def __init__(self, env: Environment, plain: TemplateLibrary, regions: Iterable[Region]) -> None:
        super().__init__(env)
        self._plain = plain
        self._regions: dict[str, list[Region]] = {}
        for region in sorted(regions):
            self._regions.setdefault(region.template, []).append(region)
        self._originals: dict[str, ParsedTemplate] = {}

    def template(self, name: str) -> ParsedTemplate:
        """Return the template ``name``; see :meth:`TemplateLibrary.template`."""
        plain = self._plain.template(name)
        regions = self._regions.get(name)
        if not regions:
            return plain
        if self._originals.get(name) is not plain:
            self._originals[name] = plain
            self._store(self._with_regions(plain, regions))
        return self._parsed[name]

    def _with_regions(self, plain: ParsedTemplate, regions: list[Region]) -> ParsedTemplate:
        tree = self.parse(plain.name, plain.source, plain.filename).tree
        for region in regions:
            found = spans(tree, plain.name)
            # an edit of the template may have moved the element to another line
            moved = (span for (_, dom_id), span in found.items() if dom_id == region.dom_id)
            span = found.get((region.line, region.dom_id)) or next(moved, None)
            if span is not None:
                put_block(span, region.block_name, region.placement)
        blocks = blocks_of(tree, plain.name, plain.filename)
        return ParsedTemplate(plain.name, plain.filename, plain.source, tree, blocks, plain.uptodate, own_tree=True)


def region_name(dom_id: str, taken: Container[str]) -> str:
    """Return a name for the block of a region, which Jinja accepts and no other block has."""
    name = "element_" + re.sub(r"\W", "_", dom_id, flags=re.ASCII)
    while name in taken:
        name += "_"
    return name


_regions: PerEnvironment[dict[str, frozenset[Region]]] = PerEnvironment("regions", lambda _: {})
_lock = threading.Lock()


def add_regions(env: Environment, template_name: str, regions: Set[Region]) -> None:
    """Make regions of a page known, so that their blocks can be rendered."""
    with _lock:
        known = _regions.of(env)
        known[template_name] = known.get(template_name, frozenset()) | regions


def regions_of(env: Environment, template_name: str) -> frozenset[Region]:
    """Return the regions of a page that are known."""
    return _regions.of(env).get(template_name, frozenset())
