"""What an interpretation finds out: what each piece of text reads, what it builds on, and where blocks stand.

These records change while the interpretation goes on, and say what came out when it is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from jinja2 import nodes

from ..._core.paths import ALL, overlap
from ..sources import Parsed
from .values import Value, join

__all__ = ["Binding", "BlockRecord", "Choice", "Context", "Run", "Sink", "Unit", "join_bindings", "join_names"]


class Sink:
    """What a piece of text reads, and which top-level statements it builds on.

    ``seen`` holds paths that are evaluated without their value being used at once (``{% set a = doc.title %}``): they
    count only where nothing read covers them.
    """

    __slots__ = ("needs", "notes", "reads", "seen")

    def __init__(self) -> None:
        self.reads: set[str] = set()
        self.seen: set[str] = set()
        self.needs: set[Unit] = set()
        self.notes: dict[str, None] = {}

    def take(self, other: Sink, *, needs: bool = True) -> None:
        """Add what ``other`` noted."""
        self.reads |= other.reads
        self.seen |= other.seen
        self.notes.update(other.notes)
        if needs:
            self.needs |= other.needs

    def paths(self) -> frozenset[str]:
        """Return all paths that count."""
        if ALL in self.reads:
            return frozenset((ALL,))
        loose = [path for path in self.seen if not any(overlap(path, read) for read in self.reads)]
        return frozenset((*self.reads, *loose))


class Unit:
    """A statement at the top level of a template, or in an ``if`` there; what it needs to run."""

    __slots__ = ("effective", "level", "needs", "node", "order", "outer", "run", "tainted")

    def __init__(self, node: nodes.Node, run: Run, outer: Unit | None, order: int) -> None:
        self.node: nodes.Node = node
        self.run: Run = run
        self.level: int = len(run.levels) - 1
        self.outer: Unit | None = outer
        self.order: int = order
        self.needs: set[Unit] = set()
        self.effective: bool = False
        self.tainted: dict[BlockRecord, str] = {}

    def mark_effective(self) -> None:
        """Note that it leaves something behind."""
        if not self.effective:
            self.effective = True
            self.run.effective.append(self)


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
        self.parent: Context | None = parent
        self.renders: bool = renders
        self.handed: Mapping[str, Binding] = handed or {}
        self.depth: int = depth
        self.names: dict[str, Binding] = {}
        self.owners: dict[str, Parsed] = {}
        self.unknown: Value | None = unknown

    def snapshot(self) -> Context:
        """Return what an import is handed: the names as they are now, whatever is exported later."""
        parent = self.parent.snapshot() if self.parent is not None else None
        taken = Context(parent, renders=self.renders, handed=self.handed, depth=self.depth, unknown=self.unknown)
        taken.names = dict(self.names)
        return taken


class Run:
    """One execution of a template and its parents: the page's, or an included template's.

    Attributes:
        levels: The template, its parent, … up to the outermost known.
        blocks: Each block's definitions, the one that counts first.
        around: The run that includes this one.
        bare: It is included without context.
        includer: The top-level statement that includes it, if it is not included from within a block.
        open_ended: A parent is not known, for the reason given.
    """

    __slots__ = ("around", "bare", "blocks", "context", "effective", "includer", "levels", "open_ended", "units")

    def __init__(self, context: Context, around: Run | None = None, *, bare: bool = False) -> None:
        self.context: Context = context
        self.around: Run | None = around
        self.bare: bool = bare
        self.levels: list[Parsed] = []
        self.blocks: dict[str, list[tuple[Parsed, nodes.Block]]] = {}
        self.effective: list[Unit] = []
        self.units: dict[int, Unit] = {}
        self.open_ended: str | None = None
        self.includer: Unit | None = None

    def enter(self, parsed: Parsed) -> None:
        """Go on with ``parsed``: the template itself, or the next parent."""
        self.levels.append(parsed)
        for name, block in parsed.blocks.items():
            self.blocks.setdefault(name, []).append((parsed, block))


class Choice(NamedTuple):
    """An ``extends`` that chooses between parents; None among them: there may be none."""

    node: nodes.Extends
    unit: Unit | None
    run: Run
    options: tuple[Parsed | None, ...]


class BlockRecord:
    """What is found out about a block of the page."""

    __slots__ = (
        "barrier",
        "bound",
        "conflict",
        "definition",
        "modifiers",
        "name",
        "parent",
        "run",
        "sink",
        "template",
        "visits",
    )

    def __init__(self, name: str, parent: BlockRecord | None, run: Run, parsed: Parsed, node: nodes.Block) -> None:
        self.name: str = name
        self.parent: BlockRecord | None = parent
        self.run: Run = run
        self.template: Parsed = parsed
        self.definition: nodes.Block = node
        self.sink: Sink = Sink()
        self.barrier: str | None = None
        self.bound: str | None = None
        self.conflict: str | None = None
        self.modifiers: tuple[tuple[str, object], ...] = ()
        self.visits: int = 0

    def note_conflict(self, writer: BlockRecord, how: str) -> None:
        """Note that it shows what another block changed before."""
        if self.conflict is None:
            self.conflict = f"it reads what the block {writer.name!r} changes {how}"

    def lies_in(self, other: BlockRecord) -> bool:
        """Tell whether it is ``other`` or lies within it."""
        record: BlockRecord | None = self
        while record is not None and record is not other:
            record = record.parent
        return record is other

    @property
    def alone(self) -> str | None:
        """Why it can't be rendered alone; None: it can."""
        return self.barrier or self.bound or self.conflict
