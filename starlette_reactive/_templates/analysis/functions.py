"""Python functions that templates call: filters, tests and globals."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Final

from jinja2 import nodes
from jinja2.defaults import DEFAULT_NAMESPACE

from .attributes import Attributes
from .callables import context_names, takes_context
from .frames import BlockBody, BoundMethod, Container, Global, Loop, Macro
from .interpreter_state import ABSENT, Arguments
from .names import Names
from .values import NO_PATHS, Value, join, join_all, with_reads

__all__ = ["Functions"]

_ITERATORS: Final = frozenset(
    {"batch", "items", "map", "reject", "rejectattr", "reverse", "select", "selectattr", "slice", "unique"}
)
"""Filters of Jinja that return iterators."""
_COPIES: Final = frozenset({"list", "sort"})
"""Filters of Jinja that return a new list of the items."""
_DEFAULT: Final = frozenset({"default", "d"})
_GETTEXT: Final = frozenset({"gettext", "ngettext", "pgettext", "npgettext", "_"})


class Functions(Names, Attributes):
    """Records what functions read: their arguments, and the context if Jinja passes it."""

    def arguments(self, node: nodes.Call | nodes.Filter | nodes.Test, caller: Macro | None = None) -> Arguments:
        """Evaluate the arguments of a call."""
        spread = [self.use(each) for each in (node.dyn_args, node.dyn_kwargs) if each is not None]
        evaluate = self.keep if isinstance(node, nodes.Call) else self.evaluate
        positional = [evaluate(each) for each in node.args]
        named = {str(each.key): evaluate(each.value) for each in node.kwargs}
        return Arguments(positional, named, join_all(map(self.element, spread)) if spread else None, caller)

    # ── iterators ────────────────────────────────────────────────────────────────────────────────────────────────

    def keep(self, node: nodes.Node) -> Value:
        """Evaluate an expression whose value is kept. If it is an iterator, it yields its items only once."""
        value = self.evaluate(node)
        if not self._is_iterator(node):
            return value
        container = self.container(node)
        container.used_up = self.location(node)
        container.rest = join(container.rest, self.element(value))
        return Value(reads=value.aliases | value.reads, objects=value.objects | {container})

    def _is_iterator(self, node: nodes.Node | None) -> bool:
        match node:
            case nodes.Filter() if node.name in _ITERATORS:
                return self._is_own("filters", node.name)
            case nodes.Filter() if node.name in _DEFAULT:
                return any(map(self._is_iterator, (node.node, *node.args)))
            case nodes.CondExpr():
                return self._is_iterator(node.expr1) or self._is_iterator(node.expr2)
            case nodes.And() | nodes.Or():
                return self._is_iterator(node.left) or self._is_iterator(node.right)
        return False

    # ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────

    def use_all(self, values: Iterable[Value], node: nodes.Node) -> Value:
        """Pass ``values`` to a function from outside the template. Return what it may return.

        The function may call its arguments, and put one of them into another.
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
        return Value(reads=frozenset(paths), objects=_without_iterators(objects))

    def _escape(self, objects: set[object], paths: frozenset[str], node: nodes.Node) -> frozenset[str]:
        """Return what objects read that a function may call. Add what it may put into them."""
        for found in list(objects):
            if isinstance(found, BoundMethod):
                objects |= found.containers
        for found in list(objects):
            if isinstance(found, Container):
                self.observe(found)
                if paths and (paths | self.deciding_change(found)) - found.content().reads:
                    self.put(found, None, Value(reads=paths), node.lineno, known=False)
                objects |= found.content().objects
        reads: set[str] = set()
        for found in sorted(objects, key=lambda each: type(each).__name__):
            if isinstance(found, Macro | BlockBody | Loop | Global):
                arguments = Arguments([], {}, Value(reads=paths))
                reads |= self.call(Value(objects=frozenset((found,))), arguments, node).reads
        return frozenset(reads)

    # ── filters and tests ────────────────────────────────────────────────────────────────────────────────────────

    def visit_Filter(self, node: nodes.Filter) -> Value:
        subject = self.filter_input if node.node is None else self.evaluate(node.node)
        if node.name == "attr" and len(node.args) == 1:
            key = self.evaluate(node.args[0])
            if key.constants and self._is_own("filters", "attr"):
                found = join_all(self.attribute(subject, each) for each in key.constants)
                return with_reads(found, self.paths_of(key))
        return self._apply("filters", node, subject)

    def visit_Test(self, node: nodes.Test) -> Value:
        return self._apply("tests", node, self.evaluate(node.node))

    def _apply(self, kind: str, node: nodes.Filter | nodes.Test, subject: Value) -> Value:
        arguments = self.arguments(node)
        arguments.positional.insert(0, subject)
        function = self._registered(kind, node.name)
        self.pass_context(function, node, f"the {kind[:-1]} {node.name!r}", node.args)
        values = arguments.values()
        if not _is_builtin(function, kind):
            return self.use_all(values, node)
        # Jinja's own filters and tests neither call nor change their arguments
        for value in values:
            self.consume(value)
        reads = frozenset[str]().union(*(self.paths_of(value) for value in values))
        objects = frozenset[object]().union(*(value.objects for value in values)) if kind == "filters" else frozenset()
        if objects and node.name not in _ITERATORS:
            objects = _without_iterators(objects)
        if kind == "filters" and node.name in _COPIES:
            copy = self.container(node)
            self.fill(copy, None, self.element(subject), known=False)
            return Value(reads=reads, objects=frozenset((copy,)), constants=frozenset())
        constants = _default_constants(arguments) if kind == "filters" and node.name in _DEFAULT else None
        return Value(reads=reads, objects=objects, constants=constants)

    def _is_own(self, kind: str, name: str) -> bool:
        """Return whether the filter or test ``name`` is Jinja's own."""
        return _is_builtin(self._registered(kind, name), kind)

    def _registered(self, kind: str, name: str) -> object:
        key = (kind, name)
        if key not in self.environment_lookups:
            self.environment_lookups[key] = getattr(self.env, kind).get(name, ABSENT)
        found = self.environment_lookups[key]
        return None if found is ABSENT else found

    # ── functions that receive the context ───────────────────────────────────────────────────────────────────────

    def pass_context(self, function: object, node: nodes.Node, what: str, args: Iterable[nodes.Node] = ()) -> None:
        """Record what ``function`` reads of the context, if Jinja passes it."""
        if function is None or not takes_context(function):
            return
        if getattr(function, "__module__", None) == "jinja2.filters":
            self._pass_context_by_name(function, node, list(args))
            return
        names = context_names(function)
        if names is None:
            self.read_everything(f"{what} at {self.location(node)} receives the context and may read anything")
            return
        for name in sorted(names):
            value = self.lookup(name)
            self.consume(value._replace(aliases=NO_PATHS) if self.is_builtin_global(name, value) else value)

    def _pass_context_by_name(self, function: object, node: nodes.Node, args: list[nodes.Node]) -> None:
        """Record what the filter or test reads that ``map``, ``select`` and similar filters call by name."""
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
                self.pass_context(inner, node, f"the {kind[:-1]} {each!r}")

    def is_builtin_global(self, name: str, value: Value) -> bool:
        """Return whether ``name``, which is called, is a global that Jinja itself installs.

        A call of ``range(3)`` reads no context. One of ``gettext`` translates, which is recorded.
        """
        for found in value.objects:
            if isinstance(found, Global) and found.name == name:
                translates = name in _GETTEXT and hasattr(self.env, "install_gettext_callables")
                self.read_set.translates = self.read_set.translates or translates
                return DEFAULT_NAMESPACE.get(name, self) is found.value or translates
        return False


def _default_constants(arguments: Arguments) -> frozenset[Hashable] | None:
    """Return what the ``default`` filter may return, if its value and its argument are known."""
    if len(arguments.positional) < 2 or arguments.spread is not None:
        return None
    return join(*arguments.positional[:2]).constants


def _without_iterators(objects: Iterable[object]) -> frozenset[object]:
    """Return ``objects`` with the items of iterators instead of these, which are used up."""
    found: set[object] = set()
    for each in objects:
        if isinstance(each, Container) and each.used_up is not None:
            found |= each.content().objects
        else:
            found.add(each)
    return frozenset(found)


def _is_builtin(function: object, kind: str) -> bool:
    return getattr(function, "__module__", None) == f"jinja2.{kind}"
