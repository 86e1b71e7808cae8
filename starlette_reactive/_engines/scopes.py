"""Following scopes: loading their histories, and passing their events on to the bus.

What must hold:

- **The bus gets no event of a scope before the scope's history.** Events that arrive while the history is loading are
  held, and delivered after it.
- **A gap is never passed over.** If an event's predecessor has not arrived, the history is loaded again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence

from .._core.events import ChangeEvent
from .._core.paths import ALL
from .._log.replica import History
from .alarms import Alarms
from .engine import Session
from .messages import DeliveredEvent, LevelReached, MemberChange
from .relay import LocalBus
from .remote_members import RemoteMembers

__all__ = ["ScopeFollower"]

logger: logging.Logger = logging.getLogger("starlette_reactive.engines")

_SCOPES_AT_ONCE = 500
_HELD_LIMIT = 1000  # messages of a scope that are held while its history is loading


class ScopeFollower:
    """Attaches and detaches scopes, and delivers their events. Everything runs in the relay's event loop.

    Args:
        members: The members in other processes.
        alarms: Wakes the task that attaches and detaches.
        patience: How long to wait for an answer of the engine, in seconds.
    """

    def __init__(self, members: RemoteMembers, alarms: Alarms, patience: float) -> None:
        self._members = members
        self._alarm = alarms.add(lambda: self._to_attach or self._to_detach)
        self._patience = patience
        self._local: LocalBus | None = None
        self._process = ""
        self._wanted: dict[str, float | None] = {}  # scopes, with when the last viewer left; None while viewed
        self._to_attach: dict[str, None] = {}
        self._to_detach: dict[str, None] = {}
        self._held: dict[str, list[DeliveredEvent | MemberChange]] = {}  # for scopes whose histories are loading
        self._stamps: dict[str, int] = {}  # of the last event delivered

    @property
    def bus(self) -> LocalBus:
        """The bus to deliver to."""
        assert self._local is not None  # noqa: S101 - nothing is posted before a bus is bound
        return self._local

    @bus.setter
    def bus(self, bus: LocalBus) -> None:
        self._local = bus

    def begin(self, process: str, session: Session) -> None:
        """Begin a session: attach every scope again."""
        self._process = process
        self._held.clear()
        self._to_detach.clear()
        self.bus.begin(session.epoch)
        self._to_attach = dict.fromkeys(self._wanted)

    # Requests of the bus

    def attach(self, scope: str) -> None:
        """Follow a scope, which is viewed now."""
        if scope not in self._wanted:
            self._to_attach[scope] = None
        self._to_detach.pop(scope, None)
        self._wanted[scope] = None

    def detach(self, scope: str, now: float) -> None:
        """Note that a scope has no viewers any more."""
        if scope in self._wanted:
            self._wanted[scope] = now

    # Messages

    def deliver(self, message: DeliveredEvent) -> None:
        """Deliver an event to the bus if its scope is followed."""
        scope = message.event.scope
        if scope not in self._wanted or self._hold(scope, message):
            return
        if message.previous is None:
            self.bus.deliver(message.event, message.stamp, None)
            return
        last = self._stamps.get(scope, 0)
        if message.previous > last or message.stamp <= last:
            logger.warning("missed events of scope %r: loading its history again", scope)
            self._load_again(scope)
            return
        self._stamps[scope] = message.stamp
        self.bus.deliver(message.event, message.stamp, message.stamp)

    def change_member(self, message: MemberChange) -> None:
        """Add or remove a member of another process."""
        scope = message.scope
        if message.process != self._process and scope in self._wanted and not self._hold(scope, message):
            self._members.apply(message)

    def reach_level(self, message: LevelReached) -> None:
        """Pass a level on to the bus, unless events up to it may still be held or missing."""
        if not self._held and not self._to_attach:
            self.bus.reach_level(message.level)

    def _hold(self, scope: str, message: DeliveredEvent | MemberChange) -> bool:
        """Hold a message back if its scope's history is loading, and return whether it is."""
        held = self._held.get(scope)
        if held is None:
            return False
        held.append(message)
        if len(held) > _HELD_LIMIT:
            held.clear()
            self._to_attach[scope] = None  # the next history contains what was held
            self._alarm.ring()
        return True

    def _load_again(self, scope: str) -> None:
        """Load the history of a scope of which events are missing."""
        self.bus.forget(scope)
        self._held.setdefault(scope, [])
        self._to_attach[scope] = None
        self._alarm.ring()

    def render_all(self, scopes: Collection[str]) -> None:
        """Have everything rendered that shows these scopes: members of theirs are gone without an event."""
        for scope in scopes:
            level = self.bus.level(scope)
            if level is not None:
                self.bus.deliver(ChangeEvent(scope, (ALL,)), level, None)

    # Attaching and detaching

    async def run(self, session: Session) -> None:
        """Attach and detach scopes."""
        while True:
            await self._alarm.wait()
            while self._to_attach or self._to_detach:
                await self._attach_some(session)
                await self._detach_some(session)

    async def _attach_some(self, session: Session) -> None:
        scopes = list(self._to_attach)[:_SCOPES_AT_ONCE]
        for scope in scopes:
            del self._to_attach[scope]
            self._to_detach.pop(scope, None)
            self._held[scope] = []
        if not scopes:
            return
        async with asyncio.timeout(self._patience * 2):
            found = await session.attach({scope: self.bus.level(scope) for scope in scopes})
        for scope in scopes:
            history, roster = found[scope]
            has_lost_members = self._members.load(scope, roster, own_process=self._process)
            self._load(scope, history)
            if has_lost_members:
                self.render_all((scope,))

    def _load(self, scope: str, history: History) -> None:
        self.bus.load(scope, history)
        self._stamps[scope] = history.level
        for message in self._held.pop(scope, ()):
            if isinstance(message, MemberChange):
                self.change_member(message)
            elif message.previous is None or message.stamp > history.level:
                self.deliver(message)

    async def _detach_some(self, session: Session) -> None:
        scopes = list(self._to_detach)[:_SCOPES_AT_ONCE]
        self._to_detach = {scope: None for scope in self._to_detach if scope not in scopes}
        gone = [scope for scope in scopes if self._wanted.get(scope) is not None and self.bus.unload(scope)]
        for scope in gone:
            for known in (self._wanted, self._stamps, self._held):
                known.pop(scope, None)
            self._members.forget(scope)
        if gone:
            async with asyncio.timeout(self._patience):
                await session.detach(gone)

    def detach_unviewed(self, before: float) -> None:
        """Detach the scopes whose last viewer left before a time."""
        for scope, since in self._wanted.items():
            if since is not None and since < before:
                self._to_detach[scope] = None
        if self._to_detach:
            self._alarm.ring()

    # Checking positions

    def loaded_scopes(self) -> Sequence[str]:
        """Return the scopes whose histories have been loaded at least once."""
        return list(self._stamps)

    async def check_positions(self, session: Session, scopes: Sequence[str]) -> None:
        """Load the histories of those scopes again of which the engine has an event that has not arrived."""
        levels = {scope: self._stamps[scope] for scope in scopes if scope in self._stamps and scope not in self._held}
        for scope in await session.changed_since(levels) if levels else ():
            if self._stamps.get(scope) == levels[scope] and scope not in self._held:
                self._load_again(scope)
