"""What the blocks of a page read."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["BlockReads", "PageReads"]


@dataclass(frozen=True, slots=True)
class BlockReads:
    """What one block of a composed page reads.

    Args:
        name: The block's name.
        template: The template with the definition that counts, which is the outermost child's.
        line: The line of its ``{% block %}`` there.
        paths: The context paths that its text reads outside the blocks nested in it. :data:`~..paths.ALL` alone
            stands for everything.
        parent: The nearest block that is around it wherever the page shows it. None at the top level.
        alone: Why it cannot be rendered alone. None if it can.
        widened: Why it counts as reading everything, or shorter paths than its text names. Empty if the paths are
            exact.
        translates: Whether it calls ``gettext`` or another function of Jinja's i18n extension.
    """

    name: str
    template: str
    line: int
    paths: frozenset[str]
    parent: str | None
    alone: str | None
    widened: tuple[str, ...]
    translates: bool = False


@dataclass(frozen=True, slots=True)
class PageReads:
    """What a page reads, block by block.

    Args:
        template_name: The page's template.
        blocks: Its blocks in document order. A block comes before the blocks nested in it.
        outside: The paths that the page reads outside all blocks.
        unplaced: Blocks that the templates define and the page does not show, such as those that a child defines and
            its parent does not. They can be rendered alone too.
        templates: The names of all templates that the page consists of or imports.
    """

    template_name: str
    blocks: Mapping[str, BlockReads]
    outside: frozenset[str] = frozenset()
    unplaced: Mapping[str, BlockReads] = field(default_factory=dict)
    templates: frozenset[str] = frozenset()

    def enclosing(self, name: str) -> Iterator[str]:
        """Yield the names of the blocks around a block of ``blocks``, nearest first; none for an unknown name."""
        block = self.blocks.get(name)
        while block is not None and block.parent is not None:
            yield block.parent
            block = self.blocks[block.parent]

    def nearest(self, name: str, wanted: Container[str]) -> str | None:
        """Return the first of the block itself and the blocks around it that is in ``wanted``, or None."""
        return next((each for each in (name, *self.enclosing(name)) if each in wanted), None)
