"""Translates between the facts of the package and rows of PostgreSQL.

Text is stored as it is, so that SQL can name a scope as the program does. Only the characters that PostgreSQL or UTF-8
cannot store are replaced, by an escape character and four digits.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from ..._core.events import ChangeEvent, delivered_origin
from ..._core.paths import ALL, validate_path
from ..._core.toasts import Toast
from ..._log.changelog import PATHS_PER_SCOPE
from ..._log.replica import History, Record
from ..event_json import event_json
from ..ignored import MALFORMED, IgnoredMessages, as_list, as_number
from ..messages import EndUser, MemberChange, Outgoing, RemoteMember

__all__ = [
    "decode",
    "encode",
    "events_json",
    "hint_json",
    "members_json",
    "outgoing_json",
    "parse_end_user",
    "parse_event",
    "parse_hint",
    "parse_histories",
    "parse_member",
    "parse_member_row",
]

_UNFIT = re.compile("[\x00\x1b\ud800-\udfff]")
_ESCAPED = re.compile("\x1b([0-9a-f]{4})")
_EVENT_KEYS = ("scope", "paths", "origin", "audience")
_HINT_LIMIT = 7900  # bytes; a notification holds 8000, including the signature and the number of the transaction


def encode(text: str) -> str:
    """Return a text as PostgreSQL can store it."""
    if text.isascii() and text.isprintable():
        return text
    return _UNFIT.sub(lambda found: f"\x1b{ord(found[0]):04x}", text)


def decode(text: str) -> str:
    """Undo :func:`encode`."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "\x1b" in text else text


def _encode_optional(text: str | None) -> str | None:
    return None if text is None else encode(text)


def _decode_optional(text: str | None) -> str | None:
    return decode(text) if text else None


# Sent


def outgoing_json(outgoing: Outgoing) -> str:
    """Return the ``batch`` parameter of ``rx_send``."""
    return json.dumps(
        {
            "members": [*(_member(*change) for change in outgoing.members), *map(_toast, outgoing.toasts)],
            "ended": [
                {"user": encode(user_id), "scope": _encode_optional(scope)} for user_id, scope in outgoing.ended_users
            ],
            "events": [dict(zip(_EVENT_KEYS, _event(event), strict=True)) for event in outgoing.events],
        }
    )


def events_json(events: Sequence[ChangeEvent]) -> str:
    """Return events as a JSON array."""
    return f"[{', '.join(event_json(*_event(event)) for event in events)}]"


def hint_json(events: Sequence[ChangeEvent]) -> str | None:
    """Return events as a wake-up contains them, or ``None`` if there are none or they do not fit into it."""
    hint = events_json(events)
    return hint if events and len(hint) <= _HINT_LIMIT else None


def members_json(members: Iterable[tuple[str, str, RemoteMember]]) -> str:
    """Return the ``members`` parameter of ``rx_enroll``."""
    return json.dumps([_member(*member) for member in members])


def _member(scope: str, key: str, member: RemoteMember | None) -> dict[str, Any]:
    found: dict[str, Any] = {"scope": encode(scope), "key": encode(key)}
    if member is not None:
        user_id = _encode_optional(member.user_id)
        found |= {"session": encode(member.session_id), "user": user_id, "since": member.since}
    return found


def _toast(toast: Toast) -> dict[str, Any]:
    """Return a toast in the shape of a member that has left. Only roles that run a bus may write and read those."""
    audience = None if toast.audience is None else sorted(map(encode, toast.audience))
    facts = {"target": encode(toast.target), "html": encode(toast.html), "audience": audience}
    return {"scope": encode(toast.scope), "key": "toast", "toast": facts}


def _event(event: ChangeEvent) -> tuple[str, list[str], str | None, list[str] | None]:
    """Return the values of ``_EVENT_KEYS``."""
    audience = None if event.audience is None else sorted(map(encode, event.audience))
    return encode(event.scope), sorted(event.changed_paths), _encode_optional(event.origin), audience


# Received: whatever a decoder cannot read, it raises one of ``MALFORMED`` for, or replaces by what renders more


def parse_hint(payload: str, key: bytes) -> tuple[str, list[ChangeEvent]] | None:
    """Return the transaction and the events that a wake-up contains, or ``None`` if it contains none.

    Args:
        payload: What was notified, as ``rx_wake`` writes it.
        key: The key that it is signed with.
    """
    if not payload:
        return None
    signature, _, message = payload.partition(" ")
    expected = sha256(key + sha256(key + message.encode()).digest()).hexdigest()  # as PostgreSQL, which has no HMAC
    if not hmac.compare_digest(signature.encode(), expected.encode()):
        raise ValueError("the signature is invalid")
    xid, _, hint = message.partition(" ")
    return str(as_number(xid)), [_hinted(event) for event in as_list(json.loads(hint))]


def _hinted(facts: Mapping[str, Any]) -> ChangeEvent:
    scope, paths, origin, audience = (facts[key] for key in _EVENT_KEYS)
    users = None if audience is None else as_list(audience)
    return ChangeEvent(decode(scope), as_list(paths), delivered_origin(_decode_optional(origin)), _audience(users))


def parse_event(
    scope: str, paths: Sequence[str], origin: str | None, audience: Sequence[str] | None, ignored: IgnoredMessages
) -> ChangeEvent:
    """Return the event of a row, which any program may have written.

    An invalid path stands for every path, and an invalid audience for everybody.
    """
    rest = delivered_origin(_decode_optional(origin)), _known_audience(audience, ignored)
    try:
        return ChangeEvent(decode(scope), paths, *rest)
    except MALFORMED:
        return ChangeEvent(decode(scope), {_known_path(path, ignored) for path in paths}, *rest)


def parse_end_user(process: str, user_id: str, scope: str | None) -> EndUser:
    """Return the request of a row of ``reactive.ended``."""
    return EndUser(process, decode(user_id), None if scope is None else decode(scope))


def parse_member_row(scope: str, process: str, member: str) -> MemberChange | Toast:
    """Return what a row of the log says that is no event: a member that joined or left, or a toast."""
    facts = json.loads(member)
    if "toast" in facts:
        return _parse_toast(scope, facts["toast"])
    has_left = facts.get("session") is None
    shown = None if has_left else parse_member(facts["session"], facts["user"], facts["since"])
    return MemberChange(scope, process, decode(facts["key"]), shown)


def _parse_toast(scope: str, facts: Mapping[str, Any]) -> Toast:
    target, html, audience = (facts[name] for name in ("target", "html", "audience"))
    users = None if audience is None else as_list(audience)
    return Toast(scope, decode(target), decode(html), None if users is None else [decode(user) for user in users])


def parse_member(session: str, user_id: str | None, since: float) -> RemoteMember:
    """Return a member."""
    return RemoteMember(decode(session), _decode_optional(user_id), float(since))


def _audience(users: Sequence[str] | None) -> frozenset[str] | None:
    return None if users is None else frozenset(decode(user) for user in users if user)


def _known_path(path: str, ignored: IgnoredMessages) -> str:
    try:
        return validate_path(path)
    except MALFORMED as error:
        ignored.note("a path", error)
        return ALL


def _known_audience(users: Sequence[str] | None, ignored: IgnoredMessages) -> frozenset[str] | None:
    try:
        return _audience(users)
    except MALFORMED as error:
        ignored.note("an audience", error)
        return None


_Key = tuple[frozenset[str] | None, str]
"""Audience and path."""


def parse_histories(
    level: int, floor: int, rows: Iterable[Sequence[Any]], limit: int, ignored: IgnoredMessages
) -> dict[str, History]:
    """Return the histories of scopes.

    Args:
        level: The stamp up to which they are complete.
        floor: The stamp up to which no changes are known.
        rows: The newest stamp of each scope, audience, path and origin, as ``(scope, audience, path, origin, stamp,
            0)``; and for each scope the oldest stamp and the number of the events that were read, as ``(scope, None,
            None, None, stamp, count)``.
        limit: How many events of a scope were read at most.
        ignored: Counts invalid paths and audiences.
    """
    floors: dict[str, int] = {}
    stamps: dict[str, dict[_Key, dict[str | None, int]]] = {}
    for scope, audience, path, origin, stamp, count in rows:
        if count:
            floors[scope] = max(floor, int(stamp)) if count >= limit else floor
        else:
            key = (_known_audience(audience, ignored), _known_path(path, ignored))
            origins = stamps.setdefault(scope, {}).setdefault(key, {})
            name = delivered_origin(_decode_optional(origin))
            origins[name] = max(int(stamp), origins.get(name, 0))
    return {scope: _history(level, floors.get(scope, floor), found) for scope, found in stamps.items()}


def _history(level: int, floor: int, found: Mapping[_Key, Mapping[str | None, int]]) -> History:
    records = sorted(
        (_record(*key, origins) for key, origins in found.items()), key=lambda record: record.stamp, reverse=True
    )
    kept, left_out = records[:PATHS_PER_SCOPE], records[PATHS_PER_SCOPE:]
    return History(level, max([floor, *(record.stamp for record in left_out)]), kept)


def _record(audience: frozenset[str] | None, path: str, origins: Mapping[str | None, int]) -> Record:
    (origin, stamp), *others = sorted(origins.items(), key=lambda pair: pair[1], reverse=True)
    return Record(path, audience, stamp, origin, others[0][1] if others else 0)
