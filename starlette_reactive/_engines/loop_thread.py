"""A thread with an event loop, to which other threads post functions."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable

from .._core.failures import Failures

__all__ = ["LoopThread"]

logger: logging.Logger = logging.getLogger("starlette_reactive.engines")


class LoopThread:
    """Runs a coroutine function in the event loop of a thread. Thread-safe.

    The thread starts when the first function is posted. After ``main`` has returned, the next post starts it again.
    After a fork and :meth:`begin_in_child`, the child starts its own thread.

    Args:
        main: The coroutine function. It must call :meth:`call_posted` once before anything else.
        prepare: Called before each start as ``prepare(is_new_process)``, while no thread runs ``main``.
        after: Called in the loop each time after posted functions have been called.
    """

    def __init__(
        self, main: Callable[[], Awaitable[None]], *, prepare: Callable[[bool], None], after: Callable[[], None]
    ) -> None:
        self._main = main
        self._prepare = prepare
        self._after = after
        self._failures = Failures(logger)
        self._posted: deque[Callable[[], None]] = deque()
        self._needs_start = False  # whether a posted function needs a running loop
        self.begin_in_child()

    def begin_in_child(self) -> None:
        """Begin in a new process, where no thread runs ``main``. What was posted in the parent is kept."""
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_new_process = True

    def post(self, function: Callable[[], None], *, start: bool = True) -> None:
        """Have a function called in the loop, after those posted before.

        Args:
            function: The function.
            start: Start the thread if it is not running. Otherwise the function waits until something else does.
        """
        self._posted.append(function)
        self._needs_start = self._needs_start or start
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self.call_posted)
                return
        if start:
            self._start()

    def join(self, function: Callable[[], None], timeout: float) -> bool:
        """Post a function that makes ``main`` return, and wait up to ``timeout`` seconds for the thread to end.

        Returns:
            Whether it has ended.
        """
        thread = self._thread
        if thread is None or not thread.is_alive():
            return True
        self.post(function)
        thread.join(timeout)
        return not thread.is_alive()

    def call_posted(self) -> None:
        """Call the posted functions. Runs in the loop."""
        self._needs_start = False
        while self._posted:
            self._posted.popleft()()
        self._after()

    def _start(self) -> None:
        with self._starting:
            if self._loop is not None and not self._loop.is_closed():
                return  # the thread is running, or ending: it checks for posted functions last
            self._prepare(self._is_new_process)
            self._is_new_process = False
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._run, args=(self._loop,), name="starlette-reactive relay", daemon=True
            )
            self._thread.start()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            with contextlib.suppress(asyncio.CancelledError):
                loop.run_until_complete(self._main())
        except Exception as error:  # noqa: BLE001 - logged
            self._failures.log("the relay's thread", error)
        finally:
            loop.close()
        if self._needs_start:
            self._start()
