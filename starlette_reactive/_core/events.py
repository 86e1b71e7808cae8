"""The facts that all rooms share: what changed, who is connected, and the state of the engine.

All are immutable and hashable. They are validated here and nowhere else.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from .paths import freeze_paths

__all__ = [
    "LONGEST_ORIGIN",
    "RESERVED",
    "ChangeEvent",
    "ConnectionInfo",
    "Health",
    "UserId",
    "as_scope",
    "as_user_id",
    "delivered_origin",
    "user_ids",
]

UserId = str | int | UUID
"""A user id. Each is used as its text, so ``42`` and ``"42"`` are the same user."""

RESERVED = "\x1f"
"""What no user id begins with. Scopes that begin with it belong to the package."""

LONGEST_ORIGIN = 200
"""Characters. An origin is kept in the log and sent to every process."""


@dataclass(frozen=True, slots=True, init=False)
class ChangeEvent:
    """A change that an application emits after a mutation.

    Args:
        scope: What the change belongs to, such as ``"board:42"``. Viewers of that scope are notified.
        changed_paths: The context paths whose values changed, as any iterable of dotted paths. ``"*"`` means all.
        origin: The mark of the tab that made the change. Subscribers with the same origin are not notified.
        audience: The ids of the users that the change is for, as any iterable of strings, integers or UUIDs. ``None``
            means everybody.

    Raises:
        TypeError: ``changed_paths`` or ``audience`` is a bare string, or an argument has the wrong type.
        ValueError: ``scope`` or ``changed_paths`` is empty, a path is malformed, or ``origin`` has more than 200
            characters.
    """

    scope: str
    changed_paths: frozenset[str]
    origin: str | None = None
    audience: frozenset[str] | None = None

    def __init__(
        self,
        scope: str,
        changed_paths: Iterable[str],
        origin: str | None = None,
        audience: Iterable[UserId] | None = None,
    ) -> None:
        set_field = object.__setattr__
        set_field(self, "scope", as_scope(scope))
        set_field(self, "changed_paths", freeze_paths(changed_paths))
        set_field(self, "origin", None if origin is None else _origin(origin))
        set_field(self, "audience", None if audience is None else user_ids(audience))


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """One connection, as presence shows it.

    Args:
        session_id: Identifies the connection, such as the id of a tab or a session.
        user_id: The user, as ``audience`` and ``close_user`` name them: a string, an ``int`` or a ``UUID``, which is
            kept as its text. ``None`` means anonymous.
        connected_at: When it connected, in seconds of :func:`time.monotonic`. Take it before you check permissions,
            because ``close_user`` also ends connections that were made before it and are registered later.

    Raises:
        TypeError: An id has another type.
        ValueError: An id is empty.
    """

    session_id: str
    user_id: str | None = None
    connected_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        _named("session_id", self.session_id)
        if self.user_id is not None:
            object.__setattr__(self, "user_id", as_user_id("user_id", self.user_id))


@dataclass(frozen=True, slots=True)
class Health:
    """The state of the connection between a bus and its engine.

    Args:
        engine: ``"memory"``, ``"redis"`` or ``"postgresql"``.
        connected: Whether changes are being sent and received.
        waiting: How many changes the engine has not accepted yet, after merging. Those that are being sent count too.
        last_error: What ended the last connection, or prevents one. ``None`` if nothing has failed.
        connections: How many times a connection was made.
        ignored: How many malformed messages of the engine were ignored. Some other program sends them.
    """

    engine: str = "memory"
    connected: bool = True
    waiting: int = 0
    last_error: str | None = None
    connections: int = 0
    ignored: int = 0


def _named(what: str, value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{what} is a string, not {type(value).__name__}: {value!r}")
    if not value:
        raise ValueError(f"{what} is empty: it must name something")
    return value


def as_scope(value: str) -> str:
    """Return the name of a scope.

    Raises:
        TypeError: It is not a string.
        ValueError: It is empty.
    """
    return _named("scope", value)


def as_user_id(what: str, value: object) -> str:
    """Return a user id as text.

    Args:
        what: What it is, for the error message.
        value: A string, an ``int`` or a ``UUID``.

    Raises:
        TypeError: It is something else.
        ValueError: It is empty, or begins with a control character that is reserved.
    """
    if isinstance(value, UUID) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    if not isinstance(value, str):
        raise TypeError(f"{what} is a str, int or UUID, not {type(value).__name__}: {value!r}; pass the id alone")
    if value.startswith(RESERVED):
        raise ValueError(f"{what} begins with the reserved character {RESERVED!r}: {value!r}")
    return _named(what, value)


def _origin(value: str) -> str:
    if len(_named("origin", value)) > LONGEST_ORIGIN:
        raise ValueError(
            f"origin has {len(value)} characters, which is more than {LONGEST_ORIGIN}: pass reactive.origin(request), "
            "or a short mark of your own"
        )
    return value


def delivered_origin(value: str | None) -> str | None:
    """Return the origin of an event that another program sent. ``None``, which notifies all, if it cannot be one."""
    return value if value and len(value) <= LONGEST_ORIGIN else None


def user_ids(audience: Iterable[UserId]) -> frozenset[str]:
    """Return an audience as user ids.

    Raises:
        TypeError: It is a bare string, or an id has another type.
        ValueError: An id is empty, or reserved.
    """
    if isinstance(audience, str | bytes):
        raise TypeError(f"audience is a bare string: write {{{audience!r}}}, a set of user ids, not {audience!r}")
    return frozenset(as_user_id("a user id in audience", user_id) for user_id in audience)
