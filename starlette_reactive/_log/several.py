"""Several scopes of a change log, read as one.

Positions count the events of all scopes, so one position stands for all scopes of a reader. A reader has a *start* in
each scope besides: the position where it begins there. A replica places the history of a scope that it has just opened
above what it has about the others, so a cursor may stand for an earlier position in one scope than in another. Below
the start of a scope, nothing of that scope concerns the reader.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .changelog import Change, ChangeLog, Reading

__all__ = ["Starts", "begin_in", "positions_in", "read_in"]

Starts = Mapping[str, int]
"""The scopes of a reader in their order, each with the position where the reader begins."""


def read_in(log: ChangeLog, starts: Starts, after: int | None, *, exact: bool) -> Reading:
    """Return what changed in several scopes after a position. ``None`` stands for an unknown position.

    Args:
        log: The change log.
        starts: The scopes.
        after: The position.
        exact: Whether all who are given the cursor read exactly these scopes. Otherwise it is valid for any of them.
    """
    position = max(map(log.position, starts))
    known = positions_in(starts, position)
    cursor = log.cursor_of(known) if exact else log.common_cursor(known)
    return Reading(position, cursor, None if after is None else _changes(log, positions_in(starts, after)))


def _changes(log: ChangeLog, positions: Mapping[str, int]) -> tuple[Change, ...] | None:
    found: list[Change] = []
    for scope, after in positions.items():
        if log.position(scope) > after:
            changes = log.read(scope, after).changes
            if changes is None:
                return None
            found += changes
    return tuple(sorted(found, key=lambda change: change.position))


def positions_in(starts: Starts, position: int) -> dict[str, int]:
    """Return what a reader's position is in each scope."""
    return {scope: max(position, start) for scope, start in starts.items()}


def begin_in(log: ChangeLog, scopes: Sequence[str], cursor: str | None) -> tuple[int | None, Starts]:
    """Return the position of a cursor, and its starts. Without a cursor, they are those of the last events.

    The position is ``None``, and the starts are those of the last events, if the cursor is malformed or too old.
    """
    latest = {scope: log.position(scope) for scope in scopes}
    newest = max(latest.values())
    if cursor is None:
        return newest, latest
    found = log.parse_for(scopes, cursor)
    if found is None:
        return None, latest
    starts = dict(zip(scopes, found, strict=True))
    return min((start for scope, start in starts.items() if start < latest[scope]), default=newest), starts
