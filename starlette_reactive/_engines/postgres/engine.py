"""The engine PostgreSQL: a log table that is written within transactions, and read by transaction numbers.

Each process has one connection that listens and reads, and one that writes. What must hold:

- **A reading tells exactly what was committed since the one before.** It asks for the transactions that the snapshot
  before did not see: those that ran then, and those that began later. Nothing is remembered of single rows, and it does
  not matter in what order transactions end, or how long one takes.
- **A wake-up is never sent within a program's own transaction**: all transactions that notify commit one after the
  other. The bus's own are short, and do so once in a while. A reading is due each second whether one comes or not.
- **A wake-up may say what was committed**, which is then told before the reading that finds it, and not again.
- **A stamp is the number of a transaction**; a cursor's, the one up to which all had ended.
- **Rows are deleted half a minute after they could be read, at the earliest**, and a session that has not read for
  nearly as long ends, by the server's clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import psycopg

from ..._core.events import ChangeEvent
from ..._log.replica import History
from ..engine import Arrived, Batch, Heard, Message, Presence, Roster, Seen, UserEnded
from . import queries
from .codec import (
    Snapshot,
    batch_json,
    decode,
    encode,
    event_of,
    events_of_hint,
    hint_json,
    histories,
    members_json,
    seen_of,
)
from .connection import Line, install, open_line
from .schema import CHANNEL, DDL
from .sender import PostgresSender

__all__ = ["DDL", "PostgresEngine", "engine"]

_POLL = 1.0  # seconds between two readings without a wake-up
_DEBOUNCE = 0.001  # seconds between two wake-ups
_HEAD_START = 0.002  # seconds after a wake-up's word until a reading: whoever was told has the interpreter first
_UNREAD = 25.0  # seconds without a reading, after which rows may be gone unread
_KEEP = "10 min"  # how long rows are kept
_KEPT_ROWS = 100_000
_TRIMMED_AT_ONCE, _TRIMS = 2000, 20  # rows in one transaction, and transactions in one beat
_EVENTS_OF_A_SCOPE = 2000  # that are read for its history
_ENDED_KEPT = 600.0  # seconds
_ENDED_MARGIN = 15.0  # seconds that a row may take from its making to its commit


def engine(url: str) -> PostgresEngine:
    """Return the engine at a URL."""
    return PostgresEngine(url)


class PostgresEngine:
    """How to reach PostgreSQL.

    Args:
        url: As libpq takes it.
    """

    name = "postgresql"

    def __init__(self, url: str) -> None:
        self._url = url
        self._ended = _EndedUsers()

    @contextlib.asynccontextmanager
    async def connect(self, process: str) -> AsyncIterator[PostgresSession]:
        """Open a session for a process."""
        async with AsyncExitStack() as lines:
            writer = await lines.enter_async_context(open_line(self._url))
            await install(writer)
            reader = await lines.enter_async_context(open_line(self._url))
            epoch = await _epoch(reader)
            if epoch != await _epoch(writer):
                raise ConnectionError("the two connections have reached different servers")
            session = PostgresSession(process, reader, writer, epoch, self._ended)
            await session.begin()
            try:
                yield session
            finally:
                await session.end()

    def open_sender(self, timeout: float) -> PostgresSender:
        """Open a connection on which nothing is received."""
        return PostgresSender(self._url, timeout)


async def _epoch(line: Line) -> str:
    return str((await line.fetch("select reactive.rx_begin()"))[0][0])


class PostgresSession:
    """One life of the two connections."""

    def __init__(self, process: str, reader: Line, writer: Line, epoch: str, ended: _EndedUsers) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._epoch = epoch
        self._ended = ended
        self._attached: set[str] = set()
        self._told: dict[str, Snapshot] = {}  # what the histories of scopes attached just now have told
        self._held: dict[str, list[tuple[str, Arrived]]] = {}  # what came of scopes whose history is asked for
        self._snapshot = Snapshot(0, "0", [])
        self._read_at = 0.0  # by the server's clock
        self._notified: list[str] = []
        self._hinted: dict[tuple[str, ChangeEvent], None] = {}  # what was told since the last reading
        self._due = 0.0  # when to read what was told since the last reading
        self._first: list[Message] = []
        self._woken_at = 0.0
        self._is_late = False  # something was committed of which nobody was told
        self._waking: set[asyncio.Task[None]] = set()

    @property
    def epoch(self) -> str:
        """What changes with each life of the log."""
        return self._epoch

    async def begin(self) -> None:
        """Listen, and take note of where the log stands."""
        self._reader.connection.add_notify_handler(lambda notification: self._notified.append(notification.payload))
        await self._reader.fetch(f"listen {CHANNEL}")
        text, self._read_at = (await self._reader.fetch(queries.NOW))[0]
        self._snapshot = Snapshot.parse(text)
        rows = await self._reader.fetch(queries.ENDED, {"seconds": self._ended.seconds_missed()})
        self._first = [message for row in rows for message in self._ended.tell(*row)]

    # Receiving

    async def receive(self) -> Sequence[Message]:
        """Return what was committed since the last time, once a wake-up has come or a second has passed."""
        patience = self._due - time.monotonic() if self._hinted else _POLL
        if patience > 0 and not (self._notified or self._first):
            await self._reader.readable(patience)
        self._notified += self._reader.take_notifications()
        if not self._hinted:
            self._due = time.monotonic() + _HEAD_START
        if time.monotonic() < self._due and (hints := self._take_hints()):
            return hints
        return await self._read()

    def _take_hints(self) -> list[Message]:
        """Return what wake-ups say was committed, of what the next reading will find."""
        notified, self._notified = self._notified, []
        found: dict[tuple[str, ChangeEvent], None] = {}
        for xid, events in map(events_of_hint, notified):
            if not xid:
                self._due = 0.0  # it stands for what was committed before that which follows: only a reading finds it
                break
            if not self._snapshot.sees(xid):
                found.update({(xid, event): None for event in events if self._tells(event.scope, xid)})
        new = [each for each in found if each not in self._hinted]
        self._hinted.update(found)
        return [Arrived(event, int(xid)) for xid, event in new]

    def _tells(self, scope: str, xid: str) -> bool:
        """Return whether what a transaction says of a scope is told now: its history is, and does not have it."""
        if scope not in self._attached or scope in self._held:
            return False
        return scope not in self._told or not self._told[scope].sees(xid)

    async def _read(self) -> Sequence[Message]:
        self._notified = []
        told = list(self._told)
        rows = await self._reader.fetch(queries.READ, {"ends": self._snapshot.ends, "running": self._snapshot.running})
        self._notified += self._reader.take_notifications()
        messages = self._messages(rows)
        self._hinted = {}
        for scope in told:
            self._told.pop(scope, None)  # this reading saw all that those histories did
        first, self._first = self._first, []
        return [*first, *messages, Heard(self._snapshot.level)]

    def _messages(self, rows: Sequence[Sequence[Any]]) -> list[Message]:
        messages: list[Message] = []
        for kind, number, xid, scope, paths, audience, origin, member, clock in rows:
            if kind == "now":
                self._move_on(Snapshot.parse(scope), clock)
            elif kind == "ended":
                messages += self._ended.tell(number, member, origin, paths[0], scope)
            elif (name := decode(scope)) not in self._attached:
                continue
            elif paths is None:
                messages.append(Presence(name, origin, decode(member["key"]), seen_of(member)))
            else:
                messages += self._arrived(xid, event_of(scope, paths, origin, audience))
        return messages

    def _arrived(self, xid: str, event: ChangeEvent) -> list[Message]:
        if event.scope in self._held:
            self._held[event.scope].append((xid, Arrived(event, int(xid))))
        elif (xid, event) not in self._hinted and self._tells(event.scope, xid):
            return [Arrived(event, int(xid))]
        return []

    def _move_on(self, snapshot: Snapshot, clock: float) -> None:
        unread, self._read_at = clock - self._read_at, clock
        if unread > _UNREAD:
            raise ConnectionError(f"the log was not read for {unread:.0f} s, and what stood there may be gone")
        self._snapshot = snapshot
        self._ended.note_reading()

    # Sending

    async def send(self, batch: Batch) -> None:
        """Commit a batch, and wake those who read."""
        hint = None if batch.presence else hint_json(batch.events)  # a reading tells of viewers
        await self._change(queries.SEND, {"process": self._process, "batch": batch_json(batch)}, hint=hint)

    async def _change(self, call: str, parameters: dict[str, Any], *, hint: str | None = None) -> None:
        wakes = time.monotonic() - self._woken_at >= _DEBOUNCE
        if not wakes:
            await self._writer.fetch(f"select {call}", parameters)
            if not self._is_late:
                self._is_late = True
                task = asyncio.create_task(self._wake_soon())
                self._waking.add(task)
                task.add_done_callback(self._waking.discard)
            return
        hint = None if self._is_late else hint  # who reads is to find what came before, too
        await self._writer.fetch(f"select {call}, {queries.WAKE}", {**parameters, "hint": hint})
        self._woken_at = time.monotonic()

    async def _wake_soon(self) -> None:
        await asyncio.sleep(_DEBOUNCE)
        self._woken_at = time.monotonic()
        self._is_late = False  # what is committed from here on may come after this wake-up
        with contextlib.suppress(psycopg.Error):  # a connection that has failed shows that to whoever uses it next
            await self._writer.fetch(f"select {queries.WAKE}", {"hint": None})

    async def end(self) -> None:
        """Send the last wake-up."""
        if self._waking:
            await asyncio.wait(self._waking, timeout=_DEBOUNCE * 100)
        for task in self._waking:
            task.cancel()

    # Scopes

    async def attach(self, scopes: Mapping[str, int | None]) -> Mapping[str, tuple[History, Roster]]:
        """Have events of scopes come from now on, and return their histories and viewers."""
        self._attached.update(scopes)
        self._held.update({scope: [] for scope in scopes})
        asked = {encode(scope): since for scope, since in scopes.items()}
        parameters = {"scopes": list(asked), "since": list(asked.values()), "limit": _EVENTS_OF_A_SCOPE}
        (snapshot, _, _, _, floor, _), *rows = await self._writer.fetch(queries.HISTORY, parameters)
        told = Snapshot.parse(snapshot)
        found = histories(told.level, floor, rows, _EVENTS_OF_A_SCOPE)
        self._tell_held(scopes, told)
        rosters: dict[str, dict[str, dict[str, Seen]]] = {}
        for scope, process, key, member in await self._writer.fetch(queries.ROSTER, {"scopes": list(asked)}):
            seen = seen_of({**member, "user": member["user_id"]})
            assert seen is not None  # noqa: S101 - the column is not null
            rosters.setdefault(scope, {}).setdefault(process, {})[decode(key)] = seen
        unchanged = History(told.level, floor)
        return {decode(scope): (found.get(scope, unchanged), rosters.get(scope, {})) for scope in asked}

    def _tell_held(self, scopes: Iterable[str], told: Snapshot) -> None:
        """Leave out what came meanwhile and stands in the history, and what is still to come of it."""
        for scope in scopes:
            self._told[scope] = told
            self._first += [arrived for xid, arrived in self._held.pop(scope) if not told.sees(xid)]
        if self._first:
            self._reader.nudge()

    async def detach(self, scopes: Sequence[str]) -> None:
        """Have events of scopes come no more."""
        self._attached.difference_update(scopes)

    # Keeping

    async def enroll(self, members: Sequence[tuple[str, str, Seen]]) -> None:
        """Replace this process's viewers."""
        await self._change(queries.ENROLL, {"process": self._process, "members": members_json(members)})

    async def beat(self, lease: float) -> None:
        """Renew the lease, and wake all who read, this process included."""
        await self._change(queries.BEAT, {"process": self._process, "lease": lease})
        trim = {"keep": _KEEP, "most": _KEPT_ROWS, "batch": _TRIMMED_AT_ONCE}
        for _ in range(_TRIMS):
            if not (await self._writer.fetch(queries.TRIM, trim))[0][0]:
                return

    async def living(self, processes: Sequence[str]) -> frozenset[str]:
        """Return which of these processes have a lease."""
        rows = await self._writer.fetch(queries.LIVING, {"processes": list(processes)})
        return frozenset(process for (process,) in rows)

    async def behind(self, levels: Mapping[str, int]) -> Sequence[str]:  # noqa: ARG002 - as the protocol has it
        """Return nothing: each reading finds all that was committed since the one before."""
        return ()

    async def stamp(self) -> int:
        """Return the number up to which all transactions have ended."""
        return Snapshot.parse((await self._writer.fetch(queries.NOW))[0][0]).level


class _EndedUsers:
    """Whose streams were ended, so that each such row is told once, over all sessions of a process."""

    def __init__(self) -> None:
        self._read_at = time.monotonic()
        self._has_read = False
        self._told: dict[tuple[int, str], float] = {}

    def seconds_missed(self) -> float:
        """Return how old rows may be that were not read yet."""
        missed = time.monotonic() - self._read_at + (_ENDED_MARGIN if self._has_read else 0)
        return min(missed, _ENDED_KEPT)

    def note_reading(self) -> None:
        """Take note that all rows have been read."""
        self._read_at = time.monotonic()
        self._has_read = True

    def tell(self, number: int, at: str, process: str, user_id: str, scope: str | None) -> list[Message]:
        """Return the message of a row, unless it was told before."""
        if (number, at) in self._told:
            return []
        now = time.monotonic()
        self._told = {row: when for row, when in self._told.items() if now - when < 2 * _ENDED_KEPT}
        self._told[number, at] = now
        return [UserEnded(process, decode(user_id), None if scope is None else decode(scope))]
