"""Sending without an event loop, over a connection that is opened again when it fails."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .._core.errors import ReactiveError
from .engine import Engine, Sender
from .messages import Outgoing

__all__ = ["DirectSender", "held", "loop_is_running"]

_PAUSE = 0.1  # seconds between two attempts


class DirectSender:
    """Sends over one connection, which it opens when there is something to send. Not thread-safe.

    Args:
        engine: The engine.

    Attributes:
        failures: What :meth:`send` raises if the engine cannot be reached or does not accept what is sent.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sender: Sender | None = None
        self._of_parents: list[Sender] = []
        self.failures: tuple[type[Exception], ...] = (OSError, ReactiveError, *engine.failures)

    def send(self, outgoing: Outgoing, deadline: float) -> None:
        """Try once to send something, and wait until the engine has accepted it.

        Args:
            outgoing: What to send. It has no members.
            deadline: When to give up, in seconds of :func:`time.monotonic`.
        """
        try:
            if self._sender is None:
                self._sender = self._engine.open_sender(max(_PAUSE, deadline - time.monotonic()))
            self._sender.send(outgoing, max(0.0, deadline - time.monotonic()))
        except BaseException:  # such as that of a task queue's time limit, which may be raised between two answers
            self.close()
            raise

    def persist(self, attempt: Callable[[], None], deadline: float) -> None:
        """Call a function until it succeeds, or fails at the deadline. It is called at least once."""
        while True:
            try:
                attempt()
            except self.failures:
                if time.monotonic() + _PAUSE >= deadline:
                    raise
                time.sleep(_PAUSE)
            else:
                return

    def close(self) -> None:
        """Disconnect. The next :meth:`send` connects again."""
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()

    def leave_to_parent(self) -> None:
        """In a forked child: leave the connection to the parent, which may be using it."""
        sender, self._sender = self._sender, None
        if sender is not None:
            self._of_parents.append(sender)  # so that it is not closed, not even by the garbage collector


@contextmanager
def held(lock: threading.Lock | threading.RLock, deadline: float) -> Iterator[None]:
    """Hold a lock.

    Raises:
        TimeoutError: Another thread has held it until the deadline.
    """
    if not lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
        raise TimeoutError("another thread has been sending all the time")
    try:
        yield
    finally:
        lock.release()


def loop_is_running() -> bool:
    """Return whether an event loop runs in this thread. Asking anyio would take a tenth of the time of an emit."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        trio = sys.modules.get("trio")
        return trio is not None and trio.lowlevel.in_trio_run()
    return True
