"""Emitting where no event loop runs: in scripts, cron jobs and task queue workers."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from .._core.errors import EmitTimeoutError
from .._core.events import ChangeEvent
from .engine import Engine, Sender
from .urls import engine_from_url

__all__ = ["Publisher"]

_PAUSE = 0.1  # seconds between two attempts


class Publisher:
    """Emits changes to the viewers in all processes, and waits until the engine has accepted them.

    Use :meth:`from_url` to make one, and ``with`` to close it. It connects with its first emit. It is not thread-safe:
    use one publisher per thread.

    Args:
        engine: The engine of the buses to reach.
        patience: Seconds that an emit may take. Connecting may take as long for each address that is tried.
    """

    def __init__(self, engine: Engine, *, patience: float = 5.0) -> None:
        self._engine = engine
        self._patience = patience
        self._sender: Sender | None = None

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
            EmitTimeoutError: The engine has not confirmed the change in time. It may have accepted it all the same.
                The publisher does not keep it.
            RuntimeError: An event loop is running in this thread. Use a bus there.
        """
        if _loop_is_running():
            raise RuntimeError(
                "Publisher.emit blocks, but an event loop is running in this thread: use a ReactiveBus here"
            )
        event = ChangeEvent(scope, paths, origin, audience)
        deadline = time.monotonic() + self._patience
        while True:
            try:
                self._send(event, deadline)
            except Exception as error:  # any error of the driver is worth another attempt
                self.close()
                if time.monotonic() + _PAUSE >= deadline:
                    raise EmitTimeoutError(
                        f"{self._engine.name} has not accepted the change of {scope!r} within {self._patience:g} s: "
                        f"{str(error) or type(error).__name__}"
                    ) from error
                time.sleep(_PAUSE)
            else:
                return

    def _send(self, event: ChangeEvent, deadline: float) -> None:
        if self._sender is None:
            self._sender = self._engine.open_sender(max(_PAUSE, deadline - time.monotonic()))
        self._sender.send(event, max(0.0, deadline - time.monotonic()))

    def close(self) -> None:
        """Disconnect. The next emit connects again."""
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _loop_is_running() -> bool:
    """Return whether an event loop runs in this thread. Asking anyio would take a tenth of the time of an emit."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        trio = sys.modules.get("trio")
        return trio is not None and trio.lowlevel.in_trio_run()
    return True
