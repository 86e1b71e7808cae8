"""One open stream, as its group sees it: what it has been sent, and what it is owed.

A viewer holds no patches, only numbers. The *sequence* is the newest batch of the feed that it was served; versions
say which patch of a block it holds.

A viewer's own change is not sent back to it, because the answer to its request shows it. But an update that was
rendered before that change may reach the page after that answer, and would stay. So two kinds of own changes are sent
all the same: those of blocks that the viewer was sent within the last :data:`CROSSING_WINDOW` seconds, which are
repeated :data:`REPEAT_DELAY` seconds later unless an update in between has shown them, and those that are in the log
when it connects.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from .._clients import Client
from .._core.blocks import BlockRef
from .._index.tables import RenderPlan
from .._log.changelog import Change
from .connections import FAREWELL_TIMEOUT
from .servers import Server

__all__ = ["CROSSING_WINDOW", "REPEAT_DELAY", "Viewer"]

CROSSING_WINDOW = 10.0
"""Seconds within which the answer to a page's own request may overtake an update on its way to that page."""
REPEAT_DELAY = 2.0
"""Seconds after which a viewer is sent its own change, where an update may have crossed it."""


class Viewer:
    """One stream's place in a group.

    Args:
        user_id: The user that audiences are checked against.
        origin: The mark whose own changes are not sent back.
        client: The client that patches are encoded for.
        position: The position in the change log up to which its page is known to be current. ``None`` means unknown.
        abort: Called when the stream stalls.
        connected_at: The position in the change log when it connected. Its own changes up to there are sent to it.
        session_id: The session id of its connection. A second connection with the same one is a duplicated tab.
        server: What serves the stream.
        wake_own: Wakes the group that renders the viewer's personal blocks, to read the change log up to a position.
            ``None`` if there is no such group.
    """

    __slots__ = (
        "abort",
        "altered_at",
        "began_at",
        "caught_up",
        "client",
        "connected_at",
        "crossed_paths",
        "end_reason",
        "heartbeat",
        "held_versions",
        "is_outdated",
        "on_end",
        "origin",
        "plan",
        "planned_at",
        "position",
        "repeat_at",
        "repeated_paths",
        "sending_since",
        "sent_at",
        "sequence",
        "server",
        "session_id",
        "user_id",
        "wake_own",
        "whole_since",
    )

    def __init__(
        self,
        user_id: str | None,
        origin: str | None,
        client: Client,
        position: int | None,
        abort: Callable[[], object],
        connected_at: int = 0,
        session_id: str | None = None,
        server: Server | None = None,
        wake_own: Callable[[int], object] | None = None,
    ) -> None:
        self.session_id: str | None = session_id
        self.user_id: str | None = user_id
        self.origin: str | None = origin
        self.client: Client = client
        self.position: int | None = position
        self.began_at: int | None = position
        self.abort: Callable[[], object] = abort
        self.server: Server | None = server
        self.wake_own: Callable[[int], object] | None = wake_own
        self.heartbeat: int = 0  # the newest heartbeat of the group that it was sent
        self.sending_since: float | None = None
        self.end_reason: str | None = None
        self.on_end: Callable[[], object] | None = None  # called when it gets a reason to end
        self.is_outdated: bool = False  # whether it restarts before it is sent what changes next
        self.caught_up: bool = False
        self.plan: RenderPlan | None = None  # what it was owed when it was last served, unless it is caught up
        self.planned_at: int = 0  # the feed's position then
        self.sequence: int = 0
        self.whole_since: int = 0  # it took every batch after this one and up to `sequence` whole
        self.held_versions: dict[BlockRef, int] = {}  # versions it was sent in other ways
        self.altered_at: dict[BlockRef, int] = {}  # the sequence in which something else altered what it holds
        self.connected_at: int = connected_at
        self.crossed_paths: frozenset[str] = frozenset()  # paths of its own changes that an update may have crossed
        self.repeat_at: float = float("inf")  # when those are due
        self.repeated_paths: frozenset[str] = frozenset()  # paths of its own changes that it is owed
        self.sent_at: dict[BlockRef, float] = {}  # only for viewers with an origin

    def end(self, reason: str) -> None:
        """Give it a reason to end, unless it has one."""
        if self.end_reason is None:
            self.end_reason = reason
            if self.on_end is not None:
                self.on_end()

    def is_owed(self, change: Change, after: int) -> bool:
        """Return whether a change of a path after a position must be sent to this viewer."""
        if change.position_for(self.user_id, self.origin) > after:
            return True
        if change.position <= after or not self.is_in_audience(change):
            return False
        return change.position <= self.connected_at or change.path in self.repeated_paths

    def is_in_audience(self, change: Change) -> bool:
        """Return whether a change is for this viewer's user, whoever made it."""
        return change.audience is None or self.user_id in change.audience

    def is_stalled(self, now: float, timeout: float | None) -> bool:
        """Return whether a send takes longer than the time-out, or longer than a stream that has to end may take."""
        if self.end_reason is not None:
            timeout = FAREWELL_TIMEOUT
        return timeout is not None and self.sending_since is not None and now - self.sending_since > timeout

    def note_sent(self, blocks: Iterable[BlockRef]) -> None:
        """Record when blocks were sent. Needed only for viewers with an origin."""
        now = time.monotonic()
        for ref in blocks:
            self.sent_at[ref] = now

    def note_crossed(self, change: Change, touched: Iterable[BlockRef]) -> None:
        """Record an own change; one that an update may have crossed is repeated later.

        Args:
            change: The viewer's own change.
            touched: The blocks whose HTML it may alter.
        """
        if not self.is_in_audience(change):
            return
        since = (self.sending_since or time.monotonic()) - CROSSING_WINDOW
        if any(self.sent_at.get(ref, 0.0) > since for ref in touched):
            self.crossed_paths |= {change.path}
            self.repeat_at = min(self.repeat_at, time.monotonic() + REPEAT_DELAY)
            self.caught_up = False

    def repeat_crossed(self) -> None:
        """Owe it its crossed changes."""
        self.plan = None
        self.repeated_paths |= self.crossed_paths
        self.crossed_paths = frozenset()
        self.repeat_at = float("inf")

    def rewind(self, position: int | None) -> None:
        """Owe it what changed since an earlier position, for when it connects again. ``None`` owes it all blocks."""
        known = position is not None and self.position is not None
        self.position = min(position or 0, self.position or 0) if known else None

    def become(self, user_id: str | None) -> None:
        """Judge audiences for another user, also those of what changed before it connected."""
        self.user_id = user_id
        self.position = self.began_at
        self.plan = None
        self.caught_up = False

    def reset(self) -> None:
        """Owe it all blocks: which changes were its own is no longer known."""
        self.held_versions.clear()
        self.altered_at.clear()
        self.whole_since = self.sequence
        self.position = None
        self.plan = None
        self.caught_up = False
