"""What a name means at a place in a template: abstract values, and the scopes and contexts that hold them.

A value is known by the context paths that it may *be* (``aliases``: taking an attribute of it extends the path), the
paths that went into computing it (``reads``), the template objects it may be (a macro, a module, a container made in
the template …), and, if they are known, the constants it may be. Values are immutable; scopes, contexts and cells
change as the interpretation goes on.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from jinja2 import nodes

from .sources import Parsed

if TYPE_CHECKING:
    from .machine import BlockRecord, Run, Unit

__all__ = [
    "BOTTOM",
    "UNKNOWN",
    "Binding",
    "BlockText",
    "Cell",
    "Context",
    "Global",
    "Loop",
    "Macro",
    "Module",
    "Scope",
    "SelfReference",
    "Value",
    "alias",
    "constant",
    "extend",
    "join",
    "join_all",
    "sealed",
]

NO_PATHS: Final[frozenset[str]] = frozenset()
NO_OBJECTS: Final[frozenset[object]] = frozenset()
MAX_CONSTANTS: Final = 12
"""How many constants a value is followed through before it counts as unknown."""
MAX_SEGMENTS: Final = 12
"""How deep a path is followed; below, its nearest prefix stands for it."""


class Value(NamedTuple):
    """An abstract value. ``constants`` is None if they are not known, and empty for a value that never comes to be."""

    aliases: frozenset[str] = NO_PATHS
    reads: frozenset[str] = NO_PATHS
    objects: frozenset[object] = NO_OBJECTS
    constants: frozenset[Hashable] | None = None


UNKNOWN: Final = Value()
BOTTOM: Final = Value(constants=frozenset())


def alias(path: str) -> Value:
    """Return the value that stands at ``path`` of the context."""
    return Value(frozenset((path,)))


def constant(value: object) -> Value:
    """Return a constant of the template's text."""
    if isinstance(value, str | int | None):
        return Value(constants=frozenset((value,)))
    return UNKNOWN


def join(one: Value, other: Value) -> Value:
    """Return the value that is one or the other."""
    if one is other or other is BOTTOM:
        return one
    if one is BOTTOM:
        return other
    constants = None
    if one.constants is not None and other.constants is not None:
        constants = one.constants | other.constants
        if len(constants) > MAX_CONSTANTS:
            constants = None
    return Value(one.aliases | other.aliases, one.reads | other.reads, one.objects | other.objects, constants)


def join_all(values: Iterable[Value]) -> Value:
    """Return the value that is any of ``values``; :data:`BOTTOM` if there are none."""
    result = BOTTOM
    for value in values:
        result = join(result, value)
    return result


def with_reads(value: Value, reads: frozenset[str]) -> Value:
    """Return ``value`` as computed with ``reads`` besides its own."""
    return value._replace(reads=value.reads | reads) if reads - value.reads else value


def sealed(value: Value) -> Value:
    """Return ``value`` with its paths as they are: what lies below them is not told apart any more."""
    if not value.aliases and value.constants is None:
        return value
    return Value(NO_PATHS, value.aliases | value.reads, value.objects)


def is_plain(key: object) -> bool:
    """Tell whether a constant key can be a path's segment."""
    if isinstance(key, str):
        return bool(key) and "." not in key and "*" not in key and " " not in key and key.isprintable()
    return isinstance(key, int) and not isinstance(key, bool) and key >= 0


def extend(value: Value, key: object) -> Value:
    """Return what stands at ``key`` of a value that comes from the context, as an attribute or an item."""
    if not value.aliases:
        return value if value.constants is None and not value.objects else Value(reads=value.reads)
    if not is_plain(key):
        return Value(reads=value.aliases | value.reads)
    kept: set[str] = set()
    ended: set[str] = set()
    for path in value.aliases:
        if path.count(".") + 1 < MAX_SEGMENTS:
            kept.add(f"{path}.{key}")
        else:
            ended.add(path)
    return Value(frozenset(kept), value.reads | ended)


class Binding(NamedTuple):
    """What a name is bound to.

    ``definers`` are the top-level statements that bound it, ``certain`` is false if it may be unbound here, and ``how``
    says in words what bound it, where.
    """

    value: Value
    definers: frozenset[Unit] = frozenset()
    certain: bool = True
    how: str = ""


def join_bindings(one: Binding | None, other: Binding | None) -> Binding:
    """Return what a name is bound to after either of two branches."""
    if one is None or other is None:
        known = one or other
        if known is None:
            raise ValueError("a name is joined that no branch bound")
        return known._replace(certain=False)
    if one is other:
        return one
    return Binding(
        join(one.value, other.value), one.definers | other.definers, one.certain and other.certain, one.how or other.how
    )


def join_names(branches: list[dict[str, Binding]]) -> dict[str, Binding]:
    """Return the names after one of several branches, each of which began with a copy of the same names."""
    first, *others = branches
    for other in others:
        joined = {name: join_bindings(first.get(name), binding) for name, binding in other.items()}
        for name, binding in first.items():
            if name not in other:
                joined[name] = join_bindings(binding, None)
        first = joined
    return first


class Context:
    """What Jinja's render context holds: exported names, names handed in from around, then the parent's.

    Args:
        parent: Where a name is looked up next; None: this is the outermost.
        renders: For the outermost: whether it has the page's values (else only the environment's globals).
        handed: Names handed in from the scope around, by ``include`` or a ``scoped`` block.
        depth: How many blocks were open when ``handed`` was handed in: the blocks within are bound to it.
    """

    __slots__ = ("depth", "handed", "names", "owners", "parent", "renders", "unknown")

    def __init__(
        self,
        parent: Context | None = None,
        *,
        renders: bool = True,
        handed: Mapping[str, Binding] | None = None,
        depth: int = 0,
        unknown: Value | None = None,
    ) -> None:
        self.parent = parent
        self.renders = renders
        self.handed: Mapping[str, Binding] = handed or {}
        self.depth = depth
        self.names: dict[str, Binding] = {}
        self.owners: dict[str, Parsed] = {}
        self.unknown = unknown

    def snapshot(self) -> Context:
        """Return what an import is handed: the names as they are now, whatever is exported later."""
        parent = self.parent.snapshot() if self.parent is not None else None
        taken = Context(parent, renders=self.renders, handed=self.handed, depth=self.depth, unknown=self.unknown)
        taken.names = dict(self.names)
        return taken


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
        self.template = template
        self.context = context
        self.parent = parent
        self.root = root
        self.loop = loop
        self.names: dict[str, Binding] = {}
        self.watched = root

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
        self.stateful = stateful

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
        self.node = node
        self.scope = scope
        self.run = run

    @property
    def name(self) -> str:
        """Its name in words."""
        return f"the macro {self.node.name!r}" if isinstance(self.node, nodes.Macro) else "the call block"


class Module:
    """An imported template: what it exports, and what its own text reads."""

    __slots__ = ("context", "reads")

    def __init__(self, context: Context, reads: frozenset[str]) -> None:
        self.context = context
        self.reads = reads


class Loop:
    """The ``loop`` of a ``for``; ``item`` is what its target is bound to, ``reads`` what decides how it runs."""

    __slots__ = ("item", "node", "reads", "run", "scope")

    def __init__(self, node: nodes.For, scope: Scope, run: Run, item: Value, reads: frozenset[str]) -> None:
        self.node = node
        self.scope = scope
        self.run = run
        self.item = item
        self.reads = reads


class BlockText:
    """A block that is called as a function, by ``super()`` or ``self.name()``."""

    __slots__ = ("context", "depth", "name", "run", "super_call")

    def __init__(self, name: str, run: Run, context: Context, depth: int, *, super_call: bool) -> None:
        self.name = name
        self.run = run
        self.context = context
        self.depth = depth
        self.super_call = super_call


class SelfReference:
    """The ``self`` of a template."""

    __slots__ = ("context", "run")

    def __init__(self, run: Run, context: Context) -> None:
        self.run = run
        self.context = context


class Global:
    """One of the environment's globals, or what stands at an attribute of one."""

    __slots__ = ("name", "value")

    def __init__(self, name: str, value: object) -> None:
        self.name = name
        self.value = value
