"""Which names a context processor may supply from its request, as far as its code shows."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import CodeType, FunctionType
from typing import Any

from .._core.callables import function_of

__all__ = ["names_from_request"]


def names_from_request(processor: Callable[..., Any]) -> frozenset[str]:
    """Return the names that a context processor may supply, if these may depend on the request.

    A name is any string in its code, and in the functions of its module that it calls. It may depend on the request if
    the code uses its argument, or reads a context variable.
    """
    function = function_of(processor)
    function = inspect.unwrap(function.__call__ if inspect.isclass(function) else function)
    if not isinstance(function, FunctionType):
        return frozenset()
    functions = list(_with_called(function, set()))
    if not _uses_argument(function.__code__) and not any(map(_reads_context_variable, functions)):
        return frozenset()
    return frozenset(text for each in functions for text in _strings(each.__code__))


def _with_called(function: FunctionType, seen: set[FunctionType]) -> Iterator[FunctionType]:
    """Yield a function, and those of its module that it calls, at any depth."""
    if function in seen:
        return
    seen.add(function)
    yield function
    for name in (name for code in _codes(function.__code__) for name in code.co_names):
        called = function.__globals__.get(name)
        called = inspect.unwrap(called) if callable(called) else None
        if isinstance(called, FunctionType) and called.__module__ == function.__module__:
            yield from _with_called(called, seen)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _uses_argument(code: CodeType) -> bool:
    """Return whether a function reads its argument, which follows ``self`` if that is the first."""
    names = code.co_varnames[: code.co_argcount]
    names = names[1:] if names[:1] in (("self",), ("cls",)) else names
    if any(name in code.co_cellvars for name in names):
        return True
    loads = (each.argval for each in dis.get_instructions(code) if "LOAD_FAST" in each.opname)
    return any(name == load or (isinstance(load, tuple) and name in load) for load in loads for name in names)


def _reads_context_variable(function: FunctionType) -> bool:
    return any(
        isinstance(function.__globals__.get(name), ContextVar)
        for code in _codes(function.__code__)
        for name in code.co_names
    )


def _strings(code: CodeType) -> Iterator[str]:
    for each in _codes(code):
        for constant in each.co_consts:
            if isinstance(constant, str):
                yield constant
            elif isinstance(constant, tuple | frozenset):
                yield from (inner for inner in constant if isinstance(inner, str))
