"""Looks names up, and binds them."""

from __future__ import annotations

from typing import Final

from jinja2 import nodes

from ..sources import ParsedTemplate
from .findings import Binding, ContextLayer, join_bindings
from .frames import Frame, Global
from .interpreter_state import ABSENT
from .tracking import Tracking
from .values import BOTTOM, Value, alias, join, with_reads

__all__ = ["INTERNAL", "Names"]

INTERNAL: Final = "·"
"""Prefix of the names that Jinja's parser makes up, which no template can write."""
_IMPLICIT: Final = frozenset({"self", "super", "caller", "varargs", "kwargs", "loop"})
"""Names that Jinja binds only where a template mentions them."""


class Names(Tracking):
    """Resolves names through frames and context layers, as Jinja does."""

    def lookup(self, name: str) -> Value:
        """Return what ``name`` is bound to here."""
        frame: Frame | None = self.frame
        result = BOTTOM
        called_later = False
        while frame is not None:
            if called_later:
                frame.watched = True
                self.observe(frame)
            binding = frame.names.get(name)
            if binding is not None:
                if binding.definers:
                    self.read_set.needs |= binding.definers
                result = join(result, binding.value)
                if binding.certain and (not called_later or frame.merged is None or name in frame.parameters):
                    return result
            if frame.parent is None:
                return self.resolve(frame.context, name, result, frame.template if frame.root else None)
            if frame.closure:
                called_later = True
            frame = frame.parent
        return result

    def resolve(
        self, context: ContextLayer | None, name: str, result: Value = BOTTOM, template: ParsedTemplate | None = None
    ) -> Value:
        """Return what ``name`` is bound to in ``context``, joined to ``result``.

        A parent may export the name after ``template`` has looked it up. Then both meanings count.
        """
        while context is not None:
            self.observe(context)
            binding = context.names.get(name)
            if binding is not None:
                self.read_set.needs |= binding.definers
                result = join(result, binding.value)
                if binding.certain and not self._exported_later(context, name, template):
                    return result
            binding = context.handed.get(name)
            if binding is not None:
                self.read_set.needs |= binding.definers
                self.bind_open_blocks(context, name, binding)
                result = join(result, binding.value)
                if binding.certain:
                    return result
            if context.unknown is not None:
                result = join(result, context.unknown)
            if context.parent is None:
                return join(result, self._outermost(context, name))
            context = context.parent
        return result

    def _exported_later(self, context: ContextLayer, name: str, template: ParsedTemplate | None) -> bool:
        owner = context.owners.get(name)
        if template is None or owner is None or owner is template or context is not self.run.context:
            return False
        levels = self.run.levels
        return template in levels and levels.index(owner) > levels.index(template)

    def _outermost(self, context: ContextLayer, name: str) -> Value:
        found = self.environment_lookups.get(("globals", name), self)
        if found is self:
            found = self.environment_lookups["globals", name] = self.env.globals.get(name, ABSENT)
        if found is ABSENT:
            return self.from_context(alias(name)) if context.renders else Value()
        value = Value(objects=frozenset((Global(name, found),)))
        return value._replace(aliases=frozenset((name,))) if context.renders else value

    def store(self, name: str, value: Value, how: str, lineno: int) -> None:
        """Bind ``name`` in the current frame. A top-level statement also exports it."""
        frame = self.frame
        definers = frozenset((self.statement,)) if self.statement is not None else frozenset()
        value = with_reads(value, self.deciding_paths) if self.deciding_paths else value
        binding = Binding(value, definers, True, f"{how} at {frame.template.name}:{lineno}")
        before = frame.names.get(name)
        frame.names[name] = binding = self.merged_binding(frame, name, binding)
        if frame.root:
            frame.context.names[name] = binding
            self.bump(frame.context)
            frame.context.owners[name] = frame.template
            if self.statement is not None:
                self.statement.mark_effective()
        if frame.merged is None and before != binding:
            self.bump(frame)

    def merged_binding(self, frame: Frame, name: str, binding: Binding) -> Binding:
        """Return a binding for a frame. In a frame of several calls, it keeps what the other calls have bound."""
        if frame.merged is None:
            return binding
        before = frame.names.get(name)
        joined = binding if before is None else join_bindings(before, binding)._replace(certain=True)
        if frame.watched and (before is None or joined.value != before.value):
            self.count_change(frame)
        return joined

    def handed_names(self) -> dict[str, Binding]:
        """Return the names that the current frames pass to an include or a scoped block."""
        handed: dict[str, Binding] = {}
        frame: Frame | None = self.frame
        while frame is not None and not frame.root:
            for name, binding in frame.names.items():
                if name in handed or name.startswith(INTERNAL):
                    continue
                if name in _IMPLICIT and not _mentions(frame, name):
                    continue
                handed[name] = binding
            frame = frame.parent
        return handed

    def visit_Name(self, node: nodes.Name) -> Value:
        return self.lookup(node.name)

    def visit_InternalName(self, node: nodes.InternalName) -> Value:
        return self.lookup(f"{INTERNAL}{node.name}")


def _mentions(frame: Frame, name: str) -> bool:
    if name == "loop" and frame.loop is not None:
        return any(each.name == "loop" for each in frame.loop.find_all(nodes.Name)) or any(
            block.scoped for block in frame.loop.find_all(nodes.Block)
        )
    return name in ("caller", "varargs", "kwargs")
