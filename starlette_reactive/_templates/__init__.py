"""The adapter to Jinja: what a page's blocks read, which elements show them, and each of them rendered alone.

Nothing outside of this package looks into Jinja's syntax trees or compiled templates.
"""

from __future__ import annotations

from .analysis.callables import declare_reads
from .elements.page import DYNAMIC, Element, elements
from .reads import BlockReads, PageReads, analyse
from .render import CompiledBlock, compile_block

__all__ = [
    "DYNAMIC",
    "BlockReads",
    "CompiledBlock",
    "Element",
    "PageReads",
    "analyse",
    "compile_block",
    "declare_reads",
    "elements",
]
