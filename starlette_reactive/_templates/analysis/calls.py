"""Calls: macros, call blocks, ``super()`` and ``self.name()``, recursive loops, globals, and everything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from jinja2 import nodes
from jinja2.utils import Cycler, Joiner, Namespace

from ..._core.paths import ALL
from .expressions import MUTATORS, Expressions, Method
from .facts import Binding, Run, Sink
from .frames import BlockText, Cell, Global, Loop, Macro, Module, Scope, SelfReference
from .state import Active, Arguments
from .values import BOTTOM, NO_PATHS, UNKNOWN, Value, join, join_all, sealed

__all__ = ["Calls"]

FOLLOWED: Final = 2
"""How deep a macro's calls of itself are followed before its arguments' paths are no longer extended."""
NESTED: Final = 12
"""How deep a macro's calls of itself go before the call counts as reading everything."""
ROUNDS: Final = 5
"""How often a recursive body is interpreted again before it counts as reading everything."""


class Calls(Expressions):
    """The part of the interpreter that calls things."""

    activation: object
    known_parent: bool
    run: Run
    scope: Scope
    silent: bool
    sink: Sink

    def call(self, callee: Value, arguments: Arguments, node: nodes.Node, *, direct: bool = False) -> Value:
        """Call ``callee``; return what it may give back. ``direct``: its text is shown as it is, where it stands."""
        self._note_called(callee, node)
        given_up = self.give_up("call", node)
        if given_up is not None:
            return given_up
        result = BOTTOM
        known = bool(callee.objects) and not callee.aliases and not callee.reads
        for found in sorted(callee.objects, key=_rank):
            value = self._call_object(found, arguments, node, direct=direct)
            if value is not None:
                result = join(result, value)
            elif not isinstance(found, Method) or (len(callee.objects) == 1):
                known = False
        if not known:
            result = join(result, self._call_unknown(callee, arguments, node))
        return result if result is not BOTTOM else UNKNOWN

    def _note_called(self, callee: Value, node: nodes.Node) -> None:
        """Note which macros are called here; None among them stands for anything else."""
        called = self.called.setdefault(id(node), set())
        for found in callee.objects:
            if isinstance(found, Macro):
                called.add(found)
            elif not isinstance(found, Method) or found.paths or found.containers:
                called.add(None)
        if callee.aliases or not called:
            called.add(None)

    def _call_object(self, found: object, arguments: Arguments, node: nodes.Node, *, direct: bool) -> Value | None:
        match found:
            case Macro():
                return self._call_macro(found, arguments, node)
            case BlockText():
                return self._call_block(found, node, direct=direct)
            case Loop():
                return self._call_loop(found, arguments, node)
            case Global():
                return self._call_global(found, arguments, node)
            case Method():
                return self._call_method(found, arguments, node)
            case Cell() if found.stateful:
                return self._advance(found, node)
        return None

    def _call_unknown(self, callee: Value, arguments: Arguments, node: nodes.Node) -> Value:
        """Call something that the template did not make: all it is handed is read."""
        self.consume(callee._replace(objects=frozenset()))
        given = self.use_all(arguments.values(), node)
        return Value(reads=given.reads | callee.aliases | callee.reads, objects=given.objects)

    # ── macros ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _call_macro(self, macro: Macro, arguments: Arguments, node: nodes.Node) -> Value:
        for value in arguments.values():
            self.see(value)
        key = (macro.node, macro.scope, arguments.key())
        depth = 0 if any(active.key == key for active in self.active) else self._depth(macro.node)
        if depth >= NESTED:
            return self.read_everything(f"{macro.name} calls itself too deep to follow at {self.place(node)}")
        if depth >= FOLLOWED:
            arguments = self._widened(macro, arguments)
            key = (macro.node, macro.scope, arguments.key())
        return self._recursive(Active(macro.node, key, arguments), lambda: self._macro_text(macro, arguments))

    def _depth(self, node: nodes.Node) -> int:
        return sum(1 for active in self.active if active.node is node)

    def _widened(self, macro: Macro, arguments: Arguments) -> Arguments:
        """Return arguments whose paths are no longer extended, joined to those of the calls around."""
        positional = [sealed(value) for value in arguments.positional]
        named = {name: sealed(value) for name, value in arguments.named.items()}
        for active in self.active:
            if active.node is macro.node and active.arguments is not None:
                earlier = active.arguments
                positional = [
                    join(value, sealed(earlier.positional[at])) if at < len(earlier.positional) else value
                    for at, value in enumerate(positional)
                ]
                named = {
                    name: join(value, sealed(earlier.named[name])) if name in earlier.named else value
                    for name, value in named.items()
                }
        return Arguments(positional, named, arguments.spread and sealed(arguments.spread), arguments.caller)

    def _macro_text(self, macro: Macro, arguments: Arguments) -> None:
        scope = macro.scope.inner()
        outer = self.scope, self.run, self.silent, self.known_parent
        self.scope, self.run, self.silent, self.known_parent = scope, macro.run, False, False
        self.barriers.append(f"inside {macro.name} at {scope.template.name}:{macro.node.lineno}")
        try:
            self._bind_parameters(macro, arguments)
            self.execute(macro.node.body)
        finally:
            self.barriers.pop()
            self.scope, self.run, self.silent, self.known_parent = outer

    def _bind_parameters(self, macro: Macro, arguments: Arguments) -> None:
        node, how = macro.node, f"as a parameter of {macro.name}"
        parameters = [parameter.name for parameter in node.args]
        defaults = dict(zip(parameters[len(parameters) - len(node.defaults) :], node.defaults, strict=True))
        for position, name in enumerate(parameters):
            value = self._argument(arguments, position, name)
            if value is None or (value is arguments.spread and name in defaults):
                default = self.evaluate(defaults[name]) if name in defaults else UNKNOWN
                value = default if value is None else join(value, default)
            self.store(name, value, how, node.lineno)
        extra = join_all([*arguments.positional[len(parameters) :], arguments.spread or BOTTOM])
        named = {name: value for name, value in arguments.named.items() if name not in parameters}
        self._bind_special(macro, "varargs", self._collected(macro.node, "varargs", extra, {}))
        self._bind_special(macro, "kwargs", self._collected(macro.node, "kwargs", arguments.spread or BOTTOM, named))
        caller = Value(objects=frozenset((arguments.caller,))) if arguments.caller is not None else None
        if caller is not None and "caller" not in parameters:
            self._bind_special(macro, "caller", caller)
        elif "caller" not in parameters:
            self._bind_special(macro, "caller", arguments.named.get("caller", arguments.spread or UNKNOWN))
        elif caller is not None:
            self.store("caller", caller, how, node.lineno)

    def _argument(self, arguments: Arguments, position: int, name: str) -> Value | None:
        if position < len(arguments.positional):
            return arguments.positional[position]
        if name in arguments.named:
            return arguments.named[name]
        return arguments.spread

    def _collected(self, node: nodes.Node, kind: str, rest: Value, named: dict[str, Value]) -> Value:
        cell = self.cells.setdefault((id(node), (kind, self.activation)), Cell())
        cell.rest = join(cell.rest, rest)
        for name, value in named.items():
            cell.items[name] = join(cell.items.get(name, BOTTOM), value)
        return Value(objects=frozenset((cell,)))

    def _bind_special(self, macro: Macro, name: str, value: Value) -> None:
        how = f"as {name!r} of {macro.name} at {self.scope.template.name}:{macro.node.lineno}"
        self.scope.names[name] = Binding(value, frozenset(), True, how)

    # ── text that may be its own caller ──────────────────────────────────────────────────────────────────────────

    def _recursive(self, active: Active, run: Callable[[], None]) -> Value:
        """Interpret text that may call itself; return a value for the text that it makes."""
        if any(each.key == active.key for each in self.active):
            return Value(reads=self.provisional.setdefault(active.key, NO_PATHS))
        place = (active.key, self.version, self.open[-1] if self.open else None, self.unit, self.inline)
        known = self.remembered.get(place)
        if known is None:
            version, placements = self.version, self.placements
            text = self._rounds(active, run)
            known = text, Value(reads=frozenset(text.reads))
            if version == self.version and placements == self.placements and not self.provisional:
                self.remembered[place] = known
        self.sink.take(known[0])
        return known[1]

    def _rounds(self, active: Active, run: Callable[[], None]) -> Sink:
        """Interpret a body until what its own calls read is all found."""
        outer, self.activation = self.activation, active.key
        self.active.append(active)
        try:
            for _ in range(ROUNDS):
                text = self.capture(run)
                before = self.provisional.get(active.key)
                if before is None or before >= text.reads:
                    return text
                self.provisional[active.key] = before | text.reads
            text.reads.add(ALL)
            text.notes["a body that calls itself takes too many rounds to follow"] = None
            return text
        finally:
            self.activation = outer
            self.active.pop()
            self.provisional.pop(active.key, None)

    def capture(self, run: Callable[[], None]) -> Sink:
        """Interpret what ``run`` does into a sink of its own."""
        outer, self.sink = self.sink, Sink()
        self.captures += 1
        try:
            run()
            return self.sink
        finally:
            self.captures -= 1
            self.sink = outer

    # ── blocks ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _call_block(self, text: BlockText, node: nodes.Node, *, direct: bool) -> Value:
        if text.depth >= len(text.run.blocks[text.name]):
            return UNKNOWN
        key = ("block", text.name, text.depth, id(text.run))
        if any(active.key == key for active in self.active):
            return UNKNOWN
        self.active.append(Active(node, key))
        try:
            if text.super_call and direct:
                self.show_block(text)
                return UNKNOWN
            return self._block_as_value(text, node)
        finally:
            self.active.pop()

    def _block_as_value(self, text: BlockText, node: nodes.Node) -> Value:
        how = "super()" if text.super_call else f"self.{text.name}()"
        self.barriers.append(f"inside {how}, whose text an expression takes, at {self.place(node)}")
        self.inline += not text.super_call
        try:
            sink = self.capture(lambda: self.show_block(text))
        finally:
            self.inline -= not text.super_call
            self.barriers.pop()
        self.sink.take(sink)
        return Value(reads=frozenset(sink.reads))

    # ── loops, globals, methods ──────────────────────────────────────────────────────────────────────────────────

    def _call_loop(self, loop: Loop, arguments: Arguments, node: nodes.Node) -> Value:
        given = join_all(arguments.values())
        self.consume(given)
        item = sealed(self.element(given))
        reads = self.paths_of(given) | loop.reads
        key = (loop.node, loop.scope, (item, reads))

        def run() -> None:
            outer = self.scope, self.run
            self.scope, self.run = loop.scope, loop.run
            try:
                self.loop_body(loop.node, loop.scope, item, reads)
            finally:
                self.scope, self.run = outer

        if self._depth(loop.node) >= NESTED:
            return self.read_everything(f"the recursive loop at {self.place(node)} is too deep to follow")
        return self._recursive(Active(loop.node, key), run)

    def _call_global(self, found: Global, arguments: Arguments, node: nodes.Node) -> Value | None:
        if found.value is Namespace or found.value is dict:
            return self._new_container(arguments, node)
        if found.value is Cycler or found.value is Joiner:
            given = self.use_all(arguments.values(), node)
            cell = self.cell(node, stateful=True)
            cell.rest = join(cell.rest, given)
            return Value(objects=frozenset((cell,)))
        self.hand_context(found.value, node, f"the function {found.name!r}")
        return self.use_all(arguments.values(), node)

    def _new_container(self, arguments: Arguments, node: nodes.Node) -> Value:
        cell = self.cell(node)
        for name, value in arguments.named.items():
            self._fill(cell, name, value)
        for value in [*arguments.positional, *([arguments.spread] if arguments.spread is not None else [])]:
            self.consume(value)
            self._fill(cell, None, self.element(value), known=False)
        return Value(objects=frozenset((cell,)))

    def _call_method(self, method: Method, arguments: Arguments, node: nodes.Node) -> Value | None:
        values = arguments.values()
        if method.name in MUTATORS and method.paths:
            self.change_path(method.paths, join_all(values), node.lineno)
        if not method.containers:
            return None
        given = self.use_all(values, node) if values else BOTTOM
        result = given
        for cell in method.containers:
            if cell.stateful:
                result = join(result, self._advance(cell, node))
                continue
            self.touch(cell)
            if method.name in MUTATORS:
                self.put(cell, None, join(given, join_all(values)), node.lineno, known=False)
            content = cell.content()
            nested = [part.content() for part in content.objects if isinstance(part, Cell)]
            result = join_all([result, content, *nested])
        return result._replace(constants=None)

    def _advance(self, cell: Cell, node: nodes.Node) -> Value:
        """Call something that changes by being called, such as a cycler."""
        self.touch(cell)
        self.change(cell, node.lineno)
        return cell.content()._replace(constants=None)


_RANKS: Final = (Macro, BlockText, Loop, Global, Method, Cell, Module, SelfReference)


def _rank(found: object) -> int:
    return _RANKS.index(type(found)) if type(found) in _RANKS else len(_RANKS)
