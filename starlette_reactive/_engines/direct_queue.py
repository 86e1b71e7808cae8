"""What is sent without the relay: what a process emits whose bus was not started, and what a stopped relay has left.

Scripts and jobs of task queues end at any moment after their emits, often by ``os._exit`` or a signal, which leave no
time to send anything. So an emit of theirs waits until the engine has accepted it. What could not be sent in time is
kept, and a thread sends it when the engine can be reached. Until then no other emit waits, so an engine that is down
delays a process once.
"""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Callable

from .._core.errors import EmitTimeoutError
from .._core.events import ChangeEvent
from .._core.toasts import Toast
from .direct_sender import DirectSender, held, loop_is_running
from .engine import Engine
from .messages import Outgoing
from .outbox import Batch, Outbox, WaitingEvent
from .this_process import note_use

__all__ = ["DirectQueue"]

_EVENTS_AT_ONCE = 500
_LOOP_SECONDS = 1.0  # how long an event loop may be blocked
_LAST_SECONDS = 1.0  # for the last attempt, if the time is over or if the attempts before have failed
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds between two attempts of the thread


class DirectQueue:
    """Sends in the thread that hands something in. Thread-safe, and safe in a signal handler.

    Args:
        engine: The engine.
        patience: How long to wait for the engine, in seconds.
        owner: What must exist as long as something is waiting.

    Attributes:
        last_error: Why the last attempt has failed. ``None`` if it has succeeded.
    """

    def __init__(self, engine: Engine, patience: float, owner: object) -> None:
        self._name = engine.name
        self._patience = patience
        self._owner = owner
        self._sender = DirectSender(engine)
        self.begin_in_child()
        weakref.finalize(self, self._sender.close)

    def begin_in_child(self) -> None:
        """Begin in a new process. What waited in the parent is the parent's, and so are its locks and connection."""
        self._lock = threading.RLock()  # a signal handler may interrupt its holder
        self.last_error: str | None = None
        self._is_emptying = False
        self._outbox = Outbox()
        self._is_retrying = False
        self._stop_retrying = threading.Event()
        self._sender.leave_to_parent()

    def __len__(self) -> int:
        """Return how many events wait."""
        return len(self._outbox)

    @property
    def is_full(self) -> bool:
        """Whether the events of no further scope are taken."""
        return self._outbox.is_full

    # Called by the relay

    def emit(self, event: ChangeEvent) -> None:
        """Send an event, and wait until the engine has accepted it.

        Raises:
            EmitTimeoutError: The engine has not accepted it in time. It is kept.
        """
        self._hand_in(Batch([WaitingEvent(event)]), f"the change of {event.scope!r}")

    def end_user(self, user_id: str, scope: str | None) -> None:
        """Ask other processes to end a user's streams, and wait until the engine has accepted it.

        Raises:
            EmitTimeoutError: The engine has not accepted it in time. It is kept.
        """
        self._hand_in(Batch(ended_users=[(user_id, scope)]), "the request to end a user's streams")

    def send_toast(self, toast: Toast) -> None:
        """Send a toast, and wait until the engine has accepted it. It is tried once and not kept.

        Raises:
            EmitTimeoutError: The engine has not accepted it in time. It may have passed it on nevertheless.
        """
        seconds = min(self._patience, _LOOP_SECONDS) if loop_is_running() else self._patience
        deadline = time.monotonic() + seconds
        try:
            with held(self._lock, deadline):
                if self._is_emptying:
                    raise TimeoutError("this thread is sending something else")
                self._is_emptying = True
                try:
                    self._sender.send(Outgoing(toasts=[toast]), deadline)
                finally:
                    self._is_emptying = False
        except self._sender.failures as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise EmitTimeoutError(
                f"{self._name} has not accepted the toast for {toast.scope!r}, which is not kept: {reason}"
            ) from error
        finally:
            if self._outbox.has_posted:  # a signal handler has left it to this thread
                self._send_posted(deadline)

    def _send_posted(self, deadline: float) -> None:
        try:
            self._attempt(deadline)
        except self._sender.failures:
            self._retry_later()

    def add(self, unsent: Batch) -> None:
        """Add what a relay has not sent."""
        self._outbox.post(unsent)

    def hand_over(self, receive: Callable[[Batch], None]) -> None:
        """Pass what waits to a relay that begins, unless a thread is sending it."""
        with contextlib.suppress(TimeoutError):
            self._empty(lambda: self._outbox.hand_over(receive), time.monotonic())

    def finish(self, seconds: float) -> str | None:
        """Send everything and disconnect.

        Args:
            seconds: How long this may take. There is time for one attempt in any case.

        Returns:
            What could not be sent, and why. It is kept.
        """
        self._stop_retrying.set()
        self._is_retrying = False
        try:
            self._persist(_LAST_SECONDS if self.last_error else max(seconds, _LAST_SECONDS))
        except self._sender.failures as error:
            return f"{self._outbox.waiting()} not sent to {self._name}: {self._reason(error)}"
        finally:
            with contextlib.suppress(TimeoutError), held(self._lock, time.monotonic()):
                self._sender.close()
        return None

    # Sending

    def _hand_in(self, batch: Batch, what: str) -> None:
        note_use()
        self._outbox.post(batch)
        if self._is_retrying:
            self._merge()
            raise self._kept(f"cannot be reached and has not accepted {what}", self.last_error)
        seconds = min(self._patience, _LOOP_SECONDS) if loop_is_running() else self._patience
        try:
            self._persist(seconds)
        except self._sender.failures as error:
            self._retry_later()
            raise self._kept(f"has not accepted {what} within {seconds:g} s", self._reason(error)) from error

    def _kept(self, what: str, reason: str | None) -> EmitTimeoutError:
        return EmitTimeoutError(f"{self._name} {what}; it is kept and will be sent when the engine is back: {reason}")

    def _reason(self, error: Exception) -> str:
        return self.last_error or str(error)

    def _persist(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        self._sender.persist(lambda: self._attempt(deadline), deadline)

    def _attempt(self, deadline: float) -> None:
        """Try to send everything."""
        self._empty(lambda: self._send_all(deadline), deadline)

    def _empty(self, empty_once: Callable[[], None], deadline: float) -> None:
        """Empty the outbox. A signal handler that interrupts it leaves what it hands in to what it has interrupted."""
        while True:
            with held(self._lock, deadline):
                if self._is_emptying:
                    return
                self._is_emptying = True
                try:
                    empty_once()
                finally:
                    self._is_emptying = False
            if not self._outbox.has_posted:
                return

    def _send_all(self, deadline: float) -> None:
        while self._has_work():
            try:
                self._sender.send(self._outbox.take(_EVENTS_AT_ONCE).outgoing(), deadline)
            except BaseException as error:
                self._outbox.put_back()
                if isinstance(error, self._sender.failures):
                    self.last_error = " ".join(str(error).split()) or type(error).__name__
                raise
            self._outbox.accept()
        self.last_error = None

    def _has_work(self) -> bool:
        self._outbox.collect()
        return bool(self._outbox)

    def _merge(self) -> None:
        """Merge what was posted, unless it is being sent."""
        with contextlib.suppress(TimeoutError), held(self._lock, time.monotonic()):
            if not self._is_emptying:
                self._outbox.collect()

    def _retry_later(self) -> None:
        if not self._is_retrying:
            self._is_retrying = True
            self._stop_retrying = threading.Event()
            arguments = (self._stop_retrying, self._owner)
            thread = threading.Thread(target=self._retry, args=arguments, name="starlette-reactive retry", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is ending
                self._is_retrying = False

    def _retry(self, stop: threading.Event, _owner: object) -> None:
        pause = _FIRST_PAUSE
        try:
            while not stop.wait(pause):
                pause = min(2 * pause, _LONGEST_PAUSE)
                with contextlib.suppress(*self._sender.failures):
                    self._attempt(time.monotonic() + self._patience)
                    self._is_retrying = False
                    if not self._outbox.has_posted:  # else something was handed in that relies on this thread
                        return
                    self._is_retrying = True
        finally:
            self._is_retrying = False
