"""Elements as they are found: what is around each, which blocks it holds, and whether that is so in every case.

An :class:`Outline` is what a tokenizer tells its tags to while a page is walked in the order of its output. The walker
notes in it where it is: in which blocks, loops and alternatives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from .tokenizer import VOID, Place, StartTag, Tokenizer

__all__ = ["Element", "Outline"]


@dataclass(frozen=True, slots=True)
class Element:
    """One start tag of a composed page.

    Args:
        tag: Its name, in lower case.
        attributes: Its attributes by lower-case name; None: without a value. :data:`DYNAMIC` stands in a value for each
            part that is known only when the page is rendered, and as a name for attributes that are.
        template: The template in which the tag stands.
        line: The tag's line there.
        around: The nearest block that the element stands in.
        root: Whether it is the single root element of ``around``: nothing but white space and comments is beside
            it, and it is there however the page is rendered.
        holds: The blocks that stand directly in it, with no element and no other block between.
        sole: Whether it holds exactly one block, always, and nothing else but white space and comments.
        in_loop: Whether it stands in a loop, so that the page may show it any number of times.
        parent: The position in the list of the element around it; None at the top.
        when: The alternatives that it stands in, outermost first: the number of the choice in the page, and of the
            alternative. Two elements are never shown together if they differ in the alternative of a choice.
        places: Where each attribute stands, which may be in another template than the tag.
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
    places: Mapping[str, Place]

    def place(self, attribute: str | None = None) -> Place:
        """Return where an attribute stands, with or without ``data-`` before its name; without one, where the tag does.

        An attribute that the tag does not have stands where the tag does.
        """
        for name in (attribute, f"data-{attribute}") if attribute is not None else ():
            if name in self.places:
                return self.places[name]
        return Place(self.template, self.line)


@dataclass(slots=True, eq=False)
class _Made:
    """An element being found out about."""

    start: StartTag
    around: _Shown | None
    in_loop: bool
    parent: _Made | None
    position: int
    at_root: bool
    when: tuple[tuple[int, int], ...]
    branches: int
    holds: list[str] = field(default_factory=list)
    certain: bool = True
    other: bool = False

    def element(self) -> Element:
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
            places=MappingProxyType(start.places),
        )


@dataclass(slots=True, eq=False)
class _Shown:
    """A block where the page shows it."""

    name: str
    element: _Made | None
    branches: int
    roots: list[_Made] = field(default_factory=list)
    other: bool = False


class Outline:
    """The elements of a page so far; the handler of its own tokenizer.

    Attributes:
        tokens: The tokenizer, which is fed by whoever walks the page.
        loops: How many loops the walk is in.
        branches: In how many parts it is that may be shown or not.
        when: The alternatives that it is in.
    """

    def __init__(self) -> None:
        self.tokens: Tokenizer = Tokenizer(self)
        self.loops = 0
        self.branches = 0
        self.when: tuple[tuple[int, int], ...] = ()
        self._made: list[_Made] = []
        self._open: list[_Made] = []
        self._blocks: list[_Shown] = []

    def __len__(self) -> int:
        return len(self._made)

    def elements(self) -> list[Element]:
        """Return the elements in document order."""
        return [made.element() for made in self._made]

    def save(self) -> tuple[tuple[object, ...], list[_Made]]:
        """Return the place in the markup, for :meth:`restore`."""
        return self.tokens.save(), list(self._open)

    def restore(self, saved: tuple[tuple[object, ...], list[_Made]]) -> None:
        """Go back to a place in the markup."""
        self.tokens.restore(saved[0])
        self._open = list(saved[1])

    @contextmanager
    def block(self, name: str) -> Iterator[None]:
        """Take what is told from here on as shown in a block."""
        shown = _Shown(name, self._open[-1] if self._open else None, self.branches)
        self._note_block(shown)
        self._blocks.append(shown)
        try:
            yield
        finally:
            self._blocks.pop()

    def _note_block(self, shown: _Shown) -> None:
        outer = self._blocks[-1] if self._blocks else None
        if outer is not None and outer.element is shown.element:
            outer.other = True
        elif shown.element is not None:
            shown.element.holds.append(shown.name)
            shown.element.certain = shown.element.certain and shown.element.branches == self.branches

    def start_tag(self, tag: StartTag) -> None:
        """Take a start tag."""
        if tag.name in _CLOSES and self._open and self._open[-1].start.name in _CLOSES[tag.name]:
            self._open.pop()
        parent = self._open[-1] if self._open else None
        shown = self._blocks[-1] if self._blocks else None
        at_root = shown is not None and shown.element is parent
        made = _Made(tag, shown, self.loops > 0, parent, len(self._made), at_root, self.when, self.branches)
        if at_root and shown is not None:
            shown.roots.append(made)
            shown.other = shown.other or self.branches != shown.branches
        elif parent is not None:
            parent.other = True
        self._made.append(made)
        if tag.name not in VOID and not tag.closed:
            self._open.append(made)

    def end_tag(self, name: str) -> None:
        """Take an end tag: it closes the nearest element of its name."""
        for position in range(len(self._open) - 1, -1, -1):
            if self._open[position].start.name == name:
                del self._open[position:]
                return

    def content(self) -> None:
        """Take text, or an expression."""
        parent = self._open[-1] if self._open else None
        shown = self._blocks[-1] if self._blocks else None
        if shown is not None and shown.element is parent:
            shown.other = True
        elif parent is not None:
            parent.other = True


_CLOSES: Final[Mapping[str, frozenset[str]]] = {
    "li": frozenset({"li"}),
    "p": frozenset({"p"}),
    "option": frozenset({"option"}),
    "tr": frozenset({"tr", "td", "th"}),
    "td": frozenset({"td", "th"}),
    "th": frozenset({"td", "th"}),
    "dt": frozenset({"dt", "dd"}),
    "dd": frozenset({"dt", "dd"}),
}
"""Elements that a start tag ends, as their end tags may be left out."""
