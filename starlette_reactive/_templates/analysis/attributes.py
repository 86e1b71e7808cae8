"""Attributes and items of abstract values."""

from __future__ import annotations

from inspect import getattr_static
from typing import Final, cast

from jinja2 import nodes
from jinja2.utils import Cycler

from .frames import BlockBody, BoundMethod, Container, Global, ImportedModule, Loop, SelfReference
from .tracking import Tracking
from .values import BOTTOM, NO_PATHS, UNKNOWN, Value, extend, is_object, is_plain, join, join_all, with_reads

__all__ = ["MUTATORS", "Attributes"]

MUTATORS: Final = frozenset(
    {
        "append", "add", "extend", "insert", "update", "setdefault", "pop", "popitem", "remove", "discard", "clear",
        "sort", "reverse", "appendleft", "popleft", "extendleft", "rotate", "difference_update", "intersection_update",
        "symmetric_difference_update", "__setitem__", "__delitem__", "__setattr__",
    }
)  # fmt: skip
"""Methods that change their object."""
_CONTAINER_METHODS: Final = frozenset(
    name for kind in (list, dict, set, Cycler) for name in dir(kind) if not name.startswith("_")
)


class Attributes(Tracking):
    """Evaluates attributes and items."""

    def visit_Getattr(self, node: nodes.Getattr) -> Value:
        return self.attribute(self.evaluate(node.node), node.attr)

    def visit_Getitem(self, node: nodes.Getitem) -> Value:
        base = self.evaluate(node.node)
        key = self.evaluate(node.arg)
        self.consume(key)
        reads = self.paths_of(key)
        if key.constants:
            return with_reads(join_all(self.attribute(base, each) for each in key.constants), reads)
        # the item is unknown, so the whole container counts as read
        self.consume(base)
        found = self.element(base)
        return found._replace(reads=found.reads | reads)

    def attribute(self, base: Value, key: object) -> Value:
        """Return the value at a constant attribute or key of ``base``."""
        if base.aliases and not is_plain(key):
            self.read(base.aliases)
        if not base.objects:
            return self.from_context(extend(base, key))
        result = extend(base, key) if base.aliases or base.reads else BOTTOM
        for found in base.objects:
            result = join(result, self._attribute_of(found, key))
        return result if result is not BOTTOM else UNKNOWN

    def _attribute_of(self, found: object, key: object) -> Value:
        match found:
            case ImportedModule():
                return self._exported(found, key)
            case Container():
                self.touch(found)
                value = found.at(cast("str", key))
                if key in _CONTAINER_METHODS and key not in found.items:
                    method = BoundMethod(key, NO_PATHS, frozenset((found,)))
                    value = value._replace(objects=value.objects | {method})
                return value
            case SelfReference():
                return self._block_by_name(found, key)
            case BlockBody() if key == "super":
                return self._parent_body(found)
            case Loop():
                self.observe(found)
                reads = Value(reads=found.reads)
                return join(reads, found.item) if key in ("previtem", "nextitem") else reads
            case Global():
                return Value(objects=frozenset((Global(f"{found.name}.{key}", _static_attribute(found.value, key)),)))
        return UNKNOWN

    def _exported(self, module: ImportedModule, key: object) -> Value:
        binding = module.context.names.get(key) if isinstance(key, str) else None
        if binding is None:
            return UNKNOWN
        self.read_set.needs |= binding.definers
        return binding.value

    def _block_by_name(self, reference: SelfReference, name: object) -> Value:
        if not isinstance(name, str) or name not in reference.run.blocks:
            return UNKNOWN
        return Value(objects=frozenset((BlockBody(name, reference.run, reference.context),)))

    def _parent_body(self, body: BlockBody) -> Value:
        parent = BlockBody(body.name, body.run, body.context, body.depth + 1, super_call=body.super_call)
        return Value(objects=frozenset((parent,)))

    def element(self, base: Value) -> Value:
        """Return what any item of ``base`` may be. The caller records that ``base`` itself is read.

        The constants among the items are known if ``base`` is nothing but a list that is written in the template.
        """
        result = Value(reads=base.aliases | base.reads, constants=frozenset())
        for found in base.objects:
            if isinstance(found, Container):
                self.touch(found)
                result = join(result, found.content())
            elif isinstance(found, Loop):
                self.observe(found)
                result = join(result, found.item)
            elif isinstance(found, SelfReference):
                result = join(result, join_all(self._block_by_name(found, name) for name in found.run.blocks))
            elif not isinstance(found, Global):
                result = result._replace(objects=result.objects | {found})
        lists = [
            found for found in base.objects if isinstance(found, Container) and found.is_list and not found.changed
        ]
        known = is_object(base) and len(lists) == len(base.objects)
        return result if known else result._replace(constants=None)

    def method(self, base: Value, name: object) -> Value:
        """Return what ``base.name()`` calls. The call reads the whole object, not a path named after the method."""
        if name in MUTATORS and base.aliases:
            self.read_set.reads |= base.aliases
        callee = self.attribute(base._replace(aliases=NO_PATHS), name) if base.objects else UNKNOWN
        containers = frozenset(found for found in base.objects if isinstance(found, Container))
        for found in containers:
            self.observe(found)
        is_item = bool(containers) and all(name in found.items for found in containers)
        if name in _CONTAINER_METHODS and not is_item:
            callee = Value(objects=callee.objects)
        called = Value(callee.aliases, base.aliases | base.reads | callee.reads, callee.objects)
        if is_item and name not in _CONTAINER_METHODS:
            return called
        # what was found in an object of the context, such as an item of a list, may be a part of that object
        paths = base.aliases | base.reads if name in MUTATORS and not is_object(base) else base.aliases
        return called._replace(objects=called.objects | {BoundMethod(name, paths, containers)})


def _static_attribute(value: object, key: object) -> object:
    """Return an attribute of a global without running its code, or None."""
    if isinstance(value, dict):
        return value.get(key)
    try:
        return getattr_static(value, key) if isinstance(key, str) else None
    except AttributeError:
        return None
