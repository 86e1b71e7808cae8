"""The border between the bus and a relay: what each may ask of the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from .._core.events import ChangeEvent, ConnectionInfo, Health
from .._core.toasts import Toast
from .._log.replica import History

__all__ = ["LocalBus", "Relay"]


class LocalBus(Protocol):
    """The bus of this process, as a relay sees it. Thread-safe."""

    def begin(self, epoch: str) -> None:
        """Set the engine's epoch. Stamps are comparable only within one epoch."""

    def level(self, scope: str) -> int | None:
        """Return the stamp up to which every event of a scope has been delivered, or ``None`` if it is not loaded."""

    def load(self, scope: str, history: History) -> None:
        """Bring a scope level with its history in the engine."""

    def forget(self, scope: str) -> None:
        """Drop what is known about a scope. When it is loaded again, everything that shows it is rendered."""

    def deliver(self, event: ChangeEvent, stamp: int, level: int | None) -> None:
        """Deliver an event of a loaded scope.

        Args:
            event: The event.
            stamp: Its stamp.
            level: The stamp up to which every event of its scope has been delivered with it, if that is known.
        """

    def reach_level(self, level: int) -> None:
        """Record that every event up to a stamp has been delivered, in all loaded scopes."""

    def unload(self, scope: str) -> bool:
        """Drop a scope unless it has viewers, and return whether it was dropped."""

    def end_user(self, user_id: str, scope: str | None) -> None:
        """End a user's streams in this process."""

    def show(self, toast: Toast) -> None:
        """Send a toast to the viewers in this process."""


class Relay(Protocol):
    """Connects a bus to an engine. Thread-safe.

    No method blocks, except for ``stop``, and before ``start`` also ``publish``, ``end_user`` and ``send_toast``.
    Callbacks are called later, never during the call that takes them.
    """

    @property
    def name(self) -> str:
        """The engine's name."""

    @property
    def patience(self) -> float:
        """How long to wait for an answer of the engine, in seconds."""

    def bind(self, bus: LocalBus) -> None:
        """Set the bus to deliver to. Called once, before any other method."""

    def start(self) -> None:
        """Start to connect. In a forked child, nothing is started."""

    def stop(self) -> None:
        """Send what waits, within a few seconds, and disconnect."""

    def publish(self, event: ChangeEvent, accepted: Callable[[], None] | None) -> None:
        """Send an event. ``accepted`` is called in any thread once the engine has accepted it.

        Before ``start`` and without ``accepted``, it waits until the engine has accepted the event.

        Raises:
            EmitTimeoutError: The engine has not accepted it in time. It is kept.
            OutboxFullError: Events of too many scopes are waiting.
        """

    def attach(self, scope: str) -> None:
        """Load the history of a scope, and deliver its events from now on."""

    def detach(self, scope: str) -> None:
        """Note that a scope has no viewers any more."""

    def join(self, scope: str, key: int, connection: ConnectionInfo) -> None:
        """Show a member of a scope to other processes."""

    def leave(self, scope: str, key: int) -> None:
        """Stop showing a member to other processes."""

    def presence(self, scope: str) -> frozenset[ConnectionInfo]:
        """Return the connections of a scope in other processes, as far as they are known here."""

    def end_user(self, user_id: str, scope: str | None) -> None:
        """End a user's streams in other processes. Before ``start``, it waits until the engine has accepted that.

        Raises:
            EmitTimeoutError: The engine has not accepted it in time. It is kept.
        """

    def send_toast(self, toast: Toast, accepted: Callable[[], None] | None) -> None:
        """Send a toast to the viewers in all processes, at most once. It is dropped if the engine cannot be reached.

        Before ``start`` and without ``accepted``, it waits until the engine has accepted the toast.

        Args:
            toast: The toast.
            accepted: Called in any thread once the engine has accepted it.

        Raises:
            EmitTimeoutError: The engine has not accepted it in time. It is not kept.
        """

    def request_stamp(self, callback: Callable[[int | None], None]) -> None:
        """Ask for the current stamp. ``callback`` gets it in any thread, or ``None`` if the engine is unreachable."""

    def health(self) -> Health:
        """Return the state of the connection."""
