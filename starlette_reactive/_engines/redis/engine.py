"""Redis as an engine: a small log beside Pub/Sub.

Each change is logged and published by one script, so that a message can be missed but never a change: the log tells,
for each scope, which paths changed since a stamp, or that this is no longer known. What must hold:

- **Stamps are one row of numbers for all scopes**, given in the order in which messages are published. So what comes on
  a subscription up to a mark is all that was stamped up to it.
- **The epoch is the server's run id with the birth of what it remembers.** A run id that were kept in Redis would come
  back with an old file; the birth, which every message carries, changes when the memory is lost while the server runs.
- **Two connections**: one reads what is subscribed to, one writes. Neither is ever repaired.
- **A subscription is confirmed before the log is read**, and what was published before is received before it is told.

Channels know no database, so names hold its number: ``PREFIX:1:DATABASE:…``. The prefix may be given in the URL, as
``redis://host/0?prefix=shop``, where several applications share a Redis. Redis Cluster is not supported.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

from redis.exceptions import NoScriptError

from ..._log.replica import History
from ..engine import Batch, Engine, Heard, LeaseLapsedError, Message, Roster, Seen, Sender, Session, UserEnded
from . import codec as words
from . import scripts
from .connection import Line, Place, Words
from .sender import RedisSender

__all__ = ["EngineForgotError", "RedisEngine", "RedisSession", "engine"]

_LEASE = 15_000  # milliseconds that an enrolled process lives until it first says so itself
_SLICE = 100  # scopes whose histories are read at once; others may write in between
_CHUNK = 500  # calls that are sent at once
_RENEWED = 200  # scopes of which a beat renews what stays in Redis of their viewers
_T = TypeVar("_T")


class EngineForgotError(ConnectionError):
    """What Redis remembered was lost while it ran, as by FLUSHALL."""


def engine(url: str) -> Engine:
    """Return the Redis at a URL, as redis-py takes it, with a query argument ``prefix`` if one likes."""
    return RedisEngine(url)


class RedisEngine:
    """A Redis server.

    Args:
        url: Where it is.

    Raises:
        ValueError: The URL is not one that redis-py takes.
    """

    name: str = "redis"

    def __init__(self, url: str) -> None:
        self._place = Place(url)
        self._told: dict[str, _Told] = {}

    def connect(self, process: str) -> AbstractAsyncContextManager[Session]:
        """Open a session for a process."""
        return self._connect(process)

    def open_sender(self, timeout: float) -> Sender:
        """Open a connection on which nothing is received."""
        return RedisSender(self._place, timeout)

    @asynccontextmanager
    async def _connect(self, process: str) -> AsyncIterator[Session]:
        async with AsyncExitStack() as stack:
            reader, writer = [await stack.enter_async_context(self._place.open_line()) for _ in range(2)]
            session = RedisSession(reader, writer, self._place.prefix, process)
            await session.begin(self._told.setdefault(process, _Told()))
            yield session


class _Told:
    """Up to where a process has been told whose streams are to end, over all its sessions."""

    def __init__(self) -> None:
        self.epoch = ""
        self.stamp = 0


class RedisSession:
    """One life of two connections.

    Args:
        reader: The connection that subscribes.
        writer: The other one.
        prefix: What all names begin with.
        process: The process's name.
    """

    def __init__(self, reader: Line, writer: Line, prefix: str, process: str) -> None:
        self._writer = writer
        self._reader = reader
        self._prefix = prefix
        self._process = process
        self._name = secrets.token_hex(8)
        self._calls = words.Calls(prefix, self._name)
        self._birth: bytes | None = None  # that of the memory, once it matters
        self._epoch = ""
        self._level = 0
        self._told = _Told()
        self._early: deque[bytes] = deque()  # what came before this process was told where it stands
        self._ended: list[UserEnded] | None = None  # those of before, until they are told
        self._channels: set[bytes] = set()
        self._unconfirmed: set[bytes] = set()
        self._confirmed = asyncio.Event()
        self._marks: dict[bytes, asyncio.Event] = {}
        self._shown: dict[str, set[str]] = {}  # keys of viewers by scope
        self._to_renew: deque[str] = deque()

    async def begin(self, told: _Told) -> None:
        """Subscribe to what is for every process and for this one, and learn where the engine's history stands."""
        channels = [self._channel("all"), self._channel("to", self._process)]
        await self._reader.write([("SUBSCRIBE", *channels)])
        first = [await self._reader.read() for _ in channels]
        while first[-1][0] != b"subscribe":  # something was published between the two confirmations
            first.append(await self._reader.read())
        self._early.extend(data for kind, _, data in first if kind == b"message")
        [info] = await self._ask([("INFO", "server")])
        [[self._birth, level, ended]] = await self._ask([self._calls.command((scripts.BEGIN, ()))])
        run = re.search(rb"^run_id:(\S+)", info, re.MULTILINE)
        self._epoch = f"{run[1].decode() if run else secrets.token_hex(8)} {self._birth.decode()}"
        self._level = int(level)
        self._told = told
        self._ended = self._ended_since(ended)

    def _ended_since(self, ended: Sequence[bytes]) -> list[UserEnded]:
        if not self._told.epoch:
            return []  # a process that has only just begun has no streams
        since = self._told.stamp if self._told.epoch == self._epoch else 0  # stamps of another memory say nothing
        split = (each.split(b" ", 1) for each in ended)
        return [words.user_ended(body) for stamp, body in split if int(stamp) > since]

    @property
    def epoch(self) -> str:
        """The server's run id and the birth of what it remembers."""
        return self._epoch

    # Receiving

    async def receive(self) -> Sequence[Message]:
        """Wait for something to come; it may be nothing that is told."""
        if self._ended is not None:
            ended, self._ended = self._ended, None
            self._told.epoch, self._told.stamp = self._epoch, self._level
            return [*ended, Heard(self._level)]
        if self._early:
            return self._message(self._early.popleft())
        kind, channel, data = await self._reader.read()
        if kind == b"message":
            return self._message(data)
        if kind == b"subscribe":
            self._unconfirmed.discard(channel)
            if not self._unconfirmed:
                self._confirmed.set()
        return []

    def _message(self, data: bytes) -> list[Message]:
        kind, birth, body = data.split(b" ", 2)
        self._check_birth(birth)
        match kind:
            case b"e":
                return [words.arrived(body)]
            case b"p":
                return [words.presence(body)]
            case b"u":
                stamp, body = body.split(b" ", 1)
                self._told.stamp = max(self._told.stamp, int(stamp))
                return [words.user_ended(body)]
            case b"h":
                self._told.stamp = max(self._told.stamp, int(body))
                return [Heard(int(body))]
            case b"m" if body in self._marks:
                self._marks.pop(body).set()
        return []

    # Scopes

    async def attach(self, scopes: Mapping[str, int | None]) -> Mapping[str, tuple[History, Roster]]:
        """Have events of scopes come from now on, and return their history and their viewers.

        What of them is stamped up to a history's level has been received when this returns.
        """
        await self._subscribe([self._scope_channel(scope) for scope in scopes])
        found: dict[str, tuple[History, Roster]] = {}
        for asked in _sliced(list(scopes.items()), _SLICE):
            pairs = [word for scope, level in asked for word in (scope, -1 if level is None else level)]
            [(level, *answers)] = await self._run([(scripts.ATTACH, pairs)])
            for (scope, _), (floor, entries, viewers) in zip(asked, answers, strict=True):
                found[scope] = (words.history(int(level), int(floor), entries), words.roster(viewers))
        await self._catch_up()
        return found

    async def _subscribe(self, channels: Sequence[bytes]) -> None:
        new = [channel for channel in channels if channel not in self._channels]
        if not new:
            return
        self._confirmed.clear()
        self._unconfirmed.update(new)
        await self._reader.write([("SUBSCRIBE", *new)])
        await self._confirmed.wait()
        self._channels.update(new)

    async def _catch_up(self) -> None:
        """Wait until all has been received that was published before."""
        mark = secrets.token_hex(4)
        passed = self._marks[mark.encode()] = asyncio.Event()
        await self._run([(scripts.MARK, (self._process, mark))])
        await passed.wait()

    async def detach(self, scopes: Sequence[str]) -> None:
        """Have events of scopes come no more."""
        channels = [self._scope_channel(scope) for scope in scopes]
        self._channels.difference_update(channels)
        await self._reader.write([("UNSUBSCRIBE", *channels)])

    async def behind(self, levels: Mapping[str, int]) -> Sequence[str]:
        """Return the scopes in which something happened after these stamps, whose events have been received if ever."""
        index = f"{self._prefix}:scopes"
        late: list[str] = []
        for asked in _sliced(list(levels.items()), _CHUNK):
            stamps = await self._ask([("ZSCORE", index, words.encode(scope)) for scope, _ in asked])
            late += [scope for (scope, level), stamp in zip(asked, stamps, strict=True) if float(stamp or 0) > level]
        if late:
            await self._catch_up()
        return late

    async def stamp(self) -> int:
        """Return a stamp that stands for now in every scope."""
        [(level,)] = await self._run([(scripts.STAMP, ())])
        return int(level)

    def _channel(self, *names: str) -> bytes:
        return ":".join((self._prefix, *names)).encode("utf-8", "surrogatepass")

    def _scope_channel(self, scope: str) -> bytes:
        return self._channel("scope", scope)

    # Scripts

    async def _run(self, calls: Sequence[words.Call]) -> list[Any]:
        """Call scripts, and return their answers without the birth that they all begin with."""
        answers = await self._ask([self._calls.command(call) for call in calls])
        for answer in answers:
            self._check_birth(answer[0])
        return [answer[1:] for answer in answers]

    async def _ask(self, commands: Sequence[Words]) -> list[Any]:
        if not commands:
            return []
        answers = await self._writer.ask(commands)
        unknown = [number for number, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            _raise_first(await self._writer.ask(words.load_commands()))
            again = await self._writer.ask([commands[number] for number in unknown])
            for number, answer in zip(unknown, again, strict=True):
                answers[number] = answer
        _raise_first(answers)
        return answers

    def _check_birth(self, birth: bytes) -> None:
        if self._birth is not None and birth != self._birth:
            raise EngineForgotError("Redis has lost what it remembered")

    # Processes

    async def send(self, batch: Batch) -> None:
        """Have Redis accept a batch."""
        shown = [self._show(scope, key, seen) for scope, key, seen in batch.presence]
        ended = [(scripts.END, (json.dumps([self._process, *each]),)) for each in batch.ended]
        await self._run_alive([*shown, *ended, *map(words.emit_call, batch.events)])

    async def enroll(self, members: Sequence[tuple[str, str, Seen]]) -> None:
        """Replace all that Redis knows of this process's viewers."""
        [(places,)] = await self._run([(scripts.ENROLL, (self._process, self._name, _LEASE))])
        self._shown.clear()
        present = {(scope, key) for scope, key, _ in members}
        gone = [place for place in map(words.place_of, places) if place not in present]
        calls = [self._show(scope, key, None) for scope, key in gone]
        calls += [self._show(*member) for member in members]
        for some in _sliced(calls, _CHUNK):
            await self._run_alive(some)

    def _show(self, scope: str, key: str, seen: Seen | None) -> words.Call:
        keys = self._shown.setdefault(scope, set())
        if seen is not None:
            keys.add(key)
        else:
            keys.discard(key)
            if not keys:
                del self._shown[scope]
        return scripts.SHOW, (self._process, self._name, scope, key, *words.show_words(self._process, scope, key, seen))

    async def beat(self, lease: float) -> None:
        """Renew this process's lease, and have a :class:`Heard` come."""
        self._to_renew = self._to_renew or deque(self._shown)
        renewed = [self._to_renew.popleft() for _ in range(min(_RENEWED, len(self._to_renew)))]
        await self._run_alive([(scripts.BEAT, (self._process, self._name, round(lease * 1000), *renewed))])

    async def _run_alive(self, calls: Sequence[words.Call]) -> None:
        if any(answer == [b"lapsed"] for answer in await self._run(calls)):
            raise LeaseLapsedError("the lease of this process has lapsed")

    async def living(self, processes: Sequence[str]) -> frozenset[str]:
        """Return which of these processes have a lease."""
        if not processes:
            return frozenset()
        [leases] = await self._ask([("MGET", *(f"{self._prefix}:lease:{process}" for process in processes))])
        return frozenset(process for process, lease in zip(processes, leases, strict=True) if lease)


def _sliced(items: Sequence[_T], size: int) -> Iterable[Sequence[_T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _raise_first(answers: Iterable[Any]) -> None:
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
