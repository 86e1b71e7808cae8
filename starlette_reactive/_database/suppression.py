"""The switch that lets writes go unreported, for all that reports them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["is_suppressed", "suppressed"]

_suppressed: ContextVar[bool] = ContextVar("starlette_reactive.sqlalchemy.suppressed", default=False)


@contextmanager
def suppressed() -> Iterator[None]:
    """Emit nothing for flushes, statements and commits of this thread or task inside the ``with`` block.

    This includes tasks that are started inside, and threads that run in a copy of the context.
    """
    token = _suppressed.set(True)
    try:
        yield
    finally:
        _suppressed.reset(token)


def is_suppressed() -> bool:
    """Return whether this context is inside the block of :func:`suppressed`."""
    return _suppressed.get()
