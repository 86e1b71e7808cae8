"""The facts that cross every border: what changed, who is connected, and how the engine is.

All are immutable and hashable, and validated here and nowhere else.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from .paths import freeze_paths

__all__ = ["ChangeEvent", "ConnectionInfo", "Health"]


@dataclass(frozen=True, slots=True, init=False)
class ChangeEvent:
    """What an application says after a mutation.

    Args:
        scope: What the change belongs to, such as ``"board:42"``; viewers of the same scope are told.
        changed_paths: The context paths whose values changed, as any iterable of dotted paths; ``"*"`` stands for all.
        origin: Who caused it, such as a tab's id; subscribers of the same origin are not told. ``None``: all are.
        audience: Ids of the users whom the change is for, as any iterable; ``None``: everybody.

    Raises:
        TypeError: ``changed_paths`` or ``audience`` is a bare string, or an argument is of the wrong type.
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
    """One connected viewer, as presence shows it.

    Args:
        session_id: What tells this connection from the others, such as a tab's or a session's id.
        user_id: Who it is; what ``audience`` and ``close_user`` go by. ``None``: nobody in particular.
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
    """How things stand between a bus and its engine.

    Args:
        engine: ``"memory"``, ``"redis"`` or ``"postgresql"``.
        connected: Whether changes arrive here and leave here at present.
        waiting: How many changes wait for the engine to accept them, after merging.
        last_error: What ended the last connection, or prevents one; ``None``: nothing has yet.
        connections: How often the engine was connected to.
    """

    engine: str = "memory"
    connected: bool = True
    waiting: int = 0
    last_error: str | None = None
    connections: int = 0


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
