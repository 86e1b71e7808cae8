"""The bus's connection to an engine: its relay, and its copy of the engine's change log."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import anyio

from .._core.loops import LoopClosedError, current_mailbox
from .._engines import Relay
from .._log.replica import Replica

__all__ = ["Link", "setter"]


@dataclass(frozen=True, slots=True)
class Link:
    """A relay with the replica that it fills."""

    relay: Relay
    replica: Replica

    def open(self, scope: str) -> None:
        """Make room for a scope and have the relay load it. The caller holds the bus's lock."""
        self.replica.open(scope)
        self.relay.attach(scope)

    async def stamp(self) -> int | None:
        """Ask the engine for the stamp of now, and return it, or ``None`` if the engine does not answer in time."""
        answers: list[int | None] = []
        answered = anyio.Event()
        wake = setter(answered)

        def answer(stamp: int | None) -> None:
            answers.append(stamp)
            wake()

        self.relay.request_stamp(answer)
        with anyio.move_on_after(self.relay.patience):
            await answered.wait()
        return answers[0] if answers else None


def setter(event: anyio.Event) -> Callable[[], None]:
    """Return a thread-safe function that sets an event of the running loop."""
    mailbox = current_mailbox()

    def set_soon() -> None:
        mailbox.post(event.set)
        with contextlib.suppress(LoopClosedError):
            mailbox.wake()

    return set_soon
