"""The adapter to Jinja.

It finds what the blocks of a page read and which elements show them, and renders a block alone. No other room uses
Jinja's syntax trees or compiled templates.
"""

from __future__ import annotations

from .analysis.callables import declare_reads
from .composed_page import analyse
from .declared_parents import declare_parents
from .elements.page import DYNAMIC, Element, element_spans, elements
from .elements.tokenizer import TemplatePlace
from .elements.tree_fault import TreeFault
from .reads import BlockReads, PageReads
from .regions import Region, add_regions, region_name, regions_of
from .render import CompiledBlock, compile_block
from .rows import BlockRows, rows_of_page

__all__ = [
    "DYNAMIC",
    "BlockReads",
    "BlockRows",
    "CompiledBlock",
    "Element",
    "PageReads",
    "Region",
    "TemplatePlace",
    "TreeFault",
    "add_regions",
    "analyse",
    "compile_block",
    "declare_parents",
    "declare_reads",
    "element_spans",
    "elements",
    "region_name",
    "regions_of",
    "rows_of_page",
]
