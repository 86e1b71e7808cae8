"""What tells why the browser's tree of an element is not what its template says, in words for the template's author."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from .markup import Piece
from .nesting import HEADINGS, P_CLOSERS, TABLE_PARTS
from .tokenizer import TemplatePlace

__all__ = ["Difference", "TreeFault", "explain"]

_FORMATTING: Final = frozenset(
    {"a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"}
)
"""The elements that the parser opens again where another element ends before them."""
_ONLY_ROWS: Final = frozenset({"table", "tbody", "thead", "tfoot", "tr"})
_PAIRS: Final = frozenset({"a", "button", "nobr", "option", "select"})
"""The elements that cannot contain another one of their kind."""


@dataclass(frozen=True, slots=True)
class TreeFault:
    """Why an update of an element cannot give the tree that a browser builds of the whole page.

    Args:
        reason: What the HTML parser does, as a clause.
        fix: What to write instead.
        place: The place of the tag at fault.
    """

    reason: str
    fix: str
    place: TemplatePlace


class Difference(Enum):
    """How the browser's tree differs from the template, for an element and a tag or a text."""

    OUT = auto()
    """The template has it in the element, the tree has it elsewhere."""
    IN = auto()
    """The tree has it in the element, the template has it elsewhere."""
    DROPPED = auto()
    """The template has it in the element, and the tree nowhere."""
    ENDED = auto()
    """An end tag in a block of the element closes the element."""
    INERT = auto()
    """The element is in a ``<template>``, or a ``<noscript>``."""
    QUIRKS = auto()
    """It is a table in a paragraph, in a page without a doctype."""


def explain(element: Piece, piece: Piece, difference: Difference) -> TreeFault:
    """Return the fault of an element.

    Args:
        element: The element.
        piece: The first tag or text in or around it that the parser treats in another way than the template.
        difference: What the parser does with it.
    """
    reason, fix = _words(element, piece, difference)
    return TreeFault(reason, fix, piece.place)


def _words(element: Piece, piece: Piece, difference: Difference) -> tuple[str, str]:
    around = [*piece.ancestors()]
    for holder in piece.holders:
        around += [holder, *holder.ancestors()]
    what = f"the <{piece.tag}>" if piece.tag else "the text"
    if element.tag == "form" and element.parent is not None and element.parent.tag in _ONLY_ROWS:
        return (
            "the HTML parser closes a <form> in a <table> at once",
            "put the <form> into a cell, or around the <table>",
        )
    if difference is Difference.ENDED or (not piece.tag and element in piece.holders):
        return (
            f"an end tag in a block in the <{element.tag}> closes the <{element.tag}>, or an element around it",
            "put the start tag and the end tag of each element into the same block",
        )
    if difference is Difference.INERT and element.tag == "noscript":
        return "browsers that run scripts do not show a <noscript>", "put it outside the <noscript>"
    if difference is Difference.INERT:
        return "the content of a <template> is not part of the document", "put it outside the <template>"
    if difference is Difference.QUIRKS:
        return "without a doctype a <table> is put into the <p> before it", "begin the page with <!doctype html>"
    if piece.tag in TABLE_PARTS and not any(each.tag == "table" for each in around):
        return f"{what} is not in a <table>, so the HTML parser drops it", "put it into a <table>, or write a <div>"
    if _is_in(_ONLY_ROWS, around[:1]) and piece.tag not in TABLE_PARTS:
        return (
            f"the HTML parser moves {what} in the <{around[0].tag}> in front of the <table>",
            "put it into a <td> or <caption>, or outside the <table>",
        )
    if piece.tag == "form" and _is_in({"form"}, around):
        return "the HTML parser drops a <form> in a <form>", "end the outer <form> before it"
    if piece.tag in P_CLOSERS and _is_in({"p"}, around):
        return f"{what} closes the <p> around it", "write a <div> instead of the <p>, or a <span> in it"
    return _words_of_pairs(element, piece, around, what) or (
        f"the HTML parser {_MOVES[difference]} {what} in or around the <{element.tag}>",
        "write markup that a validator accepts",
    )


def _words_of_pairs(element: Piece, piece: Piece, around: Iterable[Piece], what: str) -> tuple[str, str] | None:
    tag = piece.tag
    kinds = HEADINGS if tag in HEADINGS else {tag}
    if (tag in _PAIRS or tag in HEADINGS) and (outer := _is_in(kinds, around)):
        return f"{what} closes the <{outer.tag}> around it", f"end the <{outer.tag}> before it, or do not nest them"
    unclosed = piece if tag in _FORMATTING else element if element.tag in _FORMATTING else None
    if unclosed is not None:
        again = f", or contains another <{unclosed.tag}>" if unclosed.tag in _PAIRS else ""
        return (
            f"the <{unclosed.tag}> is not closed in the element where it begins{again}: the HTML parser repeats it",
            f"write </{unclosed.tag}> before the element or block around it ends",
        )
    if (outer := _is_in(kinds, around)) is not None:
        return f"{what} closes the <{outer.tag}> around it", f"end the <{outer.tag}> before it"
    return None


_MOVES: Final = {Difference.OUT: "moves", Difference.IN: "moves", Difference.DROPPED: "drops"}


def _is_in(tags: Iterable[str], around: Iterable[Piece]) -> Piece | None:
    """Return the innermost element with one of the tags."""
    wanted = frozenset(tags)
    return next((each for each in around if each.tag in wanted), None)
