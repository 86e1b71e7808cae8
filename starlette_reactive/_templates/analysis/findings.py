"""What an interpretation finds: the reads of each piece of text, the statements it depends on, and where blocks are.

These objects change during an interpretation and hold its results afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from jinja2 import nodes

from ..._core.paths import ALL, overlap
from ..sources import ParsedTemplate
from .values import NO_PATHS, Value, join
from .versions import Versioned

__all__ = [
    "AnalysedBlock",
    "Binding",
    "ContextLayer",
    "ParentChoice",
    "ReadSet",
    "TemplateRun",
    "TopLevelStatement",
    "join_bindings",
    "join_names",
    "required_statements",
]


class ReadSet:
    """What a piece of text reads.

    Attributes:
        reads: Paths whose values are used.
        seen: Paths that are evaluated but not used immediately (``{% set a = doc.title %}``). They count only where
            no read covers them.
        needs: The top-level statements that bind what the text looks up.
        notes: The reasons why the text counts as reading everything, in order.
        origins: The definitions of blocks that the text consists of, and those that change what it reads, by the ids of
            their nodes.
        translates: Whether it calls ``gettext`` or another function that translates.
    """

    __slots__ = ("needs", "notes", "origins", "reads", "seen", "translates")

    def __init__(self) -> None:
        self.reads: set[str] = set()
        self.seen: set[str] = set()
        self.needs: set[TopLevelStatement] = set()
        self.notes: dict[str, None] = {}
        self.origins: set[int] = set()
        self.translates: bool = False

    def add(self, other: ReadSet, *, needs: bool = True) -> None:
        """Add the contents of ``other``."""
        self.reads |= other.reads
        self.seen |= other.seen
        self.notes.update(other.notes)
        self.origins |= other.origins
        self.translates = self.translates or other.translates
        if needs:
            self.needs |= other.needs

    def grow(self, other: ReadSet) -> bool:
        """Add the contents of ``other``. Return whether that adds anything."""
        before = self._sizes()
        self.add(other)
        return self._sizes() != before

    def _sizes(self) -> tuple[int, ...]:
        # each time a template is included, its statements are new ones, of the same nodes
        needs = {id(statement.node) for statement in self.needs}
        return (len(self.reads), len(self.seen), len(needs), len(self.notes), self.translates)

    def paths(self) -> frozenset[str]:
        """Return all paths that count."""
        if ALL in self.reads:
            return frozenset((ALL,))
        uncovered = [path for path in self.seen if not any(overlap(path, read) for read in self.reads)]
        return frozenset((*self.reads, *uncovered))


class TopLevelStatement:
    """A statement at the top level of a template, or in an ``if`` there.

    Attributes:
        outer: The ``if`` around it.
        needs: The statements that it needs to run first.
        effective: Whether it binds or changes something.
        changed_by: The blocks that change a container which it reads, and where.
    """

    __slots__ = ("changed_by", "effective", "needs", "node", "outer", "run")

    def __init__(self, node: nodes.Node, run: TemplateRun, outer: TopLevelStatement | None) -> None:
        self.node: nodes.Node = node
        self.run: TemplateRun = run
        self.outer: TopLevelStatement | None = outer
        self.needs: set[TopLevelStatement] = set()
        self.effective: bool = False
        self.changed_by: dict[AnalysedBlock, str] = {}

    def mark_effective(self) -> None:
        """Record that it binds or changes something."""
        if not self.effective:
            self.effective = True
            self.run.effective.append(self)


def required_statements(statements: Iterable[TopLevelStatement]) -> set[TopLevelStatement]:
    """Return ``statements`` and everything that they need in turn."""
    required: set[TopLevelStatement] = set()
    pending = list(statements)
    while pending:
        statement = pending.pop()
        if statement in required:
            continue
        required.add(statement)
        pending.extend(statement.needs)
        if statement.outer is not None:
            pending.append(statement.outer)
    return required


class Binding(NamedTuple):
    """What a name is bound to.

    Attributes:
        value: The value.
        definers: The top-level statements that bind the name.
        certain: Whether the name is bound on every path that leads here.
        how: What binds it and where, for messages.
    """

    value: Value
    definers: frozenset[TopLevelStatement] = frozenset()
    certain: bool = True
    how: str = ""


def join_bindings(one: Binding | None, other: Binding | None) -> Binding:
    """Return what a name is bound to after either of two branches."""
    if one is None or other is None:
        known = one or other
        if known is None:
            raise ValueError("neither branch binds the name")
        return known._replace(certain=False)
    if one is other:
        return one
    return Binding(
        join(one.value, other.value), one.definers | other.definers, one.certain and other.certain, one.how or other.how
    )


def join_names(branches: list[dict[str, Binding]]) -> dict[str, Binding]:
    """Return the names after any of several branches. Each branch starts with a copy of the same names."""
    first, *others = branches
    for other in others:
        joined = {name: join_bindings(first.get(name), binding) for name, binding in other.items()}
        for name, binding in first.items():
            if name not in other:
                joined[name] = join_bindings(binding, None)
        first = joined
    return first


class ContextLayer(Versioned):
    """What Jinja's render context holds: exported names, then names passed in, then those of the parent layer.

    Args:
        parent: The layer where a name is looked up next. None for the outermost layer.
        renders: Whether the outermost layer has the page's values, or only the environment's globals.
        handed: Names passed in from the surrounding frame, by an ``include`` or a ``scoped`` block.
        depth: The number of open blocks when ``handed`` was passed in. Blocks opened later depend on it.
        unknown: The value that any name may have, if an extension passes in a mapping.

    Attributes:
        names: The names that the template exports.
        owners: The template that exports each name.
    """

    __slots__ = ("depth", "handed", "names", "owners", "parent", "renders", "unknown")

    def __init__(
        self,
        parent: ContextLayer | None = None,
        *,
        renders: bool = True,
        handed: Mapping[str, Binding] | None = None,
        depth: int = 0,
        unknown: Value | None = None,
    ) -> None:
        super().__init__()
        self.parent: ContextLayer | None = parent
        self.renders: bool = renders
        self.handed: Mapping[str, Binding] = handed or {}
        self.depth: int = depth
        self.names: dict[str, Binding] = {}
        self.owners: dict[str, ParsedTemplate] = {}
        self.unknown: Value | None = unknown

    def snapshot(self) -> ContextLayer:
        """Return a copy of the layers for an import, which does not see names that are exported later."""
        parent = self.parent.snapshot() if self.parent is not None else None
        copy = ContextLayer(parent, renders=self.renders, handed=self.handed, depth=self.depth, unknown=self.unknown)
        copy.names = dict(self.names)
        return copy


class TemplateRun:
    """One execution of a template and its parents: the page's, or that of an included or imported template.

    Attributes:
        around: The run that includes or imports this one.
        bare: Whether it is included without context.
        levels: The template, its parent and so on, up to the outermost parent that is known.
        extends: The ``extends`` of each level that leads to the next.
        blocks: The definitions of each block by name, the child's first.
        statements: The top-level statements, by the ids of their nodes.
        effective: The top-level statements that bind or change something.
        open_ended: Why a parent is unknown. None if all are known.
        followed: Whether a render finds the unknown parent, and follows it.
        imported: Whether it is imported, so that its blocks have no place in the page.
        includer: The top-level statement that includes it. None for an include in a block.
    """

    __slots__ = (
        "around",
        "bare",
        "blocks",
        "context",
        "effective",
        "extends",
        "followed",
        "imported",
        "includer",
        "levels",
        "open_ended",
        "statements",
    )

    def __init__(self, context: ContextLayer, around: TemplateRun | None = None, *, bare: bool = False) -> None:
        self.context: ContextLayer = context
        self.around: TemplateRun | None = around
        self.bare: bool = bare
        self.levels: list[ParsedTemplate] = []
        self.extends: list[nodes.Extends] = []
        self.blocks: dict[str, list[tuple[ParsedTemplate, nodes.Block]]] = {}
        self.statements: dict[int, TopLevelStatement] = {}
        self.effective: list[TopLevelStatement] = []
        self.open_ended: str | None = None
        self.followed: bool = False
        self.imported: bool = around is not None and around.imported
        self.includer: TopLevelStatement | None = None

    def enter(self, parsed: ParsedTemplate) -> None:
        """Add a level: the template itself, or the next parent."""
        self.levels.append(parsed)
        for name, block in parsed.blocks.items():
            self.blocks.setdefault(name, []).append((parsed, block))


class ParentChoice(NamedTuple):
    """An ``extends`` that chooses between parents. The option None stands for no parent.

    Attributes:
        options: The parents that it may choose.
        paths: The paths that decide.
        unknown: Whether it may choose any other template, which only a render shows.
    """

    node: nodes.Extends
    statement: TopLevelStatement | None
    run: TemplateRun
    options: tuple[ParsedTemplate | None, ...]
    paths: frozenset[str] = NO_PATHS
    unknown: bool = False


class AnalysedBlock:
    """What the interpretation finds about a block of the page.

    Attributes:
        parent: The block around it where the page shows it first.
        parents: The blocks around it, wherever the page shows it. None stands for the top level.
        template: The template that holds the definition that counts.
        read_set: What its text reads.
        barrier: Why it cannot be rendered alone because of its surroundings.
        bound: Why it cannot be rendered alone because of a name that is bound around it.
        conflict: Why it cannot be rendered alone because of a change in another block.
        eval_options: The settings of the evaluation context, such as ``autoescape``, where the page shows it.
        deciding_paths: The paths that decide where the page shows it.
        visits: How many times the page shows it.
        calls: The keys of the calls of macros that show it.
    """

    __slots__ = (
        "barrier",
        "bound",
        "calls",
        "conflict",
        "deciding_paths",
        "definition",
        "eval_options",
        "name",
        "parent",
        "parents",
        "read_set",
        "run",
        "template",
        "visits",
    )

    def __init__(
        self, name: str, parent: AnalysedBlock | None, run: TemplateRun, parsed: ParsedTemplate, node: nodes.Block
    ) -> None:
        self.name: str = name
        self.parent: AnalysedBlock | None = parent
        self.parents: set[AnalysedBlock | None] = {parent}
        self.run: TemplateRun = run
        self.template: ParsedTemplate = parsed
        self.definition: nodes.Block = node
        self.read_set: ReadSet = ReadSet()
        self.barrier: str | None = None
        self.bound: str | None = None
        self.conflict: str | None = None
        self.eval_options: tuple[tuple[str, object], ...] = ()
        self.deciding_paths: frozenset[str] = NO_PATHS
        self.visits: int = 0
        self.calls: frozenset[object] = frozenset()

    def add_conflict(self, writer: AnalysedBlock, where: str) -> None:
        """Record that it reads what another block changes first."""
        if self.conflict is None:
            self.conflict = f"it reads what the block {writer.name!r} changes {where}"

    def is_within(self, other: AnalysedBlock) -> bool:
        """Return whether it is ``other``, or is nested in it wherever the page shows it."""
        seen: set[AnalysedBlock] = {other}
        pending = [self]
        while pending:
            block = pending.pop()
            if block not in seen:
                seen.add(block)
                for parent in block.parents:
                    if parent is None:
                        return False
                    pending.append(parent)
        return True

    @property
    def alone(self) -> str | None:
        """Why it cannot be rendered alone. None if it can."""
        return self.barrier or self.bound or self.conflict
