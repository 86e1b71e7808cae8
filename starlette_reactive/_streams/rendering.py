"""From changed paths to HTML: an application's context builder, called once, and each block rendered from it once."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from anyio import to_thread
from jinja2 import Environment

from .._core.blocks import BlockRef
from .._core.errors import ContextBuilderError, TemplateLoadError
from .._index.index import DependencyIndex
from .._templates import compile_block

__all__ = ["ContextBuilder", "RenderBlocks", "Rendered", "block_renderer", "render_blocks"]

logger: logging.Logger = logging.getLogger("starlette_reactive.streams")

Context = Mapping[str, Any]
ContextBuilder = Callable[[], Context | Awaitable[Context]] | Callable[[frozenset[str]], Context | Awaitable[Context]]
"""What an application passes: a function or coroutine function of nothing, or of the changed paths."""

Rendered = dict[tuple[str, str], str | Exception]
"""The HTML of each block, by its key, or why there is none."""

RenderBlocks = Callable[[frozenset[str], list[BlockRef]], Awaitable[Rendered]]
"""Renders blocks for changed paths. What it raises concerns them all."""


def block_renderer(builder: ContextBuilder, env: Environment | None, index: DependencyIndex) -> RenderBlocks:
    """Return what renders blocks from the context that ``builder`` returns.

    Args:
        builder: Called with the changed paths if it has a parameter without a default, else with nothing. A plain
            function runs in a worker thread.
        env: The environment of all blocks; ``None``: the one that each was registered with.
        index: Knows the environments.

    Raises:
        TypeError: ``builder`` is not callable, or needs more than one argument.
    """
    if not callable(builder):
        raise TypeError(f"context_builder is a function that returns a dict, not {type(builder).__name__}")
    takes_paths, call = _takes_paths(builder), _awaitable(builder)
    name = getattr(builder, "__qualname__", repr(builder))

    async def render(paths: frozenset[str], blocks: list[BlockRef]) -> Rendered:
        context = await (call(paths) if takes_paths else call())
        if not isinstance(context, Mapping):
            raise ContextBuilderError(
                f"the context builder {name} returned {type(context).__name__}, not a mapping: "
                "let it return a dict of the template's variables"
            )
        return await render_blocks(blocks, context, lambda template: env or index.environment(template))

    return render


async def render_blocks(
    blocks: Iterable[BlockRef], context: Context, environment: Callable[[str], Environment | None]
) -> Rendered:
    """Render each block once; one that fails harms no other.

    Args:
        blocks: The blocks; several targets of the same block are one render.
        context: The templates' variables.
        environment: Gives the environment of a template.
    """
    rendered: Rendered = {}
    for ref in blocks:
        if ref.key not in rendered:
            try:
                rendered[ref.key] = await _render_block(ref, context, environment(ref.template_name))
            except Exception as error:
                logger.exception("the block %r of %r failed to render", ref.block_name, ref.template_name)
                rendered[ref.key] = error
    return rendered


async def _render_block(ref: BlockRef, context: Context, environment: Environment | None) -> str:
    if environment is None:
        raise TemplateLoadError(
            f"no environment is known for the template {ref.template_name!r}: pass templates= to reactive_stream, or "
            "env to DependencyIndex",
            template=ref.template_name,
        )
    return await compile_block(environment, ref.template_name, ref.block_name).render_async(context)


def _takes_paths(builder: Callable[..., Any]) -> bool:
    parameters = inspect.signature(builder).parameters.values()
    required = [each for each in parameters if each.default is each.empty and each.kind not in _VARIADIC]
    if len(required) > 1 or any(each.kind is each.KEYWORD_ONLY for each in required):
        names = ", ".join(each.name for each in required)
        raise TypeError(
            f"context_builder needs {names}: it is called with nothing or with the changed paths; bind the rest with "
            "functools.partial or a closure"
        )
    return bool(required)


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _awaitable(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004 - its kind is asked, not whether it is there
        return function

    async def call(*args: Any) -> Any:
        # In a tuple, for trio takes a coroutine that comes out of a thread for a mistake.
        (result,) = await to_thread.run_sync(lambda: (function(*args),), abandon_on_cancel=True)
        return await result if inspect.isawaitable(result) else result

    return call
