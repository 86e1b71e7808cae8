"""A session with PostgreSQL: a log table that is written in transactions and read by transaction numbers.

Each process has one connection that listens and reads, and one that writes. What must hold:

- **A reading returns exactly what was committed since the reading before.** It selects the transactions that the
  previous snapshot did not see: those that were running then, and those that began later. No single row is remembered,
  and neither the order in which transactions end nor their duration matters.
- **A wake-up is never sent in a program's own transaction**, because transactions that notify are committed one after
  the other. The bus wakes readers in its own short transactions. Without a wake-up, there is a reading each second.
- **A wake-up may contain a hint**: the events that were committed. They are delivered before the reading that finds
  them, and not again. Any role may notify, so the database signs hints, for transactions that have been committed.
- **A stamp is the number of a transaction.** The stamp of a cursor is the number up to which all had ended.
- **Rows can be read for at least half a minute before they are deleted.** A session that has not read for almost as
  long ends. Both times are by the server's clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..._core.events import ChangeEvent
from ..._core.toasts import Toast
from ..._log.replica import History
from ..ignored import MALFORMED, IgnoredMessages
from ..messages import DeliveredEvent, LevelReached, Message, Outgoing, RemoteMember, RemoteRoster
from . import queries
from .codec import (
    decode,
    encode,
    hint_json,
    members_json,
    outgoing_json,
    parse_event,
    parse_hint,
    parse_histories,
    parse_member,
    parse_member_row,
)
from .connection import PostgresConnection
from .end_users import EndUserRows
from .schema import CHANNEL
from .snapshot import Snapshot
from .waker import Waker

__all__ = ["PostgresSession"]

_POLL = 1.0  # seconds between two readings without a wake-up
_HEAD_START = 0.002  # seconds from a hint to the reading: the events that it delivers get the interpreter first
_UNREAD = 25.0  # seconds without a reading after which rows may have been deleted unread
_KEEP = "10 min"  # how long rows are kept
_KEPT_ROWS = 100_000
_TRIMMED_AT_ONCE, _TRIMS = 2000, 20  # rows in one transaction, and transactions in one heartbeat
_EVENTS_OF_A_SCOPE = 2000  # that are read for its history


class PostgresSession:
    """One life of two connections.

    Args:
        process: The name of this process.
        reader: The connection that listens and reads the log.
        writer: The connection for everything else.
        epoch: The life of the log.
        end_users: What this process has received of requests to end users' streams, across its sessions.
        ignored: Counts malformed messages.
    """

    def __init__(
        self,
        process: str,
        reader: PostgresConnection,
        writer: PostgresConnection,
        epoch: str,
        end_users: EndUserRows,
        ignored: IgnoredMessages,
    ) -> None:
        self._ignored = ignored
        self._process = process
        self._reader = reader
        self._writer = writer
        self._waker = Waker(writer)
        self._epoch = epoch
        self._end_users = end_users
        self._attached: set[str] = set()
        self._histories: dict[str, Snapshot] = {}  # what the histories loaded since the last reading have seen
        self._held: dict[str, list[tuple[str, DeliveredEvent]]] = {}  # for scopes whose histories are loading
        self._snapshot = Snapshot(0, "0", [])
        self._read_at = 0.0  # by the server's clock
        self._notified: list[str] = []
        self._key = b""  # of the signatures of hints
        self._hinted: dict[tuple[str, ChangeEvent], None] = {}  # delivered from hints since the last reading
        self._due = 0.0  # when the reading that finds those is due
        self._pending: list[Message] = []  # for the next reading to return first

    @property
    def epoch(self) -> str:
        """The life of the log."""
        return self._epoch

    async def begin(self) -> None:
        """Listen, and take the first snapshot."""
        self._reader.on_notification(self._note_notification)
        await self._reader.fetch(f"listen {CHANNEL}")
        ((self._key,),) = await self._reader.fetch(queries.KEY)
        text, self._read_at = (await self._reader.fetch(queries.NOW))[0]
        self._snapshot = Snapshot.parse(text)
        rows = await self._reader.fetch(queries.ENDED, {"seconds": self._end_users.seconds_missed()})
        self._pending = self._messages(rows)

    def _note_notification(self, payload: str) -> None:
        self._notified.append(payload)

    async def end(self) -> None:
        """Send the last wake-up."""
        await self._waker.close()

    # Receiving

    async def receive(self) -> Sequence[Message]:
        """Wait for a wake-up, or a second, and return what was committed since the last call."""
        patience = self._due - time.monotonic() if self._hinted else _POLL
        if patience > 0 and not (self._notified or self._pending):
            await self._reader.wait_readable(patience)
        self._notified += self._reader.take_notifications()
        is_due = bool(self._hinted) and time.monotonic() >= self._due
        if not self._hinted:
            self._due = time.monotonic() + _HEAD_START
        if not is_due and (hints := self._take_hints()):
            return hints
        return await self._read()

    def _take_hints(self) -> list[Message]:
        """Return the events in the hints of wake-ups that the next reading will find."""
        notified, self._notified = self._notified, []
        found: dict[tuple[str, ChangeEvent], None] = {}
        for hint in map(self._parse_hint, notified):
            if hint is None:
                self._due = 0.0  # only a reading finds what was committed without a hint, before the next hints
                break
            xid, events = hint
            if not self._snapshot.sees(xid):
                found.update({(xid, event): None for event in events if self._is_new(event.scope, xid)})
        new = [each for each in found if each not in self._hinted]
        self._hinted.update(dict.fromkeys(new))
        return [DeliveredEvent(event, int(xid)) for xid, event in new]

    def _parse_hint(self, payload: str) -> tuple[str, list[ChangeEvent]] | None:
        try:
            return parse_hint(payload, self._key)
        except MALFORMED as error:
            self._ignored.note("a notification", error)
            return None

    def _is_new(self, scope: str, xid: str) -> bool:
        """Return whether a scope's history is loaded and does not contain a transaction."""
        if scope not in self._attached or scope in self._held:
            return False
        return scope not in self._histories or not self._histories[scope].sees(xid)

    async def _read(self) -> Sequence[Message]:
        self._notified = []
        loaded = list(self._histories)
        rows = await self._reader.fetch(queries.READ, {"ends": self._snapshot.end, "running": self._snapshot.running})
        self._notified += self._reader.take_notifications()
        messages = self._messages(rows)
        self._hinted = {}
        for scope in loaded:
            self._histories.pop(scope, None)  # this reading saw everything that those histories saw
        pending, self._pending = self._pending, []
        return [*pending, *messages, LevelReached(self._snapshot.level)]

    def _messages(self, rows: Sequence[Sequence[Any]]) -> list[Message]:
        messages: list[Message] = []
        for row in rows:
            try:
                messages += self._of_row(*row)
            except MALFORMED as error:
                self._ignored.note("a row", error)
        return messages

    def _of_row(
        self,
        kind: str,
        number: int,
        xid: str,
        scope: str,
        paths: Any,
        audience: Any,
        origin: Any,
        member: Any,
        clock: Any,
    ) -> Sequence[Message]:
        if kind == "now":
            self._advance(Snapshot.parse(scope), clock)
        elif kind == "ended":
            return self._end_users.receive(number, member, origin, paths[0], scope)
        elif (name := decode(scope)) in self._attached:
            if paths is None:
                found = parse_member_row(name, origin, member)
                return [] if isinstance(found, Toast) and not self._is_new(name, xid) else [found]
            return self._delivered(xid, parse_event(scope, paths, origin, audience, self._ignored))
        return []

    def _delivered(self, xid: str, event: ChangeEvent) -> list[Message]:
        if event.scope in self._held:
            self._held[event.scope].append((xid, DeliveredEvent(event, int(xid))))
        elif (xid, event) not in self._hinted and self._is_new(event.scope, xid):
            return [DeliveredEvent(event, int(xid))]
        return []

    def _advance(self, snapshot: Snapshot, clock: float) -> None:
        unread, self._read_at = clock - self._read_at, clock
        if unread > _UNREAD:
            raise ConnectionError(f"the log was not read for {unread:.0f} s, so some of its rows may be gone")
        self._snapshot = snapshot
        self._end_users.note_reading()

    # Scopes

    async def attach(self, scopes: Mapping[str, int | None]) -> Mapping[str, tuple[History, RemoteRoster]]:
        """Start to receive the messages of scopes, and return their histories and members."""
        self._attached.update(scopes)
        self._held.update({scope: [] for scope in scopes})
        asked = {encode(scope): since for scope, since in scopes.items()}
        parameters = {"scopes": list(asked), "since": list(asked.values()), "limit": _EVENTS_OF_A_SCOPE}
        (snapshot, _, _, _, floor, _), *rows = await self._writer.fetch(queries.HISTORY, parameters)
        seen = Snapshot.parse(snapshot)
        found = parse_histories(seen.level, floor, rows, _EVENTS_OF_A_SCOPE, self._ignored)
        self._release_held(scopes, seen)
        rosters = self._rosters(await self._writer.fetch(queries.ROSTER, {"scopes": list(asked)}))
        unchanged = History(seen.level, floor)
        return {decode(scope): (found.get(scope, unchanged), rosters.get(scope, {})) for scope in asked}

    def _rosters(self, rows: Sequence[Sequence[Any]]) -> dict[str, dict[str, dict[str, RemoteMember]]]:
        rosters: dict[str, dict[str, dict[str, RemoteMember]]] = {}
        for scope, process, key, *member in rows:
            try:
                rosters.setdefault(scope, {}).setdefault(process, {})[decode(key)] = parse_member(*member)
            except MALFORMED as error:
                self._ignored.note("a member", error)
        return rosters

    def _release_held(self, scopes: Iterable[str], history: Snapshot) -> None:
        """Return the held events with the next reading, except for those that the histories contain."""
        for scope in scopes:
            self._histories[scope] = history
            self._pending += [event for xid, event in self._held.pop(scope) if not history.sees(xid)]
        if self._pending:
            self._reader.wake()

    async def detach(self, scopes: Sequence[str]) -> None:
        """Stop receiving the messages of scopes."""
        self._attached.difference_update(scopes)

    async def changed_since(self, levels: Mapping[str, int]) -> Sequence[str]:  # noqa: ARG002 - as in the protocol
        """Return nothing: each reading finds everything that was committed since the one before."""
        return ()

    async def current_stamp(self) -> int:
        """Return the number up to which all transactions have ended."""
        return Snapshot.parse((await self._writer.fetch(queries.NOW))[0][0]).level

    # Sending

    async def send(self, outgoing: Outgoing) -> None:
        """Commit something, and wake the sessions that read the log."""
        has_rows = outgoing.members or outgoing.toasts  # which only a reading returns
        hint = None if has_rows else hint_json(outgoing.events)
        parameters = {"process": self._process, "batch": outgoing_json(outgoing)}
        await self._waker.change(queries.SEND, parameters, hint=hint)

    async def enroll(self, members: Sequence[tuple[str, str, RemoteMember]]) -> None:
        """Replace the members of this process."""
        await self._waker.change(queries.ENROLL, {"process": self._process, "members": members_json(members)})

    async def renew_lease(self, seconds: float) -> None:
        """Renew this process's lease, wake all sessions, this one included, and trim the log."""
        await self._waker.change(queries.BEAT, {"process": self._process, "lease": seconds})
        trim = {"keep": _KEEP, "most": _KEPT_ROWS, "batch": _TRIMMED_AT_ONCE}
        for _ in range(_TRIMS):
            if not (await self._writer.fetch(queries.TRIM, trim))[0][0]:
                return

    async def alive(self, processes: Sequence[str]) -> frozenset[str]:
        """Return which of these processes have a lease."""
        rows = await self._writer.fetch(queries.ALIVE, {"processes": list(processes)})
        return frozenset(process for (process,) in rows)
