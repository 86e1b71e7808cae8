"""Event loops: waking tasks from any thread, and tasks that belong to the loop itself.

asyncio and trio each have a thread-safe, signal-safe way to run a function soon, and a way to start a task that
outlives the one that starts it. anyio offers neither, so this module distinguishes the two, and no other does.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Hashable, Iterable, Iterator
from contextvars import Context
from typing import Any

import anyio
from anyio.lowlevel import RunVar, checkpoint, current_token

__all__ = [
    "Bell",
    "EventLoop",
    "LoopClosedError",
    "Mailbox",
    "Nudge",
    "Pace",
    "Signal",
    "coroutines",
    "current_loop",
    "current_mailbox",
    "spawn",
]


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


class EventLoop:
    """The running event loop, looked up once: anyio looks it up again for each event, task and lock.

    Not thread-safe.
    """

    def __init__(self) -> None:
        native_token: Any = current_token().native_token
        self._asyncio = native_token if isinstance(native_token, asyncio.AbstractEventLoop) else None
        self._tasks: set[asyncio.Task[None]] = set()
        self.mailbox: Mailbox = Mailbox(native_token)
        self.run_soon: Callable[[Callable[[], object]], object] = (
            native_token.run_sync_soon if self._asyncio is None else self._asyncio.call_soon
        )
        """Calls a function in the next iteration of the loop."""
        self.pace: Pace = Pace(self.run_soon)
        """At which work begins that many tasks have at once."""

    def waiter(self) -> Waiter:
        """Return what one task can wait for."""
        return anyio.Event() if self._asyncio is None else self._asyncio.create_future()

    def spawn(self, function: Callable[[], Coroutine[Any, Any, None]], *, name: str, context: Context) -> None:
        """Start a task that belongs to the loop; see :func:`spawn`."""
        if self._asyncio is None:
            import trio  # noqa: PLC0415 - only imported when trio runs

            trio.lowlevel.spawn_system_task(function, name=name, context=context)
            return
        task = self._asyncio.create_task(function(), name=name, context=context)
        self._tasks.add(task)  # the loop itself only keeps weak references
        task.add_done_callback(self._tasks.discard)


Waiter = asyncio.Future[None] | anyio.Event
"""What one task waits for. On asyncio it is a future, without a coroutine of anyio or asyncio in between."""

_loop: RunVar[EventLoop] = RunVar("starlette_reactive_loop")


def current_loop() -> EventLoop:
    """Return the running event loop.

    Raises:
        RuntimeError: No event loop is running in this thread.
    """
    loop = _loop.get(None)
    if loop is None:
        loop = EventLoop()
        _loop.set(loop)
    return loop


def current_mailbox() -> Mailbox:
    """Return the mailbox of the running event loop.

    Raises:
        RuntimeError: No event loop is running in this thread.
    """
    return current_loop().mailbox


async def _wait_for(waiter: Waiter) -> None:
    if isinstance(waiter, anyio.Event):
        await waiter.wait()
    else:
        await waiter


def _wake(waiter: Waiter) -> None:
    if isinstance(waiter, anyio.Event):
        waiter.set()
    elif not waiter.done():
        waiter.set_result(None)


class Signal:
    """Wakes the one task that waits for it, as an event does. It is set in the same event loop.

    Args:
        loop: The event loop.
    """

    __slots__ = ("_loop", "_waiter", "is_set")

    def __init__(self, loop: EventLoop) -> None:
        self.is_set: bool = False
        self._loop = loop
        self._waiter: Waiter | None = None

    def set(self) -> None:
        """Wake the task, and let it not wait again."""
        self.is_set = True
        if self._waiter is not None:
            _wake(self._waiter)

    def clear(self) -> None:
        """Let the task wait again."""
        self.is_set = False

    async def wait(self) -> None:
        """Wait until it is set. At once if it is."""
        if not self.is_set:
            self._waiter = self._loop.waiter()
            try:
                await _wait_for(self._waiter)
            finally:
                self._waiter = None


class Nudge:
    """Wakes one of the tasks that wait for a bell. In the same event loop."""

    __slots__ = ("waiter",)

    def __init__(self) -> None:
        self.waiter: Waiter | None = None

    def wake(self) -> None:
        """Wake the task if it waits."""
        if self.waiter is not None:
            _wake(self.waiter)


class Bell:
    """Wakes any number of tasks of one event loop, a slice in each iteration of the loop.

    So other work of the loop, such as answering a request, waits for one slice and not for all tasks. A waiting task
    costs a future and a dictionary entry, without a coroutine of anyio or asyncio in between.
    """

    SLICE = 128
    """How many tasks are woken in one iteration of the loop."""

    def __init__(self) -> None:
        self._loop = current_loop()
        self._waiting: dict[Waiter, None] = {}
        self._to_wake: deque[Waiter] = deque()

    async def wait(self, nudge: Nudge | None = None) -> None:
        """Wait until the next :meth:`ring`, or for a nudge."""
        waiter = self._loop.waiter()
        if nudge is not None:
            nudge.waiter = waiter
        self._waiting[waiter] = None
        try:
            await _wait_for(waiter)
        finally:
            if nudge is not None:
                nudge.waiter = None
            self._waiting.pop(waiter, None)

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
            _wake(to_wake.popleft())
        if to_wake:
            self._loop.run_soon(self._wake_slice)


class Pace:
    """Begins pieces of work one after the other, with iterations of the event loop in between. Not thread-safe.

    So other work of the loop, such as answering a request, waits for one piece and not for all of them, however many
    begin at once. Pieces with different keys take turns. Where other work makes the iterations long, several pieces
    begin together, so that they are not held up by a busy loop.

    Args:
        run_soon: Calls a function in the next iteration of the loop.
        clock: Returns the time in seconds.
    """

    ITERATIONS = 2
    """In how many iterations of the loop pieces begin once: one to begin them, and the others to answer requests."""
    LONGEST = 0.01
    """Seconds that a piece may wait for the next. Two begin together after twice as long, and so on."""
    MOST = 8
    """How many pieces begin together at most."""

    def __init__(
        self, run_soon: Callable[[Callable[[], object]], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._run_soon = run_soon
        self._clock = clock
        self._queues: dict[Hashable, dict[Hashable, list[Callable[[], object]]]] = {}  # by key, the next one first
        self._pause = 0  # iterations until others may begin
        self._began_at = 0.0

    def begin(self, key: Hashable, work: Callable[[], object], *, together: Hashable = None) -> None:
        """Begin a piece of work: now, or in its turn.

        Args:
            key: The viewer or group that it is for.
            work: Begins it. It must not raise.
            together: What it has in common with others of the same key that it must begin together with. Those that
                are begun in one iteration of the loop are then one piece. ``None`` if it has nothing.
        """
        queue = self._queues.setdefault(key, {})
        queue.setdefault(object() if together is None else together, []).append(work)
        if self._pause:
            return
        if together is None:
            self._begin(1)
        else:
            self._pause, self._began_at = 1, self._clock()
            self._run_soon(self._go_on)

    def _begin(self, count: int) -> None:
        self._pause = self.ITERATIONS
        self._began_at = self._clock()
        self._run_soon(self._go_on)
        while count and self._queues:
            count -= 1
            for work in self._next():
                work()

    def _next(self) -> list[Callable[[], object]]:
        key = next(iter(self._queues))
        queue = self._queues.pop(key)
        works = queue.pop(next(iter(queue)))
        if queue:
            self._queues[key] = queue  # its next turn comes after all others
        return works

    def _go_on(self) -> None:
        self._pause -= 1
        if self._pause:
            self._run_soon(self._go_on)
        elif self._queues:
            self._begin(min(self.MOST, max(1, int((self._clock() - self._began_at) / self.LONGEST))))


def spawn(function: Callable[[], Coroutine[Any, Any, None]], *, name: str, context: Context) -> None:
    """Start a task that belongs to the running event loop.

    Args:
        function: What to run. It must not raise, and must end by itself when it is no longer needed.
        name: The task's name, for debuggers.
        context: The context variables that it sees.
    """
    current_loop().spawn(function, name=name, context=context)


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
