"""The bus's lock, the work that waits for it, and the callbacks that run outside it.

Queueing work never blocks. A thread that finds the lock free takes it and runs everything queued. A thread that finds
it taken leaves its work to the holder, which looks again after each release. Emitting is therefore safe from any
thread, from a signal handler that interrupts the bus, and from a callback of the bus.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from .._core.callables import name_of
from .._core.failures import Failures

__all__ = ["Inbox"]


class Inbox:
    """Runs work on the bus, one piece at a time.

    ``with inbox:`` holds the lock for the block. It runs queued work on entry and on exit. The lock is not reentrant.
    """

    __slots__ = ("_callbacks", "_failures", "_lock", "_work")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._work: deque[Callable[[], None]] = deque()
        self._callbacks: deque[Callable[[], object]] = deque()
        self._failures = Failures(logging.getLogger("starlette_reactive.bus"))

    def do(self, work: Callable[[], None]) -> None:
        """Run work under the lock: now if the lock is free, otherwise in the thread that holds it."""
        self._work.append(work)
        self._drain()

    def call_back(self, callback: Callable[[], object]) -> None:
        """Call a function once the lock is released. Exceptions are logged. The caller holds the lock."""
        self._callbacks.append(callback)

    def __enter__(self) -> None:
        self._lock.acquire()
        try:
            self._run_work()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()
        self._run_callbacks()
        self._drain()

    def _drain(self) -> None:
        # The check repeats after each release: work queued in between found the lock taken and relies on it.
        while self._work and self._lock.acquire(blocking=False):
            try:
                self._run_work()
            finally:
                self._lock.release()
            self._run_callbacks()

    def _run_work(self) -> None:
        while self._work:
            self._work.popleft()()

    def _run_callbacks(self) -> None:
        while self._callbacks:
            try:
                callback = self._callbacks.popleft()
            except IndexError:  # another thread took it
                return
            with self._failures.logged("a callback of the bus", name_of(callback)):
                callback()
