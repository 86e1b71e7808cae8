"""Calls of whatever a template can call."""

from __future__ import annotations

from typing import Final

from jinja2 import nodes
from jinja2.utils import Cycler, Joiner, Namespace

from .attributes import MUTATORS
from .frames import BlockBody, BoundMethod, Container, Global, ImportedModule, Loop, Macro, SelfReference
from .functions import Functions
from .interpreter_state import ActiveCall, Arguments
from .macros import Macros
from .recursion import MAX_DEPTH
from .values import BOTTOM, UNKNOWN, Value, join, join_all, sealed

__all__ = ["CallEvaluation"]

_ORDER: Final = (Macro, BlockBody, Loop, Global, BoundMethod, Container, ImportedModule, SelfReference)
"""The order in which the objects that a callee may be are called."""


class CallEvaluation(Functions, Macros):
    """Calls values."""

    def call(self, callee: Value, arguments: Arguments, node: nodes.Node, *, direct: bool = False) -> Value:
        """Call ``callee``. Return what the call may return.

        Args:
            callee: What is called.
            arguments: The evaluated arguments.
            node: The call.
            direct: Whether the returned text is shown unchanged in place of the call.
        """
        self._record_called(callee, node)
        given_up = self.give_up("call", node)
        if given_up is not None:
            return given_up
        result = BOTTOM
        known = bool(callee.objects) and not callee.aliases and not callee.reads
        with self.decided_by(callee.reads):
            for found in sorted(callee.objects, key=_position):
                value = self._call_object(found, arguments, node, direct=direct)
                if value is not None:
                    result = join(result, value)
                elif not isinstance(found, BoundMethod) or (len(callee.objects) == 1):
                    known = False
        if not known:
            result = join(result, self._call_unknown(callee, arguments, node))
        return result if result is not BOTTOM else UNKNOWN

    def _record_called(self, callee: Value, node: nodes.Node) -> None:
        called = self.called_macros.setdefault(id(node), set())
        for found in callee.objects:
            if isinstance(found, Macro):
                called.add(found)
            elif not isinstance(found, BoundMethod) or found.paths or found.containers:
                called.add(None)
        if callee.aliases or not called:
            called.add(None)

    def _call_object(self, found: object, arguments: Arguments, node: nodes.Node, *, direct: bool) -> Value | None:
        """Call one object that the callee may be. Return None if it is unknown what the call does."""
        match found:
            case Macro():
                return self.call_macro(found, arguments, node, direct=direct)
            case BlockBody():
                return self._call_block(found, node, direct=direct)
            case Loop():
                return self._call_loop(found, arguments, node)
            case Global():
                return self._call_global(found, arguments, node)
            case BoundMethod():
                return self._call_method(found, arguments, node)
            case Container() if found.stateful:
                return self._advance(found, node)
        return None

    def _call_unknown(self, callee: Value, arguments: Arguments, node: nodes.Node) -> Value:
        """Call something from outside the template, which reads all its arguments.

        A function that is an attribute may be a method. Then it may read anything of its object, and change it.
        """
        objects = frozenset(path.rpartition(".")[0] for path in callee.aliases if "." in path)
        self.consume(Value(reads=callee.aliases | callee.reads | objects))
        given = self.use_all(arguments.values(), node)
        for path in callee.aliases:
            changed, _, name = path.rpartition(".")
            if name in MUTATORS and changed:
                self.change_path((changed,), given, node.lineno)
        return Value(reads=given.reads | callee.aliases | callee.reads | objects, objects=given.objects)

    # ── blocks and loops ─────────────────────────────────────────────────────────────────────────────────────────

    def _call_block(self, body: BlockBody, node: nodes.Node, *, direct: bool) -> Value:
        if body.depth >= len(body.run.blocks[body.name]):
            return UNKNOWN
        key = ("block", body.name, body.depth, id(body.run))
        if any(active.key == key for active in self.active_calls):
            return UNKNOWN
        self.active_calls.append(ActiveCall(node, key))
        try:
            if not (body.super_call and direct):
                return self._block_as_value(body, node, "an expression uses")
            if self._escapes_super():
                return self._block_as_value(body, node, "is escaped")
            self.show_block(body)
            return UNKNOWN
        finally:
            self.active_calls.pop()

    def _escapes_super(self) -> bool:
        """Return whether the text of ``super()`` is escaped here.

        If the block is shown in an ``autoescape`` that is off, Jinja does not mark that text as safe. The template of
        the block was compiled without regard to this, and escapes the text.
        """
        if dict(self.eval_options).get("autoescape", True) or self.eval_options != self.eval_options_outside:
            return False
        by_name = self.env.autoescape
        return by_name(self.frame.template.name) if callable(by_name) else by_name

    def _block_as_value(self, body: BlockBody, node: nodes.Node, use: str) -> Value:
        call = "super()" if body.super_call else f"self.{body.name}()"
        self.barriers.append(f"inside {call}, whose text {use}, at {self.location(node)}")
        self.inline_depth += not body.super_call
        try:
            read_set = self.capture(lambda: self.show_block(body))
        finally:
            self.inline_depth -= not body.super_call
            self.barriers.pop()
        self.read_set.add(read_set)
        return Value(reads=frozenset(read_set.reads))

    def _call_loop(self, loop: Loop, arguments: Arguments, node: nodes.Node) -> Value:
        self.observe(loop)
        given = join_all(arguments.values())
        self.consume(given)
        item = sealed(self.element(given))
        reads = self.paths_of(given) | loop.reads
        key = (id(loop.node), loop.frame, (item, reads))

        def interpret() -> None:
            outer = self.frame, self.run
            self.frame, self.run = loop.frame, loop.run
            try:
                with self.decided_by(reads):
                    self.loop_body(loop.node, loop.frame, item, reads)
            finally:
                self.frame, self.run = outer

        if self.call_depth(loop.node) >= MAX_DEPTH:
            return self.read_everything(f"the recursive loop at {self.location(node)} is too deep to follow")
        return self.call_text(ActiveCall(loop.node, key, place=key), interpret)

    # ── globals and methods ──────────────────────────────────────────────────────────────────────────────────────

    def _call_global(self, found: Global, arguments: Arguments, node: nodes.Node) -> Value | None:
        if found.value is Namespace or found.value is dict:
            return self._new_container(arguments, node)
        if found.value is Cycler or found.value is Joiner:
            given = self.use_all(arguments.values(), node)
            container = self.container(node, stateful=True)
            container.rest = join(container.rest, given)
            return Value(objects=frozenset((container,)))
        self.pass_context(found.value, node, f"the function {found.name!r}")
        return self.use_all(arguments.values(), node)

    def _new_container(self, arguments: Arguments, node: nodes.Node) -> Value:
        container = self.container(node)
        for name, value in arguments.named.items():
            self.fill(container, name, value)
        for value in [*arguments.positional, *([arguments.spread] if arguments.spread is not None else [])]:
            self.consume(value)
            self.fill(container, None, self.element(value), known=False)
        return Value(objects=frozenset((container,)), constants=frozenset())

    def _call_method(self, method: BoundMethod, arguments: Arguments, node: nodes.Node) -> Value | None:
        values = arguments.values()
        if method.name in MUTATORS and method.paths:
            self.change_path(method.paths, join_all(values), node.lineno)
        if not method.containers:
            return None
        given = self.use_all(values, node) if values else BOTTOM
        result = given
        for container in method.containers:
            if container.stateful:
                result = join(result, self._advance(container, node))
                continue
            self.touch(container)
            if method.name in MUTATORS:
                self.put(container, None, join(given, join_all(values)), node.lineno, known=False)
            content = container.content()
            nested = [part.content() for part in content.objects if isinstance(part, Container)]
            result = join_all([result, content, *nested])
        return result._replace(constants=None)

    def _advance(self, container: Container, node: nodes.Node) -> Value:
        """Call something that a call changes, such as a cycler."""
        self.touch(container)
        self.put(container, None, BOTTOM, node.lineno, known=False)
        return container.content()._replace(constants=None)


def _position(found: object) -> int:
    return _ORDER.index(type(found)) if type(found) in _ORDER else len(_ORDER)
