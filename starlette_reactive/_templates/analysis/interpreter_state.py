"""The state of an interpretation, shared by all mixins of the interpreter.

The interpreter visits the composed page from its outermost template and interprets blocks where the page shows them.
It records what it evaluates in the *read set* of the text at hand. Each block has one, and so has the page outside of
its blocks. Each statement at a template's top level also has one, because the blocks that look up what such a
statement binds need the statement.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from jinja2 import Environment, nodes

from ..node_dispatcher import NodeDispatcher
from ..sources import ParsedTemplate, TemplateLibrary
from .findings import AnalysedBlock, ParentChoice, ReadSet, TemplateRun, TopLevelStatement
from .frames import BlockBody, Container, Frame, Macro
from .values import NO_PATHS, UNKNOWN, Value

__all__ = ["ABSENT", "ActiveCall", "Arguments", "InterpreterState"]

ABSENT: Final = object()
"""Stands for a global, filter or test that was looked up in the environment and does not exist."""


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


class ActiveCall(NamedTuple):
    """A call in progress: the node of the callee, and a key that is equal for equal calls."""

    node: nodes.Node
    key: tuple[object, ...]
    arguments: Arguments | None = None


class InterpreterState(NodeDispatcher, ABC):
    """The attributes of the interpreter, and the operations that lower mixins use and higher ones implement."""

    def __init__(self, env: Environment, library: TemplateLibrary, choices: tuple[int, ...] = ()) -> None:
        self.env: Environment = env
        self.library: TemplateLibrary = library

        # Where the interpretation is
        self.page_run: TemplateRun
        """The run of the page itself."""
        self.run: TemplateRun
        """The run whose text is interpreted."""
        self.frame: Frame
        """The innermost frame."""
        self.read_set: ReadSet = ReadSet()
        """Receives what is read."""
        self.statement: TopLevelStatement | None = None
        """The top-level statement that is interpreted."""
        self.open_blocks: list[AnalysedBlock] = []
        """The blocks around the text, outermost first."""
        self.deciding_paths: frozenset[str] = NO_PATHS
        """The paths that decide whether the text runs, or how often."""

        # The inheritance of the template at hand
        self.choices: tuple[int, ...] = choices
        """The option to take at each ``extends`` that chooses, in order. The first option is the default."""
        self.parent_choices: list[ParentChoice] = []
        """The ``extends`` that choose between parents, in order."""
        self.next_parent: ParsedTemplate | None = None
        """The parent to interpret next."""
        self.known_parent: bool = False
        """Whether an ``extends`` has run for certain, so that blocks and text have no place here."""
        self.silent: bool = False
        """Whether the output is dropped, after an ``extends``."""
        self.conditional: bool = False
        """Whether the text is in an ``if``."""

        # Why blocks here cannot be rendered alone
        self.barriers: list[str] = []
        """The constructs around the text that prevent it, outermost first."""
        self.eval_options: tuple[tuple[str, object], ...] = ()
        """The settings of the evaluation context by the ``autoescape`` blocks around the text."""
        self.escape_paths: frozenset[str] = NO_PATHS
        """The paths that decide these settings."""
        self.autoescape_depth: int = 0
        """The number of ``autoescape`` blocks around the text."""
        self.autoescape_depth_outside: int = 0
        """The number of ``autoescape`` blocks around the innermost loop."""
        self.leaked_autoescape: str | None = None
        """Why an ``autoescape`` setting stays in force after its block."""
        self.leaked_paths: frozenset[str] = NO_PATHS
        """The paths that decide whether it does."""

        # Text that the page does not show in place
        self.inline_depth: int = 0
        """Above 0 in imports and ``self.name()``, whose blocks have no place in the page."""
        self.capture_depth: int = 0
        """Above 0 in text that is captured, such as a macro's."""
        self.import_depth: int = 0
        """Above 0 in imported templates."""
        self.active_inline_blocks: list[tuple[str, int]] = []
        """The inline blocks in progress: the name, and the id of the run."""
        self.filter_input: Value = UNKNOWN
        """The text that the filters of a filter block or a set block receive."""

        # Calls and loops
        self.active_calls: list[ActiveCall] = []
        """The calls in progress, outermost first."""
        self.active_key: object = None
        """The key of the innermost call, so that the containers of different calls are distinct."""
        self.active_includes: list[tuple[str, Any]] = []
        """The includes and imports in progress: the name, and the values passed in."""
        self.provisional_reads: dict[tuple[object, ...], frozenset[str]] = {}
        """What recursive calls in progress are known to read so far."""
        self.remembered_calls: dict[tuple[object, ...], tuple[ReadSet, Value]] = {}
        """The results of earlier calls."""
        self.loop_exits: list[set[str]] = []
        """For each loop around the text, the paths that decide whether it is left early."""

        # Objects that the templates make
        self.macros: dict[tuple[int, int, int], Macro] = {}
        self.modules: dict[str, Value] = {}
        self.containers: dict[tuple[int, object], Container] = {}
        self.changed_paths: dict[str, Container] = {}
        """The objects of the context that templates change."""

        # Counters
        self.version: int = 0
        """Counts changes of names and containers that invalidate remembered calls."""
        self.changes: int = 0
        """Counts changes of containers."""
        self.placements: int = 0
        """Counts blocks placed in the page."""
        self.work: int = 0
        """Counts visited nodes, calls and includes."""
        self.exhausted: str | None = None
        """Why calls and includes are no longer followed."""

        # Results
        self.blocks: dict[str, AnalysedBlock] = {}
        """The blocks of the page by name, in document order."""
        self.resolved_names: dict[int, list[str]] = {}
        """The templates that each include, import and ``extends`` may take, by the id of its node."""
        self.called_macros: dict[int, set[Macro | None]] = {}
        """The macros that each call may call, by the id of its node. None stands for anything else."""
        self.environment_lookups: dict[tuple[str, str], Any] = {}
        """The globals, filters and tests that were looked up in the environment."""
        self.used_templates: dict[str, ParsedTemplate] = {}
        self.missing_templates: set[str] = set()

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
    def loop_body(self, node: nodes.For, frame: Frame, item: Value, reads: frozenset[str]) -> None:
        """Interpret the body of a loop with its target bound to ``item``."""
