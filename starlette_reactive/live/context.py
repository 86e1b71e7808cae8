"""Calling an application's context builder, whatever kind of callable it is."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from anyio import to_thread

from ..errors import ContextBuilderError

__all__ = ["BuildContext", "ContextBuilder", "context_caller"]

Context = Mapping[str, Any]
ContextBuilder = Callable[[], Context | Awaitable[Context]] | Callable[[frozenset[str]], Context | Awaitable[Context]]
"""What an application passes: a function or coroutine function of nothing, or of the changed paths."""

BuildContext = Callable[[frozenset[str]], Awaitable[Context]]


def context_caller(builder: ContextBuilder) -> BuildContext:
    """Return a coroutine function of the changed paths that calls ``builder`` and checks what it returns.

    A parameter without a default is given the paths. A plain function runs in a worker thread.

    Raises:
        TypeError: ``builder`` is not callable, or needs more than one argument.
    """
    if not callable(builder):
        raise TypeError(f"context_builder is a function that returns a dict, not {type(builder).__name__}")
    takes_paths, call = _takes_paths(builder), _awaitable(builder)
    name = getattr(builder, "__qualname__", repr(builder))

    async def build(paths: frozenset[str]) -> Context:
        context = await (call(paths) if takes_paths else call())
        if not isinstance(context, Mapping):
            raise ContextBuilderError(
                f"the context builder {name} returned {type(context).__name__}, not a mapping: "
                "let it return a dict of the template's variables"
            )
        return context

    return build


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
