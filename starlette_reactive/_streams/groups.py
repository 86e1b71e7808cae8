"""The groups of an event loop: which one a stream joins, and how all of them end."""

from __future__ import annotations

import contextvars
from collections.abc import Hashable

from anyio.lowlevel import RunVar

from .._bus.hub import Hub
from .group import Group
from .group_options import GroupOptions

__all__ = ["end_streams", "finish_renders", "group_for"]

_shared: RunVar[dict[Hashable, Group]] = RunVar("starlette_reactive_shared_groups")
_running: RunVar[set[Group]] = RunVar("starlette_reactive_running_groups")


def group_for(options: GroupOptions, share: Hashable | None) -> Group:
    """Return the group that a stream belongs to in the running event loop, started.

    Args:
        options: How its viewers are served.
        share: Streams of the same bus, index, scope and share key share a group. ``None`` means a group of its own.
    """
    running = _running_groups()
    if share is None:
        group = Group(options, on_end=running.discard)
        running.add(group)
        group.start(contextvars.copy_context())
        return group
    shared = _shared_groups()
    key = (options.hub, options.registry, options.scope, share)
    found = shared.get(key)
    if found is None:
        found = shared[key] = Group(
            options,
            on_close=lambda group: shared.pop(key) if shared.get(key) is group else None,
            on_end=running.discard,
        )
        running.add(found)
        found.start(contextvars.Context())  # a shared render sees no viewer's context variables
    return found


def end_streams(hub: Hub) -> None:
    """End all streams of a bus in the running event loop, as a stopping server does."""
    for group in _running_on(hub):
        group.shut_down()


async def finish_renders(hub: Hub) -> None:
    """Wait for the renders of streams that have ended. One that takes too long is cancelled."""
    for group in _running_on(hub):
        await group.ended.wait()


def _running_on(hub: Hub) -> list[Group]:
    return [group for group in _running_groups() if group.options.hub is hub]


def _running_groups() -> set[Group]:
    """Return the groups whose task has not ended, including those that have no viewer left."""
    groups = _running.get(None)
    if groups is None:
        groups = set()
        _running.set(groups)
    return groups


def _shared_groups() -> dict[Hashable, Group]:
    groups = _shared.get(None)
    if groups is None:
        groups = {}
        _shared.set(groups)
    return groups
