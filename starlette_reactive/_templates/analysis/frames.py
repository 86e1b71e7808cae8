"""What a name means at a place in a template: scopes, and the objects that a template makes."""

from __future__ import annotations

from collections.abc import Hashable

from jinja2 import nodes

from ..sources import Parsed
from .facts import Binding, BlockRecord, Context, Run, Unit
from .values import BOTTOM, UNKNOWN, Value, join, join_all

__all__ = ["BlockText", "Cell", "Global", "Loop", "Macro", "Module", "Scope", "SelfReference"]


class Scope:
    """The names of one frame: a template's top level, a block, a loop, a ``with``, a macro."""

    __slots__ = ("context", "loop", "names", "parent", "root", "template", "watched")

    def __init__(
        self,
        template: Parsed,
        context: Context,
        parent: Scope | None = None,
        *,
        root: bool = False,
        loop: nodes.For | None = None,
    ) -> None:
        self.template: Parsed = template
        self.context: Context = context
        self.parent: Scope | None = parent
        self.root: bool = root
        self.loop: nodes.For | None = loop
        self.names: dict[str, Binding] = {}
        self.watched: bool = root

    def watch(self) -> None:
        """Note that something made here looks names up later: a change of a name is a change for it."""
        scope: Scope | None = self
        while scope is not None and not scope.watched:
            scope.watched = True
            scope = scope.parent

    def inner(self, loop: nodes.For | None = None) -> Scope:
        """Return a new scope within this one."""
        return Scope(self.template, self.context, self, loop=loop)


class Cell:
    """A container that the template makes: a list, a dict, a namespace. All that one place makes is one cell.

    Attributes:
        items: What is known to stand at constant keys.
        rest: What else may be in it.
        writers: The top-level statements that changed it.
        blocks: The blocks that changed it; None stands for the page outside of blocks.
        stateful: Whether calling it or its methods changes it (``cycler``, ``joiner``).
    """

    __slots__ = ("blocks", "items", "rest", "stateful", "writers")

    def __init__(self, *, stateful: bool = False) -> None:
        self.items: dict[Hashable, Value] = {}
        self.rest: Value = BOTTOM
        self.writers: set[Unit] = set()
        self.blocks: dict[BlockRecord, str] = {}
        self.stateful: bool = stateful

    def content(self) -> Value:
        """Return what any of its items may be."""
        return join_all([self.rest, *self.items.values()])

    def at(self, key: Hashable) -> Value:
        """Return what stands at a constant key."""
        found = self.items.get(key)
        if found is None:
            # an unknown key may also be an attribute of the container itself, such as a method
            return join(self.rest, UNKNOWN)
        return join(found, self.rest)


class Macro:
    """A macro, or the body of a call block, with the scope and the run it stands in."""

    __slots__ = ("node", "run", "scope")

    def __init__(self, node: nodes.Macro | nodes.CallBlock, scope: Scope, run: Run) -> None:
        self.node: nodes.Macro | nodes.CallBlock = node
        self.scope: Scope = scope
        self.run: Run = run

    @property
    def name(self) -> str:
        """Its name in words."""
        return f"the macro {self.node.name!r}" if isinstance(self.node, nodes.Macro) else "the call block"


class Module:
    """An imported template: what it exports, and what its own text reads."""

    __slots__ = ("context", "reads")

    def __init__(self, context: Context, reads: frozenset[str]) -> None:
        self.context: Context = context
        self.reads: frozenset[str] = reads


class Loop:
    """The ``loop`` of a ``for``; ``item`` is what its target is bound to, ``reads`` what decides how it runs."""

    __slots__ = ("item", "node", "reads", "run", "scope")

    def __init__(self, node: nodes.For, scope: Scope, run: Run, item: Value, reads: frozenset[str]) -> None:
        self.node: nodes.For = node
        self.scope: Scope = scope
        self.run: Run = run
        self.item: Value = item
        self.reads: frozenset[str] = reads


class BlockText:
    """A block that is called as a function, by ``super()`` or ``self.name()``."""

    __slots__ = ("context", "depth", "name", "run", "super_call")

    def __init__(self, name: str, run: Run, context: Context, depth: int, *, super_call: bool) -> None:
        self.name: str = name
        self.run: Run = run
        self.context: Context = context
        self.depth: int = depth
        self.super_call: bool = super_call


class SelfReference:
    """The ``self`` of a template."""

    __slots__ = ("context", "run")

    def __init__(self, run: Run, context: Context) -> None:
        self.run: Run = run
        self.context: Context = context


class Global:
    """One of the environment's globals, or what stands at an attribute of one."""

    __slots__ = ("name", "value")

    def __init__(self, name: str, value: object) -> None:
        self.name: str = name
        self.value: object = value
