"""A session with Redis: a small log beside Pub/Sub.

One script logs and publishes each change, so a message may get lost but a change cannot: for each scope, the log knows
which paths changed since a stamp, or that this is no longer known. What must hold:

- **Stamps are one sequence for all scopes**, in the order in which messages are published. So whatever a subscription
  has received up to a mark is everything that was stamped up to it.
- **The epoch is the server's run id with the birth of the data.** A run id that is stored in Redis would come back with
  an old file. The birth changes when the data is lost while the server runs; every message carries it.
- **There are two connections**: one reads subscriptions, one writes. Neither is ever repaired.
- **A subscription is confirmed before the log is read**, and whatever was published before that is received first.
- **A level and a mark are believed only with a token** that this session has given to the script that publishes them.
- **A stamp is believed only up to the level of the log**: a higher one would pass for the newest change forever. Any
  program may publish, so a message of another birth is no proof either: Redis is asked whether its data is gone.

Channels are not part of a database, so their names contain its number: ``PREFIX:1:DATABASE:…``. The URL may set the
prefix, as in ``redis://host/0?prefix=shop``, if several applications share a Redis. Redis Cluster is not supported.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..._log.replica import History
from ..engine import LeaseLapsedError
from ..ignored import MALFORMED, IgnoredMessages
from ..messages import EndUser, LevelReached, Message, Outgoing, RemoteMember, RemoteRoster
from . import scripts
from .codec import (
    Published,
    ScriptCall,
    emit_call,
    encode,
    end_call,
    member_arguments,
    parse_ended,
    parse_history,
    parse_member,
    parse_membership,
    parse_published,
    parse_toast,
    toast_call,
)
from .connection import RedisConnection
from .known_level import KnownLevel
from .script_runner import CallEncoder, ScriptRunner

__all__ = ["EndUserPosition", "RedisSession"]

_LEASE = 15_000  # milliseconds that an enrolled process lives before its first renewal
_HISTORIES_AT_ONCE = 100  # read by one script call; Redis serves other clients in between
_CALLS_AT_ONCE = 500
_RENEWALS_AT_ONCE = 200  # scopes whose members have their expiry renewed with one lease renewal
_T = TypeVar("_T")


@dataclass(slots=True)
class EndUserPosition:
    """How far a process has received requests to end users' streams, across its sessions.

    Args:
        epoch: The epoch of ``stamp``. Empty if the process has had no session.
        stamp: The stamp up to which every request has been received.
    """

    epoch: str = ""
    stamp: int = 0


class RedisSession:
    """One life of two connections.

    Args:
        reader: The connection that subscribes.
        writer: The connection that runs scripts.
        prefix: The prefix of all keys and channels.
        process: The name of this process.
        ignored: Counts malformed messages.
    """

    def __init__(
        self, reader: RedisConnection, writer: RedisConnection, prefix: str, process: str, ignored: IgnoredMessages
    ) -> None:
        self._reader = reader
        self._ignored = ignored
        self._prefix = prefix
        self._process = process
        self._name = secrets.token_hex(8)
        self._scripts = ScriptRunner(writer, CallEncoder(prefix, self._name))
        self._epoch = ""
        self._level = 0
        self._known_level = KnownLevel()
        self._end_users = EndUserPosition()
        self._early: deque[bytes] = deque()  # messages that arrived before the level was known
        self._missed: list[EndUser] | None = None  # requests of before this session; None once received
        self._channels: set[bytes] = set()
        self._unconfirmed: set[bytes] = set()
        self._confirmed = asyncio.Event()
        self._tokens: dict[bytes, asyncio.Event] = {}  # of levels and marks that are to arrive
        self._members: dict[str, set[str]] = {}  # the keys of this process's members, by scope
        self._to_renew: deque[str] = deque()
        self._last_toast = 0  # its stamp

    async def begin(self, end_users: EndUserPosition) -> None:
        """Subscribe to the channels for every process and for this one, and read the level of the log."""
        channels = [self._named("all"), self._named("to", self._process)]
        await self._reader.write([("SUBSCRIBE", *channels)])
        first = [await self._reader.read() for _ in channels]
        while first[-1][0] != b"subscribe":  # something was published between the two confirmations
            first.append(await self._reader.read())
        self._early.extend(data for kind, _, data in first if kind == b"message")
        [info] = await self._scripts.ask([("INFO", "server")])
        birth, level, ended = await self._scripts.begin()
        run = re.search(rb"^run_id:(\S+)", info, re.MULTILINE)
        self._epoch = f"{run[1].decode() if run else secrets.token_hex(8)} {birth.decode()}"
        self._level = int(level)
        self._known_level.note(self._level)
        self._end_users = end_users
        self._missed = self._missed_since(ended)

    def _missed_since(self, ended: Sequence[bytes]) -> list[EndUser]:
        if not self._end_users.epoch:
            return []  # a process that has only just begun has no streams
        since = self._end_users.stamp if self._end_users.epoch == self._epoch else 0  # else stamps are not comparable
        return [
            request for stamp, request in self._readable("the end of a stream", parse_ended, ended) if stamp > since
        ]

    def _readable(self, what: str, parse: Callable[..., _T], *columns: Sequence[bytes]) -> list[_T]:
        """Return what can be parsed of what Redis stores."""
        found: list[_T] = []
        for each in zip(*columns, strict=False):
            try:
                found.append(parse(*each))
            except MALFORMED as error:
                self._ignored.note(what, error)
        return found

    @property
    def epoch(self) -> str:
        """The server's run id with the birth of the data."""
        return self._epoch

    # Receiving

    async def receive(self) -> Sequence[Message]:
        """Wait for something to arrive, and return its messages, if any."""
        if self._missed is not None:
            missed, self._missed = self._missed, None
            self._end_users.epoch, self._end_users.stamp = self._epoch, self._level
            return [*missed, LevelReached(self._level)]
        if self._early:
            return await self._take(self._early.popleft())
        kind, channel, data = await self._reader.read()
        if kind == b"message":
            return await self._take(data)
        if kind == b"subscribe":
            self._unconfirmed.discard(channel)
            if not self._unconfirmed:
                self._confirmed.set()
        return []

    async def _take(self, data: bytes) -> list[Message]:
        try:
            published = parse_published(data)
        except MALFORMED as error:
            self._ignored.note("a message", error)
            return []
        if not await self._is_genuine(published):
            self._ignored.note("a message", "the scripts have not published it")
            return []
        if published.is_toast:
            return await self._read_toast(published.stamp or 0)
        message = published.message
        if published.token is not None:
            self._tokens.pop(published.token).set()
        if isinstance(message, LevelReached):
            self._known_level.note(message.level)
            self._note_end_users(message.level)
        elif isinstance(message, EndUser):
            self._note_end_users(published.stamp or 0)
        return [] if message is None else [message]

    async def _is_genuine(self, published: Published) -> bool:
        """Return whether a script may have published a message to this session."""
        if published.birth != self._scripts.birth:
            await self.current_stamp()  # raises if Redis has lost its data
            return False
        if published.token is not None:
            return published.token in self._tokens
        stamp = published.stamp
        return stamp is None or self._known_level.may_include(stamp) or stamp <= await self.current_stamp()

    async def _read_toast(self, stamp: int) -> list[Message]:
        """Return a toast, unless it has been read before."""
        # unlike GET, MGET does not fail whatever the key holds
        [[body]] = await self._scripts.ask([("MGET", self._named("toast", str(stamp)))])
        if stamp <= self._last_toast or body is None:
            self._ignored.note("a toast", "it was read before, or is gone")
            return []
        self._last_toast = stamp
        try:
            return [parse_toast(body)]
        except MALFORMED as error:
            self._ignored.note("a toast", error)
            return []

    def _note_end_users(self, stamp: int) -> None:
        self._end_users.stamp = max(self._end_users.stamp, stamp)

    def _new_token(self) -> tuple[str, asyncio.Event]:
        """Return a token to give to a script, and what is set once it has arrived."""
        token = secrets.token_hex(8)
        arrived = self._tokens[token.encode()] = asyncio.Event()
        return token, arrived

    # Scopes

    async def attach(self, scopes: Mapping[str, int | None]) -> Mapping[str, tuple[History, RemoteRoster]]:
        """Start to receive the messages of scopes, and return their histories and members.

        Every message that is stamped up to a history's level has been received when this returns.
        """
        await self._subscribe([self._scope_channel(scope) for scope in scopes])
        found: dict[str, tuple[History, RemoteRoster]] = {}
        for some in _slices(list(scopes.items()), _HISTORIES_AT_ONCE):
            arguments = [each for scope, level in some for each in (scope, -1 if level is None else level)]
            [(level, *answers)] = await self._scripts.run([(scripts.ATTACH, arguments)])
            self._known_level.note(int(level))
            for (scope, _), (floor, entries, members) in zip(some, answers, strict=True):
                found[scope] = (self._history(int(level), floor, entries), self._roster(members))
        await self._catch_up()
        return found

    def _history(self, level: int, floor: bytes, entries: Sequence[bytes]) -> History:
        try:
            return parse_history(level, floor, entries)
        except MALFORMED as error:
            self._ignored.note("the history of a scope", error)
            return History(level, level)  # nothing is known, so everything is rendered

    def _roster(self, entries: Sequence[bytes]) -> RemoteRoster:
        found: dict[str, dict[str, RemoteMember]] = {}
        for process, key, member in self._readable("a member", parse_member, entries[::2], entries[1::2]):
            found.setdefault(process, {})[key] = member
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
        """Wait until every message that has been published up to now has been received."""
        token, arrived = self._new_token()
        await self._scripts.run([(scripts.MARK, (self._process, token))])
        await arrived.wait()

    async def detach(self, scopes: Sequence[str]) -> None:
        """Stop receiving the messages of scopes."""
        channels = [self._scope_channel(scope) for scope in scopes]
        self._channels.difference_update(channels)
        await self._reader.write([("UNSUBSCRIBE", *channels)])

    async def changed_since(self, levels: Mapping[str, int]) -> Sequence[str]:
        """Return the scopes that have changed after these stamps."""
        index = f"{self._prefix}:scopes"
        changed: list[str] = []
        for some in _slices(list(levels.items()), _CALLS_AT_ONCE):
            stamps = await self._scripts.ask([("ZSCORE", index, encode(scope)) for scope, _ in some])
            changed += [scope for (scope, level), stamp in zip(some, stamps, strict=True) if float(stamp or 0) > level]
        if changed:
            await self._catch_up()
        return changed

    async def current_stamp(self) -> int:
        """Return the current stamp, which is comparable with those of every scope."""
        [(level,)] = await self._scripts.run([(scripts.STAMP, ())])
        self._known_level.note(int(level))
        return int(level)

    def _named(self, *names: str) -> bytes:
        """Return the name of a channel or a key."""
        return ":".join((self._prefix, *names)).encode("utf-8", "surrogatepass")

    def _scope_channel(self, scope: str) -> bytes:
        return self._named("scope", scope)

    # Sending

    async def send(self, outgoing: Outgoing) -> None:
        """Send something and wait until Redis has accepted it."""
        shown = [self._show(scope, key, member) for scope, key, member in outgoing.members]
        ended = [end_call(self._process, *each) for each in outgoing.ended_users]
        await self._run_alive([*shown, *ended, *map(emit_call, outgoing.events), *map(toast_call, outgoing.toasts)])

    async def enroll(self, members: Sequence[tuple[str, str, RemoteMember]]) -> None:
        """Replace everything that Redis knows about the members of this process."""
        [(memberships,)] = await self._scripts.run([(scripts.ENROLL, (self._process, self._name, _LEASE))])
        self._members.clear()
        present = {(scope, key) for scope, key, _ in members}
        known = self._readable("a membership", parse_membership, memberships)
        gone = [each for each in known if each not in present]
        calls = [self._show(scope, key, None) for scope, key in gone]
        calls += [self._show(*member) for member in members]
        for some in _slices(calls, _CALLS_AT_ONCE):
            await self._run_alive(some)

    def _show(self, scope: str, key: str, member: RemoteMember | None) -> ScriptCall:
        keys = self._members.setdefault(scope, set())
        if member is not None:
            keys.add(key)
        else:
            keys.discard(key)
            if not keys:
                del self._members[scope]
        arguments = member_arguments(self._process, scope, key, member)
        return scripts.SHOW, (self._process, self._name, scope, key, *arguments)

    async def renew_lease(self, seconds: float) -> None:
        """Renew this process's lease and the expiry of its members, and have a ``LevelReached`` arrive."""
        self._to_renew = self._to_renew or deque(self._members)
        scopes = [self._to_renew.popleft() for _ in range(min(_RENEWALS_AT_ONCE, len(self._to_renew)))]
        token, _ = self._new_token()
        await self._run_alive([(scripts.BEAT, (self._process, self._name, round(seconds * 1000), token, *scopes))])

    async def _run_alive(self, calls: Sequence[ScriptCall]) -> None:
        if any(answer == [b"lapsed"] for answer in await self._scripts.run(calls)):
            raise LeaseLapsedError("the lease of this process has lapsed")

    async def alive(self, processes: Sequence[str]) -> frozenset[str]:
        """Return which of these processes have a lease."""
        if not processes:
            return frozenset()
        [leases] = await self._scripts.ask([("MGET", *(self._named("lease", each) for each in processes))])
        return frozenset(process for process, lease in zip(processes, leases, strict=True) if lease)


def _slices(items: Sequence[_T], size: int) -> Iterable[Sequence[_T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
