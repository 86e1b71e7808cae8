"""What relays must do when this process forks, and before it ends.

A forked child has none of its parent's threads, so it needs new locks, and its parent's connections are not its own.

A process may end in three ways. The interpreter ends by itself, also in a process that multiprocessing has spawned:
then ``atexit`` calls its functions. multiprocessing ends a process that it has forked: then ``multiprocessing.util``
calls its finalizers, and up to Python 3.12 nothing else. ``os._exit`` and signals end a process at once.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakMethod, WeakSet

__all__ = ["Finisher", "call_after_fork", "finish_before_exit", "keep", "note_use"]


class Finisher(Protocol):
    """What has something to do before this process ends."""

    def finish(self) -> str | None:
        """Do it. If it cannot be done, return what was not done, and why."""


_after_fork: list[WeakMethod[Callable[[], None]]] = []
_finishers: WeakSet[Finisher] = WeakSet()
_kept: set[Finisher] = set()
_is_known_to_multiprocessing = False


def call_after_fork(method: Callable[[], None]) -> None:
    """Call a method in each child that this process forks, as long as the method's object exists."""
    _after_fork[:] = [each for each in _after_fork if each() is not None]
    _after_fork.append(WeakMethod(method))


def finish_before_exit(finisher: Finisher) -> None:
    """Call ``finish`` before this process ends, if the finisher still exists then.

    If something could not be done, it is written to the standard error, and the exit status is 120.
    """
    _finishers.add(finisher)


def keep(finisher: Finisher) -> None:
    """Keep a finisher until this process ends, because it has something left to do."""
    _kept.add(finisher)


def note_use() -> None:
    """Note that there will be something to do before this process ends."""
    global _is_known_to_multiprocessing  # noqa: PLW0603 - once for each process
    util = sys.modules.get("multiprocessing.util")
    if util is None or _is_known_to_multiprocessing:
        return
    _is_known_to_multiprocessing = True
    if sys.modules["multiprocessing.process"].parent_process() is not None:
        util.Finalize(None, _finish, exitpriority=-1)  # those that the parent has registered were removed


def _finish() -> None:
    reports = [report for finisher in list(_finishers) if (report := finisher.finish()) is not None]
    _finishers.clear()  # a spawned process comes here twice
    if reports and sys.stderr is not None:
        sys.stderr.writelines(f"starlette-reactive: exiting with {report}\n" for report in reports)
        sys.stderr = _FailingStream(sys.stderr)


class _FailingStream:
    """The standard error, for an exit with status 120, which is Python's for data that cannot be flushed at exit.

    ``atexit`` has no other way to set the status: ``os._exit`` would skip what others have registered there.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def flush(self) -> None:
        """Flush the stream, and fail if the interpreter is ending."""
        self._stream.flush()
        if sys.is_finalizing():
            raise OSError("changes could not be sent")


def _begin_in_child() -> None:
    global _is_known_to_multiprocessing  # noqa: PLW0603 - once for each process
    _is_known_to_multiprocessing = False
    _kept.clear()
    for each in _after_fork:
        method = each()
        if method is not None:
            method()


atexit.register(_finish)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_begin_in_child)
