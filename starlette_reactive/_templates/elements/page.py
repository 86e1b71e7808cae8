"""The elements of a composed page, and how blocks and elements lie in each other.

The page's syntax trees are walked in the order of its output — blocks in place, parents, includes and macros followed
— and its text goes to an HTML tokenizer, with a mark for each part that is known only when the page is rendered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from jinja2 import Environment, nodes

from ..analysis.frames import Macro
from ..reads import Page, Variant, page_of
from ..sources import Parsed
from .outline import Element, Outline
from .tokenizer import DYNAMIC, Place, StartTag

__all__ = ["DYNAMIC", "Element", "elements"]


def elements(env: Environment, template_name: str, source: str | None = None) -> list[Element]:
    """Return the elements of a page in document order, across inheritance, includes and macros.

    Where a page has alternatives, the elements of each are there; where the alternatives close different tags, the
    first one's count. A call of which it is known which macro it calls shows that macro's elements where it stands.
    What other expressions put into the page is not known; around the body of a call block that calls what is not
    known there is an element whose tag and attributes are :data:`DYNAMIC`.

    Args:
        env: The environment that renders the page.
        template_name: The page's template, as the loader knows it.
        source: The template's text, if it is not what the loader has.

    Raises:
        TemplateLoadError: There is no such template, or one that the page is made of does not parse.
    """
    page = page_of(env, template_name, source)
    walker = _Walker(page, page.variants[0])
    walker.walk(walker.parsed.tree.body)
    return walker.outline.elements()


@dataclass(frozen=True, slots=True)
class _Chain:
    """A template with its parents."""

    levels: tuple[Parsed, ...]
    blocks: Mapping[str, list[tuple[Parsed, nodes.Block]]]


@dataclass(slots=True, eq=False)
class _Caller:
    """The body of the call block that called a macro; whether the macro has shown it."""

    node: nodes.CallBlock
    parsed: Parsed
    shown: bool = False


class _Walker:
    """Walks a page in the order of its output."""

    def __init__(self, page: Page, variant: Variant) -> None:
        self.variant = variant
        self.templates = {parsed.name: parsed for parsed in page.used}
        self.outline = Outline()
        self.tokens = self.outline.tokens
        self.choices = 0
        self.parsed = variant.run.levels[-1]
        self.chain = _chain(variant.run.levels)
        self.shown: list[tuple[int, str, int]] = []
        self.caller: _Caller | None = None
        self._including: list[Parsed] = []
        self._calling: list[int] = []
        self._within: list[int] = []
        self._calls = 0

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
                self._if(node)
            case nodes.Include():
                self._include(node)
            case nodes.CallBlock():
                self._call_block(node)
            case nodes.With() | nodes.Scope() | nodes.ScopedEvalContextModifier() | nodes.OverlayScope():
                self.walk(node.body)
            case nodes.FilterBlock():
                self.walk(node.body)

    # ── text and expressions ─────────────────────────────────────────────────────────────────────────────────────

    def _output(self, node: nodes.Output) -> None:
        for child in node.nodes:
            if isinstance(child, nodes.TemplateData):
                self.tokens.feed(child.data, self.parsed.name, child.lineno)
            else:
                self._expression(child)

    def _expression(self, node: nodes.Expr) -> None:
        """Walk what an expression shows, as far as that is markup of the templates."""
        if _is_super(node) and self.shown:
            _, name, depth = self.shown[-1]
            self._body(name, depth + 1)
        elif not self._shows_markup(node):
            self.tokens.dynamic()
        else:
            match node:
                case nodes.Call():
                    self._call(node)
                case nodes.Filter(node=nodes.Expr() as inner):
                    self._expression(inner)
                case nodes.Concat():
                    for each in node.nodes:
                        self._expression(each)
                case nodes.CondExpr():
                    self._decide(node.test, [[node.expr1], [node.expr2] if node.expr2 is not None else []])

    def _shows_markup(self, node: nodes.Node | None) -> bool:
        match node:
            case nodes.Call():
                return self._called_caller(node) is not None or self._called_macro(node) is not None
            case nodes.Filter(name="safe" | "trim"):
                return self._shows_markup(node.node)
            case nodes.Concat():
                return any(self._shows_markup(each) for each in node.nodes)
            case nodes.CondExpr():
                return self._shows_markup(node.expr1) or self._shows_markup(node.expr2)
        return False

    # ── macros ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _called_macro(self, node: nodes.Call) -> Macro | None:
        """Return the macro that is called, if it can only be one, and is not under way from here already."""
        found = self.variant.called.get(id(node), frozenset())
        if len({id(macro.node) if macro is not None else None for macro in found}) != 1:
            return None
        if id(node) in self._calling or len(self._calling) > _NESTED or self._calls > _FOLLOWED:
            return None
        macro = next(iter(found))
        return None if macro is None or id(macro.node) in self._within else macro

    def _called_caller(self, node: nodes.Call) -> _Caller | None:
        caller = self.caller if isinstance(node.node, nodes.Name) and node.node.name == "caller" else None
        return None if caller is None or id(caller.node) in self._calling else caller

    def _call(self, node: nodes.Call, caller: _Caller | None = None) -> None:
        """Walk what a call shows: the body of the call block around, or a macro."""
        handed, macro = self._called_caller(node), self._called_macro(node)
        if handed is not None:
            handed.shown = True
            # what stands in a call block may call the macro again that shows it
            outer, self._within = self._within, []
            self._elsewhere(handed.node, handed.parsed, None, handed.node.body)
            self._within = outer
        elif macro is not None:
            self._calls += 1
            self._within.append(id(macro.node))
            self._elsewhere(node, macro.scope.template, caller, macro.node.body)
            self._within.pop()

    def _elsewhere(self, key: nodes.Node, parsed: Parsed, caller: _Caller | None, body: list[nodes.Node]) -> None:
        outer = self.parsed, self.caller
        self.parsed, self.caller = parsed, caller
        self._calling.append(id(key))
        try:
            self.walk(body)
        finally:
            self._calling.pop()
            self.parsed, self.caller = outer

    def _call_block(self, node: nodes.CallBlock) -> None:
        macro, caller = self._called_macro(node.call), _Caller(node, self.parsed)
        if macro is not None:
            self._call(node.call, caller)
        if macro is None or (not caller.shown and _mentions_caller(macro)):
            with self._in_unknown(node):
                self._branch(lambda: self.walk(node.body))

    @contextmanager
    def _in_unknown(self, node: nodes.Node) -> Iterator[None]:
        """Take what is told from here on as standing in an element of which nothing is known."""
        around = self.tokens.in_text
        if around:
            place = Place(self.parsed.name, node.lineno)
            self.outline.start_tag(StartTag(DYNAMIC, {DYNAMIC: None}, place, {}, closed=False))
        yield
        if around:
            self.outline.end_tag(DYNAMIC)

    # ── structure ────────────────────────────────────────────────────────────────────────────────────────────────

    def _block(self, name: str, depth: int) -> None:
        if self.tokens.in_text:
            with self.outline.block(name):
                self._body(name, depth)
        else:
            self._body(name, depth)

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
        self.outline.loops += 1
        self._branch(lambda: self.walk(node.body))
        self.outline.loops -= 1
        self._branch(lambda: self.walk(node.else_))

    def _branch(self, walk: Callable[[], None]) -> None:
        """Walk what may be shown or not, and go on as if it had been shown."""
        self.outline.branches += 1
        try:
            walk()
        finally:
            self.outline.branches -= 1

    def _if(self, node: nodes.If) -> None:
        if node.elif_:
            self._choice([node.body, *(each.body for each in node.elif_), node.else_])
        else:
            self._decide(node.test, [node.body, node.else_])

    def _decide(self, test: nodes.Node, alternatives: Sequence[Sequence[nodes.Node]]) -> None:
        """Walk what is shown if a test holds, or if not; in a macro it is known whether there is a ``caller``."""
        if self._calling and isinstance(test, nodes.Name) and test.name == "caller":
            self._walk_any(alternatives[0 if self.caller is not None else 1])
        else:
            self._choice(alternatives)

    def _choice(self, alternatives: Sequence[Sequence[nodes.Node]]) -> None:
        """Walk alternatives, each from where the choice begins; go on from the end of the first."""
        outline = self.outline
        before, outer = outline.save(), outline.when
        self.choices += 1
        choice, in_tag = self.choices, not self.tokens.in_text
        after = before
        for number, body in enumerate(alternatives):
            if number and not body:
                continue
            if number and not in_tag:
                outline.restore(before)
            outline.when = (*outer, (choice, number))
            self._branch(lambda body=body: self._walk_any(body))  # type: ignore[misc]
            if not number or in_tag:
                # within a tag each alternative adds its attributes to the same tag
                after = outline.save()
        outline.when = outer
        outline.restore(after)

    def _walk_any(self, body: Sequence[nodes.Node]) -> None:
        for node in body:
            if isinstance(node, nodes.Expr):
                self._expression(node)
            else:
                self._statement(node)

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


_NESTED: Final = 20
"""How deep includes, and calls of macros, are followed."""
_FOLLOWED: Final = 2_000
"""How many calls of macros a page's elements are followed through."""


def _chain(levels: Iterable[Parsed]) -> _Chain:
    blocks: dict[str, list[tuple[Parsed, nodes.Block]]] = {}
    chain = tuple(levels)
    for parsed in chain:
        for name, block in parsed.blocks.items():
            blocks.setdefault(name, []).append((parsed, block))
    return _Chain(chain, blocks)


def _is_super(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "super"


def _mentions_caller(macro: Macro) -> bool:
    return any(name.name == "caller" for name in macro.node.find_all(nodes.Name))
