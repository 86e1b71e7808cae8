"""Documents as browsers have them: parsed as the HTML standard says, by justhtml, and read back.

Nothing else here knows the parser. Documents are its node trees, changed in place.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from justhtml import Comment, DocumentFragment, Element, JustHTML, Node, SelectorError, Template, Text, query

__all__ = [
    "Document",
    "Element",
    "Markup",
    "attribute",
    "closest",
    "contains",
    "detach",
    "elements",
    "find_all",
    "inner_html",
    "insert",
    "inside_out",
    "parse_document",
    "parse_template",
    "position",
    "text_of",
]

Document: TypeAlias = Node
Markup: TypeAlias = Any  # an element, a text or a comment

_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
)
_RAW_TEXT = frozenset(["style", "script", "xmp", "iframe", "noembed", "noframes", "plaintext", "noscript"])


def parse_document(source: str) -> Document:
    """Return a page's document."""
    return JustHTML(source, sanitize=False).root


def parse_template(source: str) -> DocumentFragment:
    """Return what a ``<template>`` around this source holds, which is how htmx reads a fragment."""
    document = parse_document(f'<body><template class="internal-htmx-wrapper">{source}</template></body>')
    template = next(each for each in elements(document) if isinstance(each, Template))
    content = template.template_content
    assert isinstance(content, DocumentFragment)  # noqa: S101 - an HTML template has one
    content.parent = None
    return content


def elements(root: Node) -> Iterator[Element]:
    """Yield the elements below a node in document order; not what templates hold."""
    for child in root.children or ():
        if isinstance(child, Element):
            yield child
            yield from elements(child)


def inside_out(element: Node | None) -> Iterator[Element]:
    """Yield an element and what it lies in, up to the root."""
    while element is not None:
        if isinstance(element, Element):
            yield element
        element = element.parent


def attribute(element: Element, *names: str) -> str | None:
    """Return the first of these attributes that the element has, also written with ``data-``."""
    for name in names:
        for each in (name, f"data-{name}"):
            if each in element.attrs:
                return element.attrs[each] or ""
    return None


def find_all(root: Node, selector: str) -> list[Element]:
    """Return the elements that a CSS selector matches.

    Raises:
        ValueError: The selector is malformed, or of a kind that the parser does not know.
    """
    if selector.startswith("#") and selector[1:].replace("-", "_").isidentifier():
        return [each for each in elements(root) if each.attrs.get("id") == selector[1:]]
    try:
        return [each for each in query(root, selector) if isinstance(each, Element)]
    except SelectorError as error:
        raise ValueError(f"the selector {selector!r} cannot be read: {error}") from error


def closest(element: Element, selector: str) -> Element | None:
    """Return the element itself or the nearest one around it that a selector matches."""
    around = list(inside_out(element))
    found = find_all(around[-1].parent or around[-1], selector)
    return next((each for each in around if each in found), None)


def contains(root: Node, node: Node | None) -> bool:
    """Return whether a node lies in a document."""
    while node is not None:
        if node is root:
            return True
        node = node.parent
    return False


def detach(node: Markup) -> None:
    """Take a node out of where it is."""
    parent = node.parent
    if parent is not None:
        siblings = parent.children or []
        del siblings[position(node)]
        node.parent = None


def position(node: Markup) -> int:
    """Return which child of its parent a node is."""
    siblings: Iterable[Any] = node.parent.children
    return next(number for number, each in enumerate(siblings) if each is node)


def insert(parent: Node, at: int, nodes: Iterable[Markup]) -> None:
    """Put nodes among the children of a parent, before the one that has this number."""
    moved = list(nodes)
    for node in moved:
        detach(node)
        node.parent = parent
    children: list[Any] = parent.children  # type: ignore[assignment] # an element or a fragment has some
    children[at:at] = moved


def text_of(node: Markup) -> str:
    """Return the text of a node, as ``textContent`` has it."""
    if isinstance(node, Text):
        return node.data or ""
    return "".join(text_of(child) for child in node.children or () if not isinstance(child, Comment))


def inner_html(node: Node) -> str:
    """Return the HTML of what a node holds, as ``innerHTML`` gives it."""
    content = node.template_content if isinstance(node, Template) else None
    return "".join(_outer_html(child) for child in (content or node).children or ())


def _outer_html(node: Markup) -> str:
    if isinstance(node, Text):
        parent = node.parent
        data = node.data or ""
        raw = parent is not None and parent.name in _RAW_TEXT
        return data if raw else html.escape(data, quote=False).replace("\N{NO-BREAK SPACE}", "&nbsp;")
    if isinstance(node, Comment):
        return f"<!--{node.data}-->"
    if not isinstance(node, Element):
        return ""
    attributes = "".join(f' {name}="{_attribute_value(value)}"' for name, value in node.attrs.items())
    start = f"<{node.name}{attributes}>"
    return start if node.name in _VOID else f"{start}{inner_html(node)}</{node.name}>"


def _attribute_value(value: str | None) -> str:
    return (value or "").replace("&", "&amp;").replace("\N{NO-BREAK SPACE}", "&nbsp;").replace('"', "&quot;")
