"""One block, alone, exactly as the page holds it.

The page's own compiled block functions make the text, so that ``super()``, overrides, scoping, undefined values,
sandbox, escaping and line numbers are the page's own. What the page's top level would have bound before is bound by
running just the statements that the block builds on (:mod:`.slices`); nothing else of the page runs.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from jinja2 import Environment, Template, nodes
from jinja2.runtime import Context

from ..errors import BlockNotFoundError, BlockRenderError
from .dependencies import Page, Variant, page_of
from .slices import Level, stages_of
from .sources import suggestion

__all__ = ["CompiledBlock", "compile_block"]


@dataclass(frozen=True, slots=True)
class _Level:
    template: Template
    prelude: Template | None


@dataclass(frozen=True, slots=True)
class _Stage:
    levels: tuple[_Level, ...]
    bare: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """What renders a block: the runs that lead to it, then its function."""

    page: Page
    stages: tuple[_Stage, ...]
    modifiers: tuple[tuple[str, Any], ...]
    templates: tuple[Template, ...]

    def holds(self, env: Environment, page: Page) -> bool:
        """Tell whether the plan may still be used."""
        return page is self.page and (not env.auto_reload or all(each.is_up_to_date for each in self.templates))


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
        context: Context | None = None
        for stage in plan.stages:
            context = _context(stage, values, context)
            for level in stage.levels:
                if level.prelude is not None:
                    for _ in level.prelude.root_render_func(context):
                        pass
        yield from self._function(plan, context)

    async def _chunks_async(self, plan: _Plan, values: Mapping[str, object]) -> AsyncIterator[Any]:
        context: Context | None = None
        for stage in plan.stages:
            context = _context(stage, values, context)
            for level in stage.levels:
                if level.prelude is not None:
                    prelude: Any = level.prelude.root_render_func(context)
                    async for _ in prelude:
                        pass
        chunks: Any = self._function(plan, context)
        async for chunk in chunks:
            yield chunk

    def _function(self, plan: _Plan, context: Context | None) -> Iterator[Any]:
        if context is None:  # pragma: no cover - a plan has a stage at least
            raise BlockRenderError(f"block {self.block_name!r} has no page", block=self.block_name)
        for name, value in plan.modifiers:
            setattr(context.eval_ctx, name, value)
        return context.blocks[self.block_name][0](context)

    def _current_plan(self) -> _Plan:
        page = page_of(self.env, self.template_name)
        plan = self._plan
        if plan is not None and plan.holds(self.env, page):
            return plan
        with self._lock:
            plan = self._plan = _plan(self.env, page, self.template_name, self.block_name)
        return plan


def compile_block(env: Environment, template_name: str, block_name: str) -> CompiledBlock:
    """Return the block of a page, ready to be rendered alone; compiled once, and again when a source changed.

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
        blocks = _blocks.setdefault(env, {})
        key = (template_name, block_name)
        block = blocks.get(key)
        if block is None:
            block = blocks[key] = CompiledBlock(env, template_name, block_name)
    block._current_plan()  # noqa: SLF001 - raises what is wrong with the block now, if a source changed
    return block


_blocks: weakref.WeakKeyDictionary[Environment, dict[tuple[str, str], CompiledBlock]] = weakref.WeakKeyDictionary()
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


def _plan(env: Environment, page: Page, template_name: str, block_name: str) -> _Plan:
    variant = _variant(page, template_name, block_name)
    record = variant.records.get(block_name) or variant.unplaced[block_name]
    stages = []
    for stage in stages_of(record):
        levels = tuple(_Level(env.get_template(level.parsed.name), _prelude(env, level)) for level in stage.levels)
        stages.append(_Stage(levels, stage.bare))
    templates = tuple(level.template for stage in stages for level in stage.levels)
    return _Plan(page, tuple(stages), record.modifiers, templates)


def _variant(page: Page, template_name: str, block_name: str) -> Variant:
    """Return the interpretation of the page to render the block by."""
    found = page.reads.blocks.get(block_name) or page.reads.unplaced.get(block_name)
    if found is None:
        known = [*page.reads.blocks, *page.reads.unplaced]
        raise BlockNotFoundError(
            f"the page {template_name!r} has no block {block_name!r}.{suggestion(block_name, known)} "
            f"It has: {', '.join(known) or 'none'}",
            template=template_name,
            block=block_name,
        )
    alone = found.alone
    if alone is None and len(page.variants) > 1:
        alone = "its page's parent depends on the values that it is rendered with"
    if alone is not None:
        raise BlockRenderError(
            f"block {block_name!r} of {template_name!r} can't be rendered alone: {alone}. Render the block "
            "around it, or move the block out of there",
            template=found.template,
            block=block_name,
            line=found.line,
        )
    return page.variants[0]


def _prelude(env: Environment, level: Level) -> Template | None:
    if not level.body:
        return None
    parsed = level.parsed
    tree = nodes.Template(list(level.body), lineno=1)
    tree.set_environment(env)
    code = env.compile(tree, parsed.name, parsed.filename)
    return env.template_class.from_code(env, code, env.make_globals(None))
