"""The document of a browser, for pages of nested ``div`` elements that each have an ``id``."""

from __future__ import annotations

import re

_TAG = re.compile(r"<div\b|</div>")
_SHOWN = re.compile(r"(\w+)=(-?\d+)")
_ROW = re.compile(r'<div id="row-(\w+)">\1=(-?\d+)')


def inner_html(page: str, element: str) -> str:
    """Return the inner HTML of an element."""
    start, end = _bounds(page, element)
    return page[start:end]


def with_inner_html(page: str, element: str, html: str) -> str:
    """Return the page with the inner HTML of an element replaced."""
    start, end = _bounds(page, element)
    return page[:start] + html + page[end:]


def _bounds(page: str, element: str) -> tuple[int, int]:
    opening = f'<div id="{element}">'
    assert page.count(opening) == 1, f"there are {page.count(opening)} elements {element!r}"
    start = page.index(opening) + len(opening)
    depth = 1
    for tag in _TAG.finditer(page, start):
        depth += 1 if tag[0] == "<div" else -1
        if depth == 0:
            return start, tag.start()
    raise AssertionError(f"the element {element!r} does not end")


def own_values(page: str, element: str, paths: list[str]) -> tuple[int, ...]:
    """Return the values that an element itself shows."""
    shown = dict(_SHOWN.findall(inner_html(page, element)))
    return tuple(int(shown[path]) for path in paths)


def own_rows(page: str, element: str) -> tuple[tuple[str, int], ...]:
    """Return the rows of an element in their order, each with its name and its value."""
    return tuple((name, int(value)) for name, value in _ROW.findall(inner_html(page, element)))
