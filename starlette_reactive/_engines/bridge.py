"""The relay to any engine: a thread with an event loop, in which it talks to the engine.

The thread makes the bus independent of the application's event loops: any thread may emit, on asyncio or trio,
whatever the engine's driver needs. Everything in the relay runs in the thread's loop. Other threads post functions,
which are called in the loop in the order in which they were posted.

The parts of a relay:

- ``Connector`` keeps a session open, and reconnects when it fails.
- ``Receiver`` receives messages, and ends a silent session.
- ``ScopeFollower`` loads the histories of scopes, and delivers their events to the bus.
- ``SendQueue`` sends what the bus publishes, from the ``Outbox`` and the ``LocalMembers``.
- ``DirectQueue`` sends from other threads: as long as the relay was not started, and what it has left when it stops.
- ``Heartbeat`` renews the ``Lease`` of this process, and looks for dead processes and lost events.
- ``RemoteMembers`` are the members in other processes.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import secrets
import time
from collections.abc import Callable

from .._core.errors import OutboxFullError
from .._core.events import ChangeEvent, ConnectionInfo, Health
from .._core.toasts import Toast
from .alarms import Alarms
from .connector import Connector
from .direct_queue import DirectQueue
from .engine import Engine, Session
from .heartbeat import Heartbeat
from .lease import Lease
from .local_members import LocalMembers
from .loop_thread import LoopThread
from .outbox import Batch, Outbox, WaitingEvent
from .receiver import Receiver
from .relay import LocalBus
from .remote_members import RemoteMembers
from .scopes import ScopeFollower
from .send_queue import SendQueue, StampCallback
from .this_process import call_after_fork, finish_before_exit, keep, note_use
from .toast_queue import WaitingToast

__all__ = ["Bridge"]

logger: logging.Logger = logging.getLogger("starlette_reactive.engines")

_STOP_SECONDS = 3.0  # how long a session may take to send the rest when the relay stops


class Bridge:
    """The relay to any engine. Thread-safe.

    Args:
        engine: The engine.
        heartbeat: Seconds between two renewals of this process's lease.
        lease: Seconds after which other processes take this one for dead if it does not renew its lease.
        patience: How long to wait for an answer of the engine, in seconds.
    """

    def __init__(self, engine: Engine, *, heartbeat: float = 5.0, lease: float = 15.0, patience: float = 5.0) -> None:
        self._engine = engine
        self.patience: float = patience
        self._is_bound = False
        self._is_started = False
        self._process = ""
        self._main: asyncio.Task[None] | None = None
        self._alarms = Alarms()
        self._thread = LoopThread(self._run, prepare=self._prepare, after=self._alarms.ring)
        self._outbox = Outbox()
        self._local_members = LocalMembers()
        self._remote_members = RemoteMembers()
        self._lease = Lease(lease, self._local_members, self._outbox)
        self._queue = SendQueue(self._outbox, self._local_members, self._alarms, patience)
        self._scopes = ScopeFollower(self._remote_members, self._alarms, patience)
        self._receiver = Receiver(self._scopes, heartbeat)
        pulse = Heartbeat(heartbeat, patience, self._lease, self._remote_members, self._scopes)
        tasks = (self._receiver.run, self._scopes.run, self._queue.run, pulse.run, self._receiver.watch_silence)
        self._connector = Connector(engine, patience, self._alarms, self._queue, self._begin, tasks)
        self._direct = DirectQueue(engine, patience, self)
        call_after_fork(self._begin_in_child)
        finish_before_exit(self)

    @property
    def name(self) -> str:
        """The engine's name."""
        return self._engine.name

    # Called from any thread

    def bind(self, bus: LocalBus) -> None:
        """Set the bus to deliver to.

        Raises:
            ValueError: The relay has a bus already.
        """
        if self._is_bound:
            raise ValueError("this relay already serves another bus: make one relay for each bus")
        self._is_bound = True
        self._scopes.bus = bus

    def start(self) -> None:
        """Start to connect. From now on :meth:`publish` and :meth:`end_user` do not wait."""
        self._is_started = True
        self._thread.post(lambda: None)

    def stop(self) -> None:
        """Send what waits, and disconnect. What could not be sent is logged, and kept for the next start."""
        report = self.finish()
        if report is not None:
            logger.error("stopped with %s", report)

    def finish(self) -> str | None:
        """Send what waits, and disconnect. Return what could not be sent, and why."""
        until = time.monotonic() + self.patience
        self._is_started = False
        if not self._thread.join(self._begin_to_stop, _STOP_SECONDS + 2):
            self._direct.add(self._outbox.waiting())
        report = self._direct.finish(until - time.monotonic())
        if report is not None:
            keep(self)
        return report

    def publish(self, event: ChangeEvent, accepted: Callable[[], None] | None) -> None:
        """Send an event. Without ``accepted``, wait for the engine unless the relay was started.

        Raises:
            EmitTimeoutError: The engine has not accepted the event in time. It is kept.
            OutboxFullError: Events of too many scopes are waiting.
        """
        if self._outbox.is_full or self._direct.is_full:
            raise OutboxFullError(
                f"{self.name} is unreachable, and changes of {self._waiting} scopes wait for it: the change of "
                f"{event.scope!r} was not taken; emit it again when bus.health() shows a connection"
            )
        if accepted is None and not self._is_started:
            self._direct.emit(event)
        else:
            self._post(Batch([WaitingEvent(event, [] if accepted is None else [accepted])]))

    def _post(self, batch: Batch) -> None:
        self._outbox.post(batch)
        self._thread.post(self._outbox.collect)

    def attach(self, scope: str) -> None:
        """Load the history of a scope, and deliver its events from now on."""
        self._thread.post(functools.partial(self._scopes.attach, scope))

    def detach(self, scope: str) -> None:
        """Note that a scope has no viewers any more."""
        self._thread.post(lambda: self._scopes.detach(scope, time.monotonic()), start=False)

    def join(self, scope: str, key: int, connection: ConnectionInfo) -> None:
        """Show a member of a scope to other processes."""
        self._thread.post(functools.partial(self._local_members.add, scope, str(key), connection))

    def leave(self, scope: str, key: int) -> None:
        """Stop showing a member to other processes."""
        self._thread.post(functools.partial(self._local_members.remove, scope, str(key)), start=False)

    def presence(self, scope: str) -> frozenset[ConnectionInfo]:
        """Return the connections of a scope in other processes, as far as they are known here."""
        return self._remote_members.connections(scope)

    def end_user(self, user_id: str, scope: str | None) -> None:
        """End a user's streams in other processes. Wait for the engine unless the relay was started.

        Raises:
            EmitTimeoutError: The engine has not accepted it in time. It is kept.
        """
        if self._is_started:
            self._post(Batch(ended_users=[(user_id, scope)]))
        else:
            self._direct.end_user(user_id, scope)

    def send_toast(self, toast: Toast, accepted: Callable[[], None] | None) -> None:
        """Send a toast, at most once. Without ``accepted``, wait for the engine unless the relay was started.

        Raises:
            EmitTimeoutError: The engine has not accepted it in time. It is not kept.
        """
        if accepted is None and not self._is_started:
            self._direct.send_toast(toast)
        else:
            waiting = WaitingToast(toast, time.monotonic() + self.patience, accepted)
            self._thread.post(functools.partial(self._queue.send_toast, waiting))

    def request_stamp(self, callback: StampCallback) -> None:
        """Ask the engine for its current stamp."""
        self._thread.post(functools.partial(self._queue.request_stamp, callback))

    def health(self) -> Health:
        """Return the state of the connection."""
        connector = self._connector
        return Health(
            engine=self.name,
            connected=connector.connected,
            waiting=self._waiting,
            last_error=self._direct.last_error or connector.last_error,
            connections=connector.connections,
            ignored=self._engine.ignored.count,
        )

    @property
    def _waiting(self) -> int:
        before = len(self._outbox)
        direct = len(self._direct)
        return max(before, len(self._outbox)) + direct  # meanwhile events may have moved from one to the other

    # The thread

    def _begin_in_child(self) -> None:
        self._is_started = False
        self._connector.connected = False
        self._thread.begin_in_child()
        self._outbox.begin_in_child()
        self._direct.begin_in_child()

    def _prepare(self, is_new_process: bool) -> None:
        note_use()
        self._direct.hand_over(self._outbox.add_first)
        if is_new_process:
            self._process = secrets.token_hex(8)
            self._local_members.clear()
        self._alarms.reset()

    async def _run(self) -> None:
        self._main = asyncio.current_task()
        try:
            self._thread.call_posted()
            await self._connector.run(self._process)
        finally:
            self._outbox.hand_over(self._direct.add)

    def _begin_to_stop(self) -> None:
        self._alarms.stopping = True
        if self._main is not None:
            self._main.get_loop().call_later(_STOP_SECONDS if self._connector.connected else 0, self._main.cancel)

    async def _begin(self, session: Session) -> None:
        self._scopes.begin(self._process, session)
        self._receiver.begin(self._process)
        async with asyncio.timeout(self.patience):
            await self._lease.enroll(session)
        self._alarms.ring()
