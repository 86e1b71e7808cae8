"""Telling of changes from where no event loop runs: scripts, cron jobs, workers of a task queue."""

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
    """Tells the viewers of a scope, in all processes, what changed, and waits until the engine has accepted it.

    It is made by :meth:`from_url`, is a context manager, and belongs to one thread. It connects when it first emits.

    Args:
        engine: Where the buses of the other processes are.
        patience: How long an emit may take, in seconds; connecting may take as long for each address that is tried.
    """

    def __init__(self, engine: Engine, *, patience: float = 5.0) -> None:
        self._engine = engine
        self._patience = patience
        self._sender: Sender | None = None

    @classmethod
    def from_url(cls, url: str, *, patience: float = 5.0) -> Self:
        """Return a publisher for the buses at a URL.

        Args:
            url: As :meth:`ReactiveBus.from_url` takes it, but for ``memory://``: nobody else is there.
            patience: How long an emit may take, in seconds; connecting may take as long for each address that is tried.

        Raises:
            ValueError: There is no engine for such a URL.
            ReactiveError: The engine's extra is not installed.
        """
        return cls(engine_from_url(url), patience=patience)

    def emit(self, scope: str, *paths: str, origin: str | None = None, audience: Iterable[str] | None = None) -> None:
        """Tell of a change; it is accepted by the engine when this returns.

        Args:
            scope: The scope.
            *paths: The paths; ``"*"``: all.
            origin: Whose own change it is.
            audience: Ids of the users whom it is for; ``None``: everybody.

        Raises:
            EmitTimeoutError: The engine did not accept it in time. It may have all the same; it is not kept.
            RuntimeError: An event loop runs in this thread: use a bus there.
        """
        if _loop_runs():
            raise RuntimeError("an event loop runs in this thread, and an emit would stop it: use a bus there")
        event = ChangeEvent(scope, paths, origin, audience)
        deadline = time.monotonic() + self._patience
        while True:
            try:
                self._send(event, deadline)
            except Exception as error:  # whatever the driver raises, it is tried again
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
        """Disconnect."""
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _loop_runs() -> bool:
    """Tell whether an event loop runs in this thread; anyio's own answer takes a tenth of an emit."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        trio = sys.modules.get("trio")
        return trio is not None and trio.lowlevel.in_trio_run()
    return True
