"""Collecting what connection callbacks emit, so that many viewers who come and go are few updates.

The first change of presence is emitted at once. Those that follow within :data:`WINDOW` are merged and emitted at its
end, so a page that shows presence is updated at most once in a window, however many viewers connect.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable

import anyio
from anyio.lowlevel import RunVar

from .._bus.hub import Hub
from .._core.events import ChangeEvent
from .._core.loops import Mailbox, current_mailbox, spawn

__all__ = ["WINDOW", "Gatherer", "flush_presence", "gatherer_for", "pause"]

WINDOW = 0.5
"""Seconds for which changes of presence are collected."""


async def pause() -> None:
    """Wait until the end of a window."""
    await anyio.sleep(WINDOW)


_Key = tuple[str, frozenset[str] | None, str | None]


class Gatherer:
    """Collects the events of one bus in one event loop.

    Args:
        emit: Emits an event.
    """

    def __init__(self, emit: Callable[[ChangeEvent], object]) -> None:
        self._emit = emit
        self._mailbox: Mailbox = current_mailbox()
        self._gathered: dict[_Key, frozenset[str]] = {}

    def __call__(self, event: ChangeEvent) -> ChangeEvent | None:
        """Return the event if it is the first of a window. Collect it otherwise."""
        if not self._is_in_loop():
            return event
        key = (event.scope, event.audience, event.origin)
        if key in self._gathered:
            self._gathered[key] |= event.changed_paths
            return None
        self._open(key)
        return event

    def flush(self) -> None:
        """Emit everything that was collected."""
        for key in list(self._gathered):
            self._emit_gathered(key)

    def _is_in_loop(self) -> bool:
        try:
            return current_mailbox() is self._mailbox
        except RuntimeError:  # a worker thread
            return False

    def _open(self, key: _Key) -> None:
        self._gathered[key] = frozenset()
        spawn(lambda: self._close_later(key), name="starlette-reactive presence", context=contextvars.Context())

    async def _close_later(self, key: _Key) -> None:
        while key in self._gathered:
            await pause()
            self._emit_gathered(key)

    def _emit_gathered(self, key: _Key) -> None:
        paths = self._gathered.get(key)
        if paths:
            self._gathered[key] = frozenset()
            scope, audience, origin = key
            self._emit(ChangeEvent(scope, paths, origin, audience))
        else:
            self._gathered.pop(key, None)


_gatherers: RunVar[dict[Hub, Gatherer]] = RunVar("starlette_reactive_presence")


def gatherer_for(hub: Hub) -> Gatherer:
    """Return the gatherer of a bus in the running event loop."""
    gatherers = _gatherers.get(None)
    if gatherers is None:
        gatherers = {}
        _gatherers.set(gatherers)
    found = gatherers.get(hub)
    if found is None:
        found = gatherers[hub] = Gatherer(hub.emitter.emit_sync)
    return found


def flush_presence(hub: Hub) -> None:
    """Emit the changes of presence that a bus has collected in the running event loop, and forget the bus."""
    found = (_gatherers.get(None) or {}).pop(hub, None)
    if found is not None:
        found.flush()
