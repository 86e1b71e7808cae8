"""Translates between the facts of the package and what Redis stores.

Everything is stored as ASCII JSON, except for the names of scopes, which are stored as they are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from ..._core.events import ChangeEvent, delivered_origin
from ..._core.paths import ALL
from ..._core.toasts import Toast
from ..._log.changelog import PATHS_PER_SCOPE
from ..._log.replica import History, Record
from ..event_json import event_json, list_json, quoted, text_json
from ..ignored import as_list, as_number
from ..messages import DeliveredEvent, EndUser, LevelReached, MemberChange, Message, RemoteMember
from . import scripts

__all__ = [
    "Published",
    "ScriptCall",
    "emit_call",
    "encode",
    "end_call",
    "member_arguments",
    "parse_end_user",
    "parse_ended",
    "parse_event",
    "parse_history",
    "parse_member",
    "parse_member_change",
    "parse_membership",
    "parse_published",
    "parse_toast",
    "toast_call",
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


def end_call(process: str, user_id: str, scope: str | None) -> ScriptCall:
    """Return the call by which a process asks all others to end a user's streams."""
    return scripts.END, (json.dumps([process, user_id, scope]),)


def toast_call(toast: Toast) -> ScriptCall:
    """Return the call that sends a toast."""
    audience = None if toast.audience is None else sorted(toast.audience)
    return scripts.TOAST, (toast.scope, json.dumps([toast.scope, toast.target, toast.html, audience]))


def member_arguments(process: str, scope: str, key: str, member: RemoteMember | None) -> tuple[str, str]:
    """Return what is stored for a member, which is empty if it has left, and the message to other processes."""
    facts = None if member is None else [member.session_id, member.user_id, member.since]
    return json.dumps(facts) if facts else "", json.dumps([process, key, scope, facts])


# Received: whatever a decoder cannot read, it raises one of ``MALFORMED`` for, or leaves out


@dataclass(frozen=True, slots=True)
class Published:
    """What a subscription receives.

    Args:
        birth: The birth of the data that it belongs to.
        message: The message. ``None`` if it is a mark.
        stamp: The stamp that it carries, if any.
        token: For a level or a mark: what only this session has given to a script.
        is_toast: Whether it says that the toast of its stamp can be read.
    """

    birth: bytes
    message: Message | None
    stamp: int | None = None
    token: bytes | None = None
    is_toast: bool = False


def parse_published(data: bytes) -> Published:
    """Parse ``KIND BIRTH BODY``, as ``scripts`` publishes it."""
    kind, birth, body = data.split(b" ", 2)
    match kind:
        case b"e":
            event = parse_event(body)
            return Published(birth, event, event.stamp)
        case b"p":
            return Published(birth, parse_member_change(body))
        case b"u":
            stamp, body = body.split(b" ", 1)
            return Published(birth, parse_end_user(body), as_number(stamp))
        case b"t":
            return Published(birth, None, as_number(body), is_toast=True)
        case b"h":
            token, level = body.split(b" ", 1)
            return Published(birth, LevelReached(as_number(level)), token=token)
        case b"m":
            return Published(birth, None, token=body)
    raise ValueError("no message is of this kind")


def parse_event(data: bytes) -> DeliveredEvent:
    """Parse ``STAMP PREVIOUS BODY``."""
    stamp, previous, body = data.split(b" ", 2)
    facts = json.loads(body.decode())
    audience = None if facts["audience"] is None else as_list(facts["audience"])
    event = ChangeEvent(facts["scope"], as_list(facts["paths"]), delivered_origin(facts["origin"]), audience)
    return DeliveredEvent(event, as_number(stamp), as_number(previous))


def parse_end_user(body: bytes) -> EndUser:
    """Parse a request to end a user's streams."""
    return EndUser(*as_list(json.loads(body)))


def parse_ended(entry: bytes) -> tuple[int, EndUser]:
    """Parse an entry of ``ended``: its stamp and the request."""
    stamp, body = entry.split(b" ", 1)
    return as_number(stamp), parse_end_user(body)


def parse_toast(body: bytes) -> Toast:
    """Parse a stored toast."""
    scope, target, html, audience = as_list(json.loads(body))
    return Toast(scope, target, html, None if audience is None else as_list(audience))


def parse_member_change(body: bytes) -> MemberChange:
    """Parse the message that :func:`member_arguments` makes."""
    process, key, scope, facts = as_list(json.loads(body))
    return MemberChange(scope, process, key, None if facts is None else RemoteMember(*as_list(facts)))


def parse_history(level: int, floor: bytes, entries: Sequence[bytes]) -> History:
    """Parse the entries of a scope's log: alternately the name of an entry and its last change."""
    pairs = zip(entries[::2], entries[1::2], strict=True)
    records = [_record(name, change) for name, change in pairs if name]
    if any(max(record.stamp, record.other_stamp) > level for record in records):
        raise ValueError("a stamp is higher than the level")
    return History(level, min(level, as_number(floor)), records)


def _record(name: bytes, change: bytes) -> Record:
    path, audience = as_list(json.loads(name))
    stamp, other, origin = change.split(b" ", 2)
    users = None if audience is None else as_list(audience)
    event = ChangeEvent("-", [path], delivered_origin(json.loads(origin)), users)  # validates
    return Record(path, event.audience, as_number(stamp), event.origin, as_number(other))


def parse_member(name: bytes, facts: bytes) -> tuple[str, str, RemoteMember]:
    """Parse a member of a scope: its process, its key and its facts."""
    process, key = _split(name)
    return process, key, RemoteMember(*as_list(json.loads(facts)))


def parse_membership(data: bytes) -> tuple[str, str]:
    """Return the scope and the key of a membership of a process."""
    key, scope = _split(data)
    return scope, key


def _split(joined: bytes) -> tuple[str, str]:
    """Split ``LENGTH:`` and two texts, of which the first has that length in bytes."""
    length, _, rest = joined.partition(b":")
    end = as_number(length)
    return _text(rest[:end]), _text(rest[end:])


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
