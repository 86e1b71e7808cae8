"""What an engine has to be able to do, and what it tells.

A *session* is one life of the connections to an engine: when any of them fails or falls silent, the whole session ends
and another one begins, with everything attached anew. So no state of a connection is ever repaired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from .._core.events import ChangeEvent
from .._log.replica import History

__all__ = [
    "Arrived",
    "Batch",
    "Engine",
    "Heard",
    "Message",
    "Presence",
    "Roster",
    "Seen",
    "Sender",
    "Session",
    "UserEnded",
]


class LeaseLapsedError(ConnectionError):
    """Others may have taken this process for dead."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A viewer, as one process shows it to the others.

    Args:
        session_id: As in ``ConnectionInfo``.
        user_id: As there.
        since: When it connected, in seconds since 1970.
    """

    session_id: str
    user_id: str | None
    since: float


@dataclass(frozen=True, slots=True)
class Arrived:
    """An event came.

    Args:
        event: The event.
        stamp: Where in the engine's history it stands.
        previous: The stamp of the scope's event before, 0 if there is none; ``None`` from an engine whose stamps need
            not come in their order, and which itself sees to it that none is missing.
    """

    event: ChangeEvent
    stamp: int
    previous: int | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """Everything that is stamped up to here has come."""

    level: int


@dataclass(frozen=True, slots=True)
class Presence:
    """A viewer came to another process, or left it (``seen`` is ``None``)."""

    scope: str
    process: str
    key: str
    seen: Seen | None


@dataclass(frozen=True, slots=True)
class UserEnded:
    """A process asks all others to end a user's streams, in one scope or (``None``) in all."""

    process: str
    user_id: str
    scope: str | None


Message = Arrived | Heard | Presence | UserEnded
Roster = Mapping[str, Mapping[str, Seen]]
"""The viewers of a scope by process and key."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is sent at once, in this order.

    Args:
        presence: Viewers that came to this process or left it, as (scope, key, viewer or ``None``).
        ended: Users whose streams are to end, as (user, scope or ``None``).
        events: The events.
    """

    presence: Sequence[tuple[str, str, Seen | None]] = field(default=())
    ended: Sequence[tuple[str, str | None]] = field(default=())
    events: Sequence[ChangeEvent] = field(default=())


class Sender(Protocol):
    """A connection that only sends, for programs without an event loop: nothing wakes a loop on the way."""

    def send(self, event: ChangeEvent, timeout: float) -> None:
        """Have the engine accept an event; if this raises, the connection is of no use any more.

        Raises:
            TimeoutError: The engine has not answered within so many seconds.
        """

    def close(self) -> None:
        """Disconnect."""


class Session(Protocol):
    """One life of the connections to an engine. Everything raises when a connection fails; nothing is tried again.

    ``receive`` is called by one task, all else by others at the same time. Users whose streams were ended in the last
    minutes, while this process had no session, are among what is received first.
    """

    @property
    def epoch(self) -> str:
        """What changes whenever the engine may have lost something of its history, or its stamps their order."""

    async def receive(self) -> Sequence[Message]:
        """Wait for something to come, and return it in order."""

    async def send(self, batch: Batch) -> None:
        """Have the engine accept a batch."""

    async def attach(self, scopes: Mapping[str, int | None]) -> Mapping[str, tuple[History, Roster]]:
        """Have events of scopes come from now on, and return their history and their viewers in other processes.

        An event may both come and stand in the history; none may do neither.

        Args:
            scopes: Each with the stamp up to which everything of it is known here; ``None``: nothing is.
        """

    async def detach(self, scopes: Sequence[str]) -> None:
        """Have events of scopes come no more."""

    async def enroll(self, members: Sequence[tuple[str, str, Seen]]) -> None:
        """Replace all that the engine knows of this process's viewers."""

    async def beat(self, lease: float) -> None:
        """Say that this process lives, for so many seconds, and have a :class:`Heard` come soon by the usual way."""

    async def living(self, processes: Sequence[str]) -> frozenset[str]:
        """Return which of these processes have a lease."""

    async def behind(self, levels: Mapping[str, int]) -> Sequence[str]:
        """Return the scopes in which something happened after these stamps, as far as the engine's stamps tell.

        What was on its way meanwhile has been received when this returns: what has not come by then is lost.
        """

    async def stamp(self) -> int:
        """Return a stamp that stands for now in every scope."""


class Engine(Protocol):
    """How to reach an engine."""

    @property
    def name(self) -> str:
        """Its name, as health shows it."""

    def connect(self, process: str) -> AbstractAsyncContextManager[Session]:
        """Open a session for a process, given by a name of its own."""

    def open_sender(self, timeout: float) -> Sender:
        """Open a connection on which nothing is received, within so many seconds for each address."""
