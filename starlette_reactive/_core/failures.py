"""Logging what fails again and again: the traceback once, then how often, and when it works again.

An update that raises is tried again at each change and for each viewer, so the same traceback would fill the log.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Failures"]

_LOG_INTERVAL = 60.0  # seconds between two log lines about the same failure
_MAX_ENTRIES = 1000  # failures and failing parts that are remembered

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")
_Identity = tuple[Hashable, type[BaseException], tuple[tuple[str, int], ...]]


@dataclass(slots=True)
class _Failure:
    """One failure, which may happen in several places, such as the updates of several viewers."""

    count: int = 0  # since the traceback was logged
    logged_at: float = 0.0
    failing: int = 0  # what has failed so, and has not worked since
    is_over: bool = False  # whether all that has failed so works again
    announced: bool = False  # whether the last log line says that it fails


class Failures:
    """Logs failures. Two are the same if their exceptions have the same type and were raised by the same lines of code.

    Thread-safe.

    Args:
        logger: Where they are logged.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._lock = threading.RLock()  # a signal handler may emit, and fail, while it is held
        self._failures: dict[_Identity, _Failure] = {}
        self._failing: dict[Hashable, dict[Hashable, _Identity]] = {}  # by owner and part

    def log(
        self, what: str, error: BaseException, owner: Hashable = None, *, part: Hashable = None, kind: Hashable = None
    ) -> None:
        """Log a failure: with its traceback if it is new, else at most once in a minute.

        Args:
            what: What has failed, such as ``"rendering the block 'a'"``.
            error: What it has raised.
            owner: What will say whether it works again. ``None`` if nothing will.
            part: The part of the owner that has failed.
            kind: Tells failures apart that were raised by the same lines.
        """
        identity = (kind, type(error), _lines(error))
        with self._lock:
            failure = _remember(self._failures, identity, _Failure())
            is_new = failure.count == 0 or (failure.is_over and _is_due(failure))
            failure.count = 1 if is_new else failure.count + 1
            failure.is_over = False
            if owner is not None:
                self._note(owner, part, identity, failure)
            if not is_new and not _is_due(failure):
                return
            failure.logged_at, failure.announced = time.monotonic(), True
        if is_new:
            self._logger.error("%s failed", what, exc_info=error)
        else:
            self._logger.error(
                "%s failed again: %s: %s (%d times since its traceback was logged)",
                what,
                type(error).__name__,
                error,
                failure.count,
            )

    def _note(self, owner: Hashable, part: Hashable, identity: _Identity, failure: _Failure) -> None:
        parts = _remember(self._failing, owner, {})
        if parts.get(part) != identity:
            self._end(parts.get(part))
            parts[part] = identity
            failure.failing += 1

    def has_failed(self, owner: Hashable) -> bool:
        """Return whether something of an owner has failed, and has not worked since."""
        return owner in self._failing

    def recover(self, what: str, owner: Hashable, *, part: Hashable = None) -> None:
        """Record that something works. If it was the last that had failed in its way, log it."""
        if not self.has_failed(owner):
            return
        with self._lock:
            parts = self._failing.get(owner, {})
            failure = self._end(parts.pop(part, None))
            if not parts:
                self._failing.pop(owner, None)
            if failure is None or failure.failing:
                return
            failure.is_over = True
            announced, failure.announced = failure.announced, False
        if announced:
            ending = "" if failure.count == 1 else "s"
            self._logger.warning("%s works again, after %d failure%s", what, failure.count, ending)

    def forget(self, owner: Hashable) -> None:
        """Forget what has failed, because it will not be tried again."""
        if self.has_failed(owner):
            with self._lock:
                for identity in self._failing.pop(owner, {}).values():
                    self._end(identity)

    def _end(self, identity: _Identity | None) -> _Failure | None:
        failure = None if identity is None else self._failures.get(identity)
        if failure is not None:
            failure.failing = max(0, failure.failing - 1)
        return failure

    @contextmanager
    def logged(self, what: str, owner: Hashable = None) -> Iterator[None]:
        """Log what the context raises, and do not raise it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - logged
            self.log(what, error, owner)
        else:
            self.recover(what, owner)


def _remember(entries: dict[_K, _V], key: _K, new: _V) -> _V:
    """Return the entry of a key, which is made if there is none, and becomes the newest. The oldest are forgotten."""
    found = entries[key] = entries.pop(key, new)
    while len(entries) > _MAX_ENTRIES:
        del entries[next(iter(entries))]
    return found


def _is_due(failure: _Failure) -> bool:
    return time.monotonic() - failure.logged_at >= _LOG_INTERVAL


def _lines(error: BaseException) -> tuple[tuple[str, int], ...]:
    lines, traceback = [], error.__traceback__
    while traceback is not None:
        lines.append((traceback.tb_frame.f_code.co_filename, traceback.tb_lineno))
        traceback = traceback.tb_next
    return tuple(lines)
