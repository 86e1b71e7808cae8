"""Which elements a tag closes, as the tree construction of the HTML standard does.

The functions work on the names of the open elements, outermost first. They cover what decides in which element a block
is. What else tree construction moves, copies or drops is found by a parser (:mod:`.tree`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Final

from .tokenizer import DYNAMIC

__all__ = ["HEADINGS", "P_CLOSERS", "TABLE_PARTS", "closed_by_end", "closed_by_start", "is_foreign"]

HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
P_CLOSERS: Final = HEADINGS | frozenset(
    {"address", "article", "aside", "blockquote", "center", "dd", "details", "dialog", "dir", "div", "dl", "dt"}
    | {"fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr", "li", "listing", "main", "menu"}
    | {"nav", "ol", "p", "plaintext", "pre", "search", "section", "summary", "table", "ul", "xmp"}
)
"""The start tags that close an open ``<p>``."""
TABLE_PARTS: Final = frozenset({"caption", "col", "colgroup", "tbody", "td", "tfoot", "th", "thead", "tr"})
"""The elements that are only allowed in a table."""

_CELLS: Final = frozenset({"td", "th", "caption"})
_INTEGRATION: Final = frozenset({"foreignobject", "desc", "title", "mi", "mo", "mn", "ms", "mtext", "annotation-xml"})
"""The elements of SVG and MathML that contain HTML."""
_SCOPE: Final = frozenset(
    _INTEGRATION - {"title"} | _CELLS | {"applet", "html", "marquee", "object", "table", "template", "select"}
)
_P_SCOPE: Final = _SCOPE | {"button"}
_SPECIAL: Final = _SCOPE | P_CLOSERS | TABLE_PARTS | {"body", "button", "head", "iframe", "noscript", "title"}
_ITEM_SCOPE: Final = _SPECIAL - {"address", "div", "p"}
_TABLE_SCOPE: Final = frozenset({"table", "template", "html"})
_CLOSED_PARTS: Final[Mapping[str, Set[str]]] = {
    "col": frozenset({"td", "th", "tr", "tbody", "thead", "tfoot", "caption"}),
    "td": frozenset({"td", "th", "caption", "colgroup"}),
    "th": frozenset({"td", "th", "caption", "colgroup"}),
    "tr": frozenset({"td", "th", "tr", "caption", "colgroup"}),
}
"""The parts of a table that each part closes. The others close all."""
_HEAD: Final = frozenset(
    {"base", "basefont", "bgsound", "link", "meta", "noframes", "noscript", "script", "style", "template", "title"}
)
_BREAKOUT: Final = HEADINGS | frozenset(
    {
        "b",
        "big",
        "blockquote",
        "body",
        "br",
        "center",
        "code",
        "dd",
        "div",
        "dl",
        "dt",
        "em",
        "embed",
        "head",
        "hr",
        "i",
    }
    | {"img", "li", "listing", "menu", "meta", "nobr", "ol", "p", "pre", "ruby", "s", "small", "span", "strong"}
    | {"strike", "sub", "sup", "table", "tt", "u", "ul", "var"}
)
"""The start tags that end SVG and MathML."""
_RUBY: Final = frozenset({"rb", "rp", "rt", "rtc"})


def is_foreign(names: Sequence[str]) -> bool:
    """Return whether the innermost open element is one of SVG or MathML, and contains no HTML."""
    if "svg" not in names and "math" not in names:
        return False
    for name in reversed(names):
        if name in ("svg", "math"):
            return True
        if name in _INTEGRATION:
            return False
    return False


def closed_by_start(tag: str, names: Sequence[str]) -> int:
    """Return how many of the open elements a start tag leaves open."""
    left = len(names)
    if not left:
        return left
    if is_foreign(names):
        while tag in _BREAKOUT and is_foreign(names[:left]):
            left -= 1
        return left
    if names[-1] == "head" and tag not in _HEAD:
        left -= 1
    elif tag in TABLE_PARTS:
        return _close_table_part(tag, names)
    elif tag in ("li", "dd", "dt"):
        left = _innermost({"li"} if tag == "li" else {"dd", "dt"}, names, _ITEM_SCOPE)
    elif tag == "button":
        left = _innermost({"button"}, names, _SCOPE)
    elif tag in _RUBY and names[-1] in _RUBY:
        left -= 1
    elif tag in ("option", "optgroup", "hr"):
        left = _close_option(tag, names)
    if tag in P_CLOSERS and "p" in names:
        left = min(left, _innermost({"p"}, names[:left], _P_SCOPE))
    if tag in HEADINGS and left and names[left - 1] in HEADINGS:
        left -= 1
    return left


def closed_by_end(tag: str, names: Sequence[str]) -> int:
    """Return how many of the open elements an end tag leaves open."""
    if names and names[-1] == tag and tag not in ("body", "html"):
        return len(names) - 1
    if tag in ("body", "html"):
        return len(names)  # what follows is put into the body
    if is_foreign(names) or tag in ("svg", "math") or DYNAMIC in tag:
        return _innermost({tag}, names, frozenset())
    if tag in TABLE_PARTS or tag == "table":
        return _innermost({tag}, names, _TABLE_SCOPE)
    if tag in HEADINGS:
        return _innermost(HEADINGS, names, _SCOPE)
    barriers = _P_SCOPE if tag == "p" else _SCOPE if tag in _SPECIAL else _SPECIAL
    return _innermost({tag}, names, barriers)


def _innermost(wanted: Set[str], names: Sequence[str], barriers: Set[str]) -> int:
    """Return the position of the innermost open element with one of the names.

    Return how many elements are open if there is none, or a barrier before it.
    """
    for position in range(len(names) - 1, -1, -1):
        if names[position] in wanted:
            return position
        if names[position] in barriers or DYNAMIC in names[position]:
            break
    return len(names)


def _close_option(tag: str, names: Sequence[str]) -> int:
    left = len(names)
    if left and names[-1] == "option":
        left -= 1
    if tag != "option" and left and names[left - 1] == "optgroup":
        left -= 1
    return left


def _close_table_part(tag: str, names: Sequence[str]) -> int:
    """Close the parts of the innermost table that cannot contain this part."""
    closes = _CLOSED_PARTS.get(tag, TABLE_PARTS)
    left = len(names)
    for position in range(len(names) - 1, -1, -1):
        name = names[position]
        if name in closes:
            left = position
        elif name in TABLE_PARTS or name in ("table", "template", "html") or DYNAMIC in name:
            break
    return left
