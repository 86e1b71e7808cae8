"""Emits the changes of commits in doubt: their COMMIT was sent, and nobody learns whether it succeeded.

The database may go on with such a COMMIT after the connection is lost, and no database reports when it has finished.
An emit that comes before that renders old data. So the changes are emitted again and again, after pauses that double:
once they are visible, the next emit comes at the latest after as long again as the COMMIT took.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from queue import Empty, SimpleQueue
from typing import Final
from weakref import ref

from sqlalchemy.engine import RootTransaction

from .._core.events import ChangeEvent
from .._core.paths import ALL

__all__ = ["PAUSES", "SCOPE_LIMIT", "InDoubt", "Outcome", "SentCommit"]

logger: logging.Logger = logging.getLogger("starlette_reactive.sqlalchemy")

PAUSES: Final = tuple(0.1 * 2**number for number in range(20))
"""Seconds before each repetition. Their sum is 29 hours."""

SCOPE_LIMIT: Final = 10_000
"""How many events of different scopes, audiences or origins are repeated. Beyond that, the oldest is dropped."""

_PATH_LIMIT: Final = 256  # an event with more paths changes everything instead


class Outcome(Enum):
    """What is known of a COMMIT that was sent."""

    PENDING = auto()
    COMMITTED = auto()
    REFUSED = auto()
    UNKNOWN = auto()


class SentCommit:
    """A COMMIT that the application sends itself, on a connection that sessions have used.

    Args:
        transaction: The connection's transaction.
    """

    def __init__(self, transaction: RootTransaction) -> None:
        self._transaction = ref(transaction)
        self.failure: Outcome | None = None

    @property
    def outcome(self) -> Outcome:
        """What is known of it now."""
        if self.failure is not None:
            return self.failure
        transaction = self._transaction()
        return Outcome.PENDING if transaction is not None and transaction.is_active else Outcome.COMMITTED


@dataclass(slots=True)
class _Waiting:
    event: ChangeEvent
    commit: SentCommit | None
    pauses: Iterator[float]
    due: float


@dataclass(slots=True)
class _Added:
    event: ChangeEvent
    commit: SentCommit | None


class InDoubt:
    """Repeats events in its own thread, which ends when nothing is left to repeat.

    Thread-safe, and safe in a signal handler or a finalizer: what is added goes through a reentrant queue.

    Args:
        emit: Emits an event. It must not raise.
        pauses: Seconds before each repetition.
    """

    def __init__(self, emit: Callable[[ChangeEvent], None], pauses: Sequence[float] = PAUSES) -> None:
        self._emit = emit
        self._pauses = pauses
        self._added: SimpleQueue[_Added | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def add(self, event: ChangeEvent, commit: SentCommit | None = None) -> None:
        """Repeat an event.

        Args:
            event: The event.
            commit: Emit the event once, when this has succeeded, and repeat it only if its outcome is unknown. With
                ``None``, the outcome is unknown already.
        """
        self._added.put(_Added(event, commit))
        self._start()

    def stop(self) -> None:
        """Drop what is left to repeat."""
        if self._thread is not None:
            self._added.put(None)

    def _start(self) -> None:
        if self._thread is not None and self._thread.is_alive():  # it does not survive a fork
            return
        self._thread = threading.Thread(target=self._run, name="starlette-reactive commits in doubt", daemon=True)
        with suppress(RuntimeError):
            if not sys.is_finalizing():  # a thread would never begin then, and starting it would wait for that
                self._thread.start()
                return
        self._thread = None
        logger.warning(
            "the changes of a commit in doubt are not emitted again, because the interpreter is shutting down"
        )

    # In the thread

    def _run(self) -> None:
        waiting: dict[object, _Waiting] = {}
        while True:
            due = min((each.due for each in waiting.values()), default=0.0)
            try:
                added = self._added.get(bool(waiting), max(0.0, due - time.monotonic()))
            except Empty:
                if not waiting:
                    break
                self._repeat(waiting)
            else:
                if added is None:
                    waiting.clear()
                else:
                    self._wait_for(waiting, added)
        self._thread = None
        if not self._added.empty():  # added since, by a thread that has seen this one alive
            self._start()

    def _wait_for(self, waiting: dict[object, _Waiting], added: _Added) -> None:
        event = added.event
        key = (event.scope, event.audience, event.origin, added.commit)
        same = waiting.pop(key, None)
        if same is not None:
            paths = same.event.changed_paths | event.changed_paths
            are_all = len(paths) > _PATH_LIMIT or ALL in paths
            event = ChangeEvent(event.scope, {ALL} if are_all else paths, event.origin, event.audience)
        elif len(waiting) >= SCOPE_LIMIT:
            oldest = waiting.pop(next(iter(waiting)))
            logger.warning(
                "too many commits are in doubt: the change of the scope %r is not emitted again", oldest.event.scope
            )
        pauses = iter(self._pauses)
        waiting[key] = _Waiting(event, added.commit, pauses, time.monotonic() + next(pauses, 0.0))

    def _repeat(self, waiting: dict[object, _Waiting]) -> None:
        now = time.monotonic()
        for key, each in list(waiting.items()):
            if each.due > now:
                continue
            outcome = Outcome.UNKNOWN if each.commit is None else each.commit.outcome
            if outcome in (Outcome.COMMITTED, Outcome.UNKNOWN):
                self._emit(each.event)
            pause = next(each.pauses, None)
            if pause is None or outcome in (Outcome.COMMITTED, Outcome.REFUSED):
                del waiting[key]
            else:
                each.due = now + pause
