"""From changed paths to HTML: call the application's context builder once, and render each block from it once."""

from __future__ import annotations

import html
import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Set
from typing import Any

from anyio import to_thread
from jinja2 import Environment

from .._core.blocks import BlockRef, Patch
from .._core.errors import BlockRenderError, ContextBuilderError, TemplateLoadError
from .._index.registry import Registry
from .._index.tables import IndexedBlock
from .._templates import compile_block

__all__ = [
    "ContextBuilder",
    "RenderBlocks",
    "Rendered",
    "block_renderer",
    "error_markup",
    "patches_of",
    "render_blocks",
]

Variables = Mapping[str, Any]
ContextBuilder = (
    Callable[[], Variables | Awaitable[Variables]] | Callable[[frozenset[str]], Variables | Awaitable[Variables]]
)
"""What an application passes: a function or coroutine function without arguments, or of the changed paths."""

Rendered = dict[tuple[str, str], str | Exception]
"""The HTML of each block by its key, or the error."""

RenderBlocks = Callable[[frozenset[str], list[BlockRef]], Awaitable[Rendered]]
"""Renders blocks for changed paths. What it raises applies to all of them."""


def block_renderer(builder: ContextBuilder, env: Environment | None, registry: Registry) -> RenderBlocks:
    """Return a function that renders blocks from the context that ``builder`` returns.

    Args:
        builder: Called with the changed paths if it has a parameter without a default, else without arguments. A plain
            function runs in a worker thread.
        env: The environment of all blocks. ``None`` means the one that each was registered with.
        registry: Holds the environments.

    Raises:
        TypeError: ``builder`` is not callable, or needs more than one argument.
    """
    if not callable(builder):
        raise TypeError(f"context_builder must be a function that returns a dict, not {type(builder).__name__}")
    takes_paths, call = _takes_paths(builder), _awaitable(builder)
    name = getattr(builder, "__qualname__", repr(builder))

    async def render(paths: frozenset[str], blocks: list[BlockRef]) -> Rendered:
        context = await (call(paths) if takes_paths else call())
        if not isinstance(context, Mapping):
            raise ContextBuilderError(
                f"the context builder {name} returned {type(context).__name__}, not a mapping: "
                "return a dict of the template's variables"
            )
        return await render_blocks(blocks, context, lambda template: env or registry.environment(template))

    return render


async def render_blocks(
    blocks: Iterable[BlockRef], context: Variables, environment: Callable[[str], Environment | None]
) -> Rendered:
    """Render each block once. A block that fails does not affect the others.

    Args:
        blocks: The blocks. Several targets of the same block are one render.
        context: The templates' variables.
        environment: Returns the environment of a template.
    """
    rendered: Rendered = {}
    for ref in blocks:
        if ref.key not in rendered:
            try:
                rendered[ref.key] = await _render_block(ref, context, environment(ref.template_name))
            except Exception as error:  # noqa: BLE001 - logged by the group
                rendered[ref.key] = error
    return rendered


async def _render_block(ref: BlockRef, context: Variables, environment: Environment | None) -> str:
    if environment is None:
        raise TemplateLoadError(
            f"no environment is known for the template {ref.template_name!r}: pass templates= to reactive_stream, or "
            "env to DependencyIndex",
            template=ref.template_name,
        )
    markup = await compile_block(environment, ref.template_name, ref.block_name).render_async(context)
    try:
        markup.encode()
    except UnicodeEncodeError as error:
        raise BlockRenderError(
            f"the block {ref.block_name!r} of {ref.template_name!r} contains the lone surrogate "
            f"{markup[error.start]!a}, which UTF-8 cannot encode: reject such text where it enters the application",
            template=ref.template_name,
            block=ref.block_name,
        ) from error
    return markup


def _takes_paths(builder: Callable[..., Any]) -> bool:
    parameters = inspect.signature(builder).parameters.values()
    required = [each for each in parameters if each.default is each.empty and each.kind not in _VARIADIC]
    if len(required) > 1 or any(each.kind is each.KEYWORD_ONLY for each in required):
        names = ", ".join(each.name for each in required)
        raise TypeError(
            f"context_builder needs {names}, but is called without arguments or with the changed paths: bind "
            "the rest with functools.partial or a closure"
        )
    return bool(required)


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _awaitable(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004 - the kind matters, not whether it is callable
        return function

    async def call(*args: Any) -> Any:
        # In a tuple, because trio treats a coroutine returned from a thread as an error.
        (result,) = await to_thread.run_sync(lambda: (function(*args),), abandon_on_cancel=True)
        return await result if inspect.isawaitable(result) else result

    return call


def error_markup(block_name: str, error: BaseException) -> str:
    """Return what replaces a block that failed to render, in debug mode."""
    message = str(error).encode(errors="backslashreplace").decode()  # it may quote what UTF-8 cannot encode
    return (
        f'<div class="reactive-block-error" data-block="{html.escape(block_name)}">'
        f"<strong>{html.escape(type(error).__name__)}</strong>: {html.escape(message)}</div>"
    )


def patches_of(
    blocks: Iterable[IndexedBlock], rendered: Rendered, uncompressed: Set[str] = frozenset()
) -> tuple[list[tuple[IndexedBlock, Patch]], list[Patch]]:
    """Return the patches of rendered blocks, and what to show in debug mode in place of those that failed.

    Args:
        blocks: The blocks.
        rendered: What became of them.
        uncompressed: The names of blocks that no stream may send compressed, not even as a part of others.
    """
    patches, failed = [], []
    for block in blocks:
        html = rendered[block.ref.key]
        if isinstance(html, str):
            compresses = not uncompressed or uncompressed.isdisjoint(_names_in_and_around(block))
            patches.append((block, Patch(block.ref, html, block.placement, compresses)))
        else:
            failed.append(Patch(block.ref, error_markup(block.ref.block_name, html), block.placement))
    return patches, failed


def _names_in_and_around(block: IndexedBlock) -> Iterator[str]:
    return (ref.block_name for ref in (block.ref, *block.around, *block.inside))
