"""The state of an interpretation, shared by all mixins of the interpreter.

The interpreter visits the composed page from its outermost template and interprets blocks where the page shows them.
It records what it evaluates in the *read set* of the text at hand. Each block has one, and so has the page outside
its blocks. Each statement at a template's top level also has one, because the blocks that look up what such a
statement binds need the statement.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from jinja2 import Environment, nodes

from ..declared_parents import DeclaredParents
from ..node_dispatcher import NodeDispatcher
from ..sources import ParsedTemplate, TemplateLibrary
from .findings import AnalysedBlock, ParentChoice, ReadSet, TemplateRun, TopLevelStatement
from .frames import BlockBody, Container, Frame, Macro, content_of
from .template_names import NamePattern
from .values import BOTTOM, NO_PATHS, UNKNOWN, Value, join, sealed
from .versions import Versioned

__all__ = ["ABSENT", "NEVER", "ActiveCall", "Arguments", "CallResult", "InterpreterState", "MergedCalls"]

ABSENT: Final = object()
"""Stands for a global, filter or test that was looked up in the environment and does not exist."""


NEVER: Final = math.inf


class Arguments:
    """The evaluated arguments of a call."""

    __slots__ = ("caller", "named", "positional", "spread")

    def __init__(
        self,
        positional: list[Value],
        named: dict[str, Value],
        spread: Value | None = None,
        caller: Macro | None = None,
    ) -> None:
        self.positional: list[Value] = positional
        self.named: dict[str, Value] = named
        self.spread: Value | None = spread
        self.caller: Macro | None = caller

    def values(self) -> list[Value]:
        """Return all of them, in order."""
        values = [*self.positional, *self.named.values()]
        if self.spread is not None:
            values.append(self.spread)
        if self.caller is not None:
            values.append(Value(objects=frozenset((self.caller,))))
        return values

    def key(self) -> tuple[object, ...]:
        """Return a key that is equal for equal arguments."""
        return (tuple(self.positional), tuple(self.named.items()), self.spread, self.caller)

    def content(self) -> tuple[object, ...]:
        """Return a key that is equal for arguments with equal content."""
        positional = tuple(map(content_of, self.positional))
        named = tuple((name, content_of(value)) for name, value in self.named.items())
        return (positional, named, self.spread and content_of(self.spread), self.caller)


class MergedCalls:
    """What stands for several calls of a macro: one frame, and arguments that may be those of any of the calls."""

    __slots__ = ("frame", "named", "positional")

    def __init__(self, frame: Frame) -> None:
        self.frame: Frame = frame
        self.positional: list[Value] = []
        self.named: dict[str, Value] = {}

    def add(self, arguments: Arguments, *, exact: bool) -> Arguments:
        """Add the arguments of a call, and return those of all calls. Unless exact, their paths no longer extend."""
        widen: Callable[[Value], Value] = (lambda value: value) if exact else sealed
        for at, value in enumerate(map(widen, arguments.positional)):
            if at < len(self.positional):
                self.positional[at] = join(self.positional[at], value)
            else:
                self.positional.append(value)
        for name, value in arguments.named.items():
            self.named[name] = join(self.named.get(name, BOTTOM), widen(value))
        positional = self.positional[: len(arguments.positional)]
        named = {name: self.named[name] for name in arguments.named}
        return Arguments(positional, named, arguments.spread and widen(arguments.spread), arguments.caller)


class ActiveCall(NamedTuple):
    """A call in progress.

    Attributes:
        node: The node of the callee.
        key: A key that is equal for equal calls.
        place: What distinguishes the containers that it makes from those of other calls.
        content: A key that is equal for calls that read the same, unless they change their arguments.
    """

    node: nodes.Node
    key: tuple[object, ...]
    place: object = None
    content: tuple[object, ...] | None = None


class CallResult(NamedTuple):
    """What a call reads.

    Attributes:
        read_set: Everything that it reads.
        reads: The paths that its text comes from.
        assumed_calls: The keys of calls around it of which it takes what was known so far.
        growth: How many times what is known of any such call had grown.
        observed: What it depends on, in which version.
    """

    read_set: ReadSet
    reads: frozenset[str]
    assumed_calls: set[tuple[object, ...]]
    growth: int
    observed: dict[Versioned, int]


@dataclass(eq=False, repr=False)
class InterpreterState(NodeDispatcher, ABC):
    """The attributes of the interpreter, and the operations that lower mixins use and higher ones implement."""

    env: Environment
    library: TemplateLibrary
    parents: DeclaredParents = field(default_factory=dict)
    """The templates that values of the context are declared to name."""

    # Where the interpretation is
    page_run: TemplateRun = field(init=False)
    """The run of the page itself."""
    run: TemplateRun = field(init=False)
    """The run whose text is interpreted."""
    frame: Frame = field(init=False)
    """The innermost frame."""
    read_set: ReadSet = field(init=False, default_factory=ReadSet)
    """Receives what is read."""
    statement: TopLevelStatement | None = field(init=False, default=None)
    """The top-level statement that is interpreted."""
    open_blocks: list[AnalysedBlock] = field(init=False, default_factory=list)
    """The blocks around the text, outermost first."""
    deciding_paths: frozenset[str] = field(init=False, default=NO_PATHS)
    """The paths that decide whether the text runs, or how often, since the innermost block began."""
    deciding_outside: list[frozenset[str]] = field(init=False, default_factory=list)
    """For each open block, the paths that decide whether the page shows it, since the block around it began."""

    # The inheritance of the template at hand
    choices: tuple[int | str, ...] = ()
    """What each ``extends`` that chooses takes, in order: an option, or the name of a template where the parent is
    unknown. The first option is the default, and an unknown parent is not followed by default."""
    parent_choices: list[ParentChoice] = field(init=False, default_factory=list)
    """The ``extends`` that choose between parents, in order."""
    next_parent: ParsedTemplate | None = field(init=False, default=None)
    """The parent to interpret next."""
    known_parent: bool = field(init=False, default=False)
    """Whether an ``extends`` has run for certain, so that blocks and text have no place here."""
    silent: bool = field(init=False, default=False)
    """Whether the output is dropped, after an ``extends``."""
    conditional: bool = field(init=False, default=False)
    """Whether the text is in an ``if``."""

    # Why blocks here cannot be rendered alone
    barriers: list[str] = field(init=False, default_factory=list)
    """The constructs around the text that prevent it, outermost first."""
    module_barrier: str | None = field(init=False, default=None)
    """The imported macro whose body is interpreted, which prevents it for the blocks in that body alone."""
    eval_options: tuple[tuple[str, object], ...] = field(init=False, default=())
    """The settings of the evaluation context by the ``autoescape`` blocks around the text."""
    eval_options_outside: tuple[tuple[str, object], ...] = field(init=False, default=())
    """The settings where the definition of the innermost block begins. Its own text is compiled without them."""
    escape_paths: frozenset[str] = field(init=False, default=NO_PATHS)
    """The paths that decide these settings."""
    autoescape_depth: int = field(init=False, default=0)
    """The number of ``autoescape`` blocks around the text."""
    autoescape_depth_outside: int = field(init=False, default=0)
    """The number of ``autoescape`` blocks around the innermost loop."""
    leaked_autoescape: str | None = field(init=False, default=None)
    """Why an ``autoescape`` setting stays in force after its block."""
    leaked_paths: frozenset[str] = field(init=False, default=NO_PATHS)
    """The paths that decide whether it does."""

    # Text that the page does not show in place
    unplaced: bool = field(init=False, default=False)
    """Whether the text is of a block that the page does not show, or not where it is interpreted."""
    inline_depth: int = field(init=False, default=0)
    """Above 0 in imports and ``self.name()``, whose blocks have no place in the page."""
    capture_depth: int = field(init=False, default=0)
    """Above 0 in text that is captured, such as a macro's."""
    import_depth: int = field(init=False, default=0)
    """Above 0 in imported templates."""
    active_inline_blocks: list[tuple[str, int]] = field(init=False, default_factory=list)
    """The inline blocks in progress: the name, and the id of the run."""
    filter_input: Value = field(init=False, default=UNKNOWN)
    """The text that the filters of a filter block or a set block receive."""

    # Calls and loops
    active_calls: list[ActiveCall] = field(init=False, default_factory=list)
    """The calls in progress, outermost first."""
    active_keys: set[tuple[object, ...]] = field(init=False, default_factory=set)
    """The keys of the macros and recursive loops among them."""
    active_key: object = field(init=False, default=None)
    """The key of the innermost call, so that the containers of different calls are distinct."""
    active_includes: list[tuple[str, Any]] = field(init=False, default_factory=list)
    """The includes and imports in progress: the name, and the values passed in."""
    active_computed: list[int] = field(init=False, default_factory=list)
    """The ids of the nodes of the includes in progress."""
    provisional_reads: dict[tuple[object, ...], ReadSet] = field(init=False, default_factory=dict)
    """What recursive calls are known to read so far."""
    written_in: tuple[int, ...] = field(init=False, default=())
    """The ids of the nodes of the macros whose calls lead to where the text is written.

    The text of a call block is not written in the macro that shows it.
    """
    repeated_calls: set[object] = field(init=False, default_factory=set)
    """The keys of calls that were made again while they were in progress."""
    growth: int = field(init=False, default=0)
    """Counts how many times that has grown."""
    assumed_calls: set[tuple[object, ...]] = field(init=False, default_factory=set)
    """The calls around the innermost one of which it takes what is known so far."""
    remembered_calls: dict[tuple[object, ...], CallResult] = field(init=False, default_factory=dict)
    """The results of earlier calls."""
    loop_exits: list[set[str]] = field(init=False, default_factory=list)
    """For each loop around the text, the paths that decide whether it is left early."""

    # Objects that the templates make
    recursive_macros: set[int] = field(init=False, default_factory=set)
    """The ids of the nodes of macros that call themselves."""
    merged_calls: dict[tuple[object, ...], MergedCalls] = field(init=False, default_factory=dict)
    """What stands for several calls of a macro, by the macro, the body of the call block, and where they are."""
    macros: dict[tuple[int, int, int], Macro] = field(init=False, default_factory=dict)
    modules: dict[str, Value] = field(init=False, default_factory=dict)
    containers: dict[tuple[object, ...], Container] = field(init=False, default_factory=dict)
    object_names: dict[int, frozenset[str]] = field(init=False, default_factory=dict)
    """The names whose attributes each macro or template reads, by the id of its node."""
    changed_paths: dict[str, Container] = field(init=False, default_factory=dict)
    """The objects of the context that templates change."""

    # Versions
    shared: Versioned = field(init=False, default_factory=Versioned)
    """Stands for what all calls depend on."""
    observed: dict[Versioned, int] = field(init=False, default_factory=dict)
    """What the innermost call depends on, in which version."""
    oldest_change: float = field(init=False, default=NEVER)
    """The number of the oldest object that the innermost call changes."""

    # Counters
    changes: int = field(init=False, default=0)
    """Counts changes that bodies in progress may have missed."""
    oldest_counted: float = field(init=False, default=NEVER)
    """The number of the oldest object of which such a change was counted in the loop's body in progress."""
    placements: int = field(init=False, default=0)
    """Counts blocks placed in the page."""
    work: int = field(init=False, default=0)
    """Counts visited nodes, calls and includes."""
    exhausted: str | None = field(init=False, default=None)
    """Why calls and includes are no longer followed."""

    # Results
    blocks: dict[str, AnalysedBlock] = field(init=False, default_factory=dict)
    """The blocks of the page by name, in document order."""
    resolved_names: dict[int, list[str]] = field(init=False, default_factory=dict)
    """The templates that each include, import and ``extends`` may take, by the id of its node."""
    computed_names: dict[NamePattern, tuple[str, ...]] = field(init=False, default_factory=dict)
    """The templates of the loader that computed names may be."""
    called_macros: dict[int, set[Macro | None]] = field(init=False, default_factory=dict)
    """The macros that each call may call, by the id of its node. None stands for anything else."""
    environment_lookups: dict[tuple[str, str], Any] = field(init=False, default_factory=dict)
    """The globals, filters and tests that were looked up in the environment."""
    used_templates: dict[str, ParsedTemplate] = field(init=False, default_factory=dict)
    missing_templates: set[str] = field(init=False, default_factory=set)

    def evaluate(self, node: nodes.Node) -> Value:
        """Return the value of an expression. Record what its parts read, but not that the value is used."""
        self.work += 1
        value: Value = self.visitors[type(node)](self, node)
        return value

    def location(self, node: nodes.Node) -> str:
        """Return template and line of ``node``."""
        return f"{self.frame.template.name}:{node.lineno}"

    # Operations that lower mixins use and higher ones implement

    @abstractmethod
    def execute(self, body: Iterable[nodes.Node]) -> None:
        """Interpret statements in order."""

    @abstractmethod
    def call(self, callee: Value, arguments: Arguments, node: nodes.Node, *, direct: bool = False) -> Value:
        """Call a value. Return what the call may return."""

    @abstractmethod
    def show_block(self, body: BlockBody) -> None:
        """Interpret the body of a block into the current read set."""

    @abstractmethod
    def loop_body(self, node: nodes.For, frame: Frame, item: Value, reads: frozenset[str]) -> frozenset[str]:
        """Interpret the body of a loop with its target bound to ``item``. Return the paths that its test reads."""
