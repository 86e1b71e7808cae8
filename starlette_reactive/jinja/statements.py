"""Statements: how they bind names, where they go on, and which text they make."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Final

from jinja2 import nodes

from ..errors import TemplateLoadError
from ..paths import ALL
from .calls import Calls
from .machine import BlockRecord, Choice, Run, Sink, Unit
from .scopes import (
    BOTTOM,
    UNKNOWN,
    Binding,
    BlockText,
    Cell,
    Context,
    Loop,
    Macro,
    Module,
    Scope,
    SelfReference,
    Value,
    join,
    join_all,
    join_names,
    sealed,
)
from .sources import Parsed
from .words import in_words

__all__ = ["Statements"]

PASSES: Final = 4
"""How often a loop's body is interpreted before what it changes counts as reading everything."""
INCLUDES: Final = 10
"""How deep a template's includes of itself are followed."""


class Statements(Calls):
    """The whole interpreter."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.leaving: list[set[str]] = []
        self.macros: dict[tuple[int, int, int], Macro] = {}
        self.modules: dict[str, Value] = {}
        self.including: list[tuple[str, Any]] = []
        self.shown_inline: list[tuple[str, int]] = []
        self.missing: set[str] = set()
        self.importing = 0
        self.escaped_by: frozenset[str] = frozenset()
        self.modified = 0
        self.modified_outside = 0
        self.leaked: str | None = None
        self.leaked_by: frozenset[str] = frozenset()
        self.parent: Parsed | None = None

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

    # ── blocks ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _block(self, node: nodes.Block) -> None:
        if self.scope.root and (self.known_parent or self.parent is not None):
            return
        context = self.scope.context
        if node.scoped:
            context = Context(context, handed=self.handed(), depth=len(self.open))
        text = BlockText(node.name, self.run, context, 0, super_call=False)
        if self.inline:
            self._show_inline(text)
        else:
            self.place_block(text)

    def _show_inline(self, text: BlockText) -> None:
        key = (text.name, id(text.run))
        if key not in self.shown_inline:
            self.shown_inline.append(key)
            try:
                self.show_block(text)
            finally:
                self.shown_inline.pop()

    def place_block(self, text: BlockText) -> None:
        """Interpret a block in its place in the page."""
        parsed, node = text.run.blocks[text.name][0]
        record = self.records.get(text.name)
        taken = text.run is not self.page and text.name in self.page.blocks
        if taken or (record is not None and record.definition is not node):
            # a block of that name is in the page already: this one can't be addressed, and counts as plain text
            self.show_block(text)
            return
        if record is None:
            parent = self.open[-1] if self.open else None
            record = self.records[text.name] = BlockRecord(text.name, parent, text.run, parsed, node)
        elif record in self.open:
            self.read_everything(f"the block {text.name!r} holds itself at {self.place(node)}")
            return
        self.placements += 1
        self._note_surroundings(record)
        self._show_as(record, text)

    def _note_surroundings(self, record: BlockRecord) -> None:
        record.visits += 1
        record.modifiers = self.modifiers
        if record.barrier is None and (self.barriers or self.leaked):
            record.barrier = self.barriers[-1] if self.barriers else self.leaked
        elif record.barrier is None and record.visits > 1:
            record.barrier = f"the page shows it more than once, again in {self.scope.template.name}"

    def _show_as(self, record: BlockRecord, text: BlockText) -> None:
        outer = self.sink, self.pc, self.unit, self.conditional
        self.sink, self.pc, self.unit, self.conditional = record.sink, frozenset(), None, False
        self.open.append(record)
        if self.captures:
            self.sink = Sink()
        self.sink.reads |= self.escaped_by | self.leaked_by
        try:
            self.show_block(text)
        finally:
            inner = self.sink
            self.open.pop()
            self.sink, self.pc, self.unit, self.conditional = outer
        if self.open:
            # alone, the block around shows this one too: it needs what this one needs
            self.sink.needs |= inner.needs
        if self.captures:
            record.sink.take(inner)
            self.sink.take(inner)

    def show_block(self, text: BlockText) -> None:
        """Interpret a block's body; its sink is the current one."""
        parsed, node = text.run.blocks[text.name][text.depth]
        scope = Scope(parsed, text.context)
        deeper = BlockText(text.name, text.run, text.context, text.depth + 1, super_call=True)
        scope.names["super"] = Binding(Value(objects=frozenset((deeper,))))
        scope.names["self"] = Binding(Value(objects=frozenset((SelfReference(text.run, text.context),))))
        outer = self.scope, self.run, self.known_parent, self.silent
        self.scope, self.run, self.known_parent, self.silent = scope, text.run, False, False
        try:
            self.execute(node.body)
        finally:
            self.scope, self.run, self.known_parent, self.silent = outer

    def _modifier(self, node: nodes.EvalContextModifier) -> None:
        self.barriers.append(f"the escaping is changed for the rest of the page at {self.place(node)}")
        for option in node.options:
            self.use(option.value)

    def _scoped_modifier(self, node: nodes.ScopedEvalContextModifier) -> None:
        outer = self.modifiers, self.escaped_by
        unknown = False
        for option in node.options:
            value = self.use(option.value)
            if isinstance(option.value, nodes.Const):
                self.modifiers = (*self.modifiers, (option.key, option.value.value))
            else:
                unknown = True
                # blocks within ask for the setting when they are shown
                self.escaped_by = self.escaped_by | self.paths_of(value)
        if unknown:
            self.barriers.append(f"inside the autoescape at {self.place(node)}, whose setting is computed")
        self.modified += 1
        try:
            self.execute(node.body)
        finally:
            self.modified -= 1
            self.modifiers, self.escaped_by = outer
            if unknown:
                self.barriers.pop()

    # ── other templates ──────────────────────────────────────────────────────────────────────────────────────────

    def names_of(self, node: nodes.Node, expression: nodes.Expr) -> tuple[list[str], bool] | None:
        """Return the names of the templates that ``expression`` may choose, and whether the first that exists is it.

        None: they are not known.
        """
        value = self.use(expression)
        found = _template_names(value)
        if found is None:
            return None
        names, in_order = found
        joined = [self.env.join_path(name, self.scope.template.name) for name in names]
        known = self.resolved.setdefault(id(node), [])
        known.extend(name for name in joined if name not in known)
        return joined, in_order

    def load(self, name: str) -> Parsed | None:
        """Return a template that the page uses; None: there is none of that name."""
        try:
            parsed = self.library.template(name)
        except TemplateLoadError as error:
            if error.line is None:
                self.missing.add(name)
                return None
            raise
        self.used[name] = parsed
        return parsed

    def _include(self, node: nodes.Include) -> None:
        for parsed in self._candidates(node, node.template, "include") or ():
            self._include_one(node, parsed)

    def _candidates(
        self, node: nodes.Include | nodes.Import | nodes.FromImport, expression: nodes.Expr, what: str
    ) -> list[Parsed] | None:
        """Return the templates that may be meant; None: any, which is noted if they see the context."""
        found = self.names_of(node, expression)
        if found is None:
            if node.with_context:
                self.read_everything(f"the {what} at {self.place(node)} takes a template known only when it runs")
            return None
        names, in_order = found
        templates = [parsed for name in names if (parsed := self.load(name)) is not None]
        return templates[:1] if in_order else templates

    def _include_one(self, node: nodes.Include, parsed: Parsed) -> None:
        if not self.step():
            self.read_everything(f"the page is too much work to follow: the include at {self.place(node)}")
            return
        if node.with_context:
            handed = self.handed()
            signature = self._signature(parsed, handed)
            if signature is None:
                return
            context = Context(self.scope.context, handed=handed, depth=len(self.open))
        else:
            signature = (parsed.name, None)
            if signature in self.including:
                return
            context = Context(renders=False)
        self.including.append(signature)
        try:
            self._run_included(node, parsed, context)
        finally:
            self.including.pop()

    def _signature(self, parsed: Parsed, handed: dict[str, Binding]) -> tuple[str, Any] | None:
        """Return what tells this include of a template from those under way; None: it adds nothing to them.

        From the second include of a template within itself on, the paths of what it is handed are no longer extended.
        """
        around = [known for name, known in self.including if name == parsed.name and known is not None]
        if len(around) >= INCLUDES:
            self.read_everything(f"the template {parsed.name!r} includes itself too deep to follow")
            return None
        if len(around) >= 2:
            for name, binding in handed.items():
                value = sealed(binding.value)
                if name in around[-1]:
                    value = join(value, sealed(around[-1][name]))
                handed[name] = binding._replace(value=value)
        values = {name: binding.value for name, binding in handed.items()}
        return None if values in around else (parsed.name, values)

    def _run_included(self, node: nodes.Include, parsed: Parsed, context: Context) -> None:
        run = Run(context, self.run, bare=not node.with_context)
        run.includer = self.unit
        outer, (self.modifiers, self.escaped_by) = (self.modifiers, self.escaped_by), ((), frozenset())
        try:
            self._elsewhere(lambda: self.run_template(run, parsed))
        finally:
            self.modifiers, self.escaped_by = outer

    def _elsewhere(self, run: Callable[[], None]) -> None:
        """Interpret text of another template."""
        outer = self.scope, self.run, self.known_parent, self.silent, self.conditional, self.parent
        try:
            run()
        finally:
            self.scope, self.run, self.known_parent, self.silent, self.conditional, self.parent = outer

    def run_template(self, run: Run, parsed: Parsed) -> None:
        """Interpret a template and its parents from their top level."""
        self.run = run
        run.enter(parsed)
        while True:
            self.scope = Scope(parsed, run.context, root=True)
            self.scope.names["self"] = Binding(Value(objects=frozenset((SelfReference(run, run.context),))))
            self.known_parent = self.silent = self.conditional = False
            self.parent = None
            self.execute(parsed.tree.body)
            if self.parent is None:
                break
            parsed = self.parent
        if run.open_ended is not None:
            self._place_anywhere(run, run.open_ended)

    def place_rest(self, run: Run) -> None:
        """Interpret the blocks that ``run`` defines and the page does not show."""
        self.scope = Scope(run.levels[-1], run.context)
        for name in list(run.blocks):
            if name not in self.records:
                self.place_block(BlockText(name, run, run.context, 0, super_call=False))

    def _place_anywhere(self, run: Run, why: str) -> None:
        """Interpret the blocks of a template whose parent is not known: it may show them anywhere, or not at all."""
        self.barriers.append(why)
        self.silent = self.known_parent = False
        self.read_everything(why)
        try:
            for name in list(run.blocks):
                if name in self.records:
                    continue
                self.place_block(BlockText(name, run, run.context, 0, super_call=False))
            for record in self.records.values():
                if record.run is run:
                    record.sink.reads.add(ALL)
                    record.sink.notes[why] = None
        finally:
            self.barriers.pop()

    def _extends(self, node: nodes.Extends) -> None:
        if self.parent is not None or self.known_parent:
            return
        found = self.names_of(node, node.template)
        names, _ = found or ([], False)
        parents = [self.load(name) for name in names]
        known: list[Parsed | None] = [parent for parent in parents if parent is not None]
        if not known or any(parent in self.run.levels for parent in known):
            self._unknown_parent(node, names)
            return
        chosen = self._choose(node, [*known, None] if self.conditional else known)
        if chosen is None:
            return
        self.run.enter(chosen)
        self.parent = chosen
        self.silent = True
        self.known_parent = not self.conditional

    def _unknown_parent(self, node: nodes.Extends, names: list[str]) -> None:
        place = self.place(node)
        if not names:
            why = "is known only when the page is rendered"
        elif names[0] in self.missing:
            why = f"does not exist: there is no template {names[0]!r}"
        else:
            why = f"is the template itself, or one that extends it: {names[0]!r}"
        self.run.open_ended = f"the parent of {self.scope.template.name!r} {why} (extends at {place})"
        if not self.conditional:
            self.silent = self.known_parent = True

    def _choose(self, node: nodes.Extends, options: list[Parsed | None]) -> Parsed | None:
        """Return the option that this interpretation takes, and note how many there are."""
        if len(options) == 1:
            return options[0]
        position = len(self.offered)
        self.offered.append(Choice(node, self.unit, self.run, tuple(options)))
        return options[self.choices[position] if position < len(self.choices) else 0]

    def _import(self, node: nodes.Import) -> None:
        self.store(node.target, self._imported_module(node), "by an import", node.lineno)

    def _from_import(self, node: nodes.FromImport) -> None:
        module = self._imported_module(node)
        for each in node.names:
            name, target = each if isinstance(each, tuple) else (each, each)
            self.store(target, self.attribute(module, name), "by an import", node.lineno)

    def _imported_module(self, node: nodes.Import | nodes.FromImport) -> Value:
        templates = self._candidates(node, node.template, "import")
        if templates is None:
            return Value(reads=frozenset((ALL,))) if node.with_context else UNKNOWN
        return join_all(self._module(node, parsed) for parsed in templates) if templates else UNKNOWN

    def _module(self, node: nodes.Import | nodes.FromImport, parsed: Parsed) -> Value:
        if not node.with_context:
            key = (parsed.name, None)
            known = self.modules.get(parsed.name)
            if known is None and key not in self.including:
                known = self.modules[parsed.name] = self._run_module(key, parsed, Context(renders=False))
            return known if known is not None else UNKNOWN
        handed = self.handed()
        signature = self._signature(parsed, handed)
        if signature is None:
            return UNKNOWN
        context = Context(self.scope.context.snapshot(), handed=handed, depth=len(self.open))
        return self._run_module(signature, parsed, context)

    def _run_module(self, signature: tuple[str, Any], parsed: Parsed, context: Context) -> Value:
        """Interpret an imported template; its text is made at once, and shown where the module is."""
        run = Run(context, self.run)
        self.including.append(signature)
        self.inline += 1
        self.importing += 1
        try:
            sink = self.capture(lambda: self._elsewhere(lambda: self.run_template(run, parsed)))
        finally:
            self.importing -= 1
            self.inline -= 1
            self.including.pop()
        self.sink.take(sink)
        return Value(objects=frozenset((Module(context, frozenset(sink.reads)),)))

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
        nodes.Block: _block,
        nodes.EvalContextModifier: _modifier,
        nodes.ScopedEvalContextModifier: _scoped_modifier,
        nodes.Include: _include,
        nodes.Extends: _extends,
        nodes.Import: _import,
        nodes.FromImport: _from_import,
    }


_IMPLIED: Final = frozenset({"self", "super", "caller", "varargs", "kwargs", "loop"})
"""Names that Jinja binds only where a template mentions them."""


def _mentions(scope: Scope, name: str) -> bool:
    if name == "loop" and scope.loop is not None:
        return any(each.name == "loop" for each in scope.loop.find_all(nodes.Name)) or any(
            block.scoped for block in scope.loop.find_all(nodes.Block)
        )
    return name in ("caller", "varargs", "kwargs")


def _template_names(value: Value) -> tuple[list[str], bool] | None:
    """Return the template names that ``value`` may be, and whether it is a list of which the first counts.

    None: not all are known.
    """
    if value.aliases or (value.constants is None and not value.objects):
        return None
    cells = [found for found in value.objects if isinstance(found, Cell)]
    if len(cells) != len(value.objects) or any(cell.rest is not BOTTOM for cell in cells):
        return None
    names = sorted(each for each in value.constants or () if isinstance(each, str))
    in_order = len(cells) == 1 and not names
    for cell in cells:
        for item in cell.items.values():
            if not item.constants:
                return None
            in_order = in_order and len(item.constants) == 1
            names.extend(sorted(str(each) for each in item.constants))
    return names, in_order
