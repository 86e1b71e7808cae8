"""Rules for the endpoints of plain streams."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator
from typing import Any

from .issues import Issue, Severity

__all__ = ["check_endpoint", "returns_stream"]


def returns_stream(endpoint: Callable[..., Any]) -> bool:
    """Return whether an endpoint returns a stream, according to its annotation or its code."""
    annotation = (
        inspect.unwrap(endpoint).__annotations__.get("return") if hasattr(endpoint, "__annotations__") else None
    )
    if "EventStream" in str(annotation) or "EventSourceResponse" in str(annotation):
        return True
    code = getattr(inspect.unwrap(endpoint), "__code__", None)
    return code is not None and bool({"reactive_stream", "EventStream", "EventSourceResponse"} & set(code.co_names))


def check_endpoint(endpoint: Callable[..., Any]) -> Iterator[Issue]:
    """Find dependencies with ``yield`` that stay open for the life of a stream."""
    for name, dependency in _open_dependencies(endpoint, set()):
        yield Issue(
            Severity.WARNING,
            "yield_dependency",
            None,
            None,
            f"the stream's endpoint {_described(endpoint)} depends on {name!r}, which stays open for the life of the "
            f"stream, because {_described(dependency)} has a yield",
            'open it in the context builder, for each update, or write Depends(…, scope="function")',
        )


def _described(function: Callable[..., Any]) -> str:
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None)
    name = getattr(function, "__name__", repr(function))
    module = getattr(function, "__module__", "")
    return f"{module}.{name} (line {code.co_firstlineno})" if code is not None else f"{module}.{name}"


def _open_dependencies(function: Callable[..., Any], seen: set[int]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the dependencies with ``yield``, at any depth, that close only after the response."""
    if id(function) in seen:
        return
    seen.add(id(function))
    for parameter in _parameters(function):
        for marker in (parameter.default, *getattr(parameter.annotation, "__metadata__", ())):
            dependency = getattr(marker, "dependency", None)
            if not callable(dependency):
                continue
            if _yields(dependency) and getattr(marker, "scope", None) != "function":
                yield parameter.name, dependency
            yield from _open_dependencies(dependency, seen)


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return []
    try:
        hints = typing.get_type_hints(inspect.unwrap(function), include_extras=True)
    except (NameError, TypeError):
        hints = {}
    return [each.replace(annotation=hints.get(each.name, each.annotation)) for each in signature.parameters.values()]


def _yields(function: Callable[..., Any]) -> bool:
    call = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    return inspect.isgeneratorfunction(call) or inspect.isasyncgenfunction(call)
