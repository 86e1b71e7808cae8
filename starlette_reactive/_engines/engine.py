"""What an engine must be able to do.

A *session* is one life of the connections to an engine. When one of them fails or falls silent, the session ends and
a new one begins, in which every scope is attached again. The state of a connection is never repaired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from .._log.replica import History
from .ignored import IgnoredMessages
from .messages import Message, Outgoing, RemoteMember, RemoteRoster

__all__ = ["Engine", "LeaseLapsedError", "Sender", "Session"]


class LeaseLapsedError(ConnectionError):
    """The lease of this process has lapsed, so other processes may have taken it for dead."""


class Sender(Protocol):
    """A connection that only sends, without an event loop."""

    def send(self, outgoing: Outgoing, timeout: float) -> None:
        """Send events, ended users and toasts, and wait until the engine has accepted them.

        After an exception the connection is unusable.

        Raises:
            TimeoutError: The engine has not answered within ``timeout`` seconds.
        """

    def close(self) -> None:
        """Disconnect."""


class Session(Protocol):
    """One life of the connections to an engine. Every method raises if a connection fails; nothing is retried.

    No message ends a session: what is malformed is ignored, and counted in ``Engine.ignored``.

    One task calls ``receive`` while other tasks call the other methods. The first messages include the users whose
    streams were ended during the last minutes while this process had no session.
    """

    @property
    def epoch(self) -> str:
        """Changes whenever the engine may have lost history, or the order of its stamps."""

    async def receive(self) -> Sequence[Message]:
        """Wait for messages and return them in order."""

    async def send(self, outgoing: Outgoing) -> None:
        """Send something and wait until the engine has accepted it."""

    async def attach(self, scopes: Mapping[str, int | None]) -> Mapping[str, tuple[History, RemoteRoster]]:
        """Start to receive the messages of scopes, and return their histories and members.

        An event may be both received and part of a history. It is always one of the two.

        Args:
            scopes: For each scope the stamp up to which everything is known here, or ``None`` if nothing is.
        """

    async def detach(self, scopes: Sequence[str]) -> None:
        """Stop receiving the messages of scopes."""

    async def enroll(self, members: Sequence[tuple[str, str, RemoteMember]]) -> None:
        """Replace everything that the engine knows about the members of this process."""

    async def renew_lease(self, seconds: float) -> None:
        """Keep this process alive for some seconds, and have a ``LevelReached`` arrive soon by the usual way."""

    async def alive(self, processes: Sequence[str]) -> frozenset[str]:
        """Return which of these processes have a lease."""

    async def changed_since(self, levels: Mapping[str, int]) -> Sequence[str]:
        """Return the scopes that have changed after these stamps, or none if the stamps may arrive out of order.

        When this returns, every message that was in transit has been received. What is still missing is lost.
        """

    async def current_stamp(self) -> int:
        """Return the current stamp, which is comparable with those of every scope."""


class Engine(Protocol):
    """How to reach an engine."""

    @property
    def name(self) -> str:
        """The engine's name, as ``Health`` shows it."""

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What its senders raise when a connection fails, apart from an ``OSError``."""

    @property
    def ignored(self) -> IgnoredMessages:
        """Counts the malformed messages of all sessions."""

    def connect(self, process: str) -> AbstractAsyncContextManager[Session]:
        """Open a session for the process of that name."""

    def open_sender(self, timeout: float) -> Sender:
        """Open a connection that only sends. Each address may take ``timeout`` seconds to connect to."""
