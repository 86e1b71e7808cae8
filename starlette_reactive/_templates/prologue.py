"""The top-level statements that a block depends on, as syntax trees of their own.

A name that a block looks up may be bound by a ``set``, an ``import`` or a ``macro`` at the top level of its template,
of a child or of a parent. The interpretation records which statements those are. Here they are copied, in order, into
trees that can be compiled and run for what they bind. Text and blocks among them are left out unless they change
something.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from jinja2 import nodes
from jinja2.idtracking import VAR_LOAD_UNDEFINED, Symbols

from .analysis.findings import AnalysedBlock, ParentChoice, TemplateRun, TopLevelStatement, required_statements
from .sources import ParsedTemplate

__all__ = ["PARENT", "Prologue", "PrologueLevel", "prologue_of_choice", "prologues_of"]

PARENT: Final = "_chosen_parent"
"""The name to which a prologue binds the chosen parent."""
N = TypeVar("N", bound=nodes.Node)


@dataclass(frozen=True, slots=True)
class PrologueLevel:
    """The statements of one template that have to run, which may be none."""

    parsed: ParsedTemplate
    body: tuple[nodes.Node, ...]


@dataclass(frozen=True, slots=True)
class Prologue:
    """What has to run of a template and its parents.

    Args:
        levels: The template, its parent and so on.
        bare: Whether the template is included without context.
    """

    levels: tuple[PrologueLevel, ...]
    bare: bool


def prologues_of(block: AnalysedBlock) -> tuple[Prologue, ...]:
    """Return what has to run before the block's function: the page's prologue, then one for each nested include."""
    required = required_statements(block.read_set.needs)
    runs: list[TemplateRun] = []
    run: TemplateRun | None = block.run
    while run is not None:
        runs.insert(0, run)
        run = None if run.bare else run.around
    # an include that leads to the block does not run as a whole: its statements have a prologue of their own
    required -= {run.includer for run in runs if run.includer is not None}
    return tuple(_prologue(run, required) for run in runs)


def prologue_of_choice(choice: ParentChoice) -> Prologue:
    """Return what has to run to find the parent that an ``extends`` chooses. It binds the parent to :data:`PARENT`."""
    required = required_statements([choice.statement] if choice.statement is not None else [])
    prologue = _prologue(choice.run, required, choice.node)
    last = next(at for at, level in enumerate(prologue.levels) if _has(level.parsed, choice.node))
    return Prologue(prologue.levels[: last + 1], prologue.bare)


def _has(parsed: ParsedTemplate, extends: nodes.Extends) -> bool:
    # by identity, because equal nodes of two templates are equal
    return any(each is extends for each in parsed.tree.find_all(nodes.Extends))


def _prologue(run: TemplateRun, required: set[TopLevelStatement], choice: nodes.Extends | None = None) -> Prologue:
    wanted = {id(statement.node) for statement in required if statement.run is run}
    levels: list[PrologueLevel] = []
    for at, parsed in enumerate(run.levels):
        copier = _StatementCopier(wanted, choice, run.extends[at] if at < len(run.extends) else None)
        body = _with_declarations(parsed, copier.copies(parsed.tree.body)) if wanted else ()
        levels.append(PrologueLevel(parsed, body))
    return Prologue(tuple(levels), run.bare)


def _with_declarations(parsed: ParsedTemplate, body: list[nodes.Node]) -> tuple[nodes.Node, ...]:
    """Return ``body`` preceded by statements that keep the meaning of its names.

    Jinja decides for a whole top level whether a name is looked up at its start or is unbound until a statement sets
    it. The code of loops, macros and set blocks depends on that decision. A statement that is left out no longer takes
    part in it, so a statement that does nothing replaces it.
    """
    mentioned = {each.name for node in body for each in node.find_all(nodes.Name)}
    mentioned |= {each.name for node in body for each in node.find_all(nodes.NSRef)}
    mentioned |= {node.name for node in body if isinstance(node, nodes.Macro)}
    if not mentioned:
        return tuple(body)
    symbols = Symbols(level=0)
    symbols.analyze_node(parsed.tree)
    declarations: list[nodes.Node] = []
    for name in sorted(mentioned & symbols.refs.keys() - {"self"}):
        load, _ = symbols.loads.get(symbols.refs[name], (None, None))
        context = "store" if load == VAR_LOAD_UNDEFINED else "load"
        never = nodes.CondExpr(nodes.Const(False), nodes.Name(name, context), nodes.Const(None))
        declarations.append(nodes.ExprStmt(never, lineno=1))
    return (*declarations, *body)


class _StatementCopier:
    """Copies the wanted statements of a template's top level.

    After the ``extends`` that leads to the parent, a template shows nothing: what its text would call is not called.
    """

    def __init__(self, wanted: set[int], choice: nodes.Extends | None, extends: nodes.Extends | None) -> None:
        self.wanted = wanted
        self.choice = choice
        self.extends = extends
        self.shows = True

    def copies(self, body: Iterable[nodes.Node]) -> list[nodes.Node]:
        """Return copies of the wanted statements of ``body``."""
        copies: list[nodes.Node] = []
        for node in body:
            if id(node) in self.wanted and (node is self.choice or not isinstance(node, nodes.Extends)):
                copies.append(self._copy(node))
            if self.shows and self.extends is not None:
                within = (node, *node.find_all(nodes.Extends))
                self.shows = not any(each is self.extends for each in within)
        return copies

    def _copy(self, node: nodes.Node) -> nodes.Node:
        if isinstance(node, nodes.If):
            return self._copy_if(node)
        if isinstance(node, nodes.Extends):
            target = nodes.Name(PARENT, "store", lineno=node.lineno)
            return nodes.Assign(target, _copy_node(node.template), lineno=node.lineno)
        return _copy_node(node, shows=self.shows)

    def _copy_if(self, node: nodes.If) -> nodes.If:
        elif_ = [self._copy_if(each) for each in node.elif_]
        return _similar(node, _copy_node(node.test), self.copies(node.body), elif_, self.copies(node.else_))


def _copy_node(node: N, *, shows: bool = True) -> N:
    """Return a deep copy of a node. Compilation folds constants in place, and the original is shared.

    Args:
        node: The node.
        shows: Whether the template shows text there. Text that a macro or a set block keeps is not shown.
    """
    shows = shows or isinstance(node, nodes.Macro | nodes.CallBlock | nodes.AssignBlock)
    return _similar(node, *(_copy_field(getattr(node, field), shows=shows) for field in node.fields))


def _copy_field(value: Any, *, shows: bool) -> Any:
    if isinstance(value, nodes.Node):
        return _copy_node(value, shows=shows)
    if isinstance(value, list):
        return [_copy_field(each, shows=shows) for each in value if shows or not isinstance(each, nodes.Output)]
    return value


def _similar(node: N, *values: Any) -> N:
    """Return a node of the same class with the same attributes and other values in its fields."""
    made = object.__new__(type(node))
    for field, value in zip(node.fields, values, strict=True):
        setattr(made, field, value)
    for attribute in node.attributes:
        setattr(made, attribute, getattr(node, attribute, None))
    return made
