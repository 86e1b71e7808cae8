"""A page as the browser sees it: a tree of elements, and what each takes over from those around it.

Inheritance follows the sources of htmx 2.0.11 (``getClosestAttributeValue``, ``getTarget``, ``findThisElement``) and of
htmx 4.0.1. A value that is known only when the page is rendered stays unknown, and no rule judges it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from .._templates import DYNAMIC, Element, PageReads
from .htmx import Htmx

__all__ = ["UNKNOWN", "Document", "Found", "Node", "is_appending", "make_nodes", "never_together"]

UNKNOWN = DYNAMIC
"""The value of an attribute that an expression may have set."""

_MODIFIERS = ("swap:", "settle:", "transition:", "ignoretitle:", "scroll:", "show:", "focus-scroll:")
_APPENDING = frozenset({"beforeend", "afterbegin", "beforebegin", "afterend", "append", "prepend", "before", "after"})


@dataclass(slots=True, eq=False)
class Node:
    """An element in its tree."""

    element: Element
    parent: Node | None
    children: list[Node] = field(default_factory=list)

    @property
    def tag(self) -> str:
        """The element's tag."""
        return self.element.tag

    def own(self, name: str) -> str | None:
        """Return the element's own attribute, with or without ``data-`` before its name."""
        attributes = self.element.attributes
        value = attributes.get(name)
        return value or attributes.get(f"data-{name}", value)

    def has(self, name: str) -> bool:
        """Tell whether the element has the attribute, whatever its value."""
        return name in self.element.attributes or f"data-{name}" in self.element.attributes

    @property
    def open_ended(self) -> bool:
        """Whether an expression in the tag may add attributes."""
        return any(DYNAMIC in name for name in self.element.attributes)

    @property
    def dom_id(self) -> str | None:
        """The element's id, if it is known."""
        value = self.element.attributes.get("id")
        return value if value and DYNAMIC not in value else None

    def chain(self) -> Iterator[Node]:
        """Yield the element and those around it, from the inside."""
        node: Node | None = self
        while node is not None:
            yield node
            node = node.parent

    def inside(self) -> Iterator[Node]:
        """Yield all elements inside this one."""
        for child in self.children:
            yield child
            yield from child.inside()

    @property
    def events(self) -> list[str]:
        """The events that ``sse-swap`` names, as far as they are known."""
        names = (part.strip() for part in (self.own("sse-swap") or "").split(","))
        return [name for name in names if name and DYNAMIC not in name]

    @property
    def opening(self) -> str:
        """The beginning of the tag, for messages."""
        return f"<{self.tag}{f' id={self.dom_id}' if self.dom_id else ''}>"


@dataclass(frozen=True, slots=True)
class Found:
    """An attribute's value, the element that has it, and the attribute's name there; none: it is the default."""

    value: str
    node: Node
    attribute: str | None = None

    @property
    def known(self) -> bool:
        """Whether no expression is in the value."""
        return DYNAMIC not in self.value

    @property
    def source(self) -> str:
        """Which element has the attribute, and where, for messages."""
        return f"{self.node.opening} at {self.node.element.place(self.attribute)}"


@dataclass(frozen=True, slots=True)
class Document:
    """One page.

    Args:
        name: The page's template.
        reads: Its blocks.
        nodes: Its elements in document order.
        htmx: The version of htmx that it loads, and its configuration.
        text: The texts of all its templates.
    """

    name: str
    reads: PageReads
    nodes: Sequence[Node]
    htmx: Htmx
    text: str

    def closest(self, node: Node, name: str) -> Found | None:
        """Return the value that htmx takes for an attribute of an element, inherited or not; None: there is none."""
        return self._closest_4(node, name) if self.htmx.major >= 4 else self._closest_2(node, name)

    def _closest_2(self, node: Node, name: str) -> Found | None:
        for each in node.chain():
            if each is not node:
                if self.htmx.config.get("disableInheritance"):
                    if not _lists(each.own("hx-inherit"), name):
                        continue
                elif _lists(each.own("hx-disinherit"), name):
                    return None
            value = each.own(name)
            if value:
                return None if value == "unset" else Found(value, each, name)
            if each.open_ended:
                return Found(UNKNOWN, each)
        return None

    def _closest_4(self, node: Node, name: str) -> Found | None:
        implicit = self.htmx.config.get("implicitInheritance")
        for each in node.chain():
            for spelling in (name, f"{name}:inherited") if each is node or implicit else (f"{name}:inherited",):
                value = each.own(spelling)
                if value is not None:
                    return Found(value, each, spelling)
            if each.open_ended:
                return Found(UNKNOWN, each)
        return None

    def target(self, node: Node) -> Found | None:
        """Return the target that an element's swaps go to, with the element that says so; None: the element itself."""
        found = self.closest(node, "hx-target")
        if found is None or (found.node is node and found.value == "this"):
            return None
        if found.known and _selects(found.value, node):
            return None
        return found

    def style(self, node: Node) -> Found:
        """Return the style in which an element's content is swapped."""
        default = self.htmx.config.get("defaultSwapStyle") or self.htmx.config.get("defaultSwap") or "innerHTML"
        found = self.closest(node, "hx-swap")
        if found is None:
            return Found(str(default), node)
        first = (found.value.split() or [""])[0]
        if not first or first.lower().startswith(_MODIFIERS):
            return Found(str(default), found.node, found.attribute)
        return Found(first, found.node, found.attribute)

    def extensions(self, node: Node) -> set[str] | None:
        """Return the extensions of htmx 2 that hold for an element; None: they are not known."""
        names: set[str] = set()
        ignored: set[str] = set()
        for each in node.chain():
            value = each.own("hx-ext") or ""
            if DYNAMIC in value or each.open_ended:
                return None
            for name in value.replace(" ", "").split(","):
                if name.startswith("ignore:"):
                    ignored.add(name.removeprefix("ignore:"))
                elif name and name not in ignored:
                    names.add(name)
        return names

    @property
    def connects(self) -> list[Node]:
        """The elements that connect a stream under the page's version of htmx."""
        names = ("hx-sse:connect", "sse-connect") if self.htmx.major >= 4 else ("sse-connect",)
        return [node for node in self.nodes if any(node.has(name) for name in names)]

    @property
    def swaps(self) -> list[Node]:
        """The elements with ``sse-swap``."""
        return [node for node in self.nodes if node.events]

    def connect_of(self, node: Node) -> Node | None:
        """Return the element whose stream an element listens to."""
        return next((each for each in node.chain() if each.has("sse-connect")), None)

    def blocks_around(self, name: str | None) -> Iterator[str]:
        """Yield a block and those around it, from the inside."""
        while name is not None:
            yield name
            reads = self.reads.blocks.get(name)
            name = reads.parent if reads is not None else None

    def with_id(self, dom_id: str) -> list[Node]:
        """Return the elements of an id."""
        return [node for node in self.nodes if node.dom_id == dom_id]


def is_appending(style: str) -> bool:
    """Tell whether a swap style adds to what is there."""
    return style in _APPENDING


def make_nodes(elements: Iterable[Element]) -> list[Node]:
    """Make the tree of a page's elements, without those in a ``<template>``, which the browser leaves alone."""
    nodes: list[Node] = []
    for element in elements:
        parent = nodes[element.parent] if element.parent is not None else None
        node = Node(element, parent)
        if parent is not None:
            parent.children.append(node)
        nodes.append(node)
    return [node for node in nodes if not any(each.tag == "template" for each in node.chain())]


def never_together(one: Node, other: Node) -> bool:
    """Tell whether two elements stand in different alternatives of one choice."""
    chosen = dict(one.element.when)
    return any(chosen.get(choice, alternative) != alternative for choice, alternative in other.element.when)


def _lists(value: str | None, name: str) -> bool:
    # htmx splits at single spaces: a comma or a line break makes another name
    return value is not None and (value == "*" or name in value.split(" ") or DYNAMIC in value)


def _selects(selector: str, node: Node) -> bool:
    """Tell whether a selector may stand for the element itself."""
    first = selector.strip()
    if first.startswith("#"):
        return node.dom_id == first[1:] or (node.element.attributes.get("id") or "").count(DYNAMIC) > 0
    if first.startswith("."):
        classes = node.element.attributes.get("class") or ""
        return first[1:] in classes.split() or DYNAMIC in classes
    if first.isalpha():
        return first == node.tag
    return True  # a relative or compound selector: what it finds is not known
