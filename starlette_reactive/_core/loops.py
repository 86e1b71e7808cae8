"""Event loops: waking tasks from any thread, and tasks that belong to the loop itself.

asyncio and trio each have a thread-safe, signal-safe way to run a function soon, and a way to start a task that
outlives the one that starts it. anyio offers neither, so this module distinguishes the two, and no other does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextvars import Context
from typing import Any

import anyio
from anyio.lowlevel import RunVar, checkpoint, current_token

__all__ = ["Bell", "LoopClosedError", "Mailbox", "coroutines", "current_mailbox", "spawn"]


class LoopClosedError(RuntimeError):
    """The event loop has ended."""


class Mailbox:
    """Functions to call in one event loop, delivered by one wake-up regardless of how many they are.

    :meth:`post` and :meth:`wake` are thread-safe and signal-safe.
    """

    def __init__(self, native_token: Any) -> None:
        self._posted: deque[Callable[[], object]] = deque()
        self._awake = False
        if isinstance(native_token, asyncio.AbstractEventLoop):
            self._run_soon: Callable[..., object] = native_token.call_soon_threadsafe
        else:
            self._run_soon = native_token.run_sync_soon

    def post(self, function: Callable[[], object]) -> None:
        """Queue a function for the next wake-up. It must not raise."""
        self._posted.append(function)

    def wake(self) -> None:
        """Call the posted functions soon, in order.

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
        # Reset first: a function posted from here on is either seen below or causes another wake-up.
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
    """Wakes any number of tasks of one event loop, a slice in each iteration of the loop.

    So other work of the loop, such as answering a request, waits for one slice and not for all tasks. A waiting task
    costs a future and a dictionary entry, without a coroutine of anyio or asyncio in between.
    """

    SLICE = 128
    """How many tasks are woken in one iteration of the loop."""

    def __init__(self) -> None:
        native_token: Any = current_token().native_token
        self._loop = native_token if isinstance(native_token, asyncio.AbstractEventLoop) else None
        self._run_soon = native_token.run_sync_soon if self._loop is None else self._loop.call_soon
        self._waiting: dict[asyncio.Future[None] | anyio.Event, None] = {}
        self._to_wake: deque[asyncio.Future[None] | anyio.Event] = deque()

    async def wait(self, other: Bell | None = None) -> None:
        """Wait until the next :meth:`ring`, of this bell or of another one of the same event loop."""
        waiter = anyio.Event() if self._loop is None else self._loop.create_future()
        self._waiting[waiter] = None
        if other is not None:
            other._waiting[waiter] = None  # noqa: SLF001 - its own kind
        try:
            if isinstance(waiter, anyio.Event):
                await waiter.wait()
            else:
                await waiter
        finally:
            self._waiting.pop(waiter, None)
            if other is not None:
                other._waiting.pop(waiter, None)  # noqa: SLF001 - as above

    def ring(self) -> None:
        """Wake all waiting tasks, in the order in which they started to wait. Does not wait for them."""
        idle = not self._to_wake
        self._to_wake.extend(self._waiting)
        self._waiting.clear()
        if idle:
            self._wake_slice()

    async def rung(self) -> None:
        """Wait until every task that :meth:`ring` found has been woken."""
        while self._to_wake:  # one iteration for each slice
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
        function: What to run. It must not raise, and must end by itself when it is no longer needed.
        name: The task's name, for debuggers.
        context: The context variables that it sees.
    """
    native_token = current_token().native_token
    if not isinstance(native_token, asyncio.AbstractEventLoop):
        import trio  # noqa: PLC0415 - only imported when trio runs

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


def coroutines() -> Iterator[Any]:
    """Yield the coroutine of each task of the running event loop, and the coroutines that it waits for."""
    native_token = current_token().native_token
    tasks: Iterable[Any]
    if isinstance(native_token, asyncio.AbstractEventLoop):
        tasks = (task.get_coro() for task in asyncio.all_tasks(native_token))
    else:
        tasks = _trio_coroutines()
    for outermost in tasks:
        coroutine = outermost
        while coroutine is not None:
            yield coroutine
            coroutine = getattr(coroutine, "cr_await", None)


def _trio_coroutines() -> Iterator[Any]:
    import trio  # noqa: PLC0415 - only imported when trio runs

    tasks = [trio.lowlevel.current_root_task()]
    while tasks:
        task = tasks.pop()
        if task is not None:
            yield task.coro
            tasks.extend(child for nursery in task.child_nurseries for child in nursery.child_tasks)
