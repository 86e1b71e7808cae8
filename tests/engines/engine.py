"""An engine in the memory of this process, shared by several buses, that can be made to fail in many ways."""

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
from starlette_reactive._engines.ignored import IgnoredMessages
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
class StoredScope:
    """What the engine stores about a scope."""

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
    """The server of the engine."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.up = True
        self.frozen = threading.Event()
        self.asked_to_send = threading.Event()
        self.losing = False  # whether messages get lost, although events are logged
        self.epoch = secrets.token_hex(4)
        self.clock = 1000
        self.floor = 1000
        self.scopes: dict[str, StoredScope] = {}
        self.rosters: dict[str, dict[str, dict[str, RemoteMember]]] = {}
        self.leases: dict[str, float] = {}
        self.sessions: set[MemorySession] = set()
        self.attach_delay = 0.0

    def kill(self) -> None:
        """Stop, and disconnect every session."""
        with self.lock:
            self.up = False
            for session in list(self.sessions):
                session.disconnect()

    def start(self, *, with_data: bool = True) -> None:
        with self.lock:
            self.up = True
            if not with_data:
                self.epoch = secrets.token_hex(4)
                self.scopes.clear()
                self.rosters.clear()
                self.leases.clear()
                self.floor = self.clock

    async def wait_until_thawed(self) -> None:
        while self.frozen.is_set():  # noqa: ASYNC110 - other threads freeze and thaw it
            await asyncio.sleep(0.005)

    def cut(self) -> None:
        """Disconnect every session."""
        with self.lock:
            for session in list(self.sessions):
                session.disconnect()

    def publish(self, event: ChangeEvent) -> None:
        self.clock += 1
        stored = self.scopes.setdefault(event.scope, StoredScope(floor=self.floor))
        previous = stored.last
        stored.note(event, self.clock)
        self.deliver(event.scope, DeliveredEvent(event, self.clock, previous))

    def deliver(self, scope: str | None, message: Message) -> None:
        if self.losing:
            return
        for session in self.sessions:
            if scope is None or scope in session.attached:
                session.put(message)

    def history(self, scope: str) -> History:
        stored = self.scopes.get(scope, StoredScope(floor=self.floor))
        return History(self.clock, stored.floor, tuple(stored.records.values()))


class MemorySession:
    """One life of a connection to the server."""

    def __init__(self, server: Server, process: str) -> None:
        self.server = server
        self.process = process
        self.epoch = server.epoch
        self.attached: set[str] = set()
        self.loop = asyncio.get_running_loop()
        self.inbox: asyncio.Queue[Message | asyncio.Event | None] = asyncio.Queue()
        self.disconnected = False

    def disconnect(self) -> None:
        self.disconnected = True
        self.server.sessions.discard(self)
        self.loop.call_soon_threadsafe(self.inbox.put_nowait, None)

    def put(self, message: Message) -> None:
        self.loop.call_soon_threadsafe(self.inbox.put_nowait, message)

    async def _check(self) -> None:
        await self.server.wait_until_thawed()
        if self.disconnected or not self.server.up:
            raise ConnectionResetError("the connection is closed")

    async def receive(self) -> Sequence[Message]:
        message = await self.inbox.get()
        await self._check()
        if message is None:
            raise ConnectionResetError("the connection is closed")
        if isinstance(message, asyncio.Event):  # every message before it has been received
            message.set()
            return []
        return [message]

    async def attach(self, scopes: Mapping[str, int | None]) -> Mapping[str, tuple[History, RemoteRoster]]:
        await self._check()
        with self.server.lock:
            self.attached |= set(scopes)
            found = {
                scope: (self.server.history(scope), {p: dict(m) for p, m in self.server.rosters.get(scope, {}).items()})
                for scope in scopes
            }
        await asyncio.sleep(self.server.attach_delay)  # meanwhile later messages arrive
        return found

    async def detach(self, scopes: Sequence[str]) -> None:
        await self._check()
        with self.server.lock:
            self.attached -= set(scopes)

    async def send(self, outgoing: Outgoing) -> None:
        self.server.asked_to_send.set()
        await self._check()
        with self.server.lock:
            for scope, key, member in outgoing.members:
                members = self.server.rosters.setdefault(scope, {}).setdefault(self.process, {})
                if member is None:
                    members.pop(key, None)
                else:
                    members[key] = member
                self.server.deliver(scope, MemberChange(scope, self.process, key, member))
            for user_id, within in outgoing.ended_users:
                self.server.deliver(None, EndUser(self.process, user_id, within))
            for event in outgoing.events:
                self.server.publish(event)
            for toast in outgoing.toasts:
                self.server.deliver(toast.scope, toast)

    async def enroll(self, members: Sequence[tuple[str, str, RemoteMember]]) -> None:
        await self._check()
        with self.server.lock:
            for scope, processes in self.server.rosters.items():
                for key in processes.pop(self.process, {}):
                    self.server.deliver(scope, MemberChange(scope, self.process, key, None))
        await self.send(Outgoing(members=members))

    async def renew_lease(self, seconds: float) -> None:
        await self._check()
        with self.server.lock:
            self.server.clock += 1
            self.server.leases[self.process] = time.monotonic() + seconds
            if not self.server.losing:
                self.put(LevelReached(self.server.clock))

    async def alive(self, processes: Sequence[str]) -> frozenset[str]:
        await self._check()
        return frozenset(each for each in processes if self.server.leases.get(each, 0) > time.monotonic())

    async def changed_since(self, levels: Mapping[str, int]) -> Sequence[str]:
        await self._check()
        with self.server.lock:
            scopes = self.server.scopes
            changed = [scope for scope, level in levels.items() if scope in scopes and scopes[scope].last > level]
        passed = asyncio.Event()
        self.loop.call_soon_threadsafe(self.inbox.put_nowait, passed)
        await passed.wait()
        return changed

    async def current_stamp(self) -> int:
        await self._check()
        return self.server.clock


class MemoryEngine:
    """The engine."""

    name = "memory-server"
    failures: tuple[type[Exception], ...] = ()

    def __init__(self, server: Server) -> None:
        self.server = server
        self.ignored = IgnoredMessages(self.name)

    @asynccontextmanager
    async def connect(self, process: str) -> AsyncIterator[MemorySession]:
        await self.server.wait_until_thawed()
        if not self.server.up:
            raise ConnectionRefusedError("the server is down")
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

    def send(self, outgoing: Outgoing, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while self.server.frozen.is_set():
            if time.monotonic() > deadline:
                raise TimeoutError("the server has not answered in time")
            time.sleep(0.005)
        if not self.server.up:
            raise ConnectionRefusedError("the server is down")
        with self.server.lock:
            for user_id, within in outgoing.ended_users:
                self.server.deliver(None, EndUser("a sender", user_id, within))
            for event in outgoing.events:
                self.server.publish(event)
            for toast in outgoing.toasts:
                self.server.deliver(toast.scope, toast)

    def close(self) -> None:
        pass
