"""Blocks where the page shows them: what surrounds each, and whether that leaves it what it is alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from jinja2 import nodes

from .facts import Binding, BlockRecord, Context, Run, Sink
from .frames import BlockText, Scope, SelfReference
from .statements import Statements
from .values import Value

__all__ = ["Placement"]


class Placement(Statements):
    """The part of the interpreter that places blocks."""

    conditional: bool
    escaped_by: frozenset[str]
    known_parent: bool
    modifiers: tuple[tuple[str, object], ...]
    pc: frozenset[str]
    run: Run
    scope: Scope
    silent: bool
    sink: Sink

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

    STATEMENTS: ClassVar[dict[type[nodes.Node], Callable[[Any, Any], None]]] = {
        **Statements.STATEMENTS,
        nodes.Block: _block,
        nodes.EvalContextModifier: _modifier,
        nodes.ScopedEvalContextModifier: _scoped_modifier,
    }
