"""Which live blocks show what belongs to one viewer, and because of which name.

A block's HTML contains the blocks nested in it, excluded ones too. So a block around a personal block is personal.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from .._core.blocks import BlockRef
from .._core.paths import ALL
from .registry import Registry

__all__ = ["Personal", "personal_blocks"]


@dataclass(frozen=True, slots=True)
class Personal:
    """Why a block is personal.

    Args:
        block: The block that reads the name: the personal block itself, or one nested in it.
        name: The context variable that belongs to one viewer. ``None`` if the block may read anything.
        widened: Why it may read anything. Empty if it does not.
        differs: Whether it is only personal because it was different for two viewers with an equal key.
    """

    block: str
    name: str | None
    widened: tuple[str, ...] = ()
    differs: bool = False

    def describe(self, around: str) -> str:
        """Return why a block is personal, as the end of a sentence whose subject is that block.

        Args:
            around: The name of the personal block.
        """
        if self.differs:
            return "was different for two viewers with an equal key"
        if self.name is None:
            reads = f"may read anything ({'; '.join(self.widened)})" if self.widened else "may read anything"
        else:
            reads = f"reads {self.name!r}"
        return reads if self.block == around else f"contains the block {self.block!r}, which {reads}"


def personal_blocks(registry: Registry, viewer_names: Set[str]) -> dict[BlockRef, Personal]:
    """Return the registered blocks that are personal.

    Args:
        registry: The blocks.
        viewer_names: The context variables that belong to one viewer.
    """
    found = {}
    for ref in registry.blocks():
        reason = _reason(registry, ref, viewer_names)
        if reason is not None:
            found[ref] = reason
    return found


def _reason(registry: Registry, ref: BlockRef, viewer_names: Set[str]) -> Personal | None:
    page, name = registry.page(ref.template_name), ref.block_name
    if page is not None:
        for block in page.blocks.values():
            if name in (block.name, *page.enclosing(block.name)) and (found := _found(block.paths, viewer_names)):
                return Personal(block.name, None, block.widened) if found == ALL else Personal(block.name, found)
    found = _found(registry.dependencies(*ref.key), viewer_names)  # also what was registered by hand, and derivations
    return None if found is None else Personal(name, None if found == ALL else found)


def _found(paths: Set[str], viewer_names: Set[str]) -> str | None:
    heads = {path.partition(".")[0] for path in paths}
    return min(heads & viewer_names, default=ALL if ALL in heads else None)
