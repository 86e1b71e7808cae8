"""A thread with an event loop of its own, in which functions that other threads leave are called in their order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable

__all__ = ["LoopThread"]

logger: logging.Logger = logging.getLogger("starlette_reactive.engines")


class LoopThread:
    """Runs a coroutine function in a thread of its own, from the first function that is left to the call's end.

    It starts again when something is left for it after that; in the child of a fork it starts for itself.

    Args:
        main: What is run.
        prepare: Called before each start, with whether this process is a new one; no other thread runs ``main`` then.
        after: Called in the loop after functions that were left have been called.
    """

    def __init__(
        self, main: Callable[[], Awaitable[None]], *, prepare: Callable[[bool], None], after: Callable[[], None]
    ) -> None:
        self._main = main
        self._prepare = prepare
        self._after = after
        self._posted: deque[Callable[[], None]] = deque()
        self._to_start = False  # something that needs a running loop was left
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0

    def post(self, function: Callable[[], None], *, start: bool = True) -> None:
        """Leave a function to be called in the loop; without ``start`` only when the loop runs, now or later."""
        self._posted.append(function)
        self._to_start = self._to_start or start
        loop = self._loop
        if loop is not None and self._pid == os.getpid():
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self.take_in)
                return
        if start:
            self._launch()

    def join(self, function: Callable[[], None], timeout: float) -> None:
        """Leave a function that brings the loop to its end, and wait for that, so many seconds at most."""
        thread = self._thread
        if thread is not None and self._pid == os.getpid() and thread.is_alive():
            self.post(function)
            thread.join(timeout)

    def take_in(self) -> None:
        """Call what was left; in the loop."""
        self._to_start = False
        while self._posted:
            self._posted.popleft()()
        self._after()

    def _launch(self) -> None:
        with self._starting:
            is_new = self._pid != os.getpid()
            if self._loop is not None and not is_new and not self._loop.is_closed():
                return  # it is about to end, and looks for what was left last
            self._pid = os.getpid()
            self._prepare(is_new)
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._run, args=(self._loop,), name="starlette-reactive relay", daemon=True
            )
            self._thread.start()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            with contextlib.suppress(asyncio.CancelledError):
                loop.run_until_complete(self._main())
        except Exception:
            logger.exception("a relay ended because of a fault")
        finally:
            loop.close()
        if self._to_start:
            self._launch()
