"""Expressions: what they may be, and what evaluating them reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import getattr_static
from typing import Any, ClassVar, Final, cast

from jinja2 import nodes
from jinja2.defaults import DEFAULT_NAMESPACE

from .callables import context_names, takes_context
from .frames import BlockText, Cell, Global, Loop, Macro, Module, SelfReference
from .state import ABSENT, Arguments, Machine
from .values import BOTTOM, NO_PATHS, UNKNOWN, Value, constant, extend, is_plain, join, join_all

__all__ = ["Expressions"]

_NESTED: Final = frozenset({"map", "select", "reject", "selectattr", "rejectattr"})
_INSTALLED: Final = frozenset({"gettext", "ngettext", "pgettext", "npgettext", "_"})


class Expressions(Machine):
    """The part of the interpreter that evaluates expressions."""

    work: int

    def evaluate(self, node: nodes.Node) -> Value:
        """Return the value of ``node``, noting what is used on the way; the value itself is not used yet."""
        self.work += 1
        handler = self.EXPRESSIONS.get(type(node))
        if handler is None:
            return self.read_everything(f"the {type(node).__name__} at {self.place(node)} is not understood")
        return handler(self, node)

    def use(self, node: nodes.Node | None) -> Value:
        """Evaluate ``node`` and note that its value is used."""
        if node is None:
            return UNKNOWN
        value = self.evaluate(node)
        self.consume(value)
        return value

    def _name(self, node: nodes.Name) -> Value:
        return self.lookup(node.name)

    def _internal_name(self, node: nodes.InternalName) -> Value:
        return self.lookup(f"·{node.name}")

    def _const(self, node: nodes.Const) -> Value:
        return constant(node.value)

    def _nothing(self, _node: nodes.Node) -> Value:
        return UNKNOWN

    def _getattr(self, node: nodes.Getattr) -> Value:
        return self.attribute(self.evaluate(node.node), node.attr)

    def _getitem(self, node: nodes.Getitem) -> Value:
        base = self.evaluate(node.node)
        key = self.evaluate(node.arg)
        self.consume(key)
        if key.constants:
            return join_all(self.attribute(base, each) for each in key.constants)
        # which item it is can't be told: the container counts as used
        self.consume(base)
        reads = self.paths_of(key)
        found = self.element(base)
        return found._replace(reads=found.reads | reads)

    def attribute(self, base: Value, key: object) -> Value:
        """Return what stands at a constant attribute or key of ``base``."""
        if base.aliases and not is_plain(key):
            self.read(base.aliases)
        if not base.objects:
            return extend(base, key)
        result = extend(base, key) if base.aliases or base.reads else BOTTOM
        for found in base.objects:
            result = join(result, self._attribute_of(found, key))
        return result if result is not BOTTOM else UNKNOWN

    def _attribute_of(self, found: object, key: object) -> Value:
        match found:
            case Module():
                return self._exported(found, key)
            case Cell():
                self.touch(found)
                return found.at(cast("Any", key))
            case SelfReference():
                return self._block_reference(found, key)
            case BlockText() if key == "super":
                return self._deeper(found)
            case Loop():
                return (
                    join(Value(reads=found.reads), found.item)
                    if key in ("previtem", "nextitem")
                    else Value(reads=found.reads)
                )
            case Global():
                return Value(objects=frozenset((Global(f"{found.name}.{key}", _static_attribute(found.value, key)),)))
        return UNKNOWN

    def _exported(self, module: Module, key: object) -> Value:
        binding = module.context.names.get(key) if isinstance(key, str) else None
        if binding is None:
            return UNKNOWN
        self.sink.needs |= binding.definers
        return binding.value

    def _block_reference(self, found: SelfReference, key: object) -> Value:
        if not isinstance(key, str) or key not in found.run.blocks:
            return UNKNOWN
        return Value(objects=frozenset((BlockText(key, found.run, found.context, 0, super_call=False),)))

    def _deeper(self, found: BlockText) -> Value:
        text = BlockText(found.name, found.run, found.context, found.depth + 1, super_call=found.super_call)
        return Value(objects=frozenset((text,)))

    def element(self, base: Value) -> Value:
        """Return what any item of ``base`` may be, once the container itself counts as read."""
        result = Value(reads=base.aliases | base.reads)
        for found in base.objects:
            if isinstance(found, Cell):
                self.touch(found)
                result = join(result, found.content())
            elif isinstance(found, Loop):
                result = join(result, found.item)
            elif isinstance(found, SelfReference):
                result = join(result, self._any_block(found))
            elif not isinstance(found, Global):
                result = result._replace(objects=result.objects | {found})
        return result._replace(constants=None)

    def _any_block(self, found: SelfReference) -> Value:
        return join_all(self._block_reference(found, name) for name in found.run.blocks)

    def _call(self, node: nodes.Call) -> Value:
        return self.call_node(node)

    def call_node(self, node: nodes.Call, caller: Macro | None = None, *, direct: bool = False) -> Value:
        """Evaluate a call, from a call block if ``caller`` is given; ``direct``: its text is shown as it is."""
        callee = self._callee(node.node)
        arguments = self.arguments(node, caller)
        return self.call(callee, arguments, node, direct=direct)

    def _callee(self, node: nodes.Expr) -> Value:
        """Evaluate what is called. A method belongs to its object: the object is read as a whole."""
        if isinstance(node, nodes.Getattr):
            return self._method(self.evaluate(node.node), node.attr)
        if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
            return self._method(self.evaluate(node.node), node.arg.value)
        value = self.evaluate(node)
        if isinstance(node, nodes.Name) and value.aliases == {node.name} and self._is_installed(node.name, value):
            return value._replace(aliases=NO_PATHS)
        return value

    def _is_installed(self, name: str, value: Value) -> bool:
        """Tell whether a name is called that Jinja itself put into the globals: ``range(3)`` reads no context."""
        for found in value.objects:
            if isinstance(found, Global) and found.name == name:
                return DEFAULT_NAMESPACE.get(name, self) is found.value or (
                    name in _INSTALLED and hasattr(self.env, "install_gettext_callables")
                )
        return False

    def _method(self, base: Value, name: object) -> Value:
        if name in MUTATORS and base.aliases:
            self.sink.reads |= base.aliases
        callee = self.attribute(base._replace(aliases=NO_PATHS), name) if base.objects else UNKNOWN
        containers = frozenset(found for found in base.objects if isinstance(found, Cell))
        if containers and callee.objects and all(name in found.items for found in containers):
            return Value(base.aliases, base.reads, callee.objects)
        method = Method(name, base.aliases, containers)
        return Value(base.aliases, base.reads, callee.objects | {method})

    def arguments(self, node: nodes.Call | nodes.Filter | nodes.Test, caller: Macro | None = None) -> Arguments:
        """Evaluate the arguments of a call."""
        spread = [self.use(each) for each in (node.dyn_args, node.dyn_kwargs) if each is not None]
        positional = [self.evaluate(each) for each in node.args]
        named = {str(each.key): self.evaluate(each.value) for each in node.kwargs}
        return Arguments(positional, named, join_all(map(self.element, spread)) if spread else None, caller)

    # ── filters and tests ────────────────────────────────────────────────────────────────────────────────────────

    def _filter(self, node: nodes.Filter) -> Value:
        subject = self.buffer if node.node is None else self.evaluate(node.node)
        if node.name == "attr" and len(node.args) == 1:
            key = self.evaluate(node.args[0])
            if key.constants and self._is_own("filters", "attr"):
                return join_all(self.attribute(subject, each) for each in key.constants)
        return self._apply("filters", node, subject)

    def _test(self, node: nodes.Test) -> Value:
        return self._apply("tests", node, self.evaluate(node.node))

    def _apply(self, kind: str, node: nodes.Filter | nodes.Test, subject: Value) -> Value:
        arguments = self.arguments(node)
        arguments.positional.insert(0, subject)
        function = self._registered(kind, node.name)
        self.hand_context(function, node, f"the {kind[:-1]} {node.name!r}", node.args)
        values = arguments.values()
        if getattr(function, "__module__", None) == f"jinja2.{kind}":
            # Jinja's own neither call nor change what they are handed
            for value in values:
                self.consume(value)
            reads = frozenset[str]().union(*(self.paths_of(value) for value in values))
            handed = (
                frozenset[object]().union(*(value.objects for value in values)) if kind == "filters" else frozenset()
            )
            return Value(reads=reads, objects=handed)
        return self.use_all(values, node)

    def _registered(self, kind: str, name: str) -> object:
        key = (kind, name)
        if key not in self.lookups:
            self.lookups[key] = getattr(self.env, kind).get(name, ABSENT)
        found = self.lookups[key]
        return None if found is ABSENT else found

    def _is_own(self, kind: str, name: str) -> bool:
        return getattr(self._registered(kind, name), "__module__", None) == f"jinja2.{kind}"

    def hand_context(self, function: object, node: nodes.Node, what: str, args: Iterable[nodes.Node] = ()) -> None:
        """Note what ``function`` reads of the context, if Jinja hands it that."""
        if function is None or not takes_context(function):
            return
        if getattr(function, "__module__", None) == "jinja2.filters":
            self._hand_on(function, node, list(args))
            return
        names = context_names(function)
        if names is None:
            self.read_everything(f"{what} at {self.place(node)} is handed the context and may read anything")
            return
        for name in sorted(names):
            value = self.lookup(name)
            self.consume(value._replace(aliases=NO_PATHS) if self._is_installed(name, value) else value)

    def _hand_on(self, function: object, node: nodes.Node, args: list[nodes.Node]) -> None:
        """Note what a filter or test reads that ``map``, ``select`` and the like call by name."""
        name = getattr(function, "__name__", "")
        kind = "filters" if name.endswith("map") else "tests"
        if not name.endswith(("map", "select", "reject", "attr")):
            return
        position = 1 if name.endswith("attr") else 0
        if len(args) <= position:
            return
        wanted = self.evaluate(args[position])
        if wanted.constants is None:
            candidates: Iterable[str] = getattr(self.env, kind)
        else:
            candidates = [each for each in wanted.constants if isinstance(each, str)]
        for each in candidates:
            inner = self._registered(kind, each)
            if inner is not function and getattr(inner, "__module__", "") != "jinja2.filters":
                self.hand_context(inner, node, f"the {kind[:-1]} {each!r}")

    def use_all(self, values: Iterable[Value], node: nodes.Node) -> Value:
        """Hand ``values`` to a function that is not the template's own; return what it may give back.

        It may call what it is handed, and put one of its arguments into another.
        """
        paths: set[str] = set()
        objects: set[object] = set()
        for value in values:
            self.consume(value)
            paths |= value.aliases | value.reads
            if value.objects:
                paths |= self.paths_within(value)
                objects |= value.objects
        if objects:
            paths |= self._escape(objects, frozenset(paths), node)
        return Value(reads=frozenset(paths), objects=frozenset(objects))

    def _escape(self, objects: set[object], paths: frozenset[str], node: nodes.Node) -> frozenset[str]:
        reads: set[str] = set()
        for found in list(objects):
            if isinstance(found, Cell):
                if paths - found.content().reads:
                    self.put(found, None, Value(reads=paths), node.lineno, known=False)
                objects |= found.content().objects
        for found in sorted(objects, key=lambda each: type(each).__name__):
            if isinstance(found, Macro | BlockText | Loop | Global):
                arguments = Arguments([], {}, Value(reads=paths))
                reads |= self.call(Value(objects=frozenset((found,))), arguments, node).reads
        return frozenset(reads)

    # ── operators and literals ───────────────────────────────────────────────────────────────────────────────────

    def _choice(self, node: nodes.CondExpr) -> Value:
        test = self.use(node.test)
        reads = self.paths_of(test)
        value = self.evaluate(node.expr1)
        other = self.evaluate(node.expr2) if node.expr2 is not None else UNKNOWN
        joined = join(value, other)
        return joined._replace(reads=joined.reads | reads)

    def _either(self, node: nodes.And | nodes.Or) -> Value:
        left = self.use(node.left)
        joined = join(left, self.evaluate(node.right))
        return joined._replace(reads=joined.reads | self.paths_of(left))

    def _operands(self, node: nodes.Node) -> Value:
        """Evaluate an operator that computes something new of all that stands below it."""
        reads: set[str] = set()
        for child in node.iter_child_nodes():
            reads |= self.paths_of(self.use(child))
        return Value(reads=frozenset(reads))

    def _concatenation(self, node: nodes.Concat | nodes.Add) -> Value:
        parts = node.nodes if isinstance(node, nodes.Concat) else [node.left, node.right]
        values = [self.use(part) for part in parts]
        value = join_all(values)
        reads: frozenset[str] = frozenset().union(*(self.paths_of(each) for each in values))
        objects = value.objects if isinstance(node, nodes.Add) else frozenset[object]()
        return Value(reads=reads, objects=objects, constants=_concatenated(values))

    def _marked(self, node: nodes.MarkSafe | nodes.MarkSafeIfAutoescape) -> Value:
        return self.evaluate(node.expr)

    def _operand(self, node: nodes.Operand) -> Value:
        return self.evaluate(node.expr)

    def _sequence(self, node: nodes.List | nodes.Tuple) -> Value:
        cell = self.cell(node)
        for position, item in enumerate(node.items):
            self._fill(cell, position, self.evaluate(item))
        return Value(objects=frozenset((cell,)))

    def _dict(self, node: nodes.Dict) -> Value:
        cell = self.cell(node)
        for pair in node.items:
            key = self.use(pair.key)
            value = self.evaluate(pair.value)
            if key.constants:
                for each in key.constants:
                    self._fill(cell, each, value)
            else:
                self._fill(cell, None, join(value, Value(reads=self.paths_of(key))), known=False)
        return Value(objects=frozenset((cell,)))

    def _fill(self, cell: Cell, key: Any, value: Value, *, known: bool = True) -> None:
        """Put an item into a container that is being made: nobody else can have it yet."""
        self.see(value)
        if known:
            before = cell.items.get(key, BOTTOM)
            after = cell.items[key] = join(before, value)
        else:
            before = cell.rest
            after = cell.rest = join(before, value)
        if after != before and before is not BOTTOM:
            self.note_change()

    def _imported(self, node: nodes.ImportedName) -> Value:
        return Value(objects=frozenset((Global(node.importname, None),)))

    def _environment_attribute(self, node: nodes.EnvironmentAttribute) -> Value:
        return Value(objects=frozenset((Global(node.name, getattr(self.env, node.name, None)),)))

    def _extension_attribute(self, node: nodes.ExtensionAttribute) -> Value:
        extension = self.env.extensions.get(node.identifier)
        return Value(objects=frozenset((Global(node.name, getattr(extension, node.name, None)),)))

    def _context(self, node: nodes.Node) -> Value:
        return self.read_everything(f"the tag at {self.place(node)} is handed the context and may read anything")

    EXPRESSIONS: ClassVar[dict[type[nodes.Node], Callable[[Any, Any], Value]]] = {
        nodes.Name: _name,
        nodes.Const: _const,
        nodes.TemplateData: _nothing,
        nodes.Getattr: _getattr,
        nodes.Getitem: _getitem,
        nodes.Call: _call,
        nodes.Filter: _filter,
        nodes.Test: _test,
        nodes.CondExpr: _choice,
        nodes.And: _either,
        nodes.Or: _either,
        nodes.Concat: _concatenation,
        nodes.Add: _concatenation,
        nodes.Tuple: _sequence,
        nodes.List: _sequence,
        nodes.Dict: _dict,
        nodes.Operand: _operand,
        nodes.MarkSafe: _marked,
        nodes.MarkSafeIfAutoescape: _marked,
        nodes.InternalName: _internal_name,
        nodes.ImportedName: _imported,
        nodes.EnvironmentAttribute: _environment_attribute,
        nodes.ExtensionAttribute: _extension_attribute,
        nodes.ContextReference: _context,
        nodes.DerivedContextReference: _context,
        nodes.Compare: _operands,
        nodes.Not: _operands,
        nodes.Neg: _operands,
        nodes.Pos: _operands,
        nodes.Sub: _operands,
        nodes.Mul: _operands,
        nodes.Div: _operands,
        nodes.FloorDiv: _operands,
        nodes.Mod: _operands,
        nodes.Pow: _operands,
        nodes.Slice: _operands,
    }


class Method:
    """What is called as ``object.name()``: the paths and containers that ``object`` may be."""

    __slots__ = ("containers", "name", "paths")

    def __init__(self, name: object, paths: frozenset[str], containers: frozenset[Cell]) -> None:
        self.name: object = name
        self.paths: frozenset[str] = paths
        self.containers: frozenset[Cell] = containers


MUTATORS: Final = frozenset(
    {
        "append", "add", "extend", "insert", "update", "setdefault", "pop", "popitem", "remove", "discard", "clear",
        "sort", "reverse", "appendleft", "popleft", "extendleft", "rotate", "difference_update", "intersection_update",
        "symmetric_difference_update", "__setitem__", "__delitem__", "__setattr__",
    }
)  # fmt: skip
"""Methods that change the object they are called on."""


def _static_attribute(value: object, key: object) -> object:
    """Return an attribute of a global without running any code of it; None if there is none."""
    if isinstance(value, dict):
        return value.get(key)
    try:
        return getattr_static(value, key) if isinstance(key, str) else None
    except AttributeError:
        return None


def _concatenated(values: list[Value]) -> frozenset[Any] | None:
    texts = [""]
    for value in values:
        if not value.constants or len(value.constants) * len(texts) > 12:
            return None
        if not all(isinstance(each, str) for each in value.constants):
            return None
        texts = [text + str(each) for text in texts for each in value.constants]
    return frozenset(texts)
