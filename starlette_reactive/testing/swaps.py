"""What the two swaps have in common: reading a payload, finding where it goes, and putting it there.

The rules were read from htmx 2.0.11 and htmx 4.0.1 and are held against both in Chromium. They cover what a payload
does to the document. What scripts, transitions and forms do is not played.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from justhtml import DocumentFragment, Element, Node, Template, Text

from .dom import (
    attribute,
    closest,
    detach,
    elements,
    find_all,
    insert,
    inside_out,
    parse_document,
    parse_template,
    position,
    text_of,
)

__all__ = [
    "Fragment",
    "SwapError",
    "config_value",
    "find_targets",
    "is_blank",
    "keep_preserved",
    "place",
    "read_fragment",
    "replace_inside",
    "set_title",
    "templates_of",
]

_HEAD = re.compile(r"<head(\s[^>]*)?>[\s\S]*?</head>", re.IGNORECASE)
_FIRST_TAG = re.compile(r"<([a-z][^/>\0 \t\r\n\f]*)", re.IGNORECASE)


class SwapError(AssertionError):
    """A payload that htmx cannot swap: it raises in the browser, and the update is lost."""


@dataclass
class Fragment:
    """A payload, read."""

    content: Node = field(default_factory=DocumentFragment)
    title: str = ""


def read_fragment(source: str) -> Fragment:
    """Return the content of a payload in which ``<hx-…>`` are templates already."""
    source = _HEAD.sub("", source, count=1)
    first = _FIRST_TAG.search(source)
    if first and first[1].lower() in {"html", "body"}:
        document = parse_document(source)
        body = next(each for each in elements(document) if each.name == "body")
        content = DocumentFragment()
        insert(content, 0, body.children)
        title = next((text_of(each) for each in elements(document) if each.name == "title"), "")
        return Fragment(content, title)
    return Fragment(parse_template(source))


def is_blank(content: Node) -> bool:
    """Return whether there are no elements and no text but white space."""
    return not any(isinstance(child, Element) for child in content.children or ()) and not text_of(content).strip()


def find_targets(document: Node, element: Element, selector: str) -> list[Element]:
    """Return the elements that an htmx selector means, seen from an element."""
    selector = selector.strip()
    selector = selector.removeprefix("global ")
    word, _, rest = selector.partition(" ")
    relative = _RELATIVE.get(word)
    if relative is not None and (bool(rest) or word not in _NEED_SELECTOR):
        return [each for each in relative(document, element, rest.strip()) if each is not None]
    return find_all(document, selector)


def _scan(document: Node, element: Element, selector: str, *, forward: bool) -> list[Element | None]:
    order = list(elements(document))
    here = next((number for number, each in enumerate(order) if each is element), None)
    if here is None:
        return []
    if not selector:
        siblings = [
            each for each in (element.parent.children if element.parent else ()) or () if isinstance(each, Element)
        ]
        at = position_among(siblings, element) + (1 if forward else -1)
        return [siblings[at]] if 0 <= at < len(siblings) else []
    matching = find_all(document, selector)
    span = order[here + 1 :] if forward else reversed(order[:here])
    around = list(inside_out(element))
    return [
        next(
            (each for each in span if each in matching and each not in around and element not in inside_out(each)), None
        )
    ]


def position_among(siblings: list[Element], element: Element) -> int:
    """Return which of these elements an element is."""
    return next(number for number, each in enumerate(siblings) if each is element)


_Relative = Callable[[Node, Element, str], "list[Element | None]"]

_RELATIVE: dict[str, _Relative] = {
    "this": lambda _, element, __: [element],
    "body": lambda document, _, __: [each for each in elements(document) if each.name == "body"],
    "closest": lambda _, element, selector: [closest(element, selector)],
    "find": lambda _, element, selector: list(find_all(element, selector)[:1]),
    "next": lambda document, element, selector: _scan(document, element, selector, forward=True),
    "previous": lambda document, element, selector: _scan(document, element, selector, forward=False),
}
_NEED_SELECTOR = frozenset({"closest", "find"})


def keep_preserved(document: Node, content: Node) -> None:
    """Put elements of the document that are to be preserved in the places that a payload gives them."""
    for new in [
        each for each in elements(content) if attribute(each, "hx-preserve") is not None and each.attrs.get("id")
    ]:
        old = next((each for each in elements(document) if each.attrs.get("id") == new.attrs["id"]), None)
        if old is not None and new.parent is not None:
            insert(new.parent, position(new), [old])
            detach(new)


def place(style: str, target: Element, content: Node) -> bool:
    """Put content where a plain style says, and return whether it is one."""
    parent = target.parent
    if style == "innerHTML" or (style == "outerHTML" and target.name == "body"):
        replace_inside(target, content)
    elif style == "afterbegin":
        insert(target, 0, content.children or ())
    elif style == "beforeend":
        insert(target, len(target.children), content.children or ())
    elif style not in {"outerHTML", "beforebegin", "afterend", "delete"}:
        return False
    elif parent is not None and parent.name != "#document":
        _place_outside(style, parent, target, content)
    return True


def _place_outside(style: str, parent: Node, target: Element, content: Node) -> None:
    if style != "delete":
        insert(parent, position(target) + (style == "afterend"), content.children or ())
    if style in {"delete", "outerHTML"}:
        detach(target)


def replace_inside(target: Element, content: Node) -> None:
    """Give an element this content, and nothing else."""
    for child in list(target.children):
        if child not in (content.children or ()):
            detach(child)
    insert(target, 0, content.children or ())


def set_title(document: Node, title: str) -> None:
    """Give the document a title."""
    found = next((each for each in elements(document) if each.name == "title"), None)
    if found is not None:
        replace_inside(found, _text(title))


def _text(text: str) -> Node:
    content = DocumentFragment()
    insert(content, 0, [Text(text)])
    return content


def config_value(document: Node, name: str) -> str:
    """Return a value of the page's ``htmx-config``, as the text it is written with; empty where it has none."""
    for each in elements(document):
        if each.name == "meta" and each.attrs.get("name") == "htmx-config":
            found = re.search(rf"[\"']?{name}[\"']?\s*:\s*[\"']?([\w:]+)", each.attrs.get("content") or "")
            return found[1] if found else ""
    return ""


def templates_of(content: Node) -> list[Template]:
    """Return the templates in a payload; not those within templates."""
    return [each for each in elements(content) if isinstance(each, Template)]
