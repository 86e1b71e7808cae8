"""How events, viewers and histories stand in Redis: as JSON in ASCII, while names of scopes stand as they are."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence

from ..._core.events import ChangeEvent
from ..._core.paths import ALL
from ..._log.changelog import PATHS_PER_SCOPE
from ..._log.replica import History, Record
from ..engine import Arrived, Presence, Roster, Seen, UserEnded
from ..event_json import event_json, list_json, quoted, text_json
from . import scripts
from .connection import Words

__all__ = [
    "Call",
    "Calls",
    "arrived",
    "emit_call",
    "encode",
    "history",
    "load_commands",
    "place_of",
    "presence",
    "roster",
    "show_words",
    "user_ended",
]

Call = tuple[scripts.Script, Words]
"""A script and its arguments."""


class Calls:
    """Makes commands of calls.

    Args:
        prefix: What all names begin with.
        name: The caller's.
    """

    def __init__(self, prefix: str, name: str) -> None:
        self._prefix = prefix
        self._name = name
        self._number = itertools.count()

    def command(self, call: Call) -> Words:
        """Return the command of a call, with a token that no other has."""
        script, arguments = call
        token = f"{self._name}-{next(self._number)}-"
        return ("EVALSHA", script.digest, 1, self._prefix, token, *map(encode, arguments))


def load_commands() -> list[Words]:
    """Return the commands that make all scripts known."""
    return [("SCRIPT", "LOAD", script.source) for script in scripts.SCRIPTS]


def emit_call(event: ChangeEvent) -> Call:
    """Return the call that emits an event."""
    audience = None if event.audience is None else sorted(event.audience)
    paths = sorted(event.changed_paths)
    logged = paths if len(paths) <= PATHS_PER_SCOPE else [ALL]
    body = event_json(event.scope, paths, event.origin, audience)
    users = "null" if audience is None else list_json(audience)
    entries = [f"[{quoted(path)}, {users}]" for path in logged]
    return scripts.EMIT, (event.scope, body, text_json(event.origin), *entries)


def arrived(data: bytes) -> Arrived:
    """Return what a message says after its kind and the memory's birth."""
    stamp, previous, body = data.split(b" ", 2)
    facts = json.loads(body.decode())
    event = ChangeEvent(facts["scope"], facts["paths"], facts["origin"], facts["audience"])
    return Arrived(event, int(stamp), int(previous))


def user_ended(body: bytes) -> UserEnded:
    """Return whose streams are to end."""
    return UserEnded(*json.loads(body))


def history(level: int, floor: int, entries: Sequence[bytes]) -> History:
    """Return a scope's history from its log's entries, names and changes by turns."""
    pairs = zip(entries[::2], entries[1::2], strict=True)
    return History(level, floor, [_record(name, change) for name, change in pairs if name])


def _record(name: bytes, change: bytes) -> Record:
    path, audience = json.loads(name)
    stamp, other, origin = change.split(b" ", 2)
    return Record(path, None if audience is None else frozenset(audience), int(stamp), json.loads(origin), int(other))


def roster(viewers: Sequence[bytes]) -> Roster:
    """Return a scope's viewers, given by turns as process with key, and facts."""
    found: dict[str, dict[str, Seen]] = {}
    for viewer, seen in zip(viewers[::2], viewers[1::2], strict=True):
        process, key = _halves(viewer)
        found.setdefault(process, {})[key] = Seen(*json.loads(seen))
    return found


def place_of(place: bytes) -> tuple[str, str]:
    """Return the scope and the key of a viewer of the process."""
    key, scope = _halves(place)
    return scope, key


def _halves(joined: bytes) -> tuple[str, str]:
    length, _, rest = joined.partition(b":")
    return _text(rest[: int(length)]), _text(rest[int(length) :])


def encode(word: str | bytes | int) -> bytes | int:
    """Return a word as it is sent; text may hold halves of surrogate pairs."""
    return word.encode("utf-8", "surrogatepass") if isinstance(word, str) else word


def presence(body: bytes) -> Presence:
    """Return who came or left."""
    process, key, scope, seen = json.loads(body)
    return Presence(scope, process, key, None if seen is None else Seen(*seen))


def show_words(process: str, scope: str, key: str, seen: Seen | None) -> tuple[str, str]:
    """Return what is kept of a viewer, nothing if it left, and what others are told."""
    facts = None if seen is None else [seen.session_id, seen.user_id, seen.since]
    return json.dumps(facts) if facts else "", json.dumps([process, key, scope, facts])


def _text(word: bytes) -> str:
    return word.decode("utf-8", "surrogatepass")
