"""The relay to any engine: one thread with an event loop of its own, in which a session is held.

So the bus works from every thread, and from asyncio and trio alike, whatever the engine's driver wants. Everything here
happens in that loop; other threads leave functions in a queue, which are called there in their order. What must hold:

- **Nothing is told before it is level.** Events of a scope that come while its history is asked for are held back, and
  told after it.
- **A gap is never passed over.** If the stamp before an event's is not known here, the history is asked for again.
- **What was not accepted is sent again**, merged with what came since. So delivery is at least once.
- **Silence is a failure.** A beat is sent through the engine; if none has come back in three beats, the session ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import random
import secrets
import time
from collections import deque
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack

from .._core.errors import OutboxFullError
from .._core.events import ChangeEvent, ConnectionInfo, Health
from .._core.paths import ALL
from .._log.replica import History
from .engine import Arrived, Batch, Engine, Heard, LeaseLapsedError, Message, Presence, Seen, Session, UserEnded
from .loop_thread import LoopThread
from .outbox import Outbox
from .relay import Local
from .remote_members import Elsewhere

__all__ = ["Bridge"]

logger: logging.Logger = logging.getLogger("starlette_reactive.engines")

_FIRST_PAUSE, _LAST_PAUSE = 0.05, 5.0  # seconds between two attempts to connect
_ATTEMPT = 1.0  # seconds after which a session that fails counts as one that had succeeded
_LINGER = 30.0  # seconds that a scope which nobody views any more stays attached
_CLOSING = 1.0  # seconds that closing a session's connections may take
_FAREWELL = 3.0  # seconds that a stop may take
_CHECK_INTERVAL = 30.0  # seconds in which every scope's position is compared with the engine's once
_BATCH = 500  # letters or scopes that are sent at once
_HELD = 1000  # events of a scope that are held back while its history is asked for


class EngineSilentError(ConnectionError):
    """Nothing has come through the engine for too long."""


class Bridge:
    """A relay.

    Args:
        engine: The engine.
        beat: Seconds between two signs of life.
        lease: Seconds after which a process that gives none is taken for dead.
        patience: How long to wait for an answer of the engine, in seconds.
    """

    def __init__(self, engine: Engine, *, beat: float = 5.0, lease: float = 15.0, patience: float = 5.0) -> None:
        self._engine = engine
        self._beat = beat
        self._lease = lease
        self.patience = patience
        self._local: Local | None = None
        self._process = ""
        self._thread = LoopThread(self._stay_connected, prepare=self._prepare, after=self._ring)
        self._main: asyncio.Task[None] | None = None
        self._alarms: dict[str, asyncio.Event] = {}
        self._has_work: dict[str, Callable[[], object]] = {
            "send": self._has_to_send,
            "follow": lambda: self._to_attach or self._to_detach,
            "pause": lambda: self._questions,
        }
        self._stopping = False
        self._outbox = Outbox()
        self._presence: dict[tuple[str, str], Seen | None] = {}  # what is to be sent of it
        self._ended: list[tuple[str, str | None]] = []  # to be sent
        self._members: dict[tuple[str, str], Seen] = {}  # the viewers of this process
        self._wanted: dict[str, float | None] = {}  # scopes, with the time since when nobody views them
        self._to_attach: dict[str, None] = {}
        self._to_detach: dict[str, None] = {}
        self._held: dict[str, list[Arrived | Presence]] = {}  # what comes of scopes whose history is asked for
        self._last: dict[str, int] = {}  # the stamp of the last event told
        self._elsewhere = Elsewhere()
        self._questions: list[Callable[[int | None], None]] = []
        self._leased_until = 0.0
        self._epoch = ""
        self._heard_at = 0.0
        self._connected_at: float | None = None
        self._connected = False
        self._connections = 0
        self._last_error: str | None = None

    # Called from any thread

    @property
    def name(self) -> str:
        """The engine's name."""
        return self._engine.name

    def bind(self, local: Local) -> None:
        """Take note of the bus."""
        if self._local is not None:
            raise ValueError("this relay serves another bus already: make one for each bus")
        self._local = local

    def start(self) -> None:
        """Begin to connect."""
        self._thread.post(lambda: None)

    def stop(self) -> None:
        """Send what waits, and disconnect."""
        self._thread.join(self._begin_to_stop, _FAREWELL + 2)

    def publish(self, event: ChangeEvent, accepted: Callable[[], None] | None) -> None:
        """Send an event.

        Raises:
            OutboxFullError: Too many scopes wait already.
        """
        if self._outbox.is_full:
            raise OutboxFullError(
                f"{self.name} is away, and changes of {len(self._outbox)} scopes wait for it: the change of "
                f"{event.scope!r} was not taken"
            )
        self._thread.post(functools.partial(self._outbox.put, event, [] if accepted is None else [accepted]))

    def attach(self, scope: str) -> None:
        """Have a scope loaded, and its events delivered."""
        self._thread.post(functools.partial(self._want, scope))

    def detach(self, scope: str) -> None:
        """Say that nobody views a scope any more."""
        self._thread.post(functools.partial(self._want_no_more, scope), start=False)

    def join(self, scope: str, key: int, connection: ConnectionInfo) -> None:
        """Show a viewer of a scope to other processes."""
        since = time.time() - (time.monotonic() - connection.connected_at)
        seen = Seen(connection.session_id, connection.user_id, since)
        self._thread.post(functools.partial(self._show, scope, str(key), seen))

    def leave(self, scope: str, key: int) -> None:
        """Show a viewer no more."""
        self._thread.post(functools.partial(self._show, scope, str(key), None), start=False)

    def presence(self, scope: str) -> frozenset[ConnectionInfo]:
        """Return who views a scope in other processes, as far as is known here."""
        return self._elsewhere.viewers(scope)

    def end_user(self, user_id: str, scope: str | None) -> None:
        """End a user's streams in other processes."""
        self._thread.post(functools.partial(self._ended.append, (user_id, scope)))

    def ask_stamp(self, answer: Callable[[int | None], None]) -> None:
        """Ask the engine for a stamp that stands for now."""
        self._thread.post(functools.partial(self._questions.append, answer))

    def health(self) -> Health:
        """Return how things stand."""
        return Health(self.name, self._connected, len(self._outbox), self._last_error, self._connections)

    # The thread

    def _prepare(self, is_new: bool) -> None:
        if is_new:
            self._process = secrets.token_hex(8)
            self._members.clear()
        self._stopping = False
        self._alarms = {name: asyncio.Event() for name in self._has_work}  # of the new loop

    def _ring(self) -> None:
        """Wake whoever has something to do."""
        for name, has_work in self._has_work.items():
            if self._stopping or has_work():
                self._alarms[name].set()

    async def _rung(self, name: str) -> None:
        """Wait until something was posted since the last time that this was called by that name."""
        alarm = self._alarms[name]
        await alarm.wait()
        alarm.clear()

    def _begin_to_stop(self) -> None:
        self._stopping = True
        if self._main is not None:
            self._main.get_loop().call_later(_FAREWELL, self._main.cancel)

    # What the bus tells

    def _want(self, scope: str) -> None:
        if scope not in self._wanted:
            self._to_attach[scope] = None
        self._to_detach.pop(scope, None)
        self._wanted[scope] = None

    def _want_no_more(self, scope: str) -> None:
        if scope in self._wanted:
            self._wanted[scope] = time.monotonic()

    def _show(self, scope: str, key: str, seen: Seen | None) -> None:
        self._presence[scope, key] = seen
        if seen is None:
            self._members.pop((scope, key), None)
        else:
            self._members[scope, key] = seen

    # Sessions

    async def _stay_connected(self) -> None:
        self._main = asyncio.current_task()
        self._thread.take_in()
        failures = 0
        while not self._stopping:
            self._connected_at = None
            try:
                await self._connect()
            except Exception as error:  # noqa: BLE001 - whatever ends a session, another one is begun
                self._note_failure(error)
            finally:
                self._connected = False
            failures = 0 if self._lasted() else failures + 1
            await self._pause(min(_LAST_PAUSE, _FIRST_PAUSE * 2 ** min(failures, 16)))
        self._note_unsent()

    def _lasted(self) -> bool:
        """Tell whether the last session was more than an attempt."""
        return self._connected_at is not None and time.monotonic() - self._connected_at > _ATTEMPT

    async def _connect(self) -> None:
        connection = AsyncExitStack()
        try:
            async with asyncio.timeout(self.patience):
                session = await connection.enter_async_context(self._engine.connect(self._process))
            await self._hold(session)
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSING):
                    await connection.aclose()

    async def _pause(self, longest: float) -> None:
        until = time.monotonic() + longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        while not self._stopping and (left := until - time.monotonic()) > 0:
            self._answer_questions(None)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._rung("pause"), left)

    def _note_failure(self, error: Exception) -> None:
        if self._stopping:
            return
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        text = f"{type(error).__name__}: {error}" if str(error) else "no answer in time"
        if self._connected or text != self._last_error:
            logger.warning("the connection to %s failed, and is tried again: %s", self.name, text)
        self._last_error = text

    def _note_unsent(self) -> None:
        if len(self._outbox):
            logger.warning("%d changes were not sent, for %s is away", len(self._outbox), self.name)

    async def _hold(self, session: Session) -> None:
        self._held.clear()
        self._to_detach.clear()
        self._heard_at = time.monotonic()
        self._bus.begin(session.epoch)
        self._to_attach = dict.fromkeys(self._wanted)
        self._presence.clear()
        async with asyncio.timeout(self.patience):
            await self._enroll(session)
        self._ring()
        tasks = [
            asyncio.create_task(run(session))
            for run in (self._receive, self._follow, self._send, self._keep, self._watch_silence)
        ]
        self._connected_at = time.monotonic()
        self._connections += 1
        self._connected = True
        logger.info("connected to %s", self.name)
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _enroll(self, session: Session) -> None:
        members = [(scope, key, seen) for (scope, key), seen in self._members.items()]
        now = time.monotonic()
        if self._connections and (now > self._leased_until or session.epoch != self._epoch):
            # Others may have taken this process for dead, so they are to be told of its viewers, and pages of others.
            await session.enroll(())
            for scope in {scope for scope, _, _ in members}:
                self._outbox.put(ChangeEvent(scope, (ALL,)), [])
        await session.enroll(members)
        self._leased_until = now + self._lease
        self._epoch = session.epoch

    @property
    def _bus(self) -> Local:
        assert self._local is not None  # noqa: S101 - nothing is posted before a bus is bound
        return self._local

    # Receiving

    async def _receive(self, session: Session) -> None:
        while True:
            messages = await session.receive()
            self._heard_at = time.monotonic()
            for message in messages:
                self._take(message)

    def _take(self, message: Message) -> None:
        match message:
            case Arrived():
                self._arrive(message)
            case Heard(level):
                if not self._held and not self._to_attach:  # else something of those scopes may not have been told yet
                    self._bus.heard(level)
            case Presence(scope, process):
                if process != self._process and scope in self._wanted and not self._hold_back(scope, message):
                    self._elsewhere.note(message)
            case UserEnded(process, user_id, scope):
                if process != self._process:
                    self._bus.end_user(user_id, scope)

    def _arrive(self, message: Arrived) -> None:
        scope = message.event.scope
        if scope not in self._wanted or self._hold_back(scope, message):
            return
        if message.previous is None:
            self._bus.deliver(message.event, message.stamp, None)
            return
        last = self._last.get(scope, 0)
        if message.previous > last or message.stamp <= last:
            logger.warning("events of scope %r are missing; everything that shows it is brought up to date", scope)
            self._start_over(scope)
            return
        self._last[scope] = message.stamp
        self._bus.deliver(message.event, message.stamp, message.stamp)

    def _hold_back(self, scope: str, message: Arrived | Presence) -> bool:
        """Keep what comes of a scope whose history is asked for; false: it is not."""
        held = self._held.get(scope)
        if held is None:
            return False
        held.append(message)
        if len(held) > _HELD:
            held.clear()
            self._to_attach[scope] = None  # it is asked for once more, and tells of what was held
            self._ring()
        return True

    def _start_over(self, scope: str) -> None:
        """Ask for a scope's history, for what was told of it cannot be trusted."""
        self._bus.forget(scope)
        self._held.setdefault(scope, [])
        self._to_attach[scope] = None
        self._ring()

    # Scopes

    async def _follow(self, session: Session) -> None:
        while True:
            await self._rung("follow")
            while self._to_attach or self._to_detach:
                await self._attach_some(session)
                await self._detach_some(session)

    async def _attach_some(self, session: Session) -> None:
        scopes = list(self._to_attach)[:_BATCH]
        for scope in scopes:
            del self._to_attach[scope]
            self._to_detach.pop(scope, None)
            self._held[scope] = []
        if not scopes:
            return
        async with asyncio.timeout(self.patience * 2):
            found = await session.attach({scope: self._bus.level(scope) for scope in scopes})
        for scope in scopes:
            history, roster = found[scope]
            has_lost = self._elsewhere.load(scope, roster, but=self._process)
            self._load(scope, history)
            if has_lost:
                self._refresh(scope)

    def _load(self, scope: str, history: History) -> None:
        self._bus.load(scope, history)
        self._last[scope] = history.level
        for message in self._held.pop(scope, ()):
            if isinstance(message, Presence) or message.previous is None or message.stamp > history.level:
                self._take(message)

    async def _detach_some(self, session: Session) -> None:
        scopes = list(self._to_detach)[:_BATCH]
        self._to_detach = {scope: None for scope in self._to_detach if scope not in scopes}
        gone = [scope for scope in scopes if self._wanted.get(scope) is not None and self._bus.unload(scope)]
        for scope in gone:
            for known in (self._wanted, self._last, self._held):
                known.pop(scope, None)
            self._elsewhere.forget(scope)
        if gone:
            async with asyncio.timeout(self.patience):
                await session.detach(gone)

    # Sending

    async def _send(self, session: Session) -> None:
        while True:
            await self._rung("send")
            while self._has_to_send():
                await self._send_some(session)
            if self._stopping:
                await session.enroll(())
                return

    def _has_to_send(self) -> bool:
        return bool(self._presence or self._ended or len(self._outbox) or self._questions)

    async def _send_some(self, session: Session) -> None:
        presence, self._presence = self._presence, {}
        ended, self._ended = self._ended, []
        letters = self._outbox.take(_BATCH)
        questions, self._questions = self._questions, []
        try:
            async with asyncio.timeout(self.patience):
                if presence or ended or letters:
                    changes = [(scope, key, seen) for (scope, key), seen in presence.items()]
                    await session.send(Batch(changes, ended, [letter.event for letter in letters]))
                stamp = await session.stamp() if questions else None
        except BaseException:
            self._outbox.put_back(letters)
            self._ended = ended + self._ended
            self._questions = questions + self._questions
            raise
        for letter in letters:
            for accepted in letter.accepted:
                accepted()
        for answer in questions:
            answer(stamp)

    def _answer_questions(self, stamp: int | None) -> None:
        questions, self._questions = self._questions, []
        for answer in questions:
            answer(stamp)

    # Keeping

    async def _keep(self, session: Session) -> None:
        unchecked: deque[str] = deque()
        while True:
            async with asyncio.timeout(self.patience):
                await self._renew(session)
                if processes := self._elsewhere.processes():
                    self._bury(processes - await session.living(sorted(processes)))
                unchecked = unchecked or deque(self._last)
                await self._check(session, [unchecked.popleft() for _ in range(self._share(len(unchecked)))])
            self._let_go(time.monotonic() - _LINGER)
            await asyncio.sleep(self._beat)

    async def _renew(self, session: Session) -> None:
        now = time.monotonic()
        if now > self._leased_until:
            raise LeaseLapsedError(f"this process gave no sign of life for more than {self._lease:g} s")
        await session.beat(self._lease)
        self._leased_until = now + self._lease

    def _bury(self, dead: Collection[str]) -> None:
        """Forget the viewers of processes that have died. Nobody tells of it, so all that shows them is rendered."""
        for scope in self._elsewhere.bury(dead):
            self._refresh(scope)

    def _refresh(self, scope: str) -> None:
        """Have everything rendered in this process that shows a scope."""
        level = self._bus.level(scope)
        if level is not None:
            self._bus.deliver(ChangeEvent(scope, (ALL,)), level, None)

    def _share(self, scopes: int) -> int:
        """Return how many scopes are checked in a beat, so that all are within the interval."""
        return min(scopes, max(1, round(len(self._last) * self._beat / _CHECK_INTERVAL)))

    async def _check(self, session: Session, scopes: list[str]) -> None:
        levels = {scope: self._last[scope] for scope in scopes if scope in self._last and scope not in self._held}
        for scope in await session.behind(levels) if levels else ():
            if self._last.get(scope) == levels[scope] and scope not in self._held:
                self._start_over(scope)

    def _let_go(self, before: float) -> None:
        for scope, since in self._wanted.items():
            if since is not None and since < before:
                self._to_detach[scope] = None
        if self._to_detach:
            self._ring()

    async def _watch_silence(self, session: Session) -> None:  # noqa: ARG002 - one of the session's tasks
        while True:
            silence = time.monotonic() - self._heard_at
            if silence > 3 * self._beat:
                raise EngineSilentError(f"nothing has come through it for {silence:.1f} s")
            await asyncio.sleep(self._beat / 2)
