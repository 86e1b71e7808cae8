"""The markup of a page in short: its tags and texts in the order of its output, each start tag and text with a number.

A page of templates has many outputs. The markup shows every alternative. Alternatives that leave the same elements open
follow each other. Where they do not, as where one opens a ``<div>`` and another one a ``<p>``, each has a document.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from .nesting import TABLE_PARTS
from .tokenizer import DYNAMIC, StartTag, TemplatePlace

__all__ = ["BLOCK_END", "MARK", "TEXT", "Markup", "Piece"]

MARK: Final = "n"
"""The attribute with the number of a start tag."""
TEXT: Final = "~"
"""Stands around the number of a text."""
BLOCK_END: Final = "#end"
"""Stands for the tag where a block ends."""
MAX_DOCUMENTS: Final = 4
"""Of alternatives that leave different elements open, this many are looked at."""

_NO_TEXT: Final = TABLE_PARTS - {"td", "th", "caption"} | {"table", "select", "optgroup", "html", "head", "frameset"}
"""The elements in which an unknown part is not a text: it writes markup, or nothing."""
_KEPT: Final = {"annotation-xml": ("encoding",), "font": ("color", "face", "size"), "input": ("type",)}
"""The attributes that tree construction looks at."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A start tag, a text, or the end of a block.

    Args:
        number: Its number.
        tag: The name of the start tag. Empty for a text.
        element: The position of the element in the outline. None for a text.
        place: Its place. For the end of a block, that of the element around it.
        parent: The element that is open around it.
        holders: Elements that are closed before it, and hold a block that is not.
        is_shown: Whether it is in the documents, and not in markup of which nothing is known.
    """

    number: int
    tag: str
    element: int | None
    place: TemplatePlace
    parent: Piece | None
    holders: tuple[Piece, ...]
    is_shown: bool

    def ancestors(self) -> Iterator[Piece]:
        """Yield the elements around it, innermost first."""
        piece = self.parent
        while piece is not None:
            yield piece
            piece = piece.parent


_Item: TypeAlias = "str | list[list[_Item]]"
"""A tag or a text, or alternatives that leave different elements open."""


@dataclass(slots=True)
class Markup:
    """The markup so far.

    Attributes:
        pieces: The start tags and texts, by number.
        has_doctype: Whether there is a doctype.
        left_open: The elements that other alternatives than the first leave open, by the numbers of their start tags.
            What follows belongs to what the first one leaves open.
    """

    pieces: list[Piece] = field(default_factory=list)
    has_doctype: bool = False
    left_open: set[int] = field(default_factory=set)
    _items: list[_Item] = field(default_factory=list)

    def start(self, tag: StartTag, element: int, parent: Piece | None, holders: tuple[Piece, ...]) -> Piece:
        """Add a start tag."""
        unknown = DYNAMIC in tag.name and (tag.name == DYNAMIC or not _takes_text(parent))
        misses_table = parent is None and tag.name in TABLE_PARTS
        is_shown = not unknown and not misses_table and (parent is None or parent.is_shown)
        piece = Piece(len(self.pieces), tag.name, element, tag.place, parent, holders, is_shown)
        self.pieces.append(piece)
        if is_shown:
            name = "x-unknown" if DYNAMIC in tag.name else tag.name
            slash = " /" if tag.closed else ""
            self._items.append(f"<{name} {MARK}={piece.number}{_kept_attributes(tag)}{slash}>")
        return piece

    def end(self, name: str, around: Piece | None) -> None:
        """Add an end tag."""
        if around is None or around.is_shown:
            self._items.append(f"</{'x-unknown' if DYNAMIC in name else name}>")

    def end_block(self, holder: Piece) -> None:
        """Add the end of a block, as a comment, which tree construction leaves where it is.

        Args:
            holder: The element around the block.
        """
        if holder.is_shown:
            self._items.append(f"<!--{TEXT}{len(self.pieces)}{TEXT}-->")
            self.pieces.append(Piece(len(self.pieces), BLOCK_END, None, holder.place, holder, (), True))

    def text(self, parent: Piece | None, holders: tuple[Piece, ...], place: TemplatePlace, *, known: bool) -> None:
        """Add a text, or an unknown part."""
        if (known or _takes_text(parent)) and (parent is None or parent.is_shown):
            self._items.append(f"{TEXT}{len(self.pieces)}{TEXT}")
            self.pieces.append(Piece(len(self.pieces), "", None, place, parent, holders, True))

    def begin_alternative(self) -> list[_Item]:
        """Begin an alternative, and return what :meth:`end_alternative` takes."""
        outer, self._items = self._items, []
        return outer

    def end_alternative(self, outer: list[_Item]) -> list[_Item]:
        """Return what the alternative consists of."""
        found, self._items = self._items, outer
        return found

    def choose(self, alternatives: Sequence[list[_Item]], *, balanced: bool) -> None:
        """Add alternatives.

        Args:
            alternatives: What each consists of.
            balanced: Whether all leave open what was open before them.
        """
        if balanced:
            for each in alternatives:
                self._items.extend(each)
        else:
            self._items.append(list(alternatives))

    def documents(self) -> Iterator[str]:
        """Yield documents, which together show each alternative."""
        for number in range(min(_alternative_count(self._items), MAX_DOCUMENTS)):
            yield "".join(_flattened(self._items, number))


def _takes_text(parent: Piece | None) -> bool:
    return parent is not None and parent.tag not in _NO_TEXT


def _kept_attributes(tag: StartTag) -> str:
    values = ((name, tag.attributes.get(name)) for name in _KEPT.get(tag.name, ()))
    return "".join(f' {name}="{value}"' for name, value in values if value and '"' not in value)


def _alternative_count(items: Sequence[_Item]) -> int:
    return max(
        (max(len(each), *map(_alternative_count, each)) for each in items if not isinstance(each, str)), default=1
    )


def _flattened(items: Sequence[_Item], number: int) -> Iterator[str]:
    for item in items:
        if isinstance(item, str):
            yield item
        else:
            yield from _flattened(item[number if number < len(item) else 0], number)
