"""What is kept of an environment, on the environment itself, so that it goes when the environment goes."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

from jinja2 import Environment

__all__ = ["Kept"]

T = TypeVar("T")


class Kept(Generic[T]):
    """One value for each environment.

    A table of weak references would not do: what is kept refers to its environment, and so would keep it for ever.

    Args:
        name: Tells it from other values that are kept.
        make: Makes the value.
    """

    def __init__(self, name: str, make: Callable[[Environment], T]) -> None:
        self._attribute = f"starlette_reactive_{name}"
        self._make = make
        self._lock = threading.RLock()

    def of(self, env: Environment) -> T:
        """Return the environment's value, made when it is first asked for."""
        with self._lock:
            found: tuple[weakref.ref[Environment], T] | None = getattr(env, self._attribute, None)
            if found is None or found[0]() is not env:  # an overlay has copies of its parent's attributes
                found = (weakref.ref(env), self._make(env))
                setattr(env, self._attribute, found)
            return found[1]
