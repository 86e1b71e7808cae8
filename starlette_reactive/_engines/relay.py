"""The border between the bus and a relay: what each may ask of the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from .._core.events import ChangeEvent, ConnectionInfo, Health
from .._log.replica import History

__all__ = ["Local", "Relay"]


class Local(Protocol):
    """The bus, as a relay sees it. Everything may be called in any thread."""

    def begin(self, epoch: str) -> None:
        """Take note of the engine's epoch: what it says of its history is comparable within one epoch only."""

    def level(self, scope: str) -> int | None:
        """Return the stamp up to which everything of a scope has been told; ``None``: nothing has."""

    def load(self, scope: str, history: History) -> None:
        """Bring a scope level with its history in the engine."""

    def forget(self, scope: str) -> None:
        """Take back what was said of a scope: when it is loaded, everything that shows it is brought up to date."""

    def deliver(self, event: ChangeEvent, stamp: int, level: int | None) -> None:
        """Tell an event of a loaded scope.

        Args:
            event: What happened.
            stamp: Its stamp.
            level: The stamp up to which everything of its scope has been told with it, if that is known.
        """

    def heard(self, level: int) -> None:
        """Say that everything stamped up to here, of all loaded scopes, has been told."""

    def unload(self, scope: str) -> bool:
        """Forget a scope that nobody views; false: somebody does."""

    def end_user(self, user_id: str, scope: str | None) -> None:
        """End a user's streams in this process."""


class Relay(Protocol):
    """What connects a bus to an engine. Nothing here blocks or calls back at once, but ``start`` and ``stop``."""

    @property
    def name(self) -> str:
        """The engine's name."""

    @property
    def patience(self) -> float:
        """How long to wait for an answer of the engine, in seconds."""

    def bind(self, local: Local) -> None:
        """Take note of the bus; once, before anything else."""

    def start(self) -> None:
        """Begin to connect."""

    def stop(self) -> None:
        """Send what waits, within a few seconds, and disconnect."""

    def publish(self, event: ChangeEvent, accepted: Callable[[], None] | None) -> None:
        """Send an event; ``accepted`` is called, in any thread, once the engine has it."""

    def attach(self, scope: str) -> None:
        """Have a scope loaded, and its events delivered."""

    def detach(self, scope: str) -> None:
        """Say that nobody views a scope any more."""

    def join(self, scope: str, key: int, connection: ConnectionInfo) -> None:
        """Show a viewer of a scope to other processes."""

    def leave(self, scope: str, key: int) -> None:
        """Show a viewer no more."""

    def presence(self, scope: str) -> frozenset[ConnectionInfo]:
        """Return who views a scope in other processes, as far as is known here."""

    def end_user(self, user_id: str, scope: str | None) -> None:
        """End a user's streams in other processes."""

    def ask_stamp(self, answer: Callable[[int | None], None]) -> None:
        """Ask for a stamp that stands for now; ``answer`` is called in any thread, with ``None`` if there is none."""

    def health(self) -> Health:
        """Return how things stand."""
