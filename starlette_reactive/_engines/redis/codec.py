"""Translates between the facts of the package and what Redis stores.

Everything is stored as ASCII JSON, except for the names of scopes, which are stored as they are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..._core.events import ChangeEvent, delivered_origin
from ..._core.paths import ALL
from ..._log.changelog import PATHS_PER_SCOPE
from ..._log.replica import History, Record
from ..event_json import event_json, list_json, quoted, text_json
from ..messages import DeliveredEvent, EndUser, MemberChange, RemoteMember, RemoteRoster
from . import scripts

__all__ = [
    "ScriptCall",
    "emit_call",
    "encode",
    "member_arguments",
    "parse_end_user",
    "parse_event",
    "parse_history",
    "parse_member_change",
    "parse_membership",
    "parse_roster",
]

ScriptCall = tuple[scripts.Script, Sequence[str | bytes | int]]
"""A script and its arguments."""


# Sent


def encode(argument: str | bytes | int) -> bytes | int:
    """Return an argument as it is sent. Text may contain lone surrogates."""
    return argument.encode("utf-8", "surrogatepass") if isinstance(argument, str) else argument


def emit_call(event: ChangeEvent) -> ScriptCall:
    """Return the call that emits an event."""
    audience = None if event.audience is None else sorted(event.audience)
    paths = sorted(event.changed_paths)
    logged = paths if len(paths) <= PATHS_PER_SCOPE else [ALL]
    body = event_json(event.scope, paths, event.origin, audience)
    users = "null" if audience is None else list_json(audience)
    entries = [f"[{quoted(path)}, {users}]" for path in logged]
    return scripts.EMIT, (event.scope, body, text_json(event.origin), *entries)


def member_arguments(process: str, scope: str, key: str, member: RemoteMember | None) -> tuple[str, str]:
    """Return what is stored for a member, which is empty if it has left, and the message to other processes."""
    facts = None if member is None else [member.session_id, member.user_id, member.since]
    return json.dumps(facts) if facts else "", json.dumps([process, key, scope, facts])


# Received


def parse_event(data: bytes) -> DeliveredEvent:
    """Parse ``STAMP PREVIOUS BODY``."""
    stamp, previous, body = data.split(b" ", 2)
    facts = json.loads(body.decode())
    event = ChangeEvent(facts["scope"], facts["paths"], delivered_origin(facts["origin"]), facts["audience"])
    return DeliveredEvent(event, int(stamp), int(previous))


def parse_end_user(body: bytes) -> EndUser:
    """Parse a request to end a user's streams."""
    return EndUser(*json.loads(body))


def parse_member_change(body: bytes) -> MemberChange:
    """Parse the message that :func:`member_arguments` makes."""
    process, key, scope, facts = json.loads(body)
    return MemberChange(scope, process, key, None if facts is None else RemoteMember(*facts))


def parse_history(level: int, floor: int, entries: Sequence[bytes]) -> History:
    """Parse the entries of a scope's log: alternately the name of an entry and its last change."""
    pairs = zip(entries[::2], entries[1::2], strict=True)
    return History(level, floor, [_record(name, change) for name, change in pairs if name])


def _record(name: bytes, change: bytes) -> Record:
    path, audience = json.loads(name)
    stamp, other, origin = change.split(b" ", 2)
    users = None if audience is None else frozenset(audience)
    return Record(path, users, int(stamp), delivered_origin(json.loads(origin)), int(other))


def parse_roster(entries: Sequence[bytes]) -> RemoteRoster:
    """Parse the members of a scope: alternately a process with a key, and the member."""
    found: dict[str, dict[str, RemoteMember]] = {}
    for name, facts in zip(entries[::2], entries[1::2], strict=True):
        process, key = _split(name)
        found.setdefault(process, {})[key] = RemoteMember(*json.loads(facts))
    return found


def parse_membership(data: bytes) -> tuple[str, str]:
    """Return the scope and the key of a membership of a process."""
    key, scope = _split(data)
    return scope, key


def _split(joined: bytes) -> tuple[str, str]:
    """Split ``LENGTH:`` and two texts, of which the first has that length in bytes."""
    length, _, rest = joined.partition(b":")
    return _text(rest[: int(length)]), _text(rest[int(length) :])


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
