"""The scopes of a group: the one that all of its viewers have, and further ones that each viewer has or not.

A change in a further scope is like one with an audience: it concerns the viewers who have the scope. The group reads
all of its scopes at once, up to one position, so that position and its cursor stand for the scopes of every viewer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .._log.changelog import Change, Reading
from .._log.several import Starts
from .alarm import Alarm
from .group_options import GroupOptions
from .trace import GroupTraces
from .viewer import Viewer

__all__ = ["GroupScopes"]


class GroupScopes:
    """The scopes of a group's viewers, and what changes in them.

    Args:
        options: How they are served: by which bus, and in which scope in any case.
        alarm: Rings for the events of the scopes.
        traces: Report which scopes there are.
    """

    __slots__ = ("_alarm", "_exact", "_hub", "_ignored_origin", "_scope", "_starts", "_traces", "_viewers")

    def __init__(self, options: GroupOptions, alarm: Alarm, traces: GroupTraces) -> None:
        self._hub = options.hub
        self._scope = scope = options.scope
        self._alarm = alarm
        self._traces = traces
        self._exact = options.alone  # the group then has no scope that a viewer does not have
        self._ignored_origin = options.own_origin
        self._starts: dict[str, int] = {scope: 0}  # where the group begins in each scope
        self._viewers: Counter[str] = Counter()  # how many there are in each further scope

    # Which there are

    def expect(self, others: Sequence[str]) -> None:
        """Be woken from now on by the further scopes of a viewer that is about to join, too."""
        for scope in others:
            self._alarm.widen(scope)
            self._viewers[scope] += 1
            self._traces.viewers_in(scope, self._viewers[scope])

    def join(self, viewer: Viewer) -> None:
        """Begin where an expected viewer begins."""
        for scope in viewer.others:
            start = viewer.start_in(scope)
            self._starts[scope] = min(start, self._starts.get(scope, start))

    def leave(self, viewer: Viewer) -> None:
        """Be woken no longer by further scopes that no viewer has any more."""
        for scope in viewer.others:
            self._viewers[scope] -= 1
            self._traces.viewers_in(scope, self._viewers[scope])
            if not self._viewers[scope]:
                del self._viewers[scope], self._starts[scope]
                self._alarm.narrow(scope)

    def are_open_for(self, viewer: Viewer) -> bool:
        """Return whether the bus has closed none of a viewer's scopes since it was expected."""
        return not self._alarm.is_closed and self._alarm.rings_for(viewer.others)

    def are_of_all(self, changes: Sequence[Change], viewers: int) -> bool:
        """Return whether changes are in scopes that all of this number of viewers have."""
        if not self._viewers:
            return True
        return all(change.scope == self._scope or self._viewers[change.scope] == viewers for change in changes)

    # What changes

    def begin(self) -> Reading:
        """Return what the group begins with: no change, up to now."""
        location = self._hub.locate(self._scope, None)
        return Reading(location.latest, location.cursor, ())

    def read(self, after: int | None) -> Reading:
        """Return what changed after a position, as far as it concerns the group. ``None`` is an unknown position."""
        return self._concerning(self.read_all(after), after)

    def read_all(self, after: int | None) -> Reading:
        """Return everything that changed after a position."""
        return self._hub.read(self._scope, after, self._all_starts, exact=self._exact)

    def read_for(self, viewer: Viewer, after: int | None) -> Reading:
        """Return what changed after a position in the scopes of a viewer, as far as it concerns the group."""
        return self._concerning(self._hub.read(self._scope, after, viewer.starts), after)

    def read_further(self, scope: str, viewer: Viewer) -> Reading:
        """Return what changed in a further scope of a viewer since its page was rendered."""
        return self._hub.read(scope, None if viewer.position is None else viewer.start_in(scope))

    def have_news_for(self, viewer: Viewer, position: int) -> bool:
        """Return whether a viewer's further scopes may have events after a position that have woken nobody here."""
        others = viewer.others
        return bool(others) and self._hub.locate(others[0], None, others[1:]).latest > position

    def cursor_at(self, position: int | None, viewer: Viewer | None = None) -> str:
        """Return the cursor of a position for a viewer, or one for all viewers."""
        if viewer is not None:
            return self._hub.cursor_at(self._scope, position, viewer.starts)
        return self._hub.cursor_at(self._scope, position, self._all_starts, exact=self._exact)

    @property
    def _all_starts(self) -> Starts | None:
        return self._starts if self._viewers else None

    def _concerning(self, reading: Reading, after: int | None) -> Reading:
        return reading if self._ignored_origin is None else reading.without(self._ignored_origin, after or 0)
