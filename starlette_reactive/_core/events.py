"""The facts that all rooms share: what changed, who is connected, and the state of the engine.

All are immutable and hashable. They are validated here and nowhere else.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from .paths import freeze_paths

__all__ = ["ChangeEvent", "ConnectionInfo", "Health"]


@dataclass(frozen=True, slots=True, init=False)
class ChangeEvent:
    """A change that an application emits after a mutation.

    Args:
        scope: What the change belongs to, such as ``"board:42"``. Viewers of that scope are notified.
        changed_paths: The context paths whose values changed, as any iterable of dotted paths. ``"*"`` means all.
        origin: The mark of the tab that made the change. Subscribers with the same origin are not notified.
        audience: The ids of the users that the change is for, as any iterable. ``None`` means everybody.

    Raises:
        TypeError: ``changed_paths`` or ``audience`` is a bare string, or an argument has the wrong type.
        ValueError: ``scope`` or ``changed_paths`` is empty, or a path is malformed.
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
        audience: Iterable[str] | None = None,
    ) -> None:
        set_field = object.__setattr__
        set_field(self, "scope", _named("scope", scope))
        set_field(self, "changed_paths", freeze_paths(changed_paths))
        set_field(self, "origin", None if origin is None else _named("origin", origin))
        set_field(self, "audience", None if audience is None else _user_ids(audience))


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """One connection, as presence shows it.

    Args:
        session_id: Identifies the connection, such as the id of a tab or a session.
        user_id: The user, as ``audience`` and ``close_user`` name them. ``None`` means anonymous.
        connected_at: When it connected, in seconds of :func:`time.monotonic`.

    Raises:
        TypeError: An id is not a string.
        ValueError: An id is empty.
    """

    session_id: str
    user_id: str | None = None
    connected_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        _named("session_id", self.session_id)
        if self.user_id is not None:
            _named("user_id", self.user_id)


@dataclass(frozen=True, slots=True)
class Health:
    """The state of the connection between a bus and its engine.

    Args:
        engine: ``"memory"``, ``"redis"`` or ``"postgresql"``.
        connected: Whether changes are being sent and received.
        waiting: How many changes wait for the engine to accept them, after merging.
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


def _user_ids(audience: Iterable[str]) -> frozenset[str]:
    if isinstance(audience, str | bytes):
        raise TypeError(f"audience is a bare string: write {{{audience!r}}}, a set of user ids, not {audience!r}")
    return frozenset(_named("a user id in audience", user_id) for user_id in audience)
