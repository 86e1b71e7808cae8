"""The part of a page's top level that a block builds on.

What a block looks up may have been bound by a ``set``, an ``import`` or a ``macro`` at the top level of its template,
of a child or of a parent. The interpretation noted those statements; here they are cut out, in order, into trees that
can be compiled and run for what they bind. Text and blocks among them are left out, unless they change something.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from jinja2 import nodes
from jinja2.idtracking import VAR_LOAD_UNDEFINED, Symbols

from .analysis.facts import BlockRecord, Choice, Run, Unit
from .sources import Parsed

__all__ = ["PARENT", "Level", "Stage", "closure", "stage_of_choice", "stages_of"]

PARENT: Final = "_parent_that_is_chosen"
"""The name that a slice leaves the choice of a parent in."""
N = TypeVar("N", bound=nodes.Node)


@dataclass(frozen=True, slots=True)
class Level:
    """One template of a chain of parents, and the statements of it that are wanted; empty: none is."""

    parsed: Parsed
    body: tuple[nodes.Node, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """One run: a template with its parents, the page's own first, then those included one in the other."""

    levels: tuple[Level, ...]
    bare: bool


def stages_of(record: BlockRecord) -> tuple[Stage, ...]:
    """Return what has to run before the block's own function can."""
    wanted = closure(record.sink.needs)
    runs: list[Run] = []
    run: Run | None = record.run
    while run is not None:
        runs.insert(0, run)
        run = None if run.bare else run.around
    # an include that leads to the block is not run as a whole: what of it is wanted is a stage of its own
    wanted -= {run.includer for run in runs if run.includer is not None}
    return tuple(_stage(run, wanted) for run in runs)


def stage_of_choice(choice: Choice) -> Stage:
    """Return what has to run to know which parent an ``extends`` takes: it is left in :data:`PARENT`."""
    wanted = closure([choice.unit] if choice.unit is not None else [])
    stage = _stage(choice.run, wanted, choice.node)
    last = next(at for at, level in enumerate(stage.levels) if choice.node in level.parsed.tree.find_all(nodes.Extends))
    return Stage(stage.levels[: last + 1], stage.bare)


def closure(units: Iterable[Unit]) -> set[Unit]:
    """Return ``units`` and all that they need in turn."""
    found: set[Unit] = set()
    todo = list(units)
    while todo:
        unit = todo.pop()
        if unit in found:
            continue
        found.add(unit)
        todo.extend(unit.needs)
        if unit.outer is not None:
            todo.append(unit.outer)
    return found


def _stage(run: Run, wanted: set[Unit], choice: nodes.Extends | None = None) -> Stage:
    here = {unit for unit in wanted if unit.run is run}
    kept = {id(unit.node) for unit in here}
    cutter = _Cutter(kept, choice)
    levels = [
        Level(parsed, _with_names(parsed, cutter.body(parsed.tree.body)) if kept else ()) for parsed in run.levels
    ]
    return Stage(tuple(levels), run.bare)


def _with_names(parsed: Parsed, body: list[nodes.Node]) -> tuple[nodes.Node, ...]:
    """Return ``body`` such that its names mean what they mean in the whole template.

    Jinja decides for a whole top level whether a name is looked up when it begins or is unbound until it is set, and
    what stands within loops, macros and set blocks builds on that. A statement that is left out would take its share of
    the decision with it, so one that does nothing stands in for it.
    """
    mentioned = {each.name for node in body for each in node.find_all(nodes.Name)}
    mentioned |= {each.name for node in body for each in node.find_all(nodes.NSRef)}
    mentioned |= {node.name for node in body if isinstance(node, nodes.Macro)}
    if not mentioned:
        return tuple(body)
    symbols = Symbols(level=0)
    symbols.analyze_node(parsed.tree)
    stand_ins: list[nodes.Node] = []
    for name in sorted(mentioned & symbols.refs.keys() - {"self"}):
        load, _ = symbols.loads.get(symbols.refs[name], (None, None))
        context = "store" if load == VAR_LOAD_UNDEFINED else "load"
        never = nodes.CondExpr(nodes.Const(False), nodes.Name(name, context), nodes.Const(None))
        stand_ins.append(nodes.ExprStmt(never, lineno=1))
    return (*stand_ins, *body)


class _Cutter:
    """Copies the wanted statements of a template's top level."""

    def __init__(self, kept: set[int], choice: nodes.Extends | None) -> None:
        self.kept = kept
        self.choice = choice

    def body(self, body: list[nodes.Node]) -> list[nodes.Node]:
        """Return copies of the wanted statements of ``body``."""
        wanted = [node for node in body if id(node) in self.kept]
        return [self._statement(node) for node in wanted if node is self.choice or not isinstance(node, nodes.Extends)]

    def _statement(self, node: nodes.Node) -> nodes.Node:
        if isinstance(node, nodes.If):
            return self._branch(node)
        if isinstance(node, nodes.Extends):
            target = nodes.Name(PARENT, "store", lineno=node.lineno)
            return nodes.Assign(target, copy(node.template), lineno=node.lineno)
        return copy(node)

    def _branch(self, node: nodes.If) -> nodes.If:
        elif_ = [self._branch(each) for each in node.elif_]
        return _like(node, copy(node.test), self.body(node.body), elif_, self.body(node.else_))


def copy(node: N) -> N:
    """Return a copy of a tree: compiling folds constants in place, and the tree at hand is shared."""
    return _like(node, *(_copy_field(getattr(node, field)) for field in node.fields))


def _copy_field(value: Any) -> Any:
    if isinstance(value, nodes.Node):
        return copy(value)
    if isinstance(value, list):
        return [_copy_field(each) for each in value]
    return value


def _like(node: N, *values: Any) -> N:
    made = object.__new__(type(node))
    for field, value in zip(node.fields, values, strict=True):
        setattr(made, field, value)
    for attribute in node.attributes:
        setattr(made, attribute, getattr(node, attribute, None))
    return made
