"""One open stream, as its group sees it: what it has been sent, and what it is owed.

A viewer holds no patches, only numbers. The *sequence* is the newest batch of the feed that it was served; versions
say which patch of a block it holds.

The answer to a viewer's own request shows its change. But that answer may be lost, and an update that was rendered
before the change may reach the page after the answer. So the viewer of a page receives its own changes too: at once
if its client tells such updates from others, else :data:`REPEAT_DELAY` seconds later, after the answer. An
application's own stream does not receive changes of its origin, except where an older update could outlast the answer:
those of blocks that it was sent before, which come as late, and those that are in the log when it connects.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterable

from .._clients import Client
from .._core.blocks import BlockRef
from .._index.tables import RenderPlan
from .._log.changelog import Change
from .._log.several import Starts
from .connections import FAREWELL_TIMEOUT
from .servers import Server

__all__ = ["FINAL_REASONS", "REPEAT_DELAY", "Viewer"]

REPEAT_DELAY = 2.0
"""Seconds after which a viewer is sent its own change, if its client cannot tell it from the changes of others."""
FINAL_REASONS = frozenset({"closed", "refused", "signed-out"})
"""Why a stream ends for good: the bus has closed it, the application refuses the viewer, or has signed it out."""


class Viewer:
    """One stream's place in a group.

    Args:
        user_id: The user that audiences are checked against.
        origin: The mark of its own changes. ``None`` if it has none, or shares it with another tab.
        client: The client that patches are encoded for.
        position: The position in the change log up to which its page is known to be current. ``None`` means unknown.
        abort: Called when the stream stalls.
        connected_at: The position in the change log when it connected. Its own changes up to there are sent to it like
            those of others.
        session_id: The session id of its connection. A second connection with the same one is a duplicated tab.
        server: What serves the stream.
        tells_own: Whether it receives its own changes, too, as pages are.
        scopes: The scopes that concern it, of which the first one is that of the group. Empty if all scopes of the
            group do.
        owed_paths: Paths that it is owed besides what changes, because its page shows them as deferred.
        starts: Its scopes, each with the position where it begins there. ``None`` if it has one scope.
        cursor: The cursor that it has come with.
    """

    __slots__ = (
        "abort",
        "altered_at",
        "began_at",
        "caught_up",
        "client",
        "connected_at",
        "crossed_paths",
        "cursor",
        "end_reason",
        "heartbeat",
        "held_versions",
        "is_outdated",
        "on_end",
        "origin",
        "own_after",
        "plan",
        "planned_at",
        "position",
        "repeat_at",
        "repeated_paths",
        "scopes",
        "sending_since",
        "sent",
        "sent_own",
        "sequence",
        "server",
        "session_id",
        "starts",
        "tells_own",
        "texts",
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
        *,
        tells_own: bool = False,
        scopes: tuple[str, ...] = (),
        starts: Starts | None = None,
        owed_paths: frozenset[str] = frozenset(),
        cursor: str | None = None,
    ) -> None:
        self.cursor: str | None = cursor
        self.scopes: tuple[str, ...] = scopes
        self.starts: Starts | None = starts
        self.tells_own: bool = tells_own
        self.session_id: str | None = session_id
        self.user_id: str | None = user_id
        self.origin: str | None = origin
        self.client: Client = client
        self.position: int | None = position
        self.began_at: int | None = position
        self.abort: Callable[[], object] = abort
        self.server: Server | None = server
        self.wake_own: Callable[[int], object] | None = None  # wakes the group of its personal blocks, if it has one
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
        self.texts: dict[BlockRef, int] = {}  # versions of the lists whose text its client has
        self.altered_at: dict[BlockRef, int] = {}  # the sequence in which something else altered what it holds
        self.connected_at: int = connected_at
        self.own_after: int = connected_at  # up to this position, what is sent to it does not count as its own
        self.crossed_paths: dict[str, float] = {}  # paths of its own changes, and when it receives them
        self.repeat_at: float = math.inf  # when the first of those is due
        self.repeated_paths: frozenset[str] = owed_paths  # with paths of its own changes that it is owed
        self.sent: set[BlockRef] = set()  # the blocks that it was sent, if that decides what it receives
        self.sent_own: dict[BlockRef, int] = {}  # versions that it was sent as its own since it was last caught up

    @property
    def others(self) -> tuple[str, ...]:
        """Its scopes besides the one that its group has in any case."""
        return self.scopes[1:]

    def start_in(self, scope: str) -> int:
        """Return the position where it begins in one of its scopes."""
        return 0 if self.starts is None else self.starts[scope]

    @property
    def skipped_origin(self) -> str | None:
        """The mark whose changes it does not receive at once."""
        return None if self.tells_own and self.client.own is not None else self.origin

    def end(self, reason: str) -> None:
        """Give it a reason to end, unless it has one."""
        if self.end_reason is None:
            self.end_reason = reason
            if self.on_end is not None:
                self.on_end()

    def is_owed(self, change: Change, after: int) -> bool:
        """Return whether a change of a path after a position must be sent to this viewer."""
        if change.position_for(self.user_id, self.skipped_origin) > after:
            return self.has_scope_of(change)
        if change.position <= after or not self.is_in_audience(change):
            return False
        return change.position <= self.connected_at or change.path in self.repeated_paths

    def is_in_audience(self, change: Change) -> bool:
        """Return whether a change is in a scope of this viewer and for its user."""
        return (change.audience is None or self.user_id in change.audience) and self.has_scope_of(change)

    def has_scope_of(self, change: Change) -> bool:
        """Return whether a change is in a scope of this viewer."""
        return not self.scopes or change.scope in self.scopes

    def is_stalled(self, now: float, timeout: float | None) -> bool:
        """Return whether a send takes longer than the timeout, or longer than a stream that has to end may take."""
        if self.end_reason is not None:
            timeout = FAREWELL_TIMEOUT
        return timeout is not None and self.sending_since is not None and now - self.sending_since > timeout

    def note_sent(self, blocks: Iterable[BlockRef]) -> None:
        """Record that blocks were sent, if that decides which own changes it receives."""
        if self.origin is not None and not self.tells_own:
            self.sent.update(blocks)

    def note_crossed(self, change: Change, touched: Collection[BlockRef]) -> None:
        """Record an own change that it does not receive at once.

        Args:
            change: The viewer's own change.
            touched: The blocks whose HTML it may alter.
        """
        is_told = bool(touched) if self.tells_own else not self.sent.isdisjoint(touched)
        if is_told and self.is_in_audience(change):
            self.crossed_paths[change.path] = time.monotonic() + REPEAT_DELAY
            self.repeat_at = min(self.crossed_paths.values())
            self.caught_up = False

    def repeat_crossed(self, now: float) -> frozenset[str]:
        """Owe it the own changes that are due by now. Return their paths."""
        due = frozenset(path for path, at in self.crossed_paths.items() if at <= now)
        for path in due:
            del self.crossed_paths[path]
        self.repeat_at = min(self.crossed_paths.values(), default=math.inf)
        self.repeated_paths |= due
        self.plan = None
        return due

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

    def begin_at(self, position: int | None, latest: int, starts: Starts | None, fed: int) -> None:
        """Begin elsewhere, before it is sent anything, because it has further scopes.

        Args:
            position: The position up to which its page is known to be current. ``None`` means unknown.
            latest: The position in the change log now.
            starts: Its scopes, each with the position where it begins there.
            fed: The position of the feed.
        """
        self.position = self.began_at = position
        self.connected_at = self.own_after = latest
        self.starts = starts
        self.plan = None
        self.caught_up = position is not None and position >= fed

    def reset(self) -> None:
        """Owe it all blocks: which changes were its own is no longer known."""
        self.held_versions.clear()
        self.sent_own.clear()
        self.altered_at.clear()
        self.texts.clear()
        self.whole_since = self.sequence
        self.position = None
        self.plan = None
        self.caught_up = False
