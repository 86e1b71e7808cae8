"""Emitting without a bus: on one connection, for roles and programs that need nothing else of an engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from .._core.errors import EmitTimeoutError
from .._core.events import ChangeEvent
from .direct_sender import DirectSender, held, loop_is_running
from .engine import Engine
from .messages import Outgoing
from .this_process import call_after_fork
from .urls import engine_from_url

__all__ = ["Publisher"]


class Publisher:
    """Emits changes to the viewers in all processes, and waits until the engine has accepted them.

    Use :meth:`from_url` to make one, and ``with`` to close it. It connects with its first emit, and again in a forked
    process. Thread-safe: threads emit one after the other.

    Args:
        engine: The engine of the buses to reach.
        patience: Seconds that an emit may take. Connecting may take as long for each address that is tried.
    """

    def __init__(self, engine: Engine, *, patience: float = 5.0) -> None:
        self._name = engine.name
        self._patience = patience
        self._sender = DirectSender(engine)
        self._lock = threading.Lock()
        call_after_fork(self._begin_in_child)

    def _begin_in_child(self) -> None:
        self._lock = threading.Lock()  # a thread of the parent may hold it
        self._sender.leave_to_parent()

    @classmethod
    def from_url(cls, url: str, *, patience: float = 5.0) -> Self:
        """Return a publisher for the buses at a URL.

        Args:
            url: The URL that was given to :meth:`ReactiveBus.from_url`. ``memory://`` is not possible, because such a
                bus exists in one process only.
            patience: Seconds that an emit may take. Connecting may take as long for each address that is tried.

        Raises:
            ValueError: No engine has such a URL, or it is invalid. The error shows nothing of it but its scheme.
            ReactiveError: The engine's extra is not installed.
        """
        return cls(engine_from_url(url), patience=patience)

    def emit(self, scope: str, *paths: str, origin: str | None = None, audience: Iterable[str] | None = None) -> None:
        """Emit a change. When this returns, the engine has accepted it.

        Args:
            scope: The scope.
            *paths: The context paths that changed. ``"*"`` means all.
            origin: The mark of the tab that made the change. That tab is not notified.
            audience: The ids of the users that the change is for. Defaults to everybody.

        Raises:
            EmitTimeoutError: The engine has not confirmed the change in time. It may have accepted it nevertheless.
                The publisher does not keep it.
            RuntimeError: An event loop is running in this thread. Use a bus there.
        """
        if loop_is_running():
            raise RuntimeError(
                "Publisher.emit blocks, but an event loop is running in this thread: use a ReactiveBus here"
            )
        outgoing = Outgoing(events=[ChangeEvent(scope, paths, origin, audience)])
        deadline = time.monotonic() + self._patience
        try:
            with held(self._lock, deadline):
                self._sender.persist(lambda: self._sender.send(outgoing, deadline), deadline)
        except self._sender.failures as error:
            raise EmitTimeoutError(
                f"{self._name} has not accepted the change of {scope!r} within {self._patience:g} s: "
                f"{str(error) or type(error).__name__}"
            ) from error

    def close(self) -> None:
        """Disconnect. The next emit connects again."""
        self._sender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
