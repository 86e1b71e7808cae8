"""Turns: what is done in the name of one browser is done one after the other, unless it takes long.

What one answer changes, such as a token that can be used once, the next request then has.
"""

from __future__ import annotations

from collections import deque

import anyio
from anyio.lowlevel import RunVar

from .._core.loops import EventLoop, Signal, current_loop

__all__ = ["Turn", "Turns", "turns_of_loop"]

_PATIENCE = 0.5  # seconds that a slow page may delay other pages of the browser


class Turn:
    """A turn that was taken, or that did not come in time.

    Args:
        turns: Those of the event loop. ``None`` if it did not come in time.
        session: The session whose turn it is.
    """

    __slots__ = ("_session", "_turns")

    def __init__(self, turns: Turns | None, session: str) -> None:
        self._turns = turns
        self._session = session

    def end(self) -> None:
        """Let the next one go on. Idempotent."""
        turns, self._turns = self._turns, None
        if turns is not None:
            turns.pass_on(self._session)


class Turns:
    """The turns of the sessions in one event loop. Not thread-safe."""

    def __init__(self) -> None:
        self._loop: EventLoop = current_loop()
        self._waiting: dict[str, deque[Signal]] = {}  # of each session whose turn is taken

    def is_taken(self, session: str) -> bool:
        """Return whether somebody has the turn of a session."""
        return session in self._waiting

    async def take(self, session: str) -> Turn:
        """Wait for a turn among those of a session, but not for long."""
        waiting = self._waiting.get(session)
        if waiting is None:
            self._waiting[session] = deque()
            return Turn(self, session)
        called = Signal(self._loop)
        waiting.append(called)
        try:
            with anyio.move_on_after(_PATIENCE):
                await called.wait()
        except BaseException:
            if called.is_set:
                self.pass_on(session)
            else:
                waiting.remove(called)
            raise
        if called.is_set:
            return Turn(self, session)
        waiting.remove(called)
        return Turn(None, session)

    def pass_on(self, session: str) -> None:
        """Give a turn that has ended to the next one who waits for it."""
        waiting = self._waiting[session]
        if waiting:
            waiting.popleft().set()
        else:
            del self._waiting[session]


_turns: RunVar[Turns] = RunVar("starlette_reactive_turns")


def turns_of_loop() -> Turns:
    """Return the turns of the running event loop."""
    turns = _turns.get(None)
    if turns is None:
        turns = Turns()
        _turns.set(turns)
    return turns
