"""Waking the tasks of a relay's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["Alarm", "Alarms"]


class Alarm:
    """Wakes one task.

    Args:
        has_work: Returns whether the task has work.
    """

    def __init__(self, has_work: Callable[[], object]) -> None:
        self.has_work: Callable[[], object] = has_work
        self._event = asyncio.Event()

    def reset(self) -> None:
        """Prepare for a new event loop."""
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake the task."""
        self._event.set()

    async def wait(self) -> None:
        """Wait until the alarm has rung since the last call."""
        event = self._event
        await event.wait()
        event.clear()


class Alarms:
    """The alarms of a relay. Everything runs in the relay's event loop, except for :meth:`reset`.

    Attributes:
        stopping: Whether the relay is about to stop, so that every task must come to an end.
    """

    def __init__(self) -> None:
        self._alarms: list[Alarm] = []
        self.stopping: bool = False

    def add(self, has_work: Callable[[], object]) -> Alarm:
        """Return an alarm for a task that has work if ``has_work()`` is true."""
        alarm = Alarm(has_work)
        self._alarms.append(alarm)
        return alarm

    def reset(self) -> None:
        """Prepare for a new event loop."""
        self.stopping = False
        for alarm in self._alarms:
            alarm.reset()

    def ring(self) -> None:
        """Wake every task that has work, or every task if the relay is stopping."""
        for alarm in self._alarms:
            if self.stopping or alarm.has_work():
                alarm.ring()
