"""The origin of what an endpoint emits without naming one: the mark of the page that sent its request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

from .events import ChangeEvent

__all__ = ["default_origin", "emitting_as", "with_default_origin", "without_default_origin"]


class _Endpoint:
    """One call of an endpoint. Tasks that it starts see it for longer than it runs.

    Args:
        origin: The mark of the page that sent the request.
    """

    __slots__ = ("origin",)

    def __init__(self, origin: str | None) -> None:
        self.origin = origin


_running: ContextVar[_Endpoint | None] = ContextVar("starlette_reactive_endpoint", default=None)


@contextmanager
def emitting_as(origin: str | None) -> Iterator[None]:
    """Let changes that are emitted in the block, and in what it calls, have an origin unless they have one."""
    endpoint = _Endpoint(origin)
    token = _running.set(endpoint)
    try:
        yield
    finally:
        _running.reset(token)
        endpoint.origin = None


@contextmanager
def without_default_origin() -> Iterator[None]:
    """Let changes that are emitted in the block have the origin that they name, or none."""
    token = _running.set(None)
    try:
        yield
    finally:
        _running.reset(token)


def default_origin() -> str | None:
    """Return the origin of changes that are emitted here without one."""
    endpoint = _running.get()
    return None if endpoint is None else endpoint.origin


def with_default_origin(event: ChangeEvent) -> ChangeEvent:
    """Return an event with the default origin, unless it has one."""
    origin = default_origin() if event.origin is None else None
    return event if origin is None else replace(event, origin=origin)
