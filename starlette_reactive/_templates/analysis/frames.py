"""Frames, which bind names at a place in a template, and the objects that a template makes."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, NamedTuple

from jinja2 import nodes

from ..sources import ParsedTemplate
from .findings import AnalysedBlock, Binding, ContextLayer, TemplateRun, TopLevelStatement
from .values import BOTTOM, UNKNOWN, Value, join, join_all
from .versions import Versioned

__all__ = [
    "BlockBody",
    "BoundMethod",
    "Container",
    "Frame",
    "Global",
    "ImportedModule",
    "Loop",
    "Macro",
    "SelfReference",
    "content_of",
]


MAX_CONTENT_DEPTH: Final = 8
"""Containers that are nested more deeply than this are compared by identity."""


class Frame(Versioned):
    """The names bound at a template's top level, or in a block, a loop, a ``with`` or a macro.

    Attributes:
        root: Whether it is the frame of a template's top level.
        loop: The loop whose body it belongs to.
        closure: Whether it is the frame of a macro's body, which looks up names where the macro is defined.
        merged: For a frame that stands for all deeper calls of a recursive macro, or is inside one, the frames
            inside it, by the ids of what they belong to.
        parameters: The names that every call of a macro binds first.
        watched: Whether a call has looked names up in it from a frame inside it.
    """

    __slots__ = ("closure", "context", "loop", "merged", "names", "parameters", "parent", "root", "template", "watched")

    def __init__(
        self,
        template: ParsedTemplate,
        context: ContextLayer,
        parent: Frame | None = None,
        *,
        root: bool = False,
        loop: nodes.For | None = None,
        closure: bool = False,
    ) -> None:
        super().__init__()
        self.closure: bool = closure
        self.merged: dict[int, Frame] | None = None
        self.parameters: set[str] = set()
        self.template: ParsedTemplate = template
        self.context: ContextLayer = context
        self.parent: Frame | None = parent
        self.root: bool = root
        self.loop: nodes.For | None = loop
        self.names: dict[str, Binding] = {}
        self.watched: bool = False

    def inner(self, owner: object, loop: nodes.For | None = None) -> Frame:
        """Return a frame inside this one, for ``owner``. It is a new one unless this one is merged."""
        if self.merged is None:
            return Frame(self.template, self.context, self, loop=loop)
        found = self.merged.get(id(owner))
        if found is None:
            found = self.merged[id(owner)] = Frame(self.template, self.context, self, loop=loop)
            found.merged = {}
        found.begin()
        return found

    def begin(self) -> None:
        """Record that another call begins. What earlier calls have bound may be bound or not."""
        self.names = {name: binding._replace(certain=False) for name, binding in self.names.items()}


class Container(Versioned):
    """A container that the template makes: a list, a dict, a namespace or an iterator.

    One container stands for all that the same place in the template makes.

    Attributes:
        items: The values at constant keys.
        rest: What else it may hold.
        writers: The top-level statements that change it.
        blocks: The blocks that change it, and where.
        is_list: Whether it is a list or a tuple that is written in the template, whose items are ``items``.
        stateful: Whether a call of it or of its methods changes it (``cycler``, ``joiner``).
        changed: Whether anything changes it after it is made.
        used_up: Where it is made, if it is an iterator, which yields its items only once. None for other containers.
        depth: The number of open blocks where it is made. Only what decides whether later ones are shown decides
            whether it changes.
    """

    __slots__ = ("blocks", "changed", "depth", "is_list", "items", "rest", "stateful", "used_up", "writers")

    def __init__(self, *, stateful: bool = False, depth: int = 0) -> None:
        super().__init__()
        self.items: dict[Hashable, Value] = {}
        self.rest: Value = BOTTOM
        self.writers: set[TopLevelStatement] = set()
        self.blocks: dict[AnalysedBlock, str] = {}
        self.is_list: bool = False
        self.stateful: bool = stateful
        self.changed: bool = stateful
        self.used_up: str | None = None
        self.depth: int = depth

    def content(self) -> Value:
        """Return what any of its items may be."""
        return join_all([self.rest, *self.items.values()])

    def at(self, key: Hashable) -> Value:
        """Return the value at a constant key."""
        found = self.items.get(key)
        if found is None:
            # an unknown key may also be an attribute of the container itself, such as a method
            return join(self.rest, UNKNOWN)
        return join(found, self.rest)


def content_of(value: Value, depth: int = 0) -> Hashable:
    """Return a key that is equal for values with the same content, whichever containers hold it."""
    if not value.objects or depth > MAX_CONTENT_DEPTH:
        return value
    objects = frozenset(_object_content(found, depth) for found in value.objects)
    return (value.aliases, value.reads, value.constants, objects)


def _object_content(found: object, depth: int) -> Hashable:
    if not isinstance(found, Container) or found.changed:
        return found
    items = tuple((key, content_of(item, depth + 1)) for key, item in found.items.items())
    return (items, content_of(found.rest, depth + 1))


class Macro:
    """A macro or the body of a call block, with the frame and the run in which it is defined.

    Attributes:
        module_barrier: The imported macro around a call block, if there is one.
        written_in: The ids of the nodes of the macros whose calls are in progress where a call block is written.
    """

    __slots__ = ("frame", "module_barrier", "node", "run", "written_in")

    def __init__(self, node: nodes.Macro | nodes.CallBlock, frame: Frame, run: TemplateRun) -> None:
        self.module_barrier: str | None = None
        self.written_in: tuple[int, ...] | None = None
        self.node: nodes.Macro | nodes.CallBlock = node
        self.frame: Frame = frame
        self.run: TemplateRun = run

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return f"the macro {self.node.name!r}" if isinstance(self.node, nodes.Macro) else "the call block"


class ImportedModule:
    """An imported template: the layer with its exports, and what its text reads."""

    __slots__ = ("context", "reads")

    def __init__(self, context: ContextLayer, reads: frozenset[str]) -> None:
        self.context: ContextLayer = context
        self.reads: frozenset[str] = reads


class Loop(Versioned):
    """The ``loop`` variable of a ``for``: ``item`` is the value of its target, ``reads`` decides how it iterates."""

    __slots__ = ("frame", "item", "node", "reads", "run")

    def __init__(self, node: nodes.For, frame: Frame, run: TemplateRun, item: Value, reads: frozenset[str]) -> None:
        super().__init__()
        self.node: nodes.For = node
        self.frame: Frame = frame
        self.run: TemplateRun = run
        self.item: Value = item
        self.reads: frozenset[str] = reads


class BlockBody:
    """One definition of a block: as the page shows it, or as ``super()`` or ``self.name()`` calls it.

    Attributes:
        depth: The position of the definition, where 0 is the outermost child's.
        super_call: Whether ``super()`` calls it.
    """

    __slots__ = ("context", "depth", "name", "run", "super_call")

    def __init__(
        self, name: str, run: TemplateRun, context: ContextLayer, depth: int = 0, *, super_call: bool = False
    ) -> None:
        self.name: str = name
        self.run: TemplateRun = run
        self.context: ContextLayer = context
        self.depth: int = depth
        self.super_call: bool = super_call


class SelfReference:
    """The ``self`` of a template."""

    __slots__ = ("context", "run")

    def __init__(self, run: TemplateRun, context: ContextLayer) -> None:
        self.run: TemplateRun = run
        self.context: ContextLayer = context


class Global:
    """One of the environment's globals, or an attribute of one."""

    __slots__ = ("name", "value")

    def __init__(self, name: str, value: object) -> None:
        self.name: str = name
        self.value: object = value

    def __eq__(self, other: object) -> bool:
        """Return whether it is the same global."""
        return isinstance(other, Global) and other.name == self.name and other.value is self.value

    def __hash__(self) -> int:
        """Return a hash of its name."""
        return hash(self.name)


class BoundMethod(NamedTuple):
    """What ``object.name()`` calls, with the paths and containers that ``object`` may be."""

    name: object
    paths: frozenset[str]
    containers: frozenset[Container]
