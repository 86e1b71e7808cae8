"""Turns: of requests with one key, only one at a time goes on."""

from __future__ import annotations

from weakref import WeakValueDictionary

import anyio
from anyio.lowlevel import RunVar

__all__ = ["Turn", "turn_for"]

_gates: RunVar[WeakValueDictionary[str, anyio.Semaphore]] = RunVar("starlette_reactive_turns")


class Turn:
    """A turn that has been taken."""

    def __init__(self, gate: anyio.Semaphore) -> None:
        self._gate: anyio.Semaphore | None = gate

    def end(self) -> None:
        """Let the next one go on. Idempotent."""
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.release()


async def turn_for(key: str) -> Turn:
    """Wait until it is one's turn among those with an equal key in this event loop."""
    gates = _gates.get(None)
    if gates is None:
        gates = WeakValueDictionary()
        _gates.set(gates)
    gate = gates.get(key)
    if gate is None:
        gate = gates[key] = anyio.Semaphore(1, max_value=1)
    await gate.acquire()
    return Turn(gate)
