"""The elements of a composed page, and how blocks and elements lie in each other.

The page's syntax trees are walked in the order of its output — blocks in place, parents and includes followed — and
its text goes to an HTML tokenizer, with a mark for each part that is known only when the page is rendered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from jinja2 import Environment, nodes

from .dependencies import Page, Variant, page_of
from .html import DYNAMIC, VOID, Tokenizer
from .sources import Parsed

__all__ = ["DYNAMIC", "Element", "elements"]


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
    when: tuple[tuple[int, int], ...] = ()


def elements(env: Environment, template_name: str, source: str | None = None) -> list[Element]:
    """Return the elements of a page in document order, across inheritance and includes.

    Where a page has alternatives, the elements of each are there; where the alternatives close different tags, the
    first one's count. What macros and expressions put into the page is not known.

    Args:
        env: The environment that renders the page.
        template_name: The page's template, as the loader knows it.
        source: The template's text, if it is not what the loader has.

    Raises:
        TemplateLoadError: There is no such template, or one that the page is made of does not parse.
    """
    page = page_of(env, template_name, source)
    walker = _Walker(page, page.variants[0])
    walker.walk_page()
    return [made.element() for made in walker.made]


@dataclass(slots=True, eq=False)
class _Made:
    """An element being found out about."""

    tag: str
    attributes: dict[str, str | None]
    template: str
    line: int
    around: _Place | None
    in_loop: bool
    parent: _Made | None
    position: int
    at_root: bool
    when: tuple[tuple[int, int], ...]
    holds: list[str] = field(default_factory=list)
    certain: bool = True
    other: bool = False

    def element(self) -> Element:
        place = self.around
        root = place is not None and self.at_root and place.roots == [self] and not place.other
        return Element(
            self.tag,
            MappingProxyType(self.attributes),
            self.template,
            self.line,
            place.name if place is not None else None,
            root,
            tuple(self.holds),
            len(self.holds) == 1 and self.certain and not self.other,
            self.in_loop,
            self.parent.position if self.parent is not None else None,
            self.when,
        )


@dataclass(slots=True, eq=False)
class _Place:
    """A block where the page shows it."""

    name: str
    element: _Made | None
    branches: int
    roots: list[_Made] = field(default_factory=list)
    other: bool = False


@dataclass(frozen=True, slots=True)
class _Chain:
    """A template with its parents."""

    levels: tuple[Parsed, ...]
    blocks: Mapping[str, list[tuple[Parsed, nodes.Block]]]


class _Walker:
    """Walks a page in the order of its output; the handler of its own tokenizer."""

    def __init__(self, page: Page, variant: Variant) -> None:
        self.page = page
        self.variant = variant
        self.templates = {parsed.name: parsed for parsed in page.used}
        self.tokens = Tokenizer(self)
        self.made: list[_Made] = []
        self.open: list[_Made] = []
        self.places: list[_Place] = []
        self.loops = 0
        self.branches = 0
        self.choices = 0
        self.when: tuple[tuple[int, int], ...] = ()
        self.parsed = variant.run.levels[-1]
        self.chain = _chain(variant.run.levels)
        self.shown: list[tuple[int, str, int]] = []
        self._including: list[Parsed] = []
        self._depths: dict[_Made, int] = {}

    def walk_page(self) -> None:
        """Walk the whole page."""
        self.walk(self.parsed.tree.body)

    def walk(self, body: Iterable[nodes.Node]) -> None:
        """Walk statements in order."""
        for node in body:
            self._statement(node)

    def _statement(self, node: nodes.Node) -> None:
        match node:
            case nodes.Output():
                self._output(node)
            case nodes.Block():
                self._block(node.name, 0)
            case nodes.For():
                self._loop(node)
            case nodes.If():
                self._choice(node)
            case nodes.Include():
                self._include(node)
            case nodes.CallBlock():
                self._branch(node.body)
            case nodes.With() | nodes.Scope() | nodes.ScopedEvalContextModifier() | nodes.OverlayScope():
                self.walk(node.body)
            case nodes.FilterBlock():
                self.walk(node.body)

    def _output(self, node: nodes.Output) -> None:
        for child in node.nodes:
            if isinstance(child, nodes.TemplateData):
                self.tokens.feed(child.data, child.lineno)
            elif _is_super(child) and self.shown:
                _, name, depth = self.shown[-1]
                self._body(name, depth + 1)
            else:
                self.tokens.dynamic()

    # ── structure ────────────────────────────────────────────────────────────────────────────────────────────────

    def _block(self, name: str, depth: int) -> None:
        if not self.tokens.in_text:
            self._body(name, depth)
            return
        place = _Place(name, self.open[-1] if self.open else None, self.branches)
        self._note_block(place)
        self.places.append(place)
        try:
            self._body(name, depth)
        finally:
            self.places.pop()

    def _note_block(self, place: _Place) -> None:
        outer = self.places[-1] if self.places else None
        if outer is not None and outer.element is place.element:
            outer.other = True
        elif place.element is not None:
            place.element.holds.append(place.name)
            place.element.certain = place.element.certain and self._always_within(place.element)

    def _always_within(self, element: _Made) -> bool:
        return self._depths.get(element, 0) == self.branches

    def _body(self, name: str, depth: int) -> None:
        definitions = self.chain.blocks.get(name, [])
        key = (id(self.chain), name, depth)
        if depth >= len(definitions) or key in self.shown:
            return
        self.shown.append(key)
        outer, self.parsed = self.parsed, definitions[depth][0]
        try:
            self.walk(definitions[depth][1].body)
        finally:
            self.parsed = outer
            self.shown.pop()

    def _loop(self, node: nodes.For) -> None:
        self.loops += 1
        self._branch(node.body)
        self.loops -= 1
        self._branch(node.else_)

    def _branch(self, body: Iterable[nodes.Node]) -> None:
        """Walk what may be shown or not, and go on as if it had been shown."""
        self.branches += 1
        try:
            self.walk(body)
        finally:
            self.branches -= 1

    def _choice(self, node: nodes.If) -> None:
        """Walk alternatives, each from where the choice begins; go on from the end of the first."""
        before = self.tokens.save(), list(self.open)
        outer, self.choices = self.when, self.choices + 1
        choice = self.choices
        self.when = (*outer, (choice, 0))
        self._branch(node.body)
        after = self.tokens.save(), list(self.open)
        in_tag = not self.tokens.in_text
        for number, other in enumerate((*(each.body for each in node.elif_), node.else_), start=1):
            if not other:
                continue
            self.when = (*outer, (choice, number))
            if in_tag:
                # within a tag each alternative adds its attributes to the same tag
                self._branch(other)
                after = self.tokens.save(), list(self.open)
            else:
                self._continue(before)
                self._branch(other)
        self.when = outer
        self._continue(after)

    def _continue(self, at: tuple[tuple[object, ...], list[_Made]]) -> None:
        self.tokens.restore(at[0])
        self.open = list(at[1])

    def _include(self, node: nodes.Include) -> None:
        names = self.variant.resolved.get(id(node), [])
        found = [self.templates[name] for name in names if name in self.templates]
        if not found or len(self._including) > _NESTED or found[0] in self._including:
            self.tokens.dynamic()
            return
        chain = _chain(self._levels(found[0]))
        outer = self.chain, self.parsed, self.shown
        self.chain, self.parsed, self.shown = chain, chain.levels[-1], []
        self._including.append(found[0])
        try:
            self.walk(self.parsed.tree.body)
        finally:
            self._including.pop()
            self.chain, self.parsed, self.shown = outer

    def _levels(self, parsed: Parsed) -> list[Parsed]:
        levels = [parsed]
        while True:
            extends = levels[-1].tree.find(nodes.Extends)
            names = self.variant.resolved.get(id(extends), []) if extends is not None else []
            parent = next((self.templates[name] for name in names if name in self.templates), None)
            if parent is None or parent in levels:
                return levels
            levels.append(parent)

    # ── what the tokenizer tells ─────────────────────────────────────────────────────────────────────────────────

    def start_tag(self, name: str, attributes: dict[str, str | None], line: int, *, closed: bool) -> None:
        """Take a start tag."""
        if name in _CLOSES and self.open and self.open[-1].tag in _CLOSES[name]:
            self.open.pop()
        parent = self.open[-1] if self.open else None
        place = self.places[-1] if self.places else None
        at_root = place is not None and place.element is parent
        made = _Made(
            name, attributes, self.parsed.name, line, place, self.loops > 0, parent, len(self.made), at_root, self.when
        )
        self._depths[made] = self.branches
        if at_root and place is not None:
            place.roots.append(made)
            place.other = place.other or self.branches != place.branches
        elif parent is not None:
            parent.other = True
        self.made.append(made)
        if name not in VOID and not closed:
            self.open.append(made)

    def end_tag(self, name: str) -> None:
        """Take an end tag: it closes the nearest element of its name."""
        for position in range(len(self.open) - 1, -1, -1):
            if self.open[position].tag == name:
                del self.open[position:]
                return

    def content(self) -> None:
        """Take text, or an expression."""
        parent = self.open[-1] if self.open else None
        place = self.places[-1] if self.places else None
        if place is not None and place.element is parent:
            place.other = True
        elif parent is not None:
            parent.other = True


_NESTED: Final = 20
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


def _chain(levels: Iterable[Parsed]) -> _Chain:
    blocks: dict[str, list[tuple[Parsed, nodes.Block]]] = {}
    chain = tuple(levels)
    for parsed in chain:
        for name, block in parsed.blocks.items():
            blocks.setdefault(name, []).append((parsed, block))
    return _Chain(chain, blocks)


def _is_super(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "super"
