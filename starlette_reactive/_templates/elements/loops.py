"""The bodies of a page's loops: which elements are at their top.

A loop shows a keyed list if each of its rounds shows one element, or none, whose ``id`` depends on a value, and nothing
beside it. Then its output can be taken apart into rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Protocol

from jinja2 import nodes

from .tokenizer import DYNAMIC, StartTag, TemplatePlace

__all__ = ["LoopBody", "RootElement"]


class RootElement(Protocol):
    """An element at the top of a loop's body."""

    @property
    def start(self) -> StartTag:
        """Its start tag."""

    @property
    def when(self) -> tuple[tuple[int, int], ...]:
        """The alternatives around it."""


@dataclass(slots=True, eq=False)
class LoopBody:
    """What a loop shows in each round.

    Args:
        node: The loop.
        place: Its place.
        block: The nearest block around it.
        element: The element around it.
        depth: The number of loops around what it shows, itself included.

    Attributes:
        roots: The elements at its top.
        repeats: Whether a loop in it shows some of them.
        other: Whether there is something besides elements, white space and comments at its top.
        is_level: Whether it closes what it opens, and nothing else.
    """

    node: nodes.For
    place: TemplatePlace
    block: str | None
    element: RootElement | None
    depth: int
    roots: list[RootElement] = field(default_factory=list)
    repeats: bool = False
    other: bool = False
    is_level: bool = True

    def add_root(self, made: RootElement, depth: int) -> None:
        """Add an element at its top, which is in so many loops."""
        self.roots.append(made)
        self.repeats = self.repeats or depth > self.depth

    @property
    def has_ids(self) -> bool:
        """Whether elements at its top have an id that depends on a value."""
        return any(DYNAMIC in (root.start.attributes.get("id") or "") for root in self.roots)

    def fault(self) -> tuple[str, str] | None:
        """Return why its output is not a keyed list, and how to fix that. None if it is one."""
        if self.node.recursive:
            return "its loop is recursive", "write a loop that is not recursive"
        if not self.roots:
            return "its loop shows no element", "put what the loop shows into an element with an id of its own"
        if not self.is_level:
            return "its loop does not close the elements that it opens", "write the end tag of each row"
        if self.repeats or not all(_are_exclusive(one, other) for one, other in combinations(self.roots, 2)):
            return "its loop shows several elements in each round", "put them into one element with an id"
        if self.other:
            return "its loop shows something beside the element", "move it into the element"
        return _id_fault(self.roots)


def _id_fault(roots: Sequence[RootElement]) -> tuple[str, str] | None:
    for root in roots:
        tag, dom_id = root.start.name, root.start.attributes.get("id")
        if DYNAMIC in tag:
            return "the tag of its rows depends on a value", "write the tag of each row in the template"
        if not dom_id or DYNAMIC not in dom_id:
            shown = f"the <{tag}> in its loop has {'no id' if not dom_id else 'a constant id'}"
            return shown, f'give each row an id of its own, such as <{tag} id="row-{{{{ item.id }}}}">'
    return None


def _are_exclusive(one: RootElement, other: RootElement) -> bool:
    """Return whether two elements are never shown together."""
    taken = dict(one.when)
    return any(taken.get(choice, number) != number for choice, number in other.when)
