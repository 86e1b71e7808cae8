"""One block, alone, exactly as the page holds it.

The page's own compiled block functions make the text, so that ``super()``, overrides, scoping, undefined values,
sandbox, escaping and line numbers are the page's own. What the page's top level would have bound before is bound by
running just the statements that the block builds on (:mod:`.slices`); nothing else of the page runs.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from jinja2 import Environment, Template, nodes
from jinja2.runtime import Context

from .._core.errors import BlockNotFoundError, BlockRenderError
from .._core.suggestions import did_you_mean
from .environment_cache import Kept
from .prologue import PARENT, Level, Stage, stage_of_choice, stages_of
from .reads import Page, Variant, holds, page_of

__all__ = ["CompiledBlock", "compile_block"]


@dataclass(frozen=True, slots=True)
class _Level:
    template: Template
    prelude: Template | None


@dataclass(frozen=True, slots=True)
class _Stage:
    levels: tuple[_Level, ...]
    bare: bool

    def preludes(self) -> list[Template]:
        """Return what has to run, in order."""
        return [level.prelude for level in self.levels if level.prelude is not None]


@dataclass(frozen=True, slots=True)
class _Way:
    """How a block is rendered in one variant of the page; without stages: the variant does not show it."""

    stages: tuple[_Stage, ...]
    modifiers: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class _Fork:
    """A choice between parents, made by the values: what has to run to know it, and where each leads."""

    stage: _Stage
    template: str
    branches: Mapping[str | None, _Fork | _Way]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What renders a block: the runs that lead to it, then its function."""

    page: Page
    start: _Fork | _Way


class CompiledBlock:
    """A block of a page, ready to be rendered alone; made by :func:`compile_block`. Safe to use from any thread."""

    def __init__(self, env: Environment, template_name: str, block_name: str) -> None:
        self.env = env
        self.template_name = template_name
        self.block_name = block_name
        self._lock = threading.Lock()
        self._plan: _Plan | None = None
        self._current_plan()

    def __repr__(self) -> str:
        """Return template and block."""
        return f"<{type(self).__name__} {self.block_name!r} of {self.template_name!r}>"

    def render(self, context: Mapping[str, object]) -> str:
        """Render the block with the page's context; what the page holds there, byte for byte.

        Args:
            context: What the page would be rendered with.

        Raises:
            BlockRenderError: The environment is asynchronous and an event loop is running in this thread.
        """
        if self.env.is_async:
            return self._run_async(context)
        plan = self._current_plan()
        try:
            return _joined(self._chunks(plan, context))
        except Exception:  # noqa: BLE001 - Jinja raises it again, with the template's own lines in the traceback
            self._raise_with_template_lines()

    async def render_async(self, context: Mapping[str, object]) -> str:
        """Render the block as :meth:`render` does, awaiting what an asynchronous environment awaits.

        Args:
            context: What the page would be rendered with.
        """
        if not self.env.is_async:
            return self.render(context)
        plan = self._current_plan()
        try:
            return _joined([chunk async for chunk in self._chunks_async(plan, context)])
        except Exception:  # noqa: BLE001 - Jinja raises it again, with the template's own lines in the traceback
            self._raise_with_template_lines()

    def _raise_with_template_lines(self) -> NoReturn:
        self.env.handle_exception()

    def _run_async(self, context: Mapping[str, object]) -> str:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self.render_async(context))
        raise BlockRenderError(
            f"block {self.block_name!r} of {self.template_name!r} belongs to an asynchronous environment and an event "
            "loop is running: write await block.render_async(context)",
            template=self.template_name,
            block=self.block_name,
        )

    def _chunks(self, plan: _Plan, values: Mapping[str, object]) -> Iterator[Any]:
        way = plan.start
        while isinstance(way, _Fork):
            way = self._branch(way, self._run((way.stage,), values))
        if way.stages:
            yield from self._function(way, self._run(way.stages, values))

    def _run(self, stages: tuple[_Stage, ...], values: Mapping[str, object]) -> Context:
        context = None
        for stage in stages:
            context = _context(stage, values, context)
            for prelude in stage.preludes():
                for _ in prelude.root_render_func(context):
                    pass
        return _checked(context)

    async def _chunks_async(self, plan: _Plan, values: Mapping[str, object]) -> AsyncIterator[Any]:
        way = plan.start
        while isinstance(way, _Fork):
            way = self._branch(way, await self._run_stages_async((way.stage,), values))
        if way.stages:
            chunks: Any = self._function(way, await self._run_stages_async(way.stages, values))
            async for chunk in chunks:
                yield chunk

    async def _run_stages_async(self, stages: tuple[_Stage, ...], values: Mapping[str, object]) -> Context:
        context = None
        for stage in stages:
            context = _context(stage, values, context)
            for prelude in stage.preludes():
                chunks: Any = prelude.root_render_func(context)
                async for _ in chunks:
                    pass
        return _checked(context)

    def _branch(self, fork: _Fork, context: Context) -> _Fork | _Way:
        """Return where the chosen parent leads."""
        chosen = context.vars.get(PARENT)
        if chosen is None:
            return fork.branches[None]
        name = self.env.get_template(chosen, fork.template).name
        if name not in fork.branches:
            raise BlockRenderError(
                f"the parent {name!r} of {fork.template!r} is none of those that its extends names: write its name "
                "there",
                template=self.template_name,
                block=self.block_name,
            )
        return fork.branches[name]

    def _function(self, way: _Way, context: Context) -> Iterator[Any]:
        for name, value in way.modifiers:
            setattr(context.eval_ctx, name, value)
        return context.blocks[self.block_name][0](context)

    def _current_plan(self) -> _Plan:
        plan = self._plan
        if plan is not None and holds(self.env, plan.page):
            return plan
        page = page_of(self.env, self.template_name)
        with self._lock:
            plan = self._plan = _plan(self.env, page, self.template_name, self.block_name)
        return plan


def compile_block(env: Environment, template_name: str, block_name: str) -> CompiledBlock:
    """Return the block of a page, ready to be rendered alone; compiled once, and again by a render if a source changed.

    Args:
        env: The environment that renders the page.
        template_name: The page's template, as the loader knows it.
        block_name: The block's name; it may stand in a parent or in an included template.

    Raises:
        TemplateLoadError: There is no such template, or it does not parse.
        BlockNotFoundError: The page has no such block.
        BlockRenderError: The block can't be rendered alone; the message says why.
    """
    with _lock:
        blocks = _blocks.of(env)
        key = (template_name, block_name)
        block = blocks.get(key)
        if block is None:
            block = blocks[key] = CompiledBlock(env, template_name, block_name)
        return block


_blocks: Kept[dict[tuple[str, str], CompiledBlock]] = Kept("blocks", lambda _: {})
_lock = threading.RLock()


def _joined(chunks: Iterable[Any]) -> str:
    return "".join([str(chunk) for chunk in chunks])


def _context(stage: _Stage, values: Mapping[str, object], around: Context | None) -> Context:
    """Return the context in which a stage runs, with the blocks of all its templates."""
    first, *parents = (level.template for level in stage.levels)
    if around is not None:
        context = first.new_context(around.get_all(), True)
    else:
        context = first.new_context(None if stage.bare else dict(values))
    for parent in parents:
        for name, function in parent.blocks.items():
            context.blocks.setdefault(name, []).append(function)
    return context


def _checked(context: Context | None) -> Context:
    if context is None:  # pragma: no cover - a plan has a stage at least
        raise BlockRenderError("a block without a page can't be rendered")
    return context


def _plan(env: Environment, page: Page, template_name: str, block_name: str) -> _Plan:
    _check_alone(page, template_name, block_name)
    # choices within included templates lead to the same block: one of them stands for all
    variants = {tuple(sorted(variant.made().items())): variant for variant in reversed(page.variants)}
    return _Plan(page, _start(env, list(reversed(variants.values())), 0, block_name))


def _start(env: Environment, variants: list[Variant], position: int, block_name: str) -> _Fork | _Way:
    """Return the way to the block, which forks where variants differ."""
    own = [[choice for choice in variant.offered if choice.run is variant.run] for variant in variants]
    if position >= len(own[0]):
        return _way(env, variants[0], block_name)
    choice = own[0][position]
    branches: dict[str | None, _Fork | _Way] = {}
    for at, option in enumerate(choice.options):
        taking = [variant for variant in variants if variant.made()[id(choice.node)] == at]
        branches[option.name if option is not None else None] = _start(env, taking, position + 1, block_name)
    stage = _compiled(env, stage_of_choice(choice))
    return _Fork(stage, stage.levels[-1].template.name or "", branches)


def _way(env: Environment, variant: Variant, block_name: str) -> _Way:
    record = variant.records.get(block_name) or variant.unplaced.get(block_name)
    if record is None:
        return _Way((), ())
    return _Way(tuple(_compiled(env, stage) for stage in stages_of(record)), record.modifiers)


def _compiled(env: Environment, stage: Stage) -> _Stage:
    levels = tuple(_Level(env.get_template(level.parsed.name), _prelude(env, level)) for level in stage.levels)
    return _Stage(levels, stage.bare)


def _check_alone(page: Page, template_name: str, block_name: str) -> None:
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
            f"block {block_name!r} of {template_name!r} can't be rendered alone: {found.alone}. Render the block "
            "around it, or move the block out of there",
            template=found.template,
            block=block_name,
            line=found.line,
        )


def _prelude(env: Environment, level: Level) -> Template | None:
    if not level.body:
        return None
    parsed = level.parsed
    tree = nodes.Template(list(level.body), lineno=1)
    tree.set_environment(env)
    code = env.compile(tree, parsed.name, parsed.filename)
    return env.template_class.from_code(env, code, env.make_globals(None))
