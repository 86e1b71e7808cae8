"""Turns: what is done in the name of one browser is done one after the other, unless it takes long.

What one answer changes, such as a token that can be used once, the next request then has.
"""

from __future__ import annotations

from weakref import WeakValueDictionary

import anyio
from anyio.lowlevel import RunVar

__all__ = ["Turn", "turn_for"]

_PATIENCE = 0.5  # seconds that a slow page may delay other pages of the browser

_gates: RunVar[WeakValueDictionary[str, anyio.Semaphore]] = RunVar("starlette_reactive_turns")


class Turn:
    """A turn that was taken, or that was waited for in vain."""

    def __init__(self, gate: anyio.Semaphore | None) -> None:
        self._gate = gate

    def end(self) -> None:
        """Let the next one go on. Idempotent."""
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.release()


async def turn_for(session: str) -> Turn:
    """Wait for one's turn among those of a session in this event loop, but not for long."""
    gates = _gates.get(None)
    if gates is None:
        gates = WeakValueDictionary()
        _gates.set(gates)
    gate = gates.get(session)
    if gate is None:
        gate = gates[session] = anyio.Semaphore(1, max_value=1)
    try:
        gate.acquire_nowait()
    except anyio.WouldBlock:
        with anyio.move_on_after(_PATIENCE) as waiting:
            await gate.acquire()
        if waiting.cancelled_caught:
            return Turn(None)
    return Turn(gate)
