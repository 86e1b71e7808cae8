"""The elements of a composed page, and how blocks and elements are nested in each other.

The walker visits the page's syntax trees in the order of their output: blocks in place, with parents, includes and
macros followed. It feeds the text to an HTML tokenizer, with a mark for each part that is known only at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import Environment, nodes

from ..analysis.frames import Macro
from ..composed_page import ComposedPage, PageVariant, compose
from ..node_dispatcher import NodeDispatcher
from ..regions import Region
from ..sources import ParsedTemplate
from .loops import LoopBody
from .outline import Element, Outline
from .spans import ElementSpan, spans
from .tokenizer import DYNAMIC, StartTag, TemplatePlace
from .tree import tree_faults

__all__ = ["DYNAMIC", "Element", "element_spans", "elements", "loop_bodies"]

MAX_DEPTH: Final = 20
"""Includes and calls of macros that are nested more deeply than this are not followed."""
MAX_CALLS: Final = 2_000
"""After this many calls of macros on a page, calls are not followed."""


def elements(
    env: Environment, template_name: str, source: str | None = None, *, regions: Set[Region] = frozenset()
) -> list[Element]:
    """Return the elements of a page in document order, across inheritance, includes and macros.

    The list contains the elements of all alternatives. Where alternatives close different tags, the tags of the first
    count. If it is known which macro a call calls, the macro's elements appear in place of the call. What other
    expressions output is unknown. A call block that calls something unknown appears as an element around its body
    whose tag and attributes are :data:`DYNAMIC`.

    Args:
        env: The environment that renders the page.
        template_name: The page's template, as the loader knows it.
        source: The template's text. Defaults to the loader's.
        regions: Elements that count as blocks.

    Raises:
        TemplateLoadError: A template of the page does not exist or does not parse.
    """
    outline = _outline(compose(env, template_name, source, regions=regions))
    return outline.elements(tree_faults(outline.markup))


def loop_bodies(page: ComposedPage) -> Sequence[LoopBody]:
    """Return the bodies of the loops of a page, once for each time that the page's templates show them."""
    return _outline(page).loop_bodies


def _outline(page: ComposedPage) -> Outline:
    walker = _PageWalker(page, page.variants[0])
    walker.walk(walker.parsed.tree.body)
    return walker.outline


def element_spans(env: Environment, template_name: str) -> dict[tuple[str, int, str], ElementSpan]:
    """Return the elements of a page with a constant ``id``, by their template, their line there and their id.

    Raises:
        TemplateLoadError: A template of the page does not exist or does not parse.
    """
    found = ((parsed.name, spans(parsed.tree, parsed.name)) for parsed in compose(env, template_name).used)
    return {(name, *place): span for name, known in found for place, span in known.items()}


@dataclass(frozen=True, slots=True)
class _TemplateChain:
    """A template and its parents, with the definitions of each block."""

    levels: tuple[ParsedTemplate, ...]
    blocks: Mapping[str, list[tuple[ParsedTemplate, nodes.Block]]]


@dataclass(slots=True, eq=False)
class _CallBlockBody:
    """The body of the call block that called a macro, and whether the macro has shown it."""

    node: nodes.CallBlock
    parsed: ParsedTemplate
    shown: bool = False


class _PageWalker(NodeDispatcher):
    """Walks a page in the order of its output."""

    def __init__(self, page: ComposedPage, variant: PageVariant) -> None:
        self.variant = variant
        self.templates = {parsed.name: parsed for parsed in page.used}
        self.outline = Outline()
        self.tokens = self.outline.tokens
        self.parsed = variant.run.levels[-1]
        self.chain = _chain(variant.run.levels)
        self.shown_bodies: list[tuple[int, str, int]] = []
        self.caller: _CallBlockBody | None = None
        self._choices = 0
        self._active_includes: list[ParsedTemplate] = []
        self._active_calls: list[int] = []
        self._active_macros: list[int] = []
        self._calls = 0

    def walk(self, body: Iterable[nodes.Node]) -> None:
        """Walk statements and expressions in order."""
        for node in body:
            self.visit(node)

    def generic_visit(self, node: nodes.Node, *_args: Any, **_kwargs: Any) -> None:
        """Mark an expression's output as unknown. Other statements output nothing."""
        if isinstance(node, nodes.Expr):
            self.tokens.dynamic()

    # ── text and expressions ─────────────────────────────────────────────────────────────────────────────────────

    def visit_Output(self, node: nodes.Output) -> None:
        self.walk(node.nodes)

    def visit_TemplateData(self, node: nodes.TemplateData) -> None:
        self.tokens.feed(node.data, self.parsed.name, node.lineno)

    def visit_Call(self, node: nodes.Call) -> None:
        if _is_super(node) and self.shown_bodies:
            _, name, depth = self.shown_bodies[-1]
            self._body(name, depth + 1)
        elif self._shows_markup(node):
            self._call(node)
        else:
            self.tokens.dynamic()

    def visit_Filter(self, node: nodes.Filter) -> None:
        if node.node is not None and self._shows_markup(node):
            self.visit(node.node)
        else:
            self.tokens.dynamic()

    def visit_Concat(self, node: nodes.Concat) -> None:
        if self._shows_markup(node):
            self.walk(node.nodes)
        else:
            self.tokens.dynamic()

    def visit_CondExpr(self, node: nodes.CondExpr) -> None:
        if self._shows_markup(node):
            self._decide(node.test, [[node.expr1], [node.expr2] if node.expr2 is not None else []])
        else:
            self.tokens.dynamic()

    def _shows_markup(self, node: nodes.Node | None) -> bool:
        """Return whether an expression shows markup of the templates."""
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
        """Return the macro that a call calls, if it can only be one and is not in progress here."""
        found = self.variant.called_macros.get(id(node), frozenset())
        if len({id(macro.node) if macro is not None else None for macro in found}) != 1:
            return None
        if id(node) in self._active_calls or len(self._active_calls) > MAX_DEPTH or self._calls > MAX_CALLS:
            return None
        macro = next(iter(found))
        return None if macro is None or id(macro.node) in self._active_macros else macro

    def _called_caller(self, node: nodes.Call) -> _CallBlockBody | None:
        caller = self.caller if isinstance(node.node, nodes.Name) and node.node.name == "caller" else None
        return None if caller is None or id(caller.node) in self._active_calls else caller

    def _call(self, node: nodes.Call, caller: _CallBlockBody | None = None) -> None:
        """Walk what a call shows: the body of the surrounding call block, or a macro."""
        body, macro = self._called_caller(node), self._called_macro(node)
        if body is not None:
            body.shown = True
            # the body of a call block may call the macro that shows it
            outer, self._active_macros = self._active_macros, []
            self._walk_elsewhere(body.node, body.parsed, None, body.node.body)
            self._active_macros = outer
        elif macro is not None:
            self._calls += 1
            self._active_macros.append(id(macro.node))
            self._walk_elsewhere(node, macro.frame.template, caller, macro.node.body)
            self._active_macros.pop()

    def _walk_elsewhere(
        self, key: nodes.Node, parsed: ParsedTemplate, caller: _CallBlockBody | None, body: list[nodes.Node]
    ) -> None:
        outer = self.parsed, self.caller
        self.parsed, self.caller = parsed, caller
        self._active_calls.append(id(key))
        try:
            self.walk(body)
        finally:
            self._active_calls.pop()
            self.parsed, self.caller = outer

    def visit_CallBlock(self, node: nodes.CallBlock) -> None:
        macro, caller = self._called_macro(node.call), _CallBlockBody(node, self.parsed)
        if macro is not None:
            self._call(node.call, caller)
        if macro is None or (not caller.shown and _mentions_caller(macro)):
            with self._in_unknown_element(node):
                self._branch(lambda: self.walk(node.body))

    @contextmanager
    def _in_unknown_element(self, node: nodes.Node) -> Iterator[None]:
        """Put what follows into an element of which nothing is known."""
        in_text = self.tokens.in_text
        if in_text:
            place = TemplatePlace(self.parsed.name, node.lineno)
            self.outline.start_tag(StartTag(DYNAMIC, {DYNAMIC: None}, place, {}, closed=False))
        yield
        if in_text:
            self.outline.end_tag(DYNAMIC)

    # ── structure ────────────────────────────────────────────────────────────────────────────────────────────────

    def visit_Block(self, node: nodes.Block) -> None:
        if self.tokens.in_text:
            with self.outline.block(node.name):
                self._body(node.name, 0)
        else:
            self._body(node.name, 0)

    def _body(self, name: str, depth: int) -> None:
        """Walk a definition of a block, where depth 0 is the outermost child's."""
        definitions = self.chain.blocks.get(name, [])
        key = (id(self.chain), name, depth)
        if depth >= len(definitions) or key in self.shown_bodies:
            return
        self.shown_bodies.append(key)
        outer, self.parsed = self.parsed, definitions[depth][0]
        try:
            self.walk(definitions[depth][1].body)
        finally:
            self.parsed = outer
            self.shown_bodies.pop()

    def visit_With(self, node: nodes.With | nodes.Scope | nodes.ScopedEvalContextModifier | nodes.FilterBlock) -> None:
        self.walk(node.body)

    visit_Scope = visit_OverlayScope = visit_ScopedEvalContextModifier = visit_FilterBlock = visit_With

    def visit_For(self, node: nodes.For) -> None:
        self._choose([node.body, node.else_], [node.iter], loop=node)

    def _branch(self, walk: Callable[[], None]) -> None:
        """Walk what the page may show or not, and continue as if it had shown it."""
        self.outline.branches += 1
        try:
            walk()
        finally:
            self.outline.branches -= 1

    def visit_If(self, node: nodes.If) -> None:
        if node.elif_:
            bodies = [node.body, *(each.body for each in node.elif_), node.else_]
            self._choose(bodies, [node.test, *(each.test for each in node.elif_)])
        else:
            self._decide(node.test, [node.body, node.else_])

    def _decide(self, test: nodes.Node, alternatives: Sequence[Sequence[nodes.Node]]) -> None:
        """Walk what the page shows if a test holds, and if it does not. In a macro, a test of ``caller`` is known."""
        if self._active_calls and isinstance(test, nodes.Name) and test.name == "caller":
            self.walk(alternatives[0 if self.caller is not None else 1])
        else:
            self._choose(alternatives, [test])

    def _choose(
        self,
        alternatives: Sequence[Sequence[nodes.Node]],
        tests: Iterable[nodes.Node],
        *,
        loop: nodes.For | None = None,
    ) -> None:
        """Walk each alternative from where the choice begins, and continue from the end of the first.

        Args:
            alternatives: What each shows.
            tests: What decides between them.
            loop: The loop of which the first one is the body.
        """
        outline = self.outline
        before, outer, conditions = outline.save(), outline.when, outline.conditions
        outline.conditions = conditions.union(name for test in tests for name in _names(test))
        self._choices += 1
        choice, in_tag = self._choices, not self.tokens.in_text
        after, balanced = before, True
        pieces = []
        for number, body in enumerate(alternatives):
            if number and not body:
                continue
            if number and not in_tag:
                outline.restore(before)
            outline.when = (*outer, (choice, number))
            outer_pieces = outline.markup.begin_alternative()
            in_loop = outline.loop_body(loop, self.parsed.name) if loop is not None and not number else nullcontext()
            with in_loop:
                self._branch(lambda body=body: self.walk(body))  # type: ignore[misc]
            pieces.append(outline.markup.end_alternative(outer_pieces))
            balanced = balanced and (in_tag or outline.is_level(before))
            if not number or in_tag:
                # within a tag, each alternative adds its attributes to the same tag
                after = outline.save()
            else:
                outline.leave_open(before)
        outline.markup.choose(pieces, balanced=balanced)
        outline.when, outline.conditions = outer, conditions
        outline.restore(after)

    # ── includes ─────────────────────────────────────────────────────────────────────────────────────────────────

    def visit_Include(self, node: nodes.Include) -> None:
        names = self.variant.resolved_names.get(id(node), [])
        found = [self.templates[name] for name in names if name in self.templates]
        if not found or len(self._active_includes) > MAX_DEPTH or found[0] in self._active_includes:
            self.tokens.dynamic()
            return
        chain = _chain(self._levels(found[0]))
        outer = self.chain, self.parsed, self.shown_bodies
        self.chain, self.parsed, self.shown_bodies = chain, chain.levels[-1], []
        self._active_includes.append(found[0])
        try:
            self.walk(self.parsed.tree.body)
        finally:
            self._active_includes.pop()
            self.chain, self.parsed, self.shown_bodies = outer

    def _levels(self, parsed: ParsedTemplate) -> list[ParsedTemplate]:
        """Return a template and its parents."""
        levels = [parsed]
        while True:
            extends = levels[-1].tree.find(nodes.Extends)
            names = self.variant.resolved_names.get(id(extends), []) if extends is not None else []
            parent = next((self.templates[name] for name in names if name in self.templates), None)
            if parent is None or parent in levels:
                return levels
            levels.append(parent)


def _chain(levels: Iterable[ParsedTemplate]) -> _TemplateChain:
    blocks: dict[str, list[tuple[ParsedTemplate, nodes.Block]]] = {}
    chain = tuple(levels)
    for parsed in chain:
        for name, block in parsed.blocks.items():
            blocks.setdefault(name, []).append((parsed, block))
    return _TemplateChain(chain, blocks)


def _names(test: nodes.Node) -> Iterator[str]:
    if isinstance(test, nodes.Name):
        yield test.name
    yield from (each.name for each in test.find_all(nodes.Name))


def _is_super(node: nodes.Call) -> bool:
    return isinstance(node.node, nodes.Name) and node.node.name == "super"


def _mentions_caller(macro: Macro) -> bool:
    return any(name.name == "caller" for name in macro.node.find_all(nodes.Name))
