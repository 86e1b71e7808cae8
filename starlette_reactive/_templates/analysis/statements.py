"""Statements: how they bind names, branch and loop, and which text they make."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Final

from jinja2 import nodes

from .calls import Calls
from .expression_text import in_words
from .facts import Binding, Context, Sink, Unit, join_names
from .frames import Cell, Loop, Macro, Scope
from .values import Value, join_all, sealed

__all__ = ["Statements"]

PASSES: Final = 4
"""How often a loop's body is interpreted before what it changes counts as reading everything."""


class Statements(Calls):
    """The part of the interpreter that executes statements."""

    buffer: Value
    conditional: bool
    leaked: str | None
    leaked_by: frozenset[str]
    modified_outside: int
    pc: frozenset[str]
    scope: Scope
    silent: bool
    sink: Sink
    work: int

    def execute(self, body: Iterable[nodes.Node]) -> None:
        """Interpret statements in order; at a template's top level each is a unit of its own."""
        if self.scope.root and not self.importing:
            for node in body:
                self._execute_unit(node)
        else:
            for node in body:
                self._execute(node)

    def _execute(self, node: nodes.Node) -> None:
        self.work += 1
        handler = self.STATEMENTS.get(type(node))
        if handler is None:
            self.read_everything(f"the {type(node).__name__} at {self.place(node)} is not understood")
        else:
            handler(self, node)

    def _execute_unit(self, node: nodes.Node) -> None:
        if isinstance(node, nodes.Block):
            self._execute(node)
            return
        unit = self.run.units.get(id(node))
        if unit is None:
            self.order += 1
            outer_unit = self.unit if self.unit is not None and self.unit.run is self.run else None
            unit = self.run.units[id(node)] = Unit(node, self.run, outer_unit, self.order)
        outer, self.unit = self.unit, unit
        sink, self.sink = self.sink, Sink()
        try:
            self._execute(node)
            unit.needs |= self.sink.needs
        finally:
            # what an included template needs, the text that includes it needs
            sink.take(self.sink, needs=self.run is not self.page)
            self.unit, self.sink = outer, sink

    # ── text ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _output(self, node: nodes.Output) -> None:
        if self.silent:
            return
        for child in node.nodes:
            if isinstance(child, nodes.TemplateData):
                continue
            self.consume(self.call_node(child, direct=True) if isinstance(child, nodes.Call) else self.evaluate(child))
            if self.env.finalize is not None:
                self.hand_context(self.env.finalize, child, "the finalizer")

    def _expression(self, node: nodes.ExprStmt) -> None:
        self.see(self.evaluate(node.node))

    # ── names ────────────────────────────────────────────────────────────────────────────────────────────────────

    def bind(self, target: nodes.Node, value: Value, how: str) -> None:
        """Bind an assignment's target: a name, a tuple of targets, an attribute of a namespace."""
        match target:
            case nodes.Name():
                self.store(target.name, value, how, target.lineno)
            case nodes.InternalName():
                self.store(f"·{target.name}", value, how, target.lineno)
            case nodes.Tuple() | nodes.List():
                self._unpack(target, value, how)
            case nodes.NSRef():
                self._bind_attribute(target, value)

    def _unpack(self, target: nodes.Tuple | nodes.List, value: Value, how: str) -> None:
        cells = [found for found in value.objects if isinstance(found, Cell)]
        exact = cells and len(cells) == len(value.objects) and not value.aliases
        for position, each in enumerate(target.items):
            if exact and all(position in cell.items for cell in cells):
                part = join_all(cell.at(position) for cell in cells)
                part = part._replace(reads=part.reads | value.reads)
            else:
                part = self.element(value)
            self.bind(each, part, how)

    def _bind_attribute(self, target: nodes.NSRef, value: Value) -> None:
        namespace = self.lookup(target.name)
        for found in namespace.objects:
            if isinstance(found, Cell):
                self.put(found, target.attr, value, target.lineno)
        if namespace.aliases:
            self.read(namespace.aliases)
            self.change_path(namespace.aliases, value, target.lineno)

    def _assign(self, node: nodes.Assign) -> None:
        self.bind(node.target, self.see(self.evaluate(node.node)), "by a set")

    def _assign_block(self, node: nodes.AssignBlock) -> None:
        outer, self.silent = self.silent, False
        value = self._captured(node.body, f"inside the set block at {self.place(node)}", node.filter)
        self.silent = outer
        self.bind(node.target, value, "by a set block")

    def _captured(self, body: list[nodes.Node], barrier: str, chain: nodes.Filter | None) -> Value:
        """Interpret text that is not shown where it stands, and the filters that it goes through."""
        scope = self.scope
        self.scope = scope.inner()
        self.barriers.append(barrier)
        try:
            sink = self.capture(lambda: self.execute(body))
            self.sink.take(sink)
            value = Value(reads=frozenset(sink.reads))
            if chain is None:
                return value
            buffer, self.buffer = self.buffer, value
            try:
                return self.evaluate(chain)
            finally:
                self.buffer = buffer
        finally:
            self.barriers.pop()
            self.scope = scope

    def _filter_block(self, node: nodes.FilterBlock) -> None:
        self.consume(self._captured(node.body, f"inside the filter block at {self.place(node)}", node.filter))

    def _with(self, node: nodes.With) -> None:
        values = [self.see(self.evaluate(value)) for value in node.values]
        outer = self.scope
        self.scope = outer.inner()
        try:
            for target, value in zip(node.targets, values, strict=True):
                self.bind(target, value, "by the with")
            self.execute(node.body)
        finally:
            self.scope = outer

    def _scope(self, node: nodes.Scope) -> None:
        self._within(self.scope.inner(), node.body)

    def _within(self, scope: Scope, body: Iterable[nodes.Node]) -> None:
        outer, self.scope = self.scope, scope
        try:
            self.execute(body)
        finally:
            self.scope = outer

    def _overlay(self, node: nodes.OverlayScope) -> None:
        """Interpret a body whose names an extension hands in from a mapping: each may be anything of it."""
        value = self.use(node.context)
        handed = self.handed()
        context = Context(self.scope.context, handed=handed, depth=len(self.open), unknown=sealed(value))
        self.barriers.append(f"inside the names that an extension's tag hands in at {self.place(node)}")
        try:
            self._within(Scope(self.scope.template, context), node.body)
        finally:
            self.barriers.pop()

    def handed(self) -> dict[str, Binding]:
        """Return the names that the scopes here hand to an include or a scoped block."""
        handed: dict[str, Binding] = {}
        scope: Scope | None = self.scope
        while scope is not None and not scope.root:
            for name, binding in scope.names.items():
                if name in handed or name.startswith("·"):
                    continue
                if name in _IMPLIED and not _mentions(scope, name):
                    continue
                handed[name] = binding
            scope = scope.parent
        return handed

    # ── branches ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _if(self, node: nodes.If) -> None:
        test = self.use(node.test)
        pc = self.pc
        self.pc = pc | self.paths_of(test)
        rest: Callable[[], None]
        if node.elif_:
            first, *others = node.elif_
            follow = nodes.If(first.test, first.body, others, node.else_, lineno=first.lineno)
            rest = lambda: self._if(follow)  # noqa: E731
        else:
            rest = lambda: self.execute(node.else_)  # noqa: E731
        try:
            self._branches([lambda: self._conditional(node.body), lambda: self._as_conditional(rest)])
        finally:
            self.pc = pc

    def _conditional(self, body: list[nodes.Node]) -> None:
        self._as_conditional(lambda: self.execute(body))

    def _as_conditional(self, run: Callable[[], None]) -> None:
        outer, self.conditional = self.conditional, True
        try:
            run()
        finally:
            self.conditional = outer

    def _branches(self, branches: list[Callable[[], None]]) -> None:
        """Interpret branches of which one is taken; what they bind in this scope is joined."""
        scope = self.scope
        names, exported = scope.names, scope.context.names
        after: list[dict[str, Binding]] = []
        after_exported: list[dict[str, Binding]] = []
        for branch in branches:
            scope.names = dict(names)
            if scope.root:
                scope.context.names = dict(exported)
            branch()
            after.append(scope.names)
            after_exported.append(scope.context.names)
        scope.names = join_names(after)
        if scope.root:
            scope.context.names = join_names(after_exported)

    # ── loops ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _for(self, node: nodes.For) -> None:
        value = self.use(node.iter)
        reads = self.paths_of(value)
        item = self.element(value)
        pc = self.pc
        self.pc = pc | reads
        self.barriers.append(f"inside the for loop over {in_words(node.iter)} at {self.place(node)}")
        try:
            self.loop_body(node, self.scope, item, reads)
            if node.else_:
                self._within(self.scope.inner(), node.else_)
        finally:
            self.barriers.pop()
            self.pc = pc

    def loop_body(self, node: nodes.For, scope: Scope, item: Value, reads: frozenset[str]) -> None:
        """Interpret a loop's body for ``item`` until it changes nothing any more."""
        pc, modified = self.pc, self.modified_outside
        self.leaving.append(set())
        self.modified_outside = self.modified
        try:
            for _ in range(PASSES):
                changes, left = self.changes, len(self.leaving[-1])
                self._iteration(node, scope, item, reads)
                if changes == self.changes and left == len(self.leaving[-1]):
                    return
                self.pc = pc | self.leaving[-1]
            self.read_everything(f"the loop at {self.place(node)} takes too many rounds to follow")
        finally:
            self.pc = pc | self.leaving.pop()
            self.modified_outside = modified

    def _iteration(self, node: nodes.For, scope: Scope, item: Value, reads: frozenset[str]) -> None:
        inner = scope.inner(loop=node)
        if node.recursive:
            inner.watch()
        outer, self.scope = self.scope, inner
        how = f"by the for loop over {in_words(node.iter)}"
        try:
            self.bind(node.target, item, how)
            if node.test is not None:
                self.pc = self.pc | self.paths_of(self.use(node.test))
            loop = Loop(node, scope, self.run, item, reads)
            value = Value(reads=reads, objects=frozenset((loop,)))
            inner.names["loop"] = Binding(value, frozenset(), True, f"{how} at {self.place(node)}")
            self.execute(node.body)
        finally:
            self.scope = outer

    def _leave(self, node: nodes.Node) -> None:
        """Note what decides whether a loop goes on: all that it binds from here on depends on that."""
        if self.leaving:
            self.leaving[-1] |= self.pc
        if self.modified > self.modified_outside:
            # Jinja does not take the setting back on this way out
            self.leaked = f"a loop is left inside the autoescape at {self.place(node)}, which then holds on"
            self.leaked_by = self.leaked_by | self.pc | self.escaped_by

    # ── macros and call blocks ───────────────────────────────────────────────────────────────────────────────────

    def _macro(self, node: nodes.Macro) -> None:
        self.scope.watch()
        value = Value(objects=frozenset((self.macro(node),)))
        self.store(node.name, value, "as a macro", node.lineno)

    def macro(self, node: nodes.Macro | nodes.CallBlock) -> Macro:
        """Return the macro that ``node`` makes in the current scope."""
        key = (id(node), id(self.scope), id(self.run))
        found = self.macros.get(key)
        if found is None:
            found = self.macros[key] = Macro(node, self.scope, self.run)
        return found

    def _call_statement(self, node: nodes.CallBlock) -> None:
        self.scope.watch()
        self.consume(self.call_node(node.call, self.macro(node)))

    STATEMENTS: ClassVar[dict[type[nodes.Node], Callable[[Any, Any], None]]] = {
        nodes.Output: _output,
        nodes.ExprStmt: _expression,
        nodes.Assign: _assign,
        nodes.AssignBlock: _assign_block,
        nodes.FilterBlock: _filter_block,
        nodes.With: _with,
        nodes.Scope: _scope,
        nodes.OverlayScope: _overlay,
        nodes.If: _if,
        nodes.For: _for,
        nodes.Break: _leave,
        nodes.Continue: _leave,
        nodes.Macro: _macro,
        nodes.CallBlock: _call_statement,
    }


_IMPLIED: Final = frozenset({"self", "super", "caller", "varargs", "kwargs", "loop"})
"""Names that Jinja binds only where a template mentions them."""


def _mentions(scope: Scope, name: str) -> bool:
    if name == "loop" and scope.loop is not None:
        return any(each.name == "loop" for each in scope.loop.find_all(nodes.Name)) or any(
            block.scoped for block in scope.loop.find_all(nodes.Block)
        )
    return name in ("caller", "varargs", "kwargs")
