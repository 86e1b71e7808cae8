"""HTML that htmx puts into a page as it is.

htmx reads some markup as instructions to itself, also inside what it swaps. This module writes the same in a way
that htmx leaves alone, where HTML has one, and leaves out the attribute where it has none.
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection
from html.parser import HTMLParser
from itertools import accumulate

__all__ = ["without_instructions"]

_INSTRUCTIONS = ("<hx-", "hx-swap-oob", "autofocus")
_TEXT = frozenset({"textarea", "title"})  # how the parser treats scripts and styles
_HX_TAG = re.compile(r"hx-[a-z]+", re.IGNORECASE)


def without_instructions(markup: str, attributes: Collection[str]) -> str:
    """Return HTML in which htmx finds no instructions to itself.

    htmx takes the tag of any element whose name is ``hx-`` and letters for one of its own. It looks for the tags in the
    text, where ``<hx-card/ class="a">`` and ``</hx-card >`` escape it. For the HTML parser these are the same tags.

    Args:
        markup: The HTML.
        attributes: The attributes to leave out.
    """
    lowered = markup.lower()
    if not any(each in lowered for each in _INSTRUCTIONS):
        return markup
    return _Rewriter(markup, attributes).result


class _Rewriter(HTMLParser):
    """Copies HTML and changes some of its tags."""

    def __init__(self, markup: str, attributes: Collection[str]) -> None:
        super().__init__(convert_charrefs=False)
        self._attributes = attributes
        self._markup = markup
        self._lines = [0, *accumulate(len(line) + 1 for line in markup.split("\n"))]
        self._copied = 0
        self._parts: list[str] = []
        self.feed(markup)
        self.close()
        self.result = "".join([*self._parts, markup[self._copied :]])

    def _replace(self, old: str, new: str) -> None:
        """Write ``new`` instead of ``old``, which begins at the parser's position."""
        line, column = self.getpos()
        start = self._lines[line - 1] + column
        self._parts += [self._markup[self._copied : start], new]
        self._copied = start + len(old)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Leave out attributes of a start tag, and hide its name from htmx."""
        if tag in _TEXT:
            self.set_cdata_mode(tag)
        is_own, kept = _HX_TAG.fullmatch(tag), [each for each in attrs if each[0] not in self._attributes]
        old = self.get_starttag_text() or ""
        if is_own or len(kept) < len(attrs):
            shown = "".join(f" {name}" if value is None else f' {name}="{html.escape(value)}"' for name, value in kept)
            self._replace(old, f"<{tag}{'/' if is_own else ''}{shown}{' /' if old.endswith('/>') else ''}>")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Do the same for a tag that ends with a slash."""
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """Hide the name of an end tag from htmx."""
        if _HX_TAG.fullmatch(tag):
            self._replace(f"</{tag}", f"</{tag} ")  # the parser lowers the name, which has the same length
