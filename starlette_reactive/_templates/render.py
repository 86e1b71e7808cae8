"""Renders one block alone, byte for byte as the page contains it.

The page's own compiled block functions produce the text. Therefore ``super()``, overrides, scoping, undefined values,
the sandbox, escaping and line numbers are those of the page. What the page's top level would bind first is bound by
running only the statements that the block depends on (:mod:`.prologue`). Nothing else of the page runs.
"""

from __future__ import annotations

import asyncio
import threading
from collections import ChainMap
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, NoReturn

from jinja2 import Environment
from jinja2.runtime import Context

from .._core.errors import BlockRenderError
from .._core.rows import keyed_text
from .composed_page import compose, is_page_current
from .environment_cache import PerEnvironment
from .prologue import PARENT
from .regions import regions_of
from .render_plan import BlockPlan, BlockRecipe, CompiledPrologue, ParentFork, RenderStep, UnknownParent, make_plan
from .rows import MARK

__all__ = ["CompiledBlock", "compile_block"]


class CompiledBlock:
    """A block of a page, ready to be rendered alone. Thread-safe. Made by :func:`compile_block`."""

    def __init__(self, env: Environment, template_name: str, block_name: str) -> None:
        self.env = env
        self.template_name = template_name
        self.block_name = block_name
        self._lock = threading.Lock()
        self._plans: dict[tuple[int | str, ...], BlockPlan] = {}
        self._current_plan()

    def __repr__(self) -> str:
        """Return the names of the template and the block."""
        return f"<{type(self).__name__} {self.block_name!r} of {self.template_name!r}>"

    def render(self, context: Mapping[str, object]) -> str:
        """Return the block's text as the page contains it, byte for byte.

        If the block is a keyed list, the text is a :class:`~.._core.rows.KeyedText`.

        Args:
            context: The context of the page.

        Raises:
            BlockRenderError: The environment is asynchronous and an event loop runs in this thread.
        """
        if self.env.is_async:
            return self._run_async(context)
        plan = self._current_plan()
        try:
            return _joined(self._chunks(plan, context))
        except Exception:  # noqa: BLE001 - Jinja raises it again, with the template's own lines in the traceback
            self._raise_with_template_lines()

    async def render_async(self, context: Mapping[str, object]) -> str:
        """Return the same text as :meth:`render`, in an asynchronous or a synchronous environment.

        Args:
            context: The context of the page.
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

    def _chunks(self, plan: BlockPlan, values: Mapping[str, object]) -> Iterator[Any]:
        step = plan.start
        while not isinstance(step, BlockRecipe):
            step = self._branch(step, self._run((step.prologue,), values))
        if step.prologues:
            yield from self._call(step, self._run(step.prologues, values))

    def _run(self, prologues: tuple[CompiledPrologue, ...], values: Mapping[str, object]) -> Context:
        """Run prologues, each in the context that the one before leaves, and return the last context."""
        context = None
        for prologue in prologues:
            context = _context(prologue, values, context)
            for template in prologue.templates():
                for _ in template.root_render_func(context):
                    pass
        return _require(context)

    async def _chunks_async(self, plan: BlockPlan, values: Mapping[str, object]) -> AsyncIterator[Any]:
        step = plan.start
        while not isinstance(step, BlockRecipe):
            step = self._branch(step, await self._run_prologues_async((step.prologue,), values))
        if step.prologues:
            chunks: Any = self._call(step, await self._run_prologues_async(step.prologues, values))
            async for chunk in chunks:
                yield chunk

    async def _run_prologues_async(
        self, prologues: tuple[CompiledPrologue, ...], values: Mapping[str, object]
    ) -> Context:
        context = None
        for prologue in prologues:
            context = _context(prologue, values, context)
            for template in prologue.templates():
                chunks: Any = template.root_render_func(context)
                async for _ in chunks:
                    pass
        return _require(context)

    def _branch(self, fork: ParentFork | UnknownParent, context: Context) -> RenderStep:
        """Return how the block is rendered with the parent that a prologue has chosen."""
        name = self._chosen_parent(fork, context.vars.get(PARENT))
        if isinstance(fork, UnknownParent):
            # the only option of an unknown parent is that there is none
            taken = (*fork.taken, name if name is not None else 0)
            return self._current_plan(taken, fork.position).start
        if name is None:
            return fork.branches[None]
        if name not in fork.branches:
            raise BlockRenderError(
                f"the parent {name!r} of {fork.template!r} is not one that its extends names: add its name to the "
                "extends, or to the parents that Reactive(parents=…) declares",
                template=self.template_name,
                block=self.block_name,
            )
        return fork.branches[name]

    def _chosen_parent(self, fork: ParentFork | UnknownParent, chosen: Any) -> str | None:
        """Return the name of the parent that an ``extends`` has chosen, or None if none has run."""
        if chosen is None:
            return None
        parent = self.env.get_template(chosen, fork.template)
        if parent.name is None or parent.environment is not self.env:
            raise BlockRenderError(
                f"the parent of {fork.template!r} is a template object that the loader does not have: pass the name of "
                "a template, or a template of the same environment",
                template=self.template_name,
                block=self.block_name,
            )
        # loaders with prefixes give their templates shorter names
        return self.env.join_path(chosen, fork.template) if isinstance(chosen, str) else parent.name

    def _call(self, recipe: BlockRecipe, context: Context) -> Iterator[Any]:
        """Call the block's compiled function."""
        for name, value in recipe.eval_options:
            setattr(context.eval_ctx, name, value)
        return context.blocks[self.block_name][0](context)

    def _current_plan(self, taken: tuple[int | str, ...] = (), position: int = 0) -> BlockPlan:
        """Return how the block is rendered after choices of parents that a render has made."""
        plan = self._plans.get(taken)
        if plan is not None and is_page_current(self.env, plan.page):
            return plan
        regions = regions_of(self.env, self.template_name)
        if not any(region.block_name == self.block_name for region in regions):
            regions = frozenset()
        page = compose(self.env, self.template_name, regions=regions, taken=taken)
        with self._lock:
            plan = self._plans[taken] = make_plan(self.env, page, self.template_name, self.block_name, position)
        return plan


def compile_block(env: Environment, template_name: str, block_name: str) -> CompiledBlock:
    """Return a block of a page, ready to be rendered alone.

    The block is compiled once. A render compiles it again if a source has changed.

    Args:
        env: The environment that renders the page.
        template_name: The page's template, as the loader knows it.
        block_name: The block's name. A parent or an included template may define the block.

    Raises:
        TemplateLoadError: A template of the page does not exist or does not parse.
        BlockNotFoundError: The page has no such block.
        BlockRenderError: The block cannot be rendered alone. The message gives the reason.
    """
    with _lock:
        blocks = _blocks.of(env)
        key = (template_name, block_name)
        block = blocks.get(key)
        if block is None:
            block = blocks[key] = CompiledBlock(env, template_name, block_name)
        return block


_blocks: PerEnvironment[dict[tuple[str, str], CompiledBlock]] = PerEnvironment("blocks", lambda _: {})
_lock = threading.RLock()


def _joined(chunks: Iterable[Any]) -> str:
    return keyed_text("".join([str(chunk) for chunk in chunks]), MARK)


def _context(prologue: CompiledPrologue, values: Mapping[str, object], around: Context | None) -> Context:
    """Return the context in which a prologue runs, with the blocks of all its templates."""
    first, *parents = (level.template for level in prologue.levels)
    # As Template.new_context does, which takes most of its time to iterate over the two mappings of a ChainMap.
    names = _flat(first.globals)
    found = around.get_all() if around is not None else names if prologue.bare else {**names, **values}
    context = first.environment.context_class(first.environment, found, first.name, first.blocks, globals=names)
    for parent in parents:
        for name, function in parent.blocks.items():
            context.blocks.setdefault(name, []).append(function)
    return context


def _flat(mapping: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(mapping, ChainMap):
        return dict(mapping)
    merged: dict[str, Any] = {}
    for each in reversed(mapping.maps):
        merged.update(each)
    return merged


def _require(context: Context | None) -> Context:
    if context is None:  # pragma: no cover - a plan has at least one prologue
        raise BlockRenderError("a block without a page cannot be rendered")
    return context
