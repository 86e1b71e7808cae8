"""Statements that show text, bind names and branch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

from jinja2 import nodes

from .calls import CallEvaluation
from .expressions import Expressions
from .findings import Binding, ContextLayer, ReadSet, TopLevelStatement, join_names
from .frames import Container, Frame
from .names import INTERNAL
from .values import Value, join_all, sealed

__all__ = ["Statements"]


class Statements(Expressions, CallEvaluation):
    """Executes statements."""

    def execute(self, body: Iterable[nodes.Node]) -> None:
        """Interpret statements in order. At a template's top level, each has a read set of its own."""
        run = self._execute_top_level if self.frame.root and not self.import_depth else self._execute
        for node in body:
            run(node)

    def _execute(self, node: nodes.Node) -> None:
        self.work += 1
        self.visitors[type(node)](self, node)

    def _execute_top_level(self, node: nodes.Node) -> None:
        if isinstance(node, nodes.Block):
            self._execute(node)
            return
        statement = self.run.statements.get(id(node))
        if statement is None:
            around = self.statement if self.statement is not None and self.statement.run is self.run else None
            statement = self.run.statements[id(node)] = TopLevelStatement(node, self.run, around)
        outer, self.statement = self.statement, statement
        read_set, self.read_set = self.read_set, ReadSet()
        try:
            self._execute(node)
            statement.needs |= self.read_set.needs
        finally:
            # what an included template needs, the text that includes it needs
            read_set.add(self.read_set, needs=self.run is not self.page_run)
            self.statement, self.read_set = outer, read_set

    def within(self, frame: Frame, body: Iterable[nodes.Node]) -> None:
        """Interpret statements in a frame."""
        outer, self.frame = self.frame, frame
        try:
            self.execute(body)
        finally:
            self.frame = outer

    # ── text ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def visit_Output(self, node: nodes.Output) -> None:
        if self.silent:
            return
        for child in node.nodes:
            if isinstance(child, nodes.TemplateData):
                continue
            self.consume(self.call_node(child, direct=True) if isinstance(child, nodes.Call) else self.evaluate(child))
            if self.env.finalize is not None:
                self.pass_context(self.env.finalize, child, "the finalize function")

    def visit_ExprStmt(self, node: nodes.ExprStmt) -> None:
        self.see(self.evaluate(node.node))

    def visit_FilterBlock(self, node: nodes.FilterBlock) -> None:
        barrier = f"inside the filter block at {self.location(node)}"
        self.consume(self._captured(node.body, barrier, node.filter))

    def _captured(self, body: list[nodes.Node], barrier: str, filters: nodes.Filter | None) -> Value:
        """Interpret text that is captured, and the filters that it passes through."""
        outer = self.frame
        self.frame = outer.inner(body)
        self.barriers.append(barrier)
        try:
            read_set = self.capture(lambda: self.execute(body))
            self.read_set.add(read_set)
            value = Value(reads=frozenset(read_set.reads))
            if filters is None:
                return value
            filter_input, self.filter_input = self.filter_input, value
            try:
                return self.evaluate(filters)
            finally:
                self.filter_input = filter_input
        finally:
            self.barriers.pop()
            self.frame = outer

    # ── names ────────────────────────────────────────────────────────────────────────────────────────────────────

    def visit_Assign(self, node: nodes.Assign) -> None:
        self.bind(node.target, self.see(self.keep(node.node)), "by a set")

    def visit_AssignBlock(self, node: nodes.AssignBlock) -> None:
        outer, self.silent = self.silent, False
        value = self._captured(node.body, f"inside the set block at {self.location(node)}", node.filter)
        self.silent = outer
        self.bind(node.target, value, "by a set block")

    def bind(self, target: nodes.Node, value: Value, how: str) -> None:
        """Bind the target of an assignment: a name, a tuple of targets, or an attribute of a namespace."""
        match target:
            case nodes.Name():
                self.store(target.name, value, how, target.lineno)
            case nodes.InternalName():
                self.store(f"{INTERNAL}{target.name}", value, how, target.lineno)
            case nodes.Tuple() | nodes.List():
                self._unpack(target, value, how)
            case nodes.NSRef():
                self._bind_attribute(target, value)

    def _unpack(self, target: nodes.Tuple | nodes.List, value: Value, how: str) -> None:
        containers = [found for found in value.objects if isinstance(found, Container)]
        for found in containers:
            self.touch(found)
        exact = containers and len(containers) == len(value.objects) and not value.aliases
        for position, each in enumerate(target.items):
            if exact and all(position in container.items for container in containers):
                part = join_all(container.at(position) for container in containers)
                part = part._replace(reads=part.reads | value.reads)
                part = part if value.constants is not None else part._replace(constants=None)
            else:
                part = self.element(value)
            self.bind(each, part, how)

    def _bind_attribute(self, target: nodes.NSRef, value: Value) -> None:
        namespace = self.lookup(target.name)
        for found in namespace.objects:
            if isinstance(found, Container):
                self.put(found, target.attr, value, target.lineno)
        if namespace.aliases:
            self.read(namespace.aliases)
            self.change_path(namespace.aliases, value, target.lineno)

    def visit_With(self, node: nodes.With) -> None:
        values = [self.see(self.keep(value)) for value in node.values]
        outer = self.frame
        self.frame = outer.inner(node)
        try:
            for target, value in zip(node.targets, values, strict=True):
                self.bind(target, value, "by the with")
            self.execute(node.body)
        finally:
            self.frame = outer

    def visit_Scope(self, node: nodes.Scope) -> None:
        self.within(self.frame.inner(node), node.body)

    def visit_OverlayScope(self, node: nodes.OverlayScope) -> None:
        """Interpret a body to which an extension passes a mapping of names. Each name may be anything in it."""
        value = self.use(node.context)
        handed = self.handed_names()
        context = ContextLayer(self.frame.context, handed=handed, depth=len(self.open_blocks), unknown=sealed(value))
        self.barriers.append(f"inside the tag of an extension that passes names in, at {self.location(node)}")
        try:
            self.within(Frame(self.frame.template, context), node.body)
        finally:
            self.barriers.pop()

    # ── branches ─────────────────────────────────────────────────────────────────────────────────────────────────

    def visit_If(self, node: nodes.If) -> None:
        outer = self.deciding_paths
        try:
            # one after the other, because a chain of elif may be longer than Python's stack is deep
            tested = [functools.partial(self._execute_if, each) for each in (node, *node.elif_)]
            self._branches([*tested, functools.partial(self.execute, node.else_)])
        finally:
            self.deciding_paths = outer

    def _execute_if(self, node: nodes.If) -> None:
        """Interpret an ``if`` or an ``elif``. What follows runs only if the test fails, so it depends on the test."""
        self.deciding_paths = self.deciding_paths | self.paths_of(self.use(node.test))
        self.execute(node.body)

    def _branches(self, branches: list[Callable[[], None]]) -> None:
        """Interpret branches of which one runs, and join what they bind in this frame."""
        frame, outer = self.frame, self.conditional
        names, exported = frame.names, frame.context.names
        versions = frame.version, frame.context.version
        after: list[dict[str, Binding]] = []
        after_exported: list[dict[str, Binding]] = []
        self.conditional = True
        for branch in branches:
            versions = self._restore(frame, dict(names), dict(exported), versions)
            branch()
            after.append(frame.names)
            after_exported.append(frame.context.names)
        self.conditional = outer
        self._restore(frame, join_names(after), join_names(after_exported) if frame.root else {}, versions)

    def _restore(
        self, frame: Frame, names: dict[str, Binding], exported: dict[str, Binding], versions: tuple[int, int]
    ) -> tuple[int, int]:
        """Replace the names of a frame, and what it exports. Return its versions."""
        frame.names = names
        if frame.version != versions[0]:
            self.bump(frame)
        if frame.root:
            frame.context.names = exported
            if frame.context.version != versions[1]:
                self.bump(frame.context)
        return frame.version, frame.context.version

    # ── macros and call blocks ───────────────────────────────────────────────────────────────────────────────────

    def visit_Macro(self, node: nodes.Macro) -> None:
        value = Value(objects=frozenset((self.macro(node),)))
        self.store(node.name, value, "as a macro", node.lineno)

    def visit_CallBlock(self, node: nodes.CallBlock) -> None:
        body = self.macro(node)
        body.module_barrier, body.written_in = self.module_barrier, self.written_in
        self.consume(self.call_node(node.call, body, direct=not self.silent))
