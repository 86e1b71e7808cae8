"""Plans how a block is rendered alone: which prologues run, and which parent the values choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from jinja2 import Environment, Template, nodes

from .._core.errors import BlockNotFoundError, BlockRenderError
from .._core.suggestions import did_you_mean
from .composed_page import ComposedPage, PageVariant
from .prologue import Prologue, PrologueLevel, prologue_of_choice, prologues_of
from .rows import marked_tree, rows_of
from .sources import ParsedTemplate

__all__ = ["BlockPlan", "BlockRecipe", "CompiledPrologue", "ParentFork", "RenderStep", "UnknownParent", "make_plan"]


@dataclass(frozen=True, slots=True)
class _CompiledLevel:
    """A template, and the compiled statements of it that have to run."""

    name: str
    template: Template
    statements: Template | None


@dataclass(frozen=True, slots=True)
class CompiledPrologue:
    """The compiled form of a :class:`~.prologue.Prologue`."""

    levels: tuple[_CompiledLevel, ...]
    bare: bool

    def templates(self) -> list[Template]:
        """Return the templates that have to run, in order."""
        return [level.statements for level in self.levels if level.statements is not None]


@dataclass(frozen=True, slots=True)
class BlockRecipe:
    """How a block is rendered in one variant of the page.

    Args:
        prologues: What has to run first. Empty if the variant does not show the block.
        eval_options: The settings of the evaluation context, such as ``autoescape``.
    """

    prologues: tuple[CompiledPrologue, ...]
    eval_options: tuple[tuple[str, object], ...]


@dataclass(frozen=True, slots=True)
class ParentFork:
    """A choice between parents that depends on the values.

    Args:
        prologue: What has to run to make the choice.
        template: The template that makes the choice.
        branches: How the block is rendered with each parent. None stands for no parent.
    """

    prologue: CompiledPrologue
    template: str
    branches: Mapping[str | None, RenderStep]


@dataclass(frozen=True, slots=True)
class UnknownParent:
    """An ``extends`` whose parent only a render shows.

    Args:
        prologue: What has to run to find the parent.
        template: The template that extends it.
        taken: What the page's earlier choices have taken.
        position: The number of the page's own choices up to this one.
    """

    prologue: CompiledPrologue
    template: str
    taken: tuple[int | str, ...]
    position: int


class _Block(NamedTuple):
    """A block, and the number of the loop that is marked in it."""

    name: str
    loop: int | None


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """How a block of a page is rendered."""

    page: ComposedPage
    start: RenderStep


RenderStep = ParentFork | UnknownParent | BlockRecipe
"""What a render does next."""


def make_plan(
    env: Environment, page: ComposedPage, template_name: str, block_name: str, position: int = 0
) -> BlockPlan:
    """Plan how a block is rendered.

    Args:
        env: The environment that renders the page.
        page: The page, composed with the parents that the render has chosen so far.
        template_name: The page's template.
        block_name: The block.
        position: How many of the page's own choices the render has made.

    Raises:
        BlockNotFoundError: The page has no such block.
        BlockRenderError: The block cannot be rendered alone.
    """
    _require_alone(page, template_name, block_name)
    # choices within included templates lead to the same block, so one of their variants stands for all
    variants = {tuple(sorted(variant.options_taken().items())): variant for variant in reversed(page.variants)}
    rows = rows_of(env, page).get(block_name)
    loop = rows.number if rows is not None and not rows.fault else None
    return BlockPlan(page, _start(env, list(reversed(variants.values())), position, _Block(block_name, loop)))


def _require_alone(page: ComposedPage, template_name: str, block_name: str) -> None:
    found = page.reads.blocks.get(block_name) or page.reads.unplaced.get(block_name)
    if found is None:
        known = [*page.reads.blocks, *page.reads.unplaced]
        raise BlockNotFoundError(
            f"the page {template_name!r} has no block {block_name!r}{did_you_mean(block_name, known)}. "
            f"Its blocks are: {', '.join(known) or 'none'}",
            template=template_name,
            block=block_name,
        )
    if found.alone is not None:
        raise BlockRenderError(
            f"block {block_name!r} of {template_name!r} cannot be rendered alone: {found.alone}. Render the block "
            "around it, or move the block out of there",
            template=found.template,
            block=block_name,
            line=found.line,
        )


def _start(env: Environment, variants: list[PageVariant], position: int, block: _Block) -> RenderStep:
    """Return how the block is rendered from a position in the choices on. All variants agree before it."""
    own = [[choice for choice in variant.parent_choices if choice.run is variant.run] for variant in variants]
    if position >= len(own[0]):
        return _recipe(env, variants[0], block)
    choice = own[0][position]
    prologue = _compiled(env, prologue_of_choice(choice))
    template = prologue.levels[-1].name
    if choice.unknown:
        at = next(at for at, each in enumerate(variants[0].parent_choices) if each is choice)
        taken = variants[0].choices[:at]
        return UnknownParent(prologue, template, taken, position + 1)
    branches: dict[str | None, RenderStep] = {}
    for at, option in enumerate(choice.options):
        taking = [variant for variant in variants if variant.options_taken()[id(choice.node)] == at]
        branches[option.name if option is not None else None] = _start(env, taking, position + 1, block)
    return ParentFork(prologue, template, branches)


def _recipe(env: Environment, variant: PageVariant, wanted: _Block) -> BlockRecipe:
    block = variant.blocks.get(wanted.name) or variant.unplaced.get(wanted.name)
    if block is None:
        return BlockRecipe((), ())
    marked: Template | None = None
    if wanted.loop is not None:
        marked = _compile(env, marked_tree(block.template, wanted.name, wanted.loop), block.template)
    known = {} if marked is None else {id(block.template): marked}
    return BlockRecipe(tuple(_compiled(env, prologue, known) for prologue in prologues_of(block)), block.eval_options)


def _compiled(
    env: Environment, prologue: Prologue, known: Mapping[int, Template] = MappingProxyType({})
) -> CompiledPrologue:
    """Compile a prologue. Some templates are known to be compiled in another way, by the id of their source."""
    levels = (
        _CompiledLevel(
            level.parsed.name, known.get(id(level.parsed)) or _template(env, level.parsed), _statements(env, level)
        )
        for level in prologue.levels
    )
    return CompiledPrologue(tuple(levels), prologue.bare)


def _template(env: Environment, parsed: ParsedTemplate) -> Template:
    return _compile(env, parsed.tree, parsed) if parsed.own_tree else env.get_template(parsed.name)


def _statements(env: Environment, level: PrologueLevel) -> Template | None:
    if not level.body:
        return None
    tree = nodes.Template(list(level.body), lineno=1)
    tree.set_environment(env)
    return _compile(env, tree, level.parsed)


def _compile(env: Environment, tree: nodes.Template, parsed: ParsedTemplate) -> Template:
    code = env.compile(tree, parsed.name, parsed.filename)
    return env.template_class.from_code(env, code, env.make_globals(None))
