"""``varies()``: marks a value in a template that differs between two renders by nature, such as the time or a nonce.

An audit compares what two viewers would be shown. So that such values are equal there, its first run keeps them, and
each run that is compared with it is given the same ones, in the order of the calls. HTML is compared as it is, so
nothing is added to it that could reach a browser, and filters may follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .._templates import declare_reads

__all__ = ["Varying", "varies"]


class Varying:
    """The values of one audit that vary by nature."""

    _current: ContextVar[Varying | None] = ContextVar("starlette_reactive_varying", default=None)

    def __init__(self) -> None:
        self._values: list[object] = []
        self._next = 0

    @classmethod
    def current(cls) -> Varying | None:
        """Return those of the audit that is rendering. ``None`` if none is."""
        return cls._current.get()

    @contextmanager
    def rendering(self) -> Iterator[None]:
        """Keep the values of a run, or give it those that are kept."""
        self._next = 0
        token = self._current.set(self)
        try:
            yield
        finally:
            self._current.reset(token)

    def value(self, value: object) -> object:
        """Return what replaces the next value."""
        if self._next == len(self._values):
            self._values.append(value)
        self._next += 1
        return self._values[self._next - 1]


@declare_reads()
def varies(value: object) -> object:
    """Return a value that differs between two renders by nature."""
    varying = Varying.current()
    return value if varying is None else varying.value(value)
