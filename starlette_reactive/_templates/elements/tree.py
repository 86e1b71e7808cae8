"""Which elements of a page have a tree in the browser that an update cannot build.

A browser builds its tree of a whole page by the rules of the HTML standard: a ``<div>`` closes a ``<p>``, a text in a
``<table>`` is moved in front of it, a ``<form>`` in a ``<form>`` is dropped. An update parses only the content of one
element. It gives the same tree if the parser puts into that element what the template has in it, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from justhtml import JustHTML, Template

from .markup import BLOCK_END, MARK, TEXT, Markup, Piece
from .tree_fault import Difference, TreeFault, explain

__all__ = ["TreeFault", "tree_faults"]

_NUMBERS: Final = re.compile(rf"(?<= {MARK}=)\d+|(?<={TEXT})\d+(?={TEXT})")
_DOCTYPE: Final = "<!doctype html>"


def tree_faults(markup: Markup) -> dict[int, TreeFault]:
    """Return what is wrong with elements, by their position in the outline."""
    found: dict[int, tuple[Piece, Difference]] = {}
    for document in markup.documents():
        for number, first in _Comparison(markup, document).differences.items():
            found.setdefault(number, first)
    faults: dict[int, TreeFault] = {}
    for number, (piece, difference) in found.items():
        element = markup.pieces[number]
        if element.element is not None:
            faults[element.element] = explain(element, piece, difference)
    return faults


class _Node(NamedTuple):
    """A start tag or a text in the browser's tree.

    Args:
        number: Its number in the template.
        outer: The position in the tree of the element around it.
        is_inert: Whether browsers do not show it.
        is_quirk: Whether it is a table in a paragraph.
    """

    number: int
    outer: int | None
    is_inert: bool
    is_quirk: bool


@lru_cache(maxsize=4)
def _built(document: str) -> tuple[_Node, ...]:
    """Return the browser's tree of a document, in document order. A page is looked at several times in a row."""
    found: list[_Node] = []
    pending: list[tuple[Any, int | None, bool]] = [(JustHTML(document, sanitize=False).root, None, False)]
    while pending:
        node, outer, is_inert = pending.pop()
        if node.name in ("#text", "#comment"):
            found.extend(_Node(int(number), outer, is_inert, False) for number in _NUMBERS.findall(node.data or ""))
            continue
        mark = (node.attrs or {}).get(MARK)
        if mark is not None:
            is_quirk = node.name == "table" and node.parent.name == "p"
            found.append(_Node(int(mark), outer, is_inert or node.name == "noscript", is_quirk))
            outer = len(found) - 1
        children = list(node.children or ())
        if isinstance(node, Template) and node.template_content is not None:
            is_inert = True
            children.extend(node.template_content.children or ())
        pending.extend((child, outer, is_inert) for child in reversed(children))
    return tuple(found)


class _Link(NamedTuple):
    """An element in the browser's tree, with those around it."""

    number: int
    outer: _Link | None
    is_as_written: bool


class _Comparison:
    """The tree of one document, compared with its template.

    Attributes:
        numbers: The pieces in the document.
        differences: The first difference of each element, by the number of its start tag.
    """

    def __init__(self, markup: Markup, document: str) -> None:
        self.pieces = markup.pieces
        self.numbers = {int(number) for number in _NUMBERS.findall(document)}
        self.differences: dict[int, tuple[Piece, Difference]] = {}
        self._seen: set[int] = set()
        self._left_open = markup.left_open
        has_quirks = not markup.has_doctype and any(piece.tag == "html" for piece in markup.pieces)
        self._look_at(_built(document if has_quirks else _DOCTYPE + document))
        for number in sorted(self.numbers - self._seen):
            self._add_dropped(self.pieces[number])

    def _look_at(self, nodes: Sequence[_Node]) -> None:
        links: list[_Link] = []
        for node in nodes:
            piece = self.pieces[node.number]
            outer = links[node.outer] if node.outer is not None else None
            links.append(self._compare(piece, outer))
            if node.is_inert:
                self._add(piece, piece, Difference.INERT)
            if node.is_quirk and outer is not None:
                self._add_quirk(piece, outer.outer)

    def _compare(self, piece: Piece, link: _Link | None) -> _Link:
        """Compare what is around a node with what the template has around it."""
        if piece.number in self._seen and piece.element is not None:
            self._add(piece, piece, Difference.OUT)
        self._seen.add(piece.number)
        parent = piece.parent
        is_as_written = not piece.holders and (
            parent is None if link is None else link.is_as_written and parent is self.pieces[link.number]
        )
        if not is_as_written:
            written, built = self.numbers.intersection(_written_around(piece)), {*_numbers(link)} - self._left_open
            is_end = piece.tag == BLOCK_END
            for number in written - built:
                self._add(self.pieces[number], piece, Difference.ENDED if is_end else Difference.OUT)
            for number in () if is_end else built - written:
                self._add(self.pieces[number], piece, Difference.IN)
        return _Link(piece.number, link, is_as_written)

    def _add_dropped(self, piece: Piece) -> None:
        """Add an element that the parser drops: what is around it differs if the reason is further out."""
        self._add(piece, piece, Difference.DROPPED)
        around = list(piece.ancestors())
        outer = next((number for number, each in enumerate(around) if each.tag == piece.tag), None)
        if outer is not None:
            for each in around[:outer]:
                self._add(each, piece, Difference.DROPPED)
        elif piece.tag == "form":  # because another one is not closed
            before = next((each for each in reversed(self.pieces[: piece.number]) if each.tag == "form"), piece)
            for each in before.ancestors():
                if each not in around:
                    self._add(each, before, Difference.OUT)

    def _add_quirk(self, table: Piece, link: _Link | None) -> None:
        for number in _numbers(link):
            self._add(self.pieces[number], table, Difference.QUIRKS)

    def _add(self, element: Piece, piece: Piece, difference: Difference) -> None:
        known = self.differences.get(element.number)
        if known is None or _rank(element, piece, difference) < _rank(element, *known):
            self.differences[element.number] = piece, difference


def _rank(element: Piece, piece: Piece, difference: Difference) -> tuple[bool, bool, int]:
    """Return a key that puts first that an element is not there, and then what is in it, in the template's order."""
    is_there = piece is not element or difference is Difference.OUT
    return is_there, piece.number <= element.number, piece.number


def _numbers(link: _Link | None) -> Iterator[int]:
    while link is not None:
        yield link.number
        link = link.outer


def _written_around(piece: Piece) -> Iterator[int]:
    for holder in piece.holders:
        yield holder.number
        yield from (each.number for each in holder.ancestors())
    yield from (each.number for each in piece.ancestors())
