"""A page as the browser sees it: a tree of elements, and the attributes that each inherits.

Inheritance follows the sources of htmx 2.0.11 (``getClosestAttributeValue``, ``getTarget``, ``findThisElement``) and of
htmx 4.0.1. A value that is known only when the page is rendered stays unknown, and no rule applies to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .._templates import DYNAMIC, BlockRows, Element, PageReads, TemplatePlace
from .htmx_setup import HtmxSetup

__all__ = ["Node", "PageTree", "ResolvedAttribute", "are_exclusive", "build_nodes", "is_appending"]

_MODIFIERS = ("swap:", "settle:", "transition:", "ignoretitle:", "scroll:", "show:", "focus-scroll:")
_APPENDING = frozenset({"beforeend", "afterbegin", "beforebegin", "afterend", "append", "prepend", "before", "after"})


@dataclass(slots=True, eq=False)
class Node:
    """An element in the tree of its page."""

    element: Element
    parent: Node | None
    children: list[Node] = field(default_factory=list)

    @property
    def tag(self) -> str:
        """The element's tag."""
        return self.element.tag

    def get(self, name: str) -> str | None:
        """Return an attribute of the element itself, with or without the prefix ``data-``."""
        attributes = self.element.attributes
        value = attributes.get(name)
        return value or attributes.get(f"data-{name}", value)

    def has(self, name: str) -> bool:
        """Return whether the element has the attribute, with any value or none."""
        return name in self.element.attributes or f"data-{name}" in self.element.attributes

    @property
    def has_dynamic_attributes(self) -> bool:
        """Whether an expression in the tag may add attributes."""
        return any(DYNAMIC in name for name in self.element.attributes)

    @property
    def dom_id(self) -> str | None:
        """The element's id. ``None`` if it has none or an expression writes it."""
        value = self.element.attributes.get("id")
        return value if value and DYNAMIC not in value else None

    def self_and_ancestors(self) -> Iterator[Node]:
        """Yield the element and its ancestors, innermost first."""
        node: Node | None = self
        while node is not None:
            yield node
            node = node.parent

    @property
    def events(self) -> list[str]:
        """The events that ``sse-swap`` names, except those that an expression writes."""
        names = (part.strip() for part in (self.get("sse-swap") or "").split(","))
        return [name for name in names if name and DYNAMIC not in name]

    @property
    def opening_tag(self) -> str:
        """The start of the tag, for messages."""
        return f"<{self.tag}{f' id={self.dom_id}' if self.dom_id else ''}>"


@dataclass(frozen=True, slots=True)
class ResolvedAttribute:
    """The value of an attribute after inheritance.

    Args:
        value: The value.
        node: The element that sets it.
        attribute: The attribute's name there. ``None`` if the value is the default.
    """

    value: str
    node: Node
    attribute: str | None = None

    @property
    def known(self) -> bool:
        """Whether the value contains no expression."""
        return DYNAMIC not in self.value

    @property
    def source(self) -> str:
        """The element that sets the attribute, and its location, for messages."""
        return f"{self.node.opening_tag} at {self.node.element.place(self.attribute)}"


@dataclass(frozen=True, slots=True)
class PageTree:
    """One page.

    Args:
        name: The page's template.
        reads: Its blocks.
        nodes: Its elements in document order.
        htmx: The htmx that it loads.
        text: The source text of all its templates.
        live_script: Whether it loads the live script.
        sink: The place where it calls ``live()``. None if it does not.
        rows: Its blocks with lists, by name.
    """

    name: str
    reads: PageReads
    nodes: Sequence[Node]
    htmx: HtmxSetup
    text: str
    live_script: bool = False
    sink: TemplatePlace | None = None
    rows: Mapping[str, BlockRows] = field(default_factory=dict)

    def closest(self, node: Node, name: str) -> ResolvedAttribute | None:
        """Return the value that htmx uses for an attribute, inherited or not. ``None`` if there is none."""
        return self._closest_4(node, name) if self.htmx.major >= 4 else self._closest_2(node, name)

    def _closest_2(self, node: Node, name: str) -> ResolvedAttribute | None:
        for each in node.self_and_ancestors():
            if each is not node:
                if self.htmx.config.get("disableInheritance"):
                    if not _lists(each.get("hx-inherit"), name):
                        continue
                elif _lists(each.get("hx-disinherit"), name):
                    return None
            value = each.get(name)
            if value:
                return None if value == "unset" else ResolvedAttribute(value, each, name)
            if each.has_dynamic_attributes:
                return ResolvedAttribute(DYNAMIC, each)
        return None

    def _closest_4(self, node: Node, name: str) -> ResolvedAttribute | None:
        implicit = self.htmx.config.get("implicitInheritance")
        for each in node.self_and_ancestors():
            for spelling in (name, f"{name}:inherited") if each is node or implicit else (f"{name}:inherited",):
                value = each.get(spelling)
                if value is not None:
                    return ResolvedAttribute(value, each, spelling)
            if each.has_dynamic_attributes:
                return ResolvedAttribute(DYNAMIC, each)
        return None

    def target(self, node: Node) -> ResolvedAttribute | None:
        """Return the target of an element's swaps. ``None`` if it is the element itself."""
        found = self.closest(node, "hx-target")
        if found is None or (found.node is node and found.value == "this"):
            return None
        if found.known and _selects(found.value, node):
            return None
        return found

    def swap_style(self, node: Node) -> ResolvedAttribute:
        """Return the swap style of an element."""
        default = self.htmx.config.get("defaultSwapStyle") or self.htmx.config.get("defaultSwap") or "innerHTML"
        found = self.closest(node, "hx-swap")
        if found is None:
            return ResolvedAttribute(str(default), node)
        first = (found.value.split() or [""])[0]
        if not first or first.lower().startswith(_MODIFIERS):
            return ResolvedAttribute(str(default), found.node, found.attribute)
        return ResolvedAttribute(first, found.node, found.attribute)

    def extensions(self, node: Node) -> set[str] | None:
        """Return the htmx 2 extensions that are active on an element. ``None`` if they are unknown."""
        names: set[str] = set()
        ignored: set[str] = set()
        for each in node.self_and_ancestors():
            value = each.get("hx-ext") or ""
            if DYNAMIC in value or each.has_dynamic_attributes:
                return None
            for name in value.replace(" ", "").split(","):
                if name.startswith("ignore:"):
                    ignored.add(name.removeprefix("ignore:"))
                elif name and name not in ignored:
                    names.add(name)
        return names

    @property
    def connect_elements(self) -> list[Node]:
        """The elements that connect a stream with the page's version of htmx."""
        names = ("hx-sse:connect", "sse-connect") if self.htmx.major >= 4 else ("sse-connect",)
        return [node for node in self.nodes if any(node.has(name) for name in names)]

    @property
    def swap_elements(self) -> list[Node]:
        """The elements with ``sse-swap``."""
        return [node for node in self.nodes if node.events]

    def connect_element_of(self, node: Node) -> Node | None:
        """Return the connect element whose stream an element receives."""
        return next((each for each in node.self_and_ancestors() if each.has("sse-connect")), None)

    def blocks_around(self, name: str | None) -> Iterator[str]:
        """Yield a block and those around it, innermost first."""
        while name is not None:
            yield name
            reads = self.reads.blocks.get(name)
            name = reads.parent if reads is not None else None

    def with_id(self, dom_id: str) -> list[Node]:
        """Return the elements that have an id."""
        return [node for node in self.nodes if node.dom_id == dom_id]


def is_appending(style: str) -> bool:
    """Return whether a swap style adds to the existing content."""
    return style in _APPENDING


def build_nodes(elements: Iterable[Element]) -> list[Node]:
    """Build the tree of a page's elements, without what is in a ``<template>``, which the browser does not render."""
    nodes: list[Node] = []
    for element in elements:
        parent = nodes[element.parent] if element.parent is not None else None
        node = Node(element, parent)
        if parent is not None:
            parent.children.append(node)
        nodes.append(node)
    return [node for node in nodes if all(each is node or each.tag != "template" for each in node.self_and_ancestors())]


def are_exclusive(one: Node, other: Node) -> bool:
    """Return whether two elements are in different branches of one condition, and so never in the page together."""
    chosen = dict(one.element.when)
    return any(chosen.get(choice, alternative) != alternative for choice, alternative in other.element.when)


def _lists(value: str | None, name: str) -> bool:
    # htmx splits at single spaces: a comma or a line break becomes part of the name
    return value is not None and (value == "*" or name in value.split(" ") or DYNAMIC in value)


def _selects(selector: str, node: Node) -> bool:
    """Return whether a selector may match the element itself."""
    first = selector.strip()
    if first.startswith("#"):
        return node.dom_id == first[1:] or (node.element.attributes.get("id") or "").count(DYNAMIC) > 0
    if first.startswith("."):
        classes = node.element.attributes.get("class") or ""
        return first[1:] in classes.split() or DYNAMIC in classes
    if first.isalpha():
        return first == node.tag
    return True  # a relative or compound selector: what it matches is unknown
