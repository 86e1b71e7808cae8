"""Values cached on an environment, so that they live as long as the environment does."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

from jinja2 import Environment

__all__ = ["PerEnvironment"]

T = TypeVar("T")


class PerEnvironment(Generic[T]):
    """One value per environment. Thread-safe.

    A weak-key dictionary would not do: the values refer to their environment and would keep it alive forever.

    Args:
        name: Distinguishes the value from other cached values.
        make: Makes the value for an environment.
    """

    def __init__(self, name: str, make: Callable[[Environment], T]) -> None:
        self._attribute = f"starlette_reactive_{name}"
        self._make = make
        self._lock = threading.RLock()

    def of(self, env: Environment) -> T:
        """Return the environment's value. The first call makes it."""
        with self._lock:
            found: tuple[weakref.ref[Environment], T] | None = getattr(env, self._attribute, None)
            if found is None or found[0]() is not env:  # an overlay copies its parent's attributes
                found = (weakref.ref(env), self._make(env))
                setattr(env, self._attribute, found)
            return found[1]
