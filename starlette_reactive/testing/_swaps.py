"""What htmx 2 and htmx 4 have in common: parsing a payload, finding its targets, and swapping it.

The rules follow the sources of htmx 2.0.11 and htmx 4.0.1, and tests compare them with both versions in Chromium. They
cover the effect of a payload on the document, without scripts, transitions and forms.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from justhtml import DocumentFragment, Element, Node, Template, Text

from ._dom import (
    attribute,
    closest,
    detach,
    elements,
    find_all,
    index_in_parent,
    insert_children,
    parse_document,
    parse_template,
    self_and_ancestors,
    text_of,
)

__all__ = [
    "Payload",
    "SwapError",
    "apply_basic_style",
    "config_value",
    "find_targets",
    "is_blank",
    "keep_preserved",
    "parse_payload",
    "partial_target",
    "replace_children",
    "set_title",
    "text_content",
    "top_templates",
]

_HEAD = re.compile(r"<head(\s[^>]*)?>[\s\S]*?</head>", re.IGNORECASE)
_FIRST_TAG = re.compile(r"<([a-z][^/>\0 \t\r\n\f]*)", re.IGNORECASE)


class SwapError(AssertionError):
    """htmx cannot swap a payload: it raises in the browser, and the update is lost."""


@dataclass
class Payload:
    """The parsed data of an event."""

    content: Node = field(default_factory=DocumentFragment)
    title: str = ""


def parse_payload(source: str) -> Payload:
    """Parse a payload whose ``<hx-…>`` tags have been replaced with templates."""
    source = _HEAD.sub("", source, count=1)
    first = _FIRST_TAG.search(source)
    if first and first[1].lower() in {"html", "body"}:
        document = parse_document(source)
        body = next(each for each in elements(document) if each.name == "body")
        content = DocumentFragment()
        insert_children(content, 0, body.children)
        title = next((text_of(each) for each in elements(document) if each.name == "title"), "")
        return Payload(content, title)
    return Payload(parse_template(source))


def is_blank(content: Node) -> bool:
    """Return whether a node has no elements and no text other than white space."""
    return not any(isinstance(child, Element) for child in content.children or ()) and not text_of(content).strip()


def find_targets(document: Node, element: Element, selector: str) -> list[Element]:
    """Return the elements that an htmx selector matches, relative to an element."""
    selector = selector.strip().removeprefix("global ")
    keyword, _, rest = selector.partition(" ")
    relative = _RELATIVE.get(keyword)
    if relative is not None and (bool(rest) or keyword not in _NEED_SELECTOR):
        return [each for each in relative(document, element, rest.strip()) if each is not None]
    return find_all(document, selector)


def _scan(document: Node, element: Element, selector: str, *, forward: bool) -> list[Element | None]:
    order = list(elements(document))
    here = next((number for number, each in enumerate(order) if each is element), None)
    if here is None:
        return []
    if not selector:
        return [_sibling(element, 1 if forward else -1)]
    matching = find_all(document, selector)
    span = order[here + 1 :] if forward else reversed(order[:here])
    ancestors = list(self_and_ancestors(element))
    found = (each for each in span if each in matching and each not in ancestors)
    return [next((each for each in found if element not in self_and_ancestors(each)), None)]


def _sibling(element: Element, offset: int) -> Element | None:
    children = (element.parent.children if element.parent else None) or ()
    siblings = [each for each in children if isinstance(each, Element)]
    index = next(number for number, each in enumerate(siblings) if each is element) + offset
    return siblings[index] if 0 <= index < len(siblings) else None


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
    """Move the document's ``hx-preserve`` elements to the places where a payload has them."""
    for new in [
        each for each in elements(content) if attribute(each, "hx-preserve") is not None and each.attrs.get("id")
    ]:
        old = next((each for each in elements(document) if each.attrs.get("id") == new.attrs["id"]), None)
        if old is not None and new.parent is not None:
            insert_children(new.parent, index_in_parent(new), [old])
            detach(new)


def apply_basic_style(style: str, target: Element, content: Node) -> bool:
    """Swap content by a style that both versions have; return False for any other style."""
    parent = target.parent
    if style == "innerHTML" or (style == "outerHTML" and target.name == "body"):
        replace_children(target, content)
    elif style == "afterbegin":
        insert_children(target, 0, content.children or ())
    elif style == "beforeend":
        insert_children(target, len(target.children), content.children or ())
    elif style not in {"outerHTML", "beforebegin", "afterend", "delete"}:
        return False
    elif parent is not None and parent.name != "#document":
        _place_outside(style, parent, target, content)
    return True


def _place_outside(style: str, parent: Node, target: Element, content: Node) -> None:
    if style != "delete":
        insert_children(parent, index_in_parent(target) + (style == "afterend"), content.children or ())
    if style in {"delete", "outerHTML"}:
        detach(target)


def replace_children(target: Element, content: Node) -> None:
    """Replace the children of an element."""
    for child in list(target.children):
        if child not in (content.children or ()):
            detach(child)
    insert_children(target, 0, content.children or ())


def set_title(document: Node, title: str) -> None:
    """Set the document's title, if it has one."""
    found = next((each for each in elements(document) if each.name == "title"), None)
    if found is not None:
        replace_children(found, text_content(title))


def text_content(text: str) -> DocumentFragment:
    """Return content that is a text."""
    content = DocumentFragment()
    insert_children(content, 0, [Text(text)])
    return content


def config_value(document: Node, name: str) -> str:
    """Return a value of the page's ``htmx-config`` as written; an empty string if it is not set."""
    for each in elements(document):
        if each.name == "meta" and each.attrs.get("name") == "htmx-config":
            found = re.search(rf"[\"']?{name}[\"']?\s*:\s*[\"']?([\w:]+)", each.attrs.get("content") or "")
            return found[1] if found else ""
    return ""


def top_templates(content: Node) -> list[Template]:
    """Return the templates in a payload, without those inside templates."""
    return [each for each in elements(content) if isinstance(each, Template)]


def partial_target(template: Template) -> str | None:
    """Return the selector of a partial's target."""
    own_id = template.attrs.get("id")
    return attribute(template, "hx-target") or (f'[id="{own_id}"]' if own_id else None)
