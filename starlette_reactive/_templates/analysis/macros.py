"""Calls of macros and call blocks."""

from __future__ import annotations

from typing import Final

from jinja2 import nodes
from jinja2.nativetypes import NativeEnvironment

from .findings import Binding
from .frames import Container, Frame, Macro
from .interpreter_state import ActiveCall, Arguments, MergedCalls
from .names import Names
from .recursion import MAX_DEPTH, Recursion
from .values import BOTTOM, UNKNOWN, Value, join, join_all

__all__ = ["Macros"]

EXACT_DEPTH: Final = 1
"""When a macro calls itself more deeply than this, one call stands for all deeper ones and for those they make."""


NESTED_CALLS: Final = 1
"""How many calls of a macro may be nested in each other's call blocks before they count as a recursion."""
_IMPLICIT: Final = ("varargs", "kwargs", "caller")


class Macros(Names, Recursion):
    """Calls macros."""

    def macro(self, node: nodes.Macro | nodes.CallBlock) -> Macro:
        """Return the macro that ``node`` defines in the current frame."""
        key = (id(node), id(self.frame), id(self.run))
        found = self.macros.get(key)
        if found is None:
            found = self.macros[key] = Macro(node, self.frame, self.run)
        return found

    def call_macro(self, macro: Macro, arguments: Arguments, node: nodes.Node, *, direct: bool = False) -> Value:
        """Call a macro. Return a value for the text that it produces.

        Args:
            macro: The macro.
            arguments: The evaluated arguments.
            node: The call.
            direct: Whether the text is shown unchanged in place of the call.
        """
        for value in arguments.values():
            self.see(value)
        key = (id(macro.node), macro.frame, arguments.key())
        depth = 0
        if key not in self.active_keys:
            open_calls = self.call_depth(macro.node)
            if open_calls >= MAX_DEPTH:
                return self.read_everything(f"{macro.title} calls itself too deeply to follow at {self.location(node)}")
            # a call block in a call of the same macro is not the macro calling itself
            depth = max(self.written_in.count(id(macro.node)), open_calls - NESTED_CALLS)
        place: object = key
        if depth >= EXACT_DEPTH:
            self.recursive_macros.add(id(macro.node))
        nested = bool(self.active_calls) and id(macro.node) in self.recursive_macros
        if depth >= EXACT_DEPTH or nested or isinstance(self.active_key, MergedCalls):
            direct = False
            place = merged = self._merged_calls(macro, arguments.caller)
            arguments = merged.add(arguments, exact=depth < EXACT_DEPTH)
            key = (id(macro.node), macro.frame, arguments.key())
            frame = merged.frame
        else:
            frame = Frame(macro.frame.template, macro.frame.context, macro.frame, closure=True)
        content = (id(macro.node), macro.frame, arguments.content())
        active = ActiveCall(macro.node, key, place, content)
        return self.call_text(active, lambda: self._macro_body(macro, arguments, frame, direct=direct))

    def _merged_calls(self, macro: Macro, caller: Macro | None) -> MergedCalls:
        """Return what stands for the deeper calls of a macro, and for the calls that those make."""
        key = (id(macro.node), macro.frame, caller, self.open_blocks[-1] if self.open_blocks else self.statement)
        merged = self.merged_calls.get(key)
        if merged is None:
            frame = Frame(macro.frame.template, macro.frame.context, macro.frame, closure=True)
            frame.merged = {}
            merged = self.merged_calls[key] = MergedCalls(frame)
        return merged

    def _macro_body(self, macro: Macro, arguments: Arguments, frame: Frame, *, direct: bool) -> None:
        frame.begin()
        frame.parameters = {*_IMPLICIT, *(parameter.name for parameter in macro.node.args)}
        outer = self.frame, self.run, self.silent, self.known_parent
        self.frame, self.run, self.silent, self.known_parent = frame, macro.run, False, False
        outer_barriers = self.barriers, self.module_barrier, self.written_in
        around = macro.written_in if macro.written_in is not None else self.written_in
        self.written_in = (*around, id(macro.node))
        self._add_barrier(macro, direct=direct)
        try:
            self._bind_parameters(macro, arguments)
            self.execute(macro.node.body)
        finally:
            self.barriers, self.module_barrier, self.written_in = outer_barriers
            self.frame, self.run, self.silent, self.known_parent = outer

    def _add_barrier(self, macro: Macro, *, direct: bool) -> None:
        """Record that blocks in the macro cannot be rendered alone, unless the page shows their text unchanged."""
        barrier = f"inside {macro.title} at {self.location(macro.node)}"
        unchanged = self.env.finalize is None and not isinstance(self.env, NativeEnvironment) and not self.eval_options
        if not direct or not unchanged or self.escape_paths:
            self.barriers = [*self.barriers, barrier]
        self.module_barrier = barrier if macro.run.imported else macro.module_barrier

    # ── parameters ───────────────────────────────────────────────────────────────────────────────────────────────

    def _bind_parameters(self, macro: Macro, arguments: Arguments) -> None:
        node, how = macro.node, f"as a parameter of {macro.title}"
        parameters = [parameter.name for parameter in node.args]
        defaults = dict(zip(parameters[len(parameters) - len(node.defaults) :], node.defaults, strict=True))
        for position, name in enumerate(parameters):
            value = _argument(arguments, position, name)
            if value is None or (value is arguments.spread and name in defaults):
                default = self.evaluate(defaults[name]) if name in defaults else UNKNOWN
                value = default if value is None else join(value, default)
            self.store(name, value, how, node.lineno)
        extra = join_all([*arguments.positional[len(parameters) :], arguments.spread or BOTTOM])
        named = {name: value for name, value in arguments.named.items() if name not in parameters}
        self._bind_implicit(macro, "varargs", self._collected(node, "varargs", extra, {}))
        self._bind_implicit(macro, "kwargs", self._collected(node, "kwargs", arguments.spread or BOTTOM, named))
        self._bind_caller(macro, arguments, declared="caller" in parameters)

    def _bind_caller(self, macro: Macro, arguments: Arguments, *, declared: bool) -> None:
        caller = Value(objects=frozenset((arguments.caller,))) if arguments.caller is not None else None
        if not declared:
            given = arguments.named.get("caller", arguments.spread or UNKNOWN)
            self._bind_implicit(macro, "caller", caller if caller is not None else given)
        elif caller is not None:
            self.store("caller", caller, f"as a parameter of {macro.title}", macro.node.lineno)

    def _bind_implicit(self, macro: Macro, name: str, value: Value) -> None:
        how = f"as {name!r} of {macro.title} at {self.location(macro.node)}"
        binding = Binding(value, frozenset(), True, how)
        self.frame.names[name] = self.merged_binding(self.frame, name, binding)

    def _collected(self, node: nodes.Node, kind: str, rest: Value, named: dict[str, Value]) -> Value:
        container = self.containers.setdefault(self.container_key(node, kind), Container())
        container.rest = join(container.rest, rest)
        for name, value in named.items():
            container.items[name] = join(container.items.get(name, BOTTOM), value)
        return Value(objects=frozenset((container,)))


def _argument(arguments: Arguments, position: int, name: str) -> Value | None:
    if position < len(arguments.positional):
        return arguments.positional[position]
    if name in arguments.named:
        return arguments.named[name]
    return arguments.spread
