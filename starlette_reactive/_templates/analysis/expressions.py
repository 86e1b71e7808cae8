"""Operators, literals and the remaining expressions."""

from __future__ import annotations

from typing import Any, Final, TypeGuard

from jinja2 import nodes

from .frames import Global, Macro
from .functions import Functions
from .values import NO_PATHS, UNKNOWN, Value, constant, join, join_all, with_reads

__all__ = ["Expressions"]

MAX_TEXTS: Final = 12
"""How many texts a concatenation of constants may yield before it counts as unknown."""


class Expressions(Functions):
    """Evaluates expressions."""

    # ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────

    def visit_Call(self, node: nodes.Call) -> Value:
        return self.call_node(node)

    def call_node(self, node: nodes.Call, caller: Macro | None = None, *, direct: bool = False) -> Value:
        """Evaluate a call.

        Args:
            node: The call.
            caller: The body of the call block, if the call belongs to one.
            direct: Whether the returned text is shown unchanged in place of the call.
        """
        callee = self._callee(node.node)
        arguments = self.arguments(node, caller)
        return self.call(callee, arguments, node, direct=direct)

    def _callee(self, node: nodes.Expr) -> Value:
        if isinstance(node, nodes.Getattr):
            return self.method(self.evaluate(node.node), node.attr)
        if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
            return self.method(self.evaluate(node.node), node.arg.value)
        value = self.evaluate(node)
        if not isinstance(node, nodes.Name) or not value.aliases:
            return value
        if value.aliases == {node.name} and self.is_builtin_global(node.name, value):
            return value._replace(aliases=NO_PATHS)
        if node.name in self._names_of_objects():
            # a method has no attributes that a template reads, so this is an object that can be called
            return value._replace(aliases=NO_PATHS, reads=value.reads | value.aliases)
        return value

    def _names_of_objects(self) -> frozenset[str]:
        """Return the names whose attributes the macro or template at hand reads."""
        inside = self.active_calls[-1].node if self.active_calls else None
        scope = inside if isinstance(inside, nodes.Macro | nodes.CallBlock) else self.frame.template.tree
        found = self.object_names.get(id(scope))
        if found is None:
            attributes = scope.find_all((nodes.Getattr, nodes.Getitem))
            found = frozenset(each.node.name for each in attributes if _is_attribute_of_name(each))
            self.object_names[id(scope)] = found
        return found

    # ── operators ────────────────────────────────────────────────────────────────────────────────────────────────

    def visit_CondExpr(self, node: nodes.CondExpr) -> Value:
        test = self.use(node.test)
        reads = self.paths_of(test)
        with self.decided_by(reads):
            value = self.evaluate(node.expr1)
            other = self.evaluate(node.expr2) if node.expr2 is not None else UNKNOWN
        joined = join(value, other)
        return joined._replace(reads=joined.reads | reads)

    def visit_Or(self, node: nodes.And | nodes.Or) -> Value:
        left = self.use(node.left)
        reads = self.paths_of(left)
        with self.decided_by(reads):
            joined = join(left, self.evaluate(node.right))
        return joined._replace(reads=joined.reads | reads)

    visit_And = visit_Or

    def visit_Concat(self, node: nodes.Concat) -> Value:
        return self._concatenate(node.nodes)._replace(objects=frozenset())

    def visit_Add(self, node: nodes.Add) -> Value:
        return self._concatenate([node.left, node.right])

    def _concatenate(self, parts: list[nodes.Expr]) -> Value:
        values = [self.use(part) for part in parts]
        reads: frozenset[str] = frozenset().union(*(self.paths_of(each) for each in values))
        return Value(reads=reads, objects=join_all(values).objects, constants=_concatenated(values))

    def _computed(self, node: nodes.Node) -> Value:
        """Evaluate an operator whose result is computed from everything below it."""
        reads: set[str] = set()
        for child in node.iter_child_nodes():
            reads |= self.paths_of(self.use(child))
        return Value(reads=frozenset(reads))

    def visit_Compare(self, node: nodes.Compare) -> Value:
        """Evaluate a chain of comparisons, which ends with the first that does not hold."""
        first, *others = node.ops
        reads = self.paths_of(self.use(node.expr)) | self.paths_of(self.use(first.expr))
        for each in others:
            with self.decided_by(reads):
                reads |= self.paths_of(self.use(each.expr))
        return Value(reads=reads)

    visit_Not = visit_Neg = visit_Pos = _computed
    visit_Sub = visit_Mul = visit_Div = visit_FloorDiv = visit_Mod = visit_Pow = _computed
    visit_Slice = _computed

    def visit_MarkSafe(self, node: nodes.MarkSafe | nodes.MarkSafeIfAutoescape) -> Value:
        return self.evaluate(node.expr)

    visit_MarkSafeIfAutoescape = visit_MarkSafe

    # ── literals ─────────────────────────────────────────────────────────────────────────────────────────────────

    def visit_Const(self, node: nodes.Const) -> Value:
        return constant(node.value)

    def visit_TemplateData(self, _node: nodes.TemplateData) -> Value:
        return UNKNOWN

    def visit_List(self, node: nodes.List | nodes.Tuple) -> Value:
        container = self.container(node)
        container.is_list = True
        for position, item in enumerate(node.items):
            self.fill(container, position, self.keep(item))
        return Value(objects=frozenset((container,)), constants=frozenset())

    visit_Tuple = visit_List

    def visit_Dict(self, node: nodes.Dict) -> Value:
        container = self.container(node)
        for pair in node.items:
            key = self.use(pair.key)
            value = with_reads(self.keep(pair.value), self.paths_of(key))
            if key.constants:
                for each in key.constants:
                    self.fill(container, each, value)
            else:
                self.fill(container, None, value, known=False)
        return Value(objects=frozenset((container,)), constants=frozenset())

    # ── what only extensions use ─────────────────────────────────────────────────────────────────────────────────

    def visit_ImportedName(self, node: nodes.ImportedName) -> Value:
        return Value(objects=frozenset((Global(node.importname, None),)))

    def visit_EnvironmentAttribute(self, node: nodes.EnvironmentAttribute) -> Value:
        return Value(objects=frozenset((Global(node.name, getattr(self.env, node.name, None)),)))

    def visit_ExtensionAttribute(self, node: nodes.ExtensionAttribute) -> Value:
        extension = self.env.extensions.get(node.identifier)
        return Value(objects=frozenset((Global(node.name, getattr(extension, node.name, None)),)))

    def visit_ContextReference(self, node: nodes.Node) -> Value:
        return self.read_everything(f"the tag at {self.location(node)} receives the context and may read anything")

    visit_DerivedContextReference = visit_ContextReference


def _is_attribute_of_name(node: nodes.Expr) -> TypeGuard[Any]:
    if not isinstance(getattr(node, "node", None), nodes.Name):
        return False
    name = node.attr if isinstance(node, nodes.Getattr) else getattr(getattr(node, "arg", None), "value", None)
    return isinstance(name, str) and not name.startswith("_")


def _concatenated(values: list[Value]) -> frozenset[Any] | None:
    texts = [""]
    for value in values:
        if not value.constants or len(value.constants) * len(texts) > MAX_TEXTS:
            return None
        if not all(isinstance(each, str) for each in value.constants):
            return None
        texts = [text + str(each) for text in texts for each in value.constants]
    return frozenset(texts)
