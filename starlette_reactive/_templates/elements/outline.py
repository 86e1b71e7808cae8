"""The elements of a page as the tokenizer reports them, with their surroundings and the blocks that they hold.

An :class:`Outline` receives the tags from a tokenizer while a walker visits a page in the order of its output. The
walker sets where it is: in which blocks, loops and alternatives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from jinja2 import nodes

from ..._core.blocks import Placement
from .loops import LoopBody
from .markup import Markup, Piece
from .nesting import closed_by_end, closed_by_start, is_foreign
from .tokenizer import DYNAMIC, VOID, StartTag, TemplatePlace, Tokenizer
from .tree import TreeFault

__all__ = ["Element", "Outline"]

_KEEPING_SPACE: Final = frozenset({"pre", "textarea", "listing"})
"""The elements in which browsers show white space as it is."""


@dataclass(frozen=True, slots=True)
class Element:
    """One start tag of a composed page.

    Args:
        tag: Its name, in lower case.
        attributes: Its attributes by lower-case name. The value None stands for an attribute without a value. In a
            value, :data:`DYNAMIC` stands for each part that is known only at run time. As a name, it stands for
            attributes that are.
        template: The template that contains the tag.
        line: The tag's line there.
        around: The nearest block around the element.
        root: Whether it is the only root element of ``around``: there is nothing else in the block except white space
            and comments, and the element is always there.
        holds: The blocks directly in it, with no element and no other block between.
        sole: Whether it always holds exactly one block, and nothing else except white space and comments.
        in_loop: Whether it is in a loop, so that the page may show it any number of times.
        parent: The position of the element around it in the list. None at the top.
        when: The alternatives around it, outermost first: the number of the choice in the page, and the number of the
            alternative. Two elements with different alternatives of one choice are never shown together.
        conditions: The names in the tests that decide whether the page shows it.
        begins_with_break: Whether it is a ``<pre>`` or ``<textarea>`` and begins with a line break, which the HTML
            parser drops.
        places: The place of each attribute, which may be in another template than the tag.
        fault: Why an update of its content cannot give the tree that the browser builds of the whole page. None if it
            can.
    """

    tag: str
    attributes: Mapping[str, str | None]
    template: str
    line: int
    around: str | None
    root: bool
    holds: tuple[str, ...]
    sole: bool
    in_loop: bool
    parent: int | None
    when: tuple[tuple[int, int], ...]
    conditions: frozenset[str]
    begins_with_break: bool
    places: Mapping[str, TemplatePlace]
    fault: TreeFault | None = None

    def update_fault(self, placement: Placement) -> TreeFault | None:
        """Return why an update cannot give the tree that the browser builds of the whole page. None if it can.

        Args:
            placement: Whether the update replaces the content of the element, or the element itself.
        """
        if placement is Placement.AROUND and self.tag in ("html", "head", "body"):
            reason = f"the HTML parser drops a <{self.tag}> that is not at the top of a page"
            return TreeFault(reason, f"put the block into the <{self.tag}>", self.place())
        return self.fault

    def place(self, attribute: str | None = None) -> TemplatePlace:
        """Return the place of an attribute, with or without the prefix ``data-``.

        Without an attribute, or if the tag does not have it, return the place of the tag.
        """
        for name in (attribute, f"data-{attribute}") if attribute is not None else ():
            if name in self.places:
                return self.places[name]
        return TemplatePlace(self.template, self.line)


@dataclass(slots=True, eq=False)
class _ElementDraft:
    """An element while the outline is built."""

    start: StartTag
    piece: Piece
    around: _BlockDraft | None
    in_loop: bool
    parent: _ElementDraft | None
    position: int
    at_root: bool
    when: tuple[tuple[int, int], ...]
    conditions: frozenset[str]
    branches: int
    holds: list[str] = field(default_factory=list)
    certain: bool = True
    other: bool = False
    unclosed_in: _BlockDraft | None = None
    has_begun: bool = False
    begins_with_break: bool = False

    def add_content(self) -> None:
        """Record that the element holds something else than blocks.

        If a block begins the element and does not end it, the content comes after the block in the block's element.
        """
        self.other = True
        if self.unclosed_in is not None:
            self.unclosed_in.add_content_after()

    def element(self, fault: TreeFault | None) -> Element:
        shown, start = self.around, self.start
        return Element(
            tag=start.name,
            attributes=MappingProxyType(start.attributes),
            template=start.place.template,
            line=start.place.line,
            around=shown.name if shown is not None else None,
            root=shown is not None and self.at_root and shown.roots == [self] and not shown.other,
            holds=tuple(self.holds),
            sole=len(self.holds) == 1 and self.certain and not self.other,
            in_loop=self.in_loop,
            parent=self.parent.position if self.parent is not None else None,
            when=self.when,
            conditions=self.conditions,
            begins_with_break=self.begins_with_break,
            places=MappingProxyType(start.places),
            fault=fault,
        )


@dataclass(slots=True, eq=False)
class _BlockDraft:
    """A block while the outline is built."""

    name: str
    element: _ElementDraft | None
    branches: int
    roots: list[_ElementDraft] = field(default_factory=list)
    other: bool = False

    def add_content_after(self) -> None:
        """Record that there is something after the block in an element that begins in it."""
        self.other = True
        if self.element is not None:
            self.element.other = True


class Outline:
    """The elements of a page so far. It handles the tags of its own tokenizer.

    Attributes:
        tokens: The tokenizer, which the walker feeds.
        markup: The tags and texts.
        loops: The number of loops around the walker.
        branches: The number of constructs around the walker that the page may show or not.
        when: The alternatives around the walker.
        conditions: The names in the tests that decide between them.
        loop_bodies: The bodies of loops so far.
    """

    def __init__(self) -> None:
        self.tokens: Tokenizer = Tokenizer(self)
        self.markup: Markup = Markup()
        self.loop_bodies: list[LoopBody] = []
        self.loops = 0
        self.branches = 0
        self.when: tuple[tuple[int, int], ...] = ()
        self.conditions: frozenset[str] = frozenset()
        self._drafts: list[_ElementDraft] = []
        self._open: list[_ElementDraft] = []
        self._names: list[str] = []  # of the open elements
        self._blocks: list[_BlockDraft] = []
        self._loops: list[LoopBody] = []

    def __len__(self) -> int:
        return len(self._drafts)

    def elements(self, faults: Mapping[int, TreeFault]) -> list[Element]:
        """Return the elements in document order.

        Args:
            faults: What an update of an element does to the browser's tree, by the element's position.
        """
        return [made.element(faults.get(made.position)) for made in self._drafts]

    def save(self) -> tuple[tuple[object, ...], list[_ElementDraft]]:
        """Return the position in the markup, for :meth:`restore`."""
        return self.tokens.save(), list(self._open)

    def restore(self, saved: tuple[tuple[object, ...], list[_ElementDraft]]) -> None:
        """Return to a position in the markup."""
        self.tokens.restore(saved[0])
        self._open = list(saved[1])
        self._names = [each.start.name for each in self._open]

    def is_level(self, saved: tuple[tuple[object, ...], list[_ElementDraft]]) -> bool:
        """Return whether the same elements are open as at a position in the markup."""
        return self._open == saved[1] and self.tokens.in_text

    def leave_open(self, saved: tuple[tuple[object, ...], list[_ElementDraft]]) -> None:
        """Record the elements that an alternative to the first one leaves open.

        Args:
            saved: The position before the alternatives.
        """
        self.markup.left_open.update(each.piece.number for each in self._open if each not in saved[1])

    @contextmanager
    def block(self, name: str) -> Iterator[None]:
        """Put what follows into a block."""
        shown = _BlockDraft(name, self._open[-1] if self._open else None, self.branches)
        self._add_block(shown)
        self._blocks.append(shown)
        try:
            yield
        finally:
            self._blocks.pop()
            if shown.element is not None:
                self.markup.end_block(shown.element.piece)
            for made in self._open:
                if made.around is shown:
                    made.unclosed_in = shown

    @contextmanager
    def loop_body(self, node: nodes.For, template: str) -> Iterator[None]:
        """Put what follows into the body of a loop."""
        self.loops += 1
        block, element = self._blocks[-1].name if self._blocks else None, self._open[-1] if self._open else None
        body = LoopBody(node, TemplatePlace(template, node.lineno), block, element, self.loops)
        before = self.save()
        self.loop_bodies.append(body)
        self._loops.append(body)
        try:
            yield
        finally:
            self._loops.pop()
            self.loops -= 1
            body.is_level = self.is_level(before)

    def _add_block(self, shown: _BlockDraft) -> None:
        outer = self._blocks[-1] if self._blocks else None
        if outer is not None and outer.element is shown.element:
            outer.other = True
        elif shown.element is not None:
            shown.element.holds.append(shown.name)
            if shown.element.unclosed_in is not None:
                shown.element.unclosed_in.add_content_after()
            shown.element.certain = shown.element.certain and shown.element.branches == self.branches

    def start_tag(self, tag: StartTag) -> None:
        """Add an element, and open it unless it is empty."""
        self._close(closed_by_start(tag.name, self._names))
        parent = self._open[-1] if self._open else None
        shown = self._blocks[-1] if self._blocks else None
        at_root = shown is not None and shown.element is parent
        piece = self.markup.start(tag, len(self._drafts), parent.piece if parent else None, self._holders())
        made = _ElementDraft(
            tag,
            piece,
            shown,
            self.loops > 0,
            parent,
            len(self._drafts),
            at_root,
            self.when,
            self.conditions,
            self.branches,
        )
        if parent is not None:
            parent.has_begun = True
        for body in self._loops:
            if body.element is parent:
                body.add_root(made, self.loops)
        if at_root and shown is not None:
            shown.roots.append(made)
            shown.other = shown.other or self.branches != shown.branches
        else:
            self._add_other(parent)
        self._drafts.append(made)
        if tag.name not in VOID and not (tag.closed and self._may_be_closed(tag.name)):
            self._open.append(made)
            self._names.append(tag.name)

    def _may_be_closed(self, name: str) -> bool:
        """Return whether a slash at the end of a start tag closes the element, as only in SVG and MathML."""
        return DYNAMIC in name or name in ("svg", "math") or self.is_foreign()

    def end_tag(self, name: str) -> None:
        """Close the elements that an end tag closes."""
        left = closed_by_end(name, self._names)
        parent = self._open[-1] if self._open else None
        if name == "p" and left == len(self._open):
            self._add_other(parent)  # a </p> that closes nothing makes an empty paragraph
        self.markup.end(name, parent.piece if parent else None)
        self._close(left)

    def _close(self, left: int) -> None:
        """Close the innermost elements except the given number of others."""
        del self._open[left:]
        del self._names[left:]

    def text(self, text: str) -> None:
        """Record text at the current position. White space counts where browsers show it."""
        parent = self._open[-1] if self._open else None
        if parent is not None and parent.start.name in _KEEPING_SPACE and not parent.has_begun:
            parent.begins_with_break = text.startswith("\n")
            parent.has_begun = True
        if not text.isspace():
            self._add_text(known=True)
        elif not _KEEPING_SPACE.isdisjoint(self._names):
            self._add_other(parent)

    def unknown(self) -> None:
        """Record an expression at the current position."""
        self._add_text(known=False)

    def _add_text(self, *, known: bool) -> None:
        parent = self._open[-1] if self._open else None
        if parent is not None:
            parent.has_begun = True
        for body in self._loops:
            body.other = body.other or body.element is parent
        place = TemplatePlace(self.tokens.template, self.tokens.line)
        self.markup.text(parent.piece if parent else None, self._holders(), place, known=known)
        self._add_other(parent)

    def _add_other(self, parent: _ElementDraft | None) -> None:
        """Record something in an element that is neither a block nor the root of the innermost one."""
        shown = next((each for each in reversed(self._blocks) if each.element is parent), None)
        if shown is not None:
            shown.other = True
        elif parent is not None:
            parent.add_content()

    def doctype(self) -> None:
        """Record a doctype."""
        self.markup.has_doctype = True

    def is_foreign(self) -> bool:
        """Return whether the current position is in SVG or MathML."""
        return is_foreign(self._names)

    def _holders(self) -> tuple[Piece, ...]:
        """Return the elements that hold the blocks around the current position, and are closed."""
        blocks = (each.element for each in self._blocks)
        return tuple(each.piece for each in blocks if each is not None and each not in self._open)
