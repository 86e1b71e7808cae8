"""The adapter to Jinja.

It finds what the blocks of a page read and which elements show them, and renders a block alone. No other room uses
Jinja's syntax trees or compiled templates.
"""

from __future__ import annotations

from .analysis.callables import declare_reads
from .composed_page import analyse
from .declared_parents import declare_parents
from .elements.page import DYNAMIC, Element, elements
from .reads import BlockReads, PageReads
from .render import CompiledBlock, compile_block

__all__ = [
    "DYNAMIC",
    "BlockReads",
    "CompiledBlock",
    "Element",
    "PageReads",
    "analyse",
    "compile_block",
    "declare_parents",
    "declare_reads",
    "elements",
]
