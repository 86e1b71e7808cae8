"""Which context variables a ``pass_context`` function reads.

A ``pass_context`` function may read anything. Most of them read one or two constant names, such as
``context["request"]``. If they counted as reading everything, every change would render every block that holds a
link. Therefore this module parses the function's source: if every use of its context parameter is harmless or names a
constant, the names are known. Otherwise they are unknown, and the caller widens to everything.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import lru_cache
from types import CodeType
from typing import Any, Final, TypeVar

from jinja2.utils import _PassArg

__all__ = ["context_names", "declare_reads", "takes_context"]

_HARMLESS: Final = frozenset({"environment", "eval_ctx", "name"})
_LOOKUPS: Final = frozenset({"get", "resolve", "resolve_or_missing"})
_DECLARED: Final = "__reactive_reads__"

F = TypeVar("F", bound=Callable[..., Any])


def declare_reads(*names: str) -> Callable[[F], F]:
    """Declare which context variables a ``pass_context`` function, filter or test reads.

    Args:
        names: The variables. Without any, the function reads no variable of the context.

    Returns:
        A decorator that stores the names on the function and returns the function itself.
    """

    def declare(function: F) -> F:
        setattr(function, _DECLARED, frozenset(names))
        return function

    return declare


def takes_context(function: object) -> bool:
    """Return whether Jinja passes the context to ``function`` when a template calls it."""
    by_call: Any = getattr(type(function), "__call__", None)  # noqa: B004 - the method itself is needed
    candidates: tuple[Any, ...] = (function, by_call)
    return any(each is not None and _PassArg.from_obj(each) is _PassArg.context for each in candidates)


def context_names(function: object) -> frozenset[str] | None:
    """Return the context variables that a ``pass_context`` function reads, or None if they are unknown."""
    declared = getattr(function, _DECLARED, None)
    if isinstance(declared, frozenset):
        return declared
    if getattr(function, "__module__", None) == "jinja2.ext":
        return frozenset({"gettext"}) if getattr(function, "__name__", "") == "_gettext_alias" else frozenset()
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return _names_in_source(code) if isinstance(code, CodeType) else None


@lru_cache(maxsize=512)
def _names_in_source(code: CodeType) -> frozenset[str] | None:  # keyed by code: a function would keep its closure alive
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(code)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    definition = tree.body[0] if tree.body else None
    if not isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    parameters = [*definition.args.posonlyargs, *definition.args.args]
    if parameters and parameters[0].arg in ("self", "cls"):
        parameters = parameters[1:]
    if not parameters:
        return None
    return _uses(definition, parameters[0].arg)


def _uses(definition: ast.AST, parameter: str) -> frozenset[str] | None:
    """Return the names read from ``parameter``, or None if one of its uses is unknown."""
    names: set[str] = set()
    known = 0
    total = 0
    for node in ast.walk(definition):
        if isinstance(node, ast.Name) and node.id == parameter:
            total += 1
            if not isinstance(node.ctx, ast.Load):
                return None
        elif (name := _use(node, parameter)) is not None:
            known += 1
            names.update(name)
    return frozenset(names) if known == total else None


def _use(node: ast.AST, parameter: str) -> tuple[str, ...] | None:
    """Return the names read if ``node`` is a known use of the parameter, else None."""
    match node:
        case ast.Subscript(value=ast.Name(id=found), slice=ast.Constant(value=str(name)), ctx=ast.Load()):
            return (name,) if found == parameter else None
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id=found), attr=method), args=[ast.Constant(value=str(name)), *_]
        ) if method in _LOOKUPS:
            return (name,) if found == parameter else None
        case ast.Compare(
            left=ast.Constant(value=str(name)), ops=[ast.In() | ast.NotIn()], comparators=[ast.Name(id=found)]
        ):
            return (name,) if found == parameter else None
        case ast.Attribute(value=ast.Name(id=found), attr=attribute) if attribute in _HARMLESS:
            return () if found == parameter else None
    return None
