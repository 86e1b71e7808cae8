"""Documents: parsed by justhtml as the HTML standard specifies, queried, changed in place, and serialized."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from justhtml import Comment, DocumentFragment, Element, JustHTML, Node, SelectorError, Template, Text, query

__all__ = [
    "ChildNode",
    "Document",
    "Element",
    "attribute",
    "closest",
    "contains",
    "detach",
    "elements",
    "find_all",
    "index_in_parent",
    "inner_html",
    "insert_children",
    "parse_document",
    "parse_inside",
    "parse_template",
    "self_and_ancestors",
    "text_of",
]

Document: TypeAlias = Node
ChildNode: TypeAlias = Any  # an element, a text or a comment

_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
)
_RAW_TEXT = frozenset(["style", "script", "xmp", "iframe", "noembed", "noframes", "plaintext", "noscript"])
_TEXT_ONLY = _RAW_TEXT | {"textarea", "title"}


def parse_document(source: str) -> Document:
    """Parse a page."""
    return JustHTML(source, sanitize=False).root


def parse_template(source: str) -> DocumentFragment:
    """Parse a fragment as the content of a ``<template>``, as htmx does."""
    document = parse_document(f'<body><template class="internal-htmx-wrapper">{source}</template></body>')
    template = next(each for each in elements(document) if isinstance(each, Template))
    content = template.template_content
    assert isinstance(content, DocumentFragment)  # noqa: S101 - an HTML template has one
    content.parent = None
    return content


def parse_inside(element: Element, source: str) -> Node:
    """Parse HTML as the ``innerHTML`` of an element, and return a node with what is found as its children."""
    foreign = element.namespace if element.namespace in {"svg", "math"} else None
    outer = foreign or (element.name if element.name in _TEXT_ONLY else None)
    if outer is None:
        return parse_template(source)
    return next(elements(parse_template(f"<{outer}>{source}</{outer}>")))


def elements(root: Node) -> Iterator[Element]:
    """Yield the descendant elements of a node in document order, without the content of templates."""
    for child in root.children or ():
        if isinstance(child, Element):
            yield child
            yield from elements(child)


def self_and_ancestors(element: Node | None) -> Iterator[Element]:
    """Yield an element and its ancestors, from the inside out."""
    while element is not None:
        if isinstance(element, Element):
            yield element
        element = element.parent


def attribute(element: Element, *names: str) -> str | None:
    """Return the value of the first of these attributes that an element has, with or without ``data-``."""
    for name in names:
        for each in (name, f"data-{name}"):
            if each in element.attrs:
                return element.attrs[each] or ""
    return None


def find_all(root: Node, selector: str) -> list[Element]:
    """Return the elements that a CSS selector matches.

    Raises:
        ValueError: The selector is invalid or not supported by justhtml.
    """
    if selector.startswith("#") and selector[1:].replace("-", "_").isidentifier():
        return [each for each in elements(root) if each.attrs.get("id") == selector[1:]]
    try:
        return [each for each in query(root, selector) if isinstance(each, Element)]
    except SelectorError as error:
        raise ValueError(f"invalid selector {selector!r}: {error}") from error


def closest(element: Element, selector: str) -> Element | None:
    """Return the element itself or its nearest ancestor that matches a selector."""
    ancestors = list(self_and_ancestors(element))
    found = find_all(ancestors[-1].parent or ancestors[-1], selector)
    return next((each for each in ancestors if each in found), None)


def contains(root: Node, node: Node | None) -> bool:
    """Return whether a node is the root or a descendant of it."""
    while node is not None:
        if node is root:
            return True
        node = node.parent
    return False


def detach(node: ChildNode) -> None:
    """Remove a node from its parent."""
    parent = node.parent
    if parent is not None:
        siblings = parent.children or []
        del siblings[index_in_parent(node)]
        node.parent = None


def index_in_parent(node: ChildNode) -> int:
    """Return the index of a node among the children of its parent."""
    siblings: Iterable[Any] = node.parent.children
    return next(number for number, each in enumerate(siblings) if each is node)


def insert_children(parent: Node, at: int, nodes: Iterable[ChildNode]) -> None:
    """Move nodes into a parent, before its child with this index."""
    moved = list(nodes)
    for node in moved:
        detach(node)
        node.parent = parent
    children: list[Any] = parent.children  # type: ignore[assignment] # an element or a fragment has children
    children[at:at] = moved


def text_of(node: ChildNode) -> str:
    """Return the ``textContent`` of a node."""
    if isinstance(node, Text):
        return node.data or ""
    return "".join(text_of(child) for child in node.children or () if not isinstance(child, Comment))


def inner_html(node: Node) -> str:
    """Return the ``innerHTML`` of a node."""
    content = node.template_content if isinstance(node, Template) else None
    return "".join(_outer_html(child) for child in (content or node).children or ())


def _outer_html(node: ChildNode) -> str:
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
