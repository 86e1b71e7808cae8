"""What passes between a relay and an engine: the messages that arrive, and what is sent.

The facts check their own types, because any program may have written what they are made of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .._core.events import ChangeEvent
from .._core.toasts import Toast

__all__ = [
    "DeliveredEvent",
    "EndUser",
    "LevelReached",
    "MemberChange",
    "MemberUpdate",
    "Message",
    "Outgoing",
    "RemoteMember",
    "RemoteRoster",
]


@dataclass(frozen=True, slots=True)
class RemoteMember:
    """A member of a scope, as one process shows it to the others.

    Args:
        session_id: The session id of its connection.
        user_id: The user id of its connection.
        since: When it connected, in seconds since 1970: processes do not share a monotonic clock.

    Raises:
        TypeError: A value has the wrong type.
        ValueError: An id is empty, or the time is no finite number.
    """

    session_id: str
    user_id: str | None
    since: float

    def __post_init__(self) -> None:
        _check_texts(self.session_id)
        _check_optional_texts(self.user_id)
        if not isinstance(self.since, int | float):
            raise TypeError(f"a time is a number, not {type(self.since).__name__}")
        if not math.isfinite(self.since):
            raise ValueError("a time is a finite number")


@dataclass(frozen=True, slots=True)
class DeliveredEvent:
    """An event, emitted by any process.

    Args:
        event: The event.
        stamp: Its stamp.
        previous: The stamp of the event before it in the same scope, or 0 if there is none. ``None`` if the engine's
            stamps may arrive out of order; such an engine guarantees by itself that no event is missing.
    """

    event: ChangeEvent
    stamp: int
    previous: int | None = None


@dataclass(frozen=True, slots=True)
class LevelReached:
    """Every message with a stamp up to ``level`` has arrived."""

    level: int


@dataclass(frozen=True, slots=True)
class MemberChange:
    """A member joined a scope in some process, or left it: then ``member`` is ``None``.

    Raises:
        TypeError: A name is not a string.
        ValueError: A name is empty.
    """

    scope: str
    process: str
    key: str
    member: RemoteMember | None

    def __post_init__(self) -> None:
        _check_texts(self.scope, self.process, self.key)


@dataclass(frozen=True, slots=True)
class EndUser:
    """A process asks all others to end a user's streams in one scope, or in every scope if ``scope`` is ``None``.

    Raises:
        TypeError: A name is not a string.
        ValueError: A name is empty.
    """

    process: str
    user_id: str
    scope: str | None

    def __post_init__(self) -> None:
        _check_texts(self.process, self.user_id)
        _check_optional_texts(self.scope)


Message = DeliveredEvent | LevelReached | MemberChange | EndUser | Toast
MemberUpdate = tuple[str, str, RemoteMember | None]
"""A member of this process that joined or left a scope: the scope, its key, and the member or ``None``."""
RemoteRoster = Mapping[str, Mapping[str, RemoteMember]]
"""The members of a scope in all processes, by process and key."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What is sent to an engine at once, in this order.

    Args:
        members: Members of this process that joined or left.
        ended_users: Users whose streams other processes are to end, as ``(user_id, scope or None)``.
        events: The events.
        toasts: The toasts. The engine passes them on at once, and has none for who connects later.
    """

    members: Sequence[MemberUpdate] = field(default=())
    ended_users: Sequence[tuple[str, str | None]] = field(default=())
    events: Sequence[ChangeEvent] = field(default=())
    toasts: Sequence[Toast] = field(default=())


def _check_texts(*values: str) -> None:
    for value in values:
        if not isinstance(value, str):
            raise TypeError(f"a name is a string, not {type(value).__name__}")
        if not value:
            raise ValueError("a name is empty")


def _check_optional_texts(*values: str | None) -> None:
    _check_texts(*(value for value in values if value is not None))
