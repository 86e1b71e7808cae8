"""Which viewers of a group changes concern, and in what way."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from .._bus.hub import Hub
from .._index.registry import Registry
from .._log.changelog import Change, Reading
from .feed import Feed
from .group_scopes import GroupScopes
from .viewer import Viewer

__all__ = ["note_own", "owed_paths", "part_twins", "wake_own_groups"]


def note_own(
    feed: Feed,
    registry: Registry,
    viewers: Collection[Viewer],
    changes: Sequence[Change],
    before: int,
    origins: frozenset[str],
) -> bool:
    """Record what viewers may have changed themselves. Return whether there is such a viewer.

    Args:
        feed: What they take.
        registry: Which blocks show what.
        viewers: The viewers.
        changes: The changes.
        before: The position after which the changes are.
        origins: Their last origins.
    """
    several = any(change.other_position > before for change in changes)
    authors = [viewer for viewer in viewers if viewer.origin is not None and (several or viewer.origin in origins)]
    if not authors:
        return False
    touched = {
        change: registry.plan(frozenset((change.path,))).touched
        for change in changes
        if change.origin is not None or change.other_position > before
    }
    for viewer in authors:
        feed.note_own(viewer, touched, before)
    return True


def owed_paths(
    changes: Sequence[Change], before: int, viewers: Collection[Viewer], scopes: GroupScopes
) -> frozenset[str]:
    """Return the paths that changed after a position and that at least one viewer is owed."""
    return frozenset(
        change.path
        for change in changes
        if (change.for_all and scopes.are_of_all((change,), len(viewers)))
        or any(viewer.is_owed(change, before) for viewer in viewers)
    )


def part_twins(viewers: Collection[Viewer], origins: frozenset[str], hub: Hub, scope: str) -> None:
    """Tell every tab of a page that was duplicated of the changes of the others."""
    for viewer in viewers:
        if viewer.origin in origins and hub.has_twin(scope, viewer.session_id):
            viewer.origin = None


def wake_own_groups(
    viewers: Collection[Viewer],
    personal: Registry | None,
    reading: Reading,
    changed: frozenset[str],
) -> None:
    """Wake the groups that render the viewers' personal blocks, if changes may concern those.

    Args:
        viewers: The viewers.
        personal: The personal blocks. ``None`` if there are none.
        reading: The changes.
        changed: Their paths.
    """
    if personal is None or not personal.plan(changed).touched:
        return
    changes = reading.changes
    for viewer in viewers:
        if viewer.wake_own is not None and (changes is None or any(map(viewer.is_in_audience, changes))):
            viewer.wake_own(reading.position)
