"""What is behind something that can be called."""

from __future__ import annotations

import functools
from types import MethodType
from typing import Any

__all__ = ["function_of", "name_of"]


def function_of(function: Any) -> Any:
    """Return the function behind partials and methods. For an object that can be called, return its class."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, MethodType | staticmethod):
            function = function.__func__
        else:
            return function if hasattr(function, "__qualname__") else type(function)


def name_of(function: Any) -> str:
    """Return the module and name of something that can be called. They are the same in every process."""
    found = function_of(function)
    return f"{found.__module__}.{found.__qualname__}"
