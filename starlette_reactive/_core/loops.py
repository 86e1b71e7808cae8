"""Reaching event loops from anywhere: waking tasks from any thread, and tasks that outlive the one that starts them.

asyncio and trio each have a thread-safe, signal-safe way to run a function soon, and a way to start a task that
belongs to the loop itself; anyio offers neither, so the two are told apart here and nowhere else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any

import anyio
from anyio.lowlevel import RunVar, checkpoint, current_token

__all__ = ["Bell", "LoopClosedError", "Mailbox", "current_mailbox", "spawn"]


class LoopClosedError(RuntimeError):
    """The event loop has ended, so nothing can be run in it any more."""


class Mailbox:
    """Functions to be called in one event loop, brought there by one wake-up however many they are.

    :meth:`post` and :meth:`wake` may be called from any thread, and from a signal handler.
    """

    def __init__(self, native_token: Any) -> None:
        self._posted: deque[Callable[[], object]] = deque()
        self._awake = False
        if isinstance(native_token, asyncio.AbstractEventLoop):
            self._run_soon: Callable[..., object] = native_token.call_soon_threadsafe
        else:
            self._run_soon = native_token.run_sync_soon

    def post(self, function: Callable[[], object]) -> None:
        """Leave a function to be called at the next wake-up. It must not raise."""
        self._posted.append(function)

    def wake(self) -> None:
        """Have what was posted called soon, in the order of posting.

        Raises:
            LoopClosedError: The loop has ended.
        """
        if self._awake:
            return
        self._awake = True
        try:
            self._run_soon(self._deliver)
        except RuntimeError as error:  # asyncio's closed loop, and trio's RunFinishedError
            self._awake = False
            self._posted.clear()
            raise LoopClosedError from error

    def _deliver(self) -> None:
        # Lowered first: whatever is posted from here on either is seen below or brings a wake-up of its own.
        self._awake = False
        while self._posted:
            self._posted.popleft()()


_mailbox: RunVar[Mailbox] = RunVar("starlette_reactive_mailbox")


def current_mailbox() -> Mailbox:
    """Return the mailbox of the running event loop.

    Raises:
        RuntimeError: No event loop is running in this thread.
    """
    mailbox = _mailbox.get(None)
    if mailbox is None:
        mailbox = Mailbox(current_token().native_token)
        _mailbox.set(mailbox)
    return mailbox


class Bell:
    """Wakes any number of tasks of one event loop, a slice in each turn of the loop.

    So whatever else the loop has to do, such as to answer a page's request, waits for a slice, not for all of them. A
    task that waits costs a future and an entry in a table, and no coroutine of anyio's or asyncio's in between.
    """

    SLICE = 128
    """How many tasks are woken in a turn."""

    def __init__(self) -> None:
        native_token: Any = current_token().native_token
        self._loop = native_token if isinstance(native_token, asyncio.AbstractEventLoop) else None
        self._run_soon = native_token.run_sync_soon if self._loop is None else self._loop.call_soon
        self._waiting: dict[asyncio.Future[None] | anyio.Event, None] = {}
        self._to_wake: deque[asyncio.Future[None] | anyio.Event] = deque()

    async def wait(self) -> None:
        """Wait until :meth:`ring` is called from now on."""
        waiter = anyio.Event() if self._loop is None else self._loop.create_future()
        self._waiting[waiter] = None
        try:
            if isinstance(waiter, anyio.Event):
                await waiter.wait()
            else:
                await waiter
        finally:
            self._waiting.pop(waiter, None)

    def ring(self) -> None:
        """Wake everyone who waits, in the order in which they began to, without waiting for it."""
        idle = not self._to_wake
        self._to_wake.extend(self._waiting)
        self._waiting.clear()
        if idle:
            self._wake_slice()

    async def rung(self) -> None:
        """Wait until everyone for whom the bell was rung has been woken."""
        while self._to_wake:  # as many turns as there are slices
            await checkpoint()

    def _wake_slice(self) -> None:
        to_wake = self._to_wake
        for _ in range(min(self.SLICE, len(to_wake))):
            waiter = to_wake.popleft()
            if isinstance(waiter, anyio.Event):
                waiter.set()
            elif not waiter.done():
                waiter.set_result(None)
        if to_wake:
            self._run_soon(self._wake_slice)


_tasks: RunVar[set[asyncio.Task[None]]] = RunVar("starlette_reactive_tasks")


def spawn(function: Callable[[], Awaitable[None]], *, name: str, context: Context) -> None:
    """Start a task that belongs to the running event loop.

    Args:
        function: What to run; it must not raise, and must end by itself when it is no longer needed.
        name: The task's name, for debuggers.
        context: The context variables that it sees.
    """
    native_token = current_token().native_token
    if not isinstance(native_token, asyncio.AbstractEventLoop):
        import trio  # noqa: PLC0415 - only there when trio is the one that runs

        trio.lowlevel.spawn_system_task(function, name=name, context=context)
        return

    async def run() -> None:
        await function()

    tasks = _tasks.get(None)
    if tasks is None:
        tasks = set()
        _tasks.set(tasks)
    task = native_token.create_task(run(), name=name, context=context)
    tasks.add(task)  # the loop itself only keeps weak references
    task.add_done_callback(tasks.discard)
