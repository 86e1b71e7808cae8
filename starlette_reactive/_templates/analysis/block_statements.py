"""Blocks where the page shows them, and which of their surroundings prevent rendering them alone."""

from __future__ import annotations

from jinja2 import nodes

from .findings import AnalysedBlock, Binding, ContextLayer, ReadSet
from .frames import BlockBody, Frame, SelfReference
from .statements import Statements
from .values import NO_PATHS, Value

__all__ = ["BlockStatements"]


class BlockStatements(Statements):
    """Places blocks in the page."""

    def visit_Block(self, node: nodes.Block) -> None:
        if self.frame.root and (self.known_parent or self.next_parent is not None):
            return
        context = self.frame.context
        if node.scoped:
            context = ContextLayer(context, handed=self.handed_names(), depth=len(self.open_blocks))
        body = BlockBody(node.name, self.run, context)
        if self.inline_depth:
            self._show_inline(body)
        else:
            self.place_block(body)

    def _show_inline(self, body: BlockBody) -> None:
        key = (body.name, id(body.run))
        if key not in self.active_inline_blocks:
            self.active_inline_blocks.append(key)
            try:
                self.show_block(body)
            finally:
                self.active_inline_blocks.pop()

    def place_block(self, body: BlockBody) -> None:
        """Interpret a block in its place in the page."""
        parsed, node = body.run.blocks[body.name][0]
        block = self.blocks.get(body.name)
        if body.run is not self.page_run and body.name in self.page_run.blocks:
            # the page has a block of that name, so nothing can address this one: it counts as plain text
            self.show_block(body)
            return
        parent = self.open_blocks[-1] if self.open_blocks else None
        if block is not None and block not in self.open_blocks and self.unplaced:
            self.show_block(body)
            return
        if block is None:
            block = self.blocks[body.name] = AnalysedBlock(body.name, parent, body.run, parsed, node)
        if block.definition is not node:
            block.barrier = f"the page may show another block of that name, at {parsed.name}:{node.lineno}"
        if block in self.open_blocks:
            self._show_in_itself(block, body)
            return
        block.parents.add(parent)
        self.placements += 1
        self._record_surroundings(block)
        self._show_placed(block, body)

    def _show_in_itself(self, block: AnalysedBlock, body: BlockBody) -> None:
        node = body.run.blocks[body.name][0][1]
        if block.definition is node:
            self.read_everything(f"the block {body.name!r} contains itself at {self.location(node)}")
        else:
            self.show_block(body)

    def _record_surroundings(self, block: AnalysedBlock) -> None:
        block.visits += 1
        block.deciding_paths = block.deciding_paths.union(self.deciding_paths, *self.deciding_outside)
        block.calls = frozenset(active.key for active in self.active_calls)
        block.eval_options = self.eval_options
        barrier = self.barriers[-1] if self.barriers else self.leaked_autoescape or self.module_barrier
        if block.barrier is None and barrier is not None:
            block.barrier = barrier
        elif block.barrier is None and block.visits > 1:
            block.barrier = f"the page shows it more than once, again in {self.frame.template.name}"

    def _show_placed(self, block: AnalysedBlock, body: BlockBody) -> None:
        """Interpret a block into its own read set."""
        outer = self.read_set, self.deciding_paths, self.statement, self.conditional
        self.deciding_outside.append(self.deciding_paths)
        self.read_set, self.deciding_paths, self.statement, self.conditional = block.read_set, NO_PATHS, None, False
        self.open_blocks.append(block)
        if self.capture_depth:
            self.read_set = ReadSet()
        self.read_set.reads |= self.escape_paths | self.leaked_paths
        try:
            self.show_block(body)
        finally:
            inner = self.read_set
            self.open_blocks.pop()
            self.deciding_outside.pop()
            self.read_set, self.deciding_paths, self.statement, self.conditional = outer
        if self.open_blocks:
            # rendered alone, the enclosing block shows this one too, so it needs the same statements
            self.read_set.needs |= inner.needs
        if self.capture_depth:
            block.read_set.add(inner)
            self.read_set.add(inner)

    def show_block(self, body: BlockBody) -> None:
        """Interpret the body of a block into the current read set."""
        parsed, node = body.run.blocks[body.name][body.depth]
        self.read_set.origins.add(id(node))
        frame = Frame(parsed, body.context)
        parent = BlockBody(body.name, body.run, body.context, body.depth + 1, super_call=True)
        frame.names["super"] = Binding(Value(objects=frozenset((parent,))))
        frame.names["self"] = Binding(Value(objects=frozenset((SelfReference(body.run, body.context),))))
        outer = self.frame, self.run, self.known_parent, self.silent, self.eval_options_outside
        self.frame, self.run, self.known_parent, self.silent = frame, body.run, False, False
        self.eval_options_outside = self.eval_options
        try:
            self.execute(node.body)
        finally:
            self.frame, self.run, self.known_parent, self.silent, self.eval_options_outside = outer

    # ── autoescape ───────────────────────────────────────────────────────────────────────────────────────────────

    def visit_EvalContextModifier(self, node: nodes.EvalContextModifier) -> None:
        self.barriers.append(f"the escaping changes for the rest of the page at {self.location(node)}")
        for option in node.options:
            self.use(option.value)

    def visit_ScopedEvalContextModifier(self, node: nodes.ScopedEvalContextModifier) -> None:
        outer = self.eval_options, self.escape_paths
        computed = False
        for option in node.options:
            value = self.use(option.value)
            if isinstance(option.value, nodes.Const):
                self.eval_options = (*self.eval_options, (option.key, option.value.value))
            else:
                computed = True
                # the blocks within read the setting when they are shown
                self.escape_paths = self.escape_paths | self.paths_of(value)
        if computed:
            self.barriers.append(f"inside the autoescape at {self.location(node)}, whose setting is computed")
        self.autoescape_depth += 1
        try:
            self.execute(node.body)
        finally:
            self.autoescape_depth -= 1
            self.eval_options, self.escape_paths = outer
            if computed:
                self.barriers.pop()
