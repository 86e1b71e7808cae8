"""Fragments that go to elements elsewhere in the page, as ``<hx-partial>`` or as ``hx-swap-oob`` elements.

A block inside its element is the element's new content. A block around its element holds the element itself, so it
replaces the element, which would else be nested in itself.
"""

from __future__ import annotations

import contextlib
import html
from dataclasses import dataclass
from html.parser import HTMLParser

from .._clients.client import css_selector
from .._clients.htmx import partial

__all__ = ["as_out_of_band", "as_partial"]


def as_partial(target: str, content: str, swap: str | None) -> str:
    """Return content as an ``<hx-partial>`` for the element with an id.

    Args:
        target: The id.
        content: The HTML.
        swap: The swap style. Defaults to that which the content needs.
    """
    return partial(target, content, html.escape(swap or _style(_root(content), target)))


def as_out_of_band(target: str, content: str, swap: str | None) -> str:
    """Return content as an ``hx-swap-oob`` element for the element with an id; see :func:`as_partial`.

    Where the element itself is replaced, the content's own element has the attribute, because htmx puts the element
    that has it in place.
    """
    root = _root(content)
    style = swap or _style(root, target)
    if root is None or not style.startswith("outer"):
        return f'<div id="{html.escape(target)}" hx-swap-oob="{html.escape(style)}">{content}</div>'
    value = style if root.dom_id == target else f"{style}:{css_selector(target)}"
    return f'{content[: root.name_end]} hx-swap-oob="{html.escape(value)}"{content[root.name_end :]}'


@dataclass(frozen=True, slots=True)
class _Root:
    """The first element of some HTML: its id, and where its tag's name ends."""

    dom_id: str | None
    name_end: int


def _style(root: _Root | None, target: str) -> str:
    return "outerHTML" if root is not None and root.dom_id == target else "innerHTML"


def _root(content: str) -> _Root | None:
    """Return the element that content begins with. ``None`` if it begins with text."""
    parser = _Beginning(content)
    with contextlib.suppress(_HasBegunError):
        parser.feed(content)
    return parser.root


class _HasBegunError(Exception):
    """The parser has seen what it looks for."""


class _Beginning(HTMLParser):
    def __init__(self, content: str) -> None:
        super().__init__()
        self.root: _Root | None = None
        self._lines = content.split("\n")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        line, column = self.getpos()
        start = sum(len(each) + 1 for each in self._lines[: line - 1]) + column
        ids = [value for name, value in attrs if name == "id"]
        self.root = _Root(ids[0] if ids else None, start + 1 + len(tag))
        raise _HasBegunError

    def handle_data(self, data: str) -> None:
        if data.strip():
            raise _HasBegunError
