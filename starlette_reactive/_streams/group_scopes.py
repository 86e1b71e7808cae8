"""The scopes of a group: the one that all of its viewers have, and further ones that each viewer has or not.

A change in a further scope is like one with an audience: it concerns the viewers who have the scope. The group reads
all of its scopes at once, up to one position, so that position and its cursor stand for the scopes of every viewer.

The group of a tracked page has the scopes of what its runs read besides, see ``group_reads``. These change with each
run, so its cursors are valid for any of its scopes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from .._bus.hub import Location
from .._log.changelog import Change, Reading
from .._log.several import Starts
from .alarm import Alarm
from .group_options import GroupOptions
from .group_reads import GroupReads
from .trace import GroupTraces
from .viewer import Viewer

__all__ = ["GroupScopes"]


class GroupScopes:
    """The scopes of a group's viewers, and what changes in them.

    Args:
        options: How they are served: by which bus, and in which scope in any case.
        alarm: Rings for the events of the scopes.
        traces: Report which scopes there are.
        look_later: Called when something may have changed in scopes that are new.
    """

    __slots__ = (
        "_alarm",
        "_exact",
        "_hub",
        "_ignored_origin",
        "_is_shared",
        "_scope",
        "_starts",
        "_traces",
        "_viewers",
        "reads",
    )

    def __init__(
        self, options: GroupOptions, alarm: Alarm, traces: GroupTraces, look_later: Callable[[], object] = lambda: None
    ) -> None:
        self._hub = options.hub
        self._scope = scope = options.scope
        self._alarm = alarm
        self._traces = traces
        tracked = options.tracked is not None
        self.reads: GroupReads | None = GroupReads(options, alarm, traces, look_later) if tracked else None
        """What the group's runs read. ``None`` if the page is not tracked."""
        self._exact = options.alone and not tracked  # the group then has no scope that a viewer does not have
        self._is_shared = not options.alone
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

    def join(self, viewer: Viewer, position: int) -> None:
        """Begin where an expected viewer begins. Its page is unknown if the group's facts may not hold for it.

        Args:
            viewer: The viewer.
            position: The position of the feed.
        """
        if self.reads is not None and self.reads.are_known:
            if self._is_shared and self.reads.may_be_older_than(position):
                viewer.position = None
            self.reads.begin_where(viewer)
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

    def locate(self, cursor: str | None, others: Sequence[str]) -> Location:
        """Return the position of a viewer's cursor, in its scopes and in those of what the group reads."""
        tracked = self.reads.starts if self.reads is not None and self.reads.are_known else ()
        return self._hub.locate(self._scope, cursor, (*others, *tracked))

    # What changes

    def begin(self) -> Reading:
        """Return what the group begins with: no change, up to now."""
        location = self._hub.locate(self._scope, None)
        return Reading(location.latest, location.cursor, ())

    def read(self, after: int | None) -> Reading:
        """Return what changed after a position, as far as it concerns the group, which renders it.

        ``None`` is an unknown position.
        """
        reading = self._concerning(self._read_all(after), after)
        return reading if self.reads is None else self.reads.judged_for_group(reading, after or 0)

    def read_all(self, after: int | None) -> Reading:
        """Return everything that changed after a position."""
        reading = self._read_all(after)
        return reading if self.reads is None else self.reads.judged(reading, after or 0)

    def _read_all(self, after: int | None) -> Reading:
        return self._hub.read(self._scope, after, self._all_starts, exact=self._exact)

    def read_for(self, viewer: Viewer, after: int | None, up_to: int) -> Reading:
        """Return what changed after a position in the scopes of a viewer, as far as it concerns the group.

        Args:
            viewer: The viewer.
            after: The position. ``None`` is an unknown one.
            up_to: The position of the feed. The group itself finds what has changed later.
        """
        found = self._hub.read(self._scope, after, self._starts_of(viewer), exact=self._exact)
        reading = self._concerning(found, after)
        return reading if self.reads is None else self.reads.judged_for_viewer(reading, after or 0, up_to)

    def read_further(self, scope: str, viewer: Viewer) -> Reading:
        """Return what changed in a further scope of a viewer since its page was rendered."""
        return self._hub.read(scope, None if viewer.position is None else viewer.start_in(scope))

    @property
    def are_in_doubt(self) -> bool:
        """Whether a run is due that only compares what is shown."""
        return self.reads is not None and self.reads.is_in_doubt

    def have_news_for(self, viewer: Viewer, position: int) -> bool:
        """Return whether a viewer's further scopes may have events after a position that have woken nobody here."""
        others = viewer.others
        return bool(others) and self._hub.locate(others[0], None, others[1:]).latest > position

    def cursor_at(self, position: int | None, viewer: Viewer | None = None) -> str:
        """Return the cursor of a position for a viewer, or one for all viewers."""
        if viewer is not None:
            return self._hub.cursor_at(self._scope, position, self._starts_of(viewer), exact=self.reads is None)
        return self._hub.cursor_at(self._scope, position, self._all_starts, exact=self._exact)

    @property
    def _all_starts(self) -> Starts | None:
        if self.reads is None or not self.reads.starts:
            return self._starts if self._viewers else None
        return {**self.reads.starts, **self._starts}

    def _starts_of(self, viewer: Viewer) -> Starts | None:
        """Return the scopes of a viewer, and those of what the group reads, each with where the viewer begins there."""
        if self.reads is None or not self.reads.starts:
            return viewer.starts
        known = viewer.starts or {}
        own = {scope: known.get(scope, 0) for scope in (self._scope, *viewer.others)}
        return {**{scope: known.get(scope, start) for scope, start in self.reads.starts.items()}, **own}

    def _concerning(self, reading: Reading, after: int | None) -> Reading:
        return reading if self._ignored_origin is None else reading.without(self._ignored_origin, after or 0)
