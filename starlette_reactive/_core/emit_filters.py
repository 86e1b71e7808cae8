"""What stands between an emit and the bus in some contexts: while a page is updated, and while a viewer is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .events import ChangeEvent

__all__ = ["UPDATE_MARK", "EmitFilter", "as_emitted", "caused_by_update", "emit_filter", "filtering"]

EmitFilter = Callable[[ChangeEvent], ChangeEvent | None]
"""Returns the event to emit instead. ``None`` emits nothing now."""

UPDATE_MARK = "~"
"""Begins the origin of a change that was made while a page was updated. A digest of the page's key follows."""

emit_filter: ContextVar[EmitFilter | None] = ContextVar("starlette_reactive_emit_filter", default=None)
"""The filter of the emits in this context."""

caused_by_update: ContextVar[bool] = ContextVar("starlette_reactive_caused_by_update", default=False)
"""Whether the update in this context was caused only by changes that were made while a page was updated."""


@contextmanager
def filtering(function: EmitFilter) -> Iterator[None]:
    """Filter the emits in the block, and in what it calls."""
    token = emit_filter.set(function)
    try:
        yield
    finally:
        emit_filter.reset(token)


def as_emitted(event: ChangeEvent) -> ChangeEvent | None:
    """Return an event as this context emits it, to emit it in another thread. ``None`` if it is for nobody."""
    allowed = emit_filter.get()
    filtered = event if allowed is None else allowed(event)
    return None if filtered is None and caused_by_update.get() else filtered or event
