"""How events, viewers and histories stand in rows of PostgreSQL.

Text goes there as it is, so that SQL can name a scope as the program does; only what PostgreSQL or UTF-8 cannot hold
is written as an escape character and four digits.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..._core.events import ChangeEvent
from ..._core.paths import ALL, validate_path
from ..._log.changelog import PATHS_PER_SCOPE
from ..._log.replica import History, Record
from ..engine import Batch, Seen
from ..event_json import event_json

__all__ = [
    "Snapshot",
    "batch_json",
    "decode",
    "emit_words",
    "encode",
    "event_of",
    "events_of_hint",
    "hint_json",
    "histories",
    "members_json",
    "seen_of",
]

logger: logging.Logger = logging.getLogger("starlette_reactive.engines")

_UNFIT = re.compile("[\x00\x1b\ud800-\udfff]")
_ESCAPED = re.compile("\x1b([0-9a-f]{4})")
_FACTS = ("scope", "paths", "origin", "audience")
_HINT_LIMIT = 7900  # bytes that a notification can hold, but for the transaction's number


def encode(text: str) -> str:
    """Return a text as PostgreSQL can hold it."""
    if text.isascii() and text.isprintable():
        return text
    return _UNFIT.sub(lambda found: f"\x1b{ord(found[0]):04x}", text)


def decode(text: str) -> str:
    """Return what was encoded."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "\x1b" in text else text


def _encode_if(text: str | None) -> str | None:
    return None if text is None else encode(text)


def _decode_if(text: str | None) -> str | None:
    return decode(text) if text else None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which transactions a query saw: all below ``ends`` but those in ``running``.

    Args:
        level: The number up to which all transactions had ended.
        ends: The number that had not been given out yet.
        running: Those between that had not ended.
    """

    level: int
    ends: str
    running: list[str]

    @classmethod
    def parse(cls, text: str) -> Snapshot:
        """Return the snapshot that a text stands for."""
        xmin, xmax, running = text.split(":")
        return cls(int(xmin) - 1, xmax, running.split(",") if running else [])

    def sees(self, xid: str) -> bool:
        """Return whether the query saw what a transaction, which has been committed since or before, wrote."""
        return int(xid) <= self.level or (int(xid) < int(self.ends) and xid not in self.running)


# To the server


def batch_json(batch: Batch) -> str:
    """Return a batch as ``rx_send`` takes it."""
    return json.dumps(
        {
            "members": [_member(*change) for change in batch.presence],
            "ended": [{"user": encode(user_id), "scope": _encode_if(scope)} for user_id, scope in batch.ended],
            "events": [dict(zip(_FACTS, _facts(event), strict=True)) for event in batch.events],
        }
    )


def hint_json(events: Sequence[ChangeEvent]) -> str | None:
    """Return events as a wake-up tells them; ``None``: there is none, or it could not hold them."""
    hint = f"[{', '.join(event_json(*_facts(event)) for event in events)}]"
    return hint if events and len(hint) <= _HINT_LIMIT else None


def emit_words(event: ChangeEvent) -> list[str | None]:
    """Return an event as ``rx_emit`` takes it, and as a wake-up tells it."""
    audience = None if event.audience is None else _array(map(encode, event.audience))
    return [encode(event.scope), _array(event.changed_paths), _encode_if(event.origin), audience, hint_json([event])]


def _array(texts: Iterable[str]) -> str:
    """Return an array in the server's own notation."""
    return "{" + ",".join(map(_in_array, sorted(texts))) + "}"


def _in_array(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def members_json(members: Iterable[tuple[str, str, Seen]]) -> str:
    """Return viewers as ``rx_enroll`` takes them."""
    return json.dumps([_member(*member) for member in members])


def _member(scope: str, key: str, seen: Seen | None) -> dict[str, Any]:
    member: dict[str, Any] = {"scope": encode(scope), "key": encode(key)}
    if seen is not None:
        member |= {"session": encode(seen.session_id), "user": _encode_if(seen.user_id), "since": seen.since}
    return member


def _facts(event: ChangeEvent) -> tuple[str, list[str], str | None, list[str] | None]:
    audience = None if event.audience is None else sorted(map(encode, event.audience))
    return encode(event.scope), sorted(event.changed_paths), _encode_if(event.origin), audience


# From the server


def event_of(scope: str, paths: Sequence[str], origin: str | None, audience: Sequence[str] | None) -> ChangeEvent:
    """Return the event of a row, whoever wrote it; what is no path stands for all."""
    facts = _decode_if(origin), _audience(audience)
    try:
        return ChangeEvent(decode(scope), paths, *facts)
    except ValueError:
        return ChangeEvent(decode(scope), map(_path, paths), *facts)


def events_of_hint(payload: str) -> tuple[str, list[ChangeEvent]]:
    """Return the transaction and the events that a wake-up tells of, if it does."""
    xid, _, hint = payload.partition(" ")
    try:
        return str(int(xid)), [event_of(**event) for event in json.loads(hint)]
    except (ValueError, TypeError):  # anybody may notify, and say anything
        return "", []


def seen_of(member: Mapping[str, Any]) -> Seen | None:
    """Return the viewer of a row; ``None``: who left."""
    if "session" not in member or member["session"] is None:
        return None
    return Seen(decode(member["session"]), _decode_if(member["user"]), float(member["since"]))


def _path(path: str) -> str:
    try:
        return validate_path(path)
    except ValueError as error:
        logger.warning("what PostgreSQL's log says changed is taken for everything: %s", error)
        return ALL


def _audience(users: Sequence[str] | None) -> frozenset[str] | None:
    return None if users is None else frozenset(decode(user) for user in users if user)


_Key = tuple[frozenset[str] | None, str]


def histories(level: int, floor: int, rows: Iterable[Sequence[Any]], limit: int) -> dict[str, History]:
    """Return the histories of scopes.

    Args:
        level: Up to where they tell everything.
        floor: Up to where nothing is known.
        rows: The newest stamp of each scope, audience, path and origin, as ``(scope, audience, path, origin, stamp,
            0)``; and of each scope the oldest stamp that was read, and how many events, as ``(scope, None, None, None,
            stamp, count)``.
        limit: How many events of a scope were read at most.
    """
    floors: dict[str, int] = {}
    stamps: dict[str, dict[_Key, dict[str | None, int]]] = {}
    for scope, audience, path, origin, stamp, count in rows:
        if path is None:
            floors[scope] = max(floor, int(stamp)) if count >= limit else floor
        else:
            origins = stamps.setdefault(scope, {}).setdefault((_audience(audience), _path(path)), {})
            name = _decode_if(origin)
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
