"""What wakes a group: the bus, or another group of the page that it follows."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import anyio

from .._bus.hub import Hub
from .._core.loops import Signal, current_loop

__all__ = ["Alarm"]


class Alarm:
    """Wakes one group, from when it is made.

    Args:
        hub: The bus.
        scope: The scope whose events wake the group.
        turn: What groups take turns for, where many are woken at once.
        together: What the group has in common with groups of the same turn that are woken together with it.
    """

    __slots__ = ("_signal", "_subscription", "_together", "_turn")

    def __init__(self, hub: Hub, scope: str, turn: Hashable, together: Hashable) -> None:
        self._subscription = hub.watch(scope, turn, together)
        self._signal: Signal | None = None  # in place of the bus
        self._turn = turn
        self._together = together

    @property
    def is_closed(self) -> bool:
        """Whether the bus has closed the scope, or the alarm is closed."""
        return self._subscription.closed

    def widen(self, scope: str) -> None:
        """Ring for the events of a further scope, too."""
        self._subscription.widen(scope)

    def narrow(self, scope: str) -> None:
        """Ring for the events of a further scope no longer."""
        self._subscription.narrow(scope)

    def rings_for(self, scopes: Iterable[str]) -> bool:
        """Return whether it rings for the events of all these scopes: the bus has closed none of them."""
        return all(map(self._subscription.receives, scopes))

    @property
    def follows(self) -> bool:
        """Whether it is rung by another group."""
        return self._signal is not None

    def follow(self) -> None:
        """Be rung by another group from now on."""
        self._signal = Signal(current_loop())
        self._subscription.close()

    async def wait(self, pause: float | None) -> bool:
        """Sleep until it rings, or for a number of seconds. Return ``False`` if the bus has closed the scope."""
        if pause is None:
            return await self._sleep()
        with anyio.move_on_after(pause):
            return await self._sleep()
        return True

    async def _sleep(self) -> bool:
        if self._signal is None and await self._subscription.wait():
            return True
        if self._signal is None:
            return False
        await self._signal.wait()
        self._signal.clear()
        return True

    def ring(self) -> None:
        """Wake the group at once."""
        self._subscription.rouse()
        if self._signal is not None:
            self._signal.set()

    def ring_in_turn(self) -> None:
        """Wake the group at the pace of the event loop."""
        current_loop().pace.begin(self._turn, self.ring, together=self._together)

    def close(self) -> None:
        """Ring no more for events."""
        self._subscription.close()
