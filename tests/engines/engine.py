"""An engine in this process's memory that several buses share, and that can be made to fail in every way."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette_reactive._core.events import ChangeEvent
from starlette_reactive._engines.engine import Sender
from starlette_reactive._engines.messages import (
    DeliveredEvent,
    EndUser,
    LevelReached,
    MemberChange,
    Message,
    Outgoing,
    RemoteMember,
    RemoteRoster,
)
from starlette_reactive._log.replica import History, Record

LIMIT = 256


@dataclass
class Kept:
    """What the engine keeps of a scope."""

    last: int = 0
    floor: int = 0
    records: dict[tuple[frozenset[str] | None, str], Record] = field(default_factory=dict)

    def note(self, event: ChangeEvent, stamp: int) -> None:
        for path in event.changed_paths:
            key = (event.audience, path)
            before = self.records.pop(key, None)
            other = 0
            if before is not None:
                other = before.other_stamp if before.origin == event.origin else before.stamp
            self.records[key] = Record(path, event.audience, stamp, event.origin, other)
        while len(self.records) > LIMIT:
            self.floor = self.records.pop(next(iter(self.records))).stamp
        self.last = stamp


class Server:
    """The engine's server."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.up = True
        self.frozen = threading.Event()
        self.losing = False  # what is published reaches nobody, though it is kept
        self.epoch = secrets.token_hex(4)
        self.clock = 1000
        self.floor = 1000
        self.scopes: dict[str, Kept] = {}
        self.rosters: dict[str, dict[str, dict[str, RemoteMember]]] = {}
        self.leases: dict[str, float] = {}
        self.ended: list[EndUser] = []
        self.sessions: set[MemorySession] = set()
        self.attach_delay = 0.0
        self.beaten: list[str] = []

    def kill(self) -> None:
        """Go down; with what is in memory."""
        with self.lock:
            self.up = False
            for session in list(self.sessions):
                session.break_off()

    def start(self, *, with_memory: bool = True) -> None:
        with self.lock:
            self.up = True
            if not with_memory:
                self.epoch = secrets.token_hex(4)
                self.scopes.clear()
                self.rosters.clear()
                self.leases.clear()
                self.floor = self.clock

    async def thawed(self) -> None:
        while self.frozen.is_set():  # noqa: ASYNC110 - other threads freeze and thaw it
            await asyncio.sleep(0.005)

    def cut(self) -> None:
        """Break every connection, and take new ones."""
        with self.lock:
            for session in list(self.sessions):
                session.break_off()

    def publish(self, event: ChangeEvent) -> None:
        self.clock += 1
        kept = self.scopes.setdefault(event.scope, Kept(floor=self.floor))
        previous = kept.last
        kept.note(event, self.clock)
        self.tell(event.scope, DeliveredEvent(event, self.clock, previous))

    def tell(self, scope: str | None, message: Message) -> None:
        if self.losing:
            return
        for session in self.sessions:
            if scope is None or scope in session.attached:
                session.hear(message)

    def history(self, scope: str) -> History:
        kept = self.scopes.get(scope, Kept(floor=self.floor))
        return History(self.clock, kept.floor, tuple(kept.records.values()))


class MemorySession:
    """One life of a connection to the server."""

    def __init__(self, server: Server, process: str) -> None:
        self.server = server
        self.process = process
        self.epoch = server.epoch
        self.attached: set[str] = set()
        self.loop = asyncio.get_running_loop()
        self.inbox: asyncio.Queue[Message | asyncio.Event | None] = asyncio.Queue()
        self.broken = False

    def break_off(self) -> None:
        self.broken = True
        self.server.sessions.discard(self)
        self.loop.call_soon_threadsafe(self.inbox.put_nowait, None)

    def hear(self, message: Message) -> None:
        self.loop.call_soon_threadsafe(self.inbox.put_nowait, message)

    async def _reach(self) -> None:
        await self.server.thawed()
        if self.broken or not self.server.up:
            raise ConnectionResetError("the connection is broken")

    async def receive(self) -> Sequence[Message]:
        message = await self.inbox.get()
        await self._reach()
        if message is None:
            raise ConnectionResetError("the connection is broken")
        if isinstance(message, asyncio.Event):  # what came before it has been received
            message.set()
            return []
        return [message]

    async def attach(self, scopes: Mapping[str, int | None]) -> Mapping[str, tuple[History, RemoteRoster]]:
        await self._reach()
        with self.server.lock:
            self.attached |= set(scopes)
            found = {
                scope: (self.server.history(scope), {p: dict(m) for p, m in self.server.rosters.get(scope, {}).items()})
                for scope in scopes
            }
        await asyncio.sleep(self.server.attach_delay)  # the answer is on its way, and so is what comes after it
        return found

    async def detach(self, scopes: Sequence[str]) -> None:
        await self._reach()
        with self.server.lock:
            self.attached -= set(scopes)

    async def send(self, outgoing: Outgoing) -> None:
        await self._reach()
        with self.server.lock:
            for scope, key, member in outgoing.members:
                members = self.server.rosters.setdefault(scope, {}).setdefault(self.process, {})
                if member is None:
                    members.pop(key, None)
                else:
                    members[key] = member
                self.server.tell(scope, MemberChange(scope, self.process, key, member))
            for user_id, within in outgoing.ended_users:
                self.server.tell(None, EndUser(self.process, user_id, within))
            for event in outgoing.events:
                self.server.publish(event)

    async def enroll(self, members: Sequence[tuple[str, str, RemoteMember]]) -> None:
        await self._reach()
        with self.server.lock:
            for scope, processes in self.server.rosters.items():
                for key in processes.pop(self.process, {}):
                    self.server.tell(scope, MemberChange(scope, self.process, key, None))
        await self.send(Outgoing(members=members))

    async def renew_lease(self, seconds: float) -> None:
        await self._reach()
        with self.server.lock:
            self.server.clock += 1
            self.server.leases[self.process] = time.monotonic() + seconds
            self.server.beaten.append(self.process)
            if not self.server.losing:
                self.hear(LevelReached(self.server.clock))

    async def alive(self, processes: Sequence[str]) -> frozenset[str]:
        await self._reach()
        return frozenset(each for each in processes if self.server.leases.get(each, 0) > time.monotonic())

    async def changed_since(self, levels: Mapping[str, int]) -> Sequence[str]:
        await self._reach()
        with self.server.lock:
            late = [scope for scope, level in levels.items() if self.server.scopes.get(scope, Kept()).last > level]
        passed = asyncio.Event()
        self.loop.call_soon_threadsafe(self.inbox.put_nowait, passed)
        await passed.wait()
        return late

    async def current_stamp(self) -> int:
        await self._reach()
        return self.server.clock


class MemoryEngine:
    """How a bus reaches the server."""

    name = "memory-server"

    def __init__(self, server: Server) -> None:
        self.server = server

    @asynccontextmanager
    async def connect(self, process: str) -> AsyncIterator[MemorySession]:
        await self.server.thawed()
        if not self.server.up:
            raise ConnectionRefusedError("nobody listens")
        session = MemorySession(self.server, process)
        with self.server.lock:
            self.server.sessions.add(session)
        try:
            yield session
        finally:
            self.server.sessions.discard(session)

    def open_sender(self, timeout: float) -> Sender:
        return MemorySender(self.server)


class MemorySender:
    """A connection that only sends."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def send(self, event: ChangeEvent, timeout: float) -> None:
        if not self.server.up:
            raise ConnectionRefusedError("nobody listens")
        with self.server.lock:
            self.server.publish(event)

    def close(self) -> None:
        pass
